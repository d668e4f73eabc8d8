/*
 * The verdicts: every row of sqlcases.tsv, then what rows cannot say (limits,
 * contexts, commands).
 */
#include "core/sqlclass.h"

#include "core/sqllevel.h"
#include "sqlcases.h"
#include "sqlfixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static struct sqlclass_context context = {
	.plain_backslash = true,
	.is_safe_encoding = true,
};

static int set_up(void **state)
{
	(void)state;
	context.catalog = fixture_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	catalog_release(context.catalog);
	return 0;
}

static struct sqlclass judge(const char *sql)
{
	return sqlclass_judge(sql, strlen(sql), &context);
}

static void test_rows(void **state)
{
	struct sqlcase row = { 0 };
	FILE *file = sqlcases_open();
	unsigned rows = 0;

	(void)state;
	while (sqlcases_next(file, &row)) {
		/* Just as long, so that a byte too far is noticed. */
		char *copy = malloc(row.len + 1);
		struct sqlclass got;

		memcpy(copy, row.sql, row.len);
		got = sqlclass_judge(copy, row.len, &context);
		free(copy);
		if (got.access != row.expected.access ||
		    got.reason != row.expected.reason ||
		    got.effects != row.expected.effects ||
		    got.is_certain != row.expected.is_certain)
			fail_msg("sqlcases.tsv:%u: got %s %s %#x %d for %s",
				 row.line, sqlcase_accesses[got.access],
				 sqlcase_reasons[got.reason],
				 (unsigned)got.effects, got.is_certain,
				 row.sql);
		rows++;
	}
	(void)fclose(file);
	assert_true(rows > 400);
}

/* Cut anywhere, a text must not make the judge read beyond its end. */
static void test_cut_rows(void **state)
{
	struct sqlcase row = { 0 };
	FILE *file = sqlcases_open();

	(void)state;
	while (sqlcases_next(file, &row)) {
		for (size_t len = 0; len < row.len; len++) {
			char *copy = malloc(len ? len : 1);
			struct sqlclass got;

			memcpy(copy, row.sql, len);
			got = sqlclass_judge(copy, len, &context);
			assert_true(got.access <= ACCESS_UNKNOWN);
			free(copy);
		}
	}
	(void)fclose(file);
}

static void expect_without_catalog(const char *sql, unsigned access,
				   unsigned reason)
{
	const struct sqlclass_context bare = { NULL, true, true };
	struct sqlclass got = sqlclass_judge(sql, strlen(sql), &bare);

	assert_int_equal(got.access, access);
	assert_int_equal(got.reason, reason);
	assert_false(got.is_certain);
}

/* Who may draw from a sequence, and who only looks. */
static void test_may_draw(void **state)
{
	static const struct {
		const char *sql;
		bool may_draw;
	} rows[] = {
		{ "SELECT 1", false },
		{ "SELECT lastval()", false },
		{ "SELECT pg_is_in_recovery()", false },
		{ "SELECT * FROM t FOR UPDATE", false },
		{ "CREATE TABLE x (a int)", false },
		{ "BEGIN", false },
		{ "SET work_mem = 1", false },
		{ "SELECT nextval('s')", true },
		{ "SELECT setval('s', 1)", true },
		{ "INSERT INTO t VALUES (1)", true },
		{ "UPDATE t SET a = DEFAULT", true },
		{ "DELETE FROM t", true },
		{ "MERGE INTO t USING u ON a = b WHEN NOT MATCHED THEN "
		  "INSERT VALUES (1)",
		  true },
		{ "COPY t FROM STDIN", true },
		{ "COPY t TO STDOUT", false },
		{ "CALL p()", true },
		{ "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) "
		  "SELECT * FROM x",
		  true },
		{ "SELECT 1; INSERT INTO t VALUES (1)", true },
	};
	const struct sqlclass_context bare = { NULL, true, true };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (sqlclass_judge(rows[i].sql, strlen(rows[i].sql), &bare)
			    .may_draw != rows[i].may_draw)
			fail_msg("%s", rows[i].sql);
	assert_true(sqlclass_judge_prefix("INSERT INTO t", 13).may_draw);
}

/* DDL that may make another thing of a text that is a read. */
static void test_redefines(void **state)
{
	static const struct {
		const char *sql;
		bool redefines;
	} rows[] = {
		{ "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''", true },
		{ "CREATE OR REPLACE VIEW v AS SELECT 1", true },
		{ "CREATE OPERATOR + (FUNCTION = f)", true },
		{ "CREATE POLICY p ON t", true },
		{ "CREATE EXTENSION x", true },
		{ "CREATE DOMAIN d AS int", true },
		{ "ALTER TABLE t ENABLE ROW LEVEL SECURITY", true },
		{ "ALTER TABLE t RENAME TO u", true },
		{ "ALTER TABLE t ATTACH PARTITION p DEFAULT", true },
		{ "ALTER TABLE t ADD COLUMN a int", false },
		{ "ALTER ROLE r SET work_mem = '1MB'", false },
		{ "ALTER FUNCTION f VOLATILE", true },
		{ "SELECT 1; ALTER FUNCTION f VOLATILE; SELECT 2", true },
		{ "CREATE TABLE t (a int)", false },
		{ "CREATE UNLOGGED TABLE t (a int)", false },
		{ "CREATE UNIQUE INDEX ON t (a)", false },
		{ "CREATE TEMP VIEW v AS SELECT 1", false },
		{ "DROP FUNCTION f", false },
		{ "GRANT SELECT ON t TO u", false },
		{ "INSERT INTO t VALUES (1)", false },
		{ "SELECT 1", false },
	};
	const struct sqlclass_context bare = { NULL, true, true };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (sqlclass_judge(rows[i].sql, strlen(rows[i].sql), &bare)
			    .redefines != rows[i].redefines)
			fail_msg("%s", rows[i].sql);
}

static void test_without_catalog(void **state)
{
	(void)state;
	expect_without_catalog("SELECT 1", ACCESS_READ, REASON_NONE);
	expect_without_catalog("SELECT lower('X'), now()", ACCESS_READ,
			       REASON_NONE);
	expect_without_catalog("SELECT relname FROM pg_class", ACCESS_READ,
			       REASON_CATALOG);
	expect_without_catalog("SELECT * FROM t", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	expect_without_catalog("SELECT st(1)", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	/* Operators and types, too, may be anybody's. */
	expect_without_catalog("SELECT 1 + 2 * 3::bigint = '5'::text::int8",
			       ACCESS_READ, REASON_NONE);
	expect_without_catalog("SELECT CAST('1' AS double precision), date "
			       "'today', '{}'::int[], 1::numeric(3, 1), "
			       "'x'::pg_catalog.text COLLATE \"C\", interval "
			       "'1' day, '1'::timestamp with time zone",
			       ACCESS_READ, REASON_NONE);
	expect_without_catalog("SELECT 1 +! 2", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	expect_without_catalog("SELECT 1 OPERATOR(public.<=>) 2",
			       ACCESS_UNKNOWN, REASON_NO_CATALOG);
	expect_without_catalog("SELECT 'x'::mood", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	expect_without_catalog("SELECT CAST(1 AS public.int4)", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	expect_without_catalog("SELECT mood 'x'", ACCESS_UNKNOWN,
			       REASON_NO_CATALOG);
	expect_without_catalog("SELECT nextval('x')", ACCESS_WRITE,
			       REASON_FUNCTION);
	expect_without_catalog("SELECT * FROM pg_locks", ACCESS_UNKNOWN,
			       REASON_NODE_LOCAL);
	expect_without_catalog("DELETE FROM t", ACCESS_WRITE, REASON_VERB);
}

static void test_uncertain_catalog(void **state)
{
	struct catalog_builder *builder = catalog_builder_new();
	struct sqlclass_context other = context;
	struct sqlclass got;

	(void)state;
	catalog_set_uncertain(builder);
	other.catalog = catalog_finish(builder);
	got = sqlclass_judge("SELECT 1", 8, &other);
	assert_int_equal(got.access, ACCESS_READ);
	assert_false(got.is_certain);
	catalog_release(other.catalog);
}

static void expect_uncertain(const char *sql)
{
	struct sqlclass got = judge(sql);

	assert_int_equal(got.access, ACCESS_READ);
	assert_false(got.is_certain);
}

static void test_uncertain_parts(void **state)
{
	(void)state;
	expect_uncertain("SELECT 1::othertype");
	expect_uncertain("SELECT 1::public.int4");
	expect_uncertain("SELECT CAST(1 AS othertype)");
	expect_uncertain("SELECT othertype '1'");
	expect_uncertain("SELECT 1::U&\"int4\"");
	expect_uncertain("SELECT 1 <!> 2");
	expect_uncertain("SELECT st(1)");
	expect_uncertain("FETCH 1 FROM c");
	expect_uncertain("SELECT * FROM json_to_record('{}') AS x(a other)");
	assert_true(judge("SELECT 1::pg_catalog.int4").is_certain);
}

static void test_commands(void **state)
{
	static const struct {
		const char *sql;
		enum sqlclass_command command;
		unsigned statements;
	} rows[] = {
		{ "", COMMAND_OTHER, 0 },
		{ ";;", COMMAND_OTHER, 0 },
		{ "SELECT 1", COMMAND_OTHER, 1 },
		{ "SELECT 1; SELECT 2;", COMMAND_OTHER, 2 },
		{ "BEGIN", COMMAND_BEGIN, 1 },
		{ ";begin work;", COMMAND_BEGIN, 1 },
		{ "START TRANSACTION", COMMAND_BEGIN, 1 },
		{ "START REPLICATION", COMMAND_OTHER, 1 },
		{ "COMMIT", COMMAND_COMMIT, 1 },
		{ "END TRANSACTION", COMMAND_COMMIT, 1 },
		{ "COMMIT PREPARED 'a'", COMMAND_OTHER, 1 },
		{ "ROLLBACK", COMMAND_ROLLBACK, 1 },
		{ "ABORT WORK AND CHAIN", COMMAND_ROLLBACK, 1 },
		{ "ROLLBACK TO x", COMMAND_ROLLBACK_TO, 1 },
		{ "ROLLBACK TRANSACTION TO SAVEPOINT x", COMMAND_ROLLBACK_TO,
		  1 },
		{ "ROLLBACK PREPARED 'a'", COMMAND_OTHER, 1 },
		{ "PREPARE TRANSACTION 'a'", COMMAND_OTHER, 1 },
		{ "SET TRANSACTION READ ONLY", COMMAND_SET_TRANSACTION, 1 },
		{ "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		  COMMAND_OTHER, 1 },
		{ "SAVEPOINT x", COMMAND_OTHER, 1 },
		{ "BEGIN; SELECT 1; COMMIT", COMMAND_MIXED, 3 },
		{ "SELECT 1; COMMIT", COMMAND_MIXED, 2 },
		{ "COMMIT; SELECT 1", COMMAND_MIXED, 2 },
		{ "BEGIN; FOO", COMMAND_MIXED, 2 },
		{ "\"BEGIN\"", COMMAND_OTHER, 1 },
	};

	(void)state;
	for (size_t i = 0; i < SQLCASE_COUNT(rows); i++) {
		struct sqlclass got = judge(rows[i].sql);

		assert_int_equal(got.command, rows[i].command);
		assert_int_equal(got.statements, rows[i].statements);
	}
}

/* The worst access, with its reason, and the effects of all. */
static void test_several_statements(void **state)
{
	struct sqlclass got;

	(void)state;
	got = judge("SELECT * FROM missing; DELETE FROM t");
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_int_equal(got.reason, REASON_VERB);
	got = judge("DELETE FROM t; SELECT * FROM missing; SET x = 1");
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_int_equal(got.reason, REASON_VERB);
	assert_int_equal(got.effects, EFFECT_SET);
	got = judge("SELECT 1; SELECT relname FROM pg_class; SELECT 2");
	assert_int_equal(got.access, ACCESS_READ);
	assert_int_equal(got.reason, REASON_CATALOG);
	got = judge("LISTEN x; SELECT pg_advisory_lock(1)");
	assert_int_equal(got.effects, EFFECT_LISTEN | EFFECT_ADVISORY);
	got = judge("SELECT 1; SELECT st(1)");
	assert_false(got.is_certain);
	/* What cannot be read may be anything. */
	got = judge("SELECT 1; 'x");
	assert_int_equal(got.access, ACCESS_UNKNOWN);
	assert_true(got.effects & EFFECT_HIDDEN);
}

static void test_many_statements(void **state)
{
	size_t count = 70000;
	char *sql = malloc(count * 2);
	struct sqlclass got;

	(void)state;
	for (size_t i = 0; i < count; i++)
		memcpy(sql + i * 2, "x;", 2);
	got = sqlclass_judge(sql, count * 2, &context);
	assert_int_equal(got.access, ACCESS_UNKNOWN);
	assert_int_equal(got.reason, REASON_LEX); /* the first of them */
	assert_in_range(got.statements, 30000, 70000);
	free(sql);
}

static void test_lexer_settings(void **state)
{
	const char *sql = "SELECT '\\'; DELETE FROM t; --'";
	struct sqlclass_context other = context;

	(void)state;
	assert_int_equal(judge(sql).access, ACCESS_WRITE);
	other.plain_backslash = false;
	assert_int_equal(sqlclass_judge(sql, strlen(sql), &other).access,
			 ACCESS_READ);
	other.is_safe_encoding = false;
	assert_int_equal(sqlclass_judge("SELECT '\x95\\'", 11, &other).reason,
			 REASON_LEX);
	assert_int_equal(sqlclass_judge("SELECT 'abc'", 12, &other).access,
			 ACCESS_READ);
}

static char *repeat(const char *head, const char *part, size_t count,
		    const char *tail)
{
	char *text =
		malloc(strlen(head) + strlen(part) * count + strlen(tail) + 1);
	char *at = stpcpy(text, head);

	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, part);
	stpcpy(at, tail);
	return text;
}

static void expect_repeated(const char *head, const char *part, size_t count,
			    const char *tail, unsigned reason)
{
	char *sql = repeat(head, part, count, tail);

	assert_int_equal(judge(sql).reason, reason);
	free(sql);
}

/* An operator that texts use without naming it calls a volatile function. */
static void test_treacherous(void **state)
{
	struct catalog_builder *builder = catalog_builder_new();
	struct sqlclass_context bad = context;
	struct sqlclass got;

	(void)state;
	catalog_set_treacherous(builder);
	bad.catalog = catalog_finish(builder);
	got = sqlclass_judge("SELECT 'a' LIKE 'b'", 19, &bad);
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_int_equal(got.reason, REASON_FUNCTION);
	assert_int_equal(sqlclass_judge("BEGIN", 5, &bad).access, ACCESS_NONE);
	catalog_release(bad.catalog);
	assert_false(catalog_is_treacherous(NULL));
}

/* What is too much to look at is what it has been so far, or unknown. */
static void test_exhaustion(void **state)
{
	char *sql;

	(void)state;
	expect_repeated("SELECT 1", "+1", 30000, "", REASON_NONE);
	expect_repeated("SELECT 1", "+1", 100000, "", REASON_TOO_LONG);
	expect_repeated("INSERT INTO t VALUES (1)", ",(1)", 100000, "",
			REASON_VERB);
	expect_repeated("SELECT 1 WHERE 1 IN (0", ",1", 1000000, ")",
			REASON_NONE);
	sql = repeat("SELECT 1", "+1", 100000, "");
	assert_int_equal(judge(sql).access, ACCESS_UNKNOWN);
	assert_true(judge(sql).effects & EFFECT_HIDDEN);
	assert_false(judge(sql).is_certain);
	free(sql);
	sql = repeat("UPDATE t SET v = '", "x", 300000, "'");
	assert_true(judge(sql).effects & EFFECT_HIDDEN);
	free(sql);
}

static void test_depth(void **state)
{
	char *sql;

	(void)state;
	sql = repeat("SELECT ", "(", SQLLEVEL_MAX - 1, "1");
	assert_int_equal(judge(sql).reason, REASON_LEX);
	free(sql);
	expect_repeated("SELECT ", "(", SQLLEVEL_MAX, "1", REASON_TOO_LONG);
	expect_repeated("SELECT ", "[", 1000000, "", REASON_TOO_LONG);
	expect_repeated("EXPLAIN ", "(", 1000000, "", REASON_TOO_LONG);
	expect_repeated("SELECT 1 ", "/*", 1000000, "", REASON_LEX);
	/* A call that is too deep to be seen is not taken for none. */
	expect_repeated("SELECT ", "abs(", SQLLEVEL_MAX + 3, "fw(1)",
			REASON_TOO_LONG);
}

static void test_with_names(void **state)
{
	char sql[4096] = "WITH ";
	char name[80];
	size_t len = strlen(sql);

	(void)state;
	for (int i = 0; i < SQLLEVEL_NAMES_MAX; i++)
		len += (size_t)snprintf(sql + len, sizeof(sql) - len,
					"%sn%d AS (SELECT 1)", i ? ", " : "",
					i);
	(void)snprintf(sql + len, sizeof(sql) - len, " SELECT * FROM n0, n31");
	assert_int_equal(judge(sql).access, ACCESS_READ);
	(void)snprintf(sql + len, sizeof(sql) - len,
		       ", n32 AS (SELECT 1) SELECT 1");
	assert_int_equal(judge(sql).reason, REASON_LEX);
	memset(name, 'x', 70);
	name[70] = '\0';
	(void)snprintf(sql, sizeof(sql),
		       "WITH %s AS (SELECT 1) SELECT * FROM %s", name, name);
	assert_int_equal(judge(sql).access, ACCESS_UNKNOWN);
}

static void test_big_texts(void **state)
{
	char *sql = repeat("SELECT * FROM t WHERE id IN (0", ",123456", 150000,
			   ")");

	(void)state;
	assert_int_equal(judge(sql).access, ACCESS_READ);
	free(sql);
	sql = repeat("INSERT INTO t VALUES (1,'x')", ",(12345,'abc')", 100000,
		     "");
	assert_int_equal(judge(sql).access, ACCESS_WRITE);
	free(sql);
	sql = repeat("SELECT 1", "+1", 30000, "");
	assert_int_equal(judge(sql).access, ACCESS_READ);
	free(sql);
}

static struct sqlclass judge_prefix(const char *sql)
{
	return sqlclass_judge_prefix(sql, strlen(sql));
}

static void test_prefixes(void **state)
{
	struct sqlclass got;

	(void)state;
	got = judge_prefix("/* x */ INSERT INTO t VALUES ('cut he");
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_int_equal(got.reason, REASON_VERB);
	assert_false(got.is_certain);
	assert_true(got.effects & EFFECT_HIDDEN);
	got = judge_prefix("create table x (");
	assert_int_equal(got.access, ACCESS_WRITE);
	assert_true(got.effects & EFFECT_DDL);
	got = judge_prefix("SELECT * FROM t WHERE id IN (1, 2");
	assert_int_equal(got.access, ACCESS_UNKNOWN);
	assert_int_equal(got.reason, REASON_TOO_LONG);
	/* The word itself may be cut. */
	assert_int_equal(judge_prefix("DO").access, ACCESS_UNKNOWN);
	assert_int_equal(judge_prefix("'x").access, ACCESS_UNKNOWN);
	assert_int_equal(judge_prefix("").access, ACCESS_UNKNOWN);
	assert_int_equal(judge_prefix("BEGIN; x").access, ACCESS_UNKNOWN);
	assert_int_equal(judge_prefix("\"INSERT\" x").access, ACCESS_UNKNOWN);
}

static void test_reason_names(void **state)
{
	(void)state;
	assert_string_equal(sqlclass_reason_name(REASON_NONE), "none");
	assert_string_equal(sqlclass_reason_name(REASON_LOCKING), "row_lock");
	assert_string_equal(sqlclass_reason_name(REASON_NO_CATALOG),
			    "catalog_not_loaded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut_rows),
		cmocka_unit_test(test_may_draw),
		cmocka_unit_test(test_redefines),
		cmocka_unit_test(test_without_catalog),
		cmocka_unit_test(test_uncertain_catalog),
		cmocka_unit_test(test_uncertain_parts),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_several_statements),
		cmocka_unit_test(test_many_statements),
		cmocka_unit_test(test_lexer_settings),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_treacherous),
		cmocka_unit_test(test_with_names),
		cmocka_unit_test(test_big_texts),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_reason_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
