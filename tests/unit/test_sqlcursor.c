#include "core/sqlcursor.h"

#include "sqlfixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static struct sqlclass_context context = {
	.plain_backslash = true,
	.is_safe_encoding = true,
};

static int set_up(void **state)
{
	(void)state;
	context.catalog = fixture_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	catalog_release(context.catalog);
	return 0;
}

/* A cursor on the first token, about to judge a read. */
static struct sqlcursor cursor_on(const char *sql)
{
	struct sqlcursor cursor;

	sqlcursor_init(&cursor, sql, strlen(sql), &context);
	cursor.verdict.is_certain = true;
	cursor.is_read = true;
	return cursor;
}

static struct sqlclass judge(void (*how)(struct sqlcursor *cursor,
					 const struct sqlname *name),
			     const char *sql)
{
	struct sqlcursor cursor = cursor_on(sql);
	struct sqlname name = sqlcursor_take_name(&cursor);

	how(&cursor, &name);
	return cursor.verdict;
}

static void test_walk_of_tokens(void **state)
{
	struct sqlcursor cursor = cursor_on("SELECT x;");

	(void)state;
	assert_int_equal(cursor.word, WORD_SELECT);
	assert_int_equal(cursor.ahead_word, NO_WORD);
	assert_true(sqlcursor_is_name(&cursor.now));
	sqlcursor_advance(&cursor);
	assert_true(sqlcursor_sees(&cursor, ';'));
	assert_false(sqlcursor_is_over(&cursor));
	sqlcursor_advance(&cursor);
	assert_true(sqlcursor_is_over(&cursor));
	sqlcursor_advance(&cursor);
	assert_true(sqlcursor_is_over(&cursor));
	cursor = cursor_on("'x");
	assert_true(sqlcursor_is_over(&cursor));
	cursor = cursor_on("");
	assert_true(sqlcursor_is_over(&cursor));
}

static void test_blame(void **state)
{
	struct sqlcursor cursor = cursor_on("x");

	(void)state;
	sqlcursor_blame(&cursor, ACCESS_READ, REASON_NONE);
	assert_int_equal(cursor.verdict.access, ACCESS_READ);
	sqlcursor_blame(&cursor, ACCESS_UNKNOWN, REASON_LEX);
	sqlcursor_blame(&cursor, ACCESS_UNKNOWN, REASON_NODE_LOCAL);
	assert_int_equal(cursor.verdict.reason, REASON_LEX);
	sqlcursor_blame(&cursor, ACCESS_WRITE, REASON_VERB);
	sqlcursor_blame(&cursor, ACCESS_UNKNOWN, REASON_LEX);
	sqlcursor_blame(&cursor, ACCESS_READ, REASON_NONE);
	assert_int_equal(cursor.verdict.access, ACCESS_WRITE);
	assert_int_equal(cursor.verdict.reason, REASON_VERB);
	/* A write stays what it is when the rest is not understood. */
	sqlcursor_lose(&cursor);
	assert_int_equal(cursor.verdict.effects, 0);
	cursor = cursor_on("x");
	sqlcursor_lose(&cursor);
	assert_int_equal(cursor.verdict.effects, EFFECT_HIDDEN);
}

static void expect_name(const char *sql, const char *schema, const char *name)
{
	struct sqlcursor cursor = cursor_on(sql);
	struct sqlname taken = sqlcursor_take_name(&cursor);
	char stored[SQLLEX_NAME_MAX + 1];

	if (schema) {
		assert_true(sqllex_name(&taken.schema, stored) > 0);
		assert_string_equal(stored, schema);
	} else {
		assert_int_equal(taken.schema.kind, SQLLEX_END);
	}
	if (name) {
		assert_true(sqllex_name(&taken.name, stored) > 0);
		assert_string_equal(stored, name);
	} else {
		assert_int_equal(taken.name.kind, SQLLEX_END);
	}
}

static void test_dotted_names(void **state)
{
	(void)state;
	expect_name("a", NULL, "a");
	expect_name("A.B", "a", "b");
	expect_name("a . \"B\" x", "a", "B");
	expect_name("a.b.c", "b", "c");
	expect_name("a.select", "a", "select");
	expect_name("a.*", "a", NULL);
	expect_name("a.b.*", "b", NULL);
	expect_name("a.", "a", NULL);
}

static void test_functions(void **state)
{
	struct sqlclass got;

	(void)state;
	got = judge(sqlcursor_judge_function, "abs");
	assert_int_equal(got.access, ACCESS_NONE);
	assert_true(got.is_certain);
	got = judge(sqlcursor_judge_function, "st");
	assert_int_equal(got.access, ACCESS_NONE);
	assert_false(got.is_certain);
	got = judge(sqlcursor_judge_function, "fw");
	assert_int_equal(got.reason, REASON_FUNCTION);
	assert_int_equal(got.effects, EFFECT_HIDDEN);
	got = judge(sqlcursor_judge_function, "a.b");
	assert_int_equal(got.reason, REASON_FUNCTION_UNKNOWN);
	got = judge(sqlcursor_judge_function, "U&\"abs\"");
	assert_int_equal(got.reason, REASON_FUNCTION_UNKNOWN);
	got = judge(sqlcursor_judge_function, "U&\"pg_catalog\".abs");
	assert_int_equal(got.reason, REASON_FUNCTION_UNKNOWN);
}

static void test_relations(void **state)
{
	struct sqlclass got;

	(void)state;
	got = judge(sqlcursor_judge_relation, "t");
	assert_int_equal(got.access, ACCESS_NONE);
	got = judge(sqlcursor_judge_relation, "pg_class");
	assert_int_equal(got.effects, EFFECT_CATALOG_READ);
	got = judge(sqlcursor_judge_relation, "u");
	assert_int_equal(got.reason, REASON_RELATION);
	got = judge(sqlcursor_judge_relation, "pg_stat_activity");
	assert_int_equal(got.reason, REASON_NODE_LOCAL);
	got = judge(sqlcursor_judge_relation, "nobody");
	assert_int_equal(got.reason, REASON_RELATION_UNKNOWN);
}

/* Of a write only what it leaves behind counts. */
static void test_names_in_writes(void **state)
{
	struct sqlcursor cursor = cursor_on("nobody");
	struct sqlname name = sqlcursor_take_name(&cursor);

	(void)state;
	cursor.is_read = false;
	assert_true(sqlcursor_is_unknown_function(&cursor, &name));
	sqlcursor_judge_function(&cursor, &name);
	sqlcursor_judge_relation(&cursor, &name);
	assert_int_equal(cursor.verdict.access, ACCESS_NONE);
	assert_int_equal(cursor.verdict.effects, 0);
}

static void test_types(void **state)
{
	struct sqlclass got;

	(void)state;
	assert_true(judge(sqlcursor_judge_type, "int4").is_certain);
	assert_true(judge(sqlcursor_judge_type, "pg_catalog.int4").is_certain);
	assert_false(judge(sqlcursor_judge_type, "public.int4").is_certain);
	assert_false(judge(sqlcursor_judge_type, "mine").is_certain);
	got = judge(sqlcursor_judge_type, "regclass");
	assert_int_equal(got.effects, EFFECT_CATALOG_READ);
	got = judge(sqlcursor_judge_type, "mydomain");
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_int_equal(got.effects, EFFECT_HIDDEN);
}

static void test_values_and_operators(void **state)
{
	struct sqlcursor cursor = cursor_on("<&&>");

	(void)state;
	assert_int_equal(judge(sqlcursor_judge_value, "t.att").access,
			 ACCESS_WRITE);
	assert_int_equal(judge(sqlcursor_judge_value, "att").access,
			 ACCESS_NONE);
	assert_int_equal(judge(sqlcursor_judge_value, "mydomain").access,
			 ACCESS_WRITE);
	sqlcursor_judge_operator(&cursor);
	assert_int_equal(cursor.verdict.access, ACCESS_WRITE);
	cursor = cursor_on("@@@");
	sqlcursor_judge_operator(&cursor);
	assert_true(cursor.verdict.is_certain);
	cursor = cursor_on("<!>");
	sqlcursor_judge_operator(&cursor);
	assert_false(cursor.verdict.is_certain);
	assert_int_equal(cursor.verdict.access, ACCESS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk_of_tokens),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_dotted_names),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_names_in_writes),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_values_and_operators),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
