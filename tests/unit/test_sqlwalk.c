#include "core/sqlwalk.h"

#include "sqljudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

/* Where a relation is read, and where a name is none. */
static void test_relations(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT * FROM t u, s AS sq", IS_READ },
		{ "SELECT u FROM t", IS_READ },
		{ "SELECT u.id FROM t u", IS_READ },
		{ "SELECT * FROM t AS u (sq, vw_w)", IS_READ },
		{ "SELECT * FROM t, u", IS_UNSAFE },
		{ "SELECT * FROM ONLY u", IS_UNSAFE },
		{ "SELECT * FROM ONLY (u)", IS_UNSAFE },
		{ "SELECT * FROM u *", IS_UNSAFE },
		{ "SELECT * FROM t *, u", IS_UNSAFE },
		{ "SELECT * FROM public.u", IS_UNSAFE },
		{ "SELECT * FROM app.public.u", IS_UNSAFE },
		{ "SELECT * FROM \"u\"", IS_UNSAFE },
		{ "SELECT * FROM \"U\"", IS_NOWHERE },
		{ "SELECT * FROM U", IS_UNSAFE },
		{ "SELECT * FROM ((u))", IS_UNSAFE },
		{ "SELECT * FROM (t JOIN s ON true), u", IS_UNSAFE },
		{ "SELECT * FROM (SELECT 1) x, u", IS_UNSAFE },
		{ "SELECT * FROM unnest(ARRAY[1]) x, u", IS_UNSAFE },
		{ "SELECT * FROM json_to_record('{}') AS x(a int), u",
		  IS_UNSAFE },
		{ "SELECT * FROM t TABLESAMPLE system(1), u", IS_UNSAFE },
		{ "SELECT * FROM t JOIN s USING (id), u", IS_UNSAFE },
		{ "SELECT * FROM t JOIN s ON ARRAY[1,2] = ARRAY[1,2], u",
		  IS_UNSAFE },
		{ "SELECT (SELECT 1 FROM u)", IS_UNSAFE },
		{ "SELECT 1 UNION SELECT 1 FROM u", IS_UNSAFE },
		{ "SELECT 1 FROM t WHERE true UNION TABLE u", IS_UNSAFE },
		{ "TABLE ONLY u", IS_UNSAFE },
		{ "VALUES ((SELECT 1 FROM u))", IS_UNSAFE },
		{ "SELECT 1 FROM t ORDER BY (SELECT 1 FROM u)", IS_UNSAFE },
		{ "SELECT 1 FROM t LIMIT (SELECT 1 FROM u)", IS_UNSAFE },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

/* FROM belongs to more than a clause; words are more than keywords. */
static void test_words_that_are_not(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT 1 IS DISTINCT FROM 2 FROM u", IS_UNSAFE },
		{ "SELECT 1 IS NOT DISTINCT FROM 2 FROM u", IS_UNSAFE },
		{ "SELECT x.is distinct FROM u x", IS_UNSAFE },
		{ "SELECT x::is distinct FROM u x", IS_UNSAFE },
		{ "SELECT \"is\" distinct FROM u", IS_UNSAFE },
		{ "SELECT 1 AS is, 2 distinct FROM u", IS_UNSAFE },
		{ "SELECT 1 AS from FROM u", IS_UNSAFE },
		{ "SELECT u.from FROM t u", IS_READ },
		{ "SELECT extract(day FROM now()) FROM u", IS_UNSAFE },
		{ "SELECT trim(FROM 'x'), trim(both from 'x') FROM t",
		  IS_READ },
		{ "SELECT abs(1 FROM 2)", IS_LOST },
		{ "SELECT 1 insert INTO x", ACCESS_WRITE, REASON_INTO },
		{ "SELECT 1 AS into", IS_READ },
		{ "SELECT t.into FROM t", IS_READ },
		{ "SELECT 1 AS for FROM t", IS_READ },
		{ "SELECT t.update FROM t", IS_READ },
		{ "SELECT substring('x' FOR 2)", IS_READ },
		{ "SELECT collation FOR ('x')", IS_READ },
		{ "SELECT 1 FOR x", IS_LOST },
		{ "SELECT '1'::timestamp WITH TIME ZONE FROM t", IS_READ },
		{ "SELECT 1 FROM t WITH x", IS_LOST },
		{ "SELECT 1 WITH x", IS_LOST },
		{ "SELECT 1 FROM t SELECT 2", IS_LOST },
		{ "SELECT (1).fw", IS_READ },
		{ "SELECT (t).att FROM t", IS_CALL },
		{ "SELECT (t).x.att FROM t", IS_CALL },
		{ "SELECT a.* FROM t a", IS_READ },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_calls(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT fw (1)", IS_CALL },
		{ "SELECT \"fw\"(1)", IS_CALL },
		{ "SELECT \"FW\"(1)", IS_MISSING },
		{ "SELECT public . fw (1)", IS_CALL },
		{ "SELECT app.public.fw(1)", IS_CALL },
		{ "SELECT nowhere.fw(1)", IS_MISSING },
		{ "SELECT * FROM fw(1) WITH ORDINALITY", IS_CALL },
		{ "SELECT * FROM LATERAL fw(1)", IS_CALL },
		{ "SELECT * FROM ROWS FROM (abs(1), fw(1))", IS_CALL },
		{ "SELECT * FROM t TABLESAMPLE fw(1)", IS_CALL },
		{ "SELECT * FROM t WHERE id = fw(1)", IS_CALL },
		{ "SELECT * FROM t x WHERE fw(1)", IS_CALL },
		{ "SELECT 1 FROM t JOIN s ON fw(1)", IS_CALL },
		{ "SELECT 1 FROM t JOIN s USING (id) WHERE fw(1)", IS_CALL },
		{ "SELECT 1 AS fw FROM t", IS_READ },
		{ "SELECT 'x'::varchar(10) || fw(1)", IS_CALL },
		{ "SELECT CAST(fw(1) AS int)", IS_CALL },
		{ "SELECT CAST(1 AS numeric(10, 2))", IS_READ },
		{ "SELECT CAST(1 AS othertype(3))", IS_READ },
		{ "SELECT coalesce(1, fw(1))", IS_CALL },
		{ "SELECT ROW(fw(1))", IS_CALL },
		{ "SELECT x[1:fw(1)] FROM t", IS_CALL },
		{ "SELECT * FROM coalesce(fw(1), 2)", IS_CALL },
		{ "SELECT * FROM CAST(fw(1) AS int)", IS_CALL },
		{ "SELECT * FROM left('a', 1), fw(1)", IS_CALL },
		{ "SELECT percentile_disc(fw(1)) WITHIN GROUP (ORDER BY 1)",
		  IS_CALL },
		{ "SELECT OPERATOR(1)", IS_LOST },
		{ "SELECT OPERATOR(fw(1))", ACCESS_WRITE, REASON_FUNCTION },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

static void test_what_does_not_fit(void **state)
{
	static const struct judged_row rows[] = {
		{ "SELECT * FROM t a b", IS_LOST },
		{ "SELECT * FROM t a 1", IS_LOST },
		{ "SELECT * FROM 1", IS_LOST },
		{ "SELECT * FROM t + 1", IS_LOST },
		{ "SELECT * FROM t::int", IS_LOST },
		{ "SELECT * FROM t,, s", IS_LOST },
		{ "SELECT * FROM t, WHERE true", IS_LOST },
		{ "SELECT * FROM t (1)", IS_MISSING },
		{ "SELECT * FROM t AND 1", IS_LOST },
		{ "SELECT * FROM ON true", IS_LOST },
		{ "SELECT * FROM t TABLESAMPLE system(1) TABLESAMPLE x(1)",
		  IS_LOST },
		{ "SELECT * FROM t, coalesce(1) coalesce(2)", IS_LOST },
		{ "SELECT )", IS_LOST },
		{ "SELECT (1]", IS_LOST },
		{ "SELECT 1::", IS_LOST },
		{ "SELECT 1::SETOF int", IS_READ },
		{ "SELECT 1::(2)", IS_LOST },
		{ "SELECT CAST(1 AS 2)", IS_READ },
		{ "SELECT (t).abs(1) FROM t", IS_LOST },
	};

	(void)state;
	EXPECT_ROWS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_words_that_are_not),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
