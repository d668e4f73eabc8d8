/*
 * Listening sockets on loopback, in the file system and in the abstract
 * space.
 */
#include "net/listener.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { UNIX_PORT = 6432, CLIENTS_MAX = 200 };

struct fixture {
	struct event_base *base;
	struct listeners *listeners;
	struct buf error;
	char folder[32];
	char path[64];
	unsigned accepted;
	unsigned by_unix;
	int fds[CLIENTS_MAX];
	struct sockaddr_storage peer;
};

static void on_client(void *arg, int fd, bool is_unix,
		      const struct sockaddr_storage *peer)
{
	struct fixture *f = arg;

	assert_true(f->accepted < CLIENTS_MAX);
	f->fds[f->accepted++] = fd;
	f->by_unix += is_unix;
	f->peer = *peer;
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->base = event_base_new();
	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/pgweir-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/.s.PGSQL.%d", f->folder,
		       UNIX_PORT);
	*state = f;
	return 0;
}

static void hang_up(struct fixture *f)
{
	while (f->accepted > 0)
		(void)close(f->fds[--f->accepted]);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	hang_up(f);
	listeners_free(f->listeners);
	event_base_free(f->base);
	buf_free(&f->error);
	buf_thread_cleanup();
	(void)unlink(f->path);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static bool open_with(struct fixture *f, const struct listener_options *options)
{
	f->listeners = listeners_new(options, &f->error);
	if (f->listeners)
		assert_true(
			listeners_serve(f->listeners, f->base, on_client, f));
	return f->listeners != NULL;
}

static bool open_addresses(struct fixture *f, const char *addresses,
			   uint16_t port)
{
	struct listener_options options = { .addresses = addresses,
					    .port = port,
					    .backlog = 128,
					    .unix_dir = "",
					    .defer_accept = false };

	return open_with(f, &options);
}

static bool open_unix(struct fixture *f, const char *dir, const char *group)
{
	struct listener_options options = { .addresses = "",
					    .port = UNIX_PORT,
					    .backlog = 16,
					    .unix_dir = dir,
					    .unix_mode = 0750,
					    .unix_group = group };

	return open_with(f, &options);
}

/* The port at the end of the description. */
static uint16_t port_of(const struct fixture *f)
{
	const char *colon = strrchr(listeners_describe(f->listeners), ':');

	assert_non_null(colon);
	return (uint16_t)strtoul(colon + 1, NULL, 10);
}

static int try_tcp(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int try_unix(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    strlen(name) + (*name != '@'));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)util_copy(address.sun_path, sizeof(address.sun_path), name);
	if (*name == '@')
		address.sun_path[0] = '\0';
	if (connect(fd, (struct sockaddr *)&address, len) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void loop_for(struct fixture *f, unsigned accepted)
{
	uint64_t limit_us = util_now_us() + 2000000;

	while (f->accepted < accepted && util_now_us() < limit_us)
		(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->accepted, accepted);
}

static void expect_error(struct fixture *f, const char *text)
{
	buf_append_u8(&f->error, 0);
	if (!strstr((const char *)buf_head(&f->error), text))
		fail_msg("\"%s\" is not in \"%s\"", text,
			 (const char *)buf_head(&f->error));
	f->error.tail--;
}

/* ---- TCP ---------------------------------------------------------------- */

static void test_accepts_tcp(void **state)
{
	struct fixture *f = *state;
	const struct sockaddr_in *peer = (const struct sockaddr_in *)&f->peer;
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	int fd;

	assert_true(open_addresses(f, " 127.0.0.1 , ", 0));
	assert_memory_equal(listeners_describe(f->listeners), "127.0.0.1:", 10);
	fd = try_tcp(port_of(f));
	assert_true(fd >= 0);
	loop_for(f, 1);
	assert_int_equal(f->by_unix, 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	assert_int_equal(peer->sin_port, name.sin_port);
	assert_true(fcntl(f->fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(f->fds[0], F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
}

static int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* What is told of the listener, and no call for each client. */
static void test_options_are_inherited(void **state)
{
	struct fixture *f = *state;
	struct listener_options options = { .addresses = "127.0.0.1",
					    .backlog = 16,
					    .unix_dir = "",
					    .keepalive = true };
	int fds[2];

	assert_true(open_with(f, &options));
	fds[0] = try_tcp(port_of(f));
	loop_for(f, 1);
	assert_int_not_equal(get_option(f->fds[0], SOL_SOCKET, SO_KEEPALIVE),
			     0);
	assert_int_not_equal(get_option(f->fds[0], IPPROTO_TCP, TCP_NODELAY),
			     0);
	listeners_set_keepalive(f->listeners, false);
	fds[1] = try_tcp(port_of(f));
	loop_for(f, 2);
	assert_int_equal(get_option(f->fds[1], SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_not_equal(get_option(f->fds[1], IPPROTO_TCP, TCP_NODELAY),
			     0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void test_many_clients_at_once(void **state)
{
	struct fixture *f = *state;
	int fds[100];

	assert_true(open_addresses(f, "127.0.0.1", 0));
	for (int i = 0; i < 100; i++)
		fds[i] = try_tcp(port_of(f));
	/* One client a wake-up, and more of them the longer the rush lasts. */
	(void)event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->accepted, 1);
	for (int i = 0; i < 40; i++)
		(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_in_range(f->accepted, 90, 100);
	loop_for(f, 100);
	for (int i = 0; i < 100; i++)
		(void)close(fds[i]);
}

static void test_close_refuses(void **state)
{
	struct fixture *f = *state;
	uint16_t port;

	assert_true(open_addresses(f, "127.0.0.1", 0));
	port = port_of(f);
	listeners_close(f->listeners);
	assert_int_equal(try_tcp(port), -1);
	assert_int_equal(errno, ECONNREFUSED);
	/* And the port is free at once. */
	listeners_free(f->listeners);
	assert_true(open_addresses(f, "127.0.0.1", port));
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has =
		fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return has;
}

static void test_wildcard(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd;

	/* A free port, of which both families are to be had. */
	assert_true(open_addresses(f, "127.0.0.1", 0));
	port = port_of(f);
	listeners_free(f->listeners);
	assert_true(open_addresses(f, "*", port));
	assert_non_null(strstr(listeners_describe(f->listeners), "0.0.0.0:"));
	if (has_ipv6())
		assert_non_null(
			strstr(listeners_describe(f->listeners), "[::]:"));
	fd = try_tcp(port);
	assert_true(fd >= 0);
	loop_for(f, 1);
	assert_int_equal(f->peer.ss_family, AF_INET);
	(void)close(fd);
}

static void test_brackets(void **state)
{
	struct fixture *f = *state;

	if (!has_ipv6())
		skip();
	assert_true(open_addresses(f, "[::1]", 0));
	assert_memory_equal(listeners_describe(f->listeners), "[::1]:", 6);
}

static void test_names_and_repetitions(void **state)
{
	struct fixture *f = *state;
	uint16_t port;

	assert_true(open_addresses(f, "127.0.0.1", 0));
	port = port_of(f);
	listeners_free(f->listeners);
	assert_true(open_addresses(f, "localhost,127.0.0.1,localhost", port));
	assert_non_null(strstr(listeners_describe(f->listeners), "127.0.0.1:"));
}

static void test_defer_accept(void **state)
{
	struct fixture *f = *state;
	struct listener_options options = { .addresses = "127.0.0.1",
					    .backlog = 16,
					    .unix_dir = "",
					    .defer_accept = true };
	int fd;

	assert_true(open_with(f, &options));
	fd = try_tcp(port_of(f));
	for (int i = 0; i < 20; i++)
		(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->accepted, 0);
	assert_int_equal(write(fd, "x", 1), 1);
	loop_for(f, 1);
	(void)close(fd);
}

static void test_every_fault_is_named(void **state)
{
	struct fixture *f = *state;
	struct listeners *first;
	uint16_t port;

	assert_true(open_addresses(f, "127.0.0.1", 0));
	port = port_of(f);
	first = f->listeners;
	assert_false(
		open_addresses(f, "127.0.0.1, 192.0.2.1, 1.2.3.4.5", port));
	expect_error(f, "cannot listen on 127.0.0.1:");
	expect_error(f, "another pooler or server");
	expect_error(f, "cannot listen on 192.0.2.1:");
	expect_error(f, "cannot listen on 1.2.3.4.5: ");
	f->listeners = first;
}

static void test_nothing_to_listen_on(void **state)
{
	struct fixture *f = *state;

	assert_true(open_addresses(f, "", 0));
	assert_string_equal(listeners_describe(f->listeners), "");
	listeners_free(NULL);
}

/* ---- Unix --------------------------------------------------------------- */

static void test_unix_file(void **state)
{
	struct fixture *f = *state;
	mode_t before = umask(077);
	struct stat status;
	char gid[32];
	int fd;

	(void)snprintf(gid, sizeof(gid), "%u", (unsigned)getgid());
	assert_true(open_unix(f, f->folder, gid));
	assert_int_equal(umask(before), 077);
	assert_string_equal(listeners_describe(f->listeners), f->path);
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0750);
	assert_int_equal(status.st_gid, getgid());
	fd = try_unix(f->path);
	assert_true(fd >= 0);
	loop_for(f, 1);
	assert_int_equal(f->by_unix, 1);
	(void)close(fd);
	listeners_close(f->listeners);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void test_stale_file_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int old = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd;

	(void)util_copy(address.sun_path, sizeof(address.sun_path), f->path);
	assert_int_equal(
		bind(old, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(old);
	assert_true(open_unix(f, f->folder, NULL));
	fd = try_unix(f->path);
	loop_for(f, 1);
	(void)close(fd);
}

static void test_live_file_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct listeners *first;
	int fd;

	assert_true(open_unix(f, f->folder, ""));
	first = f->listeners;
	assert_false(open_unix(f, f->folder, ""));
	expect_error(f, f->path);
	expect_error(f, "another pooler or server");
	f->listeners = first;
	fd = try_unix(f->path);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void test_other_files_are_left_alone(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_CREAT | O_WRONLY, 0600);

	(void)close(fd);
	assert_false(open_unix(f, f->folder, ""));
	expect_error(f, "is no socket");
	assert_int_equal(access(f->path, F_OK), 0);
}

/* A successor has put its own socket there: it stays when we go. */
static void test_successors_file_stays(void **state)
{
	struct fixture *f = *state;
	struct listeners *first;
	int fd;

	assert_true(open_unix(f, f->folder, ""));
	first = f->listeners;
	assert_int_equal(unlink(f->path), 0);
	assert_true(open_unix(f, f->folder, ""));
	listeners_free(first);
	fd = try_unix(f->path);
	assert_true(fd >= 0);
	loop_for(f, 1);
	(void)close(fd);
}

static void test_abstract(void **state)
{
	struct fixture *f = *state;
	struct listeners *first;
	char dir[64];
	char name[96];
	int fd;

	(void)snprintf(dir, sizeof(dir), "@pgweir-%d", (int)getpid());
	(void)snprintf(name, sizeof(name), "%s/.s.PGSQL.%d", dir, UNIX_PORT);
	assert_true(open_unix(f, dir, NULL));
	assert_string_equal(listeners_describe(f->listeners), name);
	fd = try_unix(name);
	assert_true(fd >= 0);
	loop_for(f, 1);
	(void)close(fd);
	first = f->listeners;
	assert_false(open_unix(f, dir, NULL));
	expect_error(f, name);
	f->listeners = first;
}

static void test_bad_places(void **state)
{
	struct fixture *f = *state;
	char dir[128];

	memset(dir, 'd', sizeof(dir));
	dir[0] = '/';
	dir[sizeof(dir) - 1] = '\0';
	assert_false(open_unix(f, dir, ""));
	expect_error(f, "choose a shorter unix_socket_dir");
	assert_false(open_unix(f, "/nonexistent", ""));
	expect_error(f, "No such file");
	assert_false(open_unix(f, f->folder, "no-such-group"));
	expect_error(f, "there is no group \"no-such-group\"");
	/* What was made on the way there is gone. */
	assert_int_equal(access(f->path, F_OK), -1);
}

/* ---- shortage ----------------------------------------------------------- */

static void test_rests_without_descriptors(void **state)
{
	struct fixture *f = *state;
	struct log_target quiet = { .quiet = true };
	uint64_t begin_us = util_now_us();
	struct rlimit before;
	struct rlimit none;
	unsigned loops = 0;
	int fd;

	assert_true(log_open(&quiet));
	assert_true(open_addresses(f, "127.0.0.1", 0));
	fd = try_tcp(port_of(f));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (util_now_us() < begin_us + 250000) {
		(void)event_base_loop(f->base, EVLOOP_ONCE);
		loops++;
	}
	assert_int_equal(f->accepted, 0);
	/* A tenth of a second each, no spinning. */
	assert_in_range(loops, 2, 8);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	loop_for(f, 1);
	(void)close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_accepts_tcp),
		CASE(test_options_are_inherited),
		CASE(test_many_clients_at_once),
		CASE(test_close_refuses),
		CASE(test_wildcard),
		CASE(test_brackets),
		CASE(test_names_and_repetitions),
		CASE(test_defer_accept),
		CASE(test_every_fault_is_named),
		CASE(test_nothing_to_listen_on),
		CASE(test_unix_file),
		CASE(test_stale_file_is_replaced),
		CASE(test_live_file_is_left_alone),
		CASE(test_other_files_are_left_alone),
		CASE(test_successors_file_stays),
		CASE(test_abstract),
		CASE(test_bad_places),
		CASE(test_rests_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
