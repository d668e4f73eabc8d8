#ifndef PGWEIR_PROXY_HUB_MAIL_H
#define PGWEIR_PROXY_HUB_MAIL_H

/*
 * How sessions and hubs speak to each other.  A hub is one connection per
 * database (and client encoding) that listens for all clients of the process;
 * it lives on one worker, sessions are anywhere, and both write mail, which
 * arrives in order:
 *
 *   want     listen to channels, and send a token on the process's own
 *            channel, which tells asker and hub the same place in the order
 *            of all notifications -> MAIL_HEARD_TOKEN
 *   drop     one reference of each of these channels goes
 *   barrier  -> MAIL_HEARD_PAST when everything that was sent before has
 *            been delivered
 *
 * Notifications go once to each worker that has listeners (MAIL_HEARD).
 */
#include "core/login.h"
#include "net/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channels;
struct local;
struct process;
struct server_site;

/* Which hub; borrowed. */
struct hub_name {
	const char *database; /* as clients know it */
	const char *encoding; /* client_encoding */
};

/* What a hub logs in with. */
struct hub_login {
	char *dbname;
	char *user;
	char *secret;                         /* NULL: none */
	struct login_credentials credentials; /* points at the others */
};

/* To a hub's worker. */
struct mail_hub {
	struct mail mail;
	char *database;
	char *encoding;
	unsigned worker;
	uint64_t session;
	uint64_t serial;           /* the asker's */
	struct hub_login *login;   /* of a want */
	struct channels *channels; /* of a want or a drop */
};

/* To a session's worker. */
struct mail_heard {
	struct mail mail;
	char *hub; /* hub_key */
	uint32_t pid;
	char *channel;
	char *payload;
};

/* MAIL_HEARD_TOKEN and MAIL_HEARD_PAST. */
struct mail_heard_end {
	struct mail mail;
	uint64_t session;
	uint64_t serial;
	bool ok; /* of a token; false: nobody listens */
};

struct mail_heard_gap {
	struct mail mail;
	char *hub;
};

enum { HUB_TOKEN_ROOM = 64 };

/* The name of a hub as one string, new. */
char *hub_key(const char *database, const char *encoding);
/* "hub\nchannel", new: where a worker keeps its listeners. */
char *hub_channel_key(const char *hub, const char *channel);

/* The channel of tokens, the same for all databases.  Any thread. */
const char *hub_token_channel(const struct process *process);
/* The token of a request, as payload on that channel; and back. */
void hub_token_write(char out[static HUB_TOKEN_ROOM], unsigned worker,
		     uint64_t session, uint64_t serial);
bool hub_token_read(const char *payload, unsigned *worker, uint64_t *session,
		    uint64_t *serial);

/*
 * The asker is a session of local's.  The site is of the server that it is
 * on: the hub logs in with its credentials if it must.  Every channel is
 * referenced once more, whatever the answer: who asks drops them.
 */
void hub_want(struct local *local, struct hub_name name,
	      const struct server_site *site, const struct channels *channels,
	      uint64_t session, uint64_t serial);
void hub_drop(struct local *local, struct hub_name name,
	      const struct channels *channels);
void hub_barrier(struct local *local, struct hub_name name, uint64_t session,
		 uint64_t serial);

/* What a hub says. */
void hub_tell_heard(struct local *local, unsigned worker, const char *hub,
		    uint32_t pid, const char *channel, const char *payload);
void hub_tell_end(struct local *local, unsigned worker, int kind,
		  uint64_t session, uint64_t serial, bool ok);
void hub_tell_gap(struct local *local, unsigned worker, const char *hub);

void hub_login_free(struct hub_login *login);
/* Frees one that was taken: what is NULL has found an owner. */
void mail_hub_free(struct mail_hub *mail);
void mail_heard_free(struct mail_heard *mail);

#endif
