#include "core/sqlplace.h"

#include "sqljudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static void test_clauses(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT count(*) OVER (ORDER BY id) FROM t", IS_READ },
		{ "SELECT count(*) FILTER (WHERE true) OVER () FROM t",
		  IS_READ },
		{ "SELECT * FROM t TABLESAMPLE system (1) REPEATABLE (2)",
		  IS_READ },
		{ "SELECT 1 FROM t GROUP BY (id) ORDER BY (1)", IS_READ },
		{ "SELECT sum(1) OVER (PARTITION BY (id)) FROM t", IS_READ },
		{ "SELECT now() AT TIME ZONE ('UTC')", IS_READ },
		{ "SELECT 'x'::character varying (3)", IS_READ },
		{ "SELECT bit varying (3) '101'", IS_READ },
		{ "SELECT 1 FROM t GROUP BY GROUPING SETS ((id), (v))",
		  IS_READ },
		{ "SELECT 1 FROM t GROUP BY DISTINCT CUBE (id), ROLLUP (v)",
		  IS_READ },
		{ "SELECT 1 FROM t GROUP BY ALL ROLLUP (v)", IS_READ },
		{ "SELECT 1 FROM t GROUP BY GROUPING SETS (CUBE (id), ())",
		  IS_READ },
		{ "SELECT 1 OPERATOR(pg_catalog.+) 2", IS_READ },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

/* The same words where nothing but a call may stand. */
static void test_calls(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT over(1)", IS_MISSING },
		{ "SELECT 1 + filter(1)", IS_MISSING },
		{ "SELECT DISTINCT ON (id) over(1) FROM t", IS_MISSING },
		{ "SELECT (1) + over(1)", IS_MISSING },
		{ "SELECT repeatable(1)", IS_MISSING },
		{ "SELECT by(1)", IS_MISSING },
		{ "SELECT zone(1)", IS_MISSING },
		{ "SELECT varying(1)", IS_MISSING },
		{ "SELECT sets(1)", IS_MISSING },
		{ "SELECT cube(1)", IS_MISSING },
		{ "SELECT rollup(1) FROM t GROUP BY id", IS_MISSING },
		{ "SELECT 1 FROM t GROUP BY id HAVING cube(1)", IS_MISSING },
		{ "SELECT 1 FROM t GROUP BY (cube(id))", IS_MISSING },
		{ "SELECT 1 FROM t GROUP BY CUBE (cube(id))", IS_MISSING },
		{ "SELECT 1 FROM t GROUP BY GROUPING SETS ((cube(id)))",
		  IS_MISSING },
		{ "SELECT 1 FROM t GROUP BY 1 + cube(id)", IS_MISSING },
		{ "SELECT * FROM over(1)", IS_MISSING },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_infix_and_prefix(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT v ILIKE ('a') FROM t", IS_READ },
		{ "SELECT v NOT ILIKE ('a') FROM t", IS_READ },
		{ "SELECT (v) ILIKE ('a'), 'b' ILIKE ('a') FROM t", IS_READ },
		{ "SELECT (ARRAY['a'])[1] ILIKE ('a')", IS_READ },
		{ "SELECT t.v ILIKE ('a') FROM t", IS_READ },
		{ "SELECT ilike(v, 'a') FROM t", IS_MISSING },
		{ "SELECT NOT ilike(v, 'a') FROM t", IS_MISSING },
		{ "SELECT true AND NOT ilike(v, 'a') FROM t", IS_MISSING },
		{ "SELECT 1 FROM t ORDER BY NOT ilike(v, 'a')", IS_MISSING },
		{ "SELECT DISTINCT ON (v) ilike(v, 'a') FROM t", IS_MISSING },
		{ "SELECT 1 OPERATOR(pg_catalog.+) ilike(v, 'a') FROM t",
		  IS_MISSING },
		{ "SELECT like(v, 'a'), left(v, 1), right(v, 1) FROM t",
		  IS_READ },
		{ "SELECT similar(1)", IS_MISSING },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_joins(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT * FROM t JOIN (SELECT 1) x ON true", IS_READ },
		{ "SELECT * FROM t LEFT JOIN (s CROSS JOIN t x) ON true",
		  IS_READ },
		{ "SELECT * FROM t JOIN s ON (true) JOIN (SELECT 1) x ON true",
		  IS_READ },
		{ "SELECT * FROM t JOIN s ON true JOIN u ON true", IS_UNSAFE },
		{ "SELECT * FROM t JOIN s ON (1 = 1) CROSS JOIN (u)",
		  IS_UNSAFE },
		{ "SELECT * FROM t JOIN s ON join(1)", IS_MISSING },
		{ "SELECT * FROM t JOIN s ON 1 = join(1)", IS_MISSING },
		{ "SELECT join(1)", IS_MISSING },
		{ "SELECT 1 JOIN t", IS_LOST },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clauses),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_infix_and_prefix),
		cmocka_unit_test(test_joins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
