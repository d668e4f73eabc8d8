/*
 * Names of statements in error texts: replaced, left alone, cut short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/reword.h"

#include <string.h>

static const char *name_of(void *arg, uint64_t id)
{
	(void)arg;
	if (id == 0x1f)
		return "orders";
	return id == 2 ? "" : NULL;
}

static void expect(const char *body, const char *wanted)
{
	struct buf out = BUF_INIT;

	reword_error(&out, body, strlen(body), name_of, NULL);
	assert_int_equal(buf_len(&out), strlen(wanted));
	if (*wanted)
		assert_memory_equal(buf_head(&out), wanted, strlen(wanted));
	buf_free(&out);
}

static void names_are_replaced(void **state)
{
	(void)state;
	expect("statement \"pgweir_1f\" requires 2",
	       "statement \"orders\" requires 2");
	expect("\"pgweir_1f\"\"pgweir_1f\"", "\"orders\"\"orders\"");
	expect("the \"pgweir_2\" one", "the \"\" one");
}

static void others_stay(void **state)
{
	static const char *const texts[] = {
		"",
		"nothing of the kind",
		"\"pgweir_99\" is nobody's",
		"\"pgweir_",
		"\"pgweir_1f",
		"\"pgweir_\" is no number",
		"\"pgweir_xyz\"",
		"\"pgweir_1f \"",
		"\"pgweir_11111111111111111\" is too long",
		"pgweir_1f without quotes",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		expect(texts[i], texts[i]);
}

static void need_is_seen(void **state)
{
	static const char body[] = "SERROR\0Mstatement \"pgweir_1f\"\0";

	(void)state;
	assert_true(reword_is_needed(body, sizeof(body)));
	assert_false(reword_is_needed(body, 10));
	assert_false(reword_is_needed("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_replaced),
		cmocka_unit_test(others_stay),
		cmocka_unit_test(need_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
