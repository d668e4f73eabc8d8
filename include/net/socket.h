#ifndef PGWEIR_NET_SOCKET_H
#define PGWEIR_NET_SOCKET_H

/*
 * System calls on one stream socket, TCP or Unix, non-blocking, with results
 * that say what to wait for.  Keeps nothing; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Socket options of every connection; 0 and false: the system's default. */
struct stream_options {
	bool keepalive;
	int keepcnt;
	int keepidle;
	int keepintvl;
	int user_timeout_ms;
	int socket_buffer;
};

enum socket_result {
	SOCKET_OK, /* *done > 0 */
	SOCKET_WANT_READ,
	SOCKET_WANT_WRITE,
	SOCKET_EOF,
	SOCKET_FAILED /* errno says why */
};

/*
 * Sets the options that apply to the socket's kind.  What the system refuses
 * is left at its default.
 */
void socket_prepare(int fd, const struct stream_options *options);

/*
 * What each connection would need a call for and Linux lets it inherit from
 * the TCP socket that it was accepted from: TCP_NODELAY, keepalive or not.
 * May be called again while it listens.
 */
void socket_prepare_listener(int fd, bool keepalive);
/* Sets the options that an accepted socket does not inherit. */
void socket_prepare_accepted(int fd, const struct stream_options *options);

/*
 * A prepared socket on its way to address, or -1 with errno.  *error is 0
 * when it is connected already, EINPROGRESS when it will become writable,
 * else why it failed at once.
 */
int socket_connect(const struct sockaddr_storage *address, socklen_t len,
		   const struct stream_options *options, int *error);

/* What became of a connect in progress: 0 or an error number. */
int socket_take_error(int fd);

enum socket_result socket_read(int fd, void *data, size_t room, size_t *done);

/* Raises no SIGPIPE. */
enum socket_result socket_write(int fd, const void *data, size_t len,
				size_t *done);

/*
 * To be called after the last words and before close: ends our side and
 * drops what a TCP peer has sent meanwhile, since closing over unread bytes
 * sends a reset, which can overtake the last words.
 */
void socket_end(int fd);

/* "connection refused"; a fresh string, the caller's. */
char *socket_describe_error(int error);

#endif
