/*
 * One pool on one node, as one worker has it: its idle servers, its share in
 * the queue of waiters, opening and closing.
 *
 * Giving back and taking never match each other directly.  A server that
 * comes to rest goes to the idle list; when somebody waits, the feed task
 * runs at the end of the loop turn and is the only place where waiters and
 * servers meet, so that order is kept and no session is called from inside
 * another's callback.
 */
#include "base/log.h"
#include "base/util.h"
#include "core/metrics.h"
#include "core/topology.h"
#include "proxy/changes.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/orders.h"
#include "proxy/pool_ahead.h"
#include "proxy/pool_fast.h"
#include "proxy/pool_limits.h"
#include "proxy/pool_parts.h"
#include "proxy/quota.h"
#include "proxy/server.h"
#include "proxy/welcome.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	UPKEEP_US = 500000,
	RETRY_FIRST_US = 100000,
	RETRY_MAX_US = 2000000,
	/* What is not there may never come: nobody waits for it. */
	LACKING_MAX_US = 10000000
};

static void note_idle(struct pool_node *node)
{
	quota_set_idle(node->quota, node->site.local->index, node->idle_count);
}

static void to_idle(struct pool_node *node, struct server *server)
{
	list_remove(server_link(server));
	list_prepend(&node->idle, server_link(server));
	node->busy_count--;
	node->idle_count++;
	note_idle(node);
}

static void to_busy(struct pool_node *node, struct server *server)
{
	list_remove(server_link(server));
	list_append(&node->busy, server_link(server));
	node->idle_count--;
	node->busy_count++;
	note_idle(node);
}

static uint64_t now_of(const struct pool_node *node)
{
	return local_now(node->site.local);
}

static struct wheel *wheel_of(const struct pool_node *node)
{
	return worker_wheel(node->site.local->worker);
}

/* --- opening --- */

static const struct server_pool_hooks server_hooks;

static void count_error(struct pool_node *node,
			enum metrics_connect_error error)
{
	metrics_count(node->site.node_cell, COUNTER_CONNECT_ERRORS, error, 0,
		      1);
}

/* Of the pause before the next attempt; without any it would be a race. */
static uint64_t retry_limit(const struct pool_node *node)
{
	uint64_t limit_us =
		local_settings(node->site.local)->server_login_retry_us;

	if (limit_us < RETRY_FIRST_US)
		return RETRY_FIRST_US;
	if (node->is_lacking)
		return LACKING_MAX_US;
	return limit_us < RETRY_MAX_US ? limit_us : RETRY_MAX_US;
}

static void note_failure(struct pool_node *node)
{
	uint64_t limit_us = retry_limit(node);
	uint64_t pause_us = RETRY_FIRST_US;

	for (unsigned i = 0; i < node->failures && pause_us < limit_us; i++)
		pause_us *= 2;
	if (pause_us > limit_us)
		pause_us = limit_us;
	node->failures++;
	node->retry_us = now_of(node) + pause_us;
}

/*
 * Where a database is not there it is the client's to ask again, and to be
 * told so at once.
 */
static bool is_time_to_retry(const struct pool_node *node)
{
	if (node->is_lacking && !node->site.is_replica)
		return true;
	return node->failures == 0 || now_of(node) >= node->retry_us;
}

/* One more server is counted already; false when it could not be begun. */
static bool open_server(struct pool_node *node)
{
	const struct node_address *address =
		&node->site.local->addresses[node->site.node];
	struct server *server = NULL;

	if (address->is_known)
		server = server_open(&node->site, &address->address,
				     address->len);
	if (!server) {
		quota_note_closed(node->quota);
		note_failure(node);
		count_error(node, address->is_known ? METRICS_CONNECT_OTHER
						    : METRICS_CONNECT_DNS);
		log_warning("server %s db=%s: no connection (%s), clients wait",
			    node->label, node->pool->database,
			    address->is_known ? "out of sockets"
					      : "name not resolved yet");
		return false;
	}
	list_append(&node->busy, server_link(server));
	node->busy_count++;
	quota_note_opening(node->quota, 1);
	return true;
}

/* --- mail --- */

void pool_node_post(const struct pool_node *node, unsigned worker, int kind,
		    const char *pool_key)
{
	struct mail_pool *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = kind;
	mail->pool = xstrdup(pool_key);
	mail->node = xstrdup(node->label);
	worker_post(node->site.local->process->workers[worker], &mail->mail);
}

static void tell_others(const struct pool_node *node, enum mail_kind kind)
{
	const struct local *local = node->site.local;

	for (unsigned i = 0; i < local->process->worker_count; i++)
		if (i != local->index)
			pool_node_post(node, i, (int)kind, node->pool->key);
}

/* --- feeding --- */

/* A server that cannot be moved is closed, and the waiter asks again. */
static void send_away(struct pool_node *node, struct server *server,
		      unsigned worker, uint64_t session)
{
	struct mail_grant *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = MAIL_GRANT;
	if (server_park(server)) {
		mail->server = server;
		node->idle_count--;
		note_idle(node);
	} else {
		server_close(server, METRICS_CLOSE_OTHER, "could not be moved");
	}
	mail->session = session;
	mail->generation = node->pool->generation;
	mail->pool = xstrdup(node->pool->key);
	mail->node = xstrdup(node->label);
	worker_post(node->site.local->process->workers[worker], &mail->mail);
}

static void grant_here(struct pool_node *node, struct server *server,
		       uint64_t session)
{
	to_busy(node, server);
	if (!node->site.local->process->pool_hooks->granted(node->site.local,
							    session, server))
		to_idle(node, server);
}

/* The one that was used last is warm; in turn, it is the others' turn. */
static struct list *next_idle(const struct pool_node *node)
{
	if (list_is_empty(&node->idle))
		return NULL;
	return local_settings(node->site.local)->server_round_robin
		       ? node->idle.prev
		       : node->idle.next;
}

/* Serves the next waiter with the next idle server. */
static bool serve_one(struct pool_node *node)
{
	struct list *link = next_idle(node);
	unsigned worker;
	uint64_t session;
	struct server *server;

	if (!link || !quota_next(node->quota, node->site.local->index, &worker,
				 &session))
		return false;
	server = server_of_link(link);
	if (worker == node->site.local->index)
		grant_here(node, server, session);
	else
		send_away(node, server, worker, session);
	return true;
}

/* Somebody wants the database for himself just now, or has it paused. */
static bool is_shut(const struct pool_node *node)
{
	const struct process *process = node->site.local->process;

	return changes_is_shut(process->changes, node->pool->dbname,
			       now_of(node)) ||
	       orders_holds(process->orders, ORDER_PAUSE, node->pool->database);
}

static bool may_open(const struct pool_node *node)
{
	return !node->is_retired && node->pool->config &&
	       is_time_to_retry(node) && !is_shut(node);
}

/* A place under a shared limit is held by another pool's idle server. */
static void evict_rival(struct pool_node *node,
			const struct quota_limits *limits)
{
	unsigned worker;
	char *key;

	if (!quota_find_rival(node->quota, limits, &worker, &key))
		return;
	pool_node_post(node, worker, MAIL_EVICT, key);
	free(key);
}

static void open_for_waiters(struct pool_node *node)
{
	struct quota_limits limits = node->limits;

	while (may_open(node) &&
	       quota_opening(node->quota) < quota_waiting(node->quota)) {
		enum quota_answer answer = quota_try_open(node->quota, &limits);

		if (answer == QUOTA_POOL_FULL)
			answer = pool_limits_try_reserve(node);
		if (answer == QUOTA_SHARED_FULL)
			evict_rival(node, &limits);
		if (answer != QUOTA_GRANTED || !open_server(node))
			return;
	}
}

static void ask_others(struct pool_node *node)
{
	int worker = quota_find_idle(node->quota, node->site.local->index);

	if (worker >= 0)
		pool_node_post(node, (unsigned)worker, MAIL_FEED,
			       node->pool->key);
}

/* When the first of those who wait for this role came, on any node. */
static uint64_t first_wait(const struct pool_node *node)
{
	const struct pool *pool = node->pool;
	uint64_t first_us = 0;

	for (unsigned i = 0; i < pool->node_count; i++) {
		const struct pool_node *other = pool->nodes[i];
		uint64_t since_us = 0;

		if (other->site.is_replica == node->site.is_replica &&
		    quota_waiting(other->quota) > 0)
			since_us = quota_first_wait(other->quota);
		if (since_us > 0 && (first_us == 0 || since_us < first_us))
			first_us = since_us;
	}
	return first_us;
}

static void note_waiting(struct pool_node *node)
{
	unsigned role = node->site.is_replica ? METRICS_ROLE_REPLICA
					      : METRICS_ROLE_PRIMARY;

	metrics_gauge_set(node->pool->cell, GAUGE_POOL_WAITING_SINCE, role, 0,
			  (int64_t)first_wait(node));
}

static void feed(struct worker_task *task)
{
	struct pool_node *node = LIST_ENTRY(task, struct pool_node, feed);

	while (serve_one(node))
		continue;
	if (quota_waiting(node->quota) > 0)
		open_for_waiters(node);
	/* Moving comes last: a server settles where its clients are. */
	if (quota_waiting(node->quota) > quota_opening(node->quota))
		ask_others(node);
	note_waiting(node);
}

void pool_node_feed_later(struct pool_node *node)
{
	worker_flush_later(node->site.local->worker, &node->feed);
}

struct server *pool_node_take_idle(struct pool_node *node)
{
	struct list *link = next_idle(node);
	struct server *server;

	if (!link || quota_waiting(node->quota) > 0)
		return NULL;
	server = server_of_link(link);
	to_busy(node, server);
	return server;
}

void pool_node_adopt(struct pool_node *node, struct server *server,
		     uint64_t session)
{
	server_adopt(server, &node->site);
	list_append(&node->busy, server_link(server));
	node->busy_count++;
	note_waiting(node);
	if (node->site.local->process->pool_hooks->granted(node->site.local,
							   session, server))
		return;
	to_idle(node, server);
	pool_node_feed_later(node);
}

/* --- what servers tell --- */

/* A lifetime of 0 is one use: not used yet is a server since it was opened. */
static bool has_lived(const struct pool_node *node, const struct server *server)
{
	uint64_t lifetime_us =
		local_settings(node->site.local)->server_lifetime_us;

	if (node->pool->config &&
	    node->pool->config->server_lifetime_us != CONFIG_UNSET_US)
		lifetime_us = node->pool->config->server_lifetime_us;
	if (lifetime_us == 0)
		return server_idle_since_us(server) > server_opened_us(server);
	return now_of(node) - server_opened_us(server) >= lifetime_us;
}

/* Servers past their time, or nobody's any more, are closed as they rest. */
static bool is_to_go(const struct pool_node *node, const struct server *server,
		     enum metrics_close_reason *reason)
{
	*reason = node->is_draining ? METRICS_CLOSE_SHUTDOWN
				    : METRICS_CLOSE_RELOAD;
	/* Shutting down, those who wait are served first. */
	if (node->is_retired ||
	    (node->is_draining && quota_waiting(node->quota) == 0))
		return true;
	if (pool_limits_is_over(node))
		return true;
	*reason = METRICS_CLOSE_OTHER;
	if (server_begun_us(server) < node->pool->renewed_us || is_shut(node))
		return true;
	*reason = METRICS_CLOSE_LIFETIME;
	return has_lived(node, server);
}

static const char *why_it_goes(enum metrics_close_reason reason)
{
	switch (reason) {
	case METRICS_CLOSE_LIFETIME: return "server lifetime over";
	case METRICS_CLOSE_RELOAD: return "database configuration changed";
	case METRICS_CLOSE_SHUTDOWN: return "shutting down";
	case METRICS_CLOSE_IDLE:
	case METRICS_CLOSE_PEER:
	case METRICS_CLOSE_PROTO:
	case METRICS_CLOSE_TIMEOUT:
	case METRICS_CLOSE_CLIENT_GONE:
	case METRICS_CLOSE_NODE_DOWN:
	case METRICS_CLOSE_OTHER:
	default: return "pause, reconnect or DDL";
	}
}

static void on_rested(void *owner, struct server *server)
{
	struct pool_node *node = owner;
	enum metrics_close_reason reason;

	to_idle(node, server);
	if (is_to_go(node, server, &reason))
		server_close(server, reason, why_it_goes(reason));
	if (quota_waiting(node->quota) > 0)
		pool_node_feed_later(node);
}

static void on_opened(void *owner, struct server *server)
{
	struct pool_node *node = owner;
	const struct process *process = node->site.local->process;

	quota_note_opening(node->quota, -1);
	metrics_count(node->site.node_cell, COUNTER_SERVER_CONNECTS, 0, 0, 1);
	node->failures = 0;
	node->is_lacking = false;
	node->site.is_quiet = false;
	on_rested(owner, server);
	if (!node->pool->catalog)
		process->want_catalog(process->arg, node->pool->database,
				      node->pool->dbname);
}

void pool_node_tell_freed(const struct pool_node *node)
{
	if (node->limits.database == 0 && node->limits.user == 0)
		return;
	tell_others(node, MAIL_FEED_ALL);
	pool_node_post(node, node->site.local->index, MAIL_FEED_ALL,
		       node->pool->key);
}

/* A place became free: perhaps another pool's waiters can use it. */
static void note_closed(struct pool_node *node)
{
	quota_note_closed(node->quota);
	pool_node_tell_freed(node);
	if (quota_waiting(node->quota) > 0)
		pool_node_feed_later(node);
	worker_free_later(node->site.local->worker, &node->pool->farewell);
}

static void on_gone(void *owner, struct server *server)
{
	struct pool_node *node = owner;

	(void)server;
	/* Its link left its list; which one the lengths must follow. */
	node->idle_count = 0;
	LIST_FOREACH (link, &node->idle)
		node->idle_count++;
	node->busy_count = 0;
	LIST_FOREACH (link, &node->busy)
		node->busy_count++;
	note_idle(node);
	note_closed(node);
}

/* Trying again would not help: tell the clients now. */
static bool is_hopeless(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 ||
	       strncmp(sqlstate, "3D", 2) == 0 ||
	       strncmp(sqlstate, "08P", 3) == 0 ||
	       strncmp(sqlstate, "08001", 5) == 0 ||
	       strncmp(sqlstate, "42501", 5) == 0 ||
	       strncmp(sqlstate, "55000", 5) == 0;
}

enum metrics_connect_error pool_node_classify(const char *sqlstate)
{
	if (strncmp(sqlstate, "28", 2) == 0)
		return METRICS_CONNECT_AUTH;
	if (strcmp(sqlstate, "53300") == 0)
		return METRICS_CONNECT_TOO_MANY;
	if (strcmp(sqlstate, "08P01") == 0)
		return METRICS_CONNECT_PROTO;
	return *sqlstate ? METRICS_CONNECT_OTHER : METRICS_CONNECT_REFUSED;
}

/* Waiters for the primary hold on while it is away; others go elsewhere. */
static void refuse_waiters(struct pool_node *node, const char *sqlstate,
			   const char *why)
{
	uint64_t session;
	bool has_servers = quota_servers(node->quota) > 0;

	if (has_servers && !node->site.is_replica)
		return;
	if (!node->site.is_replica && !is_hopeless(sqlstate))
		return;
	while (quota_next_own(node->quota, node->site.local->index, &session))
		node->site.local->process->pool_hooks->refused(
			node->site.local, session, sqlstate, why);
}

/*
 * The node lives, but what was asked for is not there: on a replica it may
 * come any moment, elsewhere somebody has to make it.
 */
static void note_lack(struct pool_node *node, const char *sqlstate)
{
	bool is_no_database = strcmp(sqlstate, "3D000") == 0;

	node->is_lacking = is_no_database ||
			   (node->site.is_replica && is_hopeless(sqlstate));
	node->site.is_quiet = node->is_lacking;
	if (is_no_database && !node->site.is_replica)
		welcomes_forget(node->site.local->process->welcomes,
				node->pool->database);
}

static void on_failed(void *owner, struct server *server, const char *sqlstate,
		      const char *why)
{
	struct pool_node *node = owner;
	struct process *process = node->site.local->process;

	(void)server;
	node->busy_count--;
	quota_note_opening(node->quota, -1);
	note_lack(node, sqlstate);
	note_failure(node);
	count_error(node, pool_node_classify(sqlstate));
	if (!*sqlstate || strncmp(sqlstate, "57P", 3) == 0)
		process->node_trouble(process->arg, node->label);
	quota_note_closed(node->quota);
	refuse_waiters(node, sqlstate, why);
	if (quota_waiting(node->quota) > 0)
		tell_others(node, MAIL_FEED);
	worker_free_later(node->site.local->worker, &node->pool->farewell);
}

static const struct server_pool_hooks server_hooks = {
	.opened = on_opened,
	.failed = on_failed,
	.rested = on_rested,
	.gone = on_gone,
};

/* --- upkeep --- */

void pool_node_evict(struct pool_node *node)
{
	if (!list_is_empty(&node->idle))
		server_close(server_of_link(node->idle.prev),
			     METRICS_CLOSE_OTHER,
			     "evicted: another pool needs its place");
}

static void close_idle(struct pool_node *node)
{
	uint64_t limit_us =
		local_settings(node->site.local)->server_idle_timeout_us;
	enum metrics_close_reason reason;

	LIST_FOREACH_SAFE (link, &node->idle) {
		struct server *server = server_of_link(link);

		if (is_to_go(node, server, &reason))
			server_close(server, reason, why_it_goes(reason));
	}
	while (limit_us > 0 && !list_is_empty(&node->idle) &&
	       quota_servers(node->quota) > pool_limits_least(node)) {
		struct server *oldest = server_of_link(node->idle.prev);

		if (now_of(node) - server_idle_since_us(oldest) < limit_us)
			break;
		server_close(oldest, METRICS_CLOSE_IDLE, "server idle timeout");
	}
}

/*
 * A database that is not there is not asked for without need; what a replica
 * lacked is tried until it is there, so that reads find their way back.
 */
static unsigned wanted_size(struct pool_node *node)
{
	unsigned size = pool_limits_least(node);

	if (quota_servers(node->quota) > quota_opening(node->quota))
		node->is_lacking = false;
	if (pool_is_ahead(node->pool, node->site.node))
		return 0;
	if (!node->is_lacking)
		return size;
	if (!node->site.is_replica || node->pool->sessions == 0)
		return 0;
	return size > 0 ? size : 1;
}

/* One at a time: a pool of many is filled over some seconds. */
static void fill_up(struct pool_node *node)
{
	struct quota_limits limits = node->limits;

	if (!node->is_draining &&
	    quota_servers(node->quota) < wanted_size(node) && may_open(node) &&
	    quota_try_open(node->quota, &limits) == QUOTA_GRANTED)
		(void)open_server(node);
}

static void upkeep(struct wheel_timer *timer)
{
	struct pool_node *node = LIST_ENTRY(timer, struct pool_node, upkeep);

	wheel_set(wheel_of(node), timer, now_of(node) + UPKEEP_US);
	close_idle(node);
	pool_fast_close(node);
	fill_up(node);
	/* Another worker may have served or lost the last one. */
	note_waiting(node);
	if (quota_waiting(node->quota) > 0) {
		wheel_set(wheel_of(node), timer, now_of(node) + RETRY_FIRST_US);
		pool_node_feed_later(node);
	}
	worker_free_later(node->site.local->worker, &node->pool->farewell);
}

/* --- life --- */

struct pool_node *pool_node_new(struct pool *pool, const char *label,
				const char *host)
{
	struct metrics *metrics = pool->local->process->metrics;
	struct metrics_labels labels = { .database = pool->database };
	struct pool_node *node = xcalloc(1, sizeof(*node));

	node->pool = pool;
	node->label = xstrdup(label);
	node->host = xstrdup(host);
	labels.backend = node->label;
	node->quota = quota_open(pool->local->process->quotas, pool->key,
				 pool->database, pool->user, label);
	node->site = (struct server_site){
		.local = pool->local,
		.label = node->label,
		.host = node->host,
		.database = pool->database,
		.totals = pool->totals,
		.pool_cell = pool->cell,
		.backend_cell = metrics_open(metrics, METRICS_BACKEND, &labels),
		.node_cell = metrics_open(metrics, METRICS_NODE, &labels),
		.hooks = &server_hooks,
		.owner = node,
	};
	pool_limits_refresh(node);
	list_init(&node->idle);
	list_init(&node->busy);
	list_init(&node->retired_link);
	worker_task_init(&node->feed, feed);
	wheel_timer_init(&node->upkeep, upkeep);
	wheel_set(wheel_of(node), &node->upkeep, now_of(node) + UPKEEP_US);
	return node;
}

void pool_node_free(struct pool_node *node)
{
	assert(pool_node_is_empty(node));
	wheel_unset(&node->upkeep);
	list_remove(&node->feed.link);
	quota_close(node->quota);
	metrics_close(node->site.backend_cell);
	metrics_close(node->site.node_cell);
	free(node->label);
	free(node->host);
	free(node);
}

bool pool_node_is_empty(const struct pool_node *node)
{
	return list_is_empty(&node->idle) && list_is_empty(&node->busy);
}

static void recount(struct pool_node *node, int change)
{
	LIST_FOREACH (link, &node->idle)
		server_count(server_of_link(link), change);
	LIST_FOREACH (link, &node->busy)
		server_count(server_of_link(link), change);
}

static void close_all_idle(struct pool_node *node,
			   enum metrics_close_reason reason, const char *why)
{
	struct list *link;

	while ((link = list_first(&node->idle)) != NULL)
		server_close(server_of_link(link), reason, why);
}

void pool_node_refresh(struct pool_node *node, unsigned index)
{
	const struct topology *topology = node->site.local->topology;
	const struct topology_node *seen = &topology->nodes[index];
	bool is_replica = seen->role == ROLE_REPLICA;

	node->site.node = index;
	pool_limits_refresh(node);
	if (is_replica != node->site.is_replica) {
		recount(node, -1);
		node->site.is_replica = is_replica;
		recount(node, 1);
	}
	/* Back after a time: no need to wait out the pause. */
	if (seen->is_up && !node->was_up)
		node->retry_us = 0;
	node->was_up = seen->is_up;
	if (!seen->is_up && seen->probed_us > 0)
		close_all_idle(node, METRICS_CLOSE_NODE_DOWN, "node is down");
	if (quota_waiting(node->quota) > 0)
		pool_node_feed_later(node);
}

void pool_node_forsake(struct pool_node *node)
{
	if (node->was_up || !node->site.is_replica)
		return;
	LIST_FOREACH_SAFE (link, &node->busy)
		server_forsake(server_of_link(link));
	refuse_waiters(node, "57P03", "node is down");
}

void pool_node_retire(struct pool_node *node)
{
	node->is_retired = true;
	close_all_idle(node, METRICS_CLOSE_RELOAD,
		       "no longer in the configuration");
}

void pool_node_drain(struct pool_node *node)
{
	node->is_draining = true;
	close_all_idle(node, METRICS_CLOSE_SHUTDOWN, "shutting down");
}

bool pool_node_is_replica(const struct pool_node *node)
{
	return node->site.is_replica;
}

void pool_node_visit(const struct pool_node *node,
		     void (*visit)(void *arg, struct server *server), void *arg)
{
	LIST_FOREACH_SAFE (link, &node->busy)
		visit(arg, server_of_link(link));
	LIST_FOREACH_SAFE (link, &node->idle)
		visit(arg, server_of_link(link));
}
