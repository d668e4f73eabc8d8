/*
 * Shapes written out, and what is not well made.
 */
#include "core/sqltext.h"

#include "base/buf.h"
#include "core/sqlshape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *sql, size_t limit, const char *text)
{
	uint8_t shape[1000];
	struct buf out = BUF_INIT;
	struct sqllex lex;
	size_t len;

	sqllex_init(&lex, sql, strlen(sql), true, true);
	len = sqlshape_write(&lex, shape, sizeof(shape));
	assert_true(len > 0);
	sqltext_write(shape, len, limit, &out);
	assert_string_equal(buf_text(&out), text);
	buf_free(&out);
}

static void test_texts(void **state)
{
	(void)state;
	expect("SELECT  v FROM t -- x\n WHERE id=17", 200,
	       "select v from t where id = ?");
	expect("select count(*), max(a.b)::text from s.\"My T\" a", 200,
	       "select count(*), max(a.b)::text from s.\"My T\" a");
	expect("insert into t values (1,'secret'),(2,'x') returning id;", 200,
	       "insert into t values(?) returning id;");
	expect("select (a[1]) , $1 from f(x := 'y') where a >= b", 200,
	       "select(a[?]), ? from f(x := ?) where a >= b");
	expect("select U&\"d\\0061t\" , \"a\x01\xc3\xa4\"", 200,
	       "select U&\"d\\0061t\", \"a???\"");
}

static void test_limit(void **state)
{
	(void)state;
	expect("select a from b", 15, "select a from b");
	expect("select a from b", 14, "select a from ...");
	expect("select a from b", 3, "sel...");
}

/* Such bytes are never made; they end the text, no more. */
static void test_broken(void **state)
{
	static const struct {
		uint8_t bytes[6];
		size_t len;
	} shapes[] = {
		{ { SQLSHAPE_NAME }, 1 },
		{ { SQLSHAPE_NAME, 1 }, 2 },
		{ { SQLSHAPE_NAME, 200, 0, 'x' }, 4 },
		{ { SQLSHAPE_WORD }, 1 },
		{ { 0, 31, SQLSHAPE_OPERATOR, SQLSHAPE_CAST }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		struct buf out = BUF_INIT;

		sqltext_write(shapes[i].bytes, shapes[i].len, 50, &out);
		assert_true(buf_len(&out) <= 53);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
