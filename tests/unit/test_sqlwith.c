#include "core/sqlwith.h"

#include "sqljudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static void test_names_and_bodies(void **state)
{
	static const struct judged_row rows[] = {
		{ "WITH x AS (SELECT 1) SELECT * FROM x", IS_READ },
		{ "WITH x(a, b) AS (SELECT 1, 2) SELECT * FROM x", IS_READ },
		{ "WITH x AS MATERIALIZED (SELECT 1) TABLE x", IS_READ },
		{ "WITH x AS NOT MATERIALIZED (SELECT 1) TABLE x", IS_READ },
		{ "WITH x AS (SELECT 1), y AS (TABLE x) TABLE y", IS_READ },
		{ "WITH \"X y\" AS (SELECT 1) TABLE \"X y\"", IS_READ },
		{ "WITH X AS (SELECT 1) TABLE x", IS_READ },
		{ "WITH x AS (SELECT 1) TABLE \"X\"", IS_NOWHERE },
		{ "WITH x AS (SELECT fw(1)) TABLE x", IS_CALL },
		{ "WITH x AS (TABLE u) TABLE x", IS_UNSAFE },
		{ "WITH x AS ((SELECT 1)) ((TABLE x))", IS_READ },
		{ "WITH x AS (VALUES (1)) VALUES (1)", IS_READ },
		{ "WITH x x", IS_LOST },
		{ "WITH x SELECT 1", IS_LOST },
		{ "WITH x AS x (SELECT 1) SELECT 1", IS_LOST },
		{ "WITH x AS, y AS (SELECT 1) SELECT 1", IS_LOST },
		{ "WITH x AS (SELECT 1)] SELECT 1", IS_LOST },
		{ "WITH x(a] AS (SELECT 1) SELECT 1", IS_LOST },
		{ "WITH U&\"x\" AS (SELECT 1) SELECT 1", IS_LOST },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_scopes(void **state)
{
	static const struct judged_row rows[] = {
		/* The name hides a relation only where it is seen. */
		{ "WITH u AS (SELECT 1) TABLE u", IS_READ },
		{ "WITH u AS (SELECT 1) TABLE public.u", IS_UNSAFE },
		{ "WITH u AS (TABLE u) TABLE u", IS_UNSAFE },
		{ "WITH t AS (TABLE t) TABLE t", IS_READ },
		{ "WITH x AS (TABLE u), u AS (SELECT 1) TABLE x", IS_UNSAFE },
		{ "SELECT * FROM (WITH u AS (SELECT 1) TABLE u) q", IS_READ },
		{ "SELECT * FROM (WITH u AS (SELECT 1) TABLE u) q, u",
		  IS_UNSAFE },
		{ "WITH u AS (SELECT 1) SELECT (SELECT 1 FROM u)", IS_READ },
		{ "WITH u AS (SELECT 1) SELECT 1; TABLE u", IS_UNSAFE },
		{ "WITH a AS (WITH u AS (SELECT 1) TABLE u) SELECT * FROM u",
		  IS_UNSAFE },
		{ "WITH RECURSIVE u AS (SELECT 1 UNION SELECT * FROM u) "
		  "TABLE u",
		  IS_READ },
		{ "WITH RECURSIVE a AS (TABLE u), u AS (SELECT 1) TABLE a",
		  IS_UNSAFE },
		{ "WITH recursive AS (SELECT 1) TABLE recursive", IS_READ },
		{ "WITH recursive(a) AS (SELECT 1) TABLE recursive", IS_READ },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_search_and_cycle(void **state)
{
	static const struct judged_row rows[] = {
		{ "WITH RECURSIVE x(a) AS (SELECT 1) SEARCH BREADTH FIRST BY "
		  "a, b SET o TABLE x",
		  IS_READ },
		{ "WITH RECURSIVE x(a) AS (SELECT 1) CYCLE a SET c USING p, "
		  "y AS (TABLE x) TABLE y",
		  IS_READ },
		{ "WITH RECURSIVE x(a) AS (SELECT 1) CYCLE a SET c TO 'Y' "
		  "DEFAULT 'N' USING p DELETE FROM t",
		  ACCESS_WRITE, REASON_VERB },
		{ "WITH x(a) AS (SELECT 1) SEARCH DEPTH FIRST BY a SET",
		  IS_LOST },
		{ "WITH x(a) AS (SELECT 1) SEARCH DEPTH FIRST BY a", IS_LOST },
		{ "WITH x(a) AS (SELECT 1) CYCLE a USING 1 SELECT 1", IS_LOST },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_main_verbs(void **state)
{
	static const struct judged_row rows[] = {
		{ "WITH x AS (SELECT 1) INSERT INTO t TABLE x", ACCESS_WRITE,
		  REASON_VERB },
		{ "WITH x AS (SELECT 1) UPDATE t SET v = 1", ACCESS_WRITE,
		  REASON_VERB },
		{ "WITH x AS (SELECT 1) DELETE FROM t", ACCESS_WRITE,
		  REASON_VERB },
		{ "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN "
		  "MATCHED THEN DELETE",
		  ACCESS_WRITE, REASON_VERB },
		{ "WITH x AS (WITH y AS (SELECT 1) DELETE FROM t RETURNING 1) "
		  "TABLE x",
		  ACCESS_WRITE, REASON_DML_CTE },
		{ "WITH x AS (UPDATE t SET v = 1 RETURNING 1) TABLE x",
		  ACCESS_WRITE, REASON_DML_CTE },
		{ "WITH x AS (SELECT 1) EXECUTE y", IS_LOST },
		{ "WITH x AS (SELECT 1) 1", IS_LOST },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_bodies),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_search_and_cycle),
		cmocka_unit_test(test_main_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
