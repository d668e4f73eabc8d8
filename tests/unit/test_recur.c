/* Statements that come again and again. */
#include "core/recur.h"
#include "core/stmtmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stmt *make(const char *text)
{
	char tail[128] = { 0 };

	(void)snprintf(tail, sizeof(tail) - 3, "%s", text);
	return stmt_intern(tail, strlen(tail) + 3);
}

static uint64_t now_us = 1000000;

static bool fits(const struct stmt *stmt)
{
	size_t len;

	return stmt_query(stmt, &len)[0] != '!';
}

static unsigned note(struct recur *recur, const char *text)
{
	struct stmt *stmt = make(text);
	unsigned seen = recur_note(recur, stmt, now_us, fits);

	stmt_release(stmt);
	return seen;
}

/* Also when nobody else holds the statement in between. */
static void test_comes_again(void **state)
{
	struct recur *recur = recur_new();

	(void)state;
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(note(recur, "SELECT 1"), i);
	assert_int_equal(note(recur, "SELECT 2"), 1);
	assert_int_equal(note(recur, "SELECT 1"), 6);
	for (unsigned i = 0; i < 1000; i++)
		assert_in_range(note(recur, "SELECT 1"), 7, 64);
	assert_int_equal(note(recur, "SELECT 1"), 64);
	assert_int_equal(note(recur, "!SELECT 1"), 0);
	assert_int_equal(note(recur, "!SELECT 1"), 0);
	recur_free(recur);
	assert_int_equal(stmt_count(), 0);
}

/* Texts that come once are as many as one likes: what comes often stays. */
static void test_passing_texts(void **state)
{
	struct recur *recur = recur_new();
	unsigned seen = 0;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(text, sizeof(text), "SELECT %u", i);
		assert_int_equal(note(recur, text), 1);
		seen = note(recur, "SELECT $1");
	}
	assert_in_range(seen, 6, 64);
	/* Bounded. */
	assert_in_range(stmt_count(), 1, 512);
	recur_free(recur);
	assert_int_equal(stmt_count(), 0);
}

/* What does not come any more makes room. */
static void test_makes_room(void **state)
{
	struct recur *recur = recur_new();
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		(void)note(recur, "old");
	for (unsigned i = 0; i < 66 * 512; i++) {
		(void)snprintf(text, sizeof(text), "new %u", i);
		(void)note(recur, text);
	}
	assert_int_equal(note(recur, "old"), 1);
	recur_free(recur);
}

/* What came often, but some time ago, comes anew. */
static void test_ages(void **state)
{
	struct recur *recur = recur_new();

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		(void)note(recur, "SELECT 1");
	now_us += 999999;
	assert_int_equal(note(recur, "SELECT 1"), 11);
	now_us += 1;
	assert_int_equal(note(recur, "SELECT 1"), 6);
	now_us += 2000000;
	assert_int_equal(note(recur, "SELECT 1"), 1);
	/* A clock that goes back ages nothing. */
	now_us -= 500000;
	assert_int_equal(note(recur, "SELECT 1"), 2);
	recur_free(recur);
}

static void test_long_text(void **state)
{
	enum { LEN = 9000 };
	struct recur *recur = recur_new();
	char *tail = calloc(1, LEN);
	struct stmt *stmt;

	(void)state;
	memset(tail, 'x', LEN - 3);
	stmt = stmt_intern(tail, LEN);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(recur_note(recur, stmt, now_us, fits), 0);
	stmt_release(stmt);
	assert_int_equal(stmt_count(), 0);
	free(tail);
	recur_free(recur);
	recur_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_again),
		cmocka_unit_test(test_passing_texts),
		cmocka_unit_test(test_makes_room),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
