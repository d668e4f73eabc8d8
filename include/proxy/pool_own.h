#ifndef PGWEIR_PROXY_POOL_OWN_H
#define PGWEIR_PROXY_POOL_OWN_H

/*
 * A server connection of one client alone: to the primary of the client's
 * pool, with the pool's credentials, outside of its size but within
 * max_db_connections and max_user_connections, and never given to anybody
 * else.
 */
#include "proxy/server_types.h"

#include <stdbool.h>

struct pool;
struct pool_own;

/*
 * startup: all that the server is told at login; borrowed.  The hooks are
 * told as a pool would be, but for rested, which never comes.
 */
struct pool_own *pool_own_new(struct pool *pool,
			      const struct replication_startup *startup,
			      const struct server_pool_hooks *hooks,
			      void *owner);
/* Its server, if there was one, is closed. */
void pool_own_free(struct pool_own *own);

/* Why there is no connection now; literals. */
struct pool_own_refusal {
	const char *sqlstate;
	const char *why;
};

/*
 * Begins to open the connection; opened or failed follows, never from inside.
 * NULL: not now, *refusal says why; ask again a little later.
 */
struct server *pool_own_open(struct pool_own *own,
			     struct pool_own_refusal *refusal);

/* From opened, failed or gone: what happened is counted. */
void pool_own_note_opened(struct pool_own *own);
void pool_own_note_failed(struct pool_own *own, const char *sqlstate);
void pool_own_note_closed(struct pool_own *own);

/* What the server has said at login, for the client; taken. */
struct buf *pool_own_greeting(struct pool_own *own);

#endif
