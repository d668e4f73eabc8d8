/*
 * Embedded lists.
 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	char name;
	struct list link;
};

enum { ITEMS = 4 };

static struct item items[ITEMS];
static struct list head;

static int set_up(void **state)
{
	(void)state;
	list_init(&head);
	for (int i = 0; i < ITEMS; i++) {
		items[i].name = (char)('a' + i);
		list_init(&items[i].link);
	}
	return 0;
}

/* Forwards and backwards: both chains must tell the same. */
static void expect_list(const struct list *list, const char *names)
{
	const char *next = names;

	LIST_FOREACH (link, list) {
		assert_int_equal(LIST_ENTRY(link, struct item, link)->name,
				 *next);
		next++;
	}
	assert_int_equal(*next, '\0');
	for (const struct list *link = list->prev; link != list;
	     link = link->prev) {
		next--;
		assert_int_equal(LIST_ENTRY(link, struct item, link)->name,
				 *next);
	}
	assert_ptr_equal(next, names);
}

static void test_empty(void **state)
{
	(void)state;
	assert_true(list_is_empty(&head));
	assert_null(list_first(&head));
	assert_false(list_is_linked(&items[0].link));
	expect_list(&head, "");
}

static void test_both_ends(void **state)
{
	(void)state;
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_prepend(&head, &items[0].link);
	list_insert_before(&items[2].link, &items[3].link);
	expect_list(&head, "abdc");
	assert_ptr_equal(list_first(&head), &items[0].link);
	assert_false(list_is_empty(&head));
	assert_true(list_is_linked(&items[3].link));
}

static void test_removing_twice_is_harmless(void **state)
{
	(void)state;
	list_append(&head, &items[0].link);
	list_append(&head, &items[1].link);
	list_remove(&items[0].link);
	list_remove(&items[0].link);
	expect_list(&head, "b");
	assert_false(list_is_linked(&items[0].link));
	list_remove(&items[1].link);
	assert_true(list_is_empty(&head));
}

static void test_safe_walk_may_remove(void **state)
{
	(void)state;
	for (int i = 0; i < ITEMS; i++)
		list_append(&head, &items[i].link);
	LIST_FOREACH_SAFE (link, &head)
		if (LIST_ENTRY(link, struct item, link)->name % 2 == 0)
			list_remove(link);
	expect_list(&head, "ac");
}

static void test_move_all(void **state)
{
	struct list other;

	(void)state;
	list_init(&other);
	list_move_all(&other, &head);
	expect_list(&other, "");
	list_append(&head, &items[0].link);
	list_append(&head, &items[1].link);
	list_move_all(&other, &head);
	expect_list(&other, "ab");
	expect_list(&head, "");
	list_append(&head, &items[2].link);
	list_append(&head, &items[3].link);
	list_move_all(&other, &head);
	expect_list(&other, "abcd");
	expect_list(&head, "");
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_empty),
		CASE(test_both_ends),
		CASE(test_removing_twice_is_harmless),
		CASE(test_safe_walk_may_remove),
		CASE(test_move_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
