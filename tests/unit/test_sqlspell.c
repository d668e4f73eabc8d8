#include "core/sqlspell.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

/* Of a block of the text's own size: one byte too far is noticed. */
static size_t spell(const char *sql, size_t len, uint8_t *out, size_t room)
{
	char *copy = malloc(len ? len : 1);
	size_t used;

	memcpy(copy, sql, len);
	used = sqlspell_write(copy, len, true, out, room).len;
	free(copy);
	return used;
}

static bool is_spelled(const char *sql, const char *wanted)
{
	uint8_t out[256];
	size_t len = spell(sql, strlen(sql), out, sizeof(out));

	return len == strlen(wanted) && memcmp(out, wanted, len) == 0;
}

static bool has_none(const char *sql)
{
	uint8_t out[256];

	return spell(sql, strlen(sql), out, sizeof(out)) == 0;
}

static void test_numbers(void **state)
{
	(void)state;
	assert_true(is_spelled("1", "\1"));
	assert_true(is_spelled("SELECT 12345", "SELECT \1"));
	assert_true(is_spelled("SELECT 1.50,-2", "SELECT \1,-\1"));
	assert_true(is_spelled("x = 1234567890123456789 AND y=(2)",
			       "x = \1 AND y=(\1)"));
	assert_true(is_spelled("a[1:2] + 7", "a[\1:\1] + \1"));
	assert_true(is_spelled("UPDATE t SET abalance = abalance + -4711 "
			       "WHERE aid = 815;",
			       "UPDATE t SET abalance = abalance + -\1 "
			       "WHERE aid = \1;"));
}

static void test_digits_of_words(void **state)
{
	(void)state;
	assert_true(
		is_spelled("t1.c22 a1b2 _3 $1 x$4", "t1.c22 a1b2 _3 $1 x$4"));
	assert_true(is_spelled("\xc3\xa4"
			       "1 2",
			       "\xc3\xa4"
			       "1 \1"));
	assert_true(
		is_spelled("\"1 2\" 3 \"a\"\"4\"", "\"1 2\" \1 \"a\"\"4\""));
}

static void test_strings(void **state)
{
	(void)state;
	assert_true(is_spelled("'a'", "\2"));
	assert_true(is_spelled("x = 'it''s' AND y=''", "x = \2 AND y=\2"));
	assert_true(is_spelled("'a'\n'b'", "\2\n\2"));
	assert_true(is_spelled("('-- /* 1 \"')", "(\2)"));
	assert_true(is_spelled("'a long one over more than two blocks' 1",
			       "\2 \1"));
}

static void test_others_have_none(void **state)
{
	static const char *const texts[] = {
		"",     "1e5",  "0x1f",      "1_0",     ".5",     "t.5",
		"1..2", "1.",   "1a",        "e'a'",    "U&'a'",  "n'a'",
		"'a",   "\"a",  "$$a$$",     "$x$a$x$", "a -- b", "a/* */",
		"\1",   "a\2b", "1\xc3\xa4", "x'00'",   "a $",    "SELECT 1 --",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_true(has_none(texts[i]));
	/* Signs that open nothing. */
	assert_true(
		is_spelled("a - b / c # d % e & f", "a - b / c # d % e & f"));
	assert_true(is_spelled("a\t\nb\\", "a\t\nb\\"));
}

static void test_settings_and_room(void **state)
{
	uint8_t out[64];

	(void)state;
	assert_int_equal(sqlspell_write("'a'", 3, false, out, 64).len, 0);
	assert_int_equal(sqlspell_write("a 1", 3, false, out, 64).len, 3);
	assert_int_equal(sqlspell_write("a 1", 3, true, out, 18).len, 0);
	assert_int_equal(sqlspell_write("a 1", 3, true, out, 19).len, 3);
	assert_int_equal(sqlspell_write("a 1", 3, true, out, 3).len, 0);
	assert_true(sqlspell_write("a 'x'", 5, true, out, 64).has_strings);
	assert_false(sqlspell_write("a \"x\"", 5, true, out, 64).has_strings);
	assert_int_equal(spell("a\0b", 3, out, 64), 0);
	assert_int_equal(spell("'\0'", 3, out, 64), 0);
	assert_int_equal(spell("\"\0\"", 3, out, 64), 0);
}

static void write_at(char *text, size_t at, const char *tail)
{
	memcpy(text + at, tail, strlen(tail) + 1);
}

/* The bytes may not stand on the edge of a block only. */
static void test_every_place(void **state)
{
	char text[80];
	char wanted[80];

	(void)state;
	for (size_t at = 0; at < 60; at++) {
		memset(text, 'a', at);
		memset(wanted, 'a', at);
		write_at(text, at, " 12 + 'x' b");
		write_at(wanted, at, " \1 + \2 b");
		assert_true(is_spelled(text, wanted));
		write_at(text, at, " 12 + /* */ b");
		assert_true(has_none(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_digits_of_words),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_others_have_none),
		cmocka_unit_test(test_settings_and_room),
		cmocka_unit_test(test_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
