/* Each reason has a name of its own; what is none has one, too. */
#include "core/route_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(route_reason_name(ROUTE_REASON_IN_TXN), "in_txn");
	assert_string_equal(route_reason_name(ROUTE_REASON_CATALOG), "catalog");
	assert_string_equal(route_reason_name(ROUTE_REASON_COUNT), "?");
	assert_string_equal(route_reason_name(ROUTE_REASON_COUNT + 7), "?");
}

static void test_all_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUTE_REASON_COUNT; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(route_reason_name(i),
						route_reason_name(j));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_all_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
