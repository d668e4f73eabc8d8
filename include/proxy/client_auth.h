#ifndef PGWEIR_PROXY_CLIENT_AUTH_H
#define PGWEIR_PROXY_CLIENT_AUTH_H

/*
 * Whether a client is who it says: the server's part of authentication, one
 * object per login.  Unknown users get the same questions as known ones with
 * a wrong password, and the same answer.
 */
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct client_auth;
struct local;
struct pgwire_message;

enum client_auth_result {
	CLIENT_AUTH_MORE, /* await the next PasswordMessage or SASL message */
	CLIENT_AUTH_DONE, /* proved; AuthenticationOk is the caller's to send */
	CLIENT_AUTH_WRONG, /* wrong password, unknown user */
	CLIENT_AUTH_BAD    /* broke the protocol: client_auth_error */
};

/* Is the user let in without a question? */
bool client_auth_is_needless(const struct local *local, const char *user,
			     bool is_console);

/* Of one who is not. */
struct client_auth *client_auth_new(const struct local *local, const char *user,
				    bool is_console);
void client_auth_free(struct client_auth *auth); /* NULL is fine */

/*
 * What a server knows of an unknown user, before anything is asked; NULL: he
 * is unknown there as well.
 */
void client_auth_learn(struct client_auth *auth, const char *secret);

/* The first question, appended to out. */
enum client_auth_result client_auth_begin(struct client_auth *auth,
					  struct buf *out);
/* The client's next message, of type 'p' and complete. */
enum client_auth_result client_auth_step(struct client_auth *auth,
					 const struct pgwire_message *message,
					 struct buf *out);
const char *client_auth_error(const struct client_auth *auth);

/* For the log alone: is there such a user, and what has failed with WRONG. */
bool client_auth_is_known(const struct client_auth *auth);
const char *client_auth_failure(const struct client_auth *auth);

/* After DONE: what was proved, for logging in at servers as this user. */
const char *client_auth_password(const struct client_auth *auth);
/* What was learnt, if a server takes it for a login; else NULL. */
const char *client_auth_secret(const struct client_auth *auth);
bool client_auth_keys(const struct client_auth *auth, uint8_t *client_key,
		      uint8_t *server_key);

/*
 * On a Unix socket: the system user whose program this is, under a name of
 * the console.  Whoever can signal the process needs no password to rule it.
 */
bool client_auth_is_owner(int fd, const char *user);

/* May use every command of the console. */
bool client_auth_is_admin(const struct local *local, const char *user);

#endif
