/*
 * Buckets and quantiles.
 */
#include "core/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_bounds_grow(void **state)
{
	(void)state;
	assert_int_equal(histogram_bound(0), 50);
	assert_int_equal(histogram_bound(1), 100);
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
		assert_true(histogram_bound(i) > histogram_bound(i - 1));
	assert_int_equal(histogram_bound(HISTOGRAM_BUCKETS - 2), 60000000);
	assert_true(histogram_bound(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void test_bucket_holds_its_bound(void **state)
{
	(void)state;
	assert_int_equal(histogram_bucket(0), 0);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		assert_int_equal(histogram_bucket(histogram_bound(i)), i);
		assert_int_equal(histogram_bucket(histogram_bound(i) + 1),
				 i + 1);
	}
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_shown(void **state)
{
	unsigned shown = 0;

	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		shown += histogram_is_shown(i);
	assert_int_equal(shown, 21);
	assert_true(histogram_is_shown(0));
	assert_true(histogram_is_shown(histogram_bucket(5000)));
	assert_false(histogram_is_shown(histogram_bucket(6000)));
	assert_true(histogram_is_shown(histogram_bucket(60000000)));
	assert_true(histogram_is_shown(HISTOGRAM_BUCKETS - 1));
}

static void test_quantiles(void **state)
{
	uint64_t slots[HISTOGRAM_SLOTS] = { 0 };

	(void)state;
	assert_int_equal(histogram_quantile(slots, 0.5), 0);
	/* A hundred observations, evenly between 1000 and 2000. */
	slots[histogram_bucket(2000)] = 100;
	assert_int_equal(histogram_count(slots), 100);
	assert_int_equal(histogram_quantile(slots, 0.5), 1500);
	assert_int_equal(histogram_quantile(slots, 1), 2000);
	assert_int_equal(histogram_quantile(slots, 0), 0);
	slots[0] = 100;
	assert_int_equal(histogram_quantile(slots, 0.25), 25);
	assert_int_equal(histogram_quantile(slots, 0.75), 1500);
	slots[HISTOGRAM_BUCKETS - 1] = 1000;
	assert_int_equal(histogram_quantile(slots, 0.99), 60000000);
	/* The sum is not an observation. */
	slots[HISTOGRAM_SUM] = 12345;
	assert_int_equal(histogram_count(slots), 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_grow),
		cmocka_unit_test(test_bucket_holds_its_bound),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
