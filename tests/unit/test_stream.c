/*
 * Streams over socket pairs: reading, writing, ends.  System calls that the
 * hot path must not make are counted.
 */
#include "stream_owner.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

static unsigned epoll_ctls;
static unsigned sends;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	epoll_ctls++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	sends++;
	return (ssize_t)syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

/* Writes as much of len bytes of a pattern as fits; returns how much. */
static size_t say_pattern(int fd, size_t at, size_t len)
{
	uint8_t room[4096];
	size_t done = 0;

	while (done < len) {
		size_t part =
			len - done < sizeof(room) ? len - done : sizeof(room);
		ssize_t put;

		for (size_t i = 0; i < part; i++)
			room[i] = (uint8_t)((at + done + i) * 7 % 251);
		put = write(fd, room, part);
		if (put <= 0)
			break;
		done += (size_t)put;
	}
	return done;
}

static void expect_pattern(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)(i * 7 % 251))
			fail_msg("byte %zu of %zu is wrong", i, len);
}

static uint8_t *make_pattern(size_t len)
{
	uint8_t *data = xmalloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 % 251);
	return data;
}

/* ---- reading ------------------------------------------------------------ */

static void test_data_is_told_and_eaten(void **state)
{
	struct fixture *f = *state;

	say(f->peer, "hello");
	turn(f, 1);
	expect_got(&f->owner, "hello");
	expect_unread(&f->owner, "");
	assert_int_equal(stream_bytes_in(f->owner.stream), 5);
	assert_int_equal(f->owner.told[STREAM_DATA], 1);
}

static void test_leftovers_stay_in_front(void **state)
{
	struct fixture *f = *state;

	f->owner.eat_most = 2;
	say(f->peer, "abcde");
	turn(f, 1);
	expect_got(&f->owner, "ab");
	expect_unread(&f->owner, "cde");
	say(f->peer, "fg");
	turn(f, 1);
	expect_got(&f->owner, "abcd");
	expect_unread(&f->owner, "efg");
	stream_consume(f->owner.stream, 1);
	expect_unread(&f->owner, "fg");
	stream_consume(f->owner.stream, 0);
	stream_consume(f->owner.stream, 2);
	expect_unread(&f->owner, "");
	stream_consume(f->owner.stream, 0);
}

static void test_long_leftovers_grow_in_place(void **state)
{
	struct fixture *f = *state;
	size_t want = 200 * 1024;
	size_t said = 0;
	size_t len;

	f->owner.eat_most = 0;
	for (int i = 0; i < 100 && said < want; i++) {
		said += say_pattern(f->peer, said, want - said);
		turn(f, 1);
	}
	turn(f, 2);
	(void)stream_data(f->owner.stream, &len);
	assert_int_equal(len, want);
	expect_pattern(stream_data(f->owner.stream, &len), len);
}

static void test_reading_pauses_at_the_limit(void **state)
{
	struct fixture *f = *state;
	size_t said = 0;
	size_t before;
	size_t len;
	unsigned told;

	f->owner.eat_most = 0;
	stream_set_unread_limit(f->owner.stream, 50000);
	for (int i = 0; i < 20; i++) {
		said += say_pattern(f->peer, said, 100000);
		turn(f, 1);
	}
	(void)stream_data(f->owner.stream, &before);
	assert_in_range(before, 50000, 50000 + WORKER_READ_BYTES);
	assert_true(before < said);
	told = f->owner.told[STREAM_DATA];
	turn(f, 2);
	assert_int_equal(f->owner.told[STREAM_DATA], told);
	/* Eating makes room, and so does a higher limit. */
	stream_consume(f->owner.stream, before - 100);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DATA], told + 1);
	(void)stream_data(f->owner.stream, &before);
	stream_set_unread_limit(f->owner.stream, before);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DATA], told + 1);
	stream_set_unread_limit(f->owner.stream, before + 1);
	(void)say_pattern(f->peer, said, 1);
	turn(f, 1);
	(void)stream_data(f->owner.stream, &len);
	assert_true(len > before);
}

static void test_pause_holds_data_back(void **state)
{
	struct fixture *f = *state;

	stream_pause(f->owner.stream, true);
	stream_pause(f->owner.stream, true);
	say(f->peer, "later");
	turn(f, 1);
	expect_got(&f->owner, "");
	stream_pause(f->owner.stream, false);
	turn(f, 1);
	expect_got(&f->owner, "later");
}

static void pause_self(struct owner *owner)
{
	stream_pause(owner->stream, true);
}

static void test_pause_from_the_callback(void **state)
{
	struct fixture *f = *state;

	f->owner.eat_most = 1;
	f->owner.on_data = pause_self;
	say(f->peer, "abc");
	turn(f, 1);
	expect_unread(&f->owner, "bc");
	say(f->peer, "d");
	turn(f, 1);
	expect_unread(&f->owner, "bc");
	/* Unread bytes are not told of again, new ones are. */
	stream_pause(f->owner.stream, false);
	turn(f, 1);
	assert_string_equal(f->owner.order, "dd");
	expect_unread(&f->owner, "cd");
}

static void look_at_other(struct owner *owner)
{
	expect_unread(owner->other, "other");
	stream_consume(owner->other->stream, 2);
	expect_unread(owner->other, "her");
	expect_unread(owner, "ine");
}

static void test_leftovers_of_two_streams(void **state)
{
	struct fixture *f = *state;
	int peer = open_pair(f->worker, &f->second);

	f->second.eat_most = 0;
	say(peer, "other");
	turn(f, 1);
	f->owner.other = &f->second;
	f->owner.eat_most = 1;
	f->owner.on_data = look_at_other;
	say(f->peer, "mine");
	turn(f, 1);
	expect_unread(&f->owner, "ine");
	expect_unread(&f->second, "her");
	(void)close(peer);
}

/* ---- the end ------------------------------------------------------------ */

static void test_data_comes_before_the_end(void **state)
{
	struct fixture *f = *state;

	say(f->peer, "bye");
	(void)close(f->peer);
	f->peer = -1;
	assert_true(stream_is_open(f->owner.stream));
	turn(f, 3);
	expect_got(&f->owner, "bye");
	assert_string_equal(f->owner.order, "dX");
	assert_string_equal(stream_error(f->owner.stream), "closed by peer");
	assert_false(stream_is_open(f->owner.stream));
	/* Nothing is sent any more, and nothing told. */
	stream_write(f->owner.stream, "x", 1);
	buf_append(stream_out(f->owner.stream), "y", 1);
	stream_flush(f->owner.stream);
	turn(f, 2);
	assert_int_equal(stream_out_len(f->owner.stream), 0);
	assert_string_equal(f->owner.order, "dX");
}

static void test_end_while_paused_waits(void **state)
{
	struct fixture *f = *state;

	stream_pause(f->owner.stream, true);
	say(f->peer, "bye");
	(void)close(f->peer);
	f->peer = -1;
	turn(f, 2);
	assert_string_equal(f->owner.order, "");
	stream_pause(f->owner.stream, false);
	turn(f, 3);
	assert_string_equal(f->owner.order, "dX");
}

/* The peer's last words are heard though our write to it has failed. */
static void test_last_words_after_failed_write(void **state)
{
	struct fixture *f = *state;

	say(f->peer, "fatal");
	(void)close(f->peer);
	f->peer = -1;
	f->owner.is_busy = true;
	stream_write(f->owner.stream, "query", 5);
	stream_flush(f->owner.stream);
	f->owner.is_busy = false;
	turn(f, 3);
	expect_got(&f->owner, "fatal");
	assert_string_equal(f->owner.order, "dX");
	assert_true(*stream_error(f->owner.stream) != '\0');
}

static void test_failed_write_while_paused_is_told(void **state)
{
	struct fixture *f = *state;

	stream_pause(f->owner.stream, true);
	(void)close(f->peer);
	f->peer = -1;
	stream_write(f->owner.stream, "query", 5);
	turn(f, 2);
	assert_string_equal(f->owner.order, "X");
	assert_string_equal(stream_error(f->owner.stream), "broken pipe");
}

/* The peer does not read any more, but says nothing either. */
static void test_failed_write_without_last_words(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shutdown(f->peer, SHUT_RD), 0);
	stream_write(f->owner.stream, "query", 5);
	turn(f, 2);
	assert_string_equal(f->owner.order, "X");
	assert_string_equal(stream_error(f->owner.stream), "broken pipe");
}

/* Last words beyond the unread limit cannot hold the news back. */
static void test_last_words_are_bounded(void **state)
{
	struct fixture *f = *state;
	size_t len;

	f->owner.eat_most = 0;
	stream_set_unread_limit(f->owner.stream, 1000);
	(void)say_pattern(f->peer, 0, 4000);
	(void)close(f->peer);
	f->peer = -1;
	stream_write(f->owner.stream, "query", 5);
	stream_flush(f->owner.stream);
	turn(f, 3);
	assert_string_equal(f->owner.order, "dX");
	(void)stream_data(f->owner.stream, &len);
	assert_int_equal(len, 4000);
}

static void close_self(struct owner *owner)
{
	struct stream *stream = owner->stream;

	stream_write(stream, "farewell", 8);
	stream_close(stream, true);
	stream_close(stream, true);
	/* Memory lives to the end of the turn. */
	assert_false(stream_is_open(stream));
	assert_string_equal(stream_error(stream), "");
	owner->stream = NULL;
}

static void test_close_from_the_callback(void **state)
{
	struct fixture *f = *state;

	f->owner.on_data = close_self;
	f->owner.eat_most = 1;
	say(f->peer, "quit");
	turn(f, 2);
	expect_heard(f->peer, "farewell");
	assert_string_equal(f->owner.order, "d");
	(void)close(f->peer);
	f->peer = -1;
	turn(f, 1);
	assert_string_equal(f->owner.order, "d");
}

static void close_other(struct owner *owner)
{
	if (owner->other->stream)
		stream_close(owner->other->stream, false);
	owner->other->stream = NULL;
}

static void test_close_of_another_that_is_ready(void **state)
{
	struct fixture *f = *state;
	int peer = open_pair(f->worker, &f->second);
	char byte;

	f->owner.other = &f->second;
	f->second.other = &f->owner;
	f->owner.on_data = close_other;
	f->second.on_data = close_other;
	stream_write(f->owner.stream, "lost", 4);
	stream_write(f->second.stream, "lost", 4);
	say(f->peer, "one");
	say(peer, "two");
	turn(f, 2);
	/* Whoever came first closed the other one, which heard nothing. */
	assert_int_equal(
		f->owner.told[STREAM_DATA] + f->second.told[STREAM_DATA], 1);
	assert_true(!f->owner.stream != !f->second.stream);
	/* Without flush the out-buffer was dropped. */
	assert_true(read(f->owner.stream ? peer : f->peer, &byte, 1) <= 0);
	(void)close(peer);
}

/* ---- writing ------------------------------------------------------------ */

static void test_writes_leave_together(void **state)
{
	struct fixture *f = *state;

	sends = 0;
	stream_write(f->owner.stream, "a", 1);
	stream_write(f->owner.stream, "bc", 2);
	buf_append_cstring(stream_out(f->owner.stream), "d");
	assert_int_equal(stream_out_len(f->owner.stream), 5);
	expect_nothing(f->peer);
	turn(f, 1);
	assert_int_equal(sends, 1);
	assert_int_equal(stream_out_len(f->owner.stream), 0);
	assert_int_equal(stream_bytes_out(f->owner.stream), 5);
	{
		char room[8];

		assert_int_equal(read(f->peer, room, sizeof(room)), 5);
		assert_memory_equal(room, "abcd", 5);
	}
	stream_write(f->owner.stream, "now", 3);
	stream_flush(f->owner.stream);
	expect_heard(f->peer, "now");
}

/* What can wait leaves with what cannot, in its order. */
static void test_writes_along(void **state)
{
	struct fixture *f = *state;

	stream_write_along(f->owner.stream, "a", 1);
	turn(f, 2);
	expect_nothing(f->peer);
	stream_write_along(f->owner.stream, "b", 1);
	stream_forward(f->owner.stream, "c", 1);
	turn(f, 1);
	expect_heard(f->peer, "abc");
	stream_write_along(f->owner.stream, "d", 1);
	(void)stream_out(f->owner.stream);
	turn(f, 1);
	expect_heard(f->peer, "d");
	stream_write_along(f->owner.stream, "end", 3);
	stream_close(f->owner.stream, true);
	f->owner.stream = NULL;
	turn(f, 1);
	expect_heard(f->peer, "end");
}

static void answer(struct owner *owner)
{
	stream_write(owner->stream, "pong", 4);
}

static void test_ping_pong_needs_no_epoll_ctl(void **state)
{
	struct fixture *f = *state;

	f->owner.on_data = answer;
	turn(f, 1);
	epoll_ctls = 0;
	sends = 0;
	for (int i = 0; i < 50; i++) {
		say(f->peer, "ping");
		turn(f, 1);
		expect_heard(f->peer, "pong");
	}
	assert_int_equal(epoll_ctls, 0);
	assert_int_equal(sends, 50);
}

static size_t hear_all(struct fixture *f, uint8_t *room, size_t len)
{
	size_t heard = 0;

	for (int idle = 0; heard < len && idle < 3; idle++) {
		ssize_t got;

		turn(f, 1);
		while ((got = read(f->peer, room + heard, len - heard)) > 0) {
			heard += (size_t)got;
			idle = 0;
		}
	}
	return heard;
}

static void test_drained_after_high_water(void **state)
{
	struct fixture *f = *state;
	size_t len = 2 * 1024 * 1024;
	uint8_t *data = make_pattern(len);
	uint8_t *room = xmalloc(len);

	stream_write(f->owner.stream, data, len);
	assert_true(stream_len_is_high(stream_out_len(f->owner.stream)));
	turn(f, 2);
	assert_int_equal(f->owner.told[STREAM_DRAINED], 0);
	/* A full socket is not tried again before it says so. */
	sends = 0;
	stream_write(f->owner.stream, "", 1);
	stream_flush(f->owner.stream);
	turn(f, 1);
	stream_consume(f->owner.stream, 0);
	assert_int_equal(sends, 0);
	assert_int_equal(hear_all(f, room, len), len);
	expect_pattern(room, len);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DRAINED], 1);
	free(data);
	free(room);
}

static void test_close_when_drained(void **state)
{
	struct fixture *f = *state;
	size_t len = 1024 * 1024;
	uint8_t *data = make_pattern(len);
	uint8_t *room = xmalloc(len);

	f->owner.closes_on = STREAM_DRAINED + 1;
	stream_write(f->owner.stream, data, len);
	assert_true(hear_all(f, room, len) > len - STREAM_LOW_WATER);
	turn(f, 1);
	assert_null(f->owner.stream);
	assert_string_equal(f->owner.order, "D");
	free(data);
	free(room);
}

static void test_small_writes_never_drain(void **state)
{
	struct fixture *f = *state;
	uint8_t room[65536] = { 0 };

	stream_write(f->owner.stream, room, sizeof(room) - 1);
	(void)hear_all(f, room, sizeof(room) - 1);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DRAINED], 0);
}

static void test_emptied_as_asked(void **state)
{
	struct fixture *f = *state;
	size_t len = 2 * 1024 * 1024;
	uint8_t *data = make_pattern(len);
	uint8_t *room = xmalloc(len);

	assert_true(stream_empty(f->owner.stream));
	stream_write(f->owner.stream, data, 1);
	assert_true(stream_empty(f->owner.stream));
	stream_write(f->owner.stream, data + 1, len - 1);
	assert_false(stream_empty(f->owner.stream));
	assert_int_equal(hear_all(f, room, len), len);
	expect_pattern(room, len);
	turn(f, 1);
	/* Below the mark, and then not again before somebody asks. */
	assert_true(f->owner.told[STREAM_DRAINED] >= 1);
	assert_int_equal(stream_out_len(f->owner.stream), 0);
	f->owner.told[STREAM_DRAINED] = 0;
	stream_write(f->owner.stream, data, 1000);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DRAINED], 0);
	free(data);
	free(room);
}

static void test_forward_goes_at_once(void **state)
{
	struct fixture *f = *state;
	size_t len = 1024 * 1024;
	uint8_t *data = make_pattern(len);
	uint8_t *room = xmalloc(len);
	size_t first = 32 * 1024;

	/* Small runs, and those behind others, join the out-buffer. */
	stream_forward(f->owner.stream, data, 10);
	stream_forward(f->owner.stream, data + 10, first - 10);
	expect_nothing(f->peer);
	assert_int_equal(stream_out_len(f->owner.stream), first);
	turn(f, 1);
	assert_int_equal(read(f->peer, room, first), first);
	stream_forward(f->owner.stream, data + first, first);
	assert_int_equal(stream_out_len(f->owner.stream), 0);
	assert_int_equal(read(f->peer, room + first, first), first);
	stream_forward(f->owner.stream, data + 2 * first, len - 2 * first);
	assert_true(stream_out_len(f->owner.stream) > 0);
	assert_int_equal(hear_all(f, room + 2 * first, len - 2 * first),
			 len - 2 * first);
	expect_pattern(room, len);
	assert_int_equal(stream_bytes_out(f->owner.stream), len);
	free(data);
	free(room);
}

static void test_forward_to_the_dead(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = make_pattern(100000);

	(void)close(f->peer);
	f->peer = -1;
	f->owner.is_busy = true;
	stream_forward(f->owner.stream, data, 100000);
	stream_forward(f->owner.stream, data, 100000);
	f->owner.is_busy = false;
	assert_false(stream_is_open(f->owner.stream));
	turn(f, 2);
	assert_string_equal(f->owner.order, "X");
	free(data);
}

/* A peer that does not read does not hold our close. */
static void test_close_does_not_wait(void **state)
{
	struct fixture *f = *state;
	size_t len = 4 * 1024 * 1024;
	uint8_t *data = make_pattern(len);

	stream_write(f->owner.stream, data, len);
	turn(f, 1);
	stream_close(f->owner.stream, true);
	f->owner.stream = NULL;
	turn(f, 1);
	assert_string_equal(f->owner.order, "");
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_data_is_told_and_eaten),
		CASE(test_leftovers_stay_in_front),
		CASE(test_long_leftovers_grow_in_place),
		CASE(test_reading_pauses_at_the_limit),
		CASE(test_pause_holds_data_back),
		CASE(test_pause_from_the_callback),
		CASE(test_leftovers_of_two_streams),
		CASE(test_data_comes_before_the_end),
		CASE(test_end_while_paused_waits),
		CASE(test_last_words_after_failed_write),
		CASE(test_failed_write_while_paused_is_told),
		CASE(test_failed_write_without_last_words),
		CASE(test_last_words_are_bounded),
		CASE(test_close_from_the_callback),
		CASE(test_close_of_another_that_is_ready),
		CASE(test_writes_leave_together),
		CASE(test_writes_along),
		CASE(test_ping_pong_needs_no_epoll_ctl),
		CASE(test_drained_after_high_water),
		CASE(test_close_when_drained),
		CASE(test_small_writes_never_drain),
		CASE(test_emptied_as_asked),
		CASE(test_forward_goes_at_once),
		CASE(test_forward_to_the_dead),
		CASE(test_close_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
