/*
 * Blocking connections that read and write messages of the protocol.
 */
#include "train.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void train_die(const char *what)
{
	int error = errno;

	(void)fprintf(stderr, "train: %s (%s)\n", what, strerror(error));
	/* Threads still run: no clean-up may take their ground away. */
	_exit(1);
}

static struct sockaddr_in address_of(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
}

int wire_listen(uint16_t *port)
{
	struct sockaddr_in address = address_of(0);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, SOMAXCONN) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		train_die("cannot listen on 127.0.0.1");
	*port = ntohs(address.sin_port);
	return fd;
}

int wire_connect(uint16_t port)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		train_die("no socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

struct wire *wire_new(int fd)
{
	struct wire *wire = malloc(sizeof(*wire));

	if (!wire)
		train_die("no memory");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			 sizeof(int));
	wire->fd = fd;
	wire->in_at = wire->in_len = wire->out_len = 0;
	return wire;
}

void wire_free(struct wire *wire)
{
	(void)close(wire->fd);
	free(wire);
}

/* Until count bytes lie behind in_at. */
static bool fill(struct wire *wire, size_t count)
{
	if (count > MESSAGE_MAX)
		return false;
	if (wire->in_at + count > MESSAGE_MAX) {
		memmove(wire->in, wire->in + wire->in_at,
			wire->in_len - wire->in_at);
		wire->in_len -= wire->in_at;
		wire->in_at = 0;
	}
	while (wire->in_len - wire->in_at < count) {
		ssize_t got = recv(wire->fd, wire->in + wire->in_len,
				   MESSAGE_MAX - wire->in_len, 0);

		if (got <= 0)
			return false;
		wire->in_len += (size_t)got;
	}
	return true;
}

bool wire_read(struct wire *wire, struct message *message, bool has_type)
{
	size_t type = has_type ? 1 : 0;
	uint32_t len;

	if (wire->in_at == wire->in_len)
		wire->in_at = wire->in_len = 0;
	if (!fill(wire, type + sizeof(len)))
		return false;
	memcpy(&len, wire->in + wire->in_at + type, sizeof(len));
	len = ntohl(len);
	if (len < sizeof(len) || !fill(wire, type + len))
		return false;
	message->type = '\0';
	if (has_type)
		message->type = wire->in[wire->in_at];
	message->body = wire->in + wire->in_at + type + sizeof(len);
	message->len = len - sizeof(len);
	wire->in_at += type + len;
	return true;
}

bool wire_flush(struct wire *wire)
{
	for (size_t at = 0; at < wire->out_len;) {
		ssize_t sent = send(wire->fd, wire->out + at,
				    wire->out_len - at, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		at += (size_t)sent;
	}
	wire->out_len = 0;
	return true;
}

void wire_put(struct wire *wire, const void *bytes, size_t len)
{
	if (len > MESSAGE_MAX)
		train_die("a message too long to send");
	if (wire->out_len + len > MESSAGE_MAX && !wire_flush(wire))
		wire->out_len = 0; /* the reader sees the end */
	memcpy(wire->out + wire->out_len, bytes, len);
	wire->out_len += len;
}

void wire_message(struct wire *wire, char type, const void *body, size_t len)
{
	uint32_t size = htonl((uint32_t)(len + sizeof(size)));

	if (type)
		wire_put(wire, &type, 1);
	wire_put(wire, &size, sizeof(size));
	wire_put(wire, body, len);
}
