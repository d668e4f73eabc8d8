#ifndef PGWEIR_PROXY_CLIENT_ASK_H
#define PGWEIR_PROXY_CLIENT_ASK_H

/*
 * What a client asks for in its startup packet (PostgreSQL docs, "Message
 * Formats", StartupMessage): who it is, which database, with what settings,
 * and whether it wants replication.
 */
#include "core/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct local;
struct pgwire_startup;
struct replication_startup;
struct settings;
struct stmtscope;

/* How statements are read under its settings: session_settings. */
struct client_ask_reading {
	bool is_judged;
	bool is_plain_backslash;
	bool is_safe_encoding;
	bool is_state_unsafe;
	bool prefers_primary;
	enum config_consistency consistency;
	struct stmtscope *scope; /* a reference */
};

/*
 * Owns what it holds.  Once somebody was let in with it, it is shared by all
 * who send the same bytes to this worker, and does not change any more, but
 * for what is kept with it so that it need not be found out again.
 */
struct client_ask {
	unsigned references;
	char *user;     /* NULL: it asked for none */
	char *database; /* NULL: not read that far */
	const struct settings *settings;
	struct replication_startup *replication; /* NULL: ordinary */
	bool is_console;                         /* it is for pgweir itself */
	bool is_negotiating; /* a newer minor, or protocol options */
	uint64_t generation; /* of the configuration it was read under */
	/* kept for others like it */
	uint8_t *packet; /* NULL: it cannot be shared */
	size_t packet_len;
	bool is_shared;
	struct client_ask_reading reading;
	uint8_t *greeting; /* session_greet: the parameters; NULL: none */
	size_t greeting_len;
	uint64_t greeting_age; /* of the welcomes, when that was true */
};

struct client_refusal {
	const char *sqlstate;
	const char *hint; /* NULL: none */
	char message[160];
};

/*
 * Reads a packet of protocol 3 into *ask, a reference.  False: *refusal says
 * why, and user and database are set if they were known by then.  address is
 * where the client comes from, for application_name_add_host.
 */
bool client_ask_read(struct client_ask **ask, struct local *local,
		     const struct pgwire_startup *startup, const char *address,
		     struct client_refusal *refusal);
void client_ask_release(struct client_ask *ask); /* NULL is fine */

/*
 * Whoever asked was let in: the next one with the same packet gets the same
 * ask.  Strangers who are turned away leave nothing here.
 */
void client_ask_share(struct client_ask *ask, struct local *local);
/* The configuration has changed, or the worker ends. */
void client_asks_forget(struct local *local);

/* Appends the answer to a newer minor or to protocol options. */
void client_ask_negotiate(const struct pgwire_startup *startup,
			  struct buf *out);

#endif
