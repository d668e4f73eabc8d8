/*
 * Whose notifications a backend sends: the last that was set, and the
 * backend's own number when nobody is known or another took the row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/notifiers.h"

static void the_last_one_counts(void **state)
{
	struct notifiers *notifiers = notifiers_new();

	(void)state;
	assert_int_equal(notifiers_find(notifiers, "a:1", 77), 77);
	notifiers_set(notifiers, notifiers_key("a:1", 77), 5);
	assert_int_equal(notifiers_find(notifiers, "a:1", 77), 5);
	notifiers_set(notifiers, notifiers_key("a:1", 77), 6);
	assert_int_equal(notifiers_find(notifiers, "a:1", 77), 6);
	/* Another node, another backend. */
	assert_int_equal(notifiers_find(notifiers, "a:2", 77), 77);
	assert_int_equal(notifiers_find(notifiers, "a:1", 78), 78);
	notifiers_free(notifiers);
}

/* More backends than rows: known or honest, never another's. */
static void crowded(void **state)
{
	struct notifiers *notifiers = notifiers_new();
	unsigned known = 0;

	(void)state;
	for (uint32_t pid = 1; pid <= 100000; pid++)
		notifiers_set(notifiers, notifiers_key("node:5432", pid),
			      pid + 1000000);
	for (uint32_t pid = 1; pid <= 100000; pid++) {
		uint32_t found = notifiers_find(notifiers, "node:5432", pid);

		assert_true(found == pid || found == pid + 1000000);
		known += found != pid;
	}
	assert_true(known > 10000);
	assert_int_equal(notifiers_find(notifiers, "node:5432", 100000),
			 1100000);
	notifiers_free(notifiers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(crowded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
