/*
 * The socket calls below a stream: options, connect, read, write, end.
 *
 * Refuses to decide anything: no retry, no log, no buffer.  EAGAIN and EINTR
 * both come back as "wait": polling is level-triggered, so an interrupted
 * call is simply repeated at the next wake-up.
 *
 * No state; any thread.
 */
#include "net/socket.h"

#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum { DROP_BYTES = 1024 * 1024 };

static void set_option(int fd, int level, int name, int value)
{
	if (value > 0)
		(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Those of the rest that nothing is inherited of. */
static void set_rare(int fd, const struct stream_options *options)
{
	set_option(fd, SOL_SOCKET, SO_SNDBUF, options->socket_buffer);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, options->socket_buffer);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout_ms);
	if (!options->keepalive)
		return;
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, options->keepcnt);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keepidle);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, options->keepintvl);
}

void socket_prepare(int fd, const struct stream_options *options)
{
	int one = 1;

	/* A Unix socket says no, and needs no probes. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    options->keepalive)
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_rare(fd, options);
}

void socket_prepare_listener(int fd, bool keepalive)
{
	int one = 1;
	int probes = keepalive;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &probes, sizeof(probes));
}

void socket_prepare_accepted(int fd, const struct stream_options *options)
{
	set_rare(fd, options);
}

int socket_connect(const struct sockaddr_storage *address, socklen_t len,
		   const struct stream_options *options, int *error)
{
	int fd = socket(address->ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	socket_prepare(fd, options);
	*error = 0;
	if (connect(fd, (const struct sockaddr *)address, len) != 0)
		*error = errno;
	return fd;
}

int socket_take_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

static bool is_passing(int error)
{
	return error == EAGAIN || error == EINTR;
}

enum socket_result socket_read(int fd, void *data, size_t room, size_t *done)
{
	ssize_t got = recv(fd, data, room, 0);

	*done = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return SOCKET_OK;
	if (got == 0)
		return SOCKET_EOF;
	return is_passing(errno) ? SOCKET_WANT_READ : SOCKET_FAILED;
}

enum socket_result socket_write(int fd, const void *data, size_t len,
				size_t *done)
{
	ssize_t put = send(fd, data, len, MSG_NOSIGNAL);

	*done = put > 0 ? (size_t)put : 0;
	if (put >= 0)
		return SOCKET_OK;
	return is_passing(errno) ? SOCKET_WANT_WRITE : SOCKET_FAILED;
}

void socket_end(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (shutdown(fd, SHUT_WR) != 0)
		return;
	/* Only TCP drops without copying. */
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &type, &len) == 0 &&
	    type == IPPROTO_TCP)
		(void)recv(fd, NULL, DROP_BYTES, MSG_DONTWAIT | MSG_TRUNC);
}

char *socket_describe_error(int error)
{
	const char *known = strerrordesc_np(error);
	char *text;

	if (!known)
		return xasprintf("error %d", error);
	text = xstrdup(known);
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
