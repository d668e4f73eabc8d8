#include "core/shapes.h"

#include "sqlfixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static struct sqlclass_context make_context(void)
{
	return (struct sqlclass_context){
		.catalog = fixture_new(),
		.plain_backslash = true,
		.is_safe_encoding = true,
	};
}

static unsigned access_of(struct shapes *shapes, const char *sql,
			  const struct sqlclass_context *context)
{
	return shapes_classify(shapes, sql, strlen(sql), context).access;
}

static void test_hits_and_misses(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(10);

	(void)state;
	assert_int_equal(access_of(shapes, "SELECT 1", &context), ACCESS_READ);
	assert_int_equal(shapes_misses(shapes), 1);
	assert_int_equal(access_of(shapes, "select 'x' -- y", &context),
			 ACCESS_READ);
	assert_int_equal(access_of(shapes, "SELECT $1, 2", &context),
			 ACCESS_READ);
	assert_int_equal(shapes_hits(shapes), 2);
	assert_int_equal(
		access_of(shapes, "DELETE FROM t WHERE id = 1", &context),
		ACCESS_WRITE);
	assert_int_equal(
		access_of(shapes, "DELETE FROM t WHERE id = 2", &context),
		ACCESS_WRITE);
	assert_int_equal(shapes_misses(shapes), 2);
	assert_int_equal(shapes_hits(shapes), 3);
	assert_int_equal(shapes_evictions(shapes), 0);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void test_settings_part_shapes(void **state)
{
	struct sqlclass_context context = make_context();
	struct sqlclass_context escaping = context;
	struct shapes *shapes = shapes_new(10);
	const char *sql = "SELECT '\\'; DELETE FROM t; --'";

	(void)state;
	escaping.plain_backslash = false;
	assert_int_equal(access_of(shapes, sql, &context), ACCESS_WRITE);
	assert_int_equal(access_of(shapes, sql, &escaping), ACCESS_READ);
	assert_int_equal(access_of(shapes, sql, &context), ACCESS_WRITE);
	assert_int_equal(shapes_hits(shapes), 1);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void test_other_catalog_is_asked_anew(void **state)
{
	struct sqlclass_context context = make_context();
	struct sqlclass_context bare = context;
	struct shapes *shapes = shapes_new(10);

	(void)state;
	bare.catalog = NULL;
	assert_int_equal(access_of(shapes, "SELECT * FROM t", &bare),
			 ACCESS_UNKNOWN);
	assert_int_equal(access_of(shapes, "SELECT * FROM t", &context),
			 ACCESS_READ);
	assert_int_equal(access_of(shapes, "SELECT * FROM t", &context),
			 ACCESS_READ);
	assert_int_equal(shapes_hits(shapes), 1);
	assert_int_equal(shapes_misses(shapes), 2);
	assert_int_equal(shapes_evictions(shapes), 0);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void test_learning(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(10);
	struct sqlclass class;

	(void)state;
	assert_int_equal(access_of(shapes, "SELECT st(1)", &context),
			 ACCESS_READ);
	shapes_learn_write(shapes, "SELECT st(22)", 13, &context);
	class = shapes_classify(shapes, "SELECT st(333)", 14, &context);
	assert_int_equal(class.access, ACCESS_WRITE);
	assert_false(class.is_certain);
	assert_int_equal(class.statements, 1);
	/* Never seen before. */
	shapes_learn_write(shapes, "SELECT st(1), 2", 15, &context);
	assert_int_equal(access_of(shapes, "SELECT st(1), 2", &context),
			 ACCESS_WRITE);
	/* What has no shape cannot be learned. */
	shapes_learn_write(shapes, "SELECT 'x", 9, &context);
	assert_int_equal(access_of(shapes, "SELECT 'x", &context),
			 ACCESS_UNKNOWN);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void ask(struct shapes *shapes, unsigned number,
		const struct sqlclass_context *context)
{
	char sql[64];
	int len = snprintf(sql, sizeof(sql), "SELECT 1 AS x%u", number);

	assert_int_equal(
		shapes_classify(shapes, sql, (size_t)len, context).access,
		ACCESS_READ);
}

static void test_eviction(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(8);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		ask(shapes, i, &context);
	assert_int_equal(shapes_evictions(shapes), 0);
	/* What is asked for stays, what is not makes room. */
	for (unsigned i = 8; i < 108; i++) {
		ask(shapes, 0, &context);
		ask(shapes, i, &context);
	}
	assert_int_equal(shapes_evictions(shapes), 100);
	assert_int_equal(shapes_hits(shapes), 100);
	assert_int_equal(shapes_misses(shapes), 108);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void test_one_and_no_entry(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(0);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		ask(shapes, i, &context);
	assert_int_equal(shapes_evictions(shapes), 9);
	ask(shapes, 9, &context);
	assert_int_equal(shapes_hits(shapes), 1);
	shapes_free(shapes);
	shapes_free(NULL);
	catalog_release(context.catalog);
}

static void test_unkept_texts(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(4);
	size_t len = 9000;
	char *sql = malloc(len + 1);

	(void)state;
	/* Too many tokens to keep, still judged. */
	memset(sql, ' ', len);
	memcpy(sql, "SELECT 1", 8);
	for (size_t i = 8; i + 2 < len; i += 2)
		memcpy(sql + i, "+1", 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			shapes_classify(shapes, sql, len, &context).access,
			ACCESS_READ);
	assert_int_equal(shapes_hits(shapes), 0);
	assert_int_equal(shapes_misses(shapes), 2);
	free(sql);
	/* Nothing to keep. */
	assert_int_equal(access_of(shapes, "", &context), ACCESS_NONE);
	assert_int_equal(access_of(shapes, " -- x", &context), ACCESS_NONE);
	assert_int_equal(access_of(shapes, "SELECT 'x", &context),
			 ACCESS_UNKNOWN);
	assert_int_equal(shapes_hits(shapes), 0);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

/* A long list, a long string: the shape is short, so it is kept. */
static void test_long_literals(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(4);
	size_t len = 100000;
	size_t longer = 2 << 20;
	char *sql = malloc(longer);

	(void)state;
	memset(sql, 'x', longer);
	memcpy(sql, "SELECT '", 8);
	sql[longer - 1] = '\'';
	/* Read once, and not kept. */
	assert_int_equal(shapes_classify(shapes, sql, longer, &context).access,
			 ACCESS_READ);
	shapes_learn_write(shapes, sql, longer, &context);
	sql[len - 1] = '\'';
	assert_int_equal(shapes_classify(shapes, sql, len, &context).access,
			 ACCESS_READ);
	assert_int_equal(access_of(shapes, "SELECT 1", &context), ACCESS_READ);
	assert_int_equal(shapes_hits(shapes), 1);
	free(sql);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static void note(struct shapes *shapes, const struct sqlclass *class)
{
	shapes_note_answer(
		shapes, class,
		&(struct tally_answer){ .is_replica = true, .took_us = 10 });
}

static uint64_t count_of(const struct shapes *shapes, unsigned *rows)
{
	struct shapes_row row;
	uint64_t count = 0;
	size_t at = 0;

	for (*rows = 0; shapes_next(shapes, &at, &row); (*rows)++) {
		assert_true(row.shape_len > 0);
		count += row.tally->count;
	}
	return count;
}

/* A class knows its shape, until another one has the place. */
static void test_answers_are_counted(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(1);
	const struct sqlclass none = { 0 };
	const struct sqlclass beyond = { .shape = 9 };
	struct sqlclass class;
	unsigned rows;

	(void)state;
	class = shapes_classify(shapes, "SELECT 1", 8, &context);
	assert_int_equal(count_of(shapes, &rows), 0);
	assert_int_equal(rows, 0);
	note(shapes, &class);
	class = shapes_classify(shapes, "SELECT 2", 8, &context);
	note(shapes, &class);
	note(shapes, &none);
	note(shapes, &beyond);
	shapes_note_repeat(shapes, &class);
	assert_int_equal(count_of(shapes, &rows), 2);
	assert_int_equal(rows, 1);
	/* What is learned does not make it another shape. */
	shapes_learn_write(shapes, "SELECT 3", 8, &context);
	note(shapes, &class);
	assert_int_equal(count_of(shapes, &rows), 3);
	(void)shapes_classify(shapes, "TABLE t", 7, &context);
	note(shapes, &class);
	shapes_note_repeat(shapes, &class);
	assert_int_equal(count_of(shapes, &rows), 0);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

/* The same spelling, but its shape had to go, and another has its place. */
static void test_spelling_of_a_shape_that_is_gone(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(1);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(access_of(shapes, "SELECT 1", &context),
				 ACCESS_READ);
		assert_int_equal(access_of(shapes, "SELECT 2", &context),
				 ACCESS_READ);
		assert_int_equal(access_of(shapes, "DELETE FROM t WHERE id = 1",
					   &context),
				 ACCESS_WRITE);
	}
	assert_int_equal(shapes_misses(shapes), 6);
	assert_int_equal(shapes_hits(shapes), 3);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

/* What is learned of a shape holds for all of its spellings. */
static void test_spellings_share_what_is_learned(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(10);

	(void)state;
	assert_int_equal(access_of(shapes, "SELECT 1", &context), ACCESS_READ);
	assert_int_equal(access_of(shapes, "select  'x'", &context),
			 ACCESS_READ);
	shapes_learn_write(shapes, "SELECT 7", 8, &context);
	assert_int_equal(access_of(shapes, "SELECT 1", &context), ACCESS_WRITE);
	assert_int_equal(access_of(shapes, "select  'y'", &context),
			 ACCESS_WRITE);
	shapes_free(shapes);
	catalog_release(context.catalog);
}

static unsigned hint_of(struct shapes *shapes, const char *sql,
			const struct sqlclass_context *context)
{
	return shapes_classify(shapes, sql, strlen(sql), context).hint;
}

static void test_hints_are_no_part_of_shapes(void **state)
{
	struct sqlclass_context context = make_context();
	struct shapes *shapes = shapes_new(10);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hint_of(shapes, "SELECT 1", &context),
				 HINT_NONE);
		assert_int_equal(hint_of(shapes, "SELECT 'x'", &context),
				 HINT_NONE);
		assert_int_equal(hint_of(shapes,
					 "/* pgweir: primary */ SELECT 1",
					 &context),
				 HINT_PRIMARY);
		assert_int_equal(hint_of(shapes,
					 "SELECT '/* pgweir: primary */'",
					 &context),
				 HINT_PRIMARY);
	}
	shapes_free(shapes);
	catalog_release(context.catalog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hits_and_misses),
		cmocka_unit_test(test_settings_part_shapes),
		cmocka_unit_test(test_other_catalog_is_asked_anew),
		cmocka_unit_test(test_learning),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_one_and_no_entry),
		cmocka_unit_test(test_unkept_texts),
		cmocka_unit_test(test_answers_are_counted),
		cmocka_unit_test(test_long_literals),
		cmocka_unit_test(test_spelling_of_a_shape_that_is_gone),
		cmocka_unit_test(test_spellings_share_what_is_learned),
		cmocka_unit_test(test_hints_are_no_part_of_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
