/*
 * Totals and averages of SHOW STATS from the counters.
 */
#include "control/rates.h"

#include "core/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000000 };

struct fixture {
	struct metrics *metrics;
	struct metrics_cell *one; /* two workers' cells of a database */
	struct metrics_cell *two;
	struct metrics_cell *other;
	struct rates *rates;
};

static struct metrics_cell *open_cell(struct metrics *metrics, const char *name)
{
	return metrics_open(metrics, METRICS_DATABASE,
			    &(struct metrics_labels){ .database = name });
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->metrics = metrics_new();
	fixture->one = open_cell(fixture->metrics, "beta");
	fixture->two = open_cell(fixture->metrics, "beta");
	fixture->other = open_cell(fixture->metrics, "alpha");
	fixture->rates = rates_new(100 * SECOND);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	rates_free(fixture->rates);
	metrics_free(fixture->metrics);
	free(fixture);
	return 0;
}

static void count_queries(struct metrics_cell *cell, unsigned count,
			  unsigned each_us)
{
	for (unsigned i = 0; i < count; i++) {
		metrics_count(cell, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
			      METRICS_CLASS_READ, 1);
		metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA,
				each_us);
	}
}

static struct rates_report *report_at(const struct fixture *fixture,
				      uint64_t now_us)
{
	return rates_report_new(fixture->rates, fixture->metrics, now_us);
}

static void test_totals(void **state)
{
	struct fixture *fixture = *state;
	struct rates_report *report;

	count_queries(fixture->one, 3, 100);
	count_queries(fixture->two, 2, 200);
	metrics_count(fixture->one, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_RECEIVED, 11);
	metrics_count(fixture->one, COUNTER_BYTES, METRICS_SIDE_CLIENT,
		      METRICS_DIRECTION_SENT, 22);
	metrics_count(fixture->one, COUNTER_BYTES, METRICS_SIDE_SERVER,
		      METRICS_DIRECTION_SENT, 1000);
	metrics_count(fixture->other, COUNTER_BINDS, 0, 0, 5);
	report = report_at(fixture, 200 * SECOND);
	assert_int_equal(report->count, 2);
	assert_string_equal(report->lines[0].database, "alpha");
	assert_int_equal(report->lines[0].total[RATES_BINDS], 5);
	assert_int_equal(report->lines[0].total[RATES_QUERIES], 0);
	assert_string_equal(report->lines[1].database, "beta");
	assert_int_equal(report->lines[1].total[RATES_QUERIES], 5);
	assert_int_equal(report->lines[1].total[RATES_QUERY_TIME], 700);
	assert_int_equal(report->lines[1].total[RATES_RECEIVED], 11);
	assert_int_equal(report->lines[1].total[RATES_SENT], 22);
	assert_int_equal(report->sum.total[RATES_QUERIES], 5);
	assert_int_equal(report->sum.total[RATES_BINDS], 5);
	rates_report_free(report);
}

/* Before the first period is over, the start is what they begin with. */
static void test_first_averages(void **state)
{
	struct fixture *fixture = *state;
	struct rates_report *report;

	count_queries(fixture->one, 40, 50);
	report = report_at(fixture, 104 * SECOND);
	assert_int_equal(report->lines[1].average[RATES_QUERIES], 10);
	assert_int_equal(report->lines[1].average[RATES_QUERY_TIME], 50);
	assert_int_equal(report->lines[1].average[RATES_TRANSACTION_TIME], 0);
	assert_int_equal(report->sum.average[RATES_QUERIES], 10);
	rates_report_free(report);
	/* No time has passed: nothing is divided by it. */
	report = report_at(fixture, 100 * SECOND);
	assert_int_equal(report->lines[1].average[RATES_QUERIES], 0);
	rates_report_free(report);
}

static void test_periods(void **state)
{
	struct fixture *fixture = *state;
	struct rates_report *report;

	count_queries(fixture->one, 1000, 10);
	rates_sample(fixture->rates, fixture->metrics, 160 * SECOND);
	count_queries(fixture->one, 60, 20);
	rates_sample(fixture->rates, fixture->metrics, 220 * SECOND);
	/* Since 160: sixty in sixty seconds. */
	report = report_at(fixture, 220 * SECOND);
	assert_int_equal(report->lines[1].total[RATES_QUERIES], 1060);
	assert_int_equal(report->lines[1].average[RATES_QUERIES], 1);
	assert_int_equal(report->lines[1].average[RATES_QUERY_TIME], 20);
	assert_int_equal(report->sum.average[RATES_QUERY_TIME], 20);
	rates_report_free(report);
	/* And then nothing any more. */
	rates_sample(fixture->rates, fixture->metrics, 280 * SECOND);
	rates_sample(fixture->rates, fixture->metrics, 340 * SECOND);
	report = report_at(fixture, 350 * SECOND);
	assert_int_equal(report->lines[1].average[RATES_QUERIES], 0);
	assert_int_equal(report->lines[1].average[RATES_QUERY_TIME], 0);
	rates_report_free(report);
}

/* A database that came later has no past. */
static void test_new_database(void **state)
{
	struct fixture *fixture = *state;
	struct rates_report *report;

	rates_sample(fixture->rates, fixture->metrics, 160 * SECOND);
	rates_sample(fixture->rates, fixture->metrics, 220 * SECOND);
	count_queries(open_cell(fixture->metrics, "new"), 120, 10);
	report = report_at(fixture, 220 * SECOND);
	assert_int_equal(report->count, 3);
	assert_string_equal(report->lines[2].database, "new");
	assert_int_equal(report->lines[2].average[RATES_QUERIES], 2);
	rates_report_free(report);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(rates_name(RATES_TRANSACTIONS), "xact_count");
	assert_string_equal(rates_name(RATES_BINDS), "bind_count");
	rates_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_totals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_averages, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_periods, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_new_database, set_up,
						tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
