#ifndef PGWEIR_PROXY_TUNNEL_H
#define PGWEIR_PROXY_TUNNEL_H

/*
 * Replication connections: a client that has logged in and a server
 * connection of its own, joined byte for byte.  Nothing is pooled, split or
 * looked into.
 */
#include <stdbool.h>
#include <stdint.h>

struct client_login;
struct local;
struct server;
struct session_info;

/* Takes a logged-in client that asks for replication. */
void tunnel_start(struct local *local, const struct client_login *login);

/* Shutting down: all are told 57P01 and end, at once or very soon. */
void tunnels_shutdown(struct local *local);
/* The worker stops: they end now. */
void tunnels_free(struct local *local);

/* For the console; as sessions_visit and pool_node_visit. */
void tunnels_visit(struct local *local,
		   void (*visit)(void *arg, const struct session_info *info),
		   void *arg);
void tunnels_visit_servers(struct local *local,
			   void (*visit)(void *arg, struct server *server),
			   void *arg);
/* Ends one, told why; false when there is none of that number. */
bool tunnel_kill(struct local *local, uint64_t id, const char *why);
/* All of a database, as clients name it; NULL: of all. */
void tunnels_kill(struct local *local, const char *database, const char *why);

/*
 * The server of the tunnel of that number, with a cancel counted
 * (server_begin_cancel): the caller ends it.  NULL: there is none.
 */
struct server *tunnel_cancel(struct local *local, uint64_t id);

#endif
