/*
 * The queue of owed replies while a server reads COPY data: Syncs that it
 * reads over, data that fails, and what was sent behind it.
 */
#include "core/track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "track_letters.h"

static void test_copy_simple(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "Q");
	pass(track, "G");
	assert_true(track_is_copy_in(track));
	/* The server reads over a Sync that comes among the data. */
	push(track, "S");
	assert_int_equal(track_units(track), 1);
	push(track, "c");
	assert_false(track_is_copy_in(track));
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	/* Data sent ahead, without waiting for the answer. */
	push(track, "QScQ");
	pass(track, "G");
	assert_false(track_is_copy_in(track));
	assert_int_equal(track_units(track), 2);
	pass(track, "C");
	finish(track, "Z");
	skip_all(track, "x");
	pass(track, "TDC");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	/* COPY OUT needs no mark. */
	push(track, "Q");
	pass(track, "HddcC");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_twice(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "Q");
	pass(track, "G");
	push(track, "c");
	pass(track, "CG");
	assert_true(track_is_copy_in(track));
	push(track, "c");
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	push(track, "Qcc");
	pass(track, "GCGC");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_batch(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "PBDES");
	finish(track, "12n");
	pass(track, "G");
	assert_true(track_is_copy_in(track));
	assert_true(track_is_batch_open(track));
	assert_int_equal(track_units(track), 0);
	push(track, "cS");
	assert_false(track_is_batch_open(track));
	finish(track, "C");
	skip_all(track, "x");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_batch_ahead(void **state)
{
	struct track *track = track_new();

	(void)state;
	/* All of it before the server answers. */
	push(track, "PBEScS");
	assert_int_equal(track_units(track), 2);
	finish(track, "12");
	pass(track, "G");
	assert_int_equal(track_units(track), 1);
	assert_false(track_is_copy_in(track));
	assert_false(track_is_batch_open(track));
	finish(track, "C");
	skip_all(track, "x");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	/* The data, but not yet the Sync that counts. */
	push(track, "PBESc");
	finish(track, "12");
	pass(track, "G");
	assert_true(track_is_batch_open(track));
	finish(track, "C");
	skip_all(track, "x");
	assert_false(track_is_idle(track));
	push(track, "S");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	/* Two COPYs in one batch. */
	push(track, "EcEcS");
	pass(track, "G");
	finish(track, "C");
	pass(track, "G");
	finish(track, "CZ");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_end_alone(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "c");
	assert_true(track_is_idle(track));
	push(track, "Qc");
	pass(track, "C");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	push(track, "EccES");
	finish(track, "CCZ");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_error(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "Q");
	pass(track, "G");
	fail_with_error(track, TRACK_QUERY);
	assert_false(track_is_copy_in(track));
	/* The client has not seen it yet. */
	push(track, "c");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	push(track, "c");
	assert_true(track_is_idle(track));

	push(track, "PBES");
	finish(track, "12");
	pass(track, "G");
	fail_with_error(track, TRACK_EXECUTE);
	assert_false(track_is_copy_in(track));
	assert_true(track_is_batch_open(track));
	skip_all(track, "x");
	push(track, "cS");
	skip_all(track, "");
	finish(track, "Z");
	assert_true(track_is_idle(track));

	/* Skipped with its data, which was sent ahead. */
	push(track, "PEcES");
	fail_with_error(track, TRACK_PARSE);
	skip_all(track, "EE");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_doubt(void **state)
{
	static const struct {
		const char *ahead; /* of the server's 'G' */
		const char *behind;
	} cases[] = {
		{ "QdSc", "" },
		{ "Q", "dS" },
		{ "ESdS", "" },
		{ "E", "dSQ" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct track *track = track_new();

		push(track, cases[i].ahead);
		pass(track, "G");
		push(track, cases[i].behind);
		assert_broken(track, "E");
		track_free(track, NULL, NULL);
	}
}

static void test_copy_certain(void **state)
{
	struct track *track = track_new();

	(void)state;
	push(track, "QdddSdc");
	assert_int_equal(track_owed(track), 5);
	pass(track, "GC");
	fail_with_error(track, TRACK_QUERY);
	finish(track, "Z");
	skip_all(track, "x");
	assert_true(track_is_idle(track));
	push(track, "ESddcQ");
	pass(track, "G");
	fail_with_error(track, TRACK_EXECUTE);
	skip_all(track, "xQ");
	push(track, "dcS");
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_ended_by_its_data(void **state)
{
	static const struct {
		const char *ahead; /* of the server's 'G' */
		const char *behind;
	} batches[] = { { "EdEcS", "" },
			{ "E", "dEcS" },
			{ "Ed", "EcS" },
			{ "ESdE", "dS" } };
	struct track *track = track_new();

	(void)state;
	for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
		push(track, batches[i].ahead);
		pass(track, "G");
		push(track, batches[i].behind);
		assert_false(track_is_copy_in(track));
		fail_with_error(track, TRACK_EXECUTE);
		skip_all(track,
			 *batches[i].ahead == 'E' && batches[i].ahead[1] == 'S'
				 ? "xE"
				 : "E");
		finish(track, "Z");
		assert_true(track_is_idle(track));
	}
	push(track, "QdQ");
	pass(track, "G");
	push(track, "PS");
	fail_with_error(track, TRACK_QUERY);
	finish(track, "Z");
	pass(track, "C");
	finish(track, "Z1Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

static void test_copy_many_syncs(void **state)
{
	enum { SYNCS = 200000 };
	struct track *track = track_new();
	struct track_entry entry;

	(void)state;
	push(track, "E");
	for (int i = 0; i < SYNCS; i++)
		push(track, "S");
	pass(track, "G");
	assert_int_equal(track_units(track), 0);
	push(track, "cS");
	finish(track, "C");
	for (int i = 0; i < SYNCS; i++)
		assert_true(track_take_skipped(track, &entry));
	finish(track, "Z");
	assert_true(track_is_idle(track));
	track_free(track, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_simple),
		cmocka_unit_test(test_copy_twice),
		cmocka_unit_test(test_copy_batch),
		cmocka_unit_test(test_copy_batch_ahead),
		cmocka_unit_test(test_copy_end_alone),
		cmocka_unit_test(test_copy_error),
		cmocka_unit_test(test_copy_doubt),
		cmocka_unit_test(test_copy_certain),
		cmocka_unit_test(test_copy_ended_by_its_data),
		cmocka_unit_test(test_copy_many_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
