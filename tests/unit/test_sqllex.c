#include "core/sqllex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

/*
 * A text's tokens in short: w word, n name, u U& name, l literal, o operator,
 * : cast, = assignment, punctuation itself, ! bad.
 */
static const char *tokens_of(const char *sql, size_t len, bool plain_backslash,
			     bool is_safe_encoding)
{
	static char out[256];
	static const char kinds[] = {
		[SQLLEX_WORD] = 'w',     [SQLLEX_NAME] = 'n',
		[SQLLEX_UNICODE] = 'u',  [SQLLEX_LITERAL] = 'l',
		[SQLLEX_OPERATOR] = 'o', [SQLLEX_CAST] = ':',
		[SQLLEX_ASSIGN] = '=',   [SQLLEX_BAD] = '!',
	};
	struct sqllex_token token;
	struct sqllex lex;
	size_t count = 0;

	sqllex_init(&lex, sql, len, plain_backslash, is_safe_encoding);
	do {
		sqllex_next(&lex, &token);
		if (token.kind == SQLLEX_END)
			break;
		assert_true(count < sizeof(out) - 1);
		out[count] = token.punct;
		if (token.kind != SQLLEX_PUNCT)
			out[count] = kinds[token.kind];
		count++;
	} while (token.kind != SQLLEX_BAD);
	out[count] = '\0';
	return out;
}

/* A fresh block of the exact size, so that a byte too far is noticed. */
static void expect(const char *sql, const char *tokens)
{
	size_t len = strlen(sql);
	char *copy = malloc(len ? len : 1);

	memcpy(copy, sql, len);
	assert_string_equal(tokens_of(copy, len, true, true), tokens);
	free(copy);
}

static void expect_escaping(const char *sql, const char *tokens)
{
	assert_string_equal(tokens_of(sql, strlen(sql), false, true), tokens);
}

static void test_blanks_and_comments(void **state)
{
	(void)state;
	expect("", "");
	expect(" \t\r\n\f\v", "");
	expect("-- only", "");
	expect("-- one\rx", "w");
	expect("-- one\nx", "w");
	expect("/**/x", "w");
	expect("/* a /* b */ c */x", "w");
	expect("/* a /* b */ x", "!");
	expect("/*", "!");
	expect("/*/", "!");
	expect("/*/**/", "!");
	expect("/***/ x", "w");
	expect("a--b\nc", "ww");
	expect("a/*b*/c", "ww");
	expect("- -x", "oow");
	expect("--", "");
	expect("*/", "o");
}

static void test_words(void **state)
{
	(void)state;
	expect("abc _x1$y \xc3\xa9t\xc3\xa9", "www");
	expect("a.b", "w.w");
	expect("e x u b n", "wwwww");
	expect("u&", "wo");
	expect("u&x", "wow");
}

static void test_strings(void **state)
{
	(void)state;
	expect("''", "l");
	expect("'a''b'", "l");
	expect("'a' 'b'", "ll");
	expect("'a\\'", "l");
	expect("'a", "!");
	expect("'a''", "!");
	expect("'", "!");
	expect("E'a\\'b'", "l");
	expect("e'a\\\\'", "l");
	expect("E'\\", "!");
	expect("E'a\\'", "!");
	expect("E'\\''x", "lw");
	expect("U&'\\0041'", "l");
	expect("B'01' x'1f' N'x'", "lll");
	expect("b'1''x'", "ll");
	expect("n'a''b'", "l");
}

static void test_strings_with_escapes_everywhere(void **state)
{
	(void)state;
	expect_escaping("'\\'; DELETE FROM t; --'", "l");
	expect_escaping("'\\\\'; x", "l;w");
	expect_escaping("'\\", "!");
	expect_escaping("N'\\''", "l");
	expect_escaping("B'\\'x", "lw");
	expect_escaping("$$\\$$", "l");
	expect("'\\'; DELETE FROM t; --'", "l;www;");
}

static void test_continued_strings(void **state)
{
	(void)state;
	expect("'a'\n'b'", "l");
	expect("'a' \t\r\n \n'b'\n'c'", "l");
	expect("'a' -- x\n'b'", "l");
	expect("'a'\n-- x\n 'b'", "l");
	expect("'a' /* x */\n'b'", "ll");
	expect("'a'\n", "l");
	expect("'a'\n-- x", "l");
	expect("'a'\nx", "lw");
	/* What follows inherits the escapes of the first. */
	expect("E'a'\n'\\''", "l");
	expect("'a'\n'\\'", "l");
	expect("'a'\nE'b'", "ll");
	expect("'a'\n'b", "!");
}

static void test_dollar_quotes(void **state)
{
	(void)state;
	expect("$$a'b$$", "l");
	expect("$$$$", "l");
	expect("$a$ $$ $b$ $a$", "l");
	expect("$a1_$x$a1_$", "l");
	expect("$\xc3\xa9$x$\xc3\xa9$", "l");
	expect("$$", "!");
	expect("$a$ $A$", "!");
	expect("$a", "!");
	expect("$", "!");
	expect("$ $", "!");
	expect("$a b$", "!");
	expect("a$b$c", "w");
	expect("$1a$", "!");
}

static void test_parameters_and_numbers(void **state)
{
	(void)state;
	expect("$1", "l");
	expect("$12)", "l)");
	expect("$1a", "!");
	expect("1 1.5 .5 5. 1e10 1.5E-3 1e+2 0x1F 0o17 0b01 1_000 0xa_b",
	       "llllllllllll");
	expect("1..2", "l.l");
	expect("1.", "l");
	expect("1abc", "!");
	expect("1_", "l");
	expect("0xg", "!");
	expect("1e", "!");
	expect("1ex", "!");
	expect("1.x", "!");
	expect("1.5.6", "ll");
	expect("1e5x", "!");
	expect("-1", "ol");
}

static void test_lists_are_one(void **state)
{
	(void)state;
	expect("1,2", "l");
	expect("1 , 'a' /* x */ , $3", "l");
	expect("(1,2,3)", "(l)");
	expect("1,x", "l,w");
	expect("1, E'a', x'1'", "l");
	expect("1,", "l,");
	expect("1,,2", "l,,l");
	expect("1, e", "l,w");
	expect("1, 2 3", "ll");
	expect("1, 'a", "l,!");
	expect("1, -2", "l,ol");
	expect("1, \"a\"", "l,n");
	expect("1 /* ", "l!");
}

static void test_quoted_names(void **state)
{
	(void)state;
	expect("\"a b\"", "n");
	expect("\"a\"\"b\"", "n");
	expect("\"\"", "!");
	expect("\"a", "!");
	expect("\"a\"\"", "!");
	expect("\"", "!");
	expect("U&\"d!0061t\" uescape '!'", "uwl");
	expect("u&\"", "!");
}

static void test_operators(void **state)
{
	(void)state;
	expect("a<=b", "wow");
	expect("a=-1", "wool");
	expect("a@-1", "wol");
	expect("a+--x\nb", "wow");
	expect("a*/*x*/b", "wow");
	expect("a<->b", "wow");
	expect("a+-b", "woow");
	expect("a::int", "w:w");
	expect("a:=1", "w=l");
	expect("a[1:2]", "w[l:l]");
	expect("(a);", "(w);");
	expect("a=>1", "wol");
	expect("{", "!");
	expect("a\\b", "w!");
	expect("\x01", "!");
}

static void test_unsafe_texts(void **state)
{
	static const char nul[] = "SELECT 'a\0b'";

	(void)state;
	assert_string_equal(tokens_of(nul, sizeof(nul) - 1, true, true), "!");
	assert_string_equal(tokens_of("\0", 1, true, true), "!");
	assert_string_equal(tokens_of("'\x95\\'", 4, true, false), "!");
	assert_string_equal(tokens_of("-- \xff\nx", 6, true, false), "!");
	assert_string_equal(tokens_of("'abc'", 5, true, false), "l");
}

static void test_end_stays(void **state)
{
	struct sqllex_token token;
	struct sqllex lex;

	(void)state;
	sqllex_init(&lex, "x", 1, true, true);
	sqllex_next(&lex, &token);
	assert_int_equal(token.kind, SQLLEX_WORD);
	for (int i = 0; i < 3; i++) {
		sqllex_next(&lex, &token);
		assert_int_equal(token.kind, SQLLEX_END);
	}
	sqllex_init(&lex, "' x", 3, true, true);
	for (int i = 0; i < 3; i++) {
		sqllex_next(&lex, &token);
		assert_int_equal(token.kind, SQLLEX_BAD);
	}
}

static size_t name_of(const char *sql, char out[static SQLLEX_NAME_MAX + 1])
{
	struct sqllex_token token;
	struct sqllex lex;

	sqllex_init(&lex, sql, strlen(sql), true, true);
	sqllex_next(&lex, &token);
	return sqllex_name(&token, out);
}

static void test_names(void **state)
{
	char longest[SQLLEX_NAME_MAX + 2];
	char out[SQLLEX_NAME_MAX + 1];

	(void)state;
	assert_int_equal(name_of("AbC$1", out), 5);
	assert_string_equal(out, "abc$1");
	assert_int_equal(name_of("\"AbC\"", out), 3);
	assert_string_equal(out, "AbC");
	assert_int_equal(name_of("\"a\"\"b\"\"\"", out), 4);
	assert_string_equal(out, "a\"b\"");
	assert_int_equal(name_of("U&\"abc\"", out), 0);
	assert_int_equal(name_of("'abc'", out), 0);
	memset(longest, 'A', sizeof(longest));
	longest[SQLLEX_NAME_MAX + 1] = '\0';
	longest[SQLLEX_NAME_MAX] = '\0';
	assert_int_equal(name_of(longest, out), SQLLEX_NAME_MAX);
	longest[SQLLEX_NAME_MAX] = 'A';
	assert_int_equal(name_of(longest, out), 0);
}

static void test_long_texts(void **state)
{
	size_t len = 4 << 20;
	char *sql = malloc(len);

	(void)state;
	memset(sql, 'x', len);
	sql[0] = '\'';
	sql[len - 1] = '\'';
	assert_string_equal(tokens_of(sql, len, true, true), "l");
	sql[len - 1] = 'x';
	assert_string_equal(tokens_of(sql, len, true, true), "!");
	/* Linear: a search that began anew at each backslash would hang. */
	len /= 8;
	for (size_t i = 2; i < len - 1; i += 2) {
		sql[i] = '\\';
		sql[i + 1] = '\\';
	}
	sql[0] = 'E';
	sql[1] = '\'';
	sql[len - 1] = '\'';
	sql[len - 2] = 'x';
	assert_string_equal(tokens_of(sql, len, true, true), "l");
	free(sql);
}

/* How many tokens so many commas are before it is too much. */
static size_t tokens_before_bad(size_t len)
{
	char *sql = malloc(len);
	struct sqllex_token token;
	struct sqllex lex;
	size_t count = 0;

	memset(sql, ',', len);
	sqllex_init(&lex, sql, len, true, true);
	for (;; count++) {
		sqllex_next(&lex, &token);
		if (token.kind == SQLLEX_END || token.kind == SQLLEX_BAD)
			break;
	}
	assert_int_equal(token.kind == SQLLEX_BAD, sqllex_is_exhausted(&lex));
	free(sql);
	return count;
}

static void test_too_much(void **state)
{
	const size_t most = SQLLEX_WORK_MAX / SQLLEX_TOKEN_WORK;
	size_t count = 1000000;
	char *list = malloc(count * 2);

	(void)state;
	assert_int_equal(tokens_before_bad(30000), 30000);
	assert_true(most > 60001);
	assert_int_equal(tokens_before_bad(4 << 20), most - 1);
	/* A million integers are one literal. */
	for (size_t i = 0; i < count; i++)
		memcpy(list + 2 * i, ",7", 2);
	list[0] = ' ';
	assert_string_equal(tokens_of(list, count * 2, true, true), "l");
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blanks_and_comments),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_strings_with_escapes_everywhere),
		cmocka_unit_test(test_continued_strings),
		cmocka_unit_test(test_dollar_quotes),
		cmocka_unit_test(test_parameters_and_numbers),
		cmocka_unit_test(test_lists_are_one),
		cmocka_unit_test(test_quoted_names),
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_unsafe_texts),
		cmocka_unit_test(test_end_stays),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
