/*
 * Addresses of nodes: literals at once, names by the helper thread.
 */
#include "control/resolve.h"

#include "base/log.h"
#include "control/lookup.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <sys/un.h>

#include "control_config.h"

struct fixture {
	struct event_base *base;
	struct resolve *resolve;
	unsigned calls;
	unsigned node;
	struct sockaddr_storage address;
	socklen_t len;
};

static void called(void *arg, unsigned node,
		   const struct sockaddr_storage *address, socklen_t len)
{
	struct fixture *fixture = arg;

	fixture->calls++;
	fixture->node = node;
	fixture->address = *address;
	fixture->len = len;
	(void)event_base_loopbreak(fixture->base);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->base = event_base_new();
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	resolve_free(fixture->resolve);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static void start(struct fixture *fixture, const char *text)
{
	struct config *config = control_config(text);

	if (fixture->resolve)
		resolve_reload(fixture->resolve, config);
	else
		fixture->resolve =
			resolve_new(fixture->base, config, called, fixture);
	config_release(config);
}

static void run_for(struct fixture *fixture, time_t seconds)
{
	const struct timeval limit = { seconds, 0 };

	(void)event_base_loopexit(fixture->base, &limit);
	(void)event_base_dispatch(fixture->base);
}

static void test_numeric(void **state)
{
	struct fixture *fixture = *state;
	const struct sockaddr_in *four = (const void *)&fixture->address;
	const struct sockaddr_in6 *six = (const void *)&fixture->address;
	socklen_t len;

	start(fixture, "[databases]\na = host=10.1.2.3 port=5433\n");
	assert_int_equal(fixture->calls, 1);
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(ntohs(four->sin_port), 5433);
	assert_int_equal(ntohl(four->sin_addr.s_addr), 0x0a010203);
	assert_int_equal(fixture->len, sizeof(*four));
	start(fixture, "[databases]\na = host=[::1]:5434\n");
	assert_int_equal(fixture->calls, 2);
	assert_int_equal(six->sin6_family, AF_INET6);
	assert_int_equal(ntohs(six->sin6_port), 5434);
	assert_non_null(resolve_address(fixture->resolve, 0, &len));
	assert_int_equal(len, sizeof(*six));
	assert_null(resolve_address(fixture->resolve, 1, &len));
	assert_int_equal(len, 0);
	/* One address: there is no next. */
	assert_false(resolve_next(fixture->resolve, 0));
	assert_false(resolve_next(fixture->resolve, 7));
	assert_int_equal(resolve_count_names(fixture->resolve), 0);
	assert_false(resolve_is_pending(fixture->resolve, 0));
	assert_false(resolve_is_pending(fixture->resolve, 7));
}

static void test_unix(void **state)
{
	struct fixture *fixture = *state;
	const struct sockaddr_un *address = (const void *)&fixture->address;

	start(fixture, "[databases]\na = host=/run/pg port=5433\n");
	assert_int_equal(fixture->calls, 1);
	assert_int_equal(address->sun_family, AF_UNIX);
	assert_string_equal(address->sun_path, "/run/pg/.s.PGSQL.5433");
}

static void test_name(void **state)
{
	struct fixture *fixture = *state;
	socklen_t len;

	start(fixture, "[databases]\na = host=localhost port=5433\n");
	assert_int_equal(fixture->calls, 0);
	assert_true(resolve_is_pending(fixture->resolve, 0));
	assert_int_equal(resolve_count_pending(fixture->resolve), 1);
	run_for(fixture, 10);
	assert_int_equal(fixture->calls, 1);
	assert_false(resolve_is_pending(fixture->resolve, 0));
	assert_non_null(resolve_address(fixture->resolve, 0, &len));
	assert_int_equal(resolve_count_names(fixture->resolve), 1);
	resolve_worked(fixture->resolve, 0);
	/* Known already: told again for the number that it has now. */
	start(fixture, "[databases]\nb = host=10.1.2.3\n"
		       "c = host=localhost port=5433\n");
	assert_int_equal(fixture->calls, 3);
	assert_int_equal(resolve_count_pending(fixture->resolve), 0);
}

static void test_bad_name(void **state)
{
	struct fixture *fixture = *state;
	socklen_t len;

	start(fixture, "[databases]\na = host=no-such-host.invalid\n");
	for (int i = 0; i < 200; i++) {
		if (!resolve_is_pending(fixture->resolve, 0))
			break;
		(void)event_base_loop(fixture->base, EVLOOP_ONCE);
	}
	assert_int_equal(fixture->calls, 0);
	assert_null(resolve_address(fixture->resolve, 0, &len));
	assert_false(resolve_is_pending(fixture->resolve, 0));
}

/* The helper is in the middle of it, or has not begun. */
static void test_free_while_pending(void **state)
{
	struct fixture *fixture = *state;

	start(fixture,
	      "[databases]\na = host=localhost,no-such-host.invalid\n");
	assert_int_equal(resolve_count_pending(fixture->resolve), 2);
	resolve_free(fixture->resolve);
	fixture->resolve = NULL;
	assert_int_equal(fixture->calls, 0);
}

static void test_lookup_now(void **state)
{
	struct lookup_answer answer;

	(void)state;
	lookup_now("127.0.0.1", 1, true, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.count, 1);
	lookup_now("localhost", 1, true, &answer);
	assert_int_not_equal(answer.error, 0);
	assert_int_equal(answer.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numeric),
		TEST(test_unix),
		TEST(test_name),
		TEST(test_bad_name),
		TEST(test_free_while_pending),
		cmocka_unit_test(test_lookup_now),
	};

	(void)evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
