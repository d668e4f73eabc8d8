/*
 * Reloading: everything is read and judged before the first thing changes;
 * from then on nothing can fail but what keeps its old state (a log file, a
 * stats port), which is said and lived with.
 *
 * The order matters.  Addresses and what is known of the nodes are carried
 * over into the numbers of the new configuration first, so that the workers
 * get one whole picture and nobody sees a known primary turn unknown.
 */
#include "main/reload.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "control/daemon.h"
#include "control/http.h"
#include "control/monitor.h"
#include "control/resolve.h"
#include "core/config.h"
#include "core/topology.h"
#include "main/catalogs.h"
#include "main/house_parts.h"
#include "main/load.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The log file was moved away, or is another one now. */
static void reload_log(struct house *house)
{
	const struct config *config = house_config(house);

	if (!house_open_log(house, config))
		log_warning("logfile %s: cannot be opened (%s), the old one "
			    "stays in use",
			    config->settings.logfile, strerrordesc_np(errno));
}

/* Stays on the old port when the new one cannot be opened. */
static void reload_http(struct house *house)
{
	struct buf error = BUF_INIT;

	if (!http_reload(house->http, house_config(house), &error))
		load_log_lines(LEVEL_WARNING, "reload: ", &error);
	buf_free(&error);
}

/* Takes the snapshot; the nodes keep what is known of them. */
static void reload_nodes(struct house *house, struct snapshot *snapshot)
{
	const struct config *config = snapshot->config;
	struct snapshot *before = house->snapshot;

	house->snapshot = snapshot;
	free(house->addresses);
	house->addresses =
		xcalloc(config->node_count + 1, sizeof(*house->addresses));
	house->is_reloading = true;
	resolve_reload(house->resolve, config);
	monitor_reload(house->monitor, config);
	monitor_set_users(house->monitor, snapshot->users);
	house->is_reloading = false;
	snapshot_release(before);
}

/*
 * From here on nothing may fail.  The workers get snapshot, topology and
 * addresses in one mail, made for the same configuration.
 */
static void put_in_force(struct house *house, struct snapshot *snapshot)
{
	const struct topology *topology;

	reload_nodes(house, snapshot);
	topology = monitor_topology(house->monitor);
	assert(topology->generation == snapshot->config->generation);
	proxy_post_snapshot(house->proxy, snapshot_hold(snapshot),
			    topology_hold(topology), house->addresses);
	catalogs_reload(house->catalogs, snapshot->config);
	catalogs_want_named(house->catalogs);
	reload_http(house);
	house_set_stats_period(house);
}

/* Warnings again at each reload: the file still says what they are about. */
static void tell_success(const struct config *before,
			 const struct config *after, const struct buf *warnings)
{
	struct buf text = BUF_INIT;

	config_explain_restart(before, after, &text);
	load_log_lines(LEVEL_WARNING, "reload: ", warnings);
	load_log_lines(LEVEL_WARNING, "reload: ", &text);
	buf_free(&text);
	log_info("reload: %s is in force: %u databases, %u nodes", after->path,
		 after->database_count, after->node_count);
}

/* For the log, for /metrics (reload_ok) and for who has asked. */
static bool refuse(struct house *house, const struct buf *faults,
		   struct buf *error)
{
	house->reload_ok = false;
	load_log_lines(LEVEL_ERROR, "reload: ", faults);
	log_error("reload: %s is not used, the old configuration stays in "
		  "force",
		  house->line->file);
	buf_append(error, buf_head(faults), buf_len(faults));
	return false;
}

static bool read_and_swap(struct house *house, struct buf *warnings,
			  struct buf *error)
{
	struct snapshot *before = house->snapshot;
	struct buf faults = BUF_INIT;
	struct snapshot *snapshot =
		load_snapshot(house->line->file, before->config->generation + 1,
			      &faults, warnings);
	bool is_good = snapshot != NULL;

	if (is_good) {
		(void)snapshot_hold(before);
		put_in_force(house, snapshot);
		house->reload_ok = true;
		house->reload_ok_wall_us = util_wall_us();
		reload_log(house);
		tell_success(before->config, snapshot->config, warnings);
		snapshot_release(before);
	} else {
		/* Whoever moved the log away wants a new one all the same. */
		reload_log(house);
		(void)refuse(house, &faults, error);
	}
	buf_free(&faults);
	return is_good;
}

static bool change_and_swap(struct house *house, const char *key,
			    const char *value, struct buf *error)
{
	struct snapshot *before = house->snapshot;
	struct buf warnings = BUF_INIT;
	struct snapshot *snapshot =
		load_changed(before, key, value, error, &warnings);

	if (snapshot) {
		put_in_force(house, snapshot);
		reload_log(house);
		load_log_lines(LEVEL_WARNING, "SET: ", &warnings);
	}
	buf_free(&warnings);
	return snapshot != NULL;
}

/* The value may be a secret: the log has the key alone. */
bool reload_set(struct house *house, const char *key, const char *value,
		struct buf *error)
{
	if (house->mode != SHUTDOWN_NONE) {
		buf_printf(error, "pgweir is shutting down\n");
		return false;
	}
	if (!change_and_swap(house, key, value, error))
		return false;
	log_info("console: SET %s, until the next reload", key);
	return true;
}

bool reload_house(struct house *house, struct buf *error)
{
	struct buf warnings = BUF_INIT;
	bool is_good;

	if (house->mode != SHUTDOWN_NONE) {
		buf_printf(error, "pgweir is shutting down\n");
		return false;
	}
	daemon_notify(DAEMON_RELOADING, NULL);
	is_good = read_and_swap(house, &warnings, error);
	daemon_notify(DAEMON_READY, NULL);
	buf_free(&warnings);
	return is_good;
}
