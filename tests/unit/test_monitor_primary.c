/*
 * What is said of the primaries of the databases, and for how long one that
 * is missing is sought.
 */
#include "control/monitor_primary.h"

#include "control_config.h"
#include "core/config.h"
#include "core/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SECOND = 1000000, NOW = 7 * SECOND };

static const char text[] = "[databases]\n"
			   "app = host=127.0.0.1:1,127.0.0.1:2\n"
			   "other = host=127.0.0.1:3\n"
			   "[pgweir]\nfailover_timeout = 10\n";
static const char endless[] = "[databases]\n"
			      "app = host=127.0.0.1:1,127.0.0.1:2\n"
			      "[pgweir]\nfailover_timeout = 0\n";

static void set(struct topology *topology, unsigned i, enum topology_role role,
		uint32_t timeline)
{
	topology->nodes[i] = (struct topology_node){
		.role = role,
		.is_up = role != ROLE_UNKNOWN,
		.position = { 7, timeline, 100 },
		.probed_us = 1,
		.primary_since_us = i + 1,
	};
}

static struct topology *usual(const struct config *config)
{
	struct topology *topology =
		topology_new(config->generation, config->node_count);

	set(topology, 0, ROLE_PRIMARY, 1);
	set(topology, 1, ROLE_REPLICA, 1);
	if (config->node_count > 2)
		set(topology, 2, ROLE_PRIMARY, 1);
	return topology;
}

static int64_t primaries_of(struct metrics *metrics, const char *name)
{
	return metrics_sum_gauge(metrics, GAUGE_PRIMARIES,
				 &(struct metrics_labels){ .database = name },
				 METRICS_ALL, METRICS_ALL, NOW);
}

static void test_gone_and_found(void **state)
{
	struct config *config = control_config(text);
	struct metrics *metrics = metrics_new();
	struct monitor_primary *primaries =
		monitor_primary_new(config, metrics, NULL);
	struct topology *topology = usual(config);

	(void)state;
	assert_false(monitor_primary_look(primaries, topology, NOW));
	assert_false(monitor_primary_is_sought(primaries, 0, NOW));
	assert_int_equal(primaries_of(metrics, "app"), 1);
	topology->nodes[0].is_up = false;
	assert_true(monitor_primary_look(primaries, topology, NOW));
	assert_int_equal(primaries_of(metrics, "app"), 0);
	assert_int_equal(primaries_of(metrics, "other"), 1);
	/* Once; and the nodes of that line alone are asked for it. */
	assert_false(monitor_primary_look(primaries, topology, NOW + 1));
	assert_true(monitor_primary_is_sought(primaries, 0, NOW + 2));
	assert_true(monitor_primary_is_sought(primaries, 1, NOW + 2));
	assert_false(monitor_primary_is_sought(primaries, 2, NOW + 2));
	/* By then nobody waits any more. */
	assert_true(
		monitor_primary_is_sought(primaries, 1, NOW + 10 * SECOND - 1));
	assert_false(
		monitor_primary_is_sought(primaries, 1, NOW + 10 * SECOND));
	set(topology, 1, ROLE_PRIMARY, 2);
	assert_false(monitor_primary_look(primaries, topology, NOW + 3));
	assert_false(monitor_primary_is_sought(primaries, 1, NOW + 3));
	/* The old one is back as it was: two say so, none is sought. */
	topology->nodes[0].is_up = true;
	assert_false(monitor_primary_look(primaries, topology, NOW + 4));
	assert_int_equal(primaries_of(metrics, "app"), 2);
	/* The old one alone is none. */
	topology->nodes[1].is_up = false;
	assert_true(monitor_primary_look(primaries, topology, NOW + 5));
	assert_int_equal(primaries_of(metrics, "app"), 1);
	topology_release(topology);
	monitor_primary_free(primaries);
	metrics_free(metrics);
	config_release(config);
}

static void test_reload_goes_on(void **state)
{
	struct config *config = control_config(text);
	struct config *later = control_config(endless);
	struct monitor_primary *before =
		monitor_primary_new(config, NULL, NULL);
	struct monitor_primary *primaries;
	struct topology *topology = usual(config);

	(void)state;
	topology->nodes[0].is_up = false;
	assert_true(monitor_primary_look(before, topology, NOW));
	topology_release(topology);
	primaries = monitor_primary_new(later, NULL, before);
	monitor_primary_free(before);
	topology = usual(later);
	topology->nodes[0].is_up = false;
	/* No news: it was gone before. */
	assert_false(monitor_primary_look(primaries, topology, NOW + 1));
	/* 0: for as long as it takes. */
	assert_true(
		monitor_primary_is_sought(primaries, 0, NOW + 1000 * SECOND));
	topology_release(topology);
	monitor_primary_free(primaries);
	monitor_primary_free(NULL);
	config_release(later);
	config_release(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gone_and_found),
		cmocka_unit_test(test_reload_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
