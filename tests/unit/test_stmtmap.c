/*
 * stmtmap: what is interned of a Parse, the names that servers get, and the
 * names that a client gives.
 */
#include "core/stmtmap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The body of a Parse behind the name, without parameter types. */
#define TAIL(query) query "\0\0", sizeof(query) + 2

enum { MANY = 1000, THREADS = 4, TURNS = 10000 };

static void equal_tails_are_one_statement(void **state)
{
	struct stmt *one = stmt_intern(TAIL("select 1"));
	struct stmt *again = stmt_intern(TAIL("select 1"));
	struct stmt *other = stmt_intern(TAIL("select 2"));
	struct stmt *typed = stmt_intern("select 1\0\0\1\0\0\0\x17", 15);

	(void)state;
	assert_ptr_equal(one, again);
	assert_ptr_not_equal(one, other);
	assert_ptr_not_equal(one, typed);
	assert_int_equal(stmt_count(), 3);
	stmt_release(again);
	stmt_release(other);
	stmt_release(typed);
	assert_int_equal(stmt_count(), 1);
	stmt_release(one);
	assert_int_equal(stmt_count(), 0);
}

static void statement_tells_its_parts(void **state)
{
	struct stmt *stmt = stmt_intern("select $1\0\0\1\0\0\0\x17", 16);
	char name[STMT_NAME_MAX];
	const char *query;
	const void *tail;
	size_t len;

	(void)state;
	tail = stmt_tail(stmt, &len);
	assert_int_equal(len, 16);
	assert_memory_equal(tail, "select $1\0\0\1\0\0\0\x17", 16);
	query = stmt_query(stmt, &len);
	assert_int_equal(len, 9);
	assert_string_equal(query, "select $1");
	(void)snprintf(name, sizeof(name), "pgweir_%llx",
		       (unsigned long long)stmt_id(stmt));
	assert_string_equal(stmt_server_name(stmt), name);
	stmt_release(stmt);
}

static void empty_query_is_a_statement(void **state)
{
	struct stmt *stmt = stmt_intern(TAIL(""));
	size_t len;

	(void)state;
	assert_string_equal(stmt_query(stmt, &len), "");
	assert_int_equal(len, 0);
	stmt_release(stmt);
}

/* A tail that no reader lets through still stays in its bounds. */
static void unterminated_tail_is_safe(void **state)
{
	struct stmt *stmt = stmt_intern("select", 6);
	struct stmt *none = stmt_intern("", 0);
	size_t len;

	(void)state;
	assert_string_equal(stmt_query(stmt, &len), "select");
	assert_int_equal(len, 6);
	assert_string_equal(stmt_query(none, &len), "");
	assert_int_equal(len, 0);
	stmt_release(stmt);
	stmt_release(none);
}

static void numbers_are_never_reused(void **state)
{
	struct stmt *stmt = stmt_intern(TAIL("select 1"));
	uint64_t first = stmt_id(stmt);

	(void)state;
	stmt_release(stmt);
	stmt = stmt_intern(TAIL("select 1"));
	assert_true(stmt_id(stmt) > first);
	stmt_release(stmt);
}

static void hold_keeps(void **state)
{
	struct stmt *stmt = stmt_intern(TAIL("select 1"));

	(void)state;
	assert_ptr_equal(stmt_hold(stmt), stmt);
	stmt_release(stmt);
	assert_int_equal(stmt_count(), 1);
	stmt_release(stmt);
	assert_int_equal(stmt_count(), 0);
}

static atomic_size_t wrong;

static void *churn(void *argument)
{
	(void)argument;
	for (size_t i = 0; i < TURNS; i++) {
		struct stmt *one = stmt_intern(TAIL("select shared"));
		struct stmt *two = stmt_hold(one);
		size_t len;

		stmt_release(one);
		wrong += strcmp(stmt_query(two, &len), "select shared") != 0;
		wrong += stmt_id(two) == 0;
		stmt_release(two);
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
	assert_int_equal(stmt_count(), 0);
}

/* --- a client's names ----------------------------------------------------- */

static int map_begin(void **state)
{
	*state = stmtmap_new();
	return 0;
}

static int map_end(void **state)
{
	stmtmap_free(*state);
	assert_int_equal(stmt_count(), 0);
	return 0;
}

/* Puts a statement that the map alone keeps alive. */
static struct stmtmap_entry *put(struct stmtmap *map, const char *name,
				 const char *query)
{
	struct stmt *stmt = stmt_intern(query, strlen(query) + 1);
	struct stmtmap_entry *entry = stmtmap_put(map, name, stmt);

	assert_ptr_equal(entry->stmt, stmt);
	stmt_release(stmt);
	return entry;
}

static void expect(const struct stmtmap *map, const char *name,
		   const char *query)
{
	struct stmtmap_entry *entry = stmtmap_find(map, name);
	size_t len;

	assert_non_null(entry);
	assert_string_equal(stmt_query(entry->stmt, &len), query);
}

static void names_are_found(void **state)
{
	struct stmtmap *map = *state;

	assert_null(stmtmap_find(map, "a"));
	assert_null(stmtmap_find(map, ""));
	assert_int_equal(stmtmap_count(map), 0);
	put(map, "a", "select 1");
	put(map, "b", "select 2");
	put(map, "", "select 3");
	put(map, "c", "select 1");
	assert_int_equal(stmtmap_count(map), 4);
	assert_int_equal(stmt_count(), 3);
	expect(map, "a", "select 1");
	expect(map, "b", "select 2");
	expect(map, "", "select 3");
	expect(map, "c", "select 1");
	assert_null(stmtmap_find(map, "A"));
}

static void names_are_replaced(void **state)
{
	struct stmtmap *map = *state;
	const char *const names[] = { "a", "" };

	for (size_t i = 0; i < 2; i++) {
		struct stmtmap_entry *entry = put(map, names[i], "select 1");

		entry->judged.access = ACCESS_READ;
		entry->catalog_id = 7;
		expect(map, names[i], "select 1");
		assert_int_equal(stmtmap_find(map, names[i])->catalog_id, 7);
		/* What was judged belonged to the old text. */
		entry = put(map, names[i], "select 2");
		assert_int_equal(entry->judged.access, ACCESS_NONE);
		assert_int_equal(entry->catalog_id, 0);
		expect(map, names[i], "select 2");
		assert_int_equal(stmtmap_count(map), i + 1);
	}
	assert_int_equal(stmt_count(), 1);
}

static void same_statement_again(void **state)
{
	struct stmtmap *map = *state;
	uint64_t id = stmt_id(put(map, "a", "select 1")->stmt);

	/* Only the map keeps it: replaced by itself, it must live. */
	stmtmap_put(map, "a", stmtmap_find(map, "a")->stmt);
	assert_int_equal(stmt_id(stmtmap_find(map, "a")->stmt), id);
	assert_int_equal(stmt_count(), 1);
}

static void names_are_removed(void **state)
{
	struct stmtmap *map = *state;

	stmtmap_remove(map, "");
	stmtmap_remove(map, "a");
	put(map, "a", "select 1");
	put(map, "", "select 2");
	stmtmap_remove(map, "unknown");
	assert_int_equal(stmtmap_count(map), 2);
	stmtmap_remove(map, "a");
	assert_null(stmtmap_find(map, "a"));
	assert_int_equal(stmt_count(), 1);
	stmtmap_remove(map, "");
	assert_null(stmtmap_find(map, ""));
	assert_int_equal(stmtmap_count(map), 0);
	assert_int_equal(stmt_count(), 0);
}

static void clear_empties(void **state)
{
	struct stmtmap *map = *state;
	char name[16];

	put(map, "", "select 0");
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "name %u", i);
		put(map, name, name);
	}
	assert_int_equal(stmtmap_count(map), MANY + 1);
	assert_int_equal(stmt_count(), MANY + 1);
	expect(map, "name 500", "name 500");
	stmtmap_clear(map);
	assert_int_equal(stmtmap_count(map), 0);
	assert_int_equal(stmt_count(), 0);
	put(map, "again", "select 1");
	expect(map, "again", "select 1");
	stmtmap_free(NULL);
}

static void names_are_found_by_number(void **state)
{
	static const char tail[] = "SELECT 1\0\0";
	struct stmtmap *map = stmtmap_new();
	struct stmt *stmt = stmt_intern(tail, sizeof(tail));

	(void)state;
	assert_null(stmtmap_name_of(map, stmt_id(stmt)));
	(void)stmtmap_put(map, "", stmt);
	assert_null(stmtmap_name_of(map, stmt_id(stmt)));
	(void)stmtmap_put(map, "one", stmt);
	assert_string_equal(stmtmap_name_of(map, stmt_id(stmt)), "one");
	assert_null(stmtmap_name_of(map, stmt_id(stmt) + 1));
	stmt_release(stmt);
	stmtmap_free(map);
}

/* What servers tell of a statement is told once. */
static void shape_is_kept_once(void **state)
{
	static const uint8_t types[] = { 0, 1, 0, 0, 0, 23 };
	struct stmt *stmt = stmt_intern(TAIL("select $1::int"));
	const struct stmt_shape *shape;

	(void)state;
	assert_null(stmt_shape(stmt));
	stmt_note_shape(stmt, types, sizeof(types), true);
	shape = stmt_shape(stmt);
	assert_non_null(shape);
	assert_true(shape->has_result);
	assert_int_equal(shape->len, sizeof(types));
	assert_memory_equal(shape->types, types, sizeof(types));
	stmt_note_shape(stmt, types, 2, false);
	assert_ptr_equal(stmt_shape(stmt), shape);
	assert_true(shape->has_result);
	stmt_release(stmt);
}

/* Of several names for one statement the oldest speaks for it. */
static void second_names_are_known(void **state)
{
	struct stmt *one = stmt_intern(TAIL("select 1"));
	struct stmt *two = stmt_intern(TAIL("select 2"));
	struct stmtmap *map = stmtmap_new();
	struct stmtmap_entry *entry;

	(void)state;
	assert_false(stmtmap_put(map, "a", one)->is_second);
	assert_true(stmtmap_put(map, "b", one)->is_second);
	assert_false(stmtmap_put(map, "", one)->is_second);
	assert_false(stmtmap_put(map, "c", two)->is_second);
	assert_string_equal(stmtmap_name_of(map, stmt_id(one)), "a");
	/* Put anew it is what it was. */
	assert_false(stmtmap_put(map, "a", one)->is_second);
	/* Without the first, any is right, and the next is first again. */
	stmtmap_remove(map, "a");
	assert_string_equal(stmtmap_name_of(map, stmt_id(one)), "b");
	assert_false(stmtmap_put(map, "d", one)->is_second);
	assert_string_equal(stmtmap_name_of(map, stmt_id(one)), "d");
	stmtmap_remove(map, "b");
	assert_true(stmtmap_put(map, "e", one)->is_second);
	/* A name that changes its statement leaves the old one. */
	entry = stmtmap_find(map, "d");
	stmtmap_change(map, entry, two);
	assert_true(entry->is_second);
	assert_ptr_equal(entry->stmt, two);
	/* ... and answers for that as long as nothing else does. */
	entry->former = stmt_id(one) + 1000;
	assert_string_equal(stmtmap_name_of(map, entry->former), "d");
	entry->former = stmt_id(two);
	assert_string_equal(stmtmap_name_of(map, stmt_id(two)), "c");
	assert_false(stmtmap_put(map, "f", one)->is_second);
	stmtmap_change(map, stmtmap_find(map, ""), two);
	stmtmap_clear_named(map);
	assert_false(stmtmap_put(map, "g", two)->is_second);
	stmtmap_free(map);
	stmt_release(one);
	stmt_release(two);
	assert_int_equal(stmt_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_by_number),
		cmocka_unit_test(equal_tails_are_one_statement),
		cmocka_unit_test(statement_tells_its_parts),
		cmocka_unit_test(empty_query_is_a_statement),
		cmocka_unit_test(unterminated_tail_is_safe),
		cmocka_unit_test(numbers_are_never_reused),
		cmocka_unit_test(hold_keeps),
		cmocka_unit_test(threads_share),
		cmocka_unit_test(shape_is_kept_once),
		cmocka_unit_test(second_names_are_known),
		cmocka_unit_test_setup_teardown(names_are_found, map_begin,
						map_end),
		cmocka_unit_test_setup_teardown(names_are_replaced, map_begin,
						map_end),
		cmocka_unit_test_setup_teardown(same_statement_again, map_begin,
						map_end),
		cmocka_unit_test_setup_teardown(names_are_removed, map_begin,
						map_end),
		cmocka_unit_test_setup_teardown(clear_empties, map_begin,
						map_end),
	};

	return cmocka_run_group_tests_name("stmtmap", tests, NULL, NULL);
}
