#ifndef PGWEIR_NET_TLS_H
#define PGWEIR_NET_TLS_H

/*
 * TLS by OpenSSL 3: contexts made from files, and sessions on non-blocking
 * sockets.  A context is immutable, shared by reference and used by any
 * thread; a session belongs to one thread at a time and may move.  Writes to
 * a closed socket raise SIGPIPE: the process must ignore that signal.
 */
#include "core/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct tls;
struct tls_context;

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

/*
 * A session on a connected non-blocking socket, which stays the caller's; it
 * holds a reference to its context.  is_server must be as the context was
 * made.  name, for a client: the host that was asked for, sent as SNI and,
 * with verify-full, compared with the certificate; a name or an address;
 * NULL for none.  NULL when OpenSSL fails or verify-full has no name.
 */
struct tls *tls_new(struct tls_context *context, int fd, bool is_server,
		    const char *name);

/* Frees; sends nothing, leaves the socket open.  tls_free(NULL): nothing. */
void tls_free(struct tls *tls);

enum tls_result {
	TLS_OK,         /* done; for read and write *done > 0 */
	TLS_WANT_READ,  /* again when the socket is readable */
	TLS_WANT_WRITE, /* again when the socket is writable */
	TLS_EOF,        /* the other side has closed */
	TLS_FAILED      /* see tls_error(); the session is of no more use */
};

/* Drives the handshake until TLS_OK. */
enum tls_result tls_handshake(struct tls *tls);

/*
 * Reads up to len bytes.  Call until TLS_WANT_READ or until tls_pending() is
 * false: bytes already taken from the socket wake no poll.
 */
enum tls_result tls_read(struct tls *tls, void *data, size_t len, size_t *done);

/*
 * Writes some of len bytes.  After TLS_WANT_* the next call must offer the
 * same bytes again; there may be more of them and they may have moved.
 * TLS_OK with *done 0 for len 0.
 */
enum tls_result tls_write(struct tls *tls, const void *data, size_t len,
			  size_t *done);

/* True when a read may succeed without the socket being readable. */
bool tls_pending(const struct tls *tls);

/* Sends close_notify as far as the socket takes it; never waits. */
void tls_close_notify(struct tls *tls);

/* Why the last call failed; "" when none did.  Lives as long as tls. */
const char *tls_error(const struct tls *tls);

/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; after the handshake. */
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);

/* True when both sides agreed on ALPN "postgresql" (direct TLS wants it). */
bool tls_has_alpn(const struct tls *tls);

/*
 * Common name of the other side's verified certificate, lives as long as
 * tls; NULL when there is none or it holds a NUL byte.  After the handshake.
 */
const char *tls_peer_common_name(const struct tls *tls);

#endif
