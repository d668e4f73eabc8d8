/* Rows of the system catalog, made here, into a snapshot. */
#include "control/catalog_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { COLUMNS_MAX = 9, RESULTS = 12 };

/* One row of text; a first column NULL ends the rows. */
struct cells {
	const char *at[COLUMNS_MAX];
};

static PGresult *make_result(const struct cells *rows, int columns)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc attributes[COLUMNS_MAX];

	memset(attributes, 0, sizeof(attributes));
	for (int i = 0; i < columns; i++)
		attributes[i].name = (char *)"x";
	assert_true(PQsetResultAttrs(result, columns, attributes));
	for (int row = 0; rows[row].at[0]; row++)
		for (int i = 0; i < columns; i++)
			assert_true(PQsetvalue(result, row, i,
					       (char *)rows[row].at[i],
					       (int)strlen(rows[row].at[i])));
	return result;
}

static const struct cells none[] = { { { NULL } } };

/*
 * id, schema, name, language, volatility, trusted, suspect, attribute,
 * leaves something in the session
 */
static const struct cells functions[] = {
	{ { "1", "public", "writer", "plpgsql", "v", "t", "f", "f", "t" } },
	{ { "2", "public", "reader", "sql", "s", "t", "f", "f", "f" } },
	{ { "3", "public", "liar", "plpgsql", "s", "t", "t", "f", "t" } },
	{ { "4", "public", "stranger", "plpython3u", "v", "f", "f", "f",
	    "t" } },
	{ { "5", "public", "quiet_stranger", "plpython3u", "s", "f", "f", "f",
	    "t" } },
	{ { "6", "public", "compiled", "c", "v", "t", "f", "f", "t" } },
	{ { "7", "public", "quick", "c", "s", "t", "f", "f", "f" } },
	{ { "8", "public", "uuid_generate_v4", "c", "v", "t", "f", "f", "f" } },
	{ { "9", "public", "gen_salt", "plpgsql", "v", "t", "f", "f", "f" } },
	{ { "10", "public", "column_like", "sql", "v", "t", "f", "t", "t" } },
	{ { "11", "public", "column_like_too", "sql", "s", "t", "f", "t",
	    "f" } },
	{ { "12", "public", "atomic", "sql", "s", "t", "f", "f", "f" } },
	{ { "13", "public", "atomic_ok", "sql", "s", "t", "f", "f", "f" } },
	{ { NULL } },
};

/* of, called, its name, its volatility, schema, name */
static const struct cells bodies[] = {
	{ { "12", "1", "writer", "v", "public", "atomic" } },
	{ { "13", "2", "reader", "s", "public", "atomic_ok" } },
	{ { NULL } },
};

/* id, schema, name, unsafe by itself */
static const struct cells relations[] = {
	{ { "101", "public", "t", "f" } },
	{ { "102", "public", "sq", "t" } },
	{ { "103", "public", "v_writer", "f" } },
	{ { "104", "public", "v_above", "f" } },
	{ { "105", "public", "v_stat", "f" } },
	{ { "106", "public", "v_class", "f" } },
	{ { "107", "public", "v_plain", "f" } },
	{ { "108", "public", "v_next", "f" } },
	{ { "109", "public", "v_atomic", "f" } },
	{ { "110", "Other", "Mixed", "f" } },
	{ { "111", "public", "v_eq", "f" } },
	{ { "112", "public", "v_odd", "f" } },
	{ { NULL } },
};

/* of, called, its name, its volatility */
static const struct cells calls[] = {
	{ { "103", "1", "writer", "v" } },
	{ { "107", "2", "reader", "s" } },
	{ { "107", "901", "abs", "i" } },
	{ { "108", "902", "nextval", "v" } },
	{ { "109", "12", "atomic", "s" } },
	{ { "111", "903", "int4eq", "i" } },
	{ { "112", "904", "no_such", "v" } },
	{ { "999", "1", "writer", "v" } },
	{ { NULL } },
};

/* of, below, its schema, its name */
static const struct cells below[] = {
	{ { "104", "103", "public", "v_writer" } },
	{ { "104", "101", "public", "t" } },
	{ { "105", "800", "pg_catalog", "pg_stat_activity" } },
	{ { "106", "801", "pg_catalog", "pg_class" } },
	{ { "107", "101", "public", "t" } },
	{ { NULL } },
};

static const struct cells operators[] = {
	{ { "<&&>", "1" } },
	{ { "<->", "2" } },
	{ { NULL } },
};

/* type, function, its name, its volatility */
static const struct cells types[] = {
	{ { "writing_domain", "1", "writer", "v" } },
	{ { "reading_domain", "2", "reader", "s" } },
	{ { NULL } },
};

static const struct cells casts[] = {
	{ { "text", "1", "writer", "v" } },
	{ { NULL } },
};

static const int columns[RESULTS] = { 1, 9, 6, 4, 4, 4, 2, 4, 1, 1, 2, 2 };

/* Adds the results before the one that is given and that one. */
static bool add(struct catalog_rows *rows, int at, const struct cells *cell)
{
	PGresult *result = make_result(cell, columns[at]);
	bool is_taken = catalog_rows_add(rows, result);

	PQclear(result);
	return is_taken;
}

static struct catalog *load(const struct cells *all[RESULTS])
{
	struct catalog_rows *rows = catalog_rows_new();
	struct catalog *catalog;

	for (int i = 0; i < RESULTS; i++) {
		assert_null(catalog_rows_finish(rows));
		assert_true(add(rows, i, all[i] ? all[i] : none));
	}
	catalog = catalog_rows_finish(rows);
	assert_non_null(catalog);
	return catalog;
}

static struct catalog *load_all(void)
{
	const struct cells *all[RESULTS] = { none,      functions, bodies,
					     relations, calls,     below,
					     operators, types,     none,
					     none,      none };

	return load(all);
}

static enum catalog_function find(const struct catalog *catalog,
				  const char *name, uint32_t *effects)
{
	return catalog_find_function(catalog, "public", 6, name, strlen(name),
				     effects);
}

static void test_functions(void **state)
{
	static const struct {
		const char *name;
		enum catalog_function kind;
		bool leaves;
	} expected[] = {
		{ "writer", FUNCTION_PRIMARY, true },
		{ "reader", FUNCTION_SAFE, false },
		{ "liar", FUNCTION_PRIMARY, true },
		{ "stranger", FUNCTION_NEVER_REPLICA, true },
		{ "quiet_stranger", FUNCTION_PRIMARY, true },
		{ "compiled", FUNCTION_NEVER_REPLICA, true },
		{ "quick", FUNCTION_SAFE, false },
		{ "uuid_generate_v4", FUNCTION_SAFE, false },
		{ "gen_salt", FUNCTION_PRIMARY, false },
		{ "atomic", FUNCTION_PRIMARY, true },
		{ "atomic_ok", FUNCTION_SAFE, false },
		{ "nobody", FUNCTION_MISSING, false },
	};
	struct catalog *catalog = load_all();

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		uint32_t effects;

		assert_int_equal(find(catalog, expected[i].name, &effects),
				 expected[i].kind);
		assert_int_equal(effects,
				 expected[i].leaves ? EFFECT_HIDDEN : 0);
	}
	catalog_release(catalog);
}

static void test_relations(void **state)
{
	static const struct {
		const char *name;
		enum catalog_relation kind;
	} expected[] = {
		{ "t", RELATION_PLAIN },
		{ "sq", RELATION_PRIMARY },
		{ "v_writer", RELATION_PRIMARY },
		{ "v_above", RELATION_PRIMARY },
		{ "v_stat", RELATION_NODE_LOCAL },
		{ "v_class", RELATION_SYSTEM },
		{ "v_plain", RELATION_PLAIN },
		{ "v_next", RELATION_PRIMARY },
		{ "v_atomic", RELATION_PRIMARY },
		{ "v_eq", RELATION_PLAIN },
		{ "v_odd", RELATION_PRIMARY },
		{ "Mixed", RELATION_PLAIN },
		{ "mixed", RELATION_MISSING },
	};
	struct catalog *catalog = load_all();

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(catalog_find_relation(
					 catalog, NULL, 0, expected[i].name,
					 strlen(expected[i].name)),
				 expected[i].kind);
	catalog_release(catalog);
}

static void test_hidden(void **state)
{
	struct catalog *catalog = load_all();

	(void)state;
	assert_true(catalog_is_hidden(catalog, HIDDEN_OPERATOR, "<&&>", 4));
	assert_false(catalog_is_hidden(catalog, HIDDEN_OPERATOR, "<->", 3));
	assert_true(
		catalog_is_hidden(catalog, HIDDEN_TYPE, "writing_domain", 14));
	assert_false(
		catalog_is_hidden(catalog, HIDDEN_TYPE, "reading_domain", 14));
	assert_true(catalog_is_hidden(catalog, HIDDEN_ATTRIBUTE, "column_like",
				      11));
	assert_false(catalog_is_hidden(catalog, HIDDEN_ATTRIBUTE,
				       "column_like_too", 15));
	assert_true(catalog_is_certain(catalog));
	catalog_release(catalog);
}

/* A volatile cast to a built-in type can be anywhere. */
static void test_unseen_casts(void **state)
{
	const struct cells *all[RESULTS] = { none, functions, none, none,
					     none, none,      none, casts,
					     none, none,      none };
	struct catalog *catalog = load(all);

	(void)state;
	assert_false(catalog_is_certain(catalog));
	assert_false(catalog_is_hidden(catalog, HIDDEN_TYPE, "text", 4));
	catalog_release(catalog);
}

static void test_triggers(void **state)
{
	static const struct cells one[] = { { { "1" } }, { { NULL } } };
	const struct cells *all[RESULTS] = { none, none, none, none, none, none,
					     none, none, one,  none, none };
	struct catalog *catalog = load_all();

	(void)state;
	assert_false(catalog_hides_writes(catalog));
	assert_false(catalog_hides_writes(NULL));
	catalog_release(catalog);
	catalog = load(all);
	assert_true(catalog_hides_writes(catalog));
	assert_false(catalog_reads_back(catalog));
	catalog_release(catalog);
}

static void test_reading_back(void **state)
{
	static const struct cells one[] = { { { "1" } }, { { NULL } } };
	const struct cells *all[RESULTS] = { none, none, none, none, none, none,
					     none, none, none, one,  none };
	struct catalog *catalog = load(all);

	(void)state;
	assert_true(catalog_reads_back(catalog));
	assert_false(catalog_reads_back(NULL));
	assert_false(catalog_hides_writes(catalog));
	catalog_release(catalog);
}

/* What logins find set. */
static void test_defaults(void **state)
{
	static const struct cells some[] = {
		{ { "", "work_mem=4MB" } },
		{ { "slow", "default_transaction_isolation=repeatable read" } },
		{ { "usual", "default_transaction_isolation=Read Committed" } },
		{ { "usual",
		    "default_transaction_isolation=read uncommitted" } },
		{ { "loose", "synchronous_commit=off" } },
		{ { "usual", "synchronous_commit=local" } },
		{ { NULL } },
	};
	static const struct cells everybody[] = {
		{ { "", "default_transaction_isolation=serializable" } },
		{ { NULL } },
	};
	const struct cells *all[RESULTS] = { none, none, none, none, none, none,
					     none, none, none, none, some };
	struct catalog *catalog = load(all);

	(void)state;
	assert_true(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "slow"));
	assert_false(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "usual"));
	assert_false(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "loose"));
	assert_true(catalog_is_role(catalog, HIDDEN_ASYNCHRONOUS, "loose"));
	assert_false(catalog_is_role(catalog, HIDDEN_ASYNCHRONOUS, "usual"));
	assert_false(catalog_is_role(NULL, HIDDEN_ASYNCHRONOUS, "loose"));
	catalog_release(catalog);
	all[RESULTS - 1] = everybody;
	catalog = load(all);
	assert_true(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "usual"));
	catalog_release(catalog);
}

static void test_other_answers(void **state)
{
	struct catalog_rows *rows = catalog_rows_new();
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);

	(void)state;
	assert_false(catalog_rows_add(rows, result));
	PQclear(result);
	assert_true(add(rows, 0, none));
	/* Too few columns for functions. */
	result = make_result(none, 3);
	assert_false(catalog_rows_add(rows, result));
	PQclear(result);
	assert_null(catalog_rows_finish(rows));
	catalog_rows_free(rows);
	catalog_rows_free(NULL);
}

static void test_one_too_many(void **state)
{
	struct catalog_rows *rows = catalog_rows_new();

	(void)state;
	for (int i = 0; i < RESULTS; i++)
		assert_true(add(rows, i, none));
	assert_false(add(rows, 0, none));
	catalog_release(catalog_rows_finish(rows));
}

/* As many statements as results are expected. */
static void test_query(void **state)
{
	int statements = 0;

	(void)state;
	for (int part = CATALOG_ROWS_COMMON; part <= CATALOG_ROWS_OWN; part++) {
		const char *at =
			catalog_rows_query((enum catalog_rows_part)part);

		for (; (at = strchr(at, ';')) != NULL; at++)
			statements++;
	}
	assert_int_equal(statements, RESULTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_triggers),
		cmocka_unit_test(test_reading_back),
		cmocka_unit_test(test_unseen_casts),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_other_answers),
		cmocka_unit_test(test_one_too_many),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
