/* Rows of the system catalog, made here, into a snapshot. */
#include "control/catalog_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { COLUMNS_MAX = 10, RESULTS = 10 };
/* Results by their place. */
enum {
	FUNCTIONS = 1,
	RELATIONS,
	TYPES,
	OPERATORS,
	USES,
	TRIGGERS,
	READING_BACK,
	DEFAULTS
};

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
 * id, schema, name, language, volatility, trusted, opaque, attribute, leaves
 * something in the session, tells the time
 */
static const struct cells functions[] = {
	{ { "1", "public", "writer", "plpgsql", "v", "t", "f", "f", "t",
	    "f" } },
	{ { "2", "public", "reader", "sql", "s", "t", "f", "f", "f", "f" } },
	{ { "3", "public", "liar", "plpgsql", "s", "t", "t", "f", "t", "f" } },
	{ { "4", "public", "stranger", "plpython3u", "v", "f", "f", "f", "t",
	    "f" } },
	{ { "5", "public", "quiet_stranger", "plpython3u", "s", "f", "f", "f",
	    "t", "f" } },
	{ { "6", "public", "compiled", "c", "v", "t", "f", "f", "t", "f" } },
	{ { "7", "public", "quick", "c", "s", "t", "f", "f", "f", "f" } },
	{ { "8", "public", "uuid_generate_v4", "c", "v", "t", "f", "f", "f",
	    "f" } },
	{ { "9", "public", "gen_salt", "plpgsql", "v", "t", "f", "f", "f",
	    "f" } },
	{ { "10", "public", "column_like", "sql", "v", "t", "f", "t", "t",
	    "f" } },
	{ { "11", "public", "column_like_too", "sql", "s", "t", "f", "t", "f",
	    "f" } },
	{ { "12", "public", "atomic", "sql", "s", "t", "f", "f", "f", "f" } },
	{ { "13", "public", "atomic_ok", "sql", "s", "t", "f", "f", "f",
	    "f" } },
	{ { "14", "public", "timely", "sql", "s", "t", "f", "f", "f", "t" } },
	{ { "15", "public", "reads_view", "sql", "s", "t", "f", "f", "f",
	    "f" } },
	{ { "16", "public", "a_column", "sql", "s", "t", "f", "t", "f", "f" } },
	{ { "17", "public", "sets", "sql", "s", "t", "f", "f", "f", "f" } },
	{ { "18", "public", "adds_up", "internal", "i", "t", "f", "f", "f",
	    "f" } },
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
	{ { "113", "public", "v_time", "f" } },
	{ { "114", "public", "v_domain", "f" } },
	{ { "115", "public", "v_lock", "f" } },
	{ { NULL } },
};

/* id, name, cast that no text shows */
static const struct cells types[] = {
	{ { "201", "writing_domain", "f" } },
	{ { "202", "reading_domain", "f" } },
	{ { "203", "cast_from", "f" } },
	{ { "204", "cast_to", "f" } },
	{ { NULL } },
};

/* id, name, function; of a built-in one its name and volatility */
static const struct cells operators[] = {
	{ { "301", "<&&>", "1", "", "" } },
	{ { "302", "<->", "2", "", "" } },
	{ { "303", "###", "901", "pg_try_advisory_xact_lock", "v" } },
	{ { "304", "@@@@", "14", "", "" } },
	{ { NULL } },
};

/* of, used; of a built-in one schema, name and volatility */
static const struct cells uses[] = {
	{ { "f12", "f1", "", "", "" } },
	{ { "f13", "f2", "", "", "" } },
	{ { "f15", "r104", "", "", "" } },
	{ { "f16", "f3", "", "", "" } },
	{ { "f17", "f902", "", "set_config", "v" } },
	{ { "f18", "f903", "", "int4pl", "i" } },
	{ { "r103", "f1", "", "", "" } },
	{ { "r107", "f2", "", "", "" } },
	{ { "r107", "f904", "", "abs", "i" } },
	{ { "r108", "f905", "", "nextval", "v" } },
	{ { "r109", "f12", "", "", "" } },
	{ { "r111", "f906", "", "int4eq", "i" } },
	{ { "r112", "f907", "", "no_such", "v" } },
	{ { "r999", "f1", "", "", "" } },
	{ { "r104", "r103", "", "", "" } },
	{ { "r104", "r101", "", "", "" } },
	{ { "r105", "r800", "pg_catalog", "pg_stat_activity", "" } },
	{ { "r106", "r801", "pg_catalog", "pg_class", "" } },
	{ { "r107", "r101", "", "", "" } },
	{ { "r113", "f1299", "", "now", "s" } },
	{ { "r114", "d201", "", "", "" } },
	{ { "r115", "f17", "", "", "" } },
	{ { "d201", "f1", "", "", "" } },
	{ { "d202", "f2", "", "", "" } },
	{ { "c203", "f1", "", "", "" } },
	{ { "k204", "f1", "", "", "" } },
	{ { "populate", "d202", "", "", "" } },
	{ { NULL } },
};

static const int columns[RESULTS] = { 1, 10, 4, 3, 5, 5, 1, 1, 2, 2 };

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

/* All of them empty but one. */
static struct catalog *load_one(int at, const struct cells *cells)
{
	const struct cells *all[RESULTS];

	for (int i = 0; i < RESULTS; i++)
		all[i] = none;
	all[at] = cells;
	return load(all);
}

static struct catalog *load_all(void)
{
	const struct cells *all[RESULTS] = { none,  functions, relations,
					     types, operators, uses,
					     none,  none,      none };

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
		{ "timely", FUNCTION_SAFE, false },
		{ "reads_view", FUNCTION_PRIMARY, true },
		{ "a_column", FUNCTION_PRIMARY, true },
		{ "sets", FUNCTION_PRIMARY, true },
		{ "adds_up", FUNCTION_SAFE, false },
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
		{ "v_time", RELATION_PLAIN },
		{ "v_domain", RELATION_PRIMARY },
		{ "v_lock", RELATION_PRIMARY },
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

static bool is_hidden(const struct catalog *catalog, enum catalog_hidden what,
		      const char *name)
{
	return catalog_is_hidden(catalog, what, name, strlen(name));
}

static void test_hidden(void **state)
{
	struct catalog *catalog = load_all();

	(void)state;
	assert_true(is_hidden(catalog, HIDDEN_OPERATOR, "<&&>"));
	assert_true(is_hidden(catalog, HIDDEN_OPERATOR, "###"));
	assert_false(is_hidden(catalog, HIDDEN_OPERATOR, "<->"));
	assert_true(is_hidden(catalog, HIDDEN_TYPE, "writing_domain"));
	assert_false(is_hidden(catalog, HIDDEN_TYPE, "reading_domain"));
	assert_true(is_hidden(catalog, HIDDEN_TYPE, "cast_from"));
	assert_true(is_hidden(catalog, HIDDEN_TYPE, "cast_to"));
	assert_true(is_hidden(catalog, HIDDEN_ATTRIBUTE, "column_like"));
	assert_true(is_hidden(catalog, HIDDEN_ATTRIBUTE, "a_column"));
	assert_false(is_hidden(catalog, HIDDEN_ATTRIBUTE, "column_like_too"));
	assert_true(is_hidden(catalog, HIDDEN_TIME, "timely"));
	assert_true(is_hidden(catalog, HIDDEN_TIME, "v_time"));
	assert_true(is_hidden(catalog, HIDDEN_TIME, "@@@@"));
	assert_false(is_hidden(catalog, HIDDEN_TIME, "reader"));
	assert_true(is_hidden(catalog, HIDDEN_LEAVING, "v_lock"));
	assert_true(is_hidden(catalog, HIDDEN_LEAVING, "v_writer"));
	assert_true(is_hidden(catalog, HIDDEN_LEAVING, "v_next"));
	assert_false(is_hidden(catalog, HIDDEN_LEAVING, "v_time"));
	assert_true(catalog_is_certain(catalog));
	assert_false(catalog_is_treacherous(catalog));
	catalog_release(catalog);
}

/* A type that no text names: json_populate_record() makes any. */
static void test_populating(void **state)
{
	static const struct cells of_writer[] = {
		{ { "populate", "d201", "", "", "" } },
		{ { "d201", "f1", "", "", "" } },
		{ { "f2", "f3960", "", "json_populate_record", "s" } },
		{ { NULL } },
	};
	const struct cells *all[RESULTS] = { none, functions, none,
					     none, none,      of_writer,
					     none, none,      none };
	struct catalog *catalog = load_all();
	const char *name = "json_populate_record";

	(void)state;
	assert_int_equal(catalog_find_function(catalog, NULL, 0, name,
					       strlen(name), NULL),
			 FUNCTION_SAFE);
	catalog_release(catalog);
	catalog = load(all);
	assert_int_equal(catalog_find_function(catalog, NULL, 0, name,
					       strlen(name), NULL),
			 FUNCTION_PRIMARY);
	assert_int_equal(find(catalog, "reader", NULL), FUNCTION_PRIMARY);
	catalog_release(catalog);
}

/* A volatile cast to a built-in type can be anywhere. */
static void test_unseen_casts(void **state)
{
	static const struct cells text[] = { { { "25", "text", "f" } },
					     { { NULL } } };
	static const struct cells everywhere[] = { { { "25", "text", "t" } },
						   { { NULL } } };
	static const struct cells cast[] = { { { "k25", "f1", "", "", "" } },
					     { { NULL } } };
	const struct cells *all[RESULTS] = { none, functions, none, text, none,
					     cast, none,      none, none };
	struct catalog *catalog = load(all);

	(void)state;
	assert_false(catalog_is_certain(catalog));
	assert_false(catalog_is_treacherous(catalog));
	assert_false(is_hidden(catalog, HIDDEN_TYPE, "text"));
	catalog_release(catalog);
	all[TYPES] = everywhere;
	catalog = load(all);
	assert_true(catalog_is_treacherous(catalog));
	catalog_release(catalog);
}

/* What IN and CASE use by themselves. */
static void test_implied_operators(void **state)
{
	static const struct cells equal[] = { { { "301", "=", "1", "", "" } },
					      { { NULL } } };
	const struct cells *all[RESULTS] = { none, functions, none, none, equal,
					     none, none,      none, none };
	struct catalog *catalog = load(all);

	(void)state;
	assert_true(catalog_is_treacherous(catalog));
	catalog_release(catalog);
}

static void test_triggers(void **state)
{
	static const struct cells one[] = { { { "1" } }, { { NULL } } };
	struct catalog *catalog = load_all();

	(void)state;
	assert_false(catalog_hides_writes(catalog));
	assert_false(catalog_hides_writes(NULL));
	catalog_release(catalog);
	catalog = load_one(TRIGGERS, one);
	assert_true(catalog_hides_writes(catalog));
	assert_false(catalog_reads_back(catalog));
	catalog_release(catalog);
}

static void test_reading_back(void **state)
{
	static const struct cells one[] = { { { "1" } }, { { NULL } } };
	struct catalog *catalog = load_one(READING_BACK, one);

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
	struct catalog *catalog = load_one(DEFAULTS, some);

	(void)state;
	assert_true(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "slow"));
	assert_false(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "usual"));
	assert_false(catalog_is_role(catalog, HIDDEN_SNAPSHOTS, "loose"));
	assert_true(catalog_is_role(catalog, HIDDEN_ASYNCHRONOUS, "loose"));
	assert_false(catalog_is_role(catalog, HIDDEN_ASYNCHRONOUS, "usual"));
	assert_false(catalog_is_role(NULL, HIDDEN_ASYNCHRONOUS, "loose"));
	catalog_release(catalog);
	catalog = load_one(DEFAULTS, everybody);
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
		cmocka_unit_test(test_populating),
		cmocka_unit_test(test_unseen_casts),
		cmocka_unit_test(test_implied_operators),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_other_answers),
		cmocka_unit_test(test_one_too_many),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
