/*
 * sqlprep: which prepared statements a text touches by SQL.
 */
#include "core/sqlprep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct sqlclass_context plain = { .plain_backslash = true,
					       .is_safe_encoding = true };

/* The uses as "P a; X b", "?" at the end when the walk is lost. */
static const char *uses_of(const char *sql)
{
	static const char letters[] = "PXDL";
	static char out[1024];
	struct sqlprep_use use;
	struct sqlprep walk;
	size_t len = 0;

	out[0] = '\0';
	sqlprep_init(&walk, sql, strlen(sql), &plain);
	while (sqlprep_next(&walk, &use)) {
		len += (size_t)snprintf(out + len, sizeof(out) - len,
					"%s%c%s%s", len ? "; " : "",
					letters[use.kind], *use.name ? " " : "",
					use.name);
	}
	if (sqlprep_is_lost(&walk))
		(void)snprintf(out + len, sizeof(out) - len, "?");
	return out;
}

static void every_form_is_found(void **state)
{
	static const struct {
		const char *sql;
		const char *uses;
	} rows[] = {
		{ "", "" },
		{ "SELECT 1", "" },
		{ "PREPARE a AS SELECT 1", "P a" },
		{ "prepare A (int, numeric(10, 2)) as select $1", "P a" },
		{ "PREPARE \"A\" (\"AS\") AS SELECT 1;", "P A" },
		{ "PREPARE TRANSACTION 'x'", "" },
		{ "PREPARE transaction AS SELECT 1", "P transaction" },
		{ "EXECUTE a", "X a" },
		{ "EXECUTE a(1, 'x;y')", "X a" },
		{ "/* c */ execute \"a\"\"b\" (1)", "X a\"b" },
		{ "EXPLAIN EXECUTE a", "X a" },
		{ "EXPLAIN ANALYZE VERBOSE EXECUTE a(1)", "X a" },
		{ "EXPLAIN (ANALYZE, COSTS off) EXECUTE a(1)", "X a" },
		{ "EXPLAIN SELECT 1", "" },
		{ "CREATE TABLE t AS EXECUTE a(1)", "X a" },
		{ "CREATE TEMP TABLE t (x, y) ON COMMIT DROP AS EXECUTE a",
		  "X a" },
		{ "CREATE TABLE t AS SELECT 1 AS execute", "" },
		{ "EXPLAIN CREATE TABLE t AS EXECUTE a", "X a" },
		{ "DEALLOCATE a", "D a" },
		{ "DEALLOCATE PREPARE a", "D a" },
		{ "DEALLOCATE prepare", "D prepare" },
		{ "DEALLOCATE prepare;", "D prepare" },
		{ "DEALLOCATE ALL", "" },
		{ "DEALLOCATE PREPARE ALL", "" },
		{ "DEALLOCATE \"all\"", "D all" },
		{ "DISCARD ALL", "" },
		{ "SELECT * FROM pg_prepared_statements", "L" },
		{ "SELECT pg_catalog.PG_PREPARED_STATEMENT()", "L" },
		{ "SELECT 'pg_prepared_statements'", "" },
		{ "SELECT * FROM pg_prepared_xacts", "" },
		{ "GRANT EXECUTE ON FUNCTION f TO u", "" },
		{ "CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION f()",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(uses_of(rows[i].sql), rows[i].uses);
}

static void texts_of_many_statements(void **state)
{
	(void)state;
	assert_string_equal(uses_of(";;PREPARE a AS SELECT 1; EXECUTE a;\n"
				    "DEALLOCATE a; SELECT 1; EXECUTE b;"),
			    "P a; X a; D a; X b");
	assert_string_equal(uses_of("PREPARE a AS SELECT pg_prepared_statement"
				    "(); EXECUTE c"),
			    "P a; X c");
}

static void what_cannot_be_told_is_said(void **state)
{
	(void)state;
	assert_string_equal(uses_of("EXECUTE U&\"a\""), "?");
	assert_string_equal(uses_of("DEALLOCATE U&\"a\"; EXECUTE b"), "X b?");
	assert_string_equal(uses_of("EXECUTE a; SELECT 'open"), "X a?");
	assert_string_equal(uses_of("PREPARE a AS SELECT 'open"), "?");
	/* The server will say what is wrong with these. */
	assert_string_equal(uses_of("EXECUTE"), "");
	assert_string_equal(uses_of("EXECUTE 'a'"), "");
	assert_string_equal(uses_of("PREPARE"), "");
	assert_string_equal(uses_of("PREPARE a"), "");
	assert_string_equal(uses_of("PREPARE a (int"), "");
	assert_string_equal(uses_of("PREPARE a SELECT 1; EXECUTE b"), "X b");
	assert_string_equal(uses_of("DEALLOCATE"), "");
	assert_string_equal(uses_of("EXPLAIN"), "");
	assert_string_equal(uses_of("EXPLAIN ("), "");
	assert_string_equal(uses_of("CREATE TABLE t AS EXECUTE"), "");
}

static void prepare_tells_its_parts(void **state)
{
	const char *sql = "SELECT 1; PREPARE a (int) AS SELECT $1 ; SELECT 2";
	struct sqlprep_use use;
	struct sqlprep walk;

	(void)state;
	sqlprep_init(&walk, sql, strlen(sql), &plain);
	assert_true(sqlprep_next(&walk, &use));
	assert_int_equal(use.kind, SQLPREP_PREPARE);
	assert_int_equal(use.len, strlen("PREPARE a (int) AS SELECT $1 "));
	assert_memory_equal(use.text, "PREPARE a (int) AS SELECT $1 ", use.len);
	assert_int_equal(use.query_len, strlen(" SELECT $1 "));
	assert_memory_equal(use.query, " SELECT $1 ", use.query_len);
	assert_false(sqlprep_next(&walk, &use));
	assert_false(sqlprep_next(&walk, &use));
	assert_false(sqlprep_is_lost(&walk));
}

static void prepare_without_semicolon(void **state)
{
	const char *sql = "PREPARE a AS SELECT 1 -- so";
	struct sqlprep_use use;
	struct sqlprep walk;

	(void)state;
	sqlprep_init(&walk, sql, strlen(sql), &plain);
	assert_true(sqlprep_next(&walk, &use));
	assert_ptr_equal(use.text + use.len, sql + strlen(sql));
	assert_ptr_equal(use.query, strstr(sql, " SELECT"));
}

/* --- names ---------------------------------------------------------------- */

static const char *stored(enum sqllex_kind kind, const char *text)
{
	static char out[SQLLEX_NAME_MAX + 1];
	const struct sqllex_token token = {
		.kind = kind,
		.text = text,
		.len = strlen(text),
		.has_doubled = strchr(text, '"') != NULL,
	};

	return sqlprep_name(&token, out) ? out : NULL;
}

static void names_are_stored_as_the_server_does(void **state)
{
	char name[81];
	char expected[64];

	(void)state;
	assert_string_equal(stored(SQLLEX_WORD, "FooBar"), "foobar");
	assert_string_equal(stored(SQLLEX_NAME, "FooBar"), "FooBar");
	assert_string_equal(stored(SQLLEX_NAME, "a\"\"b"), "a\"b");
	assert_null(stored(SQLLEX_NAME, ""));
	assert_null(stored(SQLLEX_UNICODE, "a"));
	assert_null(stored(SQLLEX_LITERAL, "'a'"));
	memset(name, 'x', 80);
	name[80] = '\0';
	memset(expected, 'x', 63);
	expected[63] = '\0';
	assert_string_equal(stored(SQLLEX_WORD, name), expected);
	/* Three bytes of one character over the end: all of them go. */
	memcpy(name + 61, "\xe2\x82\xac", 3);
	expected[61] = '\0';
	assert_string_equal(stored(SQLLEX_WORD, name), expected);
	/* It ends with the limit: it stays. */
	memset(name, 'x', 80);
	memcpy(name + 60, "\xe2\x82\xac", 3);
	memset(expected, 'x', 60);
	memcpy(expected + 60, "\xe2\x82\xac", 3);
	expected[63] = '\0';
	assert_string_equal(stored(SQLLEX_WORD, name), expected);
	memset(name, (char)0x80, 80);
	assert_null(stored(SQLLEX_WORD, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_found),
		cmocka_unit_test(texts_of_many_statements),
		cmocka_unit_test(what_cannot_be_told_is_said),
		cmocka_unit_test(prepare_tells_its_parts),
		cmocka_unit_test(prepare_without_semicolon),
		cmocka_unit_test(names_are_stored_as_the_server_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
