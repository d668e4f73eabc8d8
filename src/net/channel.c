/*
 * Channels: one way to move bytes, whether the socket is plain or TLS.
 *
 * Two events per socket, since adding or dropping one of them is a single
 * epoll_ctl while changing the mask of one event is two.  They are
 * persistent: in the ordinary life of a connection nothing is registered but
 * EV_READ, once.
 *
 * Refuses to buffer, to retry and to call anybody.  Belongs to one thread at
 * a time, the one of its loop.
 */
#include "net/channel.h"

#include "base/util.h"
#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

enum { FULL_RECORD = 16 * 1024 };

void channel_init(struct channel *channel, int fd)
{
	*channel = (struct channel){ .fd = fd };
}

void channel_attach(struct channel *channel, struct event_base *base,
		    channel_callback *on_readable,
		    channel_callback *on_writable, void *arg)
{
	assert(channel->watched == 0 && !channel->base);
	channel->base = base;
	channel->on_writable = on_writable;
	channel->arg = arg;
	(void)event_assign(&channel->readable, base, channel->fd,
			   EV_READ | EV_PERSIST, on_readable, arg);
}

void channel_detach(struct channel *channel)
{
	if (channel->watched & EV_READ)
		(void)event_del(&channel->readable);
	if (channel->writable)
		event_free(channel->writable);
	channel->base = NULL;
	channel->writable = NULL;
	channel->watched = 0;
}

static bool switch_event(struct event *event, bool is_on)
{
	return (is_on ? event_add(event, NULL) : event_del(event)) == 0;
}

static bool switch_writable(struct channel *channel, bool is_on)
{
	if (!channel->writable)
		channel->writable = event_new(
			channel->base, channel->fd, EV_WRITE | EV_PERSIST,
			channel->on_writable, channel->arg);
	if (!channel->writable)
		return false;
	return switch_event(channel->writable, is_on);
}

bool channel_watch(struct channel *channel, short events)
{
	int change = events ^ channel->watched;
	bool is_done = true;

	if (change == 0)
		return true;
	channel->watched = events;
	if (change & EV_READ)
		is_done = switch_event(&channel->readable, events & EV_READ);
	if (change & EV_WRITE && !switch_writable(channel, events & EV_WRITE))
		is_done = false;
	return is_done;
}

void channel_close(struct channel *channel)
{
	channel_detach(channel);
	if (channel->fd >= 0)
		(void)close(channel->fd);
	channel->fd = -1;
}

void channel_free(struct channel *channel)
{
	channel_close(channel);
	tls_free(channel->tls);
	channel->tls = NULL;
}

void channel_set_tls(struct channel *channel, struct tls *tls)
{
	assert(!channel->tls);
	channel->tls = tls;
}

static enum socket_result from_tls(enum tls_result result)
{
	static const enum socket_result results[] = {
		[TLS_OK] = SOCKET_OK,
		[TLS_WANT_READ] = SOCKET_WANT_READ,
		[TLS_WANT_WRITE] = SOCKET_WANT_WRITE,
		[TLS_EOF] = SOCKET_EOF,
		[TLS_FAILED] = SOCKET_FAILED,
	};

	return results[result];
}

enum socket_result channel_handshake(struct channel *channel)
{
	return from_tls(tls_handshake(channel->tls));
}

/*
 * OpenSSL stops where a record ends in its buffer, whether or not the socket
 * has more; after a full record it usually has.
 */
static enum socket_result read_tls(struct channel *channel, uint8_t *area,
				   size_t room, size_t *got)
{
	enum tls_result result;
	size_t done;

	*got = 0;
	do {
		result =
			tls_read(channel->tls, area + *got, room - *got, &done);
		*got += done;
	} while (result == TLS_OK && done >= FULL_RECORD && *got < room);
	return from_tls(result);
}

enum socket_result channel_read(struct channel *channel, uint8_t *area,
				size_t room, size_t *got)
{
	enum socket_result result;

	if (channel->tls)
		result = read_tls(channel, area, room, got);
	else
		result = socket_read(channel->fd, area, room, got);
	channel->bytes_in += *got;
	return result;
}

static enum socket_result write_tls(struct channel *channel,
				    const uint8_t *data, size_t len,
				    size_t *put)
{
	enum tls_result result;

	*put = 0;
	do {
		size_t done = 0;

		result =
			tls_write(channel->tls, data + *put, len - *put, &done);
		*put += done;
	} while (result == TLS_OK && *put < len);
	return from_tls(result);
}

enum socket_result channel_write(struct channel *channel, const uint8_t *data,
				 size_t len, size_t *put)
{
	enum socket_result result;

	if (channel->tls)
		result = write_tls(channel, data, len, put);
	else
		result = socket_write(channel->fd, data, len, put);
	channel->bytes_out += *put;
	return result;
}

bool channel_is_pending(const struct channel *channel)
{
	return channel->tls && tls_pending(channel->tls);
}

char *channel_describe_error(const struct channel *channel)
{
	int error = errno;

	if (channel->tls && *tls_error(channel->tls))
		return xstrdup(tls_error(channel->tls));
	return socket_describe_error(error);
}
