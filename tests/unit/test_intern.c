/*
 * intern: one item per value, references, growth and shrinking, and threads
 * that find and drop the same few values all the time.
 */
#include "base/util.h"
#include "core/intern.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 5000, THREADS = 4, TURNS = 20000, VALUES = 3 };

struct word {
	struct intern_item item;
	char text[16];
};

static struct intern_table table = INTERN_TABLE_INIT;

static struct word *word_new(const char *text)
{
	struct word *word = xcalloc(1, sizeof(*word));

	(void)util_copy(word->text, sizeof(word->text), text);
	word->item.data = word->text;
	word->item.len = strlen(word->text);
	return word;
}

/* What a user of the table does: look, else make and add. */
static struct word *word_intern(const char *text)
{
	struct intern_item *found = intern_find(&table, text, strlen(text));
	struct word *word;

	if (found)
		return (struct word *)found;
	word = word_new(text);
	found = intern_add(&table, &word->item);
	if (found != &word->item)
		free(word);
	return (struct word *)found;
}

static void word_release(struct word *word)
{
	if (intern_drop(&table, &word->item))
		free(word);
}

static void equal_bytes_are_one_item(void **state)
{
	struct word *one = word_intern("one");
	struct word *again = word_intern("one");
	struct word *other = word_intern("two");

	(void)state;
	assert_ptr_equal(one, again);
	assert_ptr_not_equal(one, other);
	assert_int_equal(intern_count(&table), 2);
	word_release(again);
	assert_int_equal(intern_count(&table), 2);
	word_release(one);
	assert_int_equal(intern_count(&table), 1);
	assert_null(intern_find(&table, "one", 3));
	word_release(other);
	assert_int_equal(intern_count(&table), 0);
	assert_null(intern_find(&table, "two", 3));
}

static void second_adder_gets_the_first_item(void **state)
{
	struct word *first = word_new("same");
	struct word *second = word_new("same");

	(void)state;
	assert_ptr_equal(intern_add(&table, &first->item), &first->item);
	assert_ptr_equal(intern_add(&table, &second->item), &first->item);
	free(second);
	assert_false(intern_drop(&table, &first->item));
	assert_true(intern_drop(&table, &first->item));
	free(first);
}

static void held_items_stay(void **state)
{
	struct word *word = word_intern("held");

	(void)state;
	intern_hold(&word->item);
	intern_hold(&word->item);
	assert_false(intern_drop(&table, &word->item));
	assert_false(intern_drop(&table, &word->item));
	assert_int_equal(intern_count(&table), 1);
	word_release(word);
	assert_int_equal(intern_count(&table), 0);
}

static void text_of(char *text, size_t room, size_t number)
{
	(void)snprintf(text, room, "word %zu", number);
}

static void table_grows_and_shrinks(void **state)
{
	static struct word *words[MANY];
	char text[16];
	size_t room;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		text_of(text, sizeof(text), i);
		words[i] = word_intern(text);
	}
	assert_int_equal(intern_count(&table), MANY);
	room = table.shared.room;
	assert_true(room >= MANY);
	for (size_t i = 0; i < MANY; i++) {
		struct word *again;

		text_of(text, sizeof(text), i);
		again = word_intern(text);
		assert_ptr_equal(again, words[i]);
		word_release(again);
	}
	/* The last one is found through every shrinking. */
	for (size_t i = 0; i + 1 < MANY; i++) {
		struct word *last = word_intern(text);

		assert_ptr_equal(last, words[MANY - 1]);
		word_release(last);
		word_release(words[i]);
	}
	word_release(words[MANY - 1]);
	assert_int_equal(intern_count(&table), 0);
	assert_true(table.shared.room < room / 8);
}

/* What a value is while somebody holds it must not change or be freed. */
static atomic_size_t wrong;

static void *churn(void *argument)
{
	static const char *const values[VALUES] = { "alpha", "beta", "gamma" };
	size_t at = *(const size_t *)argument;

	for (size_t i = 0; i < TURNS; i++) {
		const char *text = values[at++ % VALUES];
		struct word *one = word_intern(text);
		struct word *two = word_intern(text);

		wrong += one != two || strcmp(one->text, text) != 0;
		word_release(one);
		wrong += strcmp(two->text, text) != 0;
		word_release(two);
	}
	return NULL;
}

static void threads_share(void **state)
{
	const size_t first[THREADS] = { 0, 1, 2, 0 };
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn,
						(void *)&first[i]),
				 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(intern_count(&table), 0);
}

static int free_buckets(void **state)
{
	(void)state;
	free(table.shared.buckets);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_bytes_are_one_item),
		cmocka_unit_test(second_adder_gets_the_first_item),
		cmocka_unit_test(held_items_stay),
		cmocka_unit_test(table_grows_and_shrinks),
		cmocka_unit_test(threads_share),
	};

	return cmocka_run_group_tests_name("intern", tests, NULL, free_buckets);
}
