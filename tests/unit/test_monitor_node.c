/*
 * What reports of probes make of a node.
 */
#include "control/monitor_node.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000000 };

static struct probe_report answer(bool is_primary, uint32_t timeline,
				  uint64_t lsn, uint64_t at_us)
{
	return (struct probe_report){
		.outcome = PROBE_ANSWERED,
		.facts = { .is_primary = is_primary,
			   .is_receiving = !is_primary,
			   .position = { 7, timeline, lsn },
			   .version = 150020 },
		.sent_us = at_us,
		.done_us = at_us + 100,
	};
}

static struct probe_report failure(const char *reason)
{
	struct probe_report report = { .outcome = PROBE_FAILED };

	(void)util_copy(report.reason, sizeof(report.reason), reason);
	return report;
}

static struct probe_report refusal(const char *sqlstate)
{
	struct probe_report report = { .outcome = PROBE_REFUSED };

	(void)util_copy(report.reason, sizeof(report.reason), sqlstate);
	(void)util_copy(report.sqlstate, sizeof(report.sqlstate), sqlstate);
	return report;
}

static unsigned take(struct monitor_node *node, struct probe_report report)
{
	return monitor_node_take(node, &report);
}

static void test_first_answer(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	assert_int_equal(take(&node, answer(true, 3, 100, SECOND)),
			 NODE_CAME_UP | NODE_MOVED);
	assert_true(node.now.is_up);
	assert_int_equal(node.now.role, ROLE_PRIMARY);
	assert_int_equal(node.now.position.timeline, 3);
	assert_int_equal(node.now.server_version, 150020);
	assert_int_equal(node.now.probed_us, SECOND + 100);
	assert_int_equal(take(&node, answer(true, 3, 100, 2 * SECOND)), 0);
	assert_int_equal(take(&node, answer(true, 3, 101, 3 * SECOND)),
			 NODE_MOVED);
}

/* Down at the first failure; said once, and again for a new reason. */
static void test_down(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	(void)take(&node, answer(true, 3, 100, SECOND));
	assert_int_equal(take(&node, failure("refused")),
			 NODE_WENT_DOWN | NODE_NEW_FAILURE);
	assert_false(node.now.is_up);
	assert_int_equal(take(&node, failure("refused")), 0);
	assert_int_equal(take(&node, failure("starting up")), NODE_NEW_FAILURE);
	/* A primary is wanted at once. */
	assert_int_equal(take(&node, answer(true, 3, 100, 2 * SECOND)),
			 NODE_CAME_UP);
	assert_int_equal(take(&node, failure("refused")),
			 NODE_WENT_DOWN | NODE_NEW_FAILURE);
}

static void test_never_up(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	assert_int_equal(take(&node, failure("refused")), NODE_NEW_FAILURE);
	assert_int_equal(take(&node, failure("refused")), 0);
	assert_true(take(&node, answer(false, 1, 5, SECOND)) & NODE_CAME_UP);
	assert_true(node.now.is_up);
}

static void test_replica_rises_slowly(void **state)
{
	struct monitor_node node = { .limits.rise = 2 };

	(void)state;
	(void)take(&node, answer(false, 1, 5, SECOND));
	(void)take(&node, failure("refused"));
	assert_int_equal(take(&node, answer(false, 1, 5, SECOND)), NODE_MOVED);
	assert_false(node.now.is_up);
	assert_int_equal(take(&node, failure("refused")), NODE_NEW_FAILURE);
	(void)take(&node, answer(false, 1, 5, SECOND));
	assert_true(take(&node, answer(false, 1, 5, SECOND)) & NODE_CAME_UP);
	assert_true(node.now.is_up);
}

/* Hysteresis: two misses in a row, then three answers in a row. */
static void test_replica_falls_slowly(void **state)
{
	struct monitor_node node = { .limits = { .rise = 3, .fall = 2 } };

	(void)state;
	(void)take(&node, answer(false, 1, 5, SECOND));
	assert_int_equal(take(&node, failure("slow")), 0);
	assert_true(node.now.is_up);
	(void)take(&node, answer(false, 1, 6, 2 * SECOND));
	assert_int_equal(take(&node, failure("slow")), 0);
	assert_int_equal(take(&node, failure("slow")), NODE_WENT_DOWN);
	assert_false(node.now.is_up);
	for (unsigned i = 0; i < 2; i++) {
		(void)take(&node, answer(false, 1, 6, 3 * SECOND));
		assert_false(node.now.is_up);
	}
	assert_true(take(&node, answer(false, 1, 6, 4 * SECOND)) &
		    NODE_CAME_UP);
	assert_int_equal(node.now.up_since_us, 4 * SECOND + 100);
	/* A primary is down at once: its writers wait for another one. */
	(void)take(&node, answer(true, 2, 9, 5 * SECOND));
	assert_true(take(&node, failure("slow")) & NODE_WENT_DOWN);
}

static void test_promotion(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	(void)take(&node, answer(false, 1, 50, SECOND));
	assert_int_equal(take(&node, answer(true, 2, 60, 2 * SECOND)),
			 NODE_CHANGED_ROLE | NODE_MOVED);
	assert_int_equal(node.old_role, ROLE_REPLICA);
	assert_int_equal(node.old_timeline, 1);
	assert_int_equal(node.now.role, ROLE_PRIMARY);
	assert_false(node.now.is_streaming);
	assert_int_equal(node.samples.count, 1);
	assert_int_equal(take(&node, answer(true, 3, 70, 3 * SECOND)),
			 NODE_CHANGED_TIMELINE | NODE_MOVED);
	assert_int_equal(node.old_timeline, 2);
}

/* A primary that was killed comes back as a replica. */
static void test_demotion(void **state)
{
	struct monitor_node node = { .limits.rise = 2 };

	(void)state;
	(void)take(&node, answer(true, 1, 50, SECOND));
	(void)take(&node, failure("refused"));
	assert_true(take(&node, answer(false, 2, 60, SECOND)) &
		    NODE_CHANGED_ROLE);
	assert_int_equal(node.old_role, ROLE_PRIMARY);
	assert_false(node.now.is_up);
}

static void test_refusal_at_start(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	assert_int_equal(take(&node, refusal("28P01")),
			 NODE_CAME_UP | NODE_NEW_REFUSAL);
	assert_true(node.now.is_up);
	assert_int_equal(node.now.role, ROLE_UNKNOWN);
	assert_int_equal(node.now.probed_us, 0);
	assert_int_equal(take(&node, refusal("28P01")), 0);
	assert_int_equal(take(&node, refusal("3D000")), NODE_NEW_REFUSAL);
	(void)take(&node, answer(true, 1, 5, SECOND));
	assert_int_equal(take(&node, refusal("3D000")), NODE_NEW_REFUSAL);
}

/* A monitor's password that went wrong must not stop the writes. */
static void test_refusal_keeps_role(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	(void)take(&node, answer(true, 1, 5, SECOND));
	(void)take(&node, refusal("28P01"));
	assert_int_equal(node.now.role, ROLE_PRIMARY);
	/* Restarted in between: it may be anything now. */
	(void)take(&node, failure("refused"));
	(void)take(&node, refusal("28P01"));
	assert_int_equal(node.now.role, ROLE_UNKNOWN);
	assert_true(node.now.is_up);
}

static void test_full_server_keeps_role(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	(void)take(&node, answer(true, 1, 5, SECOND));
	(void)take(&node, failure("refused"));
	assert_true(take(&node, refusal("53300")) & NODE_CAME_UP);
	assert_int_equal(node.now.role, ROLE_PRIMARY);
}

static void test_limit_is_told_once(void **state)
{
	struct monitor_node node = { 0 };
	struct probe_report report = answer(false, 0, 5, SECOND);

	(void)state;
	report.facts.is_limited = true;
	assert_true(take(&node, report) & NODE_NEW_LIMIT);
	assert_false(take(&node, report) & NODE_NEW_LIMIT);
}

static void test_lag(void **state)
{
	struct monitor_node primary = { 0 };
	struct monitor_node replica = { 0 };

	(void)state;
	(void)take(&primary, answer(true, 1, 100, 1 * SECOND));
	(void)take(&primary, answer(true, 1, 200, 2 * SECOND));
	(void)take(&replica, answer(false, 1, 200, 2 * SECOND));
	monitor_node_measure(&replica, &primary, 3 * SECOND);
	assert_true(replica.now.is_streaming);
	assert_int_equal(replica.now.lag_us, 0);
	assert_int_equal(replica.now.lag_bytes, 0);

	(void)take(&replica, answer(false, 1, 150, 2 * SECOND));
	monitor_node_measure(&replica, &primary, 3 * SECOND);
	assert_int_equal(replica.now.lag_us, 2 * SECOND);
	assert_int_equal(replica.now.lag_bytes, 50);

	/* A replica that says nothing any more ages too. */
	(void)take(&primary, answer(true, 1, 300, 4 * SECOND));
	monitor_node_measure(&replica, &primary, 5 * SECOND);
	assert_int_equal(replica.now.lag_us, 4 * SECOND);
	/* A primary has no lag. */
	monitor_node_measure(&primary, &replica, 5 * SECOND);
	assert_int_equal(primary.now.lag_us, 0);
	assert_false(primary.now.is_streaming);
}

static void test_stream_broken(void **state)
{
	struct monitor_node primary = { 0 };
	struct monitor_node replica = { 0 };
	struct probe_report report = answer(false, 1, 100, SECOND);

	(void)state;
	(void)take(&primary, answer(true, 1, 100, SECOND));
	report.facts.is_receiving = false;
	(void)take(&replica, report);
	monitor_node_measure(&replica, &primary, 2 * SECOND);
	assert_false(replica.now.is_streaming);
	/* Without a primary nothing newer can be missed; the lag stands. */
	(void)take(&primary, failure("refused"));
	monitor_node_measure(&replica, &primary, 60 * (uint64_t)SECOND);
	assert_true(replica.now.is_streaming);
	assert_int_equal(replica.now.lag_us, 0);
	(void)take(&replica, failure("refused"));
	monitor_node_measure(&replica, &primary, 61 * (uint64_t)SECOND);
	assert_false(replica.now.is_streaming);
}

static void test_no_source(void **state)
{
	struct monitor_node replica = { 0 };

	(void)state;
	(void)take(&replica, answer(false, 1, 100, SECOND));
	monitor_node_measure(&replica, NULL, 2 * SECOND);
	assert_true(replica.now.is_streaming);
	assert_int_equal(replica.now.lag_us, 0);
}

static void test_source(void **state)
{
	struct monitor_node old = { 0 };
	struct monitor_node new = { 0 };
	struct monitor_node same = { 0 };
	struct monitor_node foreign = { 0 };
	struct monitor_node replica = { 0 };
	struct probe_report report = answer(true, 9, 100, SECOND);

	(void)state;
	(void)take(&old, answer(true, 1, 100, SECOND));
	(void)take(&new, answer(true, 2, 100, SECOND));
	(void)take(&same, answer(true, 2, 100, SECOND));
	report.facts.position.system = 8;
	(void)take(&foreign, report);
	(void)take(&replica, answer(false, 1, 100, SECOND));
	assert_true(monitor_node_is_source(&replica, &old, NULL));
	assert_true(monitor_node_is_source(&replica, &new, &old));
	assert_false(monitor_node_is_source(&replica, &old, &new));
	assert_false(monitor_node_is_source(&replica, &foreign, NULL));
	assert_false(monitor_node_is_source(&replica, &replica, NULL));
	assert_false(monitor_node_is_source(&replica, &same, &new));
	(void)take(&new, failure("refused"));
	assert_true(monitor_node_is_source(&replica, &same, &new));
}

static void test_delays(void **state)
{
	struct monitor_node node = { 0 };

	(void)state;
	assert_int_equal(monitor_node_delay_us(&node, 100), 100);
	(void)take(&node, failure("a"));
	assert_int_equal(monitor_node_delay_us(&node, 100), 100);
	(void)take(&node, failure("a"));
	assert_int_equal(monitor_node_delay_us(&node, 100), 200);
	for (int i = 0; i < 10; i++)
		(void)take(&node, failure("a"));
	assert_int_equal(monitor_node_delay_us(&node, 100), 400);
	/* On its way up it is asked in time. */
	node.was_up = true;
	(void)take(&node, answer(false, 1, 1, SECOND));
	assert_int_equal(monitor_node_delay_us(&node, 100), 100);
}

/* The monitor's connection broke: it may have started anew and show less. */
static void test_lost_connection(void **state)
{
	struct monitor_node node = { 0 };
	struct probe_report report = answer(false, 1, 100, SECOND);

	(void)state;
	assert_false(monitor_node_lose(&node));
	(void)monitor_node_take(&node, &report);
	assert_true(node.now.is_up);
	assert_int_equal(node.now.up_since_us, SECOND + 100);
	assert_true(monitor_node_lose(&node));
	assert_false(node.now.is_up);
	assert_false(monitor_node_lose(&node));
	/* One answer is enough: nothing says that it was down. */
	report = answer(false, 1, 90, 2 * SECOND);
	(void)monitor_node_take(&node, &report);
	report = answer(false, 1, 90, 3 * SECOND);
	(void)monitor_node_take(&node, &report);
	assert_true(node.now.is_up);
	assert_true(node.now.up_since_us > SECOND + 100);
}

/* A primary has clients who would have to wait: its answer is waited for. */
static void test_lost_connection_of_primary(void **state)
{
	struct monitor_node node = { 0 };
	struct probe_report report = answer(true, 1, 100, SECOND);

	(void)state;
	(void)monitor_node_take(&node, &report);
	assert_false(monitor_node_lose(&node));
	assert_true(node.now.is_up);
}

static void test_first_position_of_an_epoch(void **state)
{
	struct monitor_node node = { 0 };
	struct probe_report report = answer(false, 1, 100, SECOND);

	(void)state;
	(void)monitor_node_take(&node, &report);
	assert_int_equal(node.now.primary_since_us, 0);
	report = answer(true, 2, 150, 2 * SECOND);
	(void)monitor_node_take(&node, &report);
	report = answer(true, 2, 900, 3 * SECOND);
	(void)monitor_node_take(&node, &report);
	assert_int_equal(node.now.primary_since_us, 2 * SECOND + 100);
	assert_int_equal(node.now.first.lsn, 150);
	assert_int_equal(node.now.first.timeline, 2);
	/* Failures do not make it younger, being a replica does. */
	report = failure("connection refused");
	(void)monitor_node_take(&node, &report);
	report = answer(true, 2, 950, 4 * SECOND);
	(void)monitor_node_take(&node, &report);
	assert_int_equal(node.now.primary_since_us, 2 * SECOND + 100);
	report = answer(false, 3, 990, 5 * SECOND);
	(void)monitor_node_take(&node, &report);
	assert_int_equal(node.now.primary_since_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_answer),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_never_up),
		cmocka_unit_test(test_replica_rises_slowly),
		cmocka_unit_test(test_replica_falls_slowly),
		cmocka_unit_test(test_promotion),
		cmocka_unit_test(test_demotion),
		cmocka_unit_test(test_refusal_at_start),
		cmocka_unit_test(test_refusal_keeps_role),
		cmocka_unit_test(test_full_server_keeps_role),
		cmocka_unit_test(test_limit_is_told_once),
		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_stream_broken),
		cmocka_unit_test(test_no_source),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_lost_connection_of_primary),
		cmocka_unit_test(test_first_position_of_an_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
