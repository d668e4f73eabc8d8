/*
 * What the tests of streams share: an owner that writes down what it is told,
 * one stream on a socket pair, a worker whose turns are driven by hand.
 */
#ifndef PGWEIR_UNIT_STREAM_OWNER_H
#define PGWEIR_UNIT_STREAM_OWNER_H

#include "net/stream.h"

#include "base/buf.h"
#include "base/util.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* An owner that writes down what it is told and plays one trick on DATA. */
struct owner {
	struct stream *stream;
	unsigned told[STREAM_CLOSED + 1];
	char order[64];
	struct buf got;
	size_t eat_most; /* bytes a DATA may eat */
	void (*on_data)(struct owner *owner);
	struct owner *other;
	int closes_on; /* 1 + the event at which it closes its stream */
	bool is_busy;  /* inside of a call: nobody may be told */
};

static const struct stream_options no_options;

static inline void on_event(void *arg, enum stream_event event)
{
	struct owner *owner = arg;
	size_t at = strlen(owner->order);
	size_t len;
	const uint8_t *data;

	assert_false(owner->is_busy);
	owner->told[event]++;
	if (at + 1 < sizeof(owner->order))
		owner->order[at] = "csdDX"[event];
	if (owner->closes_on == (int)event + 1) {
		stream_close(owner->stream, true);
		owner->stream = NULL;
		return;
	}
	if (event != STREAM_DATA)
		return;
	data = stream_data(owner->stream, &len);
	if (len > owner->eat_most)
		len = owner->eat_most;
	buf_append(&owner->got, data, len);
	stream_consume(owner->stream, len);
	if (owner->on_data)
		owner->on_data(owner);
}

struct fixture {
	struct worker *worker;
	struct owner owner;
	struct owner second;
	int peer;
};

static inline void ignore_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static inline struct worker *make_worker(void)
{
	struct worker_hooks hooks = { .mail = ignore_mail };
	struct worker *worker = worker_new(0, &hooks);

	assert_non_null(worker);
	return worker;
}

static inline int open_pair(struct worker *worker, struct owner *owner)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, ends),
			 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	owner->eat_most = SIZE_MAX;
	owner->stream =
		stream_new(worker, ends[0], &no_options, on_event, owner);
	return ends[1];
}

static inline int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->worker = make_worker();
	f->peer = open_pair(f->worker, &f->owner);
	f->second.eat_most = SIZE_MAX;
	*state = f;
	return 0;
}

static inline void drop_owner(struct owner *owner)
{
	if (owner->stream)
		stream_close(owner->stream, false);
	buf_free(&owner->got);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	drop_owner(&f->owner);
	drop_owner(&f->second);
	if (f->peer >= 0)
		(void)close(f->peer);
	worker_join(f->worker);
	buf_thread_cleanup();
	free(f);
	return 0;
}

static inline void turn(struct fixture *f, unsigned count)
{
	while (count-- > 0)
		worker_turn(f->worker);
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void expect_heard(int fd, const char *text)
{
	char room[256] = "";

	assert_int_equal(read(fd, room, sizeof(room)), strlen(text));
	assert_string_equal(room, text);
}

static inline void expect_nothing(int fd)
{
	char byte;

	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void expect_got(struct owner *owner, const char *text)
{
	assert_int_equal(buf_len(&owner->got), strlen(text));
	assert_memory_equal(buf_head(&owner->got), text, strlen(text));
}

static inline void expect_unread(struct owner *owner, const char *text)
{
	size_t len;
	const uint8_t *data = stream_data(owner->stream, &len);

	assert_int_equal(len, strlen(text));
	if (len > 0)
		assert_memory_equal(data, text, len);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
