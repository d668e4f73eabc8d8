/*
 * Servers that sessions would keep for as long as they like.
 *
 * In the other pool modes a server comes to rest soon, and is looked at then;
 * one that a client keeps there, it keeps for a reason.  Whatever is under way
 * is left alone: a server that owes an answer is looked at again later.
 */
#include "proxy/pool_fast.h"

#include "core/config.h"
#include "proxy/local.h"
#include "proxy/pool_parts.h"
#include "proxy/server.h"

static bool is_wanted(const struct pool_node *node)
{
	const struct pool *pool = node->pool;
	const struct config *config = local_config(pool->local);

	return config->settings.server_fast_close &&
	       config_mode_of(config, pool->config, pool->config_user) ==
		       POOL_MODE_SESSION;
}

static bool is_old(const struct pool_node *node, const struct server *server)
{
	return node->is_retired ||
	       server_begun_us(server) < node->pool->renewed_us;
}

static bool is_between(const struct server *server)
{
	return server_state(server) == SERVER_ACTIVE &&
	       server_status(server) == 'I' &&
	       track_is_idle(server_track(server));
}

void pool_fast_close(struct pool_node *node)
{
	if (!is_wanted(node))
		return;
	LIST_FOREACH_SAFE (link, &node->busy) {
		struct server *server = server_of_link(link);

		if (is_old(node, server) && is_between(server))
			server_close(server, METRICS_CLOSE_RELOAD,
				     "database configuration changed "
				     "(server_fast_close)");
	}
}
