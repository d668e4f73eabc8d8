/*
 * Names of channels: sets in order, what is quoted in their statements, and
 * rows of pg_listening_channels(), the broken ones as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/channels.h"
#include "core/pgwire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_set_keeps_its_order(void **state)
{
	struct channels *set = channels_new();

	(void)state;
	assert_int_equal(channels_count(set), 0);
	assert_false(channels_has(set, "a"));
	assert_true(channels_add(set, "b"));
	assert_true(channels_add(set, "a"));
	assert_false(channels_add(set, "b"));
	assert_true(channels_add(set, "B"));
	assert_int_equal(channels_count(set), 3);
	assert_string_equal(channels_at(set, 0), "b");
	assert_string_equal(channels_at(set, 1), "a");
	assert_string_equal(channels_at(set, 2), "B");
	assert_true(channels_remove(set, "a"));
	assert_false(channels_remove(set, "a"));
	assert_int_equal(channels_count(set), 2);
	assert_string_equal(channels_at(set, 1), "B");
	assert_true(channels_add(set, "a"));
	assert_string_equal(channels_at(set, 2), "a");
	channels_free(set);
	channels_free(NULL);
}

static void many_come_and_go(void **state)
{
	struct channels *set = channels_new();
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_true(channels_add(set, name));
	}
	for (int i = 0; i < 1000; i += 2) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_true(channels_remove(set, name));
	}
	assert_int_equal(channels_count(set), 500);
	for (size_t i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "c%zu", 2 * i + 1);
		assert_string_equal(channels_at(set, i), name);
		assert_true(channels_has(set, name));
	}
	channels_free(set);
}

static void differences(void **state)
{
	struct channels *more = channels_new();
	struct channels *less = channels_new();
	struct channels *rest;

	(void)state;
	(void)channels_add(more, "x");
	(void)channels_add(more, "y");
	(void)channels_add(more, "z");
	(void)channels_add(less, "y");
	(void)channels_add(less, "other");
	rest = channels_minus(more, less);
	assert_int_equal(channels_count(rest), 2);
	assert_string_equal(channels_at(rest, 0), "x");
	assert_string_equal(channels_at(rest, 1), "z");
	channels_free(rest);
	rest = channels_minus(more, more);
	assert_int_equal(channels_count(rest), 0);
	channels_free(rest);
	rest = channels_minus(more, NULL);
	assert_int_equal(channels_count(rest), 3);
	/* A copy of its own. */
	channels_free(more);
	assert_string_equal(channels_at(rest, 2), "z");
	channels_free(rest);
	channels_free(less);
}

static void expect(struct buf *sql, const char *text)
{
	assert_string_equal(buf_text(sql), text);
	buf_free(sql);
}

static void statements_quote(void **state)
{
	struct buf sql = BUF_INIT;

	(void)state;
	channels_listen(&sql, "plain");
	channels_listen(&sql, "With \"quotes\"; and 'more' \\");
	expect(&sql, "LISTEN \"plain\";"
		     "LISTEN \"With \"\"quotes\"\"; and 'more' \\\";");
	channels_unlisten(&sql, "*");
	expect(&sql, "UNLISTEN \"*\";");
	channels_notify(&sql, "c", "it's a \\ \"word\"");
	expect(&sql, "NOTIFY \"c\",E'it''s a \\\\ \"word\"';");
	channels_notify(&sql, "", "");
	expect(&sql, "NOTIFY \"\",E'';");
}

static char *row_of(const void *body, size_t len, size_t here)
{
	const struct pgwire_message message = {
		.type = 'D', .body = body, .body_len = len, .body_here = here
	};

	return channels_read_row(&message);
}

static void rows(void **state)
{
	static const char good[] = "\0\1\0\0\0\4name";
	static const char two[] = "\0\2\0\0\0\1n\0\0\0\1m";
	static const char *const bad[] = {
		"\0\0\0\0\0\0",         /* no column */
		"\0\1\377\377\377\377", /* NULL */
		"\0\1\0\0\0\5",         /* longer than the row */
	};
	char *name = row_of(good, sizeof(good) - 1, sizeof(good) - 1);

	(void)state;
	assert_string_equal(name, "name");
	free(name);
	name = row_of(two, sizeof(two) - 1, sizeof(two) - 1);
	assert_string_equal(name, "n");
	free(name);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(row_of(bad[i], 6, 6));
	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		assert_null(row_of(good, len, len));
		assert_null(row_of(good, sizeof(good) - 1, len));
	}
	assert_null(row_of("\0\1\0\0\0\3a\0b", 9, 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_keeps_its_order),
		cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(differences),
		cmocka_unit_test(statements_quote),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
