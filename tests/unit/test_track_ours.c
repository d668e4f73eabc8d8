/*
 * The queue of owed replies where some of it is ours: what nobody shall hear,
 * and what stands between the client's messages.
 */
#include "core/track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* A batch of ours in front of the client's may fail, and nobody hears it. */
static void test_quiet(void **state)
{
	struct track *track = track_new();
	struct track_entry entry;
	struct track_result result;

	(void)state;
	track_push(track, TRACK_CLOSE, TRACK_OURS | TRACK_QUIET, NULL);
	track_push(track, TRACK_PARSE, TRACK_OURS | TRACK_QUIET, NULL);
	track_push(track, TRACK_BIND, TRACK_OURS | TRACK_QUIET, NULL);
	track_push(track, TRACK_SYNC, TRACK_OURS, NULL);
	track_push(track, TRACK_QUERY, 0, NULL);
	assert_int_equal(track_reply(track, '3').verdict, TRACK_SWALLOW);
	result = track_reply(track, 'E');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true(result.is_failed);
	assert_int_equal(result.entry.op, TRACK_PARSE);
	assert_int_equal(result.entry.flags, TRACK_OURS | TRACK_QUIET);
	assert_true(track_is_skipping(track));
	assert_true(track_take_skipped(track, &entry));
	assert_int_equal(entry.op, TRACK_BIND);
	assert_false(track_take_skipped(track, &entry));
	result = track_reply(track, 'Z');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true(result.is_done);
	/* The client's own unit is what it is. */
	assert_int_equal(track_reply(track, 'C').verdict, TRACK_FORWARD);
	assert_int_equal(track_reply(track, 'Z').verdict, TRACK_FORWARD);
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* Ours behind the client's Parse: told apart reply by reply. */
static void test_described(void **state)
{
	struct track *track = track_new();
	struct track_result result;

	(void)state;
	track_push(track, TRACK_PARSE, 0, NULL);
	track_push(track, TRACK_DESCRIBE_STATEMENT, TRACK_OURS, NULL);
	track_push(track, TRACK_DESCRIBE_STATEMENT, 0, NULL);
	track_push(track, TRACK_SYNC, 0, NULL);
	assert_int_equal(track_reply(track, '1').verdict, TRACK_FORWARD);
	result = track_reply(track, 't');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_false(result.is_done);
	assert_int_equal(result.entry.op, TRACK_DESCRIBE_STATEMENT);
	result = track_reply(track, 'T');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true(result.is_done);
	assert_int_equal(track_reply(track, 't').verdict, TRACK_FORWARD);
	assert_int_equal(track_reply(track, 'n').verdict, TRACK_FORWARD);
	assert_int_equal(track_reply(track, 'Z').verdict, TRACK_FORWARD);
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_described),
	};

	return cmocka_run_group_tests_name("track_ours", tests, NULL, NULL);
}
