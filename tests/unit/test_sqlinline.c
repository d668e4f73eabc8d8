/*
 * Parameters in the text of set_config(): what is written, what is refused.
 */
#include "core/sqlinline.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What stands in a Bind behind the names; "-" is NULL. */
static struct buf bound(const char *const *values, size_t count,
			uint16_t format)
{
	struct buf out = BUF_INIT;

	buf_append_u16(&out, 1);
	buf_append_u16(&out, format);
	buf_append_u16(&out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		bool is_null = strcmp(values[i], "-") == 0;
		size_t len = strlen(values[i]);

		buf_append_u32(&out, is_null ? UINT32_MAX : (uint32_t)len);
		if (!is_null)
			buf_append(&out, values[i], len);
	}
	buf_append_u16(&out, 0);
	return out;
}

static bool write(const char *sql, struct buf *values, struct buf *out)
{
	return sqlinline_write(sql, strlen(sql), buf_head(values),
			       buf_len(values), out);
}

static void test_values(void **state)
{
	static const char *const values[] = { "a.b", "it's \\", "t", "-" };
	static const struct {
		const char *sql;
		const char *wanted;
	} rows[] = {
		{ "SELECT set_config($1, $3, true)",
		  "SELECT set_config('a.b', 't', true)" },
		{ "select pg_catalog.SET_CONFIG ($1,$2,$3), set_config('$1 (',"
		  "$4,false)",
		  "select pg_catalog.SET_CONFIG ('a.b', E'it''s \\\\','t'), "
		  "set_config('$1 (',NULL,false)" },
		{ "SELECT set_config('it''s', $1::text, $3::bool) AS \"$1 x\"",
		  "SELECT set_config('it''s', 'a.b'::text, 't'::bool) AS \"$1 "
		  "x\"" },
		{ "SELECT set_config('a', 'b', true)",
		  "SELECT set_config('a', 'b', true)" },
	};
	struct buf bytes = bound(values, 4, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf out = BUF_INIT;

		assert_true(write(rows[i].sql, &bytes, &out));
		assert_string_equal(buf_text(&out), rows[i].wanted);
		buf_free(&out);
	}
	buf_free(&bytes);
}

static void test_what_is_refused(void **state)
{
	static const char *const texts[] = {
		"SELECT set_config($2, 'a', true)",
		"SELECT set_config($0, 'a', true)",
		"SELECT set_config($, 'a', true)",
		"SELECT set_config($99999999999999999999, 'a', true)",
		"SELECT set_config('a, $1, true)",
		"SELECT set_config(E'a', $1, true)",
		"SELECT set_config('a\\', $1, true)",
		"SELECT set_config('a', $$b$$, true)",
		"SELECT set_config(a$1, 'b', true)",
		"SELECT set_config('a', $1, true) -- b",
		"SELECT set_config('a', $1 /* ' */, true)",
		"SELECT set_config('a', lower($1), true)",
		"SELECT my_set_config('a', $1, true)",
		"set_config($1)",
		"(SELECT set_config('a', $1, true))",
	};
	static const char *const values[] = { "x" };
	struct buf bytes = bound(values, 1, 0);
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(write(texts[i], &bytes, &out));
	assert_int_equal(buf_len(&out), 0);
	buf_free(&bytes);
}

static void test_values_that_are_refused(void **state)
{
	static const char sql[] = "SELECT set_config('a', $1, true)";
	static char huge[2000];
	const char *values[] = { huge };
	struct buf out = BUF_INIT;
	struct buf bytes = bound(values, 1, 1);

	(void)state;
	/* Binary. */
	assert_false(write(sql, &bytes, &out));
	buf_free(&bytes);
	/* Cut anywhere. */
	bytes = bound(values, 1, 0);
	for (size_t cut = 3; cut <= buf_len(&bytes); cut++) {
		struct buf less = BUF_INIT;

		buf_append(&less, buf_head(&bytes), buf_len(&bytes) - cut);
		assert_false(write(sql, &less, &out));
		buf_free(&less);
	}
	/* With a zero in it. */
	memset(buf_head(&bytes) + 6, 0, 4);
	buf_head(&bytes)[9] = 2;
	assert_false(write(sql, &bytes, &out));
	buf_free(&bytes);
	memset(huge, 'x', sizeof(huge) - 1);
	bytes = bound(values, 1, 0);
	assert_false(write(sql, &bytes, &out));
	buf_free(&bytes);
	assert_int_equal(buf_len(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_values_that_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
