/* Reading, printing and comparing values of every type of option. */
#include "core/option.h"

#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
	char *text;
	char *secret;
	char *word;
	uint64_t wait_us;
	uint64_t size;
	int number;
	int choice;
	int mode;
	int threads;
	int unset_number;
	int unset_choice;
	uint64_t unset_us;
	char *unset_text;
	bool flag;
	bool balance;
};

static const struct option_choice colours[] = {
	{ "red", 1, NULL },
	{ "green", 2, NULL },
	{ "black", 3, "is out of fashion" },
	{ NULL, 0, NULL },
};

static const struct option_choice automatic[] = { { "auto", 0, NULL },
						  { NULL, 0, NULL } };

static const struct option_choice flags[] = { { "spread", 1, NULL },
					      { "first", 0, NULL },
					      { NULL, 0, NULL } };

#define FIELD(member) .name = #member, SPOT(member)
#define SPOT(member)                               \
	.offset = offsetof(struct sample, member), \
	.size = sizeof(((struct sample *)NULL)->member)

static const struct option first_rows[] = {
	{ FIELD(text), .fallback = "abc" },
	{ FIELD(secret), .type = OPTION_SECRET, .fallback = "" },
	{ FIELD(word), .fallback = "red", .choices = colours },
	{ FIELD(wait_us), .type = OPTION_TIME, .fallback = "1.5" },
	{ FIELD(size), .type = OPTION_SIZE, .fallback = "4kB",
	  .max = INT64_C(1) << 40 },
	{ FIELD(number), .type = OPTION_INT, .fallback = "7", .min = -5,
	  .max = 100 },
};

static const struct option second_rows[] = {
	{ FIELD(choice), .type = OPTION_CHOICE, .fallback = "green",
	  .choices = colours },
	{ FIELD(mode), .type = OPTION_MODE, .fallback = "0700" },
	{ FIELD(threads), .type = OPTION_INT, .fallback = "auto",
	  .choices = automatic, .max = 8 },
	{ FIELD(unset_number), .type = OPTION_INT },
	{ FIELD(unset_choice), .type = OPTION_CHOICE, .choices = colours },
	{ FIELD(unset_us), .type = OPTION_TIME },
	{ FIELD(unset_text) },
	{ FIELD(flag), .type = OPTION_BOOL, .fallback = "yes" },
	{ FIELD(balance), .type = OPTION_CHOICE, .fallback = "spread",
	  .choices = flags },
	{ .name = "colour", .state = OPTION_ALIAS, .note = "choice" },
	{ .name = "nothing",
	  .fallback = "12",
	  .state = OPTION_NO_EFFECT,
	  .note = "it is gone" },
};

static const struct option_group groups[] = {
	{ "First", first_rows, 6 },
	{ "Second", second_rows, 11 },
};

static const struct option_table table = { "sample", groups, 2 };

static const struct option *row(const char *name)
{
	const struct option *option = option_find(&table, name, true);

	assert_non_null(option);
	return option;
}

static void start(struct sample *sample)
{
	*sample = (struct sample){ 0 };
	option_table_set_defaults(&table, sample);
}

/* The value as printed; one static buffer. */
static const char *shown(const char *name, const struct sample *sample)
{
	static char text[256];
	struct buf out = BUF_INIT;

	option_format(row(name), sample, &out);
	assert_true(buf_len(&out) < sizeof(text));
	memset(text, 0, sizeof(text));
	if (buf_len(&out) > 0)
		memcpy(text, buf_head(&out), buf_len(&out));
	buf_free(&out);
	return text;
}

static void accept(const char *name, const char *text, struct sample *sample,
		   const char *wanted)
{
	struct buf why = BUF_INIT;

	if (!option_parse(row(name), text, sample, &why))
		fail_msg("%s = %s refused: %.*s", name, text,
			 (int)buf_len(&why), buf_head(&why));
	assert_int_equal(buf_len(&why), 0);
	assert_string_equal(shown(name, sample), wanted);
}

/* The text is refused for this reason, and the value stays. */
static void refuse(const char *name, const char *text, struct sample *sample,
		   const char *reason)
{
	struct buf why = BUF_INIT;
	char *before = xstrdup(shown(name, sample));

	if (option_parse(row(name), text, sample, &why))
		fail_msg("%s = %s accepted", name, text);
	buf_append_u8(&why, '\0');
	if (!strstr((char *)buf_head(&why), reason))
		fail_msg("%s, not: %s", buf_head(&why), reason);
	assert_string_equal(shown(name, sample), before);
	free(before);
	buf_free(&why);
}

static void test_defaults(void **state)
{
	struct sample sample;

	(void)state;
	start(&sample);
	assert_string_equal(sample.text, "abc");
	assert_string_equal(sample.secret, "");
	assert_string_equal(sample.word, "red");
	assert_int_equal(sample.wait_us, 1500000);
	assert_int_equal(sample.size, 4096);
	assert_int_equal(sample.number, 7);
	assert_int_equal(sample.choice, 2);
	assert_int_equal(sample.mode, 0700);
	assert_int_equal(sample.threads, 0);
	assert_int_equal(sample.unset_number, -1);
	assert_int_equal(sample.unset_choice, 0);
	assert_true(sample.unset_us == UINT64_MAX);
	assert_null(sample.unset_text);
	assert_true(sample.flag);
	assert_true(sample.balance);
	option_table_clear(&table, &sample);
	assert_null(sample.text);
}

static void test_unset_is_shown_as_nothing(void **state)
{
	struct sample sample;

	(void)state;
	start(&sample);
	assert_string_equal(shown("unset_number", &sample), "");
	assert_string_equal(shown("unset_choice", &sample), "");
	assert_string_equal(shown("unset_us", &sample), "");
	assert_string_equal(shown("unset_text", &sample), "");
	assert_string_equal(shown("nothing", &sample), "12");
	assert_string_equal(shown("threads", &sample), "auto");
	option_table_clear(&table, &sample);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
	} good[] = {
		{ "0", "0" },
		{ "1", "1" },
		{ "007", "7" },
		{ "0.5", "0.5" },
		{ ".5", "0.5" },
		{ "5.", "5" },
		{ "0.000001", "0.000001" },
		/* Never 0, which means off. */
		{ "0.0000001", "0.000001" },
		{ "0.00000000000000000001", "0.000001" },
		{ "1.999999", "1.999999" },
		{ "250ms", "0.25" },
		{ "250 ms", "0.25" },
		{ "0.5ms", "0.0005" },
		{ "3us", "0.000003" },
		{ "2S", "2" },
		{ "2min", "120" },
		{ "1.5h", "5400" },
		{ "1d", "86400" },
		{ "1000000000", "1000000000" },
	};
	struct sample sample;

	(void)state;
	start(&sample);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		accept("wait_us", good[i].text, &sample, good[i].shown);
	refuse("wait_us", "-1", &sample, "is not a number");
	refuse("wait_us", "", &sample, "is not a number");
	refuse("wait_us", ".", &sample, "is not a number");
	refuse("wait_us", "s", &sample, "is not a number");
	refuse("wait_us", "1.2.3", &sample, "is not a number");
	refuse("wait_us", "1e3", &sample, "is not a number");
	refuse("wait_us", "1 week", &sample, "(seconds)");
	refuse("wait_us", "1000000000.1", &sample, "out of its limits");
	refuse("wait_us", "99999999999999999999999999", &sample,
	       "0 to 1000000000 (seconds)");
	refuse("wait_us", "9223372036854775807d", &sample, "limits");
	option_table_clear(&table, &sample);
}

static void test_sizes(void **state)
{
	struct sample sample;

	(void)state;
	start(&sample);
	accept("size", "0", &sample, "0");
	accept("size", "123", &sample, "123");
	accept("size", "123B", &sample, "123");
	accept("size", "1 MB", &sample, "1048576");
	accept("size", "2gb", &sample, "2147483648");
	refuse("size", "2TB", &sample, "is not a number");
	refuse("size", "1.5MB", &sample, "is not a number");
	refuse("size", "9999999999999GB", &sample, "limits");
	refuse("size", "x", &sample, "(bytes)");
	option_table_clear(&table, &sample);
}

static void test_numbers(void **state)
{
	struct sample sample;

	(void)state;
	start(&sample);
	accept("number", "-5", &sample, "-5");
	accept("number", "100", &sample, "100");
	accept("number", "0", &sample, "0");
	refuse("number", "-6", &sample,
	       "\"-6\" is out of its limits; "
	       "give -5 to 100");
	refuse("number", "101", &sample, "limits");
	refuse("number", "4294967297", &sample, "limits");
	refuse("number", "99999999999999999999", &sample, "limits");
	refuse("number", "", &sample, "is not a number");
	refuse("number", "-", &sample, "is not a number");
	refuse("number", "+1", &sample, "is not a number");
	refuse("number", " 1", &sample, "is not a number");
	refuse("number", "1 ", &sample, "is not a number");
	refuse("number", "0x10", &sample, "is not a number");
	refuse("number", "abc", &sample, "is not a number");
	accept("threads", "8", &sample, "8");
	accept("threads", "AUTO", &sample, "auto");
	accept("threads", "0", &sample, "auto");
	refuse("threads", "9", &sample, "give auto or 0 to 8");
	accept("mode", "0660", &sample, "0660");
	accept("mode", "7", &sample, "0007");
	refuse("mode", "0888", &sample, "(octal)");
	refuse("mode", "10000", &sample, "limits");
	refuse("mode", "-1", &sample, "limits");
	accept("unset_number", "2147483647", &sample, "2147483647");
	refuse("unset_number", "2147483648", &sample, "0 to 2147483647");
	option_table_clear(&table, &sample);
}

static void test_words(void **state)
{
	static const char *const yes[] = { "1", "yes", "on", "true", "TRUE" };
	static const char *const no[] = { "0", "no", "Off", "false" };
	struct sample sample;

	(void)state;
	start(&sample);
	for (size_t i = 0; i < 5; i++)
		accept("flag", yes[i], &sample, "1");
	for (size_t i = 0; i < 4; i++)
		accept("flag", no[i], &sample, "0");
	refuse("flag", "2", &sample, "give 0 or 1");
	refuse("flag", "", &sample, "known word");
	accept("choice", "RED", &sample, "red");
	refuse("choice", "blue", &sample,
	       "\"blue\" is not a known word; give red, green");
	refuse("choice", "black", &sample, "out of fashion");
	accept("balance", "first", &sample, "first");
	assert_false(sample.balance);
	accept("word", "green", &sample, "green");
	refuse("word", "blue", &sample, "give red, green");
	option_table_clear(&table, &sample);
}

static void test_strings(void **state)
{
	char long_text[201];
	struct sample sample;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	start(&sample);
	accept("text", long_text, &sample, long_text);
	accept("text", "", &sample, "");
	accept("secret", "hunter2", &sample, "****");
	assert_string_equal(sample.secret, "hunter2");
	accept("secret", "", &sample, "");
	/* A message repeats the beginning only. */
	refuse("number", long_text, &sample, "xxxxxxxx...\" is not");
	option_table_clear(&table, &sample);
}

static void test_compare(void **state)
{
	const struct option *option;
	struct sample one;
	struct sample other;
	unsigned at = 0;

	(void)state;
	start(&one);
	start(&other);
	while ((option = option_next(&table, &at)))
		assert_true(option_is_equal(option, &one, &other));
	assert_int_equal(at, 17);
	accept("text", "b", &one, "b");
	assert_false(option_is_equal(row("text"), &one, &other));
	accept("unset_text", "b", &one, "b");
	assert_false(option_is_equal(row("unset_text"), &one, &other));
	assert_false(option_is_equal(row("unset_text"), &other, &one));
	accept("wait_us", "2", &one, "2");
	assert_false(option_is_equal(row("wait_us"), &one, &other));
	accept("flag", "0", &one, "0");
	assert_false(option_is_equal(row("flag"), &one, &other));
	option_set_default(row("text"), &one);
	assert_true(option_is_equal(row("text"), &one, &other));
	option_table_clear(&table, &one);
	option_table_clear(&table, &other);
}

static void test_find(void **state)
{
	struct sample sample = { 0 };
	struct buf why = BUF_INIT;

	(void)state;
	assert_ptr_equal(option_find(&table, "number", false), &first_rows[5]);
	assert_null(option_find(&table, "Number", false));
	assert_null(option_find(&table, "", true));
	assert_ptr_equal(option_find(&table, "colour", true), &second_rows[0]);
	assert_ptr_equal(option_find(&table, "colour", false), &second_rows[9]);
	/* A row without a field takes any text and keeps none. */
	assert_true(option_parse(row("nothing"), "?", &sample, &why));
	assert_true(option_is_equal(row("nothing"), &sample, &sample));
	assert_int_equal(buf_len(&why), 0);
}

static void test_nearest(void **state)
{
	char endless[1000];

	(void)state;
	memset(endless, 'n', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_string_equal(option_nearest(&table, "numbre"), "number");
	assert_string_equal(option_nearest(&table, "Number"), "number");
	assert_string_equal(option_nearest(&table, "colur"), "colour");
	assert_string_equal(option_nearest(&table, "unset_numbers"),
			    "unset_number");
	assert_null(option_nearest(&table, "zzz"));
	assert_null(option_nearest(&table, ""));
	assert_null(option_nearest(&table, endless));
}

static void test_describe(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	option_describe_range(row("text"), &out);
	assert_int_equal(buf_len(&out), 0);
	option_describe_least(row("number"), &out);
	buf_append_u8(&out, '\0');
	assert_string_equal((char *)buf_head(&out), "-5 or more");
	assert_string_equal(option_unit(row("number")), "");
	assert_string_equal(option_unit(row("wait_us")), "seconds");
	assert_string_equal(option_unit(row("size")), "bytes");
	assert_string_equal(option_unit(row("mode")), "octal");
	assert_true(option_is_text(row("secret")));
	assert_false(option_is_text(row("number")));
	assert_false(option_is_text(row("nothing")));
	buf_free(&out);
}

static int forget_blocks(void **state)
{
	(void)state;
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_unset_is_shown_as_nothing),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
