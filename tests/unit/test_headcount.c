/*
 * Clients per database and user: limits are exact, alone and with threads,
 * and who was refused is not counted.
 */
#include "proxy/headcount.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct headcount_limits unlimited = { 0, 0 };

/* A client of these names logs in, by a place of its own. */
static enum headcount_answer enter(struct headcount *count,
				   const char *database, const char *user,
				   const struct headcount_limits *limits)
{
	struct headcount_place *place = headcount_open(count, database, user);
	enum headcount_answer answer = headcount_enter(count, place, limits);

	headcount_close(count, place);
	return answer;
}

static void test_limit_of_a_database(void **state)
{
	struct headcount *count = headcount_new();
	struct headcount_limits limits = { .database = 2 };

	(void)state;
	assert_int_equal(enter(count, "app", "anna", &limits),
			 HEADCOUNT_GRANTED);
	assert_int_equal(enter(count, "app", "bob", &limits),
			 HEADCOUNT_GRANTED);
	assert_int_equal(enter(count, "app", "carl", &limits),
			 HEADCOUNT_DATABASE_FULL);
	/* Another one has room, and so has this one without a limit. */
	assert_int_equal(enter(count, "two", "carl", &limits),
			 HEADCOUNT_GRANTED);
	assert_int_equal(enter(count, "app", "carl", &unlimited),
			 HEADCOUNT_GRANTED);
	headcount_leave_named(count, "app", "anna");
	assert_int_equal(enter(count, "app", "anna", &limits),
			 HEADCOUNT_DATABASE_FULL);
	headcount_leave_named(count, "app", "bob");
	assert_int_equal(enter(count, "app", "anna", &limits),
			 HEADCOUNT_GRANTED);
	headcount_leave_named(count, "app", "anna");
	headcount_leave_named(count, "app", "carl");
	headcount_leave_named(count, "two", "carl");
	headcount_free(count);
}

static void test_limit_of_a_user(void **state)
{
	struct headcount *count = headcount_new();
	struct headcount_limits limits = { .database = 9, .user = 1 };

	(void)state;
	assert_int_equal(enter(count, "app", "anna", &limits),
			 HEADCOUNT_GRANTED);
	/* In all databases together; a name is no user's and database's. */
	assert_int_equal(enter(count, "two", "anna", &limits),
			 HEADCOUNT_USER_FULL);
	assert_int_equal(enter(count, "anna", "app", &limits),
			 HEADCOUNT_GRANTED);
	/* Who was refused has taken no place of the database. */
	limits.database = 1;
	assert_int_equal(enter(count, "two", "bob", &limits),
			 HEADCOUNT_GRANTED);
	headcount_leave_named(count, "app", "anna");
	headcount_leave_named(count, "anna", "app");
	headcount_leave_named(count, "two", "bob");
	headcount_free(count);
}

/* By one place, as by several of the same names. */
static void test_places(void **state)
{
	struct headcount *count = headcount_new();
	struct headcount_place *one = headcount_open(count, "app", "anna");
	struct headcount_place *two = headcount_open(count, "app", "bob");
	struct headcount_limits limits = { .database = 2, .user = 1 };

	(void)state;
	assert_true(headcount_is_first(one));
	assert_false(headcount_is_first(two));
	assert_int_equal(headcount_enter(count, one, &limits),
			 HEADCOUNT_GRANTED);
	assert_int_equal(headcount_enter(count, one, &limits),
			 HEADCOUNT_USER_FULL);
	assert_int_equal(headcount_enter(count, two, &limits),
			 HEADCOUNT_GRANTED);
	headcount_leave(count, one);
	/* Whoever is counted stays so when the place is closed. */
	headcount_close(count, two);
	two = headcount_open(count, "app", "bob");
	assert_int_equal(headcount_enter(count, two, &limits),
			 HEADCOUNT_USER_FULL);
	headcount_leave_named(count, "app", "bob");
	assert_int_equal(headcount_enter(count, two, &limits),
			 HEADCOUNT_GRANTED);
	headcount_leave(count, two);
	headcount_close(count, one);
	headcount_close(count, two);
	headcount_free(count);
}

enum { THREADS = 4, ROUNDS = 2000, LIMIT = 3 };

struct crowd {
	struct headcount *count;
	struct headcount_place *place;
	_Atomic unsigned inside;
	_Atomic unsigned granted;
	_Atomic bool is_over;
};

static void *come_and_go(void *arg)
{
	const struct headcount_limits limits = { .user = LIMIT };
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (headcount_enter(crowd->count, crowd->place, &limits) !=
		    HEADCOUNT_GRANTED)
			continue;
		crowd->granted++;
		if (++crowd->inside > LIMIT)
			crowd->is_over = true;
		crowd->inside--;
		headcount_leave(crowd->count, crowd->place);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct crowd crowd = { .count = headcount_new() };
	pthread_t threads[THREADS];

	(void)state;
	crowd.place = headcount_open(crowd.count, "app", "anna");
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, come_and_go, &crowd),
			0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(crowd.is_over);
	assert_true(crowd.granted >= LIMIT);
	headcount_close(crowd.count, crowd.place);
	headcount_free(crowd.count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_of_a_database),
		cmocka_unit_test(test_limit_of_a_user),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
