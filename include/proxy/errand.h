#ifndef PGWEIR_PROXY_ERRAND_H
#define PGWEIR_PROXY_ERRAND_H

/*
 * A cancel request on its way to a node.
 */
#include <stdbool.h>

struct local;
struct server;

/*
 * Cancels what the server runs.  server_begin_cancel was called for it: the
 * errand ends that.  done(arg), when not NULL, is called once, when the node
 * has taken the request or it has failed; never when false comes back.
 */
bool errand_send(struct local *local, struct server *server,
		 void (*done)(void *arg), void *arg);

/* The worker stops: all that are under way are over. */
void errands_free(struct local *local);

#endif
