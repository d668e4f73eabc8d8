/*
 * The string map, also against a plain array under random operations.
 */
#include "base/strmap.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned freed;

static void count_free(void *value)
{
	free(value);
	freed++;
}

static void test_empty(void **state)
{
	struct strmap *map = strmap_new();
	size_t at = 0;

	(void)state;
	assert_int_equal(strmap_count(map), 0);
	assert_null(strmap_get(map, "a"));
	assert_null(strmap_remove(map, "a"));
	assert_false(strmap_next(map, &at, NULL, NULL));
	strmap_free(map, count_free);
	strmap_free(NULL, NULL);
}

static void test_put_get_remove(void **state)
{
	struct strmap *map = strmap_new();
	int one = 1;
	int two = 2;

	(void)state;
	assert_null(strmap_put(map, "key", &one));
	assert_ptr_equal(strmap_get(map, "key"), &one);
	assert_ptr_equal(strmap_put(map, "key", &two), &one);
	assert_ptr_equal(strmap_get(map, "key"), &two);
	assert_int_equal(strmap_count(map), 1);
	assert_null(strmap_get(map, "ke"));
	assert_null(strmap_get(map, "keys"));
	assert_null(strmap_remove(map, "other"));
	assert_ptr_equal(strmap_remove(map, "key"), &two);
	assert_null(strmap_remove(map, "key"));
	assert_int_equal(strmap_count(map), 0);
	strmap_free(map, NULL);
}

static void test_any_bytes_are_keys(void **state)
{
	struct strmap *map = strmap_new();
	int values[3];

	(void)state;
	assert_null(strmap_put_bytes(map, "a\0b", 3, &values[0]));
	assert_null(strmap_put_bytes(map, "a\0c", 3, &values[1]));
	assert_null(strmap_put_bytes(map, "", 0, &values[2]));
	assert_ptr_equal(strmap_get_bytes(map, "a\0b", 3), &values[0]);
	assert_ptr_equal(strmap_get_bytes(map, "a\0c", 3), &values[1]);
	assert_ptr_equal(strmap_get(map, ""), &values[2]);
	assert_null(strmap_get(map, "a"));
	assert_ptr_equal(strmap_remove_bytes(map, "a\0b", 3), &values[0]);
	assert_ptr_equal(strmap_get_bytes(map, "a\0c", 3), &values[1]);
	strmap_free(map, NULL);
}

/* The key is copied: the caller's may change. */
static void test_keys_are_copied(void **state)
{
	struct strmap *map = strmap_new();
	char key[] = "mine";
	const char *found = NULL;
	void *value = NULL;
	size_t at = 0;

	(void)state;
	(void)strmap_put(map, key, key);
	memset(key, 'x', sizeof(key) - 1);
	assert_ptr_equal(strmap_get(map, "mine"), key);
	assert_true(strmap_next(map, &at, &found, &value));
	assert_string_equal(found, "mine");
	assert_ptr_equal(value, key);
	assert_false(strmap_next(map, &at, &found, &value));
	strmap_free(map, NULL);
}

static void test_free_frees_values(void **state)
{
	struct strmap *map = strmap_new();
	char key[16];

	(void)state;
	freed = 0;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		assert_null(strmap_put(map, key, xmalloc(8)));
	}
	strmap_free(map, count_free);
	assert_int_equal(freed, 100);
}

enum { KEYS = 300, STEPS = 60000 };

static int here[KEYS];

static void check_walk(const struct strmap *map, size_t count)
{
	bool seen[KEYS] = { false };
	size_t at = 0;
	size_t found = 0;
	void *value;

	while (strmap_next(map, &at, NULL, &value)) {
		size_t index = (size_t)((int *)value - here);

		assert_false(seen[index]);
		seen[index] = true;
		assert_int_equal(here[index], 1);
		found++;
	}
	assert_int_equal(found, count);
}

/* Runs of neighbours come and go: a hole must never hide the rest of one. */
static void test_against_an_array(void **state)
{
	struct strmap *map = strmap_new();
	size_t count = 0;
	char key[16];

	(void)state;
	srand(2);
	for (int step = 0; step < STEPS; step++) {
		int index = rand() % KEYS;
		void *was = here[index] ? &here[index] : NULL;
		/* Long swings between nearly empty and nearly full. */
		bool is_growing = (step / 3000) % 2 == 0;

		(void)snprintf(key, sizeof(key), "key-%d", index);
		assert_ptr_equal(strmap_get(map, key), was);
		if ((rand() % 4 != 0) == is_growing) {
			assert_ptr_equal(strmap_put(map, key, &here[index]),
					 was);
			count += !here[index];
			here[index] = 1;
		} else {
			assert_ptr_equal(strmap_remove(map, key), was);
			count -= (size_t)here[index];
			here[index] = 0;
		}
		assert_int_equal(strmap_count(map), count);
		if (step % 500 == 0)
			check_walk(map, count);
	}
	strmap_free(map, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_put_get_remove),
		cmocka_unit_test(test_any_bytes_are_keys),
		cmocka_unit_test(test_keys_are_copied),
		cmocka_unit_test(test_free_frees_values),
		cmocka_unit_test(test_against_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
