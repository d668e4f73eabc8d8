/*
 * ticket: moments become floors, floors hold replicas back, epochs.
 */
#include "core/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct watermark at(uint32_t timeline, uint64_t lsn)
{
	return (struct watermark){ 7, timeline, lsn };
}

static void nothing_seen_allows_all(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	assert_false(ticket_is_open(&ticket));
	assert_true(ticket_allows(&ticket, at(1, 0)));
	/* Positions without a moment raise nothing. */
	ticket_redeem(&ticket, 100, at(1, 500));
	assert_true(ticket_allows(&ticket, at(1, 1)));
}

static void only_later_questions_count(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	ticket_note(&ticket, 100);
	assert_true(ticket_is_open(&ticket));
	assert_false(ticket_allows(&ticket, at(1, 1000)));
	ticket_redeem(&ticket, 99, at(1, 400));
	ticket_redeem(&ticket, 100, at(1, 400));
	assert_true(ticket_is_open(&ticket));
	ticket_redeem(&ticket, 101, at(1, 500));
	assert_false(ticket_is_open(&ticket));
	assert_false(ticket_allows(&ticket, at(1, 499)));
	assert_true(ticket_allows(&ticket, at(1, 500)));
	assert_true(ticket_allows(&ticket, at(1, 501)));
}

static void newest_moment_counts(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	ticket_note(&ticket, 100);
	ticket_note(&ticket, 300);
	ticket_note(&ticket, 200);
	ticket_redeem(&ticket, 250, at(1, 500));
	assert_true(ticket_is_open(&ticket));
	ticket_redeem(&ticket, 301, at(1, 600));
	assert_false(ticket_allows(&ticket, at(1, 599)));
	assert_true(ticket_allows(&ticket, at(1, 600)));
	/* Told late of what the floor includes already. */
	ticket_note(&ticket, 290);
	assert_false(ticket_is_open(&ticket));
	ticket_note(&ticket, 301);
	assert_true(ticket_is_open(&ticket));
}

static void floor_never_falls(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	ticket_note(&ticket, 100);
	ticket_redeem(&ticket, 101, at(1, 600));
	ticket_note(&ticket, 200);
	ticket_redeem(&ticket, 201, at(1, 500));
	assert_false(ticket_allows(&ticket, at(1, 599)));
	assert_true(ticket_allows(&ticket, at(1, 600)));
}

static void epochs_are_not_compared(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	ticket_note(&ticket, 100);
	ticket_redeem(&ticket, 101, at(1, 600));
	assert_false(ticket_allows(&ticket, at(2, 9000)));
	/* A promotion: the floor is what the new primary has. */
	ticket_redeem(&ticket, 50, at(2, 700));
	assert_false(ticket_allows(&ticket, at(1, 9000)));
	assert_false(ticket_allows(&ticket, at(2, 699)));
	assert_true(ticket_allows(&ticket, at(2, 700)));
	/* An open moment stays open over it. */
	ticket_note(&ticket, 200);
	ticket_redeem(&ticket, 150, at(3, 10));
	assert_true(ticket_is_open(&ticket));
	ticket_redeem(&ticket, 201, at(3, 20));
	assert_false(ticket_allows(&ticket, at(3, 19)));
	assert_true(ticket_allows(&ticket, at(3, 20)));
	/* Nor does the old primary, should it come back. */
	ticket_note(&ticket, 250);
	ticket_redeem(&ticket, 260, at(2, 9000));
	assert_true(ticket_is_open(&ticket));
	ticket_redeem(&ticket, 261, at(3, 20));
	assert_true(ticket_allows(&ticket, at(3, 20)));
	/* An unknown position says nothing. */
	ticket_note(&ticket, 300);
	ticket_redeem(&ticket, 301, (struct watermark){ 0 });
	assert_true(ticket_is_open(&ticket));
}

static void follows_to_the_first_position(void **state)
{
	struct ticket ticket = { 0 };

	(void)state;
	/* Nothing seen: nothing to carry over. */
	ticket_follow(&ticket, at(2, 900));
	assert_true(ticket_allows(&ticket, at(1, 1)));
	ticket_note(&ticket, 100);
	ticket_redeem(&ticket, 101, at(1, 500));
	ticket_follow(&ticket, (struct watermark){ 0 });
	assert_true(ticket_allows(&ticket, at(1, 500)));
	/* The same epoch: the floor is better known already. */
	ticket_follow(&ticket, at(1, 700));
	assert_true(ticket_allows(&ticket, at(1, 500)));
	ticket_follow(&ticket, at(2, 600));
	/* Beyond it by number, but on the old timeline. */
	assert_false(ticket_allows(&ticket, at(1, 5000)));
	assert_false(ticket_allows(&ticket, at(2, 599)));
	assert_true(ticket_allows(&ticket, at(2, 600)));
	/* The old primary is back: it says nothing. */
	ticket_follow(&ticket, at(1, 50));
	assert_true(ticket_allows(&ticket, at(2, 600)));
	assert_false(ticket_allows(&ticket, at(1, 600)));
	/* What is written after that is asked for as ever. */
	ticket_redeem(&ticket, 300, at(2, 5000));
	assert_true(ticket_allows(&ticket, at(2, 600)));
	ticket_note(&ticket, 400);
	ticket_redeem(&ticket, 401, at(2, 6000));
	assert_false(ticket_allows(&ticket, at(2, 5999)));
}

/* A floor from elsewhere: never lower than what is there. */
static void what_is_demanded(void **state)
{
	struct ticket ticket = { 0 };
	struct watermark low = { .system = 7, .timeline = 2, .lsn = 100 };
	struct watermark high = { .system = 7, .timeline = 2, .lsn = 200 };
	struct watermark older = { .system = 7, .timeline = 1, .lsn = 900 };
	struct watermark newer = { .system = 7, .timeline = 3, .lsn = 50 };

	(void)state;
	ticket_demand(&ticket, high);
	assert_false(ticket_allows(&ticket, low));
	assert_true(ticket_allows(&ticket, high));
	ticket_demand(&ticket, low);
	assert_false(ticket_allows(&ticket, low));
	ticket_demand(&ticket, older);
	assert_true(ticket_allows(&ticket, high));
	ticket_demand(&ticket, newer);
	assert_false(ticket_allows(&ticket, high));
	assert_true(ticket_allows(&ticket, newer));
	/* The primary of a newer timeline: what it has is enough. */
	ticket = (struct ticket){ 0 };
	ticket_demand(&ticket, older);
	ticket_redeem(&ticket, 1, low);
	assert_true(ticket_allows(&ticket, low));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_demanded),
		cmocka_unit_test(nothing_seen_allows_all),
		cmocka_unit_test(only_later_questions_count),
		cmocka_unit_test(newest_moment_counts),
		cmocka_unit_test(floor_never_falls),
		cmocka_unit_test(epochs_are_not_compared),
		cmocka_unit_test(follows_to_the_first_position),
	};

	return cmocka_run_group_tests_name("ticket", tests, NULL, NULL);
}
