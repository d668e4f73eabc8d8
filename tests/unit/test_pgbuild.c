/*
 * pgbuild: each message byte for byte, behind bytes that are in the buffer
 * already and behind some that were consumed.
 */
#include "core/pgbuild.h"
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf out;

/* A buffer in the middle of its life: one byte consumed, one waiting. */
static int begin(void **state)
{
	(void)state;
	out = BUF_INIT;
	buf_append(&out, "ab", 2);
	buf_consume(&out, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	buf_free(&out);
	buf_thread_cleanup();
	return 0;
}

/* Exactly these bytes were appended. */
static void expect(const char *bytes, size_t len)
{
	assert_int_equal(buf_len(&out), 1 + len);
	assert_int_equal(buf_head(&out)[0], 'b');
	assert_memory_equal(buf_head(&out) + 1, bytes, len);
	buf_consume(&out, 1 + len);
	assert_int_equal(begin(NULL), 0);
}
#define EXPECT(text) expect((text), sizeof(text) - 1)

static void framing(void **state)
{
	size_t start;

	(void)state;
	start = pgbuild_begin(&out, 'X');
	pgbuild_end(&out, start);
	EXPECT("X\0\0\0\4");
	start = pgbuild_begin(&out, 'X');
	buf_append(&out, "body", 4);
	pgbuild_end(&out, start);
	EXPECT("X\0\0\0\10body");
	pgbuild_empty(&out, 'S');
	EXPECT("S\0\0\0\4");
	pgbuild_message(&out, 'd', "abc", 3);
	EXPECT("d\0\0\0\7abc");
	pgbuild_message(&out, 'd', NULL, 0);
	EXPECT("d\0\0\0\4");
	pgbuild_header(&out, 'd', 0x01020304);
	EXPECT("d\1\2\3\10");
}

static void framing_survives_growth(void **state)
{
	const size_t len = (size_t)3 * BUF_BLOCK;
	struct pgwire_message message = { 0 };
	size_t start = pgbuild_begin(&out, 'd');

	(void)state;
	for (size_t i = 0; i < len; i++)
		buf_append_u8(&out, (uint8_t)i);
	pgbuild_end(&out, start);
	buf_consume(&out, 1);
	assert_int_equal(pgwire_read(buf_head(&out), buf_len(&out), &message),
			 PGWIRE_OK);
	assert_true(pgwire_is_complete(&message));
	assert_int_equal(message.total, buf_len(&out));
	assert_int_equal(message.body_len, len);
	for (size_t i = 0; i < message.body_len; i++)
		assert_int_equal(message.body[i], (uint8_t)i);
}

static void errors(void **state)
{
	const struct pgbuild_error plain = { "FATAL", "08P01", "bad",
					     NULL,    NULL,    NULL };
	const struct pgbuild_error full = { "WARNING", "01000", "m",
					    "d",       "h",     NULL };

	(void)state;
	pgbuild_error(&out, &plain);
	EXPECT("E\0\0\0\37SFATAL\0VFATAL\0C08P01\0Mbad\0\0");
	pgbuild_notice(&out, &full);
	EXPECT("N\0\0\0\47SWARNING\0VWARNING\0C01000\0Mm\0Dd\0Hh\0\0");
}

static void error_is_read_back(void **state)
{
	const struct pgbuild_error sent = { "ERROR", "57P01", "m",
					    "d",     "h",     NULL };
	struct pgwire_message message;
	struct pgwire_error error;

	(void)state;
	pgbuild_error(&out, &sent);
	assert_int_equal(
		pgwire_read(buf_head(&out) + 1, buf_len(&out) - 1, &message),
		PGWIRE_OK);
	assert_true(pgwire_read_error(&message, &error));
	assert_string_equal(error.severity, "ERROR");
	assert_string_equal(error.sqlstate, "57P01");
	assert_string_equal(error.message, "m");
	assert_string_equal(error.detail, "d");
	assert_string_equal(error.hint, "h");
}

static void server_login(void **state)
{
	const char *const options[] = { "_pq_.a", "_pq_.b" };

	(void)state;
	pgbuild_auth(&out, 0, NULL, 0);
	EXPECT("R\0\0\0\10\0\0\0\0");
	pgbuild_auth(&out, 5, "salt", 4);
	EXPECT("R\0\0\0\14\0\0\0\5salt");
	pgbuild_auth_sasl(&out, "SCRAM-SHA-256");
	EXPECT("R\0\0\0\27\0\0\0\12SCRAM-SHA-256\0\0");
	pgbuild_parameter_status(&out, "a", "bc");
	EXPECT("S\0\0\0\11a\0bc\0");
	pgbuild_key(&out, 0x01020304, "keys", 4);
	EXPECT("K\0\0\0\14\1\2\3\4keys");
	pgbuild_notification(&out, 0x01020304, "chan", "p");
	EXPECT("A\0\0\0\17\1\2\3\4chan\0p\0");
	pgbuild_ready(&out, 'T');
	EXPECT("Z\0\0\0\5T");
	pgbuild_negotiate(&out, 0, options, 2);
	EXPECT("v\0\0\0\32\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0");
	pgbuild_negotiate(&out, 2, NULL, 0);
	EXPECT("v\0\0\0\14\0\3\0\2\0\0\0\0");
}

static void rows(void **state)
{
	const char *const names[] = { "one", "two" };
	const char *const values[] = { "x", NULL, "" };

	(void)state;
	pgbuild_row_description(&out, names, 2);
	EXPECT("T\0\0\0\62\0\2"
	       "one\0\0\0\0\0\0\0\0\0\0\31\xff\xff\xff\xff\xff\xff\0\0"
	       "two\0\0\0\0\0\0\0\0\0\0\31\xff\xff\xff\xff\xff\xff\0\0");
	pgbuild_data_row(&out, values, 3);
	EXPECT("D\0\0\0\23\0\3\0\0\0\1x\xff\xff\xff\xff\0\0\0\0");
	pgbuild_data_row(&out, NULL, 0);
	EXPECT("D\0\0\0\6\0\0");
	pgbuild_command_complete(&out, "SHOW");
	EXPECT("C\0\0\0\11SHOW\0");
}

static void client_start(void **state)
{
	const char *const pairs[] = { "user", "me", "database", "" };

	(void)state;
	pgbuild_ssl_request(&out);
	EXPECT("\0\0\0\10\4\xd2\x16\x2f");
	pgbuild_cancel(&out, 258, "keys", 4);
	EXPECT("\0\0\0\20\4\xd2\x16\x2e\0\0\1\2keys");
	pgbuild_startup(&out, pairs, 2);
	EXPECT("\0\0\0\33\0\3\0\0user\0me\0database\0\0\0");
	pgbuild_startup(&out, NULL, 0);
	EXPECT("\0\0\0\11\0\3\0\0\0");
}

static void start_is_read_back(void **state)
{
	const char *const pairs[] = { "user", "me", "options", "-c a=b" };
	struct pgwire_startup startup;

	(void)state;
	pgbuild_startup(&out, pairs, 2);
	assert_int_equal(pgwire_read_startup(buf_head(&out) + 1,
					     buf_len(&out) - 1, &startup),
			 PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_LOGIN);
	assert_string_equal(pgwire_parameter(&startup, "user"), "me");
	assert_string_equal(pgwire_parameter(&startup, "options"), "-c a=b");
}

static void client_login(void **state)
{
	(void)state;
	pgbuild_password(&out, "secret");
	EXPECT("p\0\0\0\13secret\0");
	pgbuild_sasl_initial(&out, "M", "n,,", 3);
	EXPECT("p\0\0\0\15M\0\0\0\0\3n,,");
	pgbuild_sasl_initial(&out, "M", "", 0);
	EXPECT("p\0\0\0\12M\0\0\0\0\0");
	pgbuild_sasl_initial(&out, "M", NULL, 0);
	EXPECT("p\0\0\0\12M\0\xff\xff\xff\xff");
	pgbuild_sasl_response(&out, "c=biws", 6);
	EXPECT("p\0\0\0\12c=biws");
}

static void statements(void **state)
{
	(void)state;
	pgbuild_query(&out, "select 1; junk", 8);
	EXPECT("Q\0\0\0\15select 1\0");
	pgbuild_query(&out, "", 0);
	EXPECT("Q\0\0\0\5\0");
	pgbuild_parse(&out, "s", "q\0\0\0", 4);
	EXPECT("P\0\0\0\12s\0q\0\0\0");
	pgbuild_target(&out, 'C', 'S', "s");
	EXPECT("C\0\0\0\7Ss\0");
	pgbuild_target(&out, 'D', 'P', "");
	EXPECT("D\0\0\0\6P\0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(framing, begin, end),
		cmocka_unit_test_setup_teardown(framing_survives_growth, begin,
						end),
		cmocka_unit_test_setup_teardown(errors, begin, end),
		cmocka_unit_test_setup_teardown(error_is_read_back, begin, end),
		cmocka_unit_test_setup_teardown(server_login, begin, end),
		cmocka_unit_test_setup_teardown(rows, begin, end),
		cmocka_unit_test_setup_teardown(client_start, begin, end),
		cmocka_unit_test_setup_teardown(start_is_read_back, begin, end),
		cmocka_unit_test_setup_teardown(client_login, begin, end),
		cmocka_unit_test_setup_teardown(statements, begin, end),
	};

	return cmocka_run_group_tests_name("pgbuild", tests, NULL, NULL);
}
