/*
 * Lines of Prometheus' text format, above all with hostile label values.
 */
#include "core/promtext.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct buf out;

static void assert_out(const char *expected)
{
	buf_append_u8(&out, 0);
	assert_string_equal((const char *)buf_head(&out), expected);
	buf_free(&out);
}

static void write_label(const char *value)
{
	struct promtext line;

	promtext_begin(&line, &out, "x", "");
	promtext_label(&line, "l", value);
	promtext_u64(&line, 1);
}

static void test_head(void **state)
{
	(void)state;
	promtext_head(&out, "a_total", METRICS_TYPE_COUNTER, "Help.");
	promtext_head(&out, "b", METRICS_TYPE_GAUGE, "More.");
	promtext_head(&out, "c", METRICS_TYPE_HISTOGRAM, "Most.");
	assert_out("# HELP a_total Help.\n# TYPE a_total counter\n"
		   "# HELP b More.\n# TYPE b gauge\n"
		   "# HELP c Most.\n# TYPE c histogram\n");
}

static void test_samples(void **state)
{
	struct promtext line;

	(void)state;
	promtext_begin(&line, &out, "plain", "");
	promtext_u64(&line, UINT64_MAX);
	promtext_begin(&line, &out, "two", "_sum");
	promtext_label(&line, "a", "1");
	promtext_label(&line, "b", NULL);
	promtext_i64(&line, -5);
	assert_out("plain 18446744073709551615\ntwo_sum{a=\"1\",b=\"\"} -5\n");
}

static void test_units(void **state)
{
	static const struct {
		uint64_t value;
		enum metrics_unit unit;
		const char *text;
	} cases[] = {
		{ 0, METRICS_US, "x 0\n" },
		{ 1, METRICS_US, "x 0.000001\n" },
		{ 1500000, METRICS_US, "x 1.5\n" },
		{ 60000000, METRICS_US, "x 60\n" },
		{ 1000010, METRICS_US, "x 1.00001\n" },
		{ 50, METRICS_NS, "x 0.00000005\n" },
		{ 1200000000, METRICS_NS, "x 1.2\n" },
		{ 1234567, METRICS_ONE, "x 1234567\n" },
		{ UINT64_MAX, METRICS_US, "x 18446744073709.551615\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct promtext line;

		promtext_begin(&line, &out, "x", "");
		promtext_unit(&line, cases[i].value, cases[i].unit);
		assert_out(cases[i].text);
	}
}

static void test_bounds(void **state)
{
	struct promtext line;

	(void)state;
	promtext_begin(&line, &out, "x", "_bucket");
	promtext_bound(&line, 50, METRICS_US);
	promtext_u64(&line, 1);
	promtext_begin(&line, &out, "x", "_bucket");
	promtext_label(&line, "a", "b");
	promtext_bound(&line, UINT64_MAX, METRICS_US);
	promtext_u64(&line, 2);
	assert_out("x_bucket{le=\"0.00005\"} 1\n"
		   "x_bucket{a=\"b\",le=\"+Inf\"} 2\n");
}

static void test_escapes(void **state)
{
	(void)state;
	write_label("a\"b\\c\nd");
	assert_out("x{l=\"a\\\"b\\\\c\\nd\"} 1\n");
	write_label("\"} 1\nevil 2");
	assert_out("x{l=\"\\\"} 1\\nevil 2\"} 1\n");
}

static void test_utf8_passes(void **state)
{
	(void)state;
	write_label("z\xc3\xbc \xe2\x82\xac \xed\x9f\xbf \xf0\x9f\x90\x98 "
		    "\xf4\x8f\xbf\xbf");
	assert_out("x{l=\"z\xc3\xbc \xe2\x82\xac \xed\x9f\xbf "
		   "\xf0\x9f\x90\x98 \xf4\x8f\xbf\xbf\"} 1\n");
}

/* Each bad byte becomes U+FFFD, and what follows is looked at afresh. */
static void test_not_utf8(void **state)
{
	static const struct {
		const char *value;
		unsigned replaced;
	} cases[] = {
		{ "\xff", 1 },
		{ "\x80", 1 },
		{ "\xc3", 1 },             /* cut */
		{ "\xe2\x82", 2 },         /* cut */
		{ "\xc0\xaf", 2 },         /* overlong */
		{ "\xe0\x80\xaf", 3 },     /* overlong */
		{ "\xf0\x80\x80\xaf", 4 }, /* overlong */
		{ "\xed\xa0\x80", 3 },     /* surrogate */
		{ "\xf4\x90\x80\x80", 4 }, /* past U+10FFFF */
		{ "\xf5\x80\x80\x80", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf expected = BUF_INIT;

		buf_printf(&expected, "x{l=\"");
		write_label(cases[i].value);
		for (unsigned n = 0; n < cases[i].replaced; n++)
			buf_printf(&expected, "\xef\xbf\xbd");
		buf_append_cstring(&expected, "\"} 1\n");
		assert_out((const char *)buf_head(&expected));
		buf_free(&expected);
	}
	write_label("\xc3\"");
	assert_out("x{l=\"\xef\xbf\xbd\\\"\"} 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_utf8_passes),
		cmocka_unit_test(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
