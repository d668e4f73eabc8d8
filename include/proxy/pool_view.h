#ifndef PGWEIR_PROXY_POOL_VIEW_H
#define PGWEIR_PROXY_POOL_VIEW_H

/*
 * What everybody may see of a pool's node.
 */
#include <stdbool.h>

struct pool_node;
struct server;

/* True for a replica, as the topology says. */
bool pool_node_is_replica(const struct pool_node *node);
void pool_node_visit(const struct pool_node *node,
		     void (*visit)(void *arg, struct server *server),
		     void *arg);

#endif
