/*
 * An operator's orders, on one worker: servers that go as they rest, or now.
 *
 * Nothing is remembered here: that a database is paused stands in proxy/orders,
 * where pool_node looks before it opens a server and when one comes to rest;
 * that servers are old stands in their pool (renewed_us).
 */
#include "proxy/pool_order.h"

#include "base/strmap.h"
#include "proxy/local.h"
#include "proxy/pool_fast.h"
#include "proxy/pool_parts.h"
#include "proxy/server.h"

#include <string.h>

/* What is done to each node of the pools; returns what is to be summed. */
typedef unsigned node_fn(struct pool_node *node);

static unsigned visit_pool(struct pool *pool, node_fn *visit)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < pool->node_count; i++)
		sum += visit(pool->nodes[i]);
	LIST_FOREACH_SAFE (link, &pool->retired)
		sum += visit(LIST_ENTRY(link, struct pool_node, retired_link));
	return sum;
}

static unsigned visit_pools(const struct local *local, const char *database,
			    node_fn *visit)
{
	unsigned sum = 0;
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		if (!database || strcmp(pool->database, database) == 0)
			sum += visit_pool(pool, visit);
	}
	return sum;
}

static void close_idle(struct pool_node *node, uint64_t before_us,
		       const char *why)
{
	LIST_FOREACH_SAFE (link, &node->idle) {
		struct server *server = server_of_link(link);

		if (server_begun_us(server) < before_us)
			server_close(server, METRICS_CLOSE_OTHER, why);
	}
}

/* --- PAUSE --- */

static unsigned hold_node(struct pool_node *node)
{
	close_idle(node, UINT64_MAX, "PAUSE");
	return node->idle_count + node->busy_count;
}

unsigned pools_hold(struct local *local, const char *database)
{
	return visit_pools(local, database, hold_node);
}

/* --- RECONNECT, WAIT_CLOSE --- */

/* Times are those of the turn: one that began in it is old as well. */
static unsigned renew_node(struct pool_node *node)
{
	node->pool->renewed_us = local_now(node->site.local) + 1;
	close_idle(node, node->pool->renewed_us, "RECONNECT");
	pool_fast_close(node);
	return 0;
}

void pools_reconnect(struct local *local, const char *database)
{
	(void)visit_pools(local, database, renew_node);
}

static unsigned count_leaving(struct pool_node *node)
{
	unsigned count = 0;

	if (node->is_retired)
		return node->idle_count + node->busy_count;
	LIST_FOREACH (link, &node->busy)
		count += server_begun_us(server_of_link(link)) <
			 node->pool->renewed_us;
	return count;
}

unsigned pools_count_leaving(const struct local *local, const char *database)
{
	return visit_pools(local, database, count_leaving);
}

/* --- KILL --- */

static unsigned cut_node(struct pool_node *node)
{
	close_idle(node, UINT64_MAX, "KILL");
	LIST_FOREACH_SAFE (link, &node->busy)
		server_close(server_of_link(link), METRICS_CLOSE_OTHER, "KILL");
	return 0;
}

void pools_cut(struct local *local, const char *database)
{
	(void)visit_pools(local, database, cut_node);
}
