/*
 * The set pgbouncer_*: every name that pgbouncer_exporter has, with its type
 * and labels, and values that follow our own.
 */
#include "core/metrics_compat.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/metrics_page.h"

#include <stdio.h>

#include "promparse.h"

/* collector.go: stats_totals, pools, databases, lists, config, version, up. */
static const char *const counters[] = {
	"queries_pooled_total", "queries_duration_seconds_total",
	"received_bytes_total", "queries_total",
	"sent_bytes_total",     "client_wait_seconds_total",
	"client_parses_total",  "sql_transactions_pooled_total",
	"server_parses_total",  "server_in_transaction_seconds_total",
	"binds_total",          "server_assignments_total",
};
static const char *const pools[] = {
	"client_active_connections",        "client_waiting_connections",
	"client_active_cancel_connections", "client_waiting_cancel_connections",
	"server_active_connections",        "server_active_cancel_connections",
	"server_idle_connections",          "server_being_canceled_connections",
	"server_used_connections",          "server_testing_connections",
	"server_login_connections",         "client_maxwait_seconds",
};
static const char *const databases[] = {
	"pool_size",           "reserve_pool", "max_connections",
	"current_connections", "paused",       "disabled"
};
static const char *const numbers[] = {
	"databases",
	"users",
	"pools",
	"free_clients",
	"used_clients",
	"login_clients",
	"free_servers",
	"used_servers",
	"cached_dns_names",
	"cached_dns_zones",
	"up",
	"in_flight_dns_queries",
	"version_info",
	"config_max_client_connections",
	"config_max_user_connections",
};

static char host_one[] = "pg1";
static char host_two[] = "pg2";
static char name_app[] = "app";
static char name_rest[] = "*";
static char other_name[] = "appdb";
static char forced[] = "svc";
static struct config_node nodes[] = {
	{ .host = host_one, .port = 5432, .label = host_one },
	{ .host = host_two, .port = 5433, .label = host_two },
};
static unsigned both[] = { 0, 1 };
static struct config_database lines[] = {
	{ .name = name_app,
	  .dbname = other_name,
	  .user = forced,
	  .pool_mode = POOL_MODE_SESSION,
	  .pool_size = 5,
	  .reserve_pool_size = 2,
	  .max_db_connections = CONFIG_UNSET,
	  .node_count = 2,
	  .nodes = both },
	{ .name = name_rest,
	  .pool_size = CONFIG_UNSET,
	  .reserve_pool_size = CONFIG_UNSET,
	  .max_db_connections = 9 },
};

struct fixture {
	struct metrics *metrics;
	struct metrics_cell *database;
	struct metrics_cell *pool;
	struct config config;
	struct metrics_page page;
	struct buf out;
	struct promparse parsed;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct metrics_labels labels = { .database = "app",
					       .user = "bob" };

	fixture->metrics = metrics_new();
	fixture->database =
		metrics_open(fixture->metrics, METRICS_DATABASE, &labels);
	fixture->pool = metrics_open(fixture->metrics, METRICS_POOL, &labels);
	fixture->config.databases = lines;
	fixture->config.database_count = 2;
	fixture->config.nodes = nodes;
	fixture->config.node_count = 2;
	fixture->config.settings.default_pool_size = 20;
	fixture->config.settings.max_client_conn = 100;
	fixture->config.settings.pool_mode = POOL_MODE_STATEMENT;
	fixture->page.config = &fixture->config;
	fixture->page.version = "1.2";
	fixture->page.now_us = 10000000;
	fixture->page.dns_names = 3;
	*state = fixture;
	return 0;
}

static void render(struct fixture *fixture)
{
	metrics_render_compat(fixture->metrics, &fixture->out, &fixture->page);
	buf_append_u8(&fixture->out, 0);
	fixture->parsed = promparse_read((const char *)buf_head(&fixture->out));
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	metrics_free(fixture->metrics);
	promparse_free(&fixture->parsed);
	buf_free(&fixture->out);
	free(fixture);
	return 0;
}

static void expect(const struct fixture *fixture, const char *series,
		   const char *value)
{
	const char *found = promparse_get(&fixture->parsed, series);

	if (!found)
		fail_msg("no series %s", series);
	assert_string_equal(found, value);
}

static void check_names(const struct fixture *fixture, const char *prefix,
			const char *const *names, size_t count,
			const char *type)
{
	for (size_t i = 0; i < count; i++) {
		char name[128];
		const char *found;

		(void)snprintf(name, sizeof(name), "pgbouncer_%s%s", prefix,
			       names[i]);
		found = strmap_get(fixture->parsed.types, name);
		if (!found)
			fail_msg("no metric %s", name);
		assert_string_equal(found, type);
	}
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_all_names(void **state)
{
	struct fixture *fixture = *state;

	render(fixture);
	check_names(fixture, "stats_totals_", counters, COUNT(counters),
		    "counter");
	check_names(fixture, "pools_", pools, COUNT(pools), "gauge");
	check_names(fixture, "databases_", databases, COUNT(databases),
		    "gauge");
	check_names(fixture, "", numbers, COUNT(numbers), "gauge");
	assert_int_equal(strmap_count(fixture->parsed.types),
			 COUNT(counters) + COUNT(pools) + COUNT(databases) +
				 COUNT(numbers));
}

static void test_totals(void **state)
{
	struct fixture *fixture = *state;
	struct metrics_cell *cell = fixture->database;

	metrics_count(cell, COUNTER_QUERIES, METRICS_ROLE_PRIMARY,
		      METRICS_CLASS_WRITE, 2);
	metrics_count(cell, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
		      METRICS_CLASS_READ, 3);
	metrics_count(cell, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_RECEIVED, 11);
	metrics_count(cell, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_SENT, 22);
	metrics_count(cell, COUNTER_BYTES, METRICS_SIDE_SERVER,
		      METRICS_DIRECTION_SENT, 1000);
	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_PRIMARY, 250000);
	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA, 250000);
	render(fixture);
#define TOTAL(name) "pgbouncer_stats_totals_" name "{database=\"app\"}"
	expect(fixture, TOTAL("queries_pooled_total"), "5");
	expect(fixture, TOTAL("queries_total"), "5");
	expect(fixture, TOTAL("received_bytes_total"), "11");
	expect(fixture, TOTAL("sent_bytes_total"), "22");
	expect(fixture, TOTAL("queries_duration_seconds_total"), "0.5");
	expect(fixture, TOTAL("binds_total"), "0");
}

static void test_pools(void **state)
{
	struct fixture *fixture = *state;
	struct metrics_cell *pool = fixture->pool;

	metrics_gauge_set(pool, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_ACTIVE,
			  0, 2);
	metrics_gauge_set(pool, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_IDLE,
			  0, 30);
	metrics_gauge_set(pool, GAUGE_CLIENT_CONNECTIONS,
			  METRICS_CLIENT_WAITING, 0, 4);
	metrics_gauge_set(pool, GAUGE_POOL_SERVERS, METRICS_SERVER_IDLE, 0, 5);
	metrics_gauge_set(pool, GAUGE_POOL_SERVERS, METRICS_SERVER_ACTIVE, 0,
			  2);
	metrics_gauge_set(pool, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_PRIMARY,
			  0, 9500000);
	metrics_gauge_set(pool, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_REPLICA,
			  0, 9900000);
	render(fixture);
#define POOL(name) "pgbouncer_pools_" name "{database=\"app\",user=\"bob\"}"
	expect(fixture, POOL("client_active_connections"), "32");
	expect(fixture, POOL("client_waiting_connections"), "4");
	expect(fixture, POOL("server_idle_connections"), "5");
	expect(fixture, POOL("server_active_connections"), "2");
	expect(fixture, POOL("client_maxwait_seconds"), "0.5");
	expect(fixture, "pgbouncer_used_clients", "36");
	expect(fixture, "pgbouncer_free_clients", "64");
	expect(fixture, "pgbouncer_free_servers", "5");
	expect(fixture, "pgbouncer_used_servers", "2");
	expect(fixture, "pgbouncer_pools", "1");
	expect(fixture, "pgbouncer_cached_dns_names", "3");
}

#define APP                                                                \
	"{name=\"app\",host=\"pg1,pg2\",port=\"5432\",database=\"appdb\"," \
	"force_user=\"svc\",pool_mode=\"session\"}"
#define REST                                                              \
	"{name=\"*\",host=\"\",port=\"\",database=\"*\",force_user=\"\"," \
	"pool_mode=\"statement\"}"

static void test_databases(void **state)
{
	struct fixture *fixture = *state;

	metrics_gauge_set(fixture->pool, GAUGE_POOL_SERVERS,
			  METRICS_SERVER_LOGIN, 0, 3);
	render(fixture);
	expect(fixture, "pgbouncer_databases_pool_size" APP, "5");
	expect(fixture, "pgbouncer_databases_pool_size" REST, "20");
	expect(fixture, "pgbouncer_databases_reserve_pool" APP, "2");
	expect(fixture, "pgbouncer_databases_max_connections" APP, "0");
	expect(fixture, "pgbouncer_databases_max_connections" REST, "9");
	expect(fixture, "pgbouncer_databases_current_connections" APP, "3");
	expect(fixture, "pgbouncer_databases_current_connections" REST, "0");
}

/* More clients than the limit: a reload lowered it. */
static void test_mode_and_limits(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.settings.max_client_conn = 1;
	fixture->config.settings.pool_mode = POOL_MODE_TRANSACTION;
	metrics_gauge_set(fixture->pool, GAUGE_CLIENT_CONNECTIONS,
			  METRICS_CLIENT_ACTIVE, 0, 2);
	render(fixture);
	expect(fixture, "pgbouncer_free_clients", "0");
	expect(fixture,
	       "pgbouncer_databases_paused{name=\"*\",host=\"\",port=\"\","
	       "database=\"*\",force_user=\"\",pool_mode=\"transaction\"}",
	       "0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_names),       TEST(test_totals),
		TEST(test_pools),           TEST(test_databases),
		TEST(test_mode_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
