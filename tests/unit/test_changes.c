/*
 * Shut databases and remembered changes, alone and with threads.
 */
#include "proxy/changes.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct dbddl_names one(const char *name)
{
	struct dbddl_names names = { .count = 1 };

	(void)snprintf(names.names[0], sizeof(names.names[0]), "%s", name);
	return names;
}

static struct change change_of(const char *database, uint64_t at_us)
{
	return (struct change){ .ddl = { .databases = one(database) },
				.at_us = at_us };
}

static void test_shut(void **state)
{
	struct changes *changes = changes_new();
	struct dbddl_names a = one("a");
	struct dbddl_names b = one("b");
	uint64_t first = changes_owner(changes);
	uint64_t second = changes_owner(changes);

	(void)state;
	assert_true(first != second);
	assert_false(changes_is_shut(changes, "a", 0));
	changes_shut(changes, first, &a, 100);
	changes_shut(changes, second, &b, 200);
	changes_shut(changes, second, &a, 200);
	assert_true(changes_is_shut(changes, "a", 99));
	assert_true(changes_is_shut(changes, "b", 199));
	assert_false(changes_is_shut(changes, "c", 0));
	/* One opens what it has shut; the other's stays. */
	changes_open(changes, first);
	assert_true(changes_is_shut(changes, "a", 99));
	assert_false(changes_is_shut(changes, "a", 200));
	changes_open(changes, second);
	assert_false(changes_is_shut(changes, "a", 0));
	assert_false(changes_is_shut(changes, "b", 0));
	changes_open(changes, second);
	changes_free(changes);
}

/* However many there are, none is shut for ever. */
static void test_many_shuts(void **state)
{
	struct changes *changes = changes_new();
	struct dbddl_names a = one("a");

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		changes_shut(changes, i, &a, 100);
	assert_true(changes_is_shut(changes, "a", 0));
	for (uint64_t i = 1; i <= 1000; i++)
		changes_open(changes, i);
	assert_false(changes_is_shut(changes, "a", 0));
	changes_free(changes);
}

static void test_changes(void **state)
{
	struct changes *changes = changes_new();
	struct change change = change_of("a", 10);
	struct change got;
	uint64_t seen = 0;

	(void)state;
	assert_false(changes_next(changes, &seen, &got));
	assert_int_equal(changes_last_us(changes, "a", "u"), 0);
	changes_add(changes, &change);
	change = change_of("b", 20);
	change.ddl.roles = one("u");
	changes_add(changes, &change);
	assert_int_equal(changes_count(changes), 2);
	assert_true(changes_next(changes, &seen, &got));
	assert_int_equal(got.at_us, 10);
	assert_true(changes_next(changes, &seen, &got));
	assert_string_equal(got.ddl.databases.names[0], "b");
	assert_false(changes_next(changes, &seen, &got));
	assert_int_equal(changes_last_us(changes, "a", "x"), 10);
	assert_int_equal(changes_last_us(changes, "a", "u"), 20);
	assert_int_equal(changes_last_us(changes, "b", "x"), 20);
	assert_int_equal(changes_last_us(changes, "c", "x"), 0);
	changes_free(changes);
}

/* A reload is nothing that a replica could lack. */
static void test_reload(void **state)
{
	struct changes *changes = changes_new();
	struct change change = { .ddl = { .is_reload = true }, .at_us = 5 };

	(void)state;
	changes_add(changes, &change);
	assert_int_equal(changes_last_us(changes, "a", "u"), 0);
	changes_free(changes);
}

static void test_too_many(void **state)
{
	struct changes *changes = changes_new();
	struct change change;
	struct change got;
	uint64_t seen = 0;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		change = change_of("a", i);
		changes_add(changes, &change);
	}
	assert_true(changes_next(changes, &seen, &got));
	assert_true(dbddl_concerns(&got.ddl, "what", "ever"));
	assert_true(dbddl_has_name(&got.ddl.gone, "what"));
	assert_int_equal(got.at_us, 1000);
	assert_false(changes_next(changes, &seen, &got));
	assert_int_equal(changes_last_us(changes, "a", "u"), 1000);
	/* What fell out of the ring may have been about anybody. */
	assert_in_range(changes_last_us(changes, "b", "u"), 900, 999);
	changes_free(changes);
}

static void *add_many(void *arg)
{
	struct changes *changes = arg;

	for (uint64_t i = 1; i <= 2000; i++) {
		struct change change = change_of("a", i);
		uint64_t owner = changes_owner(changes);

		changes_shut(changes, owner, &change.ddl.databases, 10);
		changes_add(changes, &change);
		changes_open(changes, owner);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct changes *changes = changes_new();
	pthread_t threads[3];
	struct change got;
	uint64_t seen = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, add_many, changes),
			0);
	while (seen < 6000)
		if (changes_next(changes, &seen, &got))
			assert_true(dbddl_concerns(&got.ddl, "a", "u"));
	for (int i = 0; i < 3; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(changes_count(changes), 6000);
	assert_false(changes_is_shut(changes, "a", 0));
	changes_free(changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shut),
		cmocka_unit_test(test_many_shuts),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
