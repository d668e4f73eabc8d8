/*
 * stmtscope: who may share a prepared statement, and what is known of it.
 */
#include "core/stmtscope.h"

#include "core/epoch.h"
#include "core/settings.h"
#include "core/stmtmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TAIL(query) query "\0\0", sizeof(query) + 2

static const struct stmtscope_place shop = { "shop", "shop_db", "ann" };

static struct stmtscope *open_with(const char *name, const char *value)
{
	const struct settings *settings =
		settings_with(settings_empty(), name, value);
	struct stmtscope *scope = stmtscope_open(&shop, settings);

	settings_release(settings);
	return scope;
}

static void equal_places_and_settings_share(void **state)
{
	struct stmtscope *one = open_with("search_path", "a");
	struct stmtscope *again = open_with("Search_Path", "a");
	struct stmtscope *other = open_with("search_path", "b");

	(void)state;
	assert_ptr_equal(one, again);
	assert_ptr_not_equal(one, other);
	assert_int_not_equal(stmtscope_id(one), 0);
	assert_int_not_equal(stmtscope_id(one), stmtscope_id(other));
	assert_string_equal(
		settings_get(stmtscope_settings(one), "search_path"), "a");
	stmtscope_release(one);
	stmtscope_release(again);
	stmtscope_release(other);
	assert_int_equal(settings_interned(), 0);
}

/* What does not change how a text is read keeps nobody apart. */
static void other_settings_do_not_matter(void **state)
{
	struct stmtscope *plain = stmtscope_open(&shop, settings_empty());
	struct stmtscope *named = open_with("application_name", "cron");

	(void)state;
	assert_ptr_equal(plain, named);
	assert_ptr_equal(stmtscope_settings(plain), settings_empty());
	stmtscope_release(plain);
	stmtscope_release(named);
}

static void places_keep_apart(void **state)
{
	static const struct stmtscope_place places[] = {
		{ "shop", "shop_db", "ann" },
		{ "shop", "shop_db", "bob" },
		{ "shop", "other", "ann" },
		{ "bank", "shop_db", "ann" },
		/* The same bytes, cut elsewhere. */
		{ "shopshop_db", "", "ann" },
	};
	enum { COUNT = sizeof(places) / sizeof(*places) };
	struct stmtscope *scopes[COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		scopes[i] = stmtscope_open(&places[i], settings_empty());
	for (size_t i = 0; i < COUNT; i++)
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(scopes[i], scopes[j]);
	assert_ptr_equal(stmtscope_epoch(scopes[0]),
			 stmtscope_epoch(scopes[3]));
	assert_ptr_not_equal(stmtscope_epoch(scopes[0]),
			     stmtscope_epoch(scopes[2]));
	for (size_t i = 0; i < COUNT; i++)
		stmtscope_release(scopes[i]);
}

static void one_that_stands_alone_is_nobody_elses(void **state)
{
	struct stmtscope *one = stmtscope_alone(&shop);
	struct stmtscope *other = stmtscope_alone(&shop);

	(void)state;
	assert_ptr_not_equal(one, other);
	assert_null(stmtscope_settings(one));
	stmtscope_release(one);
	stmtscope_release(other);
}

/* --- statements within scopes --------------------------------------------- */

static void scopes_keep_statements_apart(void **state)
{
	struct stmtscope *a = open_with("search_path", "a");
	struct stmtscope *b = open_with("search_path", "b");
	struct stmt *in_a = stmt_intern_in(a, TAIL("table t"));
	struct stmt *again = stmt_intern_in(a, TAIL("table t"));
	struct stmt *in_b = stmt_intern_in(b, TAIL("table t"));
	struct stmt *plain = stmt_intern(TAIL("table t"));

	(void)state;
	assert_ptr_equal(in_a, again);
	assert_ptr_not_equal(in_a, in_b);
	assert_ptr_not_equal(in_a, plain);
	assert_ptr_equal(stmt_scope(in_a), a);
	assert_null(stmt_scope(plain));
	assert_string_not_equal(stmt_server_name(in_a), stmt_server_name(in_b));
	stmtscope_release(a);
	/* The statement holds its scope. */
	assert_string_equal(settings_get(stmtscope_settings(stmt_scope(in_a)),
					 "search_path"),
			    "a");
	stmt_release(in_a);
	stmt_release(again);
	stmt_release(in_b);
	stmt_release(plain);
	stmtscope_release(b);
	assert_int_equal(stmt_count(), 0);
}

static void finding_makes_nothing(void **state)
{
	struct stmtscope *scope = stmtscope_open(&shop, settings_empty());
	struct stmt *stmt;
	struct stmt *found;

	(void)state;
	assert_null(stmt_find_in(scope, TAIL("select 1")));
	assert_int_equal(stmt_count(), 0);
	stmt = stmt_intern_in(scope, TAIL("select 1"));
	found = stmt_find_in(scope, TAIL("select 1"));
	assert_ptr_equal(found, stmt);
	assert_null(stmt_find_in(NULL, TAIL("select 1")));
	stmt_release(found);
	stmt_release(stmt);
	stmtscope_release(scope);
}

static void good_until_ddl_passes(void **state)
{
	struct stmtscope *scope = stmtscope_open(&shop, settings_empty());
	struct stmt *stmt = stmt_intern_in(scope, TAIL("table t"));
	uint64_t sent;

	(void)state;
	assert_false(stmt_is_good(stmt));
	stmt_note_good(stmt, stmt_epoch(stmt));
	assert_true(stmt_is_good(stmt));
	epoch_advance_of("shop_db");
	assert_false(stmt_is_good(stmt));
	/* Sent before the DDL, answered behind it. */
	sent = stmt_epoch(stmt);
	epoch_advance(stmtscope_epoch(scope));
	stmt_note_good(stmt, sent);
	assert_false(stmt_is_good(stmt));
	stmt_release(stmt);
	stmtscope_release(scope);
}

static void without_a_scope_nothing_is_known(void **state)
{
	struct stmt *stmt = stmt_intern(TAIL("table t"));

	(void)state;
	assert_int_equal(stmt_epoch(stmt), 0);
	stmt_note_good(stmt, stmt_epoch(stmt));
	assert_false(stmt_is_good(stmt));
	stmt_release(stmt);
}

/* --- statements on a server ----------------------------------------------- */

static void what_a_server_has_grows_stale(void **state)
{
	struct stmtscope *scope = stmtscope_open(&shop, settings_empty());
	struct stmt *stmt = stmt_intern_in(scope, TAIL("table t"));
	struct stmtset *set = stmtset_new(4);

	(void)state;
	assert_false(stmtset_use_fresh(set, stmt, 7));
	stmtset_set_epoch(set, stmt, 1);
	stmtset_add(set, stmt);
	assert_true(stmtset_use_fresh(set, stmt, 7));
	stmtset_set_epoch(set, stmt, stmt_epoch(stmt));
	assert_true(stmtset_use_fresh(set, stmt, 7));
	stmtset_set_batch(set, stmt, 7);
	assert_true(stmtset_use_fresh(set, stmt, 7));
	assert_false(stmtset_use_fresh(set, stmt, 8));
	stmtset_set_batch(set, stmt, 0);
	epoch_advance(stmtscope_epoch(scope));
	assert_false(stmtset_use_fresh(set, stmt, 7));
	assert_true(stmtset_use(set, stmt));
	stmtset_free(set);
	stmt_release(stmt);
	stmtscope_release(scope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_places_and_settings_share),
		cmocka_unit_test(other_settings_do_not_matter),
		cmocka_unit_test(places_keep_apart),
		cmocka_unit_test(one_that_stands_alone_is_nobody_elses),
		cmocka_unit_test(scopes_keep_statements_apart),
		cmocka_unit_test(finding_makes_nothing),
		cmocka_unit_test(good_until_ddl_passes),
		cmocka_unit_test(without_a_scope_nothing_is_known),
		cmocka_unit_test(what_a_server_has_grows_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
