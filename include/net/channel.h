#ifndef PGWEIR_NET_CHANNEL_H
#define PGWEIR_NET_CHANNEL_H

/*
 * The lower half of a stream: a socket, the TLS session on it if there is
 * one, and what is registered for it with a loop.  Moves bytes between the
 * socket and memory of the caller's; knows no owner and no buffer.
 */
#include "net/socket.h"

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct tls;

/* Takes (fd, what, arg), as libevent calls it. */
typedef void channel_callback(int fd, short what, void *arg);

/* Embedded in the stream; fields are read by it, changed here only. */
struct channel {
	int fd;                  /* -1: closed */
	short watched;           /* EV_READ, EV_WRITE */
	struct tls *tls;         /* NULL: plain */
	struct event_base *base; /* NULL: not on a loop */
	struct event readable;
	struct event *writable; /* NULL until it is wanted; most never are */
	channel_callback *on_writable;
	void *arg;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

/* Takes a socket; watches nothing yet. */
void channel_init(struct channel *channel, int fd);

/* Joins a loop, leaves it.  Leaving twice is harmless. */
void channel_attach(struct channel *channel, struct event_base *base,
		    channel_callback *on_readable,
		    channel_callback *on_writable, void *arg);
void channel_detach(struct channel *channel);

/*
 * Watches for exactly these events from now on; a system call only for what
 * changes.  False when the system refuses.
 */
bool channel_watch(struct channel *channel, short events);

/* Closes the socket, out of its loop; TLS stays to be looked at. */
void channel_close(struct channel *channel);

/* Frees what is left. */
void channel_free(struct channel *channel);

/* Takes the session that goes on top of the socket. */
void channel_set_tls(struct channel *channel, struct tls *tls);

/* A step of the TLS handshake; SOCKET_OK when it is done. */
enum socket_result channel_handshake(struct channel *channel);

/*
 * Reads once from a plain socket; with TLS, until room is full or OpenSSL
 * has no more.  Whatever came is in *got, also when the result is not OK.
 */
enum socket_result channel_read(struct channel *channel, uint8_t *area,
				size_t room, size_t *got);

/* Writes what the socket takes; SOCKET_OK also when that is not all. */
enum socket_result channel_write(struct channel *channel, const uint8_t *data,
				 size_t len, size_t *put);

/* Bytes or an end inside OpenSSL, of which no poll will tell. */
bool channel_is_pending(const struct channel *channel);

/* Why the last call failed; to be asked at once.  The caller's. */
char *channel_describe_error(const struct channel *channel);

#endif
