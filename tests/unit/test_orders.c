/* Orders of operators: given, in force, taken back. */
#include "proxy/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static void test_one_database(void **state)
{
	struct orders *orders = orders_new();

	(void)state;
	assert_false(orders_holds(orders, ORDER_PAUSE, "app"));
	assert_false(orders_revoke(orders, ORDER_PAUSE, "app"));
	assert_true(orders_give(orders, ORDER_PAUSE, "app"));
	assert_false(orders_give(orders, ORDER_PAUSE, "app"));
	assert_true(orders_holds(orders, ORDER_PAUSE, "app"));
	assert_false(orders_holds(orders, ORDER_PAUSE, "apple"));
	assert_false(orders_holds(orders, ORDER_DISABLE, "app"));
	assert_false(orders_is_given(orders, ORDER_PAUSE, NULL));
	assert_true(orders_revoke(orders, ORDER_PAUSE, "app"));
	assert_false(orders_holds(orders, ORDER_PAUSE, "app"));
	orders_free(orders);
}

/* One of all and one of a database do not know of each other. */
static void test_all(void **state)
{
	struct orders *orders = orders_new();

	(void)state;
	assert_true(orders_give(orders, ORDER_PAUSE, NULL));
	assert_true(orders_holds(orders, ORDER_PAUSE, "app"));
	assert_false(orders_is_given(orders, ORDER_PAUSE, "app"));
	assert_false(orders_revoke(orders, ORDER_PAUSE, "app"));
	assert_true(orders_give(orders, ORDER_PAUSE, "app"));
	assert_true(orders_revoke(orders, ORDER_PAUSE, NULL));
	assert_true(orders_holds(orders, ORDER_PAUSE, "app"));
	assert_false(orders_holds(orders, ORDER_PAUSE, "other"));
	orders_free(orders);
	orders_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_database),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
