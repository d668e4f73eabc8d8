/*
 * Positions in the WAL: what may be compared, and what servers may send.
 */
#include "core/watermark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct watermark at_100 = { 7, 2, 100 };

static void test_epochs(void **state)
{
	struct watermark other_system = { 8, 2, 100 };
	struct watermark other_timeline = { 7, 3, 100 };
	struct watermark unknown = { 0, 2, 100 };
	struct watermark no_timeline = { 7, 0, 100 };

	(void)state;
	assert_true(watermark_same_epoch(at_100, at_100));
	assert_false(watermark_same_epoch(at_100, other_system));
	assert_false(watermark_same_epoch(at_100, other_timeline));
	assert_false(watermark_same_epoch(unknown, unknown));
	assert_false(watermark_same_epoch(no_timeline, no_timeline));
}

static void test_reached(void **state)
{
	struct watermark earlier = { 7, 2, 99 };
	struct watermark new_timeline = { 7, 3, 1000 };

	(void)state;
	assert_true(watermark_reached(at_100, at_100));
	assert_true(watermark_reached(at_100, earlier));
	assert_false(watermark_reached(earlier, at_100));
	/* Past the number, but on another history. */
	assert_false(watermark_reached(new_timeline, at_100));
}

static void test_distance(void **state)
{
	struct watermark ahead = { 7, 2, 164 };
	struct watermark elsewhere = { 7, 3, 164 };

	(void)state;
	assert_int_equal(watermark_distance(at_100, ahead), 64);
	assert_int_equal(watermark_distance(ahead, at_100), 0);
	assert_int_equal(watermark_distance(at_100, at_100), 0);
	assert_int_equal(watermark_distance(at_100, elsewhere), 0);
}

static void test_lsn_accepted(void **state)
{
	uint64_t lsn = 1;

	(void)state;
	assert_true(watermark_parse_lsn("16/B374D848", &lsn));
	assert_true(lsn == UINT64_C(0x16B374D848));
	assert_true(watermark_parse_lsn("0/0", &lsn));
	assert_true(lsn == 0);
	assert_true(watermark_parse_lsn("FFFFFFFF/ffffffff", &lsn));
	assert_true(lsn == UINT64_MAX);
}

static void test_lsn_refused(void **state)
{
	static const char *const bad[] = {
		"",         "/",          "16",          "16/",
		"/B3",      "16/B3 ",     " 16/B3",      "16/G0",
		"16//B3",   "16/B3/4",    "123456789/0", "0/123456789",
		"-1/0",     "0x1/0",      "16\\B3",      "NULL",
		"16/B3\n1", "1 6/B374D8",
	};
	uint64_t lsn = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(watermark_parse_lsn(bad[i], &lsn));
	assert_true(lsn == 42);
}

static void test_file_names(void **state)
{
	(void)state;
	assert_int_equal(watermark_file_timeline("00000002000000160000003B"),
			 2);
	assert_int_equal(watermark_file_timeline("0000000A000000000000000f"),
			 10);
	assert_true(watermark_file_timeline("FFFFFFFF0000000000000000") ==
		    UINT32_MAX);
	assert_int_equal(watermark_file_timeline(""), 0);
	assert_int_equal(watermark_file_timeline("00000002"), 0);
	assert_int_equal(watermark_file_timeline("00000002000000160000003"), 0);
	assert_int_equal(watermark_file_timeline("00000002000000160000003B0"),
			 0);
	assert_int_equal(watermark_file_timeline("00000002.history"), 0);
	assert_int_equal(watermark_file_timeline("0000000200000016000000ZZ"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_reached),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_lsn_accepted),
		cmocka_unit_test(test_lsn_refused),
		cmocka_unit_test(test_file_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
