/*
 * The page of metrics, read back by a strict parser of the format.
 */
#include "core/metrics_text.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/topology.h"

#include <stdio.h>

#include "promparse.h"

static char label_one[] = "10.0.0.7:5432";
static char label_two[] = "[::1]:5433";
static char secret[] = "s3cret-must-not-show";

static struct config_node nodes[] = {
	{ .host = label_one, .port = 5432, .label = label_one },
	{ .host = label_two, .port = 5433, .label = label_two },
};

struct fixture {
	struct metrics *metrics;
	struct topology *topology;
	struct config config;
	struct metrics_page page;
	struct buf out;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->metrics = metrics_new();
	fixture->topology = topology_new(1, 2);
	fixture->config.node_count = 2;
	fixture->config.nodes = nodes;
	fixture->config.settings.monitor_password = secret;
	fixture->page = (struct metrics_page){
		.version = "1.2",
		.commit = "abc",
		.now_us = 5000000,
		.started_wall_us = 1700000000500000,
		.reload_ok = true,
		.reload_ok_wall_us = 1700000001000000,
		.config = &fixture->config,
		.topology = fixture->topology,
		.process = { .cpu_us = 1250000,
			     .resident_bytes = 4096,
			     .open_fds = 12,
			     .max_fds = 1024 },
	};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	metrics_free(fixture->metrics);
	topology_release(fixture->topology);
	buf_free(&fixture->out);
	free(fixture);
	return 0;
}

static struct promparse render(struct fixture *fixture)
{
	buf_free(&fixture->out);
	metrics_render(fixture->metrics, &fixture->out, &fixture->page);
	buf_append_u8(&fixture->out, 0);
	return promparse_read((const char *)buf_head(&fixture->out));
}

static void expect(const struct promparse *page, const char *series,
		   const char *value)
{
	const char *found = promparse_get(page, series);

	if (!found)
		fail_msg("no series %s", series);
	assert_string_equal(found, value);
}

static void test_page_alone(void **state)
{
	struct promparse page = render(*state);

	expect(&page, "pgweir_build_info{version=\"1.2\",commit=\"abc\"}", "1");
	expect(&page, "pgweir_start_time_seconds", "1700000000.5");
	expect(&page, "pgweir_config_last_reload_successful", "1");
	expect(&page, "pgweir_config_last_reload_success_timestamp_seconds",
	       "1700000001");
	expect(&page, "process_cpu_seconds_total", "1.25");
	expect(&page, "process_resident_memory_bytes", "4096");
	expect(&page, "process_open_fds", "12");
	expect(&page, "process_max_fds", "1024");
	assert_null(strmap_get(page.types, "pgweir_queries_total"));
	assert_null(strmap_get(page.types, "pgbouncer_up"));
	assert_null(strmap_get(page.types,
			       "pgweir_tls_certificate_expiry_seconds"));
	promparse_free(&page);
}

static void test_nothing_known(void **state)
{
	struct fixture *fixture = *state;
	struct promparse page;

	fixture->page.config = NULL;
	fixture->page.topology = NULL;
	fixture->page.commit = NULL;
	fixture->page.reload_ok = false;
	page = render(fixture);
	expect(&page, "pgweir_build_info{version=\"1.2\",commit=\"\"}", "1");
	expect(&page, "pgweir_config_last_reload_successful", "0");
	assert_null(strmap_get(page.types, "pgweir_backend_up"));
	promparse_free(&page);
}

static void test_nodes(void **state)
{
	struct fixture *fixture = *state;
	struct topology_node *replica = &fixture->topology->nodes[1];
	struct promparse page;

	fixture->topology->nodes[0].is_up = true;
	fixture->topology->nodes[0].role = ROLE_PRIMARY;
	*replica = (struct topology_node){ .is_up = true,
					   .role = ROLE_REPLICA,
					   .is_streaming = true,
					   .lag_us = 250000,
					   .lag_bytes = 8192 };
	page = render(fixture);
	expect(&page, "pgweir_backend_up{backend=\"10.0.0.7:5432\"}", "1");
	expect(&page, "pgweir_backend_is_primary{backend=\"10.0.0.7:5432\"}",
	       "1");
	expect(&page, "pgweir_backend_is_primary{backend=\"[::1]:5433\"}", "0");
	expect(&page,
	       "pgweir_backend_replication_lag_seconds{backend=\"[::1]:5433\"}",
	       "0.25");
	expect(&page,
	       "pgweir_backend_replication_lag_bytes{backend=\"[::1]:5433\"}",
	       "8192");
	assert_null(promparse_get(&page, "pgweir_backend_replication_lag_bytes"
					 "{backend=\"10.0.0.7:5432\"}"));
	promparse_free(&page);
	replica->is_up = false;
	page = render(fixture);
	expect(&page, "pgweir_backend_up{backend=\"[::1]:5433\"}", "0");
	assert_null(
		strmap_get(page.types, "pgweir_backend_replication_lag_bytes"));
	promparse_free(&page);
}

/* After a reload the topology may still be that of the old config. */
static void test_other_generation(void **state)
{
	struct fixture *fixture = *state;
	struct promparse page;

	fixture->config.node_count = 1;
	page = render(fixture);
	assert_null(strmap_get(page.types, "pgweir_backend_up"));
	promparse_free(&page);
}

static void test_counters(void **state)
{
	struct fixture *fixture = *state;
	struct metrics_cell *cell =
		metrics_open(fixture->metrics, METRICS_DATABASE,
			     &(struct metrics_labels){ .database = "a\"\xff" });
	struct promparse page;

	metrics_count(cell, COUNTER_ROUTING, METRICS_ROLE_REPLICA,
		      ROUTE_REASON_AUTOCOMMIT_READ, 7);
	metrics_count(cell, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
		      METRICS_CLASS_READ, 7);
	page = render(fixture);
	expect(&page,
	       "pgweir_routing_decisions_total{database=\"a\\\"\xef\xbf\xbd\","
	       "target=\"replica\",reason=\"autocommit_read\"}",
	       "7");
	expect(&page,
	       "pgweir_queries_total{database=\"a\\\"\xef\xbf\xbd\","
	       "role=\"replica\",class=\"read\"}",
	       "7");
	expect(&page,
	       "pgweir_queries_total{database=\"a\\\"\xef\xbf\xbd\","
	       "role=\"primary\",class=\"write\"}",
	       "0");
	/* Of a long list only what happened is shown. */
	assert_null(promparse_get(
		&page,
		"pgweir_routing_decisions_total{database=\"a\\\"\xef\xbf\xbd\","
		"target=\"replica\",reason=\"hint\"}"));
	promparse_free(&page);
}

static void test_scopes(void **state)
{
	struct fixture *fixture = *state;
	const struct metrics_labels labels = { .worker = "3",
					       .database = "app",
					       .user = "bob",
					       .backend = "h:1" };
	struct metrics_cell *worker =
		metrics_open(fixture->metrics, METRICS_WORKER, &labels);
	struct metrics_cell *pool =
		metrics_open(fixture->metrics, METRICS_POOL, &labels);
	struct metrics_cell *backend =
		metrics_open(fixture->metrics, METRICS_BACKEND, &labels);
	struct promparse page;

	metrics_count(worker, COUNTER_WORKER_BUSY_US, 0, 0, 2500000);
	metrics_count(worker, COUNTER_TLS_HANDSHAKES, METRICS_SIDE_CLIENT,
		      METRICS_TLS_1_3, 1);
	metrics_gauge(pool, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_IDLE, 0,
		      -1);
	metrics_gauge_set(pool, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_REPLICA,
			  0, 3500000);
	metrics_count(backend, COUNTER_ERRORS, metrics_sqlstate_class("42601"),
		      0, 2);
	page = render(fixture);
	expect(&page, "pgweir_worker_busy_seconds_total{worker=\"3\"}", "2.5");
	expect(&page,
	       "pgweir_tls_handshakes_total{side=\"client\","
	       "version=\"TLSv1.3\"}",
	       "1");
	expect(&page,
	       "pgweir_client_connections{database=\"app\",user=\"bob\","
	       "state=\"idle\"}",
	       "-1");
	expect(&page,
	       "pgweir_pool_maxwait_seconds{database=\"app\",user=\"bob\","
	       "role=\"replica\"}",
	       "1.5");
	expect(&page,
	       "pgweir_errors_total{database=\"app\",backend=\"h:1\","
	       "sqlstate_class=\"42\"}",
	       "2");
	promparse_free(&page);
}

static void test_histogram(void **state)
{
	struct fixture *fixture = *state;
	struct metrics_cell *cell =
		metrics_open(fixture->metrics, METRICS_DATABASE,
			     &(struct metrics_labels){ .database = "app" });
	struct promparse page;

#define AUTH(suffix, labels) \
	"pgweir_auth_duration_seconds" suffix "{database=\"app\"" labels "}"
	metrics_observe(cell, HISTOGRAM_AUTH, 0, 50);
	metrics_observe(cell, HISTOGRAM_AUTH, 0, 1500);
	metrics_observe(cell, HISTOGRAM_AUTH, 0, 70000000);
	page = render(fixture);
	expect(&page, AUTH("_bucket", ",le=\"0.00005\""), "1");
	expect(&page, AUTH("_bucket", ",le=\"0.001\""), "1");
	expect(&page, AUTH("_bucket", ",le=\"0.002\""), "2");
	expect(&page, AUTH("_bucket", ",le=\"60\""), "2");
	expect(&page, AUTH("_bucket", ",le=\"+Inf\""), "3");
	expect(&page, AUTH("_count", ""), "3");
	expect(&page, AUTH("_sum", ""), "70.00155");
	assert_null(promparse_get(&page, AUTH("_bucket", ",le=\"0.003\"")));
	promparse_free(&page);
}

static void test_certificates(void **state)
{
	struct fixture *fixture = *state;
	struct promparse page;

	fixture->page.client_cert_expires_s = 1800000000;
	page = render(fixture);
	expect(&page, "pgweir_tls_certificate_expiry_seconds{side=\"client\"}",
	       "1800000000");
	assert_null(promparse_get(
		&page,
		"pgweir_tls_certificate_expiry_seconds{side=\"server\"}"));
	promparse_free(&page);
}

static void test_no_secrets(void **state)
{
	struct fixture *fixture = *state;
	struct promparse page;

	fixture->config.settings.stats_compat_pgbouncer = true;
	page = render(fixture);
	assert_null(strstr((const char *)buf_head(&fixture->out), secret));
	expect(&page, "pgbouncer_up", "1");
	promparse_free(&page);
}

static void test_every_metric_once(void **state)
{
	struct fixture *fixture = *state;
	const struct metrics_labels labels = { .worker = "0",
					       .database = "app",
					       .user = "bob",
					       .backend = "h:1" };
	struct promparse page;

	for (unsigned i = 0; i < METRICS_SCOPE_COUNT; i++)
		(void)metrics_open(fixture->metrics, i, &labels);
	fixture->config.settings.stats_compat_pgbouncer = true;
	page = render(fixture);
	for (unsigned t = 0; t <= METRICS_TYPE_HISTOGRAM; t++)
		for (unsigned i = 0; i < metrics_row_count(t); i++)
			assert_non_null(strmap_get(page.types,
						   metrics_row(t, i)->name));
	promparse_free(&page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_page_alone), TEST(test_nothing_known),
		TEST(test_nodes),      TEST(test_other_generation),
		TEST(test_counters),   TEST(test_scopes),
		TEST(test_histogram),  TEST(test_certificates),
		TEST(test_no_secrets), TEST(test_every_metric_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
