/*
 * Streams: how bytes get from sockets to owners and back.
 *
 * Reading: when little is unread, a wake-up reads once into the worker's
 * shared buffer and shows the bytes there (view); only what the owner leaves
 * is copied into the stream's own buffer.  Otherwise it reads behind the
 * unread bytes.  Writing: bytes gather in the out-buffer and leave by one
 * call at the end of the turn (settle).
 *
 * Owners are told from the loop only: from an event, or from settle, which
 * is a task of the worker.  Whatever a call from above finds out is noted in
 * owes, or in the state, and told by settle.
 *
 *   CONNECTING -> OPEN <-> SECURING
 *   OPEN -> BROKEN (a write failed; what the peer said last is still read)
 *   any of these -> LOST (CLOSED is owed) -> TOLD; all -> GONE (we closed)
 *
 * Which events are registered is decided by wanted() alone and changed only
 * when its answer changes: never in the course of ordinary transactions.
 * Runs on the thread of its worker.
 */
#include "net/stream.h"

#include "base/buf.h"
#include "base/util.h"
#include "net/channel.h"
#include "net/tls.h"
#include "net/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum state { CONNECTING, SECURING, OPEN, BROKEN, LOST, TOLD, GONE };

/* What settle has to do beside flushing. */
enum {
	OWES_CONNECTED = 1,
	OWES_HANDSHAKE = 2,
	OWES_READ = 4, /* bytes that poll will not tell of */
	OWES_DRAINED = 8
};

/* What holds a transfer up.  Only TLS ever waits crosswise. */
enum { WRITE_FOR_WRITABLE = 1, WRITE_FOR_READABLE = 2, READ_FOR_WRITABLE = 4 };

enum {
	SMALL_LEFTOVER = 16 * 1024, /* cheaper to copy than to read less */
	READ_LEAST = 16 * 1024,
	FORWARD_LEAST = 16 * 1024 /* below, joining packets pays more */
};

struct stream {
	struct worker *worker; /* NULL: parked */
	stream_callback *callback;
	void *owner;
	struct channel channel;
	struct buf in;
	struct buf out;
	const uint8_t *view; /* unread bytes in the worker's buffer */
	size_t view_len;
	uint64_t taken;
	size_t unread_limit;
	bool *has_left; /* set while the callback runs: parked meanwhile? */
	enum state state;
	uint8_t owes;
	uint8_t waits;
	bool is_paused;
	bool was_high;
	bool wants_empty; /* to be told when all has left */
	char *error;
	struct worker_task settle;
	struct worker_task bury;
};

static const uint8_t legal_moves[] = {
	[CONNECTING] = 1 << OPEN | 1 << LOST | 1 << GONE,
	[SECURING] = 1 << OPEN | 1 << LOST | 1 << GONE,
	[OPEN] = 1 << SECURING | 1 << BROKEN | 1 << LOST | 1 << GONE,
	[BROKEN] = 1 << LOST | 1 << GONE,
	[LOST] = 1 << TOLD | 1 << GONE,
	[TOLD] = 1 << GONE,
	[GONE] = 0,
};

static void set_state(struct stream *stream, enum state state)
{
	assert(legal_moves[stream->state] >> state & 1);
	stream->state = state;
}

static size_t unread_len(const struct stream *stream)
{
	return stream->view ? stream->view_len : buf_len(&stream->in);
}

static void owe(struct stream *stream, unsigned what)
{
	stream->owes = (uint8_t)(stream->owes | what);
	worker_flush_later(stream->worker, &stream->settle);
}

static bool take_owed(struct stream *stream, unsigned what)
{
	bool is_owed = (stream->owes & what) != 0;

	stream->owes = (uint8_t)(stream->owes & ~what);
	return is_owed;
}

static void wait_for(struct stream *stream, unsigned what, unsigned instead_of)
{
	stream->waits = (uint8_t)((stream->waits & ~instead_of) | what);
}

/* ---- events ------------------------------------------------------------- */

static bool wants_data(const struct stream *stream)
{
	return (stream->state == OPEN || stream->state == BROKEN) &&
	       !stream->is_paused && unread_len(stream) < stream->unread_limit;
}

static short wanted(const struct stream *stream)
{
	short want = 0;

	if (stream->state == CONNECTING)
		return EV_WRITE;
	if (stream->state != SECURING && stream->state != OPEN)
		return 0;
	if (stream->state == SECURING || wants_data(stream) ||
	    stream->waits & WRITE_FOR_READABLE)
		want = EV_READ;
	if (stream->waits & (WRITE_FOR_WRITABLE | READ_FOR_WRITABLE))
		want |= EV_WRITE;
	return want;
}

static void lose(struct stream *stream, char *why);

static void register_events(struct stream *stream)
{
	short want = wanted(stream);
	int change = want ^ stream->channel.watched;

	if (change == 0)
		return;
	/* Bytes inside OpenSSL wake no poll. */
	if (change & want & EV_READ && stream->state == OPEN &&
	    channel_is_pending(&stream->channel))
		owe(stream, OWES_READ);
	if (!channel_watch(&stream->channel, want))
		lose(stream, socket_describe_error(ENOMEM));
}

/* As register_events; within the owner's callback, once at its end. */
static void reconsider(struct stream *stream)
{
	if (!stream->has_left && stream->worker)
		register_events(stream);
}

/* ---- telling the owner -------------------------------------------------- */

/* False when the stream is closed or parked now: do not touch it. */
static bool tell(struct stream *stream, enum stream_event event)
{
	bool has_left = false;

	assert(!stream->has_left && stream->callback);
	/* Whoever sets it takes the pointer back; else we do, below. */
	/* cppcheck-suppress autoVariables */
	stream->has_left = &has_left;
	stream->callback(stream->owner, event);
	if (has_left)
		return false;
	stream->has_left = NULL;
	return stream->state != GONE;
}

/* The end; takes why (NULL: keep what is known).  settle tells CLOSED. */
static void lose(struct stream *stream, char *why)
{
	if (stream->state >= LOST) {
		free(why);
		return;
	}
	if (why) {
		free(stream->error);
		stream->error = why;
	}
	set_state(stream, LOST);
	stream->waits = 0;
	buf_free(&stream->out);
	reconsider(stream);
	owe(stream, 0);
}

/* A write failed: the peer's last words may still be waiting to be read. */
static void break_off(struct stream *stream, char *why)
{
	free(stream->error);
	stream->error = why;
	set_state(stream, BROKEN);
	stream->waits = 0;
	buf_free(&stream->out);
	reconsider(stream);
	owe(stream, OWES_READ);
}

/* ---- reading ------------------------------------------------------------ */

/* Reads behind the unread bytes, wherever they are better off. */
static enum socket_result read_once(struct stream *stream, size_t *got)
{
	size_t left = buf_len(&stream->in);
	enum socket_result result;
	uint8_t *area;

	if (left > SMALL_LEFTOVER) {
		area = buf_reserve(&stream->in, READ_LEAST);
		result = channel_read(&stream->channel, area,
				      stream->in.room - stream->in.tail, got);
		buf_commit(&stream->in, *got);
		return result;
	}
	area = worker_read_buffer(stream->worker);
	if (left > 0)
		memcpy(area, buf_head(&stream->in), left);
	result = channel_read(&stream->channel, area + left,
			      WORKER_READ_BYTES - left, got);
	if (*got > 0) {
		buf_free(&stream->in);
		stream->view = area;
		stream->view_len = left + *got;
	}
	return result;
}

static void keep_view(struct stream *stream)
{
	if (stream->view)
		buf_append(&stream->in, stream->view, stream->view_len);
	stream->view = NULL;
	stream->view_len = 0;
}

static void judge_read(struct stream *stream, enum socket_result result)
{
	switch (result) {
	case SOCKET_OK: break;
	case SOCKET_WANT_READ:
		if (stream->state == BROKEN)
			lose(stream, NULL);
		break;
	case SOCKET_WANT_WRITE: wait_for(stream, READ_FOR_WRITABLE, 0); break;
	case SOCKET_EOF: lose(stream, xstrdup("closed by peer")); break;
	case SOCKET_FAILED:
		lose(stream, channel_describe_error(&stream->channel));
		break;
	}
	if (stream->state == BROKEN ||
	    (result == SOCKET_OK && channel_is_pending(&stream->channel)))
		owe(stream, OWES_READ);
}

/* One bounded read, told of when it brought something; as tell(). */
static bool read_some(struct stream *stream)
{
	size_t got;
	enum socket_result result = read_once(stream, &got);

	judge_read(stream, result);
	if (got > 0 && !tell(stream, STREAM_DATA))
		return false;
	keep_view(stream);
	register_events(stream);
	return true;
}

/* ---- writing ------------------------------------------------------------ */

/* Sends what the socket takes of len > 0 bytes and notes what to wait for. */
static size_t transmit(struct stream *stream, const uint8_t *data, size_t len)
{
	size_t put;
	enum socket_result result =
		channel_write(&stream->channel, data, len, &put);

	wait_for(stream, 0, WRITE_FOR_WRITABLE | WRITE_FOR_READABLE);
	if (result == SOCKET_FAILED || result == SOCKET_EOF)
		break_off(stream, channel_describe_error(&stream->channel));
	else if (result == SOCKET_WANT_READ)
		wait_for(stream, WRITE_FOR_READABLE, 0);
	else if (put < len)
		wait_for(stream, WRITE_FOR_WRITABLE, 0);
	return put;
}

/* Sends from the out-buffer, whether or not the socket was full before. */
static void push(struct stream *stream)
{
	size_t len = buf_len(&stream->out);
	size_t put;

	if (stream->state >= BROKEN)
		buf_free(&stream->out);
	if (stream->state != OPEN || len == 0)
		return;
	if (stream_len_is_high(len))
		stream->was_high = true;
	put = transmit(stream, buf_head(&stream->out), len);
	if (stream->state != OPEN)
		return;
	buf_consume(&stream->out, put);
	if (stream->was_high && len - put < STREAM_LOW_WATER) {
		stream->was_high = false;
		owe(stream, OWES_DRAINED);
	}
	if (stream->wants_empty && len == put) {
		stream->wants_empty = false;
		owe(stream, OWES_DRAINED);
	}
}

static bool is_blocked(const struct stream *stream)
{
	return stream->waits & (WRITE_FOR_WRITABLE | WRITE_FOR_READABLE);
}

/* ---- connecting and securing -------------------------------------------- */

static bool finish_connect(struct stream *stream, int error)
{
	if (error != 0) {
		lose(stream, socket_describe_error(error));
		return true;
	}
	set_state(stream, OPEN);
	owe(stream, 0);
	if (!tell(stream, STREAM_CONNECTED))
		return false;
	register_events(stream);
	return true;
}

/* A step of the handshake; as tell(). */
static bool shake(struct stream *stream)
{
	enum socket_result result = channel_handshake(&stream->channel);

	stream->waits = result == SOCKET_WANT_WRITE ? WRITE_FOR_WRITABLE : 0;
	if (result == SOCKET_EOF)
		lose(stream, xstrdup("closed by peer in the TLS handshake"));
	else if (result == SOCKET_FAILED)
		lose(stream, channel_describe_error(&stream->channel));
	if (result == SOCKET_OK) {
		set_state(stream, OPEN);
		owe(stream,
		    channel_is_pending(&stream->channel) ? OWES_READ : 0);
		if (!tell(stream, STREAM_SECURED))
			return false;
	}
	register_events(stream);
	return true;
}

/* ---- the loop's calls --------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	(void)fd;
	(void)what;
	(void)worker_now(stream->worker);
	if (stream->state == SECURING) {
		(void)shake(stream);
		return;
	}
	if (stream->waits & WRITE_FOR_READABLE)
		push(stream);
	if (wants_data(stream))
		(void)read_some(stream);
	else
		register_events(stream);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;
	bool is_read_waiting = stream->waits & READ_FOR_WRITABLE;

	(void)what;
	(void)worker_now(stream->worker);
	if (stream->state == CONNECTING) {
		(void)finish_connect(stream, socket_take_error(fd));
		return;
	}
	if (stream->state == SECURING) {
		(void)shake(stream);
		return;
	}
	wait_for(stream, 0, READ_FOR_WRITABLE);
	push(stream);
	if (is_read_waiting && wants_data(stream))
		(void)read_some(stream);
	else
		register_events(stream);
}

/* The news that no more will come, told when the owner wants to hear it. */
static void settle_end(struct stream *stream)
{
	/* Nobody reads on: a failed write cannot wait for the last words. */
	if (stream->state == BROKEN && !wants_data(stream)) {
		lose(stream, NULL);
		stream->is_paused = false;
	}
	if (stream->state == LOST && !stream->is_paused) {
		set_state(stream, TOLD);
		(void)tell(stream, STREAM_CLOSED);
	}
}

/* The stream's part of the end of a turn. */
static void stream_settle(struct worker_task *task)
{
	struct stream *stream = LIST_ENTRY(task, struct stream, settle);

	if (take_owed(stream, OWES_CONNECTED) && !finish_connect(stream, 0))
		return;
	if (take_owed(stream, OWES_HANDSHAKE) && stream->state == SECURING &&
	    !shake(stream))
		return;
	if (!is_blocked(stream))
		push(stream);
	if (take_owed(stream, OWES_READ) && wants_data(stream) &&
	    !read_some(stream))
		return;
	if (take_owed(stream, OWES_DRAINED) && stream->state == OPEN &&
	    !tell(stream, STREAM_DRAINED))
		return;
	register_events(stream);
	settle_end(stream);
}

/* ---- life --------------------------------------------------------------- */

static void stream_free(struct stream *stream)
{
	channel_free(&stream->channel);
	buf_free(&stream->in);
	buf_free(&stream->out);
	free(stream->error);
	free(stream);
}

static void stream_bury(struct worker_task *task)
{
	stream_free(LIST_ENTRY(task, struct stream, bury));
}

static void attach(struct stream *stream, struct worker *worker,
		   stream_callback *callback, void *owner)
{
	stream->worker = worker;
	stream->callback = callback;
	stream->owner = owner;
	stream->unread_limit = STREAM_UNREAD_LIMIT;
	stream->is_paused = false;
	channel_attach(&stream->channel, worker_base(worker), on_readable,
		       on_writable, stream);
}

static void detach(struct stream *stream)
{
	channel_detach(&stream->channel);
	list_remove(&stream->settle.link);
	stream->callback = NULL;
	stream->owner = NULL;
}

static struct stream *stream_make(int fd, enum state state)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	channel_init(&stream->channel, fd);
	stream->state = state;
	worker_task_init(&stream->settle, stream_settle);
	worker_task_init(&stream->bury, stream_bury);
	return stream;
}

struct stream *stream_new(struct worker *worker, int fd,
			  const struct stream_options *options,
			  stream_callback *callback, void *owner)
{
	struct stream *stream = stream_make(fd, OPEN);

	socket_prepare(fd, options);
	attach(stream, worker, callback, owner);
	register_events(stream);
	return stream;
}

struct stream *stream_accept(struct worker *worker, int fd,
			     const struct stream_options *options,
			     bool has_data, stream_callback *callback,
			     void *owner)
{
	struct stream *stream = stream_make(fd, OPEN);

	socket_prepare_accepted(fd, options);
	attach(stream, worker, callback, owner);
	/* Settling registers it, too. */
	if (has_data)
		owe(stream, OWES_READ);
	else
		register_events(stream);
	return stream;
}

struct stream *stream_connect(struct worker *worker,
			      const struct sockaddr_storage *address,
			      socklen_t address_len,
			      const struct stream_options *options,
			      stream_callback *callback, void *owner)
{
	int error;
	int fd = socket_connect(address, address_len, options, &error);
	struct stream *stream;

	if (fd < 0)
		return NULL;
	stream = stream_make(fd, CONNECTING);
	attach(stream, worker, callback, owner);
	if (error == EINPROGRESS)
		register_events(stream);
	else if (error == 0)
		owe(stream, OWES_CONNECTED);
	else if (error == EAGAIN)
		lose(stream, xstrdup("the server's listen queue is full"));
	else
		lose(stream, socket_describe_error(error));
	return stream;
}

/* What can still be said: the rest of the out-buffer, the end of TLS. */
static void say_last_words(struct stream *stream, bool flush)
{
	bool has_words = flush && buf_len(&stream->out) > 0;

	if (has_words)
		push(stream);
	if (stream->channel.tls && stream->state == OPEN)
		tls_close_notify(stream->channel.tls);
	if (has_words && stream->state == OPEN)
		socket_end(stream->channel.fd);
}

void stream_close(struct stream *stream, bool flush)
{
	if (stream->state == GONE)
		return;
	assert(stream->worker);
	if (stream->state == OPEN)
		say_last_words(stream, flush);
	detach(stream);
	set_state(stream, GONE);
	channel_close(&stream->channel);
	buf_free(&stream->out);
	worker_free_later(stream->worker, &stream->bury);
}

void stream_set_owner(struct stream *stream, stream_callback *callback,
		      void *owner)
{
	stream->callback = callback;
	stream->owner = owner;
}

bool stream_start_tls(struct stream *stream, struct tls *tls)
{
	if (stream->state == OPEN && !stream->channel.tls)
		push(stream);
	if (stream->state != OPEN || stream->channel.tls ||
	    unread_len(stream) > 0 || buf_len(&stream->out) > 0) {
		tls_free(tls);
		return false;
	}
	channel_set_tls(&stream->channel, tls);
	set_state(stream, SECURING);
	owe(stream, OWES_HANDSHAKE);
	return true;
}

const struct tls *stream_tls(const struct stream *stream)
{
	return stream->channel.tls;
}

/* ---- the owner's calls -------------------------------------------------- */

const uint8_t *stream_data(const struct stream *stream, size_t *len)
{
	*len = unread_len(stream);
	return stream->view ? stream->view : buf_head(&stream->in);
}

uint64_t stream_taken(const struct stream *stream)
{
	return stream->taken;
}

void stream_consume(struct stream *stream, size_t len)
{
	stream->taken += len;
	if (stream->view) {
		assert(len <= stream->view_len);
		stream->view += len;
		stream->view_len -= len;
		return;
	}
	if (len == 0)
		return;
	buf_consume(&stream->in, len);
	reconsider(stream);
}

void stream_unread(struct stream *stream, const void *data, size_t len)
{
	struct buf joined = BUF_INIT;

	stream->taken -= len;
	keep_view(stream);
	buf_append(&joined, data, len);
	buf_append(&joined, buf_head(&stream->in), buf_len(&stream->in));
	buf_free(&stream->in);
	stream->in = joined;
	reconsider(stream);
}

void stream_set_unread_limit(struct stream *stream, size_t bytes)
{
	stream->unread_limit = bytes;
	reconsider(stream);
}

void stream_pause(struct stream *stream, bool is_paused)
{
	if (stream->is_paused == is_paused)
		return;
	stream->is_paused = is_paused;
	if (stream->state == LOST && !is_paused)
		owe(stream, 0);
	reconsider(stream);
}

void stream_write_along(struct stream *stream, const void *data, size_t len)
{
	if (stream->state < BROKEN)
		buf_append(&stream->out, data, len);
}

void stream_write(struct stream *stream, const void *data, size_t len)
{
	if (stream->state >= BROKEN)
		return;
	buf_append(&stream->out, data, len);
	owe(stream, 0);
}

void stream_forward(struct stream *stream, const void *data, size_t len)
{
	size_t put;

	if (len < FORWARD_LEAST || buf_len(&stream->out) > 0 ||
	    stream->state != OPEN || is_blocked(stream)) {
		stream_write(stream, data, len);
		return;
	}
	put = transmit(stream, data, len);
	if (put < len)
		stream_write(stream, (const uint8_t *)data + put, len - put);
}

struct buf *stream_out(struct stream *stream)
{
	assert(stream->worker);
	if (stream->state != GONE)
		owe(stream, 0);
	return &stream->out;
}

size_t stream_out_len(const struct stream *stream)
{
	return buf_len(&stream->out);
}

void stream_flush(struct stream *stream)
{
	if (is_blocked(stream))
		return;
	push(stream);
	if (stream->state != GONE)
		reconsider(stream);
}

bool stream_empty(struct stream *stream)
{
	stream_flush(stream);
	stream->wants_empty = buf_len(&stream->out) > 0;
	return !stream->wants_empty;
}

bool stream_is_open(const struct stream *stream)
{
	return stream->state < BROKEN;
}

const char *stream_error(const struct stream *stream)
{
	return stream->error ? stream->error : "";
}

/* ---- from worker to worker ---------------------------------------------- */

void stream_park(struct stream *stream)
{
	assert(stream->worker && buf_len(&stream->out) == 0);
	assert(stream->state != CONNECTING && stream->state != SECURING &&
	       stream->state != GONE);
	keep_view(stream);
	detach(stream);
	if (stream->has_left)
		*stream->has_left = true;
	stream->has_left = NULL;
	stream->worker = NULL;
}

void stream_adopt(struct stream *stream, struct worker *worker,
		  stream_callback *callback, void *owner)
{
	assert(!stream->worker);
	attach(stream, worker, callback, owner);
	register_events(stream);
	if (stream->state != OPEN || stream->owes != 0)
		owe(stream, 0);
}

void stream_free_parked(struct stream *stream)
{
	assert(!stream->worker);
	stream_free(stream);
}

int stream_fd(const struct stream *stream)
{
	return stream->channel.fd;
}

struct worker *stream_worker(const struct stream *stream)
{
	return stream->worker;
}

uint64_t stream_bytes_in(const struct stream *stream)
{
	return stream->channel.bytes_in;
}

uint64_t stream_bytes_out(const struct stream *stream)
{
	return stream->channel.bytes_out;
}
