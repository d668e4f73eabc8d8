/*
 * The queue of owed replies against the message flows of PostgreSQL: simple,
 * extended, pipelined, failing, COPY, and servers that answer what nobody
 * asked.
 */
#include "core/track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "track_letters.h"

static void test_simple(void **state)
{
	struct track *track = track_new();

	(void)state;
	assert_true(track_is_idle(track));
	push(track, "Q");
	assert_false(track_is_idle(track));
	assert_int_equal(track_units(track), 1);
	pass(track, "TDDC");
	pass(track, "I");
	assert_int_equal(track_owed(track), 1);
	finish(track, "Z");
	assert_true(track_is_idle(track));
	assert_int_equal(track_units(track), 0);
	track_free(track, NULL, NULL);
}

static void test_simple_error(void **state)
{
	struct track *track = track_new();
	struct track_entry entry;

	(void)state;
	push(track, "QQ");
	pass(track, "TD");
	fail_with_error(track, TRACK_QUERY);
	/* The next Query is not skipped. */
	assert_false(track_take_skipped(track, &entry));
	assert_int_equal(track_units(track), 2);
	finish(track, "Z");
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_function(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "F");
	pass(track, "V");
	finish(track, "Z");
	push(track, "F");
	fail_with_error(track, TRACK_FUNCTION);
	assert_broken(track, "TDC");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_extended(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "PtBDE");
	assert_true(track_is_batch_open(track));
	assert_int_equal(track_units(track), 0);
	finish(track, "1");
	pass(track, "t");
	finish(track, "T2n");
	pass(track, "DDD");
	finish(track, "s");
	/* All is answered, but the Sync is still to come. */
	assert_int_equal(track_owed(track), 0);
	assert_false(track_is_idle(track));
	push(track, "ES");
	assert_false(track_is_batch_open(track));
	pass(track, "D");
	finish(track, "CZ");
	assert_true(track_is_idle(track));
	push(track, "CS");
	finish(track, "3Z");
	push(track, "BES");
	finish(track, "2IZ");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* Many batches under way at once: each Sync gets its own answer. */
static void test_pipeline(void **state)
{
	enum { BATCHES = 100 };
	struct track *track = track_new();

	(void)state;
	for (int i = 0; i < BATCHES; i++)
		push(track, "PBES");
	assert_int_equal(track_units(track), BATCHES);
	assert_int_equal(track_owed(track), 4 * BATCHES);
	for (int i = 0; i < BATCHES; i++) {
		finish(track, "12");
		pass(track, "D");
		finish(track, "CZ");
		push(track, "Q");
	}
	assert_int_equal(track_units(track), BATCHES);
	for (int i = 0; i < BATCHES; i++) {
		pass(track, "C");
		finish(track, "Z");
	}
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_error_skips(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "PBDESPBES");
	finish(track, "1");
	fail_with_error(track, TRACK_BIND);
	assert_int_equal(track_owed(track), 7);
	skip_all(track, "DE");
	finish(track, "Z");
	/* The next batch is none the wiser. */
	finish(track, "12CZ");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* What is sent after the error and before the Sync is skipped too. */
static void test_error_skips_late(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "P");
	fail_with_error(track, TRACK_PARSE);
	assert_int_equal(track_owed(track), 0);
	assert_false(track_is_idle(track));
	assert_true(track_is_batch_open(track));
	push(track, "BE");
	skip_all(track, "BE");
	/* Even a Query: only Sync ends it. */
	push(track, "QF");
	assert_int_equal(track_units(track), 2);
	skip_all(track, "QF");
	assert_int_equal(track_units(track), 0);
	assert_true(track_is_batch_open(track));
	push(track, "S");
	assert_false(track_is_batch_open(track));
	push(track, "Q");
	assert_false(track_is_batch_open(track));
	skip_all(track, "");
	finish(track, "Z");
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* A Query ends a batch, unless the batch turns out to have failed. */
static void test_query_in_batch(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "PQ");
	assert_false(track_is_batch_open(track));
	finish(track, "1");
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	push(track, "PQ");
	fail_with_error(track, TRACK_PARSE);
	assert_true(track_is_batch_open(track));
	skip_all(track, "Q");
	assert_false(track_is_idle(track));
	push(track, "S");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* A deferred constraint fails at the commit that Sync makes. */
static void test_error_of_sync(void **state)
{
	struct track *track = track_new();
	struct track_entry entry;

	(void)state;
	push(track, "PBESBS");
	finish(track, "12C");
	fail_with_error(track, TRACK_SYNC);
	assert_false(track_take_skipped(track, &entry));
	finish(track, "Z2Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* Two COPYs in one Query, their data sent as the server asks for it. */
/* As libpq does it: Sync behind Execute, and another behind the data. */
/* Not a COPY after all: CopyDone is no request and gets no answer. */
/*
 * Was it the data that was bad, before the Sync was read, or what came behind
 * it?  Nobody can tell, and nobody else shall have the answers.
 */
/* No doubt: the Sync stands in front of the data, or the COPY succeeded. */
/* What COPY would never read was not read in it. */
/* Of a text with ours behind it the client sees its own, and errors. */
static void test_tailed(void **state)
{
	struct track *track = track_new();
	struct track_result result;

	(void)state;
	track_push(track, TRACK_QUERY, TRACK_TAILED, NULL);
	push(track, "Q");
	pass(track, "C");
	assert_int_equal(track_reply(track, 'C').verdict, TRACK_SWALLOW);
	assert_int_equal(track_reply(track, 'T').verdict, TRACK_SWALLOW);
	assert_int_equal(track_reply(track, 'D').verdict, TRACK_SWALLOW);
	assert_int_equal(track_reply(track, 'C').verdict, TRACK_SWALLOW);
	finish(track, "Z");
	pass(track, "TDCC");
	finish(track, "Z");
	/* In front of its tag, and behind it. */
	for (int i = 0; i < 2; i++) {
		track_push(track, TRACK_QUERY, TRACK_TAILED, NULL);
		if (i > 0)
			pass(track, "C");
		result = track_reply(track, 'E');
		assert_int_equal(result.verdict, TRACK_FORWARD);
		assert_true(result.is_failed);
		finish(track, "Z");
	}
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* Ten thousand Syncs in front of a COPY cost one pass, not a pass each. */
static void test_asked(void **state)
{
	struct track *track = track_new();
	struct track_result result;

	(void)state;
	assert_false(track_is_asked(track));
	push(track, "Q");
	track_push(track, TRACK_QUERY, TRACK_OURS | TRACK_ASKED, NULL);
	push(track, "Q");
	assert_false(track_is_asked(track));
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_asked(track));
	assert_int_equal(track_reply(track, 'T').verdict, TRACK_SWALLOW);
	result = track_reply(track, 'D');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true((result.entry.flags & TRACK_ASKED) != 0);
	/* It may fail, and nothing else does. */
	result = track_reply(track, 'E');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true(result.is_failed);
	assert_true(track_reply(track, 'Z').is_done);
	assert_false(track_is_asked(track));
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_ours(void **state)
{
	struct track *track = track_new();
	struct track_result result;

	(void)state;
	track_push(track, TRACK_QUERY, TRACK_OURS, NULL);
	push(track, "Q");
	result = track_reply(track, 'C');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_false(result.is_done);
	result = track_reply(track, 'Z');
	assert_int_equal(result.verdict, TRACK_SWALLOW);
	assert_true(result.is_done);
	assert_int_equal(result.entry.flags, TRACK_OURS);
	pass(track, "C");
	finish(track, "Z");

	track_push(track, TRACK_PARSE, TRACK_OURS, NULL);
	push(track, "BES");
	/* It fails the client's batch: the error is the client's answer. */
	result = track_reply(track, 'E');
	assert_int_equal(result.verdict, TRACK_FORWARD);
	assert_true(result.is_failed);
	skip_all(track, "BE");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* Replies made here come in the order of what was asked. */
static void test_local(void **state)
{
	struct track *track = track_new();
	struct track_entry entry;
	char reply = 0;
	int note = 0;

	(void)state;
	assert_false(track_take_local(track, &entry, &reply));
	push(track, "B");
	track_push(track, TRACK_PARSE, TRACK_LOCAL, &note);
	track_push(track, TRACK_CLOSE, TRACK_LOCAL, NULL);
	push(track, "ES");
	assert_false(track_take_local(track, &entry, &reply));
	finish(track, "2");
	/* What the server says now answers neither of the two. */
	assert_broken(track, "13CE");
	assert_true(track_take_local(track, &entry, &reply));
	assert_int_equal(reply, '1');
	assert_ptr_equal(entry.note, &note);
	assert_true(track_take_local(track, &entry, &reply));
	assert_int_equal(reply, '3');
	assert_false(track_take_local(track, &entry, &reply));
	finish(track, "CZ");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

/* After an error local entries are skipped like all others. */
static void test_local_skipped(void **state)
{
	struct track *track = track_new();
	struct track_entry entry;
	char reply = 0;

	(void)state;
	push(track, "B");
	track_push(track, TRACK_PARSE, TRACK_LOCAL, NULL);
	push(track, "S");
	fail_with_error(track, TRACK_BIND);
	assert_false(track_take_local(track, &entry, &reply));
	skip_all(track, "P");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_broken(void **state)
{
	static const char all[] = "123CDEGHIKNRSTVWZcdnst";
	static const struct {
		const char *sent;
		const char *may; /* all others must be refused */
	} cases[] = {
		{ "Q", "TDCIGHdcEn" }, { "F", "VE" },
		{ "S", "EZ" },         { "P", "1E" },
		{ "B", "2E" },         { "t", "tTnE" },
		{ "D", "TnE" },        { "C", "3E" },
		{ "E", "TDGHdcCIsE" }, { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (const char *type = all; *type; type++) {
			struct track *track = track_new();
			struct track_result result;

			push(track, cases[i].sent);
			result = track_reply(track, (uint8_t)*type);
			if (strchr(cases[i].may, *type))
				assert_int_not_equal(result.verdict,
						     TRACK_BROKEN);
			else
				assert_int_equal(result.verdict, TRACK_BROKEN);
			track_free(track, NULL, NULL);
		}
}

static void test_nul_and_high_types(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "Q");
	for (unsigned type = 128; type < 256; type++)
		assert_int_equal(track_reply(track, (uint8_t)type).verdict,
				 TRACK_BROKEN);
	assert_int_equal(track_reply(track, 0).verdict, TRACK_BROKEN);
	/* Nor does a query end without a word. */
	assert_broken(track, "Z");
	pass(track, "I");
	finish(track, "Z");
	assert_broken(track, "Z");
	track_free(track, NULL, NULL);
}

static void count_note(void *arg, const struct track_entry *entry)
{
	unsigned *sum = arg;

	*sum += *(const unsigned *)entry->note;
}

static void test_notes(void **state)
{
	struct track *track = track_new();
	unsigned notes[] = { 1, 10, 100 };
	unsigned sum = 0;
	struct track_result result;

	(void)state;
	track_push(track, TRACK_PARSE, 0, &notes[0]);
	track_push(track, TRACK_BIND, 0, &notes[1]);
	track_push(track, TRACK_EXECUTE, 0, &notes[2]);
	result = track_reply(track, '1');
	assert_ptr_equal(result.entry.note, &notes[0]);
	track_free(track, count_note, &sum);
	assert_int_equal(sum, 110);
	track_free(NULL, count_note, &sum);
}

/* The ring goes round while it grows: order and notes stay. */
static void test_ring(void **state)
{
	enum { NOTES = 1000 };
	static int notes[NOTES];
	struct track *track = track_new();
	int in = 0;
	int out = 0;

	(void)state;
	while (out < NOTES) {
		for (int i = 0; i < 3 && in < NOTES; i++)
			track_push(track, TRACK_QUERY, 0, &notes[in++]);
		for (int i = 0; i < 2 && out < in; i++) {
			pass(track, "C");
			assert_ptr_equal(track_reply(track, 'Z').entry.note,
					 &notes[out++]);
		}
		assert_int_equal(track_units(track), in - out);
	}
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(track_is_async('N'));
	assert_true(track_is_async('S'));
	assert_true(track_is_async('A'));
	assert_false(track_is_async('Z'));
	assert_false(track_is_async('E'));
	for (int op = TRACK_QUERY; op <= TRACK_STRUCK; op++)
		assert_non_null(track_op_name((enum track_op)op));
	assert_string_equal(track_op_name(TRACK_SYNC), "Sync");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_simple_error),
		cmocka_unit_test(test_function),
		cmocka_unit_test(test_extended),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_error_skips),
		cmocka_unit_test(test_error_skips_late),
		cmocka_unit_test(test_query_in_batch),
		cmocka_unit_test(test_error_of_sync),
		cmocka_unit_test(test_tailed),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_local_skipped),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_nul_and_high_types),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
