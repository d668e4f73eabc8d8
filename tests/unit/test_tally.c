/*
 * Counts by shape: sums, shares, quantiles, and what overflows.
 */
#include "core/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void note(struct tally *tally, bool is_replica, uint64_t took_us)
{
	tally_note(tally,
		   &(struct tally_answer){
			   .is_replica = is_replica,
			   .reason = is_replica ? ROUTE_REASON_AUTOCOMMIT_READ
						: ROUTE_REASON_IN_TXN,
			   .took_us = took_us });
}

static void test_empty(void **state)
{
	struct tally tally = { 0 };

	(void)state;
	assert_int_equal(tally_mean_us(&tally), 0);
	assert_int_equal(tally_quantile_us(&tally, 0.99), 0);
	assert_int_equal(tally_replica_share(&tally), 0);
	assert_null(tally_kept_by(&tally));
}

static void test_counts(void **state)
{
	struct tally tally = { 0 };

	(void)state;
	for (unsigned i = 0; i < 75; i++)
		note(&tally, true, 100);
	assert_null(tally_kept_by(&tally));
	for (unsigned i = 0; i < 25; i++)
		note(&tally, false, 900);
	tally_note_repeat(&tally);
	assert_int_equal(tally.count, 100);
	assert_int_equal(tally.repeats, 1);
	assert_int_equal(tally_replica_share(&tally), 750);
	assert_int_equal(tally_mean_us(&tally), 300);
	assert_in_range(tally_quantile_us(&tally, 0.5), 50, 100);
	assert_in_range(tally_quantile_us(&tally, 0.99), 800, 900);
	assert_string_equal(tally_kept_by(&tally), "in_txn");
}

static void test_add(void **state)
{
	struct tally one = { 0 };
	struct tally other = { 0 };

	(void)state;
	note(&one, true, 100);
	note(&other, false, 300);
	tally_note_repeat(&other);
	tally_add(&one, &other);
	assert_int_equal(one.count, 2);
	assert_int_equal(one.on_replica, 1);
	assert_int_equal(one.repeats, 1);
	assert_int_equal(tally_mean_us(&one), 200);
	assert_string_equal(tally_kept_by(&one), "in_txn");
	/* Who knows of no reason takes none away. */
	memset(&other, 0, sizeof(other));
	tally_add(&one, &other);
	assert_string_equal(tally_kept_by(&one), "in_txn");
}

static void test_full_buckets(void **state)
{
	struct tally one = { 0 };
	struct tally other = { 0 };

	(void)state;
	one.buckets[3] = UINT32_MAX - 1;
	other.buckets[3] = 5;
	tally_add(&one, &other);
	assert_int_equal(one.buckets[3], UINT32_MAX);
	tally_add(&one, &other);
	assert_int_equal(one.buckets[3], UINT32_MAX);
	/* Longer than any bound. */
	note(&one, true, UINT32_MAX);
	assert_int_equal(one.buckets[HISTOGRAM_BUCKETS - 1], 1);
	one.kept_by = UINT8_MAX;
	assert_null(tally_kept_by(&one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_full_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
