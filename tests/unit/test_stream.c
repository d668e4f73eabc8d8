/*
 * Streams over socket pairs and loopback, on workers whose turns are driven
 * by hand.  System calls that the hot path must not make are counted.
 */
#include "net/stream.h"

#include "base/buf.h"
#include "base/util.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

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

/* An owner that writes down what it is told and plays one trick on DATA. */
struct owner {
	struct stream *stream;
	unsigned told[STREAM_CLOSED + 1];
	char order[64];
	struct buf got;
	size_t eat_most; /* bytes a DATA may eat */
	void (*on_data)(struct owner *owner);
	struct owner *other;
	bool is_busy; /* inside of a call: nobody may be told */
};

static const struct stream_options no_options;

static void on_event(void *arg, enum stream_event event)
{
	struct owner *owner = arg;
	size_t at = strlen(owner->order);
	size_t len;
	const uint8_t *data;

	assert_false(owner->is_busy);
	owner->told[event]++;
	if (at + 1 < sizeof(owner->order))
		owner->order[at] = "csdDX"[event];
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

static void ignore_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static struct worker *make_worker(void)
{
	struct worker_hooks hooks = { .mail = ignore_mail };
	struct worker *worker = worker_new(0, &hooks);

	assert_non_null(worker);
	return worker;
}

static int open_pair(struct worker *worker, struct owner *owner)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	owner->eat_most = SIZE_MAX;
	owner->stream =
		stream_new(worker, ends[0], &no_options, on_event, owner);
	return ends[1];
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->worker = make_worker();
	f->peer = open_pair(f->worker, &f->owner);
	f->second.eat_most = SIZE_MAX;
	*state = f;
	return 0;
}

static void drop_owner(struct owner *owner)
{
	if (owner->stream)
		stream_close(owner->stream, false);
	buf_free(&owner->got);
}

static int tear_down(void **state)
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

static void turn(struct fixture *f, unsigned count)
{
	while (count-- > 0)
		worker_turn(f->worker);
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_heard(int fd, const char *text)
{
	char room[256] = "";

	assert_int_equal(read(fd, room, sizeof(room)), strlen(text));
	assert_string_equal(room, text);
}

static void expect_nothing(int fd)
{
	char byte;

	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_got(struct owner *owner, const char *text)
{
	assert_int_equal(buf_len(&owner->got), strlen(text));
	assert_memory_equal(buf_head(&owner->got), text, strlen(text));
}

static void expect_unread(struct owner *owner, const char *text)
{
	size_t len;
	const uint8_t *data = stream_data(owner->stream, &len);

	assert_int_equal(len, strlen(text));
	if (len > 0)
		assert_memory_equal(data, text, len);
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
	stream_consume(f->owner.stream, 0);
	assert_int_equal(sends, 0);
	assert_int_equal(hear_all(f, room, len), len);
	expect_pattern(room, len);
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DRAINED], 1);
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

/* ---- connecting --------------------------------------------------------- */

static int listen_tcp(struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 4), 0);
	*len = sizeof(*address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, len), 0);
	return fd;
}

static socklen_t unix_address(struct sockaddr_storage *address,
			      const char *name)
{
	struct sockaddr_un *target = (struct sockaddr_un *)address;

	memset(address, 0, sizeof(*address));
	target->sun_family = AF_UNIX;
	(void)util_copy(target->sun_path, sizeof(target->sun_path), name);
	if (name[0] == '@')
		target->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			   strlen(name) + (name[0] != '@'));
}

static void connect_second(struct fixture *f,
			   const struct sockaddr_storage *address,
			   socklen_t len)
{
	struct stream_options options = { .keepalive = true,
					  .keepcnt = 3,
					  .keepidle = 7,
					  .keepintvl = 2,
					  .user_timeout_ms = 5000,
					  .socket_buffer = 65536 };

	f->second.stream = stream_connect(f->worker, address, len, &options,
					  on_event, &f->second);
	assert_non_null(f->second.stream);
	assert_string_equal(f->second.order, "");
}

static int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_connect_tcp(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	socklen_t len;
	int listener = listen_tcp(&address, &len);
	int accepted;
	int fd;

	connect_second(f, &address, len);
	stream_write(f->second.stream, "early", 5);
	turn(f, 2);
	assert_string_equal(f->second.order, "c");
	accepted = accept(listener, NULL, NULL);
	expect_heard(accepted, "early");
	fd = stream_fd(f->second.stream);
	assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 2);
	assert_int_equal(get_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_ptr_equal(stream_worker(f->second.stream), f->worker);
	(void)close(accepted);
	(void)close(listener);
}

static void test_connect_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	socklen_t len;

	(void)close(listen_tcp(&address, &len));
	connect_second(f, &address, len);
	turn(f, 2);
	assert_string_equal(f->second.order, "X");
	assert_string_equal(stream_error(f->second.stream),
			    "connection refused");
}

static void test_connect_unix(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	char name[64];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len;

	(void)snprintf(name, sizeof(name), "@pgweir-test-%d", (int)getpid());
	len = unix_address(&address, name);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 0), 0);
	connect_second(f, &address, len);
	turn(f, 2);
	assert_string_equal(f->second.order, "c");
	drop_owner(&f->second);
	/* The queue of connections holds that one still: it is full. */
	f->second = (struct owner){ 0 };
	connect_second(f, &address, len);
	turn(f, 2);
	assert_string_equal(f->second.order, "X");
	assert_string_equal(stream_error(f->second.stream),
			    "the server's listen queue is full");
	(void)close(listener);
}

static void test_connect_nowhere(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	socklen_t len = unix_address(&address, "/nonexistent/socket");

	connect_second(f, &address, len);
	turn(f, 1);
	assert_string_equal(f->second.order, "X");
	assert_string_equal(stream_error(f->second.stream),
			    "no such file or directory");
}

static void test_no_socket_to_be_had(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address = { .ss_family = 200 };

	assert_null(stream_connect(f->worker, &address, sizeof(address),
				   &no_options, on_event, &f->second));
	assert_int_equal(errno, EAFNOSUPPORT);
}

static void test_close_while_connecting(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	socklen_t len;
	int listener = listen_tcp(&address, &len);

	connect_second(f, &address, len);
	stream_write(f->second.stream, "never", 5);
	stream_close(f->second.stream, true);
	f->second.stream = NULL;
	turn(f, 2);
	assert_string_equal(f->second.order, "");
	(void)close(listener);
}

/* Closing over unread input must not let a reset overtake our last words. */
static void test_last_words_reach_a_tcp_peer(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	socklen_t len;
	int listener = listen_tcp(&address, &len);
	int peer;
	char byte;

	connect_second(f, &address, len);
	turn(f, 2);
	peer = accept(listener, NULL, NULL);
	stream_pause(f->second.stream, true);
	say(peer, "rubbish that nobody reads");
	turn(f, 1);
	stream_write(f->second.stream, "FATAL", 5);
	stream_close(f->second.stream, true);
	f->second.stream = NULL;
	turn(f, 1);
	expect_heard(peer, "FATAL");
	assert_int_equal(read(peer, &byte, 1), 0);
	(void)close(peer);
	(void)close(listener);
}

/* ---- parking ------------------------------------------------------------ */

static void test_park_and_adopt(void **state)
{
	struct fixture *f = *state;
	struct worker *other = make_worker();

	f->owner.eat_most = 1;
	say(f->peer, "abc");
	turn(f, 1);
	stream_pause(f->owner.stream, true);
	stream_park(f->owner.stream);
	assert_null(stream_worker(f->owner.stream));
	expect_unread(&f->owner, "bc");
	say(f->peer, "d");
	turn(f, 1);
	assert_int_equal(f->owner.told[STREAM_DATA], 1);
	f->second = f->owner;
	f->owner = (struct owner){ 0 };
	stream_adopt(f->second.stream, other, on_event, &f->second);
	assert_ptr_equal(stream_worker(f->second.stream), other);
	worker_turn(other);
	expect_got(&f->second, "ab");
	expect_unread(&f->second, "cd");
	stream_write(f->second.stream, "e", 1);
	worker_turn(other);
	expect_heard(f->peer, "e");
	stream_close(f->second.stream, false);
	f->second.stream = NULL;
	worker_join(other);
}

static void park_self(struct owner *owner)
{
	stream_park(owner->stream);
}

static void test_park_in_the_callback(void **state)
{
	struct fixture *f = *state;

	f->owner.eat_most = 1;
	f->owner.on_data = park_self;
	say(f->peer, "xyz");
	turn(f, 1);
	expect_unread(&f->owner, "yz");
	f->owner.on_data = NULL;
	stream_adopt(f->owner.stream, f->worker, on_event, &f->owner);
	(void)close(f->peer);
	f->peer = -1;
	turn(f, 3);
	assert_string_equal(f->owner.order, "dX");
	expect_unread(&f->owner, "yz");
}

static void free_self(struct owner *owner)
{
	stream_park(owner->stream);
	stream_free_parked(owner->stream);
	owner->stream = NULL;
}

static void test_free_parked_in_the_callback(void **state)
{
	struct fixture *f = *state;
	char byte;

	f->owner.on_data = free_self;
	say(f->peer, "x");
	turn(f, 2);
	assert_int_equal(read(f->peer, &byte, 1), 0);
	assert_string_equal(f->owner.order, "d");
}

static void break_and_park(struct owner *owner)
{
	stream_write(owner->stream, "x", 1);
	stream_flush(owner->stream);
	stream_park(owner->stream);
}

/* The news of a failure goes along to the next worker. */
static void test_park_takes_bad_news_along(void **state)
{
	struct fixture *f = *state;

	f->owner.on_data = break_and_park;
	say(f->peer, "a");
	(void)close(f->peer);
	f->peer = -1;
	turn(f, 2);
	assert_string_equal(f->owner.order, "d");
	assert_false(stream_is_open(f->owner.stream));
	stream_adopt(f->owner.stream, f->worker, on_event, &f->owner);
	turn(f, 2);
	assert_string_equal(f->owner.order, "dX");
}

static void test_set_owner(void **state)
{
	struct fixture *f = *state;

	stream_set_owner(f->owner.stream, on_event, &f->second);
	f->second.stream = f->owner.stream;
	f->owner.stream = NULL;
	say(f->peer, "hi");
	turn(f, 1);
	expect_got(&f->second, "hi");
	assert_string_equal(f->owner.order, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		CASE(test_close_from_the_callback),
		CASE(test_close_of_another_that_is_ready),
		CASE(test_writes_leave_together),
		CASE(test_ping_pong_needs_no_epoll_ctl),
		CASE(test_drained_after_high_water),
		CASE(test_small_writes_never_drain),
		CASE(test_forward_goes_at_once),
		CASE(test_forward_to_the_dead),
		CASE(test_close_does_not_wait),
		CASE(test_connect_tcp),
		CASE(test_connect_refused),
		CASE(test_connect_unix),
		CASE(test_connect_nowhere),
		CASE(test_no_socket_to_be_had),
		CASE(test_close_while_connecting),
		CASE(test_last_words_reach_a_tcp_peer),
		CASE(test_park_and_adopt),
		CASE(test_park_in_the_callback),
		CASE(test_free_parked_in_the_callback),
		CASE(test_park_takes_bad_news_along),
		CASE(test_set_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
