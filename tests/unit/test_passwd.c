/*
 * Forms of secrets, the plain and the MD5 method; MD5 vectors made by
 * PostgreSQL 15 and by md5sum.
 */
#include "core/passwd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* CREATE ROLE m PASSWORD 'pencil' with password_encryption = md5 */
static const char pg_md5[] = "md58bbf3f45673bf67d02e4214911f3417f";

static const char pg_scram[] = "SCRAM-SHA-256$4096:+D0q9jEryE++QKE3Jz8B9w=="
			       "$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhu4="
			       ":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=";

static const uint8_t salt[PASSWD_SALT_LEN] = { 1, 0, 255, 'z' };

static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(passwd_kind_of(NULL), PASSWD_NONE);
	assert_int_equal(passwd_kind_of(""), PASSWD_NONE);
	assert_int_equal(passwd_kind_of("x"), PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of("md5"), PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of(pg_md5), PASSWD_MD5);
	assert_int_equal(passwd_kind_of("md58bbf3f45673bf67d02e4214911f3417"),
			 PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of("md58bbf3f45673bf67d02e4214911f3417g"),
			 PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of("md58BBF3F45673BF67D02E4214911F3417F"),
			 PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of("xmd58bbf3f45673bf67d02e4214911f3417f"),
			 PASSWD_PLAIN);
	assert_int_equal(passwd_kind_of(pg_scram), PASSWD_SCRAM);
	assert_int_equal(passwd_kind_of("SCRAM-SHA-256$broken"), PASSWD_SCRAM);
	assert_int_equal(passwd_kind_of("SCRAM-SHA-256"), PASSWD_PLAIN);
}

static void test_md5_equals_postgres(void **state)
{
	char out[PASSWD_MD5_ROOM];

	(void)state;
	assert_true(passwd_md5_secret("pencil", "m", out));
	assert_string_equal(out, pg_md5);
}

static void test_md5_response(void **state)
{
	char from_plain[PASSWD_MD5_ROOM];
	char from_stored[PASSWD_MD5_ROOM];

	(void)state;
	assert_true(passwd_md5_response("pencil", "m", salt, from_plain));
	assert_true(passwd_md5_response(pg_md5, "m", salt, from_stored));
	assert_string_equal(from_plain, from_stored);
	assert_string_equal(from_plain, "md512d449d80f4c35b03a4718c607b99795");
	assert_false(passwd_md5_response(pg_scram, "m", salt, from_plain));
	assert_false(passwd_md5_response(NULL, "m", salt, from_plain));
	assert_false(passwd_md5_response("", "m", salt, from_plain));
}

static void test_verify_md5(void **state)
{
	char response[PASSWD_MD5_ROOM];
	uint8_t other[PASSWD_SALT_LEN] = { 0 };

	(void)state;
	assert_true(passwd_md5_response("pencil", "m", salt, response));
	assert_true(passwd_verify_md5("pencil", "m", salt, response));
	assert_true(passwd_verify_md5(pg_md5, "m", salt, response));
	assert_false(passwd_verify_md5(pg_md5, "m", other, response));
	assert_false(passwd_verify_md5("pencil", "n", salt, response));
	assert_false(passwd_verify_md5("Pencil", "m", salt, response));
	assert_false(passwd_verify_md5(pg_scram, "m", salt, response));
	assert_false(passwd_verify_md5(NULL, "m", salt, response));
	assert_false(passwd_verify_md5("", "m", salt, response));
	assert_false(passwd_verify_md5("pencil", "m", salt, ""));
	assert_false(passwd_verify_md5("pencil", "m", salt, "pencil"));
	assert_false(passwd_verify_md5(pg_md5, "m", salt, pg_md5));
	for (size_t i = 0; i < strlen(response); i++) {
		response[i] ^= 1;
		assert_false(passwd_verify_md5("pencil", "m", salt, response));
		response[i] ^= 1;
	}
	response[PASSWD_MD5_ROOM - 2] = '\0';
	assert_false(passwd_verify_md5("pencil", "m", salt, response));
}

static void test_verify_plain(void **state)
{
	static const char *const secrets[] = { "pencil", pg_md5, pg_scram };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(passwd_verify_plain(secrets[i], "m", "pencil"));
		assert_false(passwd_verify_plain(secrets[i], "m", "pencils"));
		assert_false(passwd_verify_plain(secrets[i], "m", "penci"));
		assert_false(passwd_verify_plain(secrets[i], "m", "Pencil"));
		assert_false(passwd_verify_plain(secrets[i], "m", ""));
	}
	/* the salt of MD5 is the user's name */
	assert_false(passwd_verify_plain(pg_md5, "n", "pencil"));
	/* a stolen secret is no password */
	assert_false(passwd_verify_plain(pg_md5, "m", pg_md5));
	assert_false(passwd_verify_plain(pg_scram, "m", pg_scram));
	assert_false(passwd_verify_plain("SCRAM-SHA-256$broken", "m",
					 "SCRAM-SHA-256$broken"));
}

static void test_nobody_has_no_password(void **state)
{
	(void)state;
	assert_false(passwd_verify_plain(NULL, "m", ""));
	assert_false(passwd_verify_plain("", "m", ""));
	assert_false(passwd_verify_plain(NULL, "m", "x"));
	assert_false(passwd_verify_plain("", "m", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_md5_equals_postgres),
		cmocka_unit_test(test_md5_response),
		cmocka_unit_test(test_verify_md5),
		cmocka_unit_test(test_verify_plain),
		cmocka_unit_test(test_nobody_has_no_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
