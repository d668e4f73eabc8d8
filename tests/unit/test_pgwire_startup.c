/*
 * pgwire: the packet that opens a connection, whole, cut and hostile.  Bytes
 * are read from heap blocks of their exact size, so that a read beyond the end
 * is seen by the address sanitizer.
 */
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A text given as a literal, its closing NUL not counted. */
#define BODY(text) (text), sizeof(text) - 1

static uint8_t *block;

static int drop_block(void **state)
{
	(void)state;
	free(block);
	block = NULL;
	return 0;
}

static struct pgwire_startup startup;

/* The code and what follows, under a length word that is right. */
static enum pgwire_result open_with(const char *rest, size_t len)
{
	size_t total = len + 4;

	free(block);
	block = malloc(total);
	assert_non_null(block);
	block[0] = (uint8_t)(total >> 24);
	block[1] = (uint8_t)(total >> 16);
	block[2] = (uint8_t)(total >> 8);
	block[3] = (uint8_t)total;
	memcpy(block + 4, rest, len);
	memset(&startup, 0xee, sizeof(startup));
	return pgwire_read_startup(block, total, &startup);
}

static void login_has_parameters(void **state)
{
	const char *name;
	const char *value;
	size_t at = 0;

	(void)state;
	assert_int_equal(open_with(BODY("\0\3\0\2user\0me\0database\0\0"
					"user\0you\0\0")),
			 PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_LOGIN);
	assert_int_equal(startup.major, 3);
	assert_int_equal(startup.minor, 2);
	assert_int_equal(startup.total, 8 + 8 + 10 + 9 + 1);
	assert_true(pgwire_next_parameter(&startup, &at, &name, &value));
	assert_string_equal(name, "user");
	assert_string_equal(value, "me");
	assert_true(pgwire_next_parameter(&startup, &at, &name, &value));
	assert_string_equal(name, "database");
	assert_string_equal(value, "");
	assert_true(pgwire_next_parameter(&startup, &at, &name, &value));
	assert_string_equal(value, "you");
	assert_false(pgwire_next_parameter(&startup, &at, &name, &value));
	assert_false(pgwire_next_parameter(&startup, &at, &name, &value));
	assert_string_equal(pgwire_parameter(&startup, "user"), "you");
	assert_string_equal(pgwire_parameter(&startup, "database"), "");
	assert_null(pgwire_parameter(&startup, "options"));
	assert_null(pgwire_parameter(&startup, ""));
}

static void login_may_have_none(void **state)
{
	(void)state;
	assert_int_equal(open_with(BODY("\0\3\0\0\0")), PGWIRE_OK);
	assert_int_equal(startup.parameters_len, 1);
	assert_null(pgwire_parameter(&startup, "user"));
}

static void bad_parameters_are_refused(void **state)
{
	(void)state;
	assert_int_equal(open_with(BODY("\0\3\0\0")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user\0")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user\0me")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user\0me\0")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user\0me\0\0x")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0user\0me\0\0\0")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\0\3\0\0\0\0")), PGWIRE_BAD);
	/* What has been refused is not handed out. */
	assert_int_equal(startup.major, 0xeeee);
}

static void other_versions_reach_the_caller(void **state)
{
	(void)state;
	assert_int_equal(open_with(BODY("\0\2\0\0anything")), PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_LOGIN);
	assert_int_equal(startup.major, 2);
	assert_null(pgwire_parameter(&startup, "user"));
	assert_int_equal(open_with(BODY("\0\4\0\1")), PGWIRE_OK);
	assert_int_equal(startup.major, 4);
	assert_int_equal(startup.minor, 1);
	assert_int_equal(open_with(BODY("\4\xd2\x16\x33")), PGWIRE_OK);
	assert_int_equal(startup.major, 1234);
}

static void requests_are_known(void **state)
{
	(void)state;
	assert_int_equal(open_with(BODY("\4\xd2\x16\x2f")), PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_SSL);
	assert_int_equal(startup.total, 8);
	assert_int_equal(open_with(BODY("\4\xd2\x16\x30")), PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_GSSENC);
	assert_int_equal(open_with(BODY("\4\xd2\x16\x2fx")), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\4\xd2\x16\x30\0")), PGWIRE_BAD);
}

static void request_ends_before_what_follows(void **state)
{
	const char sent[] = "\0\0\0\10\4\xd2\x16\x2fQ\0\0\0";

	(void)state;
	assert_int_equal(pgwire_read_startup((const uint8_t *)sent,
					     sizeof(sent) - 1, &startup),
			 PGWIRE_OK);
	assert_int_equal(startup.total, 8);
}

static enum pgwire_result cancel_with_key(size_t key_len)
{
	char rest[8 + 300] = "\4\xd2\x16\x2e\0\0\1\2";

	memset(rest + 8, 'k', key_len);
	return open_with(rest, 8 + key_len);
}

static void cancel_has_a_key(void **state)
{
	(void)state;
	assert_int_equal(cancel_with_key(4), PGWIRE_OK);
	assert_int_equal(startup.kind, STARTUP_CANCEL);
	assert_int_equal(startup.cancel_pid, 0x102);
	assert_int_equal(startup.cancel_key_len, 4);
	assert_memory_equal(startup.cancel_key, "kkkk", 4);
	assert_int_equal(cancel_with_key(256), PGWIRE_OK);
	assert_int_equal(startup.cancel_key_len, 256);
	assert_int_equal(cancel_with_key(3), PGWIRE_BAD);
	assert_int_equal(cancel_with_key(0), PGWIRE_BAD);
	assert_int_equal(cancel_with_key(257), PGWIRE_BAD);
	assert_int_equal(open_with(BODY("\4\xd2\x16\x2e")), PGWIRE_BAD);
}

static void strangers_are_refused_at_once(void **state)
{
	const char *strangers[] = { "GET / HTTP/1.1\r\n", "\x16\3\1\2",
				    "SSH-2.0-x", "\xff\xff\xff\xff", "\1" };

	(void)state;
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		const uint8_t *data = (const uint8_t *)strangers[i];

		assert_int_equal(pgwire_read_startup(data, 1, &startup),
				 PGWIRE_BAD);
		assert_int_equal(pgwire_read_startup(data, strlen(strangers[i]),
						     &startup),
				 PGWIRE_BAD);
	}
}

static enum pgwire_result startup_of(uint32_t word, size_t here)
{
	enum pgwire_result result;
	uint8_t *data = calloc(1, here ? here : 1);
	const uint8_t head[4] = { (uint8_t)(word >> 24), (uint8_t)(word >> 16),
				  (uint8_t)(word >> 8), (uint8_t)word };

	assert_non_null(data);
	memcpy(data, head, here < 4 ? here : 4);
	result = pgwire_read_startup(data, here, &startup);
	free(data);
	return result;
}

static void startup_lengths_are_judged(void **state)
{
	(void)state;
	for (size_t here = 0; here < 4; here++)
		assert_int_equal(startup_of(8, here), PGWIRE_MORE);
	assert_int_equal(startup_of(0, 4), PGWIRE_BAD);
	assert_int_equal(startup_of(3, 4), PGWIRE_BAD);
	assert_int_equal(startup_of(7, 8), PGWIRE_BAD);
	assert_int_equal(startup_of(8, 7), PGWIRE_MORE);
	assert_int_equal(startup_of(10000, 9999), PGWIRE_MORE);
	assert_int_equal(startup_of(10001, 4), PGWIRE_BAD);
	assert_int_equal(startup_of(0x10000, 2), PGWIRE_BAD);
	assert_int_equal(startup_of(0x7fffffff, 4), PGWIRE_BAD);
	assert_int_equal(startup_of(0xffffffff, 4), PGWIRE_BAD);
	/* Whole, of version 0.0: the caller's to refuse. */
	assert_int_equal(startup_of(10000, 10000), PGWIRE_OK);
	assert_int_equal(startup.major, 0);
}

static void parameter_of(size_t len, enum pgwire_result expected)
{
	char rest[10000] = "\0\3\0\0user";
	const char *value;

	memset(rest + 9, 'u', len);
	memset(rest + 9 + len, 0, 2);
	assert_int_equal(open_with(rest, 9 + len + 2), expected);
	if (expected != PGWIRE_OK)
		return;
	value = pgwire_parameter(&startup, "user");
	assert_non_null(value);
	assert_int_equal(strlen(value), len);
}

static void long_values_are_fine(void **state)
{
	(void)state;
	parameter_of(63, PGWIRE_OK);
	parameter_of(64, PGWIRE_OK);
	parameter_of(65, PGWIRE_OK);
	parameter_of(10000 - 15, PGWIRE_OK);
	parameter_of(10000 - 14, PGWIRE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_has_parameters),
		cmocka_unit_test(login_may_have_none),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(other_versions_reach_the_caller),
		cmocka_unit_test(requests_are_known),
		cmocka_unit_test(request_ends_before_what_follows),
		cmocka_unit_test(cancel_has_a_key),
		cmocka_unit_test(strangers_are_refused_at_once),
		cmocka_unit_test(startup_lengths_are_judged),
		cmocka_unit_test(long_values_are_fine),
	};

	return cmocka_run_group_tests_name("pgwire_startup", tests, NULL,
					   drop_block);
}
