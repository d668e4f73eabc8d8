/*
 * Where messages end in bytes that are cut anywhere.
 */
#include "core/frame.h"

#include "base/buf.h"
#include "core/pgbuild.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Three messages: of 9 bytes, of 5 (no body), of 105. */
static struct buf some_messages(void)
{
	struct buf out = BUF_INIT;
	char body[100] = { 0 };

	pgbuild_message(&out, 'd', "four", 4);
	pgbuild_empty(&out, 'c');
	pgbuild_message(&out, 'd', body, sizeof(body));
	return out;
}

static bool is_end(size_t at)
{
	return at == 0 || at == 9 || at == 14 || at == 119;
}

static void test_cut_anywhere(void **state)
{
	struct buf all = some_messages();
	const uint8_t *data = buf_head(&all);

	(void)state;
	assert_int_equal(buf_len(&all), 119);
	for (size_t cut = 0; cut <= buf_len(&all); cut++) {
		struct frame frame = { 0 };

		frame_pass(&frame, data, cut);
		assert_int_equal(frame_is_between(&frame), is_end(cut));
		frame_pass(&frame, data + cut, buf_len(&all) - cut);
		assert_true(frame_is_between(&frame));
	}
	buf_free(&all);
}

static void test_byte_by_byte(void **state)
{
	struct buf all = some_messages();
	struct frame frame = { 0 };

	(void)state;
	for (size_t i = 0; i < buf_len(&all); i++) {
		assert_int_equal(frame_is_between(&frame), is_end(i));
		frame_pass(&frame, buf_head(&all) + i, 1);
	}
	assert_true(frame_is_between(&frame));
	buf_free(&all);
}

/* The rest of the message under way, and nothing of the next. */
static void test_rest(void **state)
{
	struct buf all = some_messages();
	const uint8_t *data = buf_head(&all);

	(void)state;
	for (size_t cut = 0; cut < buf_len(&all); cut++) {
		struct frame frame = { 0 };
		size_t end = cut;
		size_t left = buf_len(&all) - cut;

		while (!is_end(end))
			end++;
		frame_pass(&frame, data, cut);
		assert_int_equal(frame_rest(&frame, data + cut, left),
				 end - cut);
		/* It only asks. */
		assert_int_equal(frame_is_between(&frame), is_end(cut));
		if (!is_end(cut))
			assert_int_equal(frame_rest(&frame, data + cut, 1), 1);
		assert_int_equal(frame_rest(&frame, data + cut, 0), 0);
	}
	buf_free(&all);
}

static void test_nonsense_is_lost_for_good(void **state)
{
	static const uint8_t bad[] = { 'd', 0, 0, 0, 3, 0 };
	static const uint8_t huge[] = { 'd', 0xff, 0xff, 0xff, 0xff };
	struct frame frame = { 0 };
	struct buf all = some_messages();

	(void)state;
	frame_pass(&frame, bad, sizeof(bad));
	assert_false(frame_is_between(&frame));
	frame_pass(&frame, buf_head(&all), buf_len(&all));
	assert_false(frame_is_between(&frame));
	assert_int_equal(frame_rest(&frame, buf_head(&all), 50), 50);
	frame = (struct frame){ 0 };
	frame_pass(&frame, huge, sizeof(huge));
	assert_true(frame.is_lost);
	buf_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_nonsense_is_lost_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
