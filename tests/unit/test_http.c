/*
 * The stats port, asked over the loopback by a client on the same loop.
 */
#include "control/http.h"

#include "base/buf.h"
#include "base/log.h"
#include "control/process.h"
#include "core/config.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char loopback[] = "127.0.0.1";

struct fixture {
	struct event_base *base;
	struct http *http;
	struct config config;
	bool is_ready;
	char answer[4096];
};

static bool ready(void *arg, struct buf *why)
{
	struct fixture *fixture = arg;

	if (!fixture->is_ready)
		buf_printf(why, "no primary");
	return fixture->is_ready;
}

static void metrics(void *arg, struct buf *out)
{
	(void)arg;
	buf_printf(out, "# TYPE x gauge\nx 1\n");
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct http_hooks hooks = { ready, metrics, fixture };
	struct buf error = BUF_INIT;

	fixture->base = event_base_new();
	fixture->config.settings.stats_addr = loopback;
	fixture->config.settings.stats_port = free_port();
	fixture->http =
		http_new(fixture->base, &hooks, &fixture->config, &error);
	assert_non_null(fixture->http);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	http_free(fixture->http);
	http_free(NULL);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static int dial(const struct fixture *fixture)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(http_port(fixture->http));
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void turn(struct fixture *fixture)
{
	(void)event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	(void)usleep(2000);
}

/* Reads until the server hangs up; false when it does not in two seconds. */
static bool read_answer(struct fixture *fixture, int fd)
{
	size_t len = 0;

	for (int i = 0; i < 1000; i++) {
		ssize_t got;

		turn(fixture);
		got = recv(fd, fixture->answer + len,
			   sizeof(fixture->answer) - len - 1, MSG_DONTWAIT);
		if (got > 0)
			len += (size_t)got;
		fixture->answer[len] = '\0';
		if (got == 0)
			return true;
	}
	return false;
}

static const char *ask(struct fixture *fixture, const char *request)
{
	int fd = dial(fixture);

	assert_int_equal(send(fd, request, strlen(request), 0),
			 strlen(request));
	assert_true(read_answer(fixture, fd));
	(void)close(fd);
	return fixture->answer;
}

static void assert_status(const char *answer, const char *status)
{
	assert_int_equal(strncmp(answer, "HTTP/1.", 7), 0);
	assert_int_equal(strncmp(answer + 9, status, 3), 0);
}

static void test_pages(void **state)
{
	struct fixture *fixture = *state;
	const char *answer = ask(fixture, "GET /metrics HTTP/1.1\r\n"
					  "Host: x\r\n\r\n");

	assert_status(answer, "200");
	assert_non_null(strstr(answer, "Content-Type: text/plain; "
				       "version=0.0.4; charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\n# TYPE x gauge\nx 1\n"));
	assert_status(ask(fixture, "GET /healthz HTTP/1.0\r\n\r\n"), "200");
	answer = ask(fixture, "GET / HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(answer, "/readyz"));
	assert_status(ask(fixture, "GET /metrics?a=b HTTP/1.0\r\n\r\n"), "200");
	assert_status(ask(fixture, "GET /metrics/../x HTTP/1.0\r\n\r\n"),
		      "404");
}

static void test_ready(void **state)
{
	struct fixture *fixture = *state;
	const char *answer = ask(fixture, "GET /readyz HTTP/1.0\r\n\r\n");

	assert_status(answer, "503");
	assert_non_null(strstr(answer, "not ready: no primary\n"));
	fixture->is_ready = true;
	assert_status(ask(fixture, "GET /readyz HTTP/1.0\r\n\r\n"), "200");
}

static void test_head(void **state)
{
	const char *answer = ask(*state, "HEAD /metrics HTTP/1.1\r\n"
					 "Host: x\r\n\r\n");

	assert_status(answer, "200");
	assert_non_null(strstr(answer, "Content-Length: 19\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void test_methods(void **state)
{
	struct fixture *fixture = *state;
	const char *answer = ask(fixture, "POST /metrics HTTP/1.1\r\n"
					  "Content-Length: 1\r\n\r\nx");

	assert_status(answer, "405");
	assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	assert_status(ask(fixture, "DELETE / HTTP/1.0\r\n\r\n"), "405");
}

static void test_hostile(void **state)
{
	struct fixture *fixture = *state;
	char big[12000];
	int fd;

	memset(big, 'a', sizeof(big));
	memcpy(big, "GET / HTTP/1.0\r\nX: ", 19);
	big[sizeof(big) - 1] = '\0';
	assert_status(ask(fixture, big), "400");
	assert_status(ask(fixture, "POST / HTTP/1.0\r\n"
				   "Content-Length: 99999999\r\n\r\n"),
		      "413");
	assert_status(ask(fixture, "\x01\x02\x03\r\n\r\n"), "400");
	/* Cut in the middle of the request line. */
	fd = dial(fixture);
	assert_int_equal(send(fd, "GE", 2, 0), 2);
	turn(fixture);
	(void)close(fd);
	assert_status(ask(fixture, "GET /healthz HTTP/1.0\r\n\r\n"), "200");
}

/* Idle strangers fill the places; when they leave, others are served. */
static void test_many(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	struct fixture *fixture = *state;
	struct pollfd waiting = { .events = POLLIN };
	int idle[40];

	for (size_t i = 0; i < 40; i++) {
		idle[i] = dial(fixture);
		turn(fixture);
	}
	waiting.fd = dial(fixture);
	assert_int_equal(send(waiting.fd, request, strlen(request), 0),
			 strlen(request));
	for (int i = 0; i < 50; i++)
		turn(fixture);
	assert_int_equal(poll(&waiting, 1, 0), 0);
	for (size_t i = 0; i < 40; i++)
		(void)close(idle[i]);
	assert_true(read_answer(fixture, waiting.fd));
	assert_status(fixture->answer, "200");
	(void)close(waiting.fd);
}

static void test_reload(void **state)
{
	struct fixture *fixture = *state;
	struct buf error = BUF_INIT;
	uint16_t before = http_port(fixture->http);
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int taken = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(taken, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(taken, 1), 0);
	assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &len),
			 0);
	assert_true(http_reload(fixture->http, &fixture->config, &error));
	assert_int_equal(http_port(fixture->http), before);
	/* Somebody else's: the old one stays. */
	fixture->config.settings.stats_port = ntohs(address.sin_port);
	assert_false(http_reload(fixture->http, &fixture->config, &error));
	buf_append_u8(&error, 0);
	assert_non_null(strstr((const char *)buf_head(&error), "stats_port"));
	assert_status(ask(fixture, "GET /healthz HTTP/1.0\r\n\r\n"), "200");
	(void)close(taken);
	assert_true(http_reload(fixture->http, &fixture->config, &error));
	assert_int_equal(http_port(fixture->http), ntohs(address.sin_port));
	assert_status(ask(fixture, "GET /healthz HTTP/1.0\r\n\r\n"), "200");
	fixture->config.settings.stats_port = 0;
	assert_true(http_reload(fixture->http, &fixture->config, &error));
	assert_int_equal(http_port(fixture->http), 0);
	buf_free(&error);
}

static void test_free_with_visitors(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	turn(fixture);
	http_free(fixture->http);
	fixture->http = NULL;
	turn(fixture);
	(void)close(fd);
}

static void test_process(void **state)
{
	struct metrics_process process;
	uint64_t before;
	int fd;

	(void)state;
	process_sample(&process);
	assert_true(process.resident_bytes > 4096);
	assert_true(process.virtual_bytes >= process.resident_bytes);
	assert_true(process.max_fds > process.open_fds);
	before = process.open_fds;
	fd = dup(0);
	process_sample(&process);
	assert_int_equal(process.open_fds, before + (fd >= 0));
	(void)close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pages),
		TEST(test_ready),
		TEST(test_head),
		TEST(test_methods),
		TEST(test_hostile),
		TEST(test_many),
		TEST(test_reload),
		TEST(test_free_with_visitors),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
