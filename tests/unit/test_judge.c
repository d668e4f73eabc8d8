/*
 * Judging whole texts, and naming the culprits.
 */
#include "core/judge.h"

#include "core/shapes.h"

#include "sqlfixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static struct sqlclass_context context;
static struct shapes *shapes;

static int setup(void **state)
{
	(void)state;
	context = (struct sqlclass_context){ .catalog = fixture_new(),
					     .plain_backslash = true,
					     .is_safe_encoding = true };
	shapes = shapes_new(100);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	shapes_free(shapes);
	catalog_release(context.catalog);
	return 0;
}

static struct sqlclass judge(const char *sql)
{
	return judge_text(shapes, sql, strlen(sql), &context);
}

static void test_text_alone(void **state)
{
	(void)state;
	assert_int_equal(judge("SELECT 1").hint, HINT_NONE);
	assert_int_equal(judge("SELECT /* pgweir: primary */ 1").hint,
			 HINT_PRIMARY);
	assert_true(judge("SELECT set_config('a.b', 'x', false)").effects &
		    EFFECT_SET);
	assert_true(judge("SELECT set_config('a.b', 'x', true)").effects &
		    EFFECT_SET_LOCAL);
}

static void blamed(const char *sql, const char *names)
{
	char out[64];
	struct sqlclass class = judge(sql);

	judge_find_culprits(sql, strlen(sql), &context,
			    (enum sqlclass_reason) class.reason, out,
			    sizeof(out));
	assert_string_equal(out, names);
}

static void test_culprits(void **state)
{
	(void)state;
	blamed("SELECT v FROM t WHERE id IN (1)", "");
	blamed("SELECT fw(1), count(*), \"ff\"(), fw (2) FROM t", "fw(), ff()");
	blamed("SELECT nextval('sq')", "nextval()");
	blamed("SELECT * FROM t JOIN u ON (t.id = u.id)", "u");
	blamed("SELECT nosuch(v) FROM t", "nosuch()");
	blamed("SELECT nocolumn FROM ONLY nothere, t", "nothere");
	blamed("SELECT * FROM pg_stat_activity", "pg_stat_activity");
	blamed("UPDATE t SET v = 'x'", "");
	blamed("SELECT 'unended", "");
}

/* More than there is room for: whole names, as many as fit. */
static void test_room(void **state)
{
	char out[8] = "garbage";
	const char *sql = "SELECT fw(1), ff(), dblink('x')";

	(void)state;
	judge_find_culprits(sql, strlen(sql), &context, REASON_FUNCTION, out,
			    sizeof(out));
	assert_string_equal(out, "fw()");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_text_alone),
		ROW(test_culprits),
		ROW(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
