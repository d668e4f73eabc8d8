/*
 * Age of a replica's data from samples of the primary.
 */
#include "core/staleness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct watermark at(uint64_t lsn)
{
	return (struct watermark){ 7, 1, lsn };
}

static void test_empty(void **state)
{
	struct staleness ring = { 0 };

	(void)state;
	assert_int_equal(staleness_age(&ring, at(1), 1000), 0);
	assert_int_equal(staleness_newest_us(&ring), 0);
	staleness_note(&ring, 500, (struct watermark){ 0, 0, 10 });
	assert_int_equal(staleness_newest_us(&ring), 0);
}

static void test_age(void **state)
{
	struct staleness ring = { 0 };

	(void)state;
	staleness_note(&ring, 1000, at(10));
	staleness_note(&ring, 2000, at(20));
	staleness_note(&ring, 3000, at(30));
	assert_int_equal(staleness_newest_us(&ring), 3000);
	assert_int_equal(staleness_age(&ring, at(30), 5000), 0);
	assert_int_equal(staleness_age(&ring, at(99), 5000), 0);
	assert_int_equal(staleness_age(&ring, at(29), 5000), 3000);
	assert_int_equal(staleness_age(&ring, at(20), 5000), 3000);
	assert_int_equal(staleness_age(&ring, at(19), 5000), 4000);
	assert_int_equal(staleness_age(&ring, at(10), 5000), 4000);
	/* Behind all: at least as old as the oldest. */
	assert_int_equal(staleness_age(&ring, at(1), 5000), 4000);
	assert_int_equal(staleness_age(&ring, at(1), 500), 0);
}

/* An hour without a write is not an hour of lag. */
static void test_idle_primary(void **state)
{
	struct staleness ring = { 0 };

	(void)state;
	staleness_note(&ring, 1000, at(10));
	for (uint64_t t = 2000; t <= 3600000; t += 1000)
		staleness_note(&ring, t, at(20));
	assert_int_equal(ring.count, 2);
	assert_int_equal(staleness_age(&ring, at(20), 3600500), 0);
	staleness_note(&ring, 3601000, at(30));
	/* Had replayed all that there was until just now. */
	assert_int_equal(staleness_age(&ring, at(20), 3601500), 1500);
}

static void test_epochs(void **state)
{
	struct staleness ring = { 0 };
	struct watermark promoted = { 7, 2, 15 };

	(void)state;
	staleness_note(&ring, 1000, at(10));
	staleness_note(&ring, 2000, at(20));
	staleness_note(&ring, 3000, promoted);
	assert_int_equal(ring.count, 1);
	/* The old timeline's number is higher and counts for nothing. */
	assert_int_equal(staleness_age(&ring, at(20), 4000), 1000);
	assert_int_equal(staleness_age(&ring, promoted, 4000), 0);
}

static void test_out_of_order(void **state)
{
	struct staleness ring = { 0 };

	(void)state;
	staleness_note(&ring, 2000, at(20));
	staleness_note(&ring, 1000, at(30));
	assert_int_equal(ring.count, 1);
	assert_int_equal(staleness_newest_us(&ring), 2000);
	assert_int_equal(staleness_age(&ring, at(20), 9000), 0);
	/* The primary crashed and lost what it had not flushed to disk. */
	staleness_note(&ring, 3000, at(10));
	assert_int_equal(ring.count, 1);
	assert_int_equal(staleness_age(&ring, at(10), 9000), 0);
	assert_int_equal(staleness_age(&ring, at(9), 9000), 6000);
}

static void test_since(void **state)
{
	const struct watermark promoted = { 7, 2, 5 };
	struct staleness ring = { 0 };

	(void)state;
	assert_int_equal(staleness_since_us(&ring, at(10)), 0);
	staleness_note(&ring, 1000, at(10));
	staleness_note(&ring, 2000, at(20));
	assert_int_equal(staleness_since_us(&ring, at(9)), 0);
	assert_int_equal(staleness_since_us(&ring, at(10)), 1000);
	assert_int_equal(staleness_since_us(&ring, at(19)), 1000);
	assert_int_equal(staleness_since_us(&ring, at(20)), 2000);
	assert_int_equal(staleness_since_us(&ring, at(99)), 2000);
	/* On an idle primary it moves on. */
	staleness_note(&ring, 5000, at(20));
	assert_int_equal(staleness_since_us(&ring, at(20)), 5000);
	assert_int_equal(staleness_since_us(&ring, promoted), 0);
}

static void test_full_ring_reaches_back(void **state)
{
	struct staleness ring = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 100000; i++)
		staleness_note(&ring, i * 10, at(i));
	assert_in_range(ring.count, STALENESS_SAMPLES / 2, STALENESS_SAMPLES);
	assert_int_equal(staleness_newest_us(&ring), 1000000);
	/* A bound from above, never below the truth. */
	for (uint64_t i = ring.samples[0].lsn; i < 100000; i += 97) {
		uint64_t age = staleness_age(&ring, at(i), 1000000);

		assert_true(age >= 1000000 - i * 10);
	}
	for (unsigned i = 1; i < ring.count; i++)
		assert_true(ring.samples[i].lsn > ring.samples[i - 1].lsn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_idle_primary),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_full_ring_reaches_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
