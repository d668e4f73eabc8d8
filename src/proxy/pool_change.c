/*
 * What statements about databases and roles mean for pools: idle servers go
 * before a database is wanted by somebody alone, servers that are older than
 * a change go as they come to rest, and replicas that may not know of it yet
 * serve nobody whom it concerns.
 *
 * A worker takes changes in when its mail says so, and before it lets a
 * client into a pool, so that no session which begins after a change is
 * given what was before it.
 */
#include "proxy/pool_change.h"

#include "base/strmap.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/epoch.h"
#include "core/topology.h"
#include "proxy/changes.h"
#include "proxy/local.h"
#include "proxy/pool_ahead.h"
#include "proxy/pool_parts.h"
#include "proxy/server.h"
#include "proxy/welcome.h"

static void close_idle_before(struct pool_node *node, uint64_t before_us,
			      const char *why)
{
	LIST_FOREACH_SAFE (link, &node->idle) {
		struct server *server = server_of_link(link);

		if (server_begun_us(server) < before_us)
			server_close(server, METRICS_CLOSE_OTHER, why);
	}
}

void pools_empty(struct local *local, const struct dbddl_names *names)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		if (!pool->dbname || !dbddl_has_name(names, pool->dbname))
			continue;
		for (unsigned i = 0; i < pool->node_count; i++)
			close_idle_before(pool->nodes[i], UINT64_MAX,
					  "a statement wants the database for "
					  "itself");
	}
}

void pools_feed(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		for (unsigned i = 0; i < pool->node_count; i++)
			if (quota_waiting(pool->nodes[i]->quota) > 0)
				pool_node_feed_later(pool->nodes[i]);
	}
}

/* --- replicas ------------------------------------------------------------ */

/* Who waits there would get what is not there yet, or no longer. */
static void turn_away(struct pool_node *node)
{
	struct local *local = node->site.local;
	uint64_t session;

	while (quota_next_own(node->quota, local->index, &session))
		local->process->pool_hooks->refused(local, session, "",
						    "not replicated yet");
}

/* --- changes ------------------------------------------------------------- */

/* What failed before may work now. */
static void renew_node(struct pool_node *node, uint64_t at_us)
{
	node->failures = 0;
	node->retry_us = 0;
	node->is_lacking = false;
	close_idle_before(node, at_us, "older than what was changed");
	if (quota_waiting(node->quota) > 0)
		pool_node_feed_later(node);
}

static void renew(struct pool *pool, const struct change *change,
		  bool is_replicated)
{
	if (pool->renewed_us < change->at_us)
		pool->renewed_us = change->at_us;
	if (is_replicated && pool->changed_us < change->at_us)
		pool->changed_us = change->at_us;
	for (unsigned i = 0; i < pool->node_count; i++)
		renew_node(pool->nodes[i], change->at_us);
	for (unsigned i = 0; i < pool->node_count; i++)
		if (pool_is_ahead(pool, pool->config->nodes[i]))
			turn_away(pool->nodes[i]);
}

/* What was known of a database that is gone, or another one now. */
static void forget_catalogs(struct local *local, const struct dbddl_names *gone)
{
	size_t at = 0;
	void *value;

	local_forget_catalogs(local, gone);
	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		if (dbddl_has_name(gone, pool->dbname))
			epoch_advance_of(pool->dbname);
		pool->catalog =
			local_catalog(local, pool->database, pool->dbname);
	}
}

static void take_in(struct local *local, const struct change *change)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;
		bool is_concerned = pool->dbname &&
				    dbddl_concerns(&change->ddl, pool->dbname,
						   pool->server_user);

		if (is_concerned || change->ddl.is_reload)
			renew(pool, change, is_concerned);
	}
	forget_catalogs(local, &change->ddl.gone);
	/* One may have been made since, of what was before. */
	welcomes_clear(local->process->welcomes);
}

void pools_catch_up(struct local *local)
{
	struct change change;

	while (changes_next(local->process->changes, &local->changes_seen,
			    &change))
		take_in(local, &change);
}
