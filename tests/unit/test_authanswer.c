/* What is asked about a user, and answers of all kinds of servers. */
#include "core/authanswer.h"

#include "base/buf.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_question(void **state)
{
	static const char name[] = "o'neil\"; DROP ROLE x --";
	struct buf out = BUF_INIT;
	struct pgwire_message message = { 0 };
	struct pgwire_parse parse;
	struct pgwire_values values;
	struct pgwire_bind bind;
	const uint8_t *at;
	const char *value;
	size_t len;

	(void)state;
	authanswer_ask(&out, "SELECT $1, 'x'", name);
	at = buf_head(&out);
	assert_int_equal(pgwire_read(at, buf_len(&out), &message), PGWIRE_OK);
	assert_true(pgwire_read_parse(&message, &parse));
	assert_string_equal(parse.name, "");
	assert_string_equal(parse.query, "SELECT $1, 'x'");
	at += message.total;
	assert_int_equal(pgwire_read(at, 1000, &message), PGWIRE_OK);
	assert_int_equal(pgwire_read_bind(&message, &bind), PGWIRE_OK);
	assert_true(
		pgwire_open_values((const uint8_t *)message.body + bind.rest,
				   message.body_len - bind.rest, &values));
	assert_int_equal(values.count, 1);
	assert_true(pgwire_next_value(&values, &value, &len));
	assert_int_equal(len, strlen(name));
	assert_memory_equal(value, name, len);
	at += message.total;
	assert_int_equal(at[0], 'E');
	buf_free(&out);
}

static void add_row(struct buf *out, const char *user, const char *secret)
{
	const char *const values[] = { user, secret };

	pgbuild_data_row(out, values, 2);
}

/* NULL: no secret; the words of a refusal begin with '!'. */
static void assert_answer(struct buf *out, const char *expected)
{
	struct authanswer answer;

	pgbuild_ready(out, 'I');
	authanswer_read(buf_head(out), buf_len(out), "anna", &answer);
	if (expected && *expected == '!') {
		assert_false(answer.is_good);
		assert_null(answer.secret);
		assert_non_null(strstr(answer.why, expected + 1));
	} else {
		assert_true(answer.is_good);
		if (expected)
			assert_string_equal(answer.secret, expected);
		else
			assert_null(answer.secret);
	}
	authanswer_clear(&answer);
	buf_free(out);
}

static void test_good_answers(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	add_row(&out, "anna", "md5x");
	assert_answer(&out, "md5x");
	add_row(&out, "anna", "");
	assert_answer(&out, "");
	add_row(&out, "anna", NULL);
	assert_answer(&out, "");
	assert_answer(&out, NULL);
}

static void test_bad_answers(void **state)
{
	struct buf out = BUF_INIT;
	const char *const three[] = { "anna", "x", "y" };
	char *text = malloc(AUTHANSWER_SECRET_MAX + 2);

	(void)state;
	add_row(&out, "bob", "secret");
	assert_answer(&out, "!another user");
	add_row(&out, NULL, "secret");
	assert_answer(&out, "!another user");
	add_row(&out, "anna", "one");
	add_row(&out, "anna", "two");
	assert_answer(&out, "!more than one");
	pgbuild_data_row(&out, three, 1);
	assert_answer(&out, "!two columns");
	pgbuild_data_row(&out, three, 3);
	assert_answer(&out, "!two columns");
	assert_non_null(text);
	memset(text, 'x', AUTHANSWER_SECRET_MAX + 1);
	text[AUTHANSWER_SECRET_MAX + 1] = '\0';
	add_row(&out, "anna", text);
	assert_answer(&out, "!too long");
	add_row(&out, "anna", text + 1);
	assert_answer(&out, text + 1);
	free(text);
	pgbuild_error(&out, &(struct pgbuild_error){ .severity = "ERROR",
						     .sqlstate = "42P01",
						     .message = "no table" });
	assert_answer(&out, "!no table");
}

static void test_malformed(void **state)
{
	static const uint8_t cut[] = { 'D', 0, 0, 0, 9, 0, 2, 0, 0 };
	static const uint8_t empty[] = { 'D', 0, 0, 0, 4 };
	static const uint8_t rude[] = { 'D', 0,   0,   0,   17,  0,
					2,   0,   0,   0,   4,   'a',
					'n', 'n', 'a', 255, 255, 255 };
	static const uint8_t nul[] = { 'D', 0, 0, 0, 20,  0,   2,
				       0,   0, 0, 4, 'a', 'n', 'n',
				       'a', 0, 0, 0, 2,   'x', 0 };
	struct buf out = BUF_INIT;
	struct authanswer answer;

	(void)state;
	authanswer_read(cut, sizeof(cut), "anna", &answer);
	assert_false(answer.is_good);
	authanswer_read(empty, sizeof(empty), "anna", &answer);
	assert_false(answer.is_good);
	authanswer_read(rude, sizeof(rude), "anna", &answer);
	assert_false(answer.is_good);
	buf_append(&out, nul, sizeof(nul));
	assert_answer(&out, "!not a text");
	pgbuild_message(&out, 'E', "Sx", 2);
	assert_answer(&out, "!malformed error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_good_answers),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
