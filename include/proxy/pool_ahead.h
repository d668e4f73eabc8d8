#ifndef PGWEIR_PROXY_POOL_AHEAD_H
#define PGWEIR_PROXY_POOL_AHEAD_H

/*
 * Which replicas a pool is ahead of: they lack a change that concerns it.
 * The worker's thread.
 */
#include <stdbool.h>

struct pool;

/* The node, of the snapshot, is a replica that lacks a change as yet. */
bool pool_is_ahead(const struct pool *pool, unsigned node);

#endif
