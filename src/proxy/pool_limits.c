/*
 * Limits of a pool on a node, and its reserve.
 *
 * The reserve is no other kind of server: it lets the pool grow beyond its
 * size, exactly as far as configured, for those who have waited long.  Who is
 * served is still decided by the one queue.  Refuses to open anything.
 */
#include "proxy/pool_limits.h"

#include "base/log.h"
#include "core/config.h"
#include "proxy/local.h"
#include "proxy/pool_parts.h"

#include <assert.h>

static unsigned positive(int limit)
{
	return limit > 0 ? (unsigned)limit : 0;
}

static int own_or(int own, int otherwise)
{
	return own == CONFIG_UNSET ? otherwise : own;
}

static void refresh_reserve(struct pool_node *node,
			    const struct config_user *user)
{
	const struct pool *pool = node->pool;
	const struct config_settings *settings = local_settings(pool->local);
	int size = own_or(pool->config->reserve_pool_size,
			  settings->reserve_pool_size);

	if (user)
		size = own_or(user->reserve_pool_size, size);
	node->reserve = positive(size);
	node->reserve_wait_us = settings->reserve_pool_timeout_us;
}

/* Without a line nothing may be opened any more: no limit is needed. */
void pool_limits_refresh(struct pool_node *node)
{
	const struct pool *pool = node->pool;
	const struct config *config = local_config(pool->local);
	const struct config_user *user = config_find_user(config, pool->user);
	const struct config_settings *settings = &config->settings;

	node->limits = (struct quota_limits){ 0 };
	node->reserve = 0;
	if (!pool->config)
		return;
	node->limits.pool =
		positive(config_pool_size_of(config, pool->config, user));
	node->limits.database =
		positive(own_or(pool->config->max_db_connections,
				settings->max_db_connections));
	node->limits.user = positive(
		own_or(user ? user->max_user_connections : CONFIG_UNSET,
		       settings->max_user_connections));
	refresh_reserve(node, user);
}

unsigned pool_limits_least(const struct pool_node *node)
{
	const struct pool *pool = node->pool;

	if (!pool->config || pool->sessions == 0)
		return 0;
	return positive(own_or(pool->config->min_pool_size,
			       local_settings(pool->local)->min_pool_size));
}

static bool is_reserve_due(const struct pool_node *node)
{
	uint64_t now_us = local_now(node->site.local);

	if (node->reserve == 0 || node->reserve_wait_us == 0 ||
	    quota_servers(node->quota) >= node->limits.pool + node->reserve)
		return false;
	return now_us > node->reserve_wait_us &&
	       quota_is_overdue(node->quota, quota_opening(node->quota),
				now_us - node->reserve_wait_us);
}

enum quota_answer pool_limits_try_reserve(struct pool_node *node)
{
	struct quota_limits limits = node->limits;
	enum quota_answer answer = QUOTA_POOL_FULL;

	assert(limits.pool > 0);
	if (!is_reserve_due(node))
		return answer;
	limits.pool += node->reserve;
	answer = quota_try_open(node->quota, &limits);
	if (answer == QUOTA_GRANTED)
		log_warning("pool %s/%s@%s taking connection from "
			    "reserve_pool: clients wait longer than "
			    "reserve_pool_timeout",
			    node->pool->database, node->pool->user,
			    node->label);
	return answer;
}

bool pool_limits_is_over(const struct pool_node *node)
{
	return node->limits.pool > 0 &&
	       quota_servers(node->quota) > node->limits.pool + node->reserve;
}
