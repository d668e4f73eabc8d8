#ifndef PGWEIR_NET_TLS_H
#define PGWEIR_NET_TLS_H

/*
 * TLS sessions by OpenSSL 3 on non-blocking sockets.  A session belongs to
 * one thread at a time and may move.  Writes to a closed socket raise
 * SIGPIPE: the process must ignore that signal.
 */
#include "net/tls_context.h"

#include <stdbool.h>
#include <stddef.h>

struct tls;

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

/*
 * True when a read may bring bytes, the end or a failure without the socket
 * being readable.
 */
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
