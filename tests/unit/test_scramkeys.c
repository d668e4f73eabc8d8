/*
 * Keys of SCRAM-SHA-256 against the vectors of RFC 7677 and secrets that
 * PostgreSQL 15 has made.
 */
#include "core/scramkeys.h"

#include "base/util.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CREATE ROLE ... PASSWORD 'pencil' at PostgreSQL 15 */
static const char pg_secret[] = "SCRAM-SHA-256$4096:+D0q9jEryE++QKE3Jz8B9w=="
				"$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhu4="
				":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=";

/* The same of 'p\303\245ss w\303\266rd', which SASLprep leaves as it is. */
static const char pg_secret_utf8[] =
	"SCRAM-SHA-256$4096:pBFbMdTrj72emne21fqC9A=="
	"$UxpU3AMGK7XHl1R5r45XEnsHYEKrH0Jk8rLXBSCe18o="
	":k/U6aQVtWPGKqdIs2gBcMkG3DtFJB6RuCFsNwy1lwcU=";

static void test_parse_postgres_secret(void **state)
{
	struct scramkeys_salt salt;
	struct scramkeys keys;
	static const uint8_t zeros[SCRAM_KEY_LEN];

	(void)state;
	assert_true(scramkeys_parse(pg_secret, &salt, &keys));
	assert_int_equal(salt.iterations, 4096);
	assert_int_equal(salt.len, 16);
	assert_int_equal(salt.bytes[0], 0xf8);
	assert_int_equal(keys.stored_key[0], 0x8b);
	assert_int_equal(keys.server_key[0], 0x17);
	assert_memory_equal(keys.client_key, zeros, sizeof(zeros));
}

static void check_same_as(const char *secret, const char *password)
{
	struct scramkeys_salt salt;
	struct scramkeys stored;
	struct scramkeys derived;
	char made[SCRAM_SECRET_ROOM];

	assert_true(scramkeys_parse(secret, &salt, &stored));
	assert_true(scramkeys_derive(password, &salt, &derived));
	assert_true(scramkeys_format(&salt, &derived, made));
	assert_string_equal(made, secret);
}

static void test_derive_equals_postgres(void **state)
{
	(void)state;
	check_same_as(pg_secret, "pencil");
	check_same_as(pg_secret_utf8, "p\303\245ss w\303\266rd");
	/* and a second time, out of the table */
	check_same_as(pg_secret, "pencil");
}

static void test_derive_tells_apart(void **state)
{
	struct scramkeys_salt salt = { .iterations = 2, .len = 1 };
	struct scramkeys one;
	struct scramkeys two;

	(void)state;
	assert_true(scramkeys_derive("x", &salt, &one));
	assert_true(scramkeys_derive("y", &salt, &two));
	assert_memory_not_equal(&one, &two, sizeof(one));
	salt.iterations = 3;
	assert_true(scramkeys_derive("x", &salt, &two));
	assert_memory_not_equal(&one, &two, sizeof(one));
	salt.iterations = 2;
	salt.len = 2;
	salt.bytes[1] = 0;
	assert_true(scramkeys_derive("x", &salt, &two));
	/* HMAC pads with zeros, but the salt has the block's number behind */
	assert_memory_not_equal(&one, &two, sizeof(one));
}

static void test_derive_limits(void **state)
{
	struct scramkeys_salt salt = { .iterations = 1, .len = 16 };
	struct scramkeys keys;
	char *endless = xmalloc(70000);

	(void)state;
	memset(endless, 'x', 69999);
	endless[69999] = '\0';
	assert_true(scramkeys_derive("x", &salt, &keys));
	assert_true(scramkeys_derive("", &salt, &keys));
	assert_false(scramkeys_derive(endless, &salt, &keys));
	salt.iterations = 0;
	assert_false(scramkeys_derive("x", &salt, &keys));
	salt.iterations = SCRAM_ITERATIONS_MAX + 1;
	assert_false(scramkeys_derive("x", &salt, &keys));
	salt.iterations = 1;
	salt.len = 0;
	assert_false(scramkeys_derive("x", &salt, &keys));
	salt.len = SCRAM_SALT_MAX + 1;
	assert_false(scramkeys_derive("x", &salt, &keys));
	salt.len = SCRAM_SALT_MAX;
	assert_true(scramkeys_derive("x", &salt, &keys));
	assert_false(scramkeys_format(&salt, &keys, endless));
	free(endless);
}

/* A right answer never comes out of the table under a wrong name. */
static void test_table_overflows(void **state)
{
	struct scramkeys_salt salt = { .iterations = 1, .len = 16 };
	struct scramkeys first;
	struct scramkeys again;
	char password[16];

	(void)state;
	assert_true(scramkeys_derive("0", &salt, &first));
	for (unsigned i = 1; i < 5000; i++) {
		(void)snprintf(password, sizeof(password), "%u", i);
		assert_true(scramkeys_derive(password, &salt, &again));
		assert_memory_not_equal(&first, &again, sizeof(first));
	}
	assert_true(scramkeys_derive("0", &salt, &again));
	assert_memory_equal(&first, &again, sizeof(first));
}

/* A derivation of 200,000 rounds takes far longer than finding it. */
static void test_table_spares_time(void **state)
{
	struct scramkeys_salt salt = { .iterations = 200000, .len = 16 };
	struct scramkeys keys;
	struct scramkeys again;
	uint64_t start = util_now_us();
	uint64_t first;

	(void)state;
	assert_true(scramkeys_derive("slow", &salt, &keys));
	first = util_now_us() - start;
	start = util_now_us();
	for (unsigned i = 0; i < 10; i++)
		assert_true(scramkeys_derive("slow", &salt, &again));
	assert_true(util_now_us() - start < first);
	assert_memory_equal(&keys, &again, sizeof(keys));
}

static void test_verify(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_false(scramkeys_verify(pg_secret_utf8, "pencil"));
		assert_true(scramkeys_verify(pg_secret, "pencil"));
		assert_false(scramkeys_verify(pg_secret, "Pencil"));
		assert_false(scramkeys_verify(pg_secret, ""));
		assert_false(scramkeys_verify(pg_secret, pg_secret));
	}
	assert_false(scramkeys_verify("pencil", "pencil"));
	/* wrong keys under a salt whose right keys are in the table */
	assert_false(scramkeys_verify(
		"SCRAM-SHA-256$4096:+D0q9jEryE++QKE3Jz8B9w=="
		"$UxpU3AMGK7XHl1R5r45XEnsHYEKrH0Jk8rLXBSCe18o="
		":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=",
		"pencil"));
}

static void test_parse_refuses(void **state)
{
	static const char stored[] =
		"$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhu4=";
	static const char server[] =
		":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=";
	static const char *const fronts[] = {
		"SCRAM-SHA-256$0:AAAA",
		"SCRAM-SHA-256$:AAAA",
		"SCRAM-SHA-256$-1:AAAA",
		"SCRAM-SHA-256$4096x:AAAA",
		"SCRAM-SHA-256$10000001:AAAA",
		"SCRAM-SHA-256$4294967297:AAAA",
		"SCRAM-SHA-256$18446744073709551617:AAAA",
		"SCRAM-SHA-256$4096:",
		"SCRAM-SHA-256$4096:AAA",
		"SCRAM-SHA-256$4096:AA-A",
		"SCRAM-SHA-256$4096:A===",
		"SCRAM-SHA-256$4096:AA=A",
		"SCRAM-SHA-256$4096: AAAA",
		"SCRAM-SHA-256$4096",
		"SCRAM-SHA-1$4096:AAAA",
		"scram-sha-256$4096:AAAA",
		"",
	};
	struct scramkeys_salt salt;
	struct scramkeys keys;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		text = xasprintf("%s%s%s", fronts[i], stored, server);
		assert_false(scramkeys_parse(text, &salt, &keys));
		free(text);
	}
	text = xasprintf("SCRAM-SHA-256$1:AAAA%s%s", stored, server);
	assert_true(scramkeys_parse(text, &salt, &keys));
	/* cut anywhere, it is no secret any more */
	for (size_t len = strlen(text); len-- > 0;) {
		text[len] = '\0';
		assert_false(scramkeys_parse(text, &salt, &keys));
	}
	free(text);
}

static void test_parse_refuses_sizes(void **state)
{
	struct scramkeys_salt salt;
	struct scramkeys keys;
	char *text = xmalloc(100000);

	(void)state;
	memset(text, 'A', 99999);
	text[99999] = '\0';
	memcpy(text, "SCRAM-SHA-256$1:", 16);
	assert_false(scramkeys_parse(text, &salt, &keys));
	text[5000] = '$';
	text[5100] = ':';
	assert_false(scramkeys_parse(text, &salt, &keys));
	free(text);
	/* keys of 31 and of 33 bytes */
	assert_false(
		scramkeys_parse("SCRAM-SHA-256$1:AAAA"
				"$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhg=="
				":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=",
				&salt, &keys));
	assert_false(
		scramkeys_parse("SCRAM-SHA-256$1:AAAA"
				"$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhu4="
				":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glkA",
				&salt, &keys));
}

static void test_salt_of(void **state)
{
	struct scramkeys_salt one = { 0 };
	struct scramkeys_salt two = { 0 };

	(void)state;
	assert_true(scramkeys_salt_of("nobody", 4096, &one));
	assert_int_equal(one.len, SCRAM_SALT_LEN);
	assert_int_equal(one.iterations, 4096);
	assert_true(scramkeys_salt_of("nobody", 4096, &two));
	assert_memory_equal(&one, &two, sizeof(one));
	assert_true(scramkeys_salt_of("nobodx", 4096, &two));
	assert_memory_not_equal(one.bytes, two.bytes, SCRAM_SALT_LEN);
}

static void test_base64(void **state)
{
	uint8_t data[300];
	uint8_t back[300];
	char text[SCRAM_BASE64_ROOM];
	size_t len = 0;
	size_t text_len;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 1; i < sizeof(data); i++) {
		text_len = scramkeys_encode(data, i, text, sizeof(text));
		assert_int_equal(text_len, (i + 2) / 3 * 4);
		assert_true(scramkeys_decode(text, text_len, back, i, &len));
		assert_int_equal(len, i);
		assert_memory_equal(back, data, i);
		assert_false(
			scramkeys_decode(text, text_len, back, i - 1, &len));
	}
	assert_int_equal(scramkeys_encode(data, 3, text, 4), 0);
	assert_int_equal(scramkeys_encode(data, 3, text, 5), 4);
	assert_int_equal(scramkeys_encode(data, SIZE_MAX / 2, text, 5), 0);
	assert_false(scramkeys_decode("", 0, back, sizeof(back), &len));
	assert_false(scramkeys_decode("====", 4, back, sizeof(back), &len));
	assert_false(scramkeys_decode("AAA\n", 4, back, sizeof(back), &len));
	assert_false(scramkeys_decode("AA\0A", 4, back, sizeof(back), &len));
}

static void *derive_many(void *argument)
{
	struct scramkeys_salt salt = { .iterations = 1, .len = 16 };
	struct scramkeys keys;
	struct scramkeys *first = argument;
	char password[16];

	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(password, sizeof(password), "t%u", i % 500);
		if (!scramkeys_derive(password, &salt, &keys))
			return argument;
		if (i % 500 == 0 && memcmp(&keys, first, sizeof(keys)) != 0)
			return argument;
	}
	return NULL;
}

static void test_threads_share_table(void **state)
{
	struct scramkeys_salt salt = { .iterations = 1, .len = 16 };
	struct scramkeys first;
	pthread_t threads[3];
	void *fault = NULL;

	(void)state;
	assert_true(scramkeys_derive("t0", &salt, &first));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, derive_many, &first),
			0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &fault), 0);
		assert_null(fault);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_postgres_secret),
		cmocka_unit_test(test_derive_equals_postgres),
		cmocka_unit_test(test_derive_tells_apart),
		cmocka_unit_test(test_derive_limits),
		cmocka_unit_test(test_table_overflows),
		cmocka_unit_test(test_table_spares_time),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_refuses_sizes),
		cmocka_unit_test(test_salt_of),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_threads_share_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
