#include "core/sqlshape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

static uint32_t draw(uint32_t *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 16;
}

/* A text of so many pieces, with or without blanks between them. */
static size_t make_text(uint32_t *seed, unsigned pieces, char *out)
{
	static const char *const words[] = {
		"select",
		"VALUES",
		"values (1),(2)",
		"(",
		")",
		",",
		"1",
		"42",
		"0x1f",
		"1e5",
		"1.5",
		".5",
		".",
		"..",
		"$1",
		"$12a",
		"$$x$$",
		"$",
		"e",
		"e'a'",
		"u&\"b\"",
		"u&",
		"'it''s'",
		"'a'\n'b'",
		"\"Q\"",
		"-",
		"--c\n",
		"/*c*/",
		"/",
		"+-",
		"<=",
		"::",
		":=",
		":",
		"*",
		";",
		"\xc3\xa4",
		"a\xc3",
		"_x$1",
		"1, 2,3",
		"12_3",
		"x'1f'",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123",
		"aBCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ01234567",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345",
	};
	static const char *const gaps[] = { "", " ", "\t \n", "" };
	size_t len = 0;

	for (unsigned i = 0; i < pieces; i++)
		len += (size_t)sprintf(
			out + len, "%s%s",
			words[draw(seed) % (sizeof(words) / sizeof(*words))],
			gaps[draw(seed) % 4]);
	return len;
}

/* The short way writes what the lexer alone would have written. */
static void test_short_way(void **state)
{
	uint32_t seed = 1;
	char text[4096];

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		size_t len = make_text(&seed, 1 + draw(&seed) % 12, text);
		size_t room = draw(&seed) % 3 ? 1024 : draw(&seed) % 200;
		bool plain = draw(&seed) & 1;
		uint8_t one[1024];
		uint8_t other[1024];
		struct sqllex lex;
		size_t one_len;

		sqllex_init(&lex, text, len, plain, true);
		one_len = sqlshape_write(&lex, one, room);
		sqllex_init(&lex, text, len, plain, true);
		assert_int_equal(sqlshape_write_all(&lex, other, room),
				 one_len);
		assert_memory_equal(one, other, one_len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_shapes),
		cmocka_unit_test(test_other_shapes),
		cmocka_unit_test(test_forged_shapes),
		cmocka_unit_test(test_shapes_without_room),
		cmocka_unit_test(test_short_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
