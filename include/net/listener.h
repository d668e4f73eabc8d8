#ifndef PGWEIR_NET_LISTENER_H
#define PGWEIR_NET_LISTENER_H

/*
 * Listening sockets, TCP and Unix.  Accepts and hands each socket to a
 * callback; knows nothing of what is spoken on it.  Opened by the main thread,
 * then used by the thread of the loop that serves them alone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct buf;
struct event_base;
struct listeners;

struct listener_options {
	const char *addresses; /* comma list, "*", names; "": none */
	uint16_t port;
	int backlog;
	const char *unix_dir; /* "": none; "@..." abstract */
	int unix_mode;
	const char *unix_group;
	bool defer_accept;
	bool keepalive; /* inherited by the sockets accepted */
};

typedef void listener_callback(void *arg, int fd, bool is_unix,
			       const struct sockaddr_storage *peer);

/*
 * Binds everything and listens; NULL with a line per fault in error when an
 * address cannot be bound.  A stale Unix socket file is replaced, a live one
 * is not.  May block: names are looked up.
 */
struct listeners *listeners_new(const struct listener_options *options,
				struct buf *error);

/*
 * Once: accepts on this loop from now on.  The callback owns the socket, which
 * is non-blocking and close-on-exec.  False when the system refuses.
 */
bool listeners_serve(struct listeners *listeners, struct event_base *base,
		     listener_callback *callback, void *arg);

/* From here on; on the thread of the loop that serves them. */
void listeners_set_keepalive(const struct listeners *listeners, bool keepalive);

/*
 * Stops accepting; clients see connection refused.  Unix files go.  On the
 * loop's thread, or when that has ended, before the loop is freed.
 */
void listeners_close(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

/* What is listened on, for the log: "127.0.0.1:6432, /tmp/.s.PGSQL.6432". */
const char *listeners_describe(const struct listeners *listeners);

#endif
