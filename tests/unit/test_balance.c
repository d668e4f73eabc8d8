/*
 * Where clients go, and when they go elsewhere.
 */
#include "core/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_fills_one_after_the_other(void **state)
{
	struct balance_worker workers[3] = { { 0 } };

	(void)state;
	assert_int_equal(balance_place(workers, 3, 600), 0);
	workers[0].load = 599;
	assert_int_equal(balance_place(workers, 3, 600), 0);
	workers[0].load = 600;
	assert_int_equal(balance_place(workers, 3, 600), 1);
	workers[1].load = 700;
	assert_int_equal(balance_place(workers, 3, 600), 2);
	workers[0].load = 680;
	workers[2].load = 650;
	assert_int_equal(balance_place(workers, 3, 600), 2);
	workers[0].load = 640;
	assert_int_equal(balance_place(workers, 3, 600), 0);
	assert_int_equal(balance_place(workers, 1, 600), 0);
}

/* A rush of logins is felt before the load shows it. */
static void test_held_up(void **state)
{
	struct balance_worker workers[2] = { { 0 } };

	(void)state;
	workers[0].turn_us = 5000;
	assert_int_equal(balance_place(workers, 2, 600), 1);
	workers[1].turn_us = 80000;
	workers[1].load = 10;
	assert_int_equal(balance_place(workers, 2, 600), 0);
}

static void test_relief(void **state)
{
	struct balance_worker workers[3] = { { 0 } };
	struct balance_relief relief;

	(void)state;
	workers[0].load = 839;
	assert_false(balance_relieve(workers, 3, 600, 0, &relief));
	workers[0].load = 1000;
	assert_true(balance_relieve(workers, 3, 600, 0, &relief));
	assert_int_equal(relief.to, 1);
	assert_int_equal(relief.share, 500);
	workers[1].load = 600;
	workers[2].load = 500;
	assert_true(balance_relieve(workers, 3, 600, 0, &relief));
	assert_int_equal(relief.to, 2);
	assert_int_equal(relief.share, 250);
	/* Those who have room give nothing away. */
	assert_false(balance_relieve(workers, 3, 600, 1, &relief));
	/* Filled further, it has to be busier. */
	workers[0].load = 899;
	assert_false(balance_relieve(workers, 3, 800, 0, &relief));
	workers[0].load = 1000;
	assert_true(balance_relieve(workers, 3, 800, 0, &relief));
	/* All are full. */
	workers[1].load = 900;
	workers[2].load = 900;
	assert_false(balance_relieve(workers, 3, 600, 0, &relief));
	assert_false(balance_relieve(workers, 1, 600, 0, &relief));
}

static void test_load(void **state)
{
	unsigned load = 0;

	(void)state;
	assert_int_equal(balance_load(0, 50000, 100000), 250);
	assert_int_equal(balance_load(1000, 0, 100000), 500);
	assert_int_equal(balance_load(1000, 200000, 100000), 1000);
	assert_int_equal(balance_load(0, 100, 0), 0);
	/* It gets where the worker is. */
	for (int i = 0; i < 12; i++)
		load = balance_load(load, 100000, 100000);
	assert_int_equal(load, 1000);
	for (int i = 0; i < 12; i++)
		load = balance_load(load, 0, 100000);
	assert_in_range(load, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fills_one_after_the_other),
		cmocka_unit_test(test_held_up),
		cmocka_unit_test(test_relief),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
