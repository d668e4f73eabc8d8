#ifndef PGWEIR_PROXY_POOL_CHANGE_H
#define PGWEIR_PROXY_POOL_CHANGE_H

/*
 * What statements about databases and roles mean for a worker's pools.
 */
#include <stdbool.h>

struct dbddl_names;
struct local;
struct pool;

/* Closes the idle servers of these databases, on every node. */
void pools_empty(struct local *local, const struct dbddl_names *names);

/* Takes in what was changed since the last call. */
void pools_catch_up(struct local *local);

/* Whoever waits for a server is looked after again. */
void pools_feed(struct local *local);

#endif
