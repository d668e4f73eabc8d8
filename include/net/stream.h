#ifndef PGWEIR_NET_STREAM_H
#define PGWEIR_NET_STREAM_H

/*
 * One byte stream over a socket, plain or TLS: an in-buffer, an out-buffer,
 * one event registration.  Knows no PostgreSQL.  Belongs to one worker at a
 * time; stream_park and stream_adopt carry it to another.
 *
 * Everything that happens is told through one callback.  Inside the callback
 * anything may be called, stream_close included: memory goes at the end of
 * the loop turn.
 */
#include "net/socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct tls;
struct worker;
struct stream;

enum stream_event {
	STREAM_CONNECTED, /* stream_connect succeeded */
	STREAM_SECURED,   /* the TLS handshake is done */
	STREAM_DATA,      /* stream_data has grown */
	STREAM_DRAINED,   /* out-buffer is low again, or empty as asked */
	STREAM_CLOSED     /* peer is gone or failed: stream_error says why */
};

typedef void stream_callback(void *owner, enum stream_event event);

/* Marks of the out-buffer, in bytes. */
enum {
	STREAM_HIGH_WATER = 256 * 1024,
	STREAM_LOW_WATER = 64 * 1024,
	STREAM_UNREAD_LIMIT = 256 * 1024
};

/*
 * Takes a connected socket that is non-blocking and close-on-exec (TCP_NODELAY
 * is set here).  It is registered for reading once and stays so.
 */
struct stream *stream_new(struct worker *worker, int fd,
			  const struct stream_options *options,
			  stream_callback *callback, void *owner);

/*
 * As stream_new, for a socket that a listener has accepted and prepared.  What
 * a client says first is usually there already: it is read at the end of this
 * turn when has_data says so, instead of at the next wake-up.
 */
struct stream *stream_accept(struct worker *worker, int fd,
			     const struct stream_options *options,
			     bool has_data, stream_callback *callback,
			     void *owner);

/*
 * Starts to connect; STREAM_CONNECTED or STREAM_CLOSED follows, never from
 * inside this call.  NULL with errno when not even a socket could be had.
 */
struct stream *stream_connect(struct worker *worker,
			      const struct sockaddr_storage *address,
			      socklen_t address_len,
			      const struct stream_options *options,
			      stream_callback *callback, void *owner);

/*
 * Closes: what the out-buffer holds is tried once more when flush is set
 * (best effort: a peer that does not read does not hold us), then the
 * socket goes.  No callback comes after this call.  Memory is freed at the
 * end of the turn.
 */
void stream_close(struct stream *stream, bool flush);

/* Changes who is told. */
void stream_set_owner(struct stream *stream, stream_callback *callback,
		      void *owner);

/*
 * Turns the stream into a TLS one; takes tls, also when it fails.  What is
 * in the out-buffer goes first, in plain.  Fails (false) when that cannot
 * leave, or when unread plain bytes are waiting: they would have been
 * injected before the handshake (CVE-2021-3935, CVE-2021-23214).
 * STREAM_SECURED follows; what is written until then waits for it.
 */
bool stream_start_tls(struct stream *stream, struct tls *tls);

/* NULL when plain. */
const struct tls *stream_tls(const struct stream *stream);

/* Unread bytes, in one run; valid until the next call that reads or eats. */
const uint8_t *stream_data(const struct stream *stream, size_t *len);
void stream_consume(struct stream *stream, size_t len);

/*
 * Puts bytes in front of the unread ones, as if they came now; no event
 * tells of it.
 */
void stream_unread(struct stream *stream, const void *data, size_t len);

/* Bytes that were consumed, but for those that were put back. */
uint64_t stream_taken(const struct stream *stream);

/*
 * How many unread bytes may pile up before reading pauses by itself; a
 * session that waits for the rest of a long message raises it.
 */
void stream_set_unread_limit(struct stream *stream, size_t bytes);

/*
 * Back-pressure: stops and resumes reading.  Counts nothing; idempotent.
 * Whoever resumes looks at stream_data himself: unread bytes are not told of
 * again.  While paused the end of the peer's bytes goes unnoticed; a failed
 * write does not.
 */
void stream_pause(struct stream *stream, bool is_paused);

/* Queues bytes; they leave at the end of the turn, in one write. */
void stream_write(struct stream *stream, const void *data, size_t len);
/* The same, but they can wait for what is written next (or stream_out()). */
void stream_write_along(struct stream *stream, const void *data, size_t len);

/*
 * As stream_write, for large runs: with an empty out-buffer the bytes go to
 * the socket at once, and only what it does not take is copied.
 */
void stream_forward(struct stream *stream, const void *data, size_t len);

/*
 * The out-buffer, to build messages in place; marks the stream dirty.  Once
 * the stream is not open any more, what is put there is dropped.
 */
struct buf *stream_out(struct stream *stream);
size_t stream_out_len(const struct stream *stream);
static inline bool stream_len_is_high(size_t len)
{
	return len >= STREAM_HIGH_WATER;
}

/* Sends what it can now instead of at the end of the turn. */
void stream_flush(struct stream *stream);
/* The same.  True: all has left; else STREAM_DRAINED comes when it has. */
bool stream_empty(struct stream *stream);

/* True until the peer is gone. */
bool stream_is_open(const struct stream *stream);
/* Why STREAM_CLOSED: "connection reset by peer", "closed by peer", ...; ""
 * as long as nothing has failed. */
const char *stream_error(const struct stream *stream);

/*
 * Takes the stream off its worker: no event, no timer, owner unset.  Only
 * with empty out-buffer, connected, and not within a handshake.  Unread
 * bytes stay, and so does the news that the peer is gone.  Then, on the new
 * worker's thread, stream_adopt, which starts unpaused and with the usual
 * unread limit; or stream_free_parked, on any thread.
 */
void stream_park(struct stream *stream);
void stream_adopt(struct stream *stream, struct worker *worker,
		  stream_callback *callback, void *owner);
void stream_free_parked(struct stream *stream);

int stream_fd(const struct stream *stream);
struct worker *stream_worker(const struct stream *stream);

/* Totals since the stream was made. */
uint64_t stream_bytes_in(const struct stream *stream);
uint64_t stream_bytes_out(const struct stream *stream);

#endif
