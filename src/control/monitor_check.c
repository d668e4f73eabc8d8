/*
 * pgweir --check beyond the file: a trial for each node, and one for each
 * pair of a [databases] line and a node; a few at a time, since the servers
 * may have few connections to spare.
 *
 * Runs before anything else does, on a loop of its own; may block.
 */
#include "control/monitor_check.h"

#include "base/buf.h"
#include "base/util.h"
#include "control/monitor_login.h"
#include "control/probe.h"
#include "control/resolve.h"
#include "core/config.h"
#include "core/config_shares.h"
#include "core/topology.h"
#include "core/users.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 4, TURN_US = 10000, NAMES_US = 5000000 };

enum trial_state { TRIAL_WAITING, TRIAL_RUNNING, TRIAL_DONE };

/* Strings are borrowed from the configuration, which outlives the check. */
struct trial {
	struct check *check;
	const struct config_database *line; /* NULL: the node itself */
	unsigned node;
	const char *user;
	const char *password;
	const char *dbname;
	enum trial_state state;
	struct probe *probe;
	struct probe_report report;
};

struct check {
	const struct config *config;
	struct event_base *base;
	struct resolve *resolve;
	struct event *turn;
	uint64_t started_us;
	unsigned count;
	struct trial *trials; /* those of the nodes first, by number */
	struct buf *out;
	bool is_good;
};

/* ---- running the trials ------------------------------------------------- */

/* The probe is freed by the next turn, never inside its own callback. */
static void trial_done(void *arg, const struct probe_report *report)
{
	struct trial *trial = arg;

	trial->report = *report;
	trial->state = TRIAL_DONE;
}

/* One probe per trial: another user or database is another connection. */
static void trial_start(struct trial *trial)
{
	const struct config *config = trial->check->config;
	struct probe_target target = {
		.node = &config->nodes[trial->node],
		.settings = &config->settings,
		.user = trial->user,
		.password = trial->password,
		.dbname = trial->dbname,
	};
	socklen_t len;
	const struct sockaddr_storage *address =
		resolve_address(trial->check->resolve, trial->node, &len);

	trial->probe = probe_new(trial->check->base, trial_done, NULL, trial);
	probe_aim(trial->probe, &target);
	probe_set_address(trial->probe, (const struct sockaddr *)address, len);
	probe_start(trial->probe, config->settings.monitor_timeout_us);
	trial->state = TRIAL_RUNNING;
}

/* A name that is being looked up is waited for, but not for ever. */
static bool trial_may_start(const struct trial *trial)
{
	const struct check *check = trial->check;

	return trial->state == TRIAL_WAITING &&
	       (!resolve_is_pending(check->resolve, trial->node) ||
		util_now_us() - check->started_us > NAMES_US);
}

static unsigned count_in(const struct check *check, enum trial_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < check->count; i++)
		count += check->trials[i].state == state;
	return count;
}

/*
 * Starts and cleans up what the callbacks left behind; ends the loop when the
 * last trial is done.  A timer, since nothing here is in a hurry.
 */
static void turn(evutil_socket_t fd, short what, void *arg)
{
	struct check *check = arg;
	unsigned running = count_in(check, TRIAL_RUNNING);

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < check->count; i++) {
		struct trial *trial = &check->trials[i];

		if (trial->state == TRIAL_DONE && trial->probe) {
			/* Its connection is wanted by the next trial. */
			probe_free(trial->probe);
			trial->probe = NULL;
		}
		if (running < AT_ONCE && trial_may_start(trial)) {
			trial_start(trial);
			running++;
		}
	}
	if (count_in(check, TRIAL_DONE) == check->count)
		(void)event_base_loopbreak(check->base);
}

/* The addresses are asked for when a trial begins. */
static void ignore_address(void *arg, unsigned node,
			   const struct sockaddr_storage *address,
			   socklen_t len)
{
	(void)arg;
	(void)node;
	(void)address;
	(void)len;
}

/*
 * Ends for sure: every probe has a time limit of its own, and names are waited
 * for no longer than NAMES_US.
 */
static void check_run(struct check *check)
{
	const struct timeval pause = { 0, TURN_US };

	check->base = event_base_new();
	assert(check->base);
	check->started_us = util_now_us();
	check->resolve =
		resolve_new(check->base, check->config, ignore_address, NULL);
	check->turn = event_new(check->base, -1, EV_PERSIST, turn, check);
	assert(check->turn);
	(void)event_add(check->turn, &pause);
	(void)event_base_dispatch(check->base);
	assert(count_in(check, TRIAL_DONE) == check->count);
	event_free(check->turn);
	resolve_free(check->resolve);
	event_base_free(check->base);
}

/* ---- what is tried ------------------------------------------------------ */

static bool is_set(const char *text)
{
	return text && *text;
}

/* As the line's user, else as the monitor, to see that the database exists */
static void trial_of_line(struct trial *trial, const struct config *config,
			  const struct users *users)
{
	struct monitor_login login =
		monitor_login_with(config, users, trial->node);
	const struct config_database *line = trial->line;

	trial->user = is_set(line->user) ? line->user : login.user;
	trial->password =
		is_set(line->user)
			? monitor_password_of(line->password, line->user, users)
			: login.password;
	trial->dbname = is_set(line->dbname) ? line->dbname : line->name;
}

/* The fallback line has no database of its own to be tried. */
static bool can_try(const struct config_database *line)
{
	return strcmp(line->name, "*") != 0 || is_set(line->dbname);
}

/* Must agree with check_plan(): the array is made of this size. */
static unsigned count_trials(const struct config *config)
{
	unsigned count = config->node_count;

	for (unsigned i = 0; i < config->database_count; i++)
		if (can_try(&config->databases[i]))
			count += config->databases[i].node_count;
	return count;
}

/* Nodes first, by number, so that trials[node] is the node's own. */
static void check_plan(struct check *check, const struct users *users)
{
	const struct config *config = check->config;
	struct trial *at;

	check->count = count_trials(config);
	check->trials = xcalloc(check->count + 1, sizeof(struct trial));
	at = check->trials;
	for (unsigned i = 0; i < config->node_count; i++, at++) {
		struct monitor_login login =
			monitor_login_with(config, users, i);

		at->node = i;
		at->user = login.user;
		at->password = login.password;
		at->dbname = login.dbname;
	}
	for (unsigned d = 0; d < config->database_count; d++) {
		const struct config_database *line = &config->databases[d];

		for (unsigned i = 0; can_try(line) && i < line->node_count;
		     i++, at++) {
			at->line = line;
			at->node = line->nodes[i];
			trial_of_line(at, config, users);
		}
	}
	assert(at == check->trials + check->count);
	for (unsigned i = 0; i < check->count; i++)
		check->trials[i].check = check;
}

/* ---- what was found ----------------------------------------------------- */

/* By its own word: a node that was not asked is none. */
static bool is_primary(const struct trial *trial)
{
	return trial->report.outcome == PROBE_ANSWERED &&
	       trial->report.facts.is_primary;
}

/* The farthest primary of the replica's epoch. */
static const struct probe_facts *primary_of(const struct check *check,
					    const struct probe_facts *replica)
{
	const struct probe_facts *best = NULL;

	for (unsigned i = 0; i < check->config->node_count; i++) {
		const struct probe_facts *facts =
			&check->trials[i].report.facts;

		if (is_primary(&check->trials[i]) &&
		    watermark_same_epoch(facts->position, replica->position))
			best = facts;
	}
	return best;
}

/* Not streaming is a fault even at no lag: it will fall behind. */
static void tell_replica(struct check *check, const struct probe_facts *facts)
{
	const struct probe_facts *primary = primary_of(check, facts);

	buf_printf(check->out, ", %s",
		   facts->is_receiving ? "streaming" : "NOT STREAMING");
	if (primary)
		buf_printf(check->out, ", %llu bytes behind",
			   (unsigned long long)watermark_distance(
				   facts->position, primary->position));
	else
		buf_printf(check->out, ", its primary is not among the nodes");
	if (!facts->is_receiving)
		check->is_good = false;
}

/* What is wrong is in capitals: it is read by people in a hurry. */
static void tell_node(struct check *check, const struct trial *trial)
{
	const struct probe_report *report = &trial->report;
	const struct probe_facts *facts = &report->facts;
	const char *label = check->config->nodes[trial->node].label;

	if (report->outcome != PROBE_ANSWERED)
		check->is_good = false;
	switch (report->outcome) {
	case PROBE_FAILED:
		buf_printf(check->out, "node %s: NOT REACHED (%s)\n", label,
			   report->reason);
		return;
	case PROBE_REFUSED:
		buf_printf(check->out,
			   "node %s: up, but the monitor CANNOT LOG IN as "
			   "user=%s dbname=%s (%s); set monitor_user, "
			   "monitor_password, monitor_dbname\n",
			   label, trial->user, trial->dbname, report->reason);
		return;
	case PROBE_ANSWERED: break;
	}
	buf_printf(check->out, "node %s: %s, PostgreSQL %u.%u, timeline %u",
		   label, facts->is_primary ? "primary" : "replica",
		   facts->version / 10000, facts->version % 10000,
		   facts->position.timeline);
	if (!facts->is_primary)
		tell_replica(check, facts);
	buf_printf(check->out, "\n");
}

static void tell_login(struct check *check, const struct trial *trial)
{
	const char *label = check->config->nodes[trial->node].label;
	bool is_own = is_set(trial->line->user);

	if (trial->report.outcome == PROBE_ANSWERED) {
		buf_printf(check->out, "database %s: user %s%s logs in on %s\n",
			   trial->line->name, trial->user,
			   is_own ? "" : " (the monitor's)", label);
		return;
	}
	/* A node that is not reached has its own line already. */
	if (trial->report.outcome == PROBE_FAILED)
		return;
	check->is_good = false;
	buf_printf(check->out,
		   "database %s: user %s%s CANNOT LOG IN on %s to "
		   "dbname=%s (%s)\n",
		   trial->line->name, trial->user,
		   is_own ? "" : " (the monitor's)", label, trial->dbname,
		   trial->report.reason);
}

/* A line needs exactly one, or writes have nowhere, or two places, to go. */
static void tell_primary(struct check *check,
			 const struct config_database *line)
{
	unsigned primaries = 0;

	for (unsigned i = 0; i < line->node_count; i++)
		primaries += is_primary(&check->trials[line->nodes[i]]);
	if (primaries == 1)
		return;
	check->is_good = false;
	if (primaries == 0)
		buf_printf(check->out,
			   "database %s: NO PRIMARY among its %u nodes, "
			   "writes would wait\n",
			   line->name, line->node_count);
	else
		buf_printf(check->out,
			   "database %s: %u PRIMARIES among its nodes, stop "
			   "all but one\n",
			   line->name, primaries);
}

/* How replicas would share the reads, where they are not all alike. */
static void tell_shares(const struct check *check,
			const struct config_database *line)
{
	struct buf text = BUF_INIT;

	config_shares_write(check->config, line, &text);
	if (buf_len(&text) > 0)
		buf_printf(check->out,
			   "database %s: replicas share reads by%s\n",
			   line->name, buf_text(&text));
	buf_free(&text);
}

static void check_tell(struct check *check)
{
	const struct config *config = check->config;

	for (unsigned i = 0; i < config->node_count; i++)
		tell_node(check, &check->trials[i]);
	for (unsigned i = config->node_count; i < check->count; i++)
		tell_login(check, &check->trials[i]);
	for (unsigned i = 0; i < config->database_count; i++) {
		tell_primary(check, &config->databases[i]);
		tell_shares(check, &config->databases[i]);
	}
}

bool monitor_check_once(const struct config *config, const struct users *users,
			struct buf *out)
{
	struct check check = { .config = config, .out = out, .is_good = true };

	check_plan(&check, users);
	if (check.count > 0)
		check_run(&check);
	check_tell(&check);
	free(check.trials);
	return check.is_good;
}
