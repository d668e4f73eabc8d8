/*
 * How streams come to be and move on: connecting, parking, changing owners.
 */
#include "stream_owner.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>

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
	size_t told = strlen(f->second.order);
	struct stream_options options = { .keepalive = true,
					  .keepcnt = 3,
					  .keepidle = 7,
					  .keepintvl = 2,
					  .user_timeout_ms = 5000,
					  .socket_buffer = 65536 };

	f->second.stream = stream_connect(f->worker, address, len, &options,
					  on_event, &f->second);
	assert_non_null(f->second.stream);
	assert_int_equal(strlen(f->second.order), told);
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

/* An accepted socket of which the client has the other end. */
static int accept_second(struct fixture *f, const char *said, bool has_data)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, ends),
			 0);
	say(ends[1], said);
	f->second.stream = stream_accept(f->worker, ends[0], &no_options,
					 has_data, on_event, &f->second);
	assert_string_equal(f->second.order, "");
	return ends[1];
}

static void test_accepted_with_data(void **state)
{
	struct fixture *f = *state;
	int fd = accept_second(f, "first", true);

	/* Nothing is registered yet: it is the turn's end that reads. */
	turn(f, 1);
	expect_got(&f->second, "first");
	say(fd, "second");
	turn(f, 1);
	expect_got(&f->second, "firstsecond");
	(void)close(fd);
}

/* Against the promise nothing is there; or nothing was promised. */
static void test_accepted_without_data(void **state)
{
	struct fixture *f = *state;
	int fd = accept_second(f, "", true);

	turn(f, 1);
	assert_string_equal(f->second.order, "");
	say(fd, "late");
	turn(f, 1);
	expect_got(&f->second, "late");
	(void)close(fd);
	stream_close(f->second.stream, false);
	f->second.order[0] = '\0';
	fd = accept_second(f, "now", false);
	turn(f, 1);
	expect_got(&f->second, "latenow");
	(void)close(fd);
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

static void test_close_when_connected(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	char name[64];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len;

	(void)snprintf(name, sizeof(name), "@pgweir-close-%d", (int)getpid());
	len = unix_address(&address, name);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 4), 0);
	f->second.closes_on = STREAM_CONNECTED + 1;
	connect_second(f, &address, len);
	turn(f, 2);
	assert_null(f->second.stream);
	assert_string_equal(f->second.order, "c");
	(void)close(listener);
	/* The same over TCP, where it takes a moment to be connected. */
	listener = listen_tcp(&address, &len);
	connect_second(f, &address, len);
	turn(f, 2);
	assert_null(f->second.stream);
	assert_string_equal(f->second.order, "cc");
	(void)close(listener);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	struct linger none = { .l_onoff = 1 };
	socklen_t len;
	int listener = listen_tcp(&address, &len);
	int peer;

	connect_second(f, &address, len);
	turn(f, 2);
	peer = accept(listener, NULL, NULL);
	assert_int_equal(
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof(none)),
		0);
	(void)close(peer);
	turn(f, 2);
	assert_string_equal(f->second.order, "cX");
	assert_string_equal(stream_error(f->second.stream),
			    "connection reset by peer");
	(void)close(listener);
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
	int other;

	f->owner.eat_most = 1;
	f->owner.on_data = park_self;
	say(f->peer, "xyz");
	turn(f, 1);
	f->owner.on_data = NULL;
	/* Another stream reads into the same memory meanwhile. */
	other = open_pair(f->worker, &f->second);
	say(other, "ZZZ");
	turn(f, 1);
	expect_got(&f->second, "ZZZ");
	(void)close(other);
	expect_unread(&f->owner, "yz");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_connect_tcp),
		CASE(test_accepted_with_data),
		CASE(test_accepted_without_data),
		CASE(test_connect_refused),
		CASE(test_connect_unix),
		CASE(test_connect_nowhere),
		CASE(test_no_socket_to_be_had),
		CASE(test_close_when_connected),
		CASE(test_reset),
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
