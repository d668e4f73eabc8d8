/* The line of statistics: rates and means between two samples. */
#include "base/buf.h"
#include "main/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_line(const struct stats_sample *before,
		       const struct stats_sample *now, const char *expected)
{
	struct buf out = BUF_INIT;

	stats_format(&out, before, now);
	buf_append_u8(&out, 0);
	assert_string_equal((char *)buf_head(&out), expected);
	buf_free(&out);
}

static void test_nothing(void **state)
{
	struct stats_sample sample = { .at_us = 5 };

	(void)state;
	check_line(&sample, &sample,
		   "0 xacts/s, 0 queries/s, 0 client parses/s, "
		   "0 server parses/s, 0 binds/s, in 0 B/s, out 0 B/s, "
		   "xact 0 us, query 0 us, wait 0 us");
}

static void test_differences_count(void **state)
{
	struct stats_sample before = {
		.at_us = 1000000,
		.transactions = 100,
		.queries = 1000,
		.client_parses = 1,
		.server_parses = 2,
		.binds = 3,
		.received = 5000,
		.sent = 6000,
		.transaction_us = { 10, 1000000 },
		.query_us = { 100, 5000 },
		.wait_us = { 7, 70 },
	};
	struct stats_sample now = {
		.at_us = 11000000,
		.transactions = 200,
		.queries = 1405,
		.client_parses = 21,
		.server_parses = 12,
		.binds = 8,
		.received = 1005000,
		.sent = 2006000,
		.transaction_us = { 20, 1002000 },
		.query_us = { 505, 45500 },
		.wait_us = { 7, 70 },
	};

	(void)state;
	/* 405 in 10 s: rounded up; so is 5 in 10 s. */
	check_line(&before, &now,
		   "10 xacts/s, 41 queries/s, 2 client parses/s, "
		   "1 server parses/s, 1 binds/s, in 100000 B/s, "
		   "out 200000 B/s, xact 200 us, query 100 us, wait 0 us");
}

/* The sums are over all databases, roles and classes. */
static void test_sample(void **state)
{
	struct metrics *metrics = metrics_new();
	struct metrics_cell *one =
		metrics_open(metrics, METRICS_DATABASE,
			     &(struct metrics_labels){ .database = "one" });
	struct metrics_cell *two =
		metrics_open(metrics, METRICS_DATABASE,
			     &(struct metrics_labels){ .database = "two" });
	struct stats_sample sample;

	(void)state;
	metrics_count(one, COUNTER_TRANSACTIONS, METRICS_ROLE_PRIMARY, 0, 3);
	metrics_count(two, COUNTER_TRANSACTIONS, METRICS_ROLE_REPLICA, 0, 4);
	metrics_count(one, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
		      METRICS_CLASS_READ, 10);
	metrics_count(two, COUNTER_QUERIES, METRICS_ROLE_PRIMARY,
		      METRICS_CLASS_WRITE, 1);
	metrics_count(one, COUNTER_CLIENT_PARSES, 0, 0, 5);
	metrics_count(one, COUNTER_SERVER_PARSES, 0, 0, 6);
	metrics_count(one, COUNTER_BINDS, 0, 0, 7);
	metrics_count(one, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_RECEIVED, 100);
	metrics_count(one, COUNTER_BYTES, METRICS_SIDE_SERVER,
		      METRICS_DIRECTION_RECEIVED, 999);
	metrics_count(two, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_SENT, 200);
	metrics_observe(one, HISTOGRAM_QUERY, METRICS_ROLE_PRIMARY, 40);
	metrics_observe(two, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA, 60);
	metrics_observe(two, HISTOGRAM_TRANSACTION, METRICS_ROLE_REPLICA, 70);
	metrics_observe(two, HISTOGRAM_CLIENT_WAIT, METRICS_ROLE_REPLICA, 80);
	stats_take(&sample, metrics, 42);
	assert_int_equal(sample.at_us, 42);
	assert_int_equal(sample.transactions, 7);
	assert_int_equal(sample.queries, 11);
	assert_int_equal(sample.client_parses, 5);
	assert_int_equal(sample.server_parses, 6);
	assert_int_equal(sample.binds, 7);
	assert_int_equal(sample.received, 100);
	assert_int_equal(sample.sent, 200);
	assert_int_equal(sample.query_us.count, 2);
	assert_int_equal(sample.query_us.sum, 100);
	assert_int_equal(sample.transaction_us.sum, 70);
	assert_int_equal(sample.wait_us.sum, 80);
	metrics_close(one);
	metrics_close(two);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_differences_count),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
