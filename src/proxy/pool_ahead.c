/*
 * Replicas that have not heard yet of a change to the pool's database or role.
 */
#include "proxy/pool_ahead.h"

#include "core/topology.h"
#include "proxy/local.h"
#include "proxy/pool_parts.h"

/*
 * A replica whose position nobody can tell is taken to have caught up after
 * this time.
 */
static const uint64_t UNKNOWN_LIMIT_US = 60000000;

bool pool_is_ahead(const struct pool *pool, unsigned node)
{
	const struct topology *topology = pool->local->topology;
	uint64_t complete_us;

	if (pool->changed_us == 0 || !topology || node >= topology->count ||
	    topology->nodes[node].role != ROLE_REPLICA)
		return false;
	complete_us = topology->nodes[node].complete_us;
	if (complete_us == 0)
		return local_now(pool->local) <
		       pool->changed_us + UNKNOWN_LIMIT_US;
	return complete_us < pool->changed_us;
}
