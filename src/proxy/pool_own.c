/*
 * Servers of one client alone.
 *
 * The pool lends its name, its credentials and its primary; whatever of them
 * the connection needs is copied, because it outlives reloads that change or
 * drop the line it came from.
 *
 * Invariant: quota is open exactly while site is aimed at a node, and
 * is_counted says that a place under the shared limits is taken there.
 */
#include "proxy/pool_own.h"

#include "base/util.h"
#include "core/metrics.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/pool.h"
#include "proxy/pool_parts.h"
#include "proxy/quota.h"
#include "proxy/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pool_own {
	struct pool *pool;
	struct server_own own;
	struct server_site site;
	struct quota *quota;
	bool is_counted;
	char *label;
	char *host;
	char *dbname;
	char *user;
	char *secret;
};

struct pool_own *pool_own_new(struct pool *pool,
			      const struct replication_startup *startup,
			      const struct server_pool_hooks *hooks,
			      void *owner)
{
	struct pool_own *own = xcalloc(1, sizeof(*own));

	own->pool = pool;
	own->own.asked = startup;
	own->site.hooks = hooks;
	own->site.owner = owner;
	return own;
}

static void drop_secret(struct pool_own *own)
{
	util_free_secret(own->secret);
	own->secret = NULL;
	own->site.credentials = (struct login_credentials){ 0 };
}

/* No server is on its way there. */
static void unaim(struct pool_own *own)
{
	assert(!own->is_counted);
	if (!own->quota)
		return;
	quota_close(own->quota);
	own->quota = NULL;
	metrics_close(own->site.backend_cell);
	metrics_close(own->site.node_cell);
	drop_secret(own);
	free(own->label);
	free(own->host);
	free(own->dbname);
	free(own->user);
}

void pool_own_free(struct pool_own *own)
{
	unaim(own);
	buf_free(&own->own.greeting);
	free(own);
}

/* As the pool's own servers, at this moment. */
static void aim(struct pool_own *own, const struct pool_node *node)
{
	const struct pool *pool = own->pool;
	struct metrics *metrics = pool->local->process->metrics;
	const struct metrics_labels labels = { .database = pool->database,
					       .backend = node->label };
	const struct server_site pooled = node->site;

	unaim(own);
	own->label = xstrdup(node->label);
	own->host = xstrdup(node->host);
	own->dbname = xstrdup(pooled.dbname);
	own->user = xstrdup(pooled.user);
	own->quota = quota_open(pool->local->process->quotas, pool->key,
				pool->database, pool->user, node->label);
	own->secret = pooled.credentials.secret
			      ? xstrdup(pooled.credentials.secret)
			      : NULL;
	own->site = (struct server_site){
		.local = pool->local,
		.node = pooled.node,
		.is_replica = pooled.is_replica,
		.label = own->label,
		.host = own->host,
		.database = pool->database,
		.dbname = own->dbname,
		.user = own->user,
		.credentials = pooled.credentials,
		.totals = pool->totals,
		.pool_cell = pool->cell,
		.backend_cell = metrics_open(metrics, METRICS_BACKEND, &labels),
		.node_cell = metrics_open(metrics, METRICS_NODE, &labels),
		.own = &own->own,
		.hooks = own->site.hooks,
		.owner = own->site.owner,
	};
	own->site.credentials.user = own->user;
	own->site.credentials.secret = own->secret;
}

/* An idle server makes room: this pool's, here or elsewhere, or another's. */
static void evict(struct pool_own *own, struct pool_node *node,
		  const struct quota_limits *limits)
{
	unsigned self = own->pool->local->index;
	int worker = quota_find_idle(own->quota, self);
	unsigned rival;
	char *key;

	if (node->idle_count > 0) {
		pool_node_evict(node);
	} else if (worker >= 0) {
		pool_node_post(node, (unsigned)worker, MAIL_EVICT,
			       own->pool->key);
	} else if (quota_find_rival(own->quota, limits, &rival, &key)) {
		pool_node_post(node, rival, MAIL_EVICT, key);
		free(key);
	}
}

static bool take_place(struct pool_own *own, struct pool_node *node)
{
	const struct quota_limits limits = { .database = node->limits.database,
					     .user = node->limits.user };

	if (quota_try_own(own->quota, &limits) == QUOTA_GRANTED) {
		own->is_counted = true;
		return true;
	}
	evict(own, node, &limits);
	return false;
}

static void free_place(struct pool_own *own)
{
	if (own->is_counted)
		quota_note_own_closed(own->quota);
	own->is_counted = false;
}

struct server *pool_own_open(struct pool_own *own,
			     struct pool_own_refusal *refusal)
{
	int primary = pool_primary(own->pool);
	const struct node_address *address;
	struct pool_node *node;
	struct server *server;

	assert(!own->is_counted);
	*refusal = (struct pool_own_refusal){
		"57P03", "no primary of this database is known"
	};
	if (primary < 0)
		return NULL;
	node = pool_node_at(own->pool, (unsigned)primary);
	address = &own->pool->local->addresses[node->site.node];
	refusal->why = "the name of the primary is not resolved";
	if (!address->is_known)
		return NULL;
	aim(own, node);
	*refusal = (struct pool_own_refusal){
		"53300", "no more server connections allowed "
			 "(max_db_connections, max_user_connections)"
	};
	if (!take_place(own, node))
		return NULL;
	server = server_open(&own->site, &address->address, address->len);
	if (!server)
		free_place(own);
	refusal->why = "no more sockets";
	return server;
}

void pool_own_note_opened(struct pool_own *own)
{
	metrics_count(own->site.node_cell, COUNTER_SERVER_CONNECTS, 0, 0, 1);
	drop_secret(own);
}

void pool_own_note_failed(struct pool_own *own, const char *sqlstate)
{
	const struct process *process = own->pool->local->process;

	metrics_count(own->site.node_cell, COUNTER_CONNECT_ERRORS,
		      pool_node_classify(sqlstate), 0, 1);
	if (!*sqlstate)
		process->node_trouble(process->arg, own->label);
	free_place(own);
}

void pool_own_note_closed(struct pool_own *own)
{
	const struct pool *pool = own->pool;

	free_place(own);
	for (unsigned i = 0; i < pool->node_count; i++)
		if (strcmp(pool->nodes[i]->label, own->label) == 0)
			pool_node_tell_freed(pool->nodes[i]);
}

struct buf *pool_own_greeting(struct pool_own *own)
{
	return &own->own.greeting;
}
