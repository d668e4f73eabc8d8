/*
 * The monitor with nodes where nobody listens; with real servers it is
 * tested by the system tests.
 */
#include "control/monitor.h"
#include "control/monitor_login.h"

#include "base/log.h"
#include "base/util.h"
#include "control/monitor_check.h"
#include "control/resolve.h"
#include "core/metrics.h"
#include "core/users.h"

#include <event2/event.h>
#include <event2/thread.h>

#include "control_config.h"

/* Port 1 of the loopback: nobody may listen there but root. */
static const char one_line[] =
	"[databases]\n"
	"app = host=127.0.0.1 port=1 user=app password=word\n"
	"[pgweir]\nmonitor_interval = 0.1\n";
static const char two_lines[] = "[databases]\n"
				"other = host=127.0.0.2 port=1\n"
				"app = host=127.0.0.1 port=1 user=app\n"
				"[pgweir]\nmonitor_interval = 0.1\n";

struct fixture {
	struct event_base *base;
	struct metrics *metrics;
	struct resolve *resolve;
	struct monitor *monitor;
	struct topology *newest;
	unsigned posts;
};

static void posted(void *arg, struct topology *taken)
{
	struct fixture *fixture = arg;

	topology_release(fixture->newest);
	fixture->newest = taken;
	fixture->posts++;
}

static void ignored(void *arg, unsigned node,
		    const struct sockaddr_storage *address, socklen_t len)
{
	(void)arg;
	(void)node;
	(void)address;
	(void)len;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct config *config = control_config(one_line);

	config->generation = 4;
	fixture->base = event_base_new();
	fixture->metrics = metrics_new();
	fixture->resolve = resolve_new(fixture->base, config, ignored, NULL);
	fixture->monitor = monitor_new(fixture->base, config, fixture->resolve,
				       fixture->metrics, posted, fixture);
	config_release(config);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	monitor_free(fixture->monitor);
	monitor_free(NULL);
	resolve_free(fixture->resolve);
	metrics_free(fixture->metrics);
	topology_release(fixture->newest);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static uint64_t failures(const struct fixture *fixture)
{
	return metrics_sum(fixture->metrics, COUNTER_PROBE_FAILURES, NULL,
			   METRICS_ALL, METRICS_ALL);
}

static void run_ms(struct fixture *fixture, int ms)
{
	const struct timeval limit = { 0, ms * 1000 };

	(void)event_base_loopexit(fixture->base, &limit);
	(void)event_base_dispatch(fixture->base);
}

static void test_all_down(void **state)
{
	struct fixture *fixture = *state;
	const unsigned list[] = { 0 };

	assert_int_equal(fixture->posts, 0);
	assert_int_equal(monitor_topology(fixture->monitor)->count, 1);
	run_ms(fixture, 400);
	assert_true(fixture->posts > 0);
	assert_int_equal(fixture->newest->generation, 4);
	assert_int_equal(fixture->newest->count, 1);
	assert_false(fixture->newest->nodes[0].is_up);
	/* Nobody has answered yet: the first is what there is to try. */
	assert_int_equal(topology_primary(fixture->newest, list, 1), 0);
	/* At 0, 0.1 and 0.3 s, then each 0.4 s; fewer on a busy machine. */
	assert_in_range(failures(fixture), 1, 3);
}

static void test_reload(void **state)
{
	struct fixture *fixture = *state;
	struct config *config = control_config(two_lines);

	run_ms(fixture, 50);
	config->generation = 5;
	resolve_reload(fixture->resolve, config);
	monitor_reload(fixture->monitor, config);
	config_release(config);
	assert_int_equal(monitor_topology(fixture->monitor)->count, 2);
	run_ms(fixture, 50);
	assert_int_equal(fixture->newest->generation, 5);
	assert_int_equal(fixture->newest->count, 2);
}

static void test_poke(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before;

	run_ms(fixture, 50);
	before = failures(fixture);
	for (int i = 0; i < 100; i++)
		monitor_poke(fixture->monitor, 0);
	monitor_poke(fixture->monitor, 9);
	for (int i = 0; i < 100 && failures(fixture) == before; i++)
		run_ms(fixture, 30);
	/* Many pokes are one probe; the timer's may have come as well. */
	assert_in_range(failures(fixture), before + 1, before + 2);
}

static void test_logins(void **state)
{
	struct config *config = control_config(two_lines);
	struct buf error = BUF_INIT;
	const char *text = "\"app\" \"filed\"\n\"postgres\" \"md5"
			   "0123456789abcdef0123456789abcdef\"\n";
	struct users *users = users_parse(text, strlen(text), "x", &error);
	struct monitor_login login = monitor_login_of(config, 0);

	(void)state;
	assert_string_equal(login.user, "postgres");
	assert_null(login.password);
	assert_string_equal(login.dbname, "postgres");
	login = monitor_login_of(config, 1);
	assert_string_equal(login.user, "app");
	assert_null(login.password);
	login = monitor_login_with(config, users, 1);
	assert_string_equal(login.password, "filed");
	/* What cannot be sent as a password is none. */
	login = monitor_login_with(config, users, 0);
	assert_null(login.password);
	config_release(config);
	config = control_config("[databases]\na = host=h user=x password=y\n"
				"[pgweir]\nmonitor_user = m\n"
				"monitor_password = p\nmonitor_dbname = d\n");
	login = monitor_login_with(config, users, 0);
	assert_string_equal(login.user, "m");
	assert_string_equal(login.password, "p");
	assert_string_equal(login.dbname, "d");
	config_release(config);
	users_release(users);
	buf_free(&error);
}

static void test_login_of_the_line(void **state)
{
	struct fixture *fixture = *state;
	struct config *config = control_config(one_line);
	struct buf error = BUF_INIT;
	struct users *users = users_parse("", 0, "x", &error);

	assert_string_equal(monitor_login_of(config, 0).password, "word");
	monitor_set_users(fixture->monitor, users);
	users_release(users);
	monitor_set_users(fixture->monitor, NULL);
	config_release(config);
	buf_free(&error);
}

static bool has(struct buf *out, const char *text)
{
	bool is_there;

	buf_append_u8(out, 0);
	is_there = strstr((const char *)buf_head(out), text) != NULL;
	out->tail--;
	return is_there;
}

static void test_check(void **state)
{
	struct config *config = control_config(one_line);
	struct buf out = BUF_INIT;

	(void)state;
	assert_false(monitor_check_once(config, NULL, &out));
	assert_true(has(&out, "node 127.0.0.1:1: NOT REACHED (connection "
			      "refused)\n"));
	assert_true(has(&out, "database app: NO PRIMARY among its 1 nodes"));
	assert_false(has(&out, "word"));
	buf_free(&out);
	config_release(config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_down),
		TEST(test_reload),
		TEST(test_poke),
		cmocka_unit_test(test_logins),
		TEST(test_login_of_the_line),
		cmocka_unit_test(test_check),
	};

	(void)evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
