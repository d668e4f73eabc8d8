/*
 * Texts that ask for the time of their transaction.
 */
#include "core/sqltime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_asking(void **state)
{
	static const char *const texts[] = {
		"SELECT now()",
		"select NOW ( )",
		"SELECT pg_catalog.now()",
		"SELECT \"now\"()",
		"SELECT 'now'::timestamp",
		"SELECT date 'today' - 1",
		"SELECT * FROM t WHERE d > CURRENT_DATE",
		"SELECT current_time, 1",
		"SELECT localtime",
		"SELECT LocalTimestamp(3)",
		"SELECT CURRENT_TIMESTAMP",
		"SELECT transaction_timestamp()",
		"SELECT 'tomorrow'",
		"yesterday",
		"SELECT age(born) FROM t",
		"SELECT age (born) FROM t",
		"SELECT \"age\" (born) FROM t",
		"SELECT age/**/(born) FROM t",
		"SELECT 'x' -- now",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_true(sqltime_is_asked(texts[i], strlen(texts[i])));
}

static void test_not_asking(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"SELECT 1",
		"SELECT known, snow, nowhere, now_ FROM t",
		"SELECT age, page FROM t WHERE age > 3",
		"SELECT age",
		"SELECT clock_timestamp(), statement_timestamp()",
		"SELECT now\xc3\xa4 FROM t",
		"SELECT current_user, current_date_of FROM t",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(sqltime_is_asked(texts[i], strlen(texts[i])));
}

static void test_not_beyond_the_end(void **state)
{
	(void)state;
	assert_false(sqltime_is_asked("known", 2));
	assert_true(sqltime_is_asked("now, then", 3));
	assert_false(sqltime_is_asked("age(", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asking),
		cmocka_unit_test(test_not_asking),
		cmocka_unit_test(test_not_beyond_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
