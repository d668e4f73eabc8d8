/*
 * The monitor: one probe per node, a timer for each, and the snapshot made
 * of what they report.  A primary's answer lets the probes of its replicas
 * go, so that a replica is compared with a position that is milliseconds
 * old; a replica's own timer is the fallback.
 *
 * It judges by control/monitor_node, decides nothing about routing, and logs
 * every transition once, with cause and consequence.
 */
#include "control/monitor.h"

#include "base/log.h"
#include "base/util.h"
#include "control/monitor_login.h"
#include "control/monitor_node.h"
#include "control/monitor_primary.h"
#include "control/probe.h"
#include "control/resolve.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/users.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
	POKE_GAP_US = 20000,  /* pokes of many sessions are one */
	SEEK_GAP_US = 25000,  /* between questions while writes wait */
	HURRY_GAP_US = 1000,  /* ... and so are their calls for positions */
	NAME_GAP_US = 50000,  /* between looks for a first address */
	ASIDE_GAP_US = 50000, /* between looks whether it may be asked again */
	POST_DELAY_US = 10000 /* positions of several nodes are one snapshot */
};

/*
 * One node of the configuration.  Survives a reload when the node's label does,
 * with all that is known of it; index is its number in the config in force.
 */
struct watch {
	struct monitor *monitor;
	unsigned index;
	char *label;
	struct monitor_node node;
	struct probe *probe;
	struct event *timer;
	struct metrics_cell *cell; /* NULL without metrics */
	bool is_lagging;           /* said so in the log */
	bool is_hurried;           /* a newer position is waited for */
	bool is_poked;             /* to be asked once more soon */
	uint64_t full_us;          /* when it was last asked for everything */
};

struct monitor {
	struct event_base *base;
	const struct config *config;
	const struct users *users; /* NULL: none */
	struct resolve *resolve;
	struct metrics *metrics;
	monitor_fn *callback;
	void *arg;
	unsigned count;
	struct watch **watches; /* by node */
	struct monitor_primary *primaries;
	struct event *post;
	bool is_hurried; /* positions are posted as soon as all are here */
	struct topology *newest;
	bool (*is_shut)(void *arg, const char *dbname); /* NULL: nothing is */
	void *shut_arg;
};

/* ---- settings ----------------------------------------------------------- */

/*
 * Points the probe at what the configuration says now.  Costs nothing when
 * nothing has changed: the probe keeps its connection then.
 */
static void watch_aim(struct watch *watch)
{
	const struct config *config = watch->monitor->config;
	struct monitor_login login =
		monitor_login_with(config, watch->monitor->users, watch->index);
	struct probe_target target = {
		.node = &config->nodes[watch->index],
		.settings = &config->settings,
		.user = login.user,
		.password = login.password,
		.dbname = login.dbname,
	};

	probe_aim(watch->probe, &target);
	watch->node.limits = (struct monitor_limits){
		.rise = (unsigned)config->settings.monitor_rise,
		.fall = (unsigned)config->settings.monitor_fall,
	};
}

/* ---- snapshots ---------------------------------------------------------- */

/* Whose position a replica's lag is measured by; monitor_node has the rule. */
static const struct monitor_node *find_source(const struct monitor *monitor,
					      const struct monitor_node *node)
{
	const struct monitor_node *best = NULL;

	for (unsigned i = 0; i < monitor->count; i++)
		if (monitor_node_is_source(node, &monitor->watches[i]->node,
					   best))
			best = &monitor->watches[i]->node;
	return best;
}

/*
 * Said at each crossing of the limit, not with each probe.  Routing makes its
 * own comparison with the same numbers: this is only the log.
 */
static void watch_tell_lag(struct watch *watch)
{
	const struct topology_node *now = &watch->node.now;
	uint64_t limit_us = watch->monitor->config->settings.max_replica_lag_us;
	bool is_lagging = now->role == ROLE_REPLICA && now->is_up &&
			  now->lag_us > limit_us;

	if (is_lagging == watch->is_lagging)
		return;
	watch->is_lagging = is_lagging;
	if (is_lagging)
		log_warning("node %s: lags %.1f s, more than max_replica_lag, "
			    "reads go elsewhere",
			    watch->label, (double)now->lag_us / 1e6);
	else if (now->is_up)
		log_info("node %s: has caught up, gets reads again",
			 watch->label);
}

/*
 * Immutable once it is out: workers read it without a lock.  Lag depends on the
 * other nodes' positions, so all nodes are measured anew each time.
 */
static struct topology *monitor_snapshot(struct monitor *monitor)
{
	struct topology *topology =
		topology_new(monitor->config->generation, monitor->count);
	uint64_t now_us = util_now_us();

	for (unsigned i = 0; i < monitor->count; i++) {
		struct watch *watch = monitor->watches[i];

		assert(watch->index == i);
		monitor_node_measure(&watch->node,
				     find_source(monitor, &watch->node),
				     now_us);
		watch_tell_lag(watch);
		topology->nodes[i] = watch->node.now;
	}
	return topology;
}

/*
 * The one way out to the workers.  The timer is taken back because this
 * snapshot has what it would have told.
 */
static void monitor_post(struct monitor *monitor)
{
	(void)event_del(monitor->post);
	monitor->is_hurried = false;
	topology_release(monitor->newest);
	monitor->newest = monitor_snapshot(monitor);
	monitor->callback(monitor->arg, topology_hold(monitor->newest));
}

static void post_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	monitor_post(arg);
}

static void monitor_post_soon(struct monitor *monitor)
{
	const struct timeval delay = { 0, POST_DELAY_US };

	if (!evtimer_pending(monitor->post, NULL))
		(void)evtimer_add(monitor->post, &delay);
}

/* ---- scheduling --------------------------------------------------------- */

static void watch_wait(struct watch *watch, uint64_t delay_us)
{
	struct timeval delay = util_timeval(delay_us);

	(void)evtimer_add(watch->timer, &delay);
}

/* Its database has to be left alone just now. */
static bool watch_is_aside(const struct watch *watch)
{
	const struct monitor *monitor = watch->monitor;
	struct monitor_login login = monitor_login_with(
		monitor->config, monitor->users, watch->index);

	return monitor->is_shut &&
	       monitor->is_shut(monitor->shut_arg, login.dbname);
}

static bool watch_is_sought(const struct watch *watch, uint64_t now_us)
{
	return monitor_primary_is_sought(watch->monitor->primaries,
					 watch->index, now_us);
}

/* Positions alone when somebody is in a hurry, but not for ever. */
static void start_probe(struct watch *watch)
{
	const struct config_settings *settings =
		&watch->monitor->config->settings;
	uint64_t now_us = util_now_us();

	if ((watch->monitor->is_hurried || watch_is_sought(watch, now_us)) &&
	    now_us - watch->full_us < settings->monitor_interval_us) {
		probe_start_quick(watch->probe, settings->monitor_timeout_us);
		return;
	}
	watch->full_us = now_us;
	probe_start(watch->probe, settings->monitor_timeout_us);
}

/*
 * Asks now, whatever the timer says; the report sets it again.  While a name is
 * being looked up for the first time there is nothing to ask.
 */
static void watch_probe(struct watch *watch)
{
	struct monitor *monitor = watch->monitor;
	const struct sockaddr_storage *address;
	socklen_t len;

	assert(watch->index < monitor->count);
	(void)event_del(watch->timer);
	if (watch_is_aside(watch)) {
		watch_wait(watch, ASIDE_GAP_US);
		return;
	}
	if (resolve_is_pending(monitor->resolve, watch->index)) {
		watch_wait(watch, NAME_GAP_US);
		return;
	}
	address = resolve_address(monitor->resolve, watch->index, &len);
	probe_set_address(watch->probe, (const struct sockaddr *)address, len);
	start_probe(watch);
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	watch_probe(arg);
}

static bool is_up_as(const struct watch *watch, enum topology_role role)
{
	return watch->node.now.is_up && watch->node.now.role == role;
}

/* A replica waits somewhat longer than its primary, whose answer calls it. */
static void watch_schedule(struct watch *watch)
{
	uint64_t interval_us =
		watch->monitor->config->settings.monitor_interval_us;

	uint64_t delay_us;

	if (is_up_as(watch, ROLE_REPLICA))
		interval_us += interval_us / 4;
	delay_us = monitor_node_delay_us(&watch->node, interval_us);
	if (watch->is_poked)
		delay_us = POKE_GAP_US;
	else if (delay_us > SEEK_GAP_US &&
		 watch_is_sought(watch, util_now_us()))
		delay_us = SEEK_GAP_US;
	watch->is_poked = false;
	watch_wait(watch, delay_us);
}

/* Some database has just lost its primary: whoever may be the next one. */
static void seek_primary(struct monitor *monitor)
{
	uint64_t now_us = util_now_us();

	for (unsigned i = 0; i < monitor->count; i++) {
		struct watch *watch = monitor->watches[i];

		if (!probe_is_busy(watch->probe) &&
		    watch_is_sought(watch, now_us))
			watch_wait(watch, 0);
	}
}

static void call_replicas(const struct watch *primary)
{
	const struct monitor *monitor = primary->monitor;

	for (unsigned i = 0; i < monitor->count; i++) {
		struct watch *other = monitor->watches[i];

		if (other != primary && is_up_as(other, ROLE_REPLICA) &&
		    !probe_is_busy(other->probe))
			watch_probe(other);
	}
}

/* One round at a time: a question that is under way came too early. */
static void watch_hurry(struct watch *watch)
{
	uint64_t age_us = util_now_us() - probe_started_us(watch->probe);

	watch->is_hurried = probe_is_busy(watch->probe);
	if (watch->is_hurried)
		return;
	watch->monitor->is_hurried = true;
	if (age_us < HURRY_GAP_US)
		watch_wait(watch, HURRY_GAP_US - age_us);
	else
		watch_probe(watch);
}

/* Of the nodes that live: the others may take their time. */
static bool is_round_over(const struct monitor *monitor)
{
	for (unsigned i = 0; i < monitor->count; i++)
		if (monitor->watches[i]->node.now.is_up &&
		    probe_is_busy(monitor->watches[i]->probe))
			return false;
	return true;
}

/* ---- what the log says -------------------------------------------------- */

/*
 * By class of SQLSTATE (PostgreSQL's documentation, appendix A): 28 no such
 * login, 3D000 no such database, 42501 no privilege, 53300 full.
 */
static const char *advice_for(const char *sqlstate)
{
	if (strncmp(sqlstate, "28", 2) == 0)
		return "create that role (GRANT pg_monitor TO it) or set "
		       "monitor_user and monitor_password";
	if (strcmp(sqlstate, "3D000") == 0)
		return "set monitor_dbname";
	if (strcmp(sqlstate, "42501") == 0)
		return "GRANT CONNECT ON DATABASE to that role, or set "
		       "monitor_user";
	return "raise max_connections of the server or lower the pools";
}

/*
 * A server that refuses us lives and may serve clients: it is not called down,
 * but nobody can tell its role from here.
 */
static void tell_refusal(const struct watch *watch)
{
	const struct monitor *monitor = watch->monitor;
	struct monitor_login login = monitor_login_with(
		monitor->config, monitor->users, watch->index);

	log_warning("node %s: up, but the monitor cannot log in as user=%s "
		    "dbname=%s (%s), its role is %s; %s",
		    watch->label, login.user, login.dbname, watch->node.reason,
		    watch->node.now.role == ROLE_UNKNOWN ? "unknown"
							 : "taken as it was",
		    advice_for(watch->node.sqlstate));
}

/* One line per outage and cause: repeated failures are no news. */
static void tell_failure(const struct watch *watch, unsigned changes)
{
	const char *consequence = "not used until it answers";

	if (changes & NODE_WENT_DOWN)
		consequence = watch->node.now.role == ROLE_PRIMARY
				      ? "writes wait for a primary"
				      : "reads go elsewhere";
	log_warning("node %s: down (%s), %s", watch->label, watch->node.reason,
		    consequence);
}

static void tell_up(const struct watch *watch)
{
	const struct topology_node *now = &watch->node.now;

	/* A server that lets us not in is up too; tell_refusal says so. */
	if (now->role != ROLE_UNKNOWN)
		log_info("node %s: up, %s, timeline %u, PostgreSQL %u.%u",
			 watch->label, topology_role_name(now->role),
			 now->position.timeline, now->server_version / 10000,
			 now->server_version % 10000);
}

/*
 * A warning even when it was planned: whoever reads the log after a failover
 * looks for this line.
 */
static void tell_role(const struct watch *watch)
{
	const struct monitor_node *node = &watch->node;

	log_warning("node %s: was %s (timeline %u), is %s now (timeline %u), "
		    "%s",
		    watch->label, topology_role_name(node->old_role),
		    node->old_timeline, topology_role_name(node->now.role),
		    node->now.position.timeline,
		    node->now.role == ROLE_PRIMARY ? "writes go there"
						   : "it gets reads only");
}

static void tell_limit(const struct watch *watch)
{
	log_warning("node %s: the monitor's role may not call pg_control_*(), "
		    "so timelines of replicas may be unknown and their reads "
		    "go to the primary; GRANT pg_monitor TO it, or set "
		    "monitor_user",
		    watch->label);
}

static void watch_tell(const struct watch *watch, unsigned changes)
{
	if (changes & NODE_CAME_UP)
		tell_up(watch);
	if (changes & NODE_CHANGED_ROLE)
		tell_role(watch);
	if (changes & NODE_CHANGED_TIMELINE)
		log_warning("node %s: primary on timeline %u now, was %u",
			    watch->label, watch->node.now.position.timeline,
			    watch->node.old_timeline);
	if (changes & NODE_NEW_REFUSAL)
		tell_refusal(watch);
	if (changes & (NODE_NEW_FAILURE | NODE_WENT_DOWN))
		tell_failure(watch, changes);
	if (changes & NODE_NEW_LIMIT)
		tell_limit(watch);
}

/* ---- reports ------------------------------------------------------------ */

static void watch_count(const struct watch *watch, unsigned changes,
			enum probe_outcome outcome)
{
	bool is_primary = watch->node.now.role == ROLE_PRIMARY;

	if (!watch->cell)
		return;
	if (outcome != PROBE_ANSWERED)
		metrics_count(watch->cell, COUNTER_PROBE_FAILURES, 0, 0, 1);
	if (changes & NODE_CHANGED_ROLE)
		metrics_count(watch->cell, COUNTER_ROLE_CHANGES, 0, 0, 1);
	if (changes & NODE_CHANGED_ROLE && is_primary)
		metrics_count(watch->cell, COUNTER_FAILOVERS, 0, 0, 1);
}

/* True when another address of the same name is worth a try first. */
static bool watch_tries_next(struct watch *watch,
			     const struct probe_report *report)
{
	struct resolve *resolve = watch->monitor->resolve;

	if (report->outcome == PROBE_ANSWERED)
		resolve_worked(resolve, watch->index);
	return report->outcome == PROBE_FAILED && report->is_connecting &&
	       resolve_next(resolve, watch->index);
}

/*
 * The heart of it: takes what a probe has found, says what is new, and decides
 * how soon others hear.  A change of role or state is posted at once, a new
 * position after a moment, together with those of other nodes.
 */
static void probe_reported(void *arg, const struct probe_report *report)
{
	struct watch *watch = arg;
	struct monitor *monitor = watch->monitor;
	unsigned changes;

	assert(!probe_is_busy(watch->probe));
	if (watch_tries_next(watch, report)) {
		log_info("node %s: %s, trying its next address", watch->label,
			 report->reason);
		watch_probe(watch);
		return;
	}
	changes = monitor_node_take(&watch->node, report);
	watch_count(watch, changes, report->outcome);
	watch_tell(watch, changes);
	watch_schedule(watch);
	if (watch_is_aside(watch))
		probe_rest(watch->probe);
	if (report->outcome == PROBE_ANSWERED && report->facts.is_primary)
		call_replicas(watch);
	if (changes & ~(unsigned)NODE_MOVED) {
		monitor_post(monitor);
		if (monitor_primary_look(monitor->primaries, monitor->newest,
					 util_now_us()))
			seek_primary(monitor);
	} else if (monitor->is_hurried && is_round_over(monitor)) {
		monitor_post(monitor);
	} else {
		monitor_post_soon(monitor);
	}
	if (watch->is_hurried)
		watch_hurry(watch);
}

/*
 * The kept connection broke while idle: a crash shows here first.  A replica
 * that has started anew may show less than it did, and may have done so
 * before it is asked again: until then nothing is known of it.
 */
static void connection_lost(void *arg)
{
	struct watch *watch = arg;

	if (monitor_node_lose(&watch->node)) {
		log_info("node %s: the monitor's connection was lost, reads "
			 "go elsewhere until it answers",
			 watch->label);
		monitor_post(watch->monitor);
	}
	watch_probe(watch);
}

/* ---- the owner's calls -------------------------------------------------- */

void monitor_set_shut(struct monitor *monitor,
		      bool (*is_shut)(void *arg, const char *dbname), void *arg)
{
	monitor->is_shut = is_shut;
	monitor->shut_arg = arg;
}

void monitor_step_aside(struct monitor *monitor)
{
	for (unsigned i = 0; i < monitor->count; i++)
		if (watch_is_aside(monitor->watches[i]))
			probe_rest(monitor->watches[i]->probe);
}

static void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	probe_free(watch->probe);
	event_free(watch->timer);
	metrics_close(watch->cell);
	free(watch->label);
	free(watch);
}

static struct watch *watch_new(struct monitor *monitor, const char *label)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));

	watch->monitor = monitor;
	watch->label = xstrdup(label);
	watch->probe = probe_new(monitor->base, probe_reported, connection_lost,
				 watch);
	watch->timer = evtimer_new(monitor->base, timer_fired, watch);
	assert(watch->timer);
	if (monitor->metrics)
		watch->cell = metrics_open(
			monitor->metrics, METRICS_NODE,
			&(struct metrics_labels){ .backend = label });
	return watch;
}

/*
 * Taken out of the array, so that what is left over at the end is gone from the
 * configuration.
 */
static struct watch *take_by_label(struct watch **watches, unsigned count,
				   const char *label)
{
	for (unsigned i = 0; i < count; i++)
		if (watches[i] && strcmp(watches[i]->label, label) == 0) {
			struct watch *found = watches[i];

			watches[i] = NULL;
			return found;
		}
	return NULL;
}

/* Held on its own: the monitor outlives the snapshot they came with. */
void monitor_set_users(struct monitor *monitor, const struct users *users)
{
	const struct users *held = users ? users_hold(users) : NULL;

	users_release(monitor->users);
	monitor->users = held;
	for (unsigned i = 0; i < monitor->count; i++)
		watch_aim(monitor->watches[i]);
}

/*
 * By label, not by number: a line more in the file renumbers the nodes, and a
 * known primary must not turn unknown for that.  The snapshot is made at once,
 * since the caller reads it; it is posted with the first answers.
 */
void monitor_reload(struct monitor *monitor, const struct config *config)
{
	struct watch **before = monitor->watches;
	unsigned before_count = monitor->count;
	const struct config *held = config_hold(config);
	struct monitor_primary *primaries;

	config_release(monitor->config);
	monitor->config = held;
	monitor->count = config->node_count;
	monitor->watches = xcalloc(monitor->count + 1, sizeof(struct watch *));
	primaries = monitor_primary_new(config, monitor->metrics,
					monitor->primaries);
	monitor_primary_free(monitor->primaries);
	monitor->primaries = primaries;
	for (unsigned i = 0; i < monitor->count; i++) {
		const char *label = config->nodes[i].label;
		struct watch *watch =
			take_by_label(before, before_count, label);

		if (!watch)
			watch = watch_new(monitor, label);
		watch->index = i;
		monitor->watches[i] = watch;
		watch_aim(watch);
		watch_probe(watch);
	}
	for (unsigned i = 0; i < before_count; i++)
		watch_free(before[i]);
	free(before);
	topology_release(monitor->newest);
	monitor->newest = monitor_snapshot(monitor);
	monitor_post_soon(monitor);
}

struct monitor *monitor_new(struct event_base *base,
			    const struct config *config,
			    struct resolve *resolve, struct metrics *metrics,
			    monitor_fn *callback, void *arg)
{
	struct monitor *monitor = xcalloc(1, sizeof(*monitor));

	monitor->base = base;
	monitor->resolve = resolve;
	monitor->metrics = metrics;
	monitor->callback = callback;
	monitor->arg = arg;
	monitor->post = evtimer_new(base, post_fired, monitor);
	assert(monitor->post);
	monitor_reload(monitor, config);
	return monitor;
}

/* A session had trouble with the node. A storm of such news is one probe. */
void monitor_poke(struct monitor *monitor, unsigned node)
{
	struct watch *watch;
	uint64_t age_us;

	if (node >= monitor->count)
		return;
	watch = monitor->watches[node];
	/* What is being asked may have been answered before the trouble. */
	watch->is_poked = probe_is_busy(watch->probe);
	if (watch->is_poked)
		return;
	age_us = util_now_us() - probe_started_us(watch->probe);
	if (age_us < POKE_GAP_US)
		watch_wait(watch, POKE_GAP_US - age_us);
	else
		watch_probe(watch);
}

void monitor_hurry(struct monitor *monitor, unsigned node)
{
	if (node < monitor->count &&
	    is_up_as(monitor->watches[node], ROLE_PRIMARY))
		watch_hurry(monitor->watches[node]);
}

const struct topology *monitor_topology(const struct monitor *monitor)
{
	return monitor->newest;
}

void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	for (unsigned i = 0; i < monitor->count; i++)
		watch_free(monitor->watches[i]);
	free(monitor->watches);
	monitor_primary_free(monitor->primaries);
	event_free(monitor->post);
	topology_release(monitor->newest);
	users_release(monitor->users);
	config_release(monitor->config);
	free(monitor);
}
