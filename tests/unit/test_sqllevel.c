#include "core/sqllevel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static struct sqllex_token token_of(enum sqllex_kind kind, const char *text)
{
	return (struct sqllex_token){
		.kind = kind,
		.text = text,
		.len = strlen(text),
	};
}

static void test_depth(void **state)
{
	static struct sqllevels levels;

	(void)state;
	sqllevels_init(&levels);
	assert_int_equal(levels.depth, 0);
	assert_true(sqllevels_top(&levels)->is_start);
	for (unsigned i = 1; i < SQLLEVEL_MAX; i++) {
		assert_true(sqllevels_push(&levels, LEVEL_CALL));
		assert_int_equal(sqllevels_top(&levels)->kind, LEVEL_CALL);
	}
	assert_false(sqllevels_push(&levels, LEVEL_CALL));
	for (unsigned i = 1; i < SQLLEVEL_MAX; i++)
		assert_int_equal(sqllevels_pop(&levels).kind, LEVEL_CALL);
	assert_int_equal(levels.depth, 0);
}

static void test_names(void **state)
{
	struct sqllex_token word = token_of(SQLLEX_WORD, "Abc");
	struct sqllex_token same = token_of(SQLLEX_NAME, "abc");
	struct sqllex_token other = token_of(SQLLEX_NAME, "Abc");
	struct sqllex_token unicode = token_of(SQLLEX_UNICODE, "abc");
	static struct sqllevels levels;

	(void)state;
	sqllevels_init(&levels);
	assert_false(sqllevels_defines(&levels, &word));
	assert_true(sqllevels_define(&levels, &word));
	assert_true(sqllevels_defines(&levels, &word));
	assert_true(sqllevels_defines(&levels, &same));
	assert_false(sqllevels_defines(&levels, &other));
	assert_false(sqllevels_define(&levels, &unicode));
	assert_false(sqllevels_defines(&levels, &unicode));
}

static void test_names_end_with_their_level(void **state)
{
	struct sqllex_token outer = token_of(SQLLEX_WORD, "o");
	struct sqllex_token inner = token_of(SQLLEX_WORD, "i");
	static struct sqllevels levels;

	(void)state;
	sqllevels_init(&levels);
	assert_true(sqllevels_define(&levels, &outer));
	assert_true(sqllevels_push(&levels, LEVEL_GROUP));
	assert_true(sqllevels_define(&levels, &inner));
	assert_true(sqllevels_defines(&levels, &outer));
	assert_true(sqllevels_defines(&levels, &inner));
	sqllevels_pop(&levels);
	assert_true(sqllevels_defines(&levels, &outer));
	assert_false(sqllevels_defines(&levels, &inner));
}

static void test_too_many_names(void **state)
{
	struct sqllex_token name = token_of(SQLLEX_WORD, "x");
	static struct sqllevels levels;

	(void)state;
	sqllevels_init(&levels);
	for (unsigned i = 0; i < SQLLEVEL_NAMES_MAX; i++)
		assert_true(sqllevels_define(&levels, &name));
	assert_false(sqllevels_define(&levels, &name));
}

static void set_up_walk(struct walk *walk, struct sqlcursor *cursor,
			const char *sql)
{
	static const struct sqlclass_context context = { NULL, true, true };

	sqlcursor_init(cursor, sql, strlen(sql), &context);
	walk_init(walk, cursor);
}

static void test_announced_levels(void **state)
{
	static struct walk walk;
	struct sqlcursor cursor;

	(void)state;
	set_up_walk(&walk, &cursor, "f(x)");
	walk_open_as(&walk, LEVEL_CALL);
	assert_int_equal(walk.open_as, LEVEL_CALL);
	walk_open(&walk);
	assert_int_equal(walk_top(&walk)->kind, LEVEL_CALL);
	walk_close(&walk, false);
	assert_true(walk.has_closed_call);
	assert_false(walk.has_closed_prefix);
	assert_int_equal(cursor.verdict.access, ACCESS_NONE);
	/* Nothing to announce. */
	set_up_walk(&walk, &cursor, "f x");
	walk_open_as(&walk, LEVEL_CALL);
	assert_int_equal(walk.open_as, NOT_OPENING);
}

static void test_items_in_parentheses(void **state)
{
	static struct walk walk;
	struct sqlcursor cursor;

	(void)state;
	set_up_walk(&walk, &cursor, "(x)");
	walk_top(&walk)->from = FROM_WANT;
	walk_open(&walk);
	assert_int_equal(walk_top(&walk)->from, FROM_WANT);
	walk_top(&walk)->from = FROM_ITEM;
	walk_close(&walk, false);
	assert_int_equal(walk_top(&walk)->from, FROM_ITEM);
	assert_int_equal(cursor.verdict.access, ACCESS_NONE);
}

static void test_unmatched(void **state)
{
	static struct walk walk;
	struct sqlcursor cursor;

	(void)state;
	set_up_walk(&walk, &cursor, ")");
	walk_close(&walk, false);
	assert_int_equal(cursor.verdict.access, ACCESS_UNKNOWN);
	set_up_walk(&walk, &cursor, "[)");
	walk_open_bracket(&walk);
	walk_close(&walk, false);
	assert_int_equal(cursor.verdict.access, ACCESS_UNKNOWN);
	set_up_walk(&walk, &cursor, "[]");
	walk_open_bracket(&walk);
	walk_close(&walk, true);
	assert_int_equal(cursor.verdict.access, ACCESS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_end_with_their_level),
		cmocka_unit_test(test_too_many_names),
		cmocka_unit_test(test_announced_levels),
		cmocka_unit_test(test_items_in_parentheses),
		cmocka_unit_test(test_unmatched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
