/* Which settings the server reports: one table for two kinds of readers. */
#include "core/reported.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static bool has(const char *name)
{
	return reported_has(name, strlen(name));
}

static void test_names(void **state)
{
	(void)state;
	assert_true(has("TimeZone"));
	assert_true(has("timezone"));
	assert_true(has("DATESTYLE"));
	assert_true(has("standard_conforming_strings"));
	/* Reported, but set by nobody; set, but not reported. */
	assert_false(has("server_version"));
	assert_false(has("work_mem"));
	assert_false(has(""));
	assert_false(has("names"));
}

static void test_lengths(void **state)
{
	(void)state;
	assert_true(reported_has("datestyle = iso", 9));
	assert_false(reported_has("datestyle", 8));
	assert_false(reported_has("datestyles", 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
