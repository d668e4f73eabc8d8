#include "core/sqlshape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static size_t shape_of(const char *sql, uint8_t *out, size_t room)
{
	struct sqllex lex;

	sqllex_init(&lex, sql, strlen(sql), true, true);
	return sqlshape_write(&lex, out, room);
}

static bool have_same_shape(const char *one, const char *other)
{
	uint8_t a[512];
	uint8_t b[512];
	size_t len = shape_of(one, a, sizeof(a));

	assert_true(len > 0);
	return shape_of(other, b, sizeof(b)) == len && memcmp(a, b, len) == 0;
}

static void test_same_shapes(void **state)
{
	(void)state;
	assert_true(have_same_shape("SELECT 1", "select /* x */ 'abc' -- y"));
	assert_true(have_same_shape("SELECT 1", "SELECT $1"));
	assert_true(have_same_shape("a IN (1)", "a in (1, 2, $3, 'x')"));
	assert_true(have_same_shape("VALUES (1)", "VALUES (1,2), (3,'a'),(4)"));
	assert_true(have_same_shape("INSERT INTO t VALUES (1) RETURNING id",
				    "INSERT INTO t VALUES (1,1),(2,2) "
				    "RETURNING id"));
	assert_true(have_same_shape("a+1", "a + 2"));
}

static void test_other_shapes(void **state)
{
	(void)state;
	assert_false(have_same_shape("a", "b"));
	assert_false(have_same_shape("a b", "ab"));
	assert_false(have_same_shape("\"a\"", "a"));
	assert_false(have_same_shape("\"A\"", "\"a\""));
	assert_false(have_same_shape("U&\"a\"", "\"a\""));
	assert_false(have_same_shape("a::b", "a: :b"));
	assert_false(have_same_shape("a:=b", "a: =b"));
	assert_false(have_same_shape("a<b", "a< =b"));
	assert_false(have_same_shape("+ +", "@+"));
	assert_false(have_same_shape("1 2", "1, 2"));
	assert_false(have_same_shape("(1),(2)", "(1)"));
	assert_false(have_same_shape("x (1),(2)", "x (1)"));
	assert_false(have_same_shape("values (1),(a)", "values (1)"));
	assert_false(have_same_shape("values (1) (2)", "values (1)"));
	assert_false(have_same_shape("values (1),(2", "values (1)"));
	assert_false(have_same_shape("\"values\" (1),(2)", "\"values\" (1)"));
}

/* Names may hold the bytes that the shape is written with. */
static void test_forged_shapes(void **state)
{
	(void)state;
	assert_false(have_same_shape("\"a\x01z\"", "\"a\" z"));
	assert_false(have_same_shape("\"a\x04\"", "\"a\" 1"));
	assert_false(have_same_shape("\"a\x02\x01\x01z\"", "\"a\" \"z\""));
	assert_false(have_same_shape("\"\x01values(\x04),(\x04\")",
				     "\"\x01values(\x04\")"));
}

static void test_shapes_without_room(void **state)
{
	uint8_t out[8];

	(void)state;
	assert_int_equal(shape_of("", out, sizeof(out)), 0);
	assert_int_equal(shape_of("abcd", out, sizeof(out)), 5);
	assert_int_equal(shape_of("abcdef", out, sizeof(out)), 0);
	assert_int_equal(shape_of("abc def", out, sizeof(out)), 0);
	assert_int_equal(shape_of("'x", out, sizeof(out)), 0);
	assert_int_equal(shape_of("a", out, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_shapes),
		cmocka_unit_test(test_other_shapes),
		cmocka_unit_test(test_forged_shapes),
		cmocka_unit_test(test_shapes_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
