#ifndef PGWEIR_PROXY_CLIENT_ASK_H
#define PGWEIR_PROXY_CLIENT_ASK_H

/*
 * What a client asks for in its startup packet (PostgreSQL docs, "Message
 * Formats", StartupMessage): who it is, which database, with what settings,
 * and whether it wants replication.
 */
#include <stdbool.h>

struct buf;
struct local;
struct pgwire_startup;
struct replication_startup;
struct settings;

/* All zero before it is read; owns what it holds. */
struct client_ask {
	char *user;
	char *database;
	const struct settings *settings;
	struct replication_startup *replication; /* NULL: ordinary */
};

struct client_refusal {
	const char *sqlstate;
	const char *hint; /* NULL: none */
	char message[160];
};

/*
 * Reads a packet of protocol 3.  False: *refusal says why, and user and
 * database are set if they were known by then.  address is where the client
 * comes from, for application_name_add_host.
 */
bool client_ask_read(struct client_ask *ask, const struct local *local,
		     const struct pgwire_startup *startup, const char *address,
		     struct client_refusal *refusal);
void client_ask_free(struct client_ask *ask);

/* The database is pgweir itself. */
bool client_ask_is_console(const struct client_ask *ask);

/* Appends the answer to a newer minor or to protocol options, if need be. */
void client_ask_negotiate(const struct pgwire_startup *startup,
			  struct buf *out);

#endif
