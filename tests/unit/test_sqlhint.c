/*
 * Hints in comments: which text is one, and which only looks like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/sqlhint.h"

#include <stdlib.h>
#include <string.h>

/* From the heap, so that a read behind the end is seen. */
static enum sqlclass_hint find(const char *sql)
{
	size_t len = strlen(sql);
	char *copy = malloc(len > 0 ? len : 1);
	enum sqlclass_hint hint;

	assert_non_null(copy);
	memcpy(copy, sql, len);
	hint = sqlhint_find(copy, len);
	free(copy);
	return hint;
}

static void primary_wherever_it_stands(void **state)
{
	static const char *const texts[] = {
		"/* pgweir: primary */ SELECT 1",
		"SELECT 1 /* pgweir: primary */",
		"SELECT /*pgweir:primary*/ 1",
		"SELECT 1 -- pgweir: primary",
		"--pgweir:PRIMARY\nSELECT 1",
		"/*\n\tpgweir:\n\tprimary\n*/ SELECT 1",
		"/*+ SeqScan(t) */ SELECT 1 /* pgweir: primary */ /*a='b'*/",
		"/* pgweir: replica */ /* pgweir: primary */ SELECT 1",
		"/* pgweir: primary */ /* pgweir: replica */ SELECT 1",
		"SELECT 1; /* pgweir: primary */ SELECT 2",
		/* Too careful, and no harm. */
		"SELECT '/* pgweir: primary */'",
		"SELECT 'x' --pgweir:primary",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (find(texts[i]) != HINT_PRIMARY)
			fail_msg("no hint: %s", texts[i]);
}

static void replica_only_in_front(void **state)
{
	(void)state;
	assert_int_equal(find("/* pgweir: replica */ SELECT 1"), HINT_REPLICA);
	assert_int_equal(find("-- x\n /* pgweir:Replica */SELECT 1"),
			 HINT_REPLICA);
	assert_int_equal(find("SELECT 1 /* pgweir: replica */"), HINT_NONE);
	assert_int_equal(find("SELECT '/* pgweir: replica */'"), HINT_NONE);
	assert_int_equal(find("'/* pgweir: replica */'"), HINT_NONE);
	assert_int_equal(find("/* pgweir: replica */ /* open"), HINT_NONE);
}

static void what_is_no_hint(void **state)
{
	static const char *const texts[] = {
		"",
		"SELECT 1",
		"pgweir:",
		"pgweir: primary",
		"SELECT 'pgweir: primary'",
		"SELECT pgweir: primary",
		"/* pgweir: */ SELECT 1",
		"/* pgweir: prim",
		"/* pgweir: primary2 */ SELECT 1",
		"/* pgweir: primary_ */ SELECT 1",
		"/* pgweir: replicas */ SELECT 1",
		"/* pgweir: something else */ SELECT 1",
		"/* x pgweir: primary */ SELECT 1",
		"/* pgweir primary */ SELECT 1",
		"* pgweir: primary",
		"- pgweir: primary",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (find(texts[i]) != HINT_NONE)
			fail_msg("a hint: %s", texts[i]);
	assert_int_equal(find("/* pgweir: primary"), HINT_PRIMARY);
}

static void of_two_statements(void **state)
{
	(void)state;
	assert_int_equal(sqlhint_join(HINT_NONE, HINT_NONE), HINT_NONE);
	assert_int_equal(sqlhint_join(HINT_REPLICA, HINT_REPLICA),
			 HINT_REPLICA);
	assert_int_equal(sqlhint_join(HINT_REPLICA, HINT_NONE), HINT_NONE);
	assert_int_equal(sqlhint_join(HINT_NONE, HINT_PRIMARY), HINT_PRIMARY);
	assert_int_equal(sqlhint_join(HINT_PRIMARY, HINT_REPLICA),
			 HINT_PRIMARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primary_wherever_it_stands),
		cmocka_unit_test(replica_only_in_front),
		cmocka_unit_test(what_is_no_hint),
		cmocka_unit_test(of_two_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
