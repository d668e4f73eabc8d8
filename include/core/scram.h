#ifndef PGWEIR_CORE_SCRAM_H
#define PGWEIR_CORE_SCRAM_H

/*
 * SCRAM-SHA-256 exchanges, both roles, bytes in and bytes out (RFC 5802,
 * RFC 7677, PostgreSQL docs "SASL Authentication").  What goes in and comes
 * out is the SASL text alone, without the type and length of the messages
 * that carry it.  No channel binding: "n" and "y" are accepted, "p" is not.
 * An exchange belongs to one thread at a time.
 */
#include "core/scramkeys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct scram_server;
struct scram_client;

#define SCRAM_MECHANISM "SCRAM-SHA-256"

/* A longer message of the other side is refused unread. */
enum { SCRAM_MESSAGE_MAX = 2048 };

enum scram_result {
	SCRAM_CONTINUE, /* send what was appended to out, await an answer */
	SCRAM_DONE,     /* proved; a server sends what was appended to out */
	SCRAM_WRONG,    /* wrong password, or the server is an impostor */
	SCRAM_BAD       /* not SCRAM as agreed: a protocol violation */
};

/*
 * Server role.  secret: a password, a SCRAM secret, or NULL (and likewise an
 * MD5 or broken SCRAM secret) for a mock exchange, which looks the same and
 * ends in SCRAM_WRONG.  iterations, for passwords and mocks: 0 means
 * SCRAM_ITERATIONS.  Nothing of the arguments is kept by address.
 */
struct scram_server *scram_server_new(const char *secret, const char *user,
				      uint32_t iterations);
void scram_server_free(struct scram_server *server);

/*
 * Takes the client's next message: first client-first (SASLInitialResponse;
 * answers SCRAM_CONTINUE with server-first for AuthenticationSASLContinue),
 * then client-final (SASLResponse; answers SCRAM_DONE with server-final for
 * AuthenticationSASLFinal).  After anything but SCRAM_CONTINUE the exchange
 * is over and every further message is SCRAM_BAD.
 */
enum scram_result scram_server_step(struct scram_server *server,
				    const void *message, size_t len,
				    struct buf *out);

/*
 * The keys that a finished (SCRAM_DONE) exchange has proved, to log in at a
 * PostgreSQL that stores the same SCRAM secret; false before that.
 */
bool scram_server_client_key(const struct scram_server *server,
			     uint8_t out[SCRAM_KEY_LEN]);
bool scram_server_server_key(const struct scram_server *server,
			     uint8_t out[SCRAM_KEY_LEN]);

/* What was wrong, for the log (no secret in it); "" when nothing was. */
const char *scram_server_error(const struct scram_server *server);

/*
 * Client role, with a password, or with keys from a finished server exchange
 * (SCRAM pass-through; the salt is then not looked at).
 */
struct scram_client *scram_client_new(const char *password);
struct scram_client *scram_client_new_with_keys(
	const uint8_t client_key[SCRAM_KEY_LEN],
	const uint8_t server_key[SCRAM_KEY_LEN]);
void scram_client_free(struct scram_client *client);

/* Appends client-first, the body of SASLInitialResponse.  Call once. */
void scram_client_first(struct scram_client *client, struct buf *out);

/*
 * Takes server-first (AuthenticationSASLContinue; answers SCRAM_CONTINUE with
 * client-final for SASLResponse), then server-final (AuthenticationSASLFinal;
 * answers SCRAM_DONE, nothing to send).  The server is proved only by
 * SCRAM_DONE: AuthenticationOk before that must be refused by the caller.
 */
enum scram_result scram_client_step(struct scram_client *client,
				    const void *message, size_t len,
				    struct buf *out);
const char *scram_client_error(const struct scram_client *client);

/*
 * For tests: the nonce instead of a random one, before the first message;
 * printable, without commas, at most SCRAM_NONCE_MAX bytes.
 */
enum { SCRAM_NONCE_MAX = 64 };
void scram_server_set_nonce(struct scram_server *server, const char *nonce);
void scram_client_set_nonce(struct scram_client *client, const char *nonce);

#endif
