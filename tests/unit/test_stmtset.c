/*
 * stmtset: membership, order of use, eviction at the limit, and a long random
 * walk beside a plain model.
 */
#include "core/stmtmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STATEMENTS = 200, STEPS = 100000 };

static struct stmt *all[STATEMENTS];

static int make_statements(void **state)
{
	char text[32];

	(void)state;
	for (unsigned i = 0; i < STATEMENTS; i++) {
		(void)snprintf(text, sizeof(text), "select %u", i);
		all[i] = stmt_intern(text, strlen(text) + 1);
	}
	return 0;
}

static int drop_statements(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STATEMENTS; i++)
		stmt_release(all[i]);
	/* The sets of the tests have dropped all of theirs. */
	assert_int_equal(stmt_count(), 0);
	return 0;
}

static void members_are_known(void **state)
{
	struct stmtset *set = stmtset_new(10);

	(void)state;
	assert_false(stmtset_use(set, all[0]));
	assert_false(stmtset_has(set, all[0]));
	stmtset_remove(set, all[0]);
	stmtset_add(set, all[0]);
	stmtset_add(set, all[1]);
	stmtset_add(set, all[0]);
	assert_int_equal(stmtset_count(set), 2);
	assert_true(stmtset_has(set, all[0]));
	assert_true(stmtset_use(set, all[0]));
	assert_true(stmtset_use(set, all[1]));
	assert_false(stmtset_use(set, all[2]));
	stmtset_remove(set, all[2]);
	stmtset_remove(set, all[0]);
	assert_false(stmtset_use(set, all[0]));
	assert_int_equal(stmtset_count(set), 1);
	stmtset_clear(set);
	assert_int_equal(stmtset_count(set), 0);
	assert_false(stmtset_use(set, all[1]));
	stmtset_add(set, all[1]);
	assert_true(stmtset_use(set, all[1]));
	stmtset_free(set);
	stmtset_free(NULL);
}

/* The next victim is this one; its reference is dropped. */
static void expect_evicted(struct stmtset *set, const struct stmt *expected)
{
	struct stmt *victim = stmtset_evict(set);

	assert_ptr_equal(victim, expected);
	assert_false(stmtset_use(set, victim));
	stmt_release(victim);
}

static void oldest_use_goes_first(void **state)
{
	struct stmtset *set = stmtset_new(3);

	(void)state;
	assert_null(stmtset_evict(set));
	stmtset_add(set, all[0]);
	stmtset_add(set, all[1]);
	assert_null(stmtset_evict(set));
	stmtset_add(set, all[2]);
	assert_true(stmtset_use(set, all[0]));
	expect_evicted(set, all[1]);
	assert_null(stmtset_evict(set));
	stmtset_add(set, all[3]);
	stmtset_add(set, all[2]); /* counts as a use */
	expect_evicted(set, all[0]);
	stmtset_add(set, all[4]);
	expect_evicted(set, all[3]);
	stmtset_free(set);
}

static void limit_of_none_keeps_none(void **state)
{
	struct stmtset *set = stmtset_new(0);

	(void)state;
	assert_null(stmtset_evict(set));
	stmtset_add(set, all[0]);
	expect_evicted(set, all[0]);
	assert_null(stmtset_evict(set));
	stmtset_free(set);
}

static void set_keeps_its_statements_alive(void **state)
{
	struct stmtset *set = stmtset_new(4);
	struct stmt *stmt = stmt_intern("select alone", 13);
	size_t before = stmt_count();
	struct stmt *victim;

	(void)state;
	stmtset_add(set, stmt);
	stmt_release(stmt);
	assert_int_equal(stmt_count(), before);
	for (size_t i = 0; i < 3; i++)
		stmtset_add(set, all[i]);
	victim = stmtset_evict(set);
	assert_ptr_equal(victim, stmt);
	assert_int_equal(stmt_count(), before);
	stmt_release(victim);
	assert_int_equal(stmt_count(), before - 1);
	stmtset_free(set);
}

/* Members in order of use, most recent first: what the set must agree with. */
struct model {
	size_t count;
	unsigned members[STATEMENTS];
};

static bool model_take(struct model *model, unsigned which)
{
	for (size_t i = 0; i < model->count; i++) {
		if (model->members[i] != which)
			continue;
		model->count--;
		memmove(&model->members[i], &model->members[i + 1],
			(model->count - i) * sizeof(model->members[0]));
		return true;
	}
	return false;
}

static void model_add(struct model *model, unsigned which)
{
	(void)model_take(model, which);
	memmove(&model->members[1], &model->members[0],
		model->count * sizeof(model->members[0]));
	model->members[0] = which;
	model->count++;
}

static void step_evict(struct stmtset *set, struct model *model, size_t limit)
{
	if (model->count < limit) {
		assert_null(stmtset_evict(set));
		return;
	}
	expect_evicted(set, all[model->members[model->count - 1]]);
	model->count--;
}

static void random_walk(void **state)
{
	enum { LIMIT = 120 };
	struct stmtset *set = stmtset_new(LIMIT);
	struct model model = { 0 };
	uint32_t random = 12345;

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		random = random * 1664525U + 1013904223U;
		unsigned which = (random >> 8) % STATEMENTS;
		bool is_member;

		switch (random >> 29) {
		case 0:
			(void)model_take(&model, which);
			stmtset_remove(set, all[which]);
			break;
		case 1:
			is_member = model_take(&model, which);
			assert_int_equal(stmtset_use(set, all[which]),
					 is_member);
			if (is_member)
				model_add(&model, which);
			break;
		default:
			step_evict(set, &model, LIMIT);
			model_add(&model, which);
			stmtset_add(set, all[which]);
		}
		assert_int_equal(stmtset_count(set), model.count);
	}
	assert_true(model.count > LIMIT / 2);
	stmtset_free(set);
}

static void columns_go_with_their_member(void **state)
{
	struct stmtset *set = stmtset_new(10);

	(void)state;
	stmtset_set_columns(set, all[0], 17);
	assert_int_equal(stmtset_columns(set, all[0]), 0);
	stmtset_add(set, all[0]);
	assert_int_equal(stmtset_columns(set, all[0]), 0);
	stmtset_set_columns(set, all[0], 17);
	stmtset_add(set, all[1]);
	assert_int_equal(stmtset_columns(set, all[0]), 17);
	assert_int_equal(stmtset_columns(set, all[1]), 0);
	/* Prepared anew, it may have others. */
	stmtset_remove(set, all[0]);
	stmtset_add(set, all[0]);
	assert_int_equal(stmtset_columns(set, all[0]), 0);
	stmtset_set_columns(set, all[0], 18);
	stmtset_remove(set, all[0]);
	assert_int_equal(stmtset_columns(set, all[0]), 0);
	stmtset_free(set);
}

static void times_go_with_their_member(void **state)
{
	struct stmtset *set = stmtset_new(2);

	(void)state;
	stmtset_set_sent(set, all[0], 17);
	assert_int_equal(stmtset_sent_us(set, all[0]), 0);
	stmtset_add(set, all[0]);
	assert_int_equal(stmtset_sent_us(set, all[0]), 0);
	assert_false(stmtset_is_full(set));
	stmtset_set_sent(set, all[0], 17);
	stmtset_add(set, all[1]);
	assert_true(stmtset_is_full(set));
	assert_int_equal(stmtset_sent_us(set, all[0]), 17);
	assert_int_equal(stmtset_sent_us(set, all[1]), 0);
	stmtset_remove(set, all[0]);
	assert_false(stmtset_is_full(set));
	assert_int_equal(stmtset_sent_us(set, all[0]), 0);
	stmtset_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_known),
		cmocka_unit_test(oldest_use_goes_first),
		cmocka_unit_test(limit_of_none_keeps_none),
		cmocka_unit_test(set_keeps_its_statements_alive),
		cmocka_unit_test(columns_go_with_their_member),
		cmocka_unit_test(times_go_with_their_member),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests_name("stmtset", tests, make_statements,
					   drop_statements);
}
