/*
 * Tokens: texts in, positions out, and the statements around them.
 */
#include "core/token.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GOOD "7301234567890123456:00000002:16/B374D848"

static void test_read(void **state)
{
	static const char *const bad[] = {
		"",
		"0/1",
		"1:1",
		"1:1:",
		":1:0/1",
		"1::0/1",
		"0:1:0/1",
		"1:0:0/1",
		"x:1:0/1",
		"1:g:0/1",
		"1:1:0/1 ",
		" 1:1:0/1",
		"-1:1:0/1",
		"1:1:0/1/2",
		"1:123456789:0/1",
		"12345678901234567890:1:0/1",
	};
	struct watermark position;

	(void)state;
	assert_true(token_read(GOOD, &position));
	assert_true(position.system == 7301234567890123456U);
	assert_int_equal(position.timeline, 2);
	assert_true(position.lsn == 0x16B374D848U);
	assert_true(token_read("1:ff:0/0", &position));
	assert_int_equal(position.timeline, 255);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(token_read(bad[i], &position));
}

static enum token_setting setting(const char *sql, char *value)
{
	struct watermark position;

	return token_read_setting(sql, strlen(sql), &position, value);
}

static void test_setting(void **state)
{
	static const struct {
		const char *sql;
		enum token_setting kind;
		const char *value;
	} rows[] = {
		{ "SET pgweir.min_lsn = '" GOOD "'", TOKEN_GOOD, GOOD },
		{ "set session pgweir.min_lsn to '1:1:0/1';", TOKEN_GOOD,
		  "1:1:0/1" },
		{ "SET LOCAL PgWeir.Min_LSN TO '1:1:0/1'", TOKEN_GOOD,
		  "1:1:0/1" },
		{ "SET pgweir.min_lsn = 'nonsense'", TOKEN_BAD, "nonsense" },
		{ "SET pgweir.min_lsn = nonsense", TOKEN_BAD, "nonsense" },
		{ "SET pgweir.min_lsn = 5", TOKEN_BAD, "5" },
		{ "SET pgweir.min_lsn = ''", TOKEN_NONE, "" },
		{ "SET pgweir.min_lsn TO DEFAULT", TOKEN_NONE, "" },
		{ "SET pgweir.min_lsn", TOKEN_NONE, "" },
		{ "SET pgweir.max_lsn = 'x'", TOKEN_NONE, "" },
		{ "SET other.min_lsn = 'x'", TOKEN_NONE, "" },
		{ "RESET pgweir.min_lsn", TOKEN_NONE, "" },
		{ "SELECT 1", TOKEN_NONE, "" },
	};
	char value[TOKEN_VALUE_MAX + 1];
	char huge[400] = "SET pgweir.min_lsn = '";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(setting(rows[i].sql, value), rows[i].kind);
		assert_string_equal(value, rows[i].value);
	}
	assert_int_equal(setting("SET pgweir.min_lsn = 'x'; SELECT 1", value),
			 TOKEN_NONE);
	memset(huge + strlen(huge), 'x', 300);
	huge[strlen(huge)] = '\'';
	assert_int_equal(setting(huge, value), TOKEN_BAD);
	assert_int_equal(strlen(value), TOKEN_VALUE_MAX);
}

static void test_refusal(void **state)
{
	struct buf sql = BUF_INIT;

	(void)state;
	token_append_refusal(&sql, "a'; DROP\n\"x\\", false);
	buf_append_u8(&sql, 0);
	assert_string_equal(
		buf_head(&sql),
		"DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''22023'', MESSAGE "
		"= ''invalid value for parameter \"pgweir.min_lsn\": \"a?? "
		"DROP??x?\"'', HINT = ''Use what SHOW pgweir.lsn has "
		"shown.''; END'");
	buf_free(&sql);
	token_append_refusal(&sql, GOOD, true);
	buf_append_u8(&sql, 0);
	assert_non_null(
		strstr((const char *)buf_head(&sql), "another cluster"));
	buf_free(&sql);
}

static void test_query(void **state)
{
	const struct watermark known = { .system = 42, .timeline = 0x1a };
	struct buf sql = BUF_INIT;

	(void)state;
	token_append_query(&sql, known, false);
	buf_append_u8(&sql, 0);
	assert_non_null(strstr((const char *)buf_head(&sql), "'42:'"));
	assert_non_null(strstr((const char *)buf_head(&sql), "'0000001A:'"));
	assert_null(strstr((const char *)buf_head(&sql), "insert_lsn"));
	buf_free(&sql);
	token_append_query(&sql, known, true);
	buf_append_u8(&sql, 0);
	assert_non_null(strstr((const char *)buf_head(&sql), "insert_lsn"));
	buf_free(&sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_setting),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
