/*
 * The table of metrics: complete, and by Prometheus' rules of naming.
 */
#include "core/metrics_rows.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void check_row(const struct metrics_row *row, enum metrics_type type)
{
	assert_non_null(row->name);
	assert_non_null(row->help);
	assert_int_equal(strncmp(row->name, "pgweir_", 7), 0);
	for (const char *c = row->name; *c; c++)
		assert_true(islower(*c) || *c == '_');
	assert_true(ends_with(row->help, "."));
	assert_null(strpbrk(row->help, "\n\\"));
	assert_true(row->scope < METRICS_SCOPE_COUNT);
	assert_int_equal(ends_with(row->name, "_total"),
			 type == METRICS_TYPE_COUNTER);
	if (row->unit != METRICS_ONE)
		assert_non_null(strstr(row->name, "_seconds"));
	if (type == METRICS_TYPE_HISTOGRAM)
		assert_true(row->unit != METRICS_ONE && !row->second);
	if (row->second)
		assert_non_null(row->first);
}

static void check_unique(enum metrics_type type, unsigned id)
{
	const struct metrics_row *row = metrics_row(type, id);

	for (unsigned t = 0; t <= METRICS_TYPE_HISTOGRAM; t++)
		for (unsigned i = 0; i < metrics_row_count(t); i++) {
			const struct metrics_row *other = metrics_row(t, i);

			if (other != row)
				assert_string_not_equal(other->name, row->name);
		}
}

static void test_rows(void **state)
{
	(void)state;
	for (unsigned t = 0; t <= METRICS_TYPE_HISTOGRAM; t++)
		for (unsigned i = 0; i < metrics_row_count(t); i++) {
			check_row(metrics_row(t, i), t);
			check_unique(t, i);
		}
}

/* What is shown as a label must be known in every cell of the scope. */
static void test_labels_fit_scope(void **state)
{
	static const unsigned known[] = {
		[METRICS_WORKER] = METRICS_LABEL_WORKER,
		[METRICS_DATABASE] = METRICS_LABEL_DATABASE,
		[METRICS_POOL] = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		[METRICS_BACKEND] =
			METRICS_LABEL_DATABASE | METRICS_LABEL_BACKEND,
		[METRICS_NODE] = METRICS_LABEL_BACKEND,
	};

	(void)state;
	for (unsigned t = 0; t <= METRICS_TYPE_HISTOGRAM; t++)
		for (unsigned i = 0; i < metrics_row_count(t); i++) {
			const struct metrics_row *row = metrics_row(t, i);

			assert_int_equal(row->labels & ~known[row->scope], 0);
		}
}

static void test_widths(void **state)
{
	const struct metrics_row *routing =
		metrics_row(METRICS_TYPE_COUNTER, COUNTER_ROUTING);
	const struct metrics_row *parses =
		metrics_row(METRICS_TYPE_COUNTER, COUNTER_CLIENT_PARSES);

	(void)state;
	assert_int_equal(metrics_row_width(routing), 2 * ROUTE_REASON_COUNT);
	assert_int_equal(metrics_row_width(parses), 1);
	assert_string_equal(routing->second->names[ROUTE_REASON_UNSAFE_FN],
			    "unsafe_fn");
	assert_string_equal(routing->first->names[METRICS_ROLE_REPLICA],
			    "replica");
}

static const char *class_name(const char *code)
{
	const struct metrics_row *row =
		metrics_row(METRICS_TYPE_COUNTER, COUNTER_ERRORS);

	return row->first->names[metrics_sqlstate_class(code)];
}

static void test_sqlstate_classes(void **state)
{
	(void)state;
	assert_string_equal(class_name("42P01"), "42");
	assert_string_equal(class_name("00000"), "00");
	assert_string_equal(class_name("XX000"), "XX");
	assert_string_equal(class_name("0A000"), "0A");
	assert_string_equal(class_name("ZZ123"), "other");
	assert_string_equal(class_name("ot"), "other");
	assert_string_equal(class_name("4"), "other");
	assert_string_equal(class_name(""), "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_labels_fit_scope),
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_sqlstate_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
