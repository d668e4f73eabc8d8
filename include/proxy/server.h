#ifndef PGWEIR_PROXY_SERVER_H
#define PGWEIR_PROXY_SERVER_H

/*
 * One connection to a PostgreSQL server: opens it, logs in, keeps the queue
 * of what it owes, deals its replies out, and cleans it after use until its
 * protocol and session state are proved.  Belongs to one worker at a time.
 *
 * Two parties are told what happens: the pool that owns it, and the session
 * that uses it.  Inside a hook anything may be called; memory goes at the
 * end of the loop turn.
 */
#include "net/stream.h"
#include "proxy/server_types.h"
#include "proxy/server_use.h"

/*
 * Starts to open a connection; opened or failed follows, never from inside.
 * NULL with errno when the system has no socket left.
 */
struct server *server_open(const struct server_site *site,
			   const struct sockaddr_storage *address,
			   socklen_t address_len);

/* Closes at once; tells session and pool. */
void server_close(struct server *server, enum metrics_close_reason reason,
		  const char *why);

/*
 * Its node seems dead: closes it if it is logging in, or if the session on it
 * can do what is under way elsewhere.
 */
void server_forsake(struct server *server);

/*
 * Counts a server into (1) or out of (-1) the gauges of its site, so that a
 * site that changes its role can move its servers to the other label.
 */
void server_count(const struct server *server, int change);

enum server_state server_state(const struct server *server);
const char *server_state_name(enum server_state state);
const struct server_site *server_site(const struct server *server);
/* A link for the owner's lists. */
struct list *server_link(struct server *server);
struct server *server_of_link(struct list *link);
/* It was logged in; the connection was begun. */
uint64_t server_opened_us(const struct server *server);
uint64_t server_begun_us(const struct server *server);
uint64_t server_idle_since_us(const struct server *server);
uint32_t server_pid(const struct server *server);
/* Its key in the table of who notifies (notifiers.h). */
uint64_t server_notifier(const struct server *server);
const char *server_tls_version(const struct server *server);
size_t server_statements(const struct server *server);
/* Values that the server reported by ParameterStatus. */
const struct strmap *server_parameters(const struct server *server);
/*
 * Walks them in the order in which the server has named them: start with
 * *at = 0; false behind the last.
 */
bool server_parameter_at(const struct server *server, size_t *at,
			 const char **name, const char **value);

/* --- use by a session --- */

/* An idle server becomes a session's. */
void server_attach(struct server *server, const struct server_user_hooks *hooks,
		   void *user);

/*
 * The session lets go, whatever the state.  The server is cleaned (rest of
 * the batch, ROLLBACK, DISCARD ALL when it is dirty) and then rested is told,
 * from inside this call when there is nothing to clean.
 */
void server_detach(struct server *server);

/*
 * A server that was opened for one client alone and has just logged in: from
 * here its bytes are that client's, and callback is told of them.  The stream
 * stays the server's; server_close ends it, and sends what is queued.
 */
struct stream *server_hand_over(struct server *server,
				stream_callback *callback, void *owner);
/* The FATAL that a login of such a server ended with, as it came; or empty. */
const struct buf *server_last_words(const struct server *server);

/* --- cancelling --- */

/* A cancel request that server_begin_cancel counted is over. */
void server_end_cancel(struct server *server);

/* --- moving --- */

/* An idle server with nothing left to send leaves its worker, or false. */
bool server_park(struct server *server);
/* On the new worker's thread. */
void server_adopt(struct server *server, const struct server_site *site);
/* A parked server that nobody can take. */
void server_free_parked(struct server *server);

#endif
