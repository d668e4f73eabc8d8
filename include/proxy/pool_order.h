#ifndef PGWEIR_PROXY_POOL_ORDER_H
#define PGWEIR_PROXY_POOL_ORDER_H

/*
 * What the orders of an operator mean for a worker's pools.  database is the
 * name that clients know; NULL: all.  The worker's thread.
 */
struct local;

/* Closes idle servers; how many are left, in use or being opened. */
unsigned pools_hold(struct local *local, const char *database);

/* Every server that there is now is closed as it comes to rest. */
void pools_reconnect(struct local *local, const char *database);

/* How many are left of those that are to be closed. */
unsigned pools_count_leaving(const struct local *local, const char *database);

/* Every server is closed at once, whatever it does. */
void pools_cut(struct local *local, const char *database);

#endif
