/*
 * settings: names, sets that are one pointer when they are equal, references
 * from many threads.
 */
#include "core/settings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 4, TURNS = 5000, MANY = 300 };

/* set with one name changed; the old set's reference is dropped. */
static const struct settings *change(const struct settings *set,
				     const char *name, const char *value)
{
	const struct settings *changed = settings_with(set, name, value);

	settings_release(set);
	return changed;
}

static void names_are_judged(void **state)
{
	const char *const good[] = { "a",   "A",     "_",     "search_path",
				     "a.b", "a.b.c", "a1$.b", "_1.x$" };
	const char *const bad[] = { "",    ".",   "a.",    ".a",   "a..b",
				    "1a",  "$a",  "a b",   "a-b",  "a.1",
				    "a\"", "a;b", "a'",    "\xc3", "a\\",
				    "a\n", " a",  "a.b c", "a=" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(settings_is_name(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(settings_is_name(bad[i]));
}

static void empty_set_is_one(void **state)
{
	const struct settings *empty = settings_empty();
	const char *name;
	const char *value;

	(void)state;
	assert_ptr_equal(settings_hold(empty), empty);
	settings_release(empty);
	settings_release(empty);
	assert_int_equal(settings_count(empty), 0);
	assert_null(settings_get(empty, "a"));
	assert_false(settings_at(empty, 0, &name, &value));
	assert_ptr_equal(settings_with(empty, "a", NULL), empty);
	assert_int_equal(settings_interned(), 0);
}

static void equal_sets_are_one(void **state)
{
	const struct settings *one = settings_with(settings_empty(), "a", "1");
	const struct settings *two = settings_with(settings_empty(), "b", "2");

	(void)state;
	assert_ptr_not_equal(one, two);
	one = change(one, "b", "2");
	two = change(two, "A", "1");
	assert_ptr_equal(one, two);
	assert_int_equal(settings_count(one), 2);
	two = change(two, "a", "x");
	assert_ptr_not_equal(one, two);
	two = change(two, "a", "1");
	assert_ptr_equal(one, two);
	two = change(two, "b", NULL);
	two = change(two, "a", NULL);
	assert_ptr_equal(two, settings_empty());
	assert_int_equal(settings_interned(), 1);
	settings_release(one);
	assert_int_equal(settings_interned(), 0);
}

/* A border between name and value must not be movable. */
static void different_sets_differ(void **state)
{
	const struct settings *one = settings_with(settings_empty(), "ab", "c");
	const struct settings *two = settings_with(settings_empty(), "a", "bc");
	const struct settings *none = settings_with(settings_empty(), "ab", "");

	(void)state;
	assert_ptr_not_equal(one, two);
	assert_ptr_not_equal(one, none);
	assert_string_equal(settings_get(none, "ab"), "");
	settings_release(one);
	settings_release(two);
	settings_release(none);
}

static void base_is_untouched(void **state)
{
	const struct settings *base = settings_with(settings_empty(), "a", "1");
	const struct settings *more = settings_with(base, "b", "2");
	const struct settings *same = settings_with(base, "A", "1");
	const struct settings *gone = settings_with(base, "zz", NULL);

	(void)state;
	assert_ptr_equal(same, base);
	assert_ptr_equal(gone, base);
	assert_null(settings_get(base, "b"));
	settings_release(base);
	settings_release(same);
	settings_release(gone);
	assert_string_equal(settings_get(more, "a"), "1");
	assert_string_equal(settings_get(more, "b"), "2");
	settings_release(more);
	assert_int_equal(settings_interned(), 0);
}

static void names_are_folded_and_sorted(void **state)
{
	const struct settings *set = settings_with(settings_empty(), "b", "2");
	const char *name;
	const char *value;

	(void)state;
	set = change(set, "TimeZone", "UTC");
	set = change(set, "a.C", "Value");
	set = change(set, "_x", "0");
	assert_string_equal(settings_get(set, "TIMEZONE"), "UTC");
	assert_string_equal(settings_get(set, "timezone"), "UTC");
	assert_string_equal(settings_get(set, "A.c"), "Value");
	assert_null(settings_get(set, "timezon"));
	assert_null(settings_get(set, "timezone2"));
	assert_true(settings_at(set, 0, &name, &value));
	assert_string_equal(name, "_x");
	assert_true(settings_at(set, 1, &name, &value));
	assert_string_equal(name, "a.c");
	assert_string_equal(value, "Value");
	assert_true(settings_at(set, 3, &name, &value));
	assert_string_equal(name, "timezone");
	assert_false(settings_at(set, 4, &name, &value));
	settings_release(set);
}

static void what_cannot_last_is_ignored(void **state)
{
	const struct settings *set = settings_with(settings_empty(), "a", "1");

	(void)state;
	set = change(set, "bad name", "x");
	set = change(set, "a;drop", "x");
	set = change(set, "transaction_isolation", "serializable");
	set = change(set, "Transaction_Read_Only", "on");
	set = change(set, "transaction_deferrable", "on");
	assert_int_equal(settings_count(set), 1);
	set = change(set, "default_transaction_read_only", "on");
	assert_int_equal(settings_count(set), 2);
	settings_release(set);
}

static void values_of_any_length(void **state)
{
	static char value[10001];
	const struct settings *set = settings_hold(settings_empty());

	(void)state;
	for (size_t len = 0; len <= 10000;
	     len = len < 300 ? len + 1 : len * 2) {
		memset(value, 'v', len);
		value[len] = '\0';
		set = change(set, "application_name", value);
		assert_string_equal(settings_get(set, "application_name"),
				    value);
		assert_int_equal(settings_interned(), 1);
	}
	settings_release(set);
	assert_int_equal(settings_interned(), 0);
}

static void many_rows(void **state)
{
	const struct settings *set = settings_hold(settings_empty());
	char name[16];
	char value[16];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "x.n%u", i * 7919U % MANY);
		(void)snprintf(value, sizeof(value), "%u", i * 7919U % MANY);
		set = change(set, name, value);
	}
	assert_int_equal(settings_count(set), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "X.N%u", i);
		(void)snprintf(value, sizeof(value), "%u", i);
		assert_string_equal(settings_get(set, name), value);
	}
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "x.n%u", i);
		set = change(set, name, NULL);
		assert_null(settings_get(set, name));
	}
	assert_ptr_equal(set, settings_empty());
}

static atomic_size_t wrong;

static void *churn(void *argument)
{
	(void)argument;
	for (size_t i = 0; i < TURNS; i++) {
		const struct settings *one =
			settings_with(settings_empty(), "a", "1");
		const struct settings *two = settings_hold(one);
		const struct settings *more = settings_with(two, "b", "2");

		settings_release(one);
		wrong += strcmp(settings_get(two, "a"), "1") != 0;
		settings_release(two);
		wrong += strcmp(settings_get(more, "b"), "2") != 0;
		settings_release(more);
	}
	return NULL;
}

static void threads_share(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL),
				 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(settings_interned(), 0);
}

static const struct settings *also(const struct settings *base,
				   const char *name, const char *value)
{
	const struct settings *more = settings_with(base, name, value);

	settings_release(base);
	return more;
}

static void what_matters_to_parsing(void **state)
{
	const struct settings *plain =
		settings_with(settings_empty(), "work_mem", "1MB");
	const struct settings *path =
		settings_with(settings_empty(), "Search_Path", "a");
	const struct settings *both =
		also(settings_hold(path), "app.user", "7");
	const struct settings *other =
		also(settings_hold(plain), "DateStyle", "German");

	(void)state;
	assert_ptr_equal(settings_parsing(settings_empty()), settings_empty());
	assert_ptr_equal(settings_parsing(plain), settings_empty());
	assert_ptr_equal(settings_parsing(path), path);
	assert_ptr_equal(settings_parsing(both), path);
	assert_int_equal(settings_count(settings_parsing(other)), 1);
	assert_string_equal(settings_get(settings_parsing(other), "datestyle"),
			    "German");
	/* The subset lives as long as the set. */
	settings_release(path);
	assert_string_equal(settings_get(settings_parsing(both), "search_path"),
			    "a");
	settings_release(plain);
	settings_release(both);
	settings_release(other);
	assert_int_equal(settings_interned(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_judged),
		cmocka_unit_test(empty_set_is_one),
		cmocka_unit_test(equal_sets_are_one),
		cmocka_unit_test(different_sets_differ),
		cmocka_unit_test(base_is_untouched),
		cmocka_unit_test(names_are_folded_and_sorted),
		cmocka_unit_test(what_cannot_last_is_ignored),
		cmocka_unit_test(values_of_any_length),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(threads_share),
		cmocka_unit_test(what_matters_to_parsing),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
