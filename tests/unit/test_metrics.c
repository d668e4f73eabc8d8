/*
 * Cells: what is counted is read, by label, and no sum ever goes back.
 */
#include "core/metrics.h"

#include "base/buf.h"
#include "core/histogram.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct metrics_labels app = { .database = "app" };
static const struct metrics_labels web = { .database = "web" };

static int set_up(void **state)
{
	*state = metrics_new();
	return 0;
}

static int tear_down(void **state)
{
	metrics_free(*state);
	metrics_free(NULL);
	return 0;
}

static uint64_t queries(struct metrics *metrics,
			const struct metrics_labels *labels, int role,
			int class)
{
	return metrics_sum(metrics, COUNTER_QUERIES, labels, role, class);
}

static void test_sum_over_cells(void **state)
{
	struct metrics_cell *one = metrics_open(*state, METRICS_DATABASE, &app);
	struct metrics_cell *two = metrics_open(*state, METRICS_DATABASE, &app);
	struct metrics_cell *other =
		metrics_open(*state, METRICS_DATABASE, &web);

	metrics_count(one, COUNTER_QUERIES, METRICS_ROLE_PRIMARY,
		      METRICS_CLASS_WRITE, 3);
	metrics_count(two, COUNTER_QUERIES, METRICS_ROLE_PRIMARY,
		      METRICS_CLASS_WRITE, 4);
	metrics_count(two, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
		      METRICS_CLASS_READ, 10);
	metrics_count(other, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
		      METRICS_CLASS_READ, 100);
	assert_int_equal(queries(*state, &app, METRICS_ROLE_PRIMARY,
				 METRICS_CLASS_WRITE),
			 7);
	assert_int_equal(queries(*state, &app, METRICS_ALL, METRICS_ALL), 17);
	assert_int_equal(
		queries(*state, NULL, METRICS_ROLE_REPLICA, METRICS_ALL), 110);
	assert_int_equal(
		queries(*state, NULL, METRICS_ALL, METRICS_CLASS_UNKNOWN), 0);
	assert_int_equal(metrics_sum(*state, COUNTER_BINDS, NULL, METRICS_ALL,
				     METRICS_ALL),
			 0);
}

static void test_closed_counters_stay(void **state)
{
	for (int i = 1; i <= 3; i++) {
		struct metrics_cell *cell =
			metrics_open(*state, METRICS_DATABASE, &app);

		metrics_count(cell, COUNTER_BINDS, 0, 0, 5);
		metrics_observe(cell, HISTOGRAM_AUTH, 0, 1000);
		metrics_gauge(cell, GAUGE_PREPARED_STATEMENTS, 0, 0, 9);
		metrics_close(cell);
		assert_int_equal(metrics_sum(*state, COUNTER_BINDS, &app, 0, 0),
				 (uint64_t)(5 * i));
	}
	metrics_close(NULL);
	assert_int_equal(
		metrics_sum_histogram(*state, HISTOGRAM_AUTH, &app, 0).count,
		3);
	assert_int_equal(
		metrics_sum_histogram(*state, HISTOGRAM_AUTH, &app, 0).sum,
		3000);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_PREPARED_STATEMENTS,
					   &app, 0, 0, 0),
			 0);
}

/* Every slot of every scope, so that no two metrics share one. */
static void test_metrics_are_apart(void **state)
{
	struct metrics_cell *cell =
		metrics_open(*state, METRICS_NODE,
			     &(struct metrics_labels){ .backend = "a:1" });

	metrics_count(cell, COUNTER_SERVER_CONNECTS, 0, 0, 1);
	metrics_count(cell, COUNTER_CONNECT_ERRORS, METRICS_CONNECT_OTHER, 0,
		      2);
	metrics_count(cell, COUNTER_SERVER_CLOSED, METRICS_CLOSE_IDLE, 0, 4);
	metrics_count(cell, COUNTER_SERVER_CLOSED, METRICS_CLOSE_OTHER, 0, 8);
	metrics_count(cell, COUNTER_PROBE_FAILURES, 0, 0, 16);
	assert_int_equal(metrics_sum(*state, COUNTER_SERVER_CONNECTS, NULL,
				     METRICS_ALL, METRICS_ALL),
			 1);
	assert_int_equal(metrics_sum(*state, COUNTER_CONNECT_ERRORS, NULL,
				     METRICS_ALL, METRICS_ALL),
			 2);
	assert_int_equal(metrics_sum(*state, COUNTER_SERVER_CLOSED, NULL,
				     METRICS_ALL, METRICS_ALL),
			 12);
	assert_int_equal(metrics_sum(*state, COUNTER_PROBE_FAILURES, NULL,
				     METRICS_ALL, METRICS_ALL),
			 16);
}

static void test_gauges_add_and_set(void **state)
{
	const struct metrics_labels labels = { .database = "app",
					       .user = "bob" };
	struct metrics_cell *one = metrics_open(*state, METRICS_POOL, &labels);
	struct metrics_cell *two = metrics_open(*state, METRICS_POOL, &labels);

	metrics_gauge(one, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_ACTIVE, 0,
		      2);
	metrics_gauge(one, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_ACTIVE, 0,
		      -1);
	/* A client may come on one worker and be counted off on another. */
	metrics_gauge(two, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_ACTIVE, 0,
		      -1);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_CLIENT_CONNECTIONS,
					   &labels, METRICS_CLIENT_ACTIVE,
					   METRICS_ALL, 0),
			 0);
	metrics_gauge(two, GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_IDLE, 0,
		      -1);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_CLIENT_CONNECTIONS,
					   NULL, METRICS_ALL, METRICS_ALL, 0),
			 -1);
	metrics_gauge_set(one, GAUGE_POOL_SIZE_MAX, METRICS_ROLE_PRIMARY, 0,
			  20);
	metrics_gauge_set(two, GAUGE_POOL_SIZE_MAX, METRICS_ROLE_PRIMARY, 0,
			  20);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_POOL_SIZE_MAX, &labels,
					   METRICS_ALL, METRICS_ALL, 0),
			 20);
}

static void test_age_is_of_the_oldest(void **state)
{
	const struct metrics_labels labels = { .database = "app",
					       .user = "bob" };
	struct metrics_cell *one = metrics_open(*state, METRICS_POOL, &labels);
	struct metrics_cell *two = metrics_open(*state, METRICS_POOL, &labels);

	assert_int_equal(metrics_sum_gauge(*state, GAUGE_POOL_WAITING_SINCE,
					   &labels, METRICS_ALL, METRICS_ALL,
					   1000),
			 0);
	metrics_gauge_set(one, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_PRIMARY,
			  0, 700);
	metrics_gauge_set(two, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_PRIMARY,
			  0, 400);
	metrics_gauge_set(two, GAUGE_POOL_WAITING_SINCE, METRICS_ROLE_REPLICA,
			  0, 900);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_POOL_WAITING_SINCE,
					   &labels, METRICS_ALL, METRICS_ALL,
					   1000),
			 600);
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_POOL_WAITING_SINCE,
					   &labels, METRICS_ROLE_REPLICA,
					   METRICS_ALL, 1000),
			 100);
	/* Written after the reader took the time. */
	assert_int_equal(metrics_sum_gauge(*state, GAUGE_POOL_WAITING_SINCE,
					   &labels, METRICS_ROLE_REPLICA,
					   METRICS_ALL, 800),
			 0);
}

static void test_labels_not_shown_merge(void **state)
{
	struct metrics_cell *zero =
		metrics_open(*state, METRICS_WORKER,
			     &(struct metrics_labels){ .worker = "0" });
	struct metrics_cell *one =
		metrics_open(*state, METRICS_WORKER,
			     &(struct metrics_labels){ .worker = "1" });
	struct metrics_set *set;

	metrics_count(zero, COUNTER_CLIENT_CONNECTIONS, 0, 0, 1);
	metrics_count(one, COUNTER_CLIENT_CONNECTIONS, 0, 0, 1);
	set = metrics_read(*state, METRICS_TYPE_COUNTER,
			   COUNTER_CLIENT_CONNECTIONS, 0);
	assert_int_equal(set->count, 1);
	assert_null(set->groups[0]->labels.worker);
	assert_int_equal(set->groups[0]->values[0], 2);
	metrics_set_free(set);
	set = metrics_read(*state, METRICS_TYPE_COUNTER, COUNTER_WORKER_BUSY_US,
			   0);
	assert_int_equal(set->count, 2);
	assert_string_equal(set->groups[1]->labels.worker, "1");
	metrics_set_free(set);
	metrics_set_free(NULL);
}

/* "ab" + "c" and "a" + "bc" are two pools. */
static void test_labels_do_not_run_together(void **state)
{
	struct metrics_set *set;

	(void)metrics_open(
		*state, METRICS_POOL,
		&(struct metrics_labels){ .database = "ab", .user = "c" });
	(void)metrics_open(
		*state, METRICS_POOL,
		&(struct metrics_labels){ .database = "a", .user = "bc" });
	(void)metrics_open(*state, METRICS_POOL,
			   &(struct metrics_labels){ .database = "a" });
	set = metrics_read(*state, METRICS_TYPE_GAUGE, GAUGE_POOL_SERVERS, 0);
	assert_int_equal(set->count, 3);
	metrics_set_free(set);
}

static void test_histograms(void **state)
{
	struct metrics_cell *cell =
		metrics_open(*state, METRICS_DATABASE, &app);
	struct metrics_moments moments;
	struct metrics_set *set;

	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_PRIMARY, 40);
	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA, 1500);
	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA, 90000000);
	moments = metrics_sum_histogram(*state, HISTOGRAM_QUERY, &app,
					METRICS_ROLE_REPLICA);
	assert_int_equal(moments.count, 2);
	assert_int_equal(moments.sum, 90001500);
	moments = metrics_sum_histogram(*state, HISTOGRAM_QUERY, NULL,
					METRICS_ALL);
	assert_int_equal(moments.count, 3);
	moments = metrics_sum_histogram(*state, HISTOGRAM_QUERY, &web,
					METRICS_ALL);
	assert_int_equal(moments.count, 0);
	set = metrics_read(*state, METRICS_TYPE_HISTOGRAM, HISTOGRAM_QUERY, 0);
	assert_int_equal(set->width, 2 * HISTOGRAM_SLOTS);
	assert_int_equal(set->groups[0]->values[0], 1);
	assert_int_equal(set->groups[0]->values[HISTOGRAM_SLOTS +
						histogram_bucket(1500)],
			 1);
	metrics_set_free(set);
}

/* Strangers choose names; the memory for the past is bounded all the same. */
static void test_flood_of_names(void **state)
{
	struct metrics_set *set;
	char name[16];

	for (int i = 0; i < 3000; i++) {
		struct metrics_cell *cell;

		(void)snprintf(name, sizeof(name), "db%d", i);
		cell = metrics_open(
			*state, METRICS_DATABASE,
			&(struct metrics_labels){ .database = name });
		metrics_count(cell, COUNTER_BINDS, 0, 0, 1);
		metrics_close(cell);
	}
	assert_int_equal(metrics_sum(*state, COUNTER_BINDS, NULL, 0, 0), 3000);
	set = metrics_read(*state, METRICS_TYPE_COUNTER, COUNTER_BINDS, 0);
	assert_in_range(set->count, 2, 1001);
	assert_string_equal(set->groups[set->count - 1]->labels.database,
			    "(other)");
	metrics_set_free(set);
}

enum { ROUNDS = 20000 };

static void *count_up(void *arg)
{
	struct metrics_cell *cell = metrics_open(arg, METRICS_DATABASE, &app);

	for (int i = 0; i < ROUNDS; i++)
		metrics_count(cell, COUNTER_BINDS, 0, 0, 1);
	metrics_close(cell);
	buf_thread_cleanup();
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[3];
	uint64_t before = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, count_up, *state), 0);
	for (int i = 0; i < 50; i++) {
		uint64_t now = metrics_sum(*state, COUNTER_BINDS, &app, 0, 0);

		assert_true(now >= before);
		before = now;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(metrics_sum(*state, COUNTER_BINDS, &app, 0, 0),
			 3 * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sum_over_cells),
		TEST(test_closed_counters_stay),
		TEST(test_metrics_are_apart),
		TEST(test_gauges_add_and_set),
		TEST(test_age_is_of_the_oldest),
		TEST(test_labels_not_shown_merge),
		TEST(test_labels_do_not_run_together),
		TEST(test_histograms),
		TEST(test_flood_of_names),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
