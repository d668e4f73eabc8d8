#ifndef PGWEIR_CORE_LOGIN_H
#define PGWEIR_CORE_LOGIN_H

/*
 * Logging in at a server: answers its authentication requests (PostgreSQL
 * docs, "Message Flow", "Start-up").  Pure: messages in, messages out.
 */
#include "core/scramkeys.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct login;
struct pgwire_message;

/* What a login may use.  Strings are copied. */
struct login_credentials {
	const char *user;
	/* A password, or an MD5 or SCRAM secret; NULL: none. */
	const char *secret;
	/* Keys that a client's own SCRAM login has proved. */
	bool has_keys;
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
};

enum login_result {
	LOGIN_MORE,     /* send what was appended, await the next message */
	LOGIN_ACCEPTED, /* AuthenticationOk */
	LOGIN_REFUSED   /* cannot go on: login_error says why */
};

struct login *login_new(const struct login_credentials *credentials);
void login_free(struct login *login); /* secrets wiped; NULL is fine */

/* Takes an Authentication message, complete. */
enum login_result login_step(struct login *login,
			     const struct pgwire_message *message,
			     struct buf *out);

/* Without any secret; lives as long as login. */
const char *login_error(const struct login *login);

#endif
