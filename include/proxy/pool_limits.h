#ifndef PGWEIR_PROXY_POOL_LIMITS_H
#define PGWEIR_PROXY_POOL_LIMITS_H

/*
 * How many servers a pool may have on a node, as the configuration says it:
 * its size, what is shared with other pools, the least, and the reserve.
 */
#include "proxy/quota.h"

#include <stdbool.h>

struct pool_node;

/* Reads the limits anew from the configuration of now. */
void pool_limits_refresh(struct pool_node *node);

/* Servers that a pool with clients keeps ready. */
unsigned pool_limits_least(const struct pool_node *node);

/*
 * The pool is full: counts one server more if its reserve has room and
 * somebody has waited long enough for whom none is being opened.
 */
enum quota_answer pool_limits_try_reserve(struct pool_node *node);

/*
 * There are more servers than there may be, the reserve included: what was
 * opened for it is kept until nobody needs it (server_idle_timeout).
 */
bool pool_limits_is_over(const struct pool_node *node);

#endif
