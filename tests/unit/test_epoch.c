/*
 * epoch: numbers that move on with the schema, and that never come again.
 */
#include "core/epoch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void one_database_has_one_epoch(void **state)
{
	struct epoch *one = epoch_open("shop");
	struct epoch *again = epoch_open("shop");
	struct epoch *other = epoch_open("bank");

	(void)state;
	assert_ptr_equal(one, again);
	assert_ptr_not_equal(one, other);
	assert_int_not_equal(epoch_now(one), 0);
	assert_int_not_equal(epoch_now(one), epoch_now(other));
	epoch_release(one);
	epoch_release(again);
	epoch_release(other);
}

static void ddl_moves_its_database_on(void **state)
{
	struct epoch *shop = epoch_open("shop");
	struct epoch *bank = epoch_open("bank");
	uint64_t shop_before = epoch_now(shop);
	uint64_t bank_before = epoch_now(bank);

	(void)state;
	epoch_advance(shop);
	assert_int_not_equal(epoch_now(shop), shop_before);
	assert_int_equal(epoch_now(bank), bank_before);
	epoch_advance_of("bank");
	assert_int_not_equal(epoch_now(bank), bank_before);
	epoch_advance_of("nobody has this open");
	epoch_release(shop);
	epoch_release(bank);
}

/* What was learned in an epoch that nobody held is not true again. */
static void an_epoch_opened_anew_is_another(void **state)
{
	struct epoch *epoch = epoch_open("shop");
	uint64_t before = epoch_now(epoch);

	(void)state;
	epoch_release(epoch);
	epoch = epoch_open("shop");
	assert_int_not_equal(epoch_now(epoch), before);
	epoch_release(epoch);
}

/* The latest time stays, even when nobody holds the epoch. */
static void what_was_redefined_is_remembered(void **state)
{
	struct epoch *epoch = epoch_open("redefined");

	(void)state;
	assert_int_equal(epoch_redefined_us(epoch), 0);
	assert_false(epoch_outdates(epoch, 0));
	epoch_redefine(epoch, 20);
	epoch_redefine(epoch, 10);
	assert_int_equal(epoch_redefined_us(epoch), 20);
	assert_int_equal(epoch_hidden_us(epoch), 0);
	epoch_note_hidden(epoch, 40);
	epoch_note_hidden(epoch, 30);
	assert_int_equal(epoch_hidden_us(epoch), 40);
	assert_int_equal(epoch_redefined_us(epoch), 20);
	epoch_release(epoch);
	epoch = epoch_open("redefined");
	assert_int_equal(epoch_redefined_us(epoch), 20);
	epoch_release(epoch);
	/* A catalog of that time may lack it. */
	assert_true(epoch_outdates(epoch, 0));
	assert_true(epoch_outdates_of("redefined", 20));
	assert_false(epoch_outdates(epoch, 21));
	assert_false(epoch_outdates_of("redefined", 21));
	assert_false(epoch_outdates_of("nobody has this open", 0));
	/* The one that remembers. */
	epoch_release(epoch);
}

static void holding_keeps_it(void **state)
{
	struct epoch *epoch = epoch_open("shop");
	uint64_t before = epoch_now(epoch);

	(void)state;
	assert_ptr_equal(epoch_hold(epoch), epoch);
	epoch_release(epoch);
	assert_int_equal(epoch_now(epoch), before);
	epoch_release(epoch);
}

/* What was seen once is remembered, though nobody is there any more. */
static void test_sequence_readers(void **state)
{
	struct epoch *epoch = epoch_open("readers");
	struct epoch *other = epoch_open("others");

	(void)state;
	assert_false(epoch_has_sequence_readers(epoch));
	epoch_note_sequence_reader(epoch);
	epoch_note_sequence_reader(epoch);
	assert_true(epoch_has_sequence_readers(epoch));
	assert_false(epoch_has_sequence_readers(other));
	epoch_release(other);
	epoch_release(epoch);
	epoch = epoch_open("readers");
	assert_true(epoch_has_sequence_readers(epoch));
	epoch_release(epoch);
}

static void test_tied_blocks(void **state)
{
	struct epoch *epoch = epoch_open("tied");
	struct epoch *other = epoch_open("loose");

	(void)state;
	assert_false(epoch_has_tied_blocks(epoch));
	epoch_note_tied_block(epoch);
	epoch_note_tied_block(epoch);
	assert_true(epoch_has_tied_blocks(epoch));
	assert_false(epoch_has_tied_blocks(other));
	assert_false(epoch_has_sequence_readers(epoch));
	epoch_release(other);
	epoch_release(epoch);
	epoch = epoch_open("tied");
	assert_true(epoch_has_tied_blocks(epoch));
	epoch_release(epoch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_database_has_one_epoch),
		cmocka_unit_test(ddl_moves_its_database_on),
		cmocka_unit_test(an_epoch_opened_anew_is_another),
		cmocka_unit_test(what_was_redefined_is_remembered),
		cmocka_unit_test(holding_keeps_it),
		cmocka_unit_test(test_sequence_readers),
		cmocka_unit_test(test_tied_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
