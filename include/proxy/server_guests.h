#ifndef PGWEIR_PROXY_SERVER_GUESTS_H
#define PGWEIR_PROXY_SERVER_GUESTS_H

/*
 * Which statements a server has under a client's own name.
 */
#include <stdbool.h>

struct server;
struct stmt;

/* A text has made one; or something of that name, when stmt is NULL. */
void server_note_guest(struct server *server, const char *name,
		       struct stmt *stmt, bool is_sql);
/* ... or has done away with it. */
void server_forget_guest(struct server *server, const char *name);
bool server_has_guests(const struct server *server);

#endif
