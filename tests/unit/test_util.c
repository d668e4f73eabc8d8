/*
 * Memory, clock, random bytes, hash, copies, numbers, edit distance.
 */
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_memory(void **state)
{
	unsigned char *zeros = xcalloc(100, 3);
	char *text = xstrdup("abc");
	char *cut = xstrndup("a\0bc", 4);
	char *none = xstrndup(NULL, 0);
	char *made = xasprintf("%s-%d", "x", 12);
	void *nothing = xmalloc(0);
	void *no_items = xcalloc(0, 0);

	(void)state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(zeros[i], 0);
	assert_string_equal(text, "abc");
	assert_memory_equal(cut, "a\0bc", 5);
	assert_string_equal(none, "");
	assert_string_equal(made, "x-12");
	assert_non_null(nothing);
	assert_non_null(no_items);
	text = xrealloc(text, 1000);
	assert_string_equal(text, "abc");
	text = xrealloc(text, 0);
	assert_non_null(text);
	free(zeros);
	free(text);
	free(cut);
	free(none);
	free(made);
	free(nothing);
	free(no_items);
}

static void test_clocks(void **state)
{
	uint64_t begin_us = util_now_us();

	(void)state;
	while (util_now_us() == begin_us)
		continue;
	assert_true(util_now_us() > begin_us);
	/* After 2020, before 2100. */
	assert_true(util_wall_us() > 1577836800ULL * 1000000);
	assert_true(util_wall_us() < 4102444800ULL * 1000000);
}

static void test_timeval(void **state)
{
	struct timeval span = util_timeval(0);

	(void)state;
	assert_int_equal(span.tv_sec, 0);
	assert_int_equal(span.tv_usec, 0);
	span = util_timeval(999999);
	assert_int_equal(span.tv_sec, 0);
	assert_int_equal(span.tv_usec, 999999);
	span = util_timeval(86400000001);
	assert_int_equal(span.tv_sec, 86400);
	assert_int_equal(span.tv_usec, 1);
}

static void test_random(void **state)
{
	uint8_t one[5000] = { 0 };
	uint8_t other[5000] = { 0 };

	(void)state;
	util_random(one, 0);
	assert_int_equal(one[0], 0);
	util_random(one, sizeof(one));
	util_random(other, sizeof(other));
	assert_memory_not_equal(one, other, sizeof(one));
	assert_memory_not_equal(one, one + 2500, 2500);
}

static void test_secrets(void **state)
{
	char secret[] = "password";

	(void)state;
	assert_true(util_equal_secret("abc", "abc", 3));
	assert_false(util_equal_secret("abc", "abd", 3));
	assert_false(util_equal_secret("xbc", "abc", 3));
	assert_true(util_equal_secret("abc", "abd", 2));
	assert_true(util_equal_secret("a", "b", 0));
	util_wipe(secret, 0);
	assert_string_equal(secret, "password");
	util_wipe(secret, 4);
	assert_memory_equal(secret, "\0\0\0\0word", 9);
	util_free_secret(NULL);
	util_free_secret(xstrdup("password"));
}

static void test_hash(void **state)
{
	char copy[] = "select 1";

	(void)state;
	assert_true(util_hash("select 1", 8) == util_hash(copy, 8));
	assert_true(util_hash("select 1", 8) != util_hash("select 2", 8));
	assert_true(util_hash("select 1", 8) != util_hash("select 1", 7));
	assert_true(util_hash(NULL, 0) == util_hash("x", 0));
}

static void test_copy(void **state)
{
	char room[6] = "zzzzz";

	(void)state;
	assert_true(util_copy(room, sizeof(room), "12345"));
	assert_string_equal(room, "12345");
	assert_false(util_copy(room, sizeof(room), "abcdef"));
	assert_string_equal(room, "abcde");
	assert_true(util_copy(room, 1, ""));
	assert_string_equal(room, "");
	assert_false(util_copy(room, 1, "x"));
	assert_string_equal(room, "");
	room[0] = 'k';
	assert_false(util_copy(room, 0, "x"));
	assert_int_equal(room[0], 'k');
}

static void test_parse_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		uint64_t value;
		bool is_good;
	} rows[] = {
		{ "0", 0, 0, true },
		{ "65535", 65535, 65535, true },
		{ "65536", 65535, 0, false },
		{ "007", 9, 7, true },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, true },
		{ "18446744073709551616", UINT64_MAX, 0, false },
		{ "99999999999999999999999", UINT64_MAX, 0, false },
		{ "", 9, 0, false },
		{ "+1", 9, 0, false },
		{ "-1", 9, 0, false },
		{ " 1", 9, 0, false },
		{ "1 ", 9, 0, false },
		{ "1x", 9, 0, false },
		{ "0x1", 9, 0, false },
		{ "\xb9", 9, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t value = 0;
		bool is_good =
			util_parse_u64(rows[i].text, rows[i].max, &value);

		if (is_good != rows[i].is_good)
			fail_msg("\"%s\" was judged %d", rows[i].text, is_good);
		if (is_good)
			assert_true(value == rows[i].value);
	}
}

static void test_distance(void **state)
{
	char longer[100];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(util_distance("pool_mode", "pool_mode", 5), 0);
	assert_int_equal(util_distance("Pool_Mode", "pOOL_mODE", 5), 0);
	assert_int_equal(util_distance("pool_mode", "pool_mod", 5), 1);
	assert_int_equal(util_distance("pol_mode", "pool_mode", 5), 1);
	assert_int_equal(util_distance("pool_made", "pool_mode", 5), 1);
	assert_int_equal(util_distance("kitten", "sitting", 9), 3);
	assert_int_equal(util_distance("", "abc", 9), 3);
	assert_int_equal(util_distance("abc", "", 9), 3);
	assert_int_equal(util_distance("", "", 9), 0);
	assert_int_equal(util_distance("abcdef", "uvwxyz", 4), 4);
	assert_int_equal(util_distance(longer, "a", 7), 7);
	assert_int_equal(util_distance("a", longer, 7), 7);
}

static void test_write_number(void **state)
{
	static const struct {
		uint64_t value;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 9, "9" },
		{ 10, "10" },
		{ 65535, "65535" },
		{ UINT64_MAX, "18446744073709551615" },
	};
	char out[UTIL_DIGITS];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t len = util_write_u64(out, rows[i].value);

		assert_int_equal(len, strlen(rows[i].text));
		assert_memory_equal(out, rows[i].text, len);
	}
}

/* Small amounts come from a stock: none may come twice. */
static void test_random_is_never_the_same(void **state)
{
	uint64_t drawn[200];
	unsigned char many[1000] = { 0 };
	unsigned zeros = 0;

	(void)state;
	util_random(many, 0);
	util_random(many, sizeof(many));
	for (size_t i = 0; i < sizeof(many); i++)
		zeros += many[i] == 0;
	assert_true(zeros < 50);
	for (size_t i = 0; i < 200; i++) {
		util_random(&drawn[i], sizeof(drawn[i]));
		for (size_t j = 0; j < i; j++)
			assert_true(drawn[i] != drawn[j]);
	}
}

static void test_thread_time_runs(void **state)
{
	uint64_t before_us = util_thread_us();
	volatile unsigned work = 0;

	(void)state;
	while (util_thread_us() < before_us + 1000)
		work = work + 1;
	assert_true(work > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_timeval),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_write_number),
		cmocka_unit_test(test_random_is_never_the_same),
		cmocka_unit_test(test_thread_time_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
