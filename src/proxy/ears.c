/*
 * Listeners of one worker by channel, and how a client is told.
 *
 * As PostgreSQL does, a client is told of notifications only between its
 * transactions; until then they queue here, within limits.  What is queued is
 * looked at once more before it goes: a channel may have been left meanwhile.
 *
 * Invariant: a post (a channel of a hub) exists while somebody hears it or
 * while it is being told.
 */
#include "proxy/ears.h"

#include "base/list.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/channels.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/hub_mail.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One channel of one hub, with those who hear it. */
struct post {
	struct list listeners;
	char *key;
	bool is_telling;
};

/* One listener of a post. */
struct listener {
	struct list link;
	struct ear *ear;
	struct post *post;
};

struct ear *ear_new(struct session *session)
{
	struct ear *ear = xcalloc(1, sizeof(*ear));

	ear->session = session;
	ear->heard = channels_new();
	ear->listeners = strmap_new();
	ear->found = channels_new();
	ear->added = channels_new();
	return ear;
}

/* --- posts --- */

static struct post *find_post(struct local *local, char *key)
{
	struct post *post = strmap_get(local->ears, key);

	if (post) {
		free(key);
		return post;
	}
	post = xcalloc(1, sizeof(*post));
	post->key = key;
	list_init(&post->listeners);
	(void)strmap_put(local->ears, key, post);
	return post;
}

static void drop_post(struct local *local, struct post *post)
{
	if (post->is_telling || !list_is_empty(&post->listeners))
		return;
	(void)strmap_remove(local->ears, post->key);
	free(post->key);
	free(post);
}

void ear_add(struct ear *ear, const char *channel)
{
	struct listener *listener;

	if (ear_hears(ear, channel))
		return;
	listener = xcalloc(1, sizeof(*listener));
	listener->ear = ear;
	listener->post = find_post(ear->session->local,
				   hub_channel_key(ear->hub, channel));
	list_append(&listener->post->listeners, &listener->link);
	(void)strmap_put(ear->listeners, channel, listener);
	(void)channels_add(ear->heard, channel);
}

static void end_listener(struct ear *ear, struct listener *listener)
{
	struct post *post = listener->post;

	list_remove(&listener->link);
	drop_post(ear->session->local, post);
	free(listener);
}

void ear_remove(struct ear *ear, const char *channel)
{
	struct listener *listener = strmap_remove(ear->listeners, channel);

	if (!listener)
		return;
	end_listener(ear, listener);
	(void)channels_remove(ear->heard, channel);
}

bool ear_hears(const struct ear *ear, const char *channel)
{
	return channels_has(ear->heard, channel);
}

size_t ear_count(const struct ear *ear)
{
	return channels_count(ear->heard);
}

void ear_free(struct ear *ear)
{
	void *value;
	size_t at = 0;

	while (strmap_next(ear->listeners, &at, NULL, &value))
		end_listener(ear, value);
	strmap_free(ear->listeners, NULL);
	channels_free(ear->heard);
	wheel_unset(&ear->timer);
	channels_free(ear->found);
	channels_free(ear->added);
	buf_free(&ear->queue);
	buf_free(&ear->native);
	buf_free(&ear->late);
	free(ear->encoding);
	free(ear->hub);
	free(ear);
}

/* --- telling --- */

bool ear_is_open(const struct ear *ear)
{
	const struct session *session = ear->session;

	return !ear->is_holding && ear->step == EAR_REST &&
	       !session->is_mid_unit && !session_has_pending(session) &&
	       !session_is_in_transaction(session);
}

/* --- the server's and the hub's --- */

static bool is_added(const struct ear *ear, const char *channel)
{
	return channels_has(ear->added, channel);
}

/* One that both tell. */
static bool is_shared(const struct ear *ear,
		      const struct pgwire_message *message)
{
	struct pgwire_notification heard;

	return message->type == 'A' &&
	       pgwire_read_notification(message, &heard) &&
	       ear_hears(ear, heard.channel) && !is_added(ear, heard.channel);
}

/* The next of them from *at on, or false. */
static bool next_shared(const struct ear *ear, const struct buf *messages,
			size_t end, size_t *at, struct pgwire_message *message)
{
	const uint8_t *data = buf_head(messages);

	while (*at < end &&
	       pgwire_read(data + *at, end - *at, message) == PGWIRE_OK) {
		*at += message->total;
		if (is_shared(ear, message))
			return true;
	}
	return false;
}

static size_t count_shared(const struct ear *ear, const struct buf *messages,
			   size_t end)
{
	struct pgwire_message message;
	size_t count = 0;
	size_t at = 0;

	while (next_shared(ear, messages, end, &at, &message))
		count++;
	return count;
}

/* The same notification; of the sender each may know something else. */
static bool is_same(const struct pgwire_message *one,
		    const struct pgwire_message *other)
{
	return one->body_len == other->body_len &&
	       memcmp(one->body + 4, other->body + 4, one->body_len - 4) == 0;
}

/*
 * Where in the queue begins what the server has told, too: it began to tell
 * later than the hub, so that is the queue's end, message by message.  False
 * when it is not.
 */
static bool find_overlap(const struct ear *ear, size_t *from)
{
	size_t end = ear->queue_mark;
	size_t native = count_shared(ear, &ear->native, ear->native_mark);
	size_t queued = count_shared(ear, &ear->queue, end);
	struct pgwire_message here;
	struct pgwire_message there;
	size_t at = 0;
	size_t native_at = 0;

	if (native > queued)
		return false;
	for (size_t i = native; i < queued; i++)
		(void)next_shared(ear, &ear->queue, end, &at, &there);
	*from = at;
	while (next_shared(ear, &ear->native, ear->native_mark, &native_at,
			   &here))
		if (!next_shared(ear, &ear->queue, end, &at, &there) ||
		    !is_same(&here, &there))
			return false;
	return true;
}

bool ear_keep(struct ear *ear, const struct pgwire_notification *heard)
{
	if (ear_count(ear) == 0 && ear->step != EAR_TOKEN)
		return false;
	if (ear_is_open(ear))
		return ear_hears(ear, heard->channel);
	pgbuild_notification(&ear->native, heard->pid, heard->channel,
			     heard->payload);
	return true;
}

/* What only the server has told, up to end. */
static void tell_native(const struct ear *ear, struct buf *out, size_t end)
{
	const uint8_t *data = buf_head(&ear->native);
	struct pgwire_message message;

	for (size_t at = 0; at < end && pgwire_read(data + at, end - at,
						    &message) == PGWIRE_OK;
	     at += message.total)
		if (!is_shared(ear, &message))
			buf_append(out, data + at, message.total);
}

/*
 * The server's order, from that place in the queue on; of what both tell the
 * hub's, which knew earlier whose it is.
 */
static void interleave(const struct ear *ear, struct buf *out, size_t queue_at)
{
	const uint8_t *data = buf_head(&ear->native);
	const uint8_t *queue = buf_head(&ear->queue);
	size_t end = ear->native_mark;
	struct pgwire_message message;
	struct pgwire_message same;

	for (size_t at = 0; at < end && pgwire_read(data + at, end - at,
						    &message) == PGWIRE_OK;
	     at += message.total) {
		size_t from = queue_at;

		if (!is_shared(ear, &message))
			buf_append(out, data + at, message.total);
		else if (next_shared(ear, &ear->queue, ear->queue_mark,
				     &queue_at, &same))
			buf_append(out, queue + from, queue_at - from);
	}
	if (queue_at < ear->queue_mark)
		buf_append(out, queue + queue_at, ear->queue_mark - queue_at);
}

void ear_merge(struct ear *ear)
{
	size_t mark = ear->queue_mark;
	struct buf merged = BUF_INIT;
	size_t from;

	assert(mark <= buf_len(&ear->queue) &&
	       ear->native_mark <= buf_len(&ear->native));
	if (find_overlap(ear, &from)) {
		buf_append(&merged, buf_head(&ear->queue), from);
		interleave(ear, &merged, from);
	} else {
		buf_append(&merged, buf_head(&ear->queue), mark);
		tell_native(ear, &merged, ear->native_mark);
	}
	buf_consume(&ear->queue, mark);
	buf_append(&merged, buf_head(&ear->queue), buf_len(&ear->queue));
	buf_free(&ear->queue);
	buf_free(&ear->native);
	ear->queue = merged;
}

static bool is_wanted(const struct ear *ear,
		      const struct pgwire_message *message)
{
	struct pgwire_notification heard;

	return message->type != 'A' ||
	       (pgwire_read_notification(message, &heard) &&
		ear_hears(ear, heard.channel));
}

void ear_flush(struct ear *ear)
{
	const uint8_t *data = buf_head(&ear->queue);
	size_t len = buf_len(&ear->queue);
	struct pgwire_message message;
	size_t at = 0;

	while (at < len &&
	       pgwire_read(data + at, len - at, &message) == PGWIRE_OK) {
		if (is_wanted(ear, &message))
			stream_write(ear->session->client, data + at,
				     message.total);
		at += message.total;
	}
	assert(at == len);
	buf_free(&ear->queue);
	tell_native(ear, stream_out(ear->session->client),
		    buf_len(&ear->native));
	buf_free(&ear->native);
}

void ear_tell_late(struct ear *ear)
{
	if (buf_len(&ear->late) > 0)
		stream_write(ear->session->client, buf_head(&ear->late),
			     buf_len(&ear->late));
	buf_free(&ear->late);
}

/* Nobody reads them, and they would pile up without end. */
static void end_unread(struct session *session)
{
	log_warning("client %s/%s@%s does not read its notifications, its "
		    "connection is closed",
		    pool_database(session->pool), pool_user(session->pool),
		    session->address);
	session_fail(session, "53400",
		     "terminating connection because notifications were not "
		     "read",
		     "Read what the server sends, or end transactions sooner.");
}

void ear_take(struct ear *ear, const struct buf *message)
{
	struct stream *client = ear->session->client;

	if (ear_is_open(ear))
		stream_write(client, buf_head(message), buf_len(message));
	else
		buf_append(&ear->queue, buf_head(message), buf_len(message));
	if (stream_out_len(client) + buf_len(&ear->queue) > EAR_UNREAD_MAX)
		end_unread(ear->session);
}

void ears_hear(struct local *local, const struct mail_heard *heard)
{
	char *key = hub_channel_key(heard->hub, heard->channel);
	struct post *post = strmap_get(local->ears, key);
	struct buf message = BUF_INIT;

	free(key);
	if (!post)
		return;
	pgbuild_notification(&message, heard->pid, heard->channel,
			     heard->payload);
	post->is_telling = true;
	LIST_FOREACH_SAFE (link, &post->listeners)
		ear_take(LIST_ENTRY(link, struct listener, link)->ear,
			 &message);
	post->is_telling = false;
	drop_post(local, post);
	buf_free(&message);
}
