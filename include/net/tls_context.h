#ifndef PGWEIR_NET_TLS_CONTEXT_H
#define PGWEIR_NET_TLS_CONTEXT_H

/*
 * What TLS sessions of one configuration share: certificates, authorities,
 * versions and ciphers.  A context is immutable, shared by reference and
 * used by any thread; a reload makes a new one, and sessions keep theirs.
 */
#include "core/config_data.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct tls_context;

/* ALPN, as PostgreSQL 17 has it. */
#define TLS_ALPN "postgresql"

/* Values of the client_tls_* or server_tls_* keys; NULL or "": default. */
struct tls_files {
	const char *key;  /* PEM files */
	const char *cert; /* own certificate, then its chain */
	const char *ca;
	const char *protocols;     /* "secure", "all", or a list of names */
	const char *ciphers;       /* up to TLS 1.2 */
	const char *tls13_ciphers; /* TLS 1.3 */
	const char *ecdhcurve;     /* "auto", or a list of groups */
	const char *dheparams;     /* "auto", "none" */
};

/*
 * A context for us as the server of clients (client_tls_*).  allow, prefer
 * and require ask for no client certificate; verify-ca and verify-full want
 * one that the ca file vouches for; with verify-full the caller compares
 * tls_peer_common_name() with the user.  On failure (also for mode disable)
 * NULL, and a line that says what to mend is appended to error.
 */
struct tls_context *tls_context_new_server(const struct tls_files *files,
					   enum config_sslmode mode,
					   struct buf *error);

/*
 * A context for us as the client of servers (server_tls_*).  allow and
 * prefer verify nothing; require verifies the chain when there is a ca file,
 * as libpq does; verify-ca always; verify-full also the name of the host.
 */
struct tls_context *tls_context_new_client(const struct tls_files *files,
					   enum config_sslmode mode,
					   struct buf *error);

/* References; any thread.  release(NULL) does nothing. */
struct tls_context *tls_context_hold(const struct tls_context *context);
void tls_context_release(const struct tls_context *context);

/* When our own certificate ends, seconds since 1970; 0: there is none. */
int64_t tls_context_expiry(const struct tls_context *context);

/* For sessions: what the context was made as. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);
bool tls_context_is_server(const struct tls_context *context);
enum config_sslmode tls_context_mode(const struct tls_context *context);

/* The first cause in this thread's OpenSSL error queue, which it empties. */
enum { TLS_REASON_ROOM = 160 };
void tls_context_take_reason(char out[TLS_REASON_ROOM]);

#endif
