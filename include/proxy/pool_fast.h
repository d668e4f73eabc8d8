#ifndef PGWEIR_PROXY_POOL_FAST_H
#define PGWEIR_PROXY_POOL_FAST_H

/* server_fast_close: sessions do not keep a server that is to go. */
struct pool_node;

/*
 * In session pooling, closes the servers of sessions that are between two
 * transactions, if they are old and the operator wants them gone fast.
 * Sessions are called.
 */
void pool_fast_close(struct pool_node *node);

#endif
