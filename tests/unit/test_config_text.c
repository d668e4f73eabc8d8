/*
 * What people read about the options: complete, and the same in the program,
 * in etc/pgweir.ini, in docs/configuration.md and in the manual page.  With
 * PGWEIR_REGENERATE=1 the files are written anew instead of compared.
 */
#include "core/config_text.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config.h"
#include "core/option.h"
#include "core/option_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REFERENCE_BEGIN "<!-- options: begin -->\n"
#define REFERENCE_END   "<!-- options: end -->\n"

static char *path_of(const char *name)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	const char *root = getenv("PGWEIR_SRCDIR");

	return xasprintf("%s/%s", root ? root : ".", name);
}

static char *read_text(const char *name)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "r");
	struct buf text = BUF_INIT;
	char *copy;
	size_t got;

	if (!file)
		fail_msg("%s cannot be opened", path);
	do {
		got = fread(buf_reserve(&text, 4096), 1, 4096, file);
		buf_commit(&text, got);
	} while (got > 0);
	assert_int_equal(fclose(file), 0);
	copy = xstrndup((char *)buf_head(&text), buf_len(&text));
	buf_free(&text);
	free(path);
	return copy;
}

static void write_text(const char *name, const char *text)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(path);
}

static char *made_by(void (*print)(struct buf *out))
{
	struct buf out = BUF_INIT;
	char *text;

	print(&out);
	text = xstrndup((char *)buf_head(&out), buf_len(&out));
	buf_free(&out);
	return text;
}

/* The file must be what the program prints. */
static void hold_equal(const char *name, const char *wanted)
{
	char *found;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	if (getenv("PGWEIR_REGENERATE"))
		write_text(name, wanted);
	found = read_text(name);
	if (strcmp(found, wanted) != 0)
		fail_msg("%s differs from the option table; write it anew with "
			 "PGWEIR_REGENERATE=1 tests/unit/test_config_text",
			 name);
	free(found);
}

static void test_sample_file(void **state)
{
	char *sample = made_by(config_text_sample);

	(void)state;
	hold_equal("etc/pgweir.ini", sample);
	free(sample);
}

static void test_manual_page(void **state)
{
	char *page = made_by(config_text_man);

	(void)state;
	hold_equal("docs/man/pgweir.ini.5", page);
	free(page);
}

static void test_reference(void **state)
{
	char *reference = made_by(config_text_reference);
	char *page = read_text("docs/configuration.md");
	char *begin = strstr(page, REFERENCE_BEGIN);
	char *wanted;

	(void)state;
	assert_non_null(begin);
	assert_non_null(strstr(begin, REFERENCE_END));
	wanted = xasprintf("%.*s%s%s%s", (int)(begin - page), page,
			   REFERENCE_BEGIN, reference,
			   strstr(begin, REFERENCE_END));
	hold_equal("docs/configuration.md", wanted);
	free(wanted);
	free(page);
	free(reference);
}

static void expect_defaults(const struct config *config)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *plain =
		config_load_text("none", "", 0, &error, &warnings);
	const struct option *option;
	unsigned at = 0;

	assert_non_null(plain);
	while ((option = option_next(&option_settings, &at)))
		if (!option_is_equal(option, &config->settings,
				     &plain->settings))
			fail_msg("%s is not at its default", option->name);
	config_release(plain);
	buf_free(&error);
	buf_free(&warnings);
}

static void test_sample_is_all_defaults(void **state)
{
	char *sample = made_by(config_text_sample);
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config = config_load_text(
		"sample", sample, strlen(sample), &error, &warnings);

	(void)state;
	assert_non_null(config);
	assert_int_equal(buf_len(&error), 0);
	assert_int_equal(config->database_count, 0);
	expect_defaults(config);
	config_release(config);
	buf_free(&error);
	buf_free(&warnings);
	free(sample);
}

/* Takes the ; off the lines that are settings or examples. */
static void uncomment(char *text)
{
	char *to = text;
	bool is_start = true;

	for (char *from = text; *from; from++) {
		bool is_key = is_start && from[0] == ';' && from[1] != ' ' &&
			      from[1] != ';';

		is_start = *from == '\n';
		if (!is_key)
			*to++ = *from;
	}
	*to = '\0';
}

static void test_sample_uncommented(void **state)
{
	char *sample = made_by(config_text_sample);
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config;

	(void)state;
	uncomment(sample);
	config = config_load_text("sample", sample, strlen(sample), &error,
				  &warnings);
	buf_append_u8(&error, '\0');
	assert_string_equal((char *)buf_head(&error), "");
	assert_non_null(config);
	expect_defaults(config);
	assert_int_equal(config->database_count, 4);
	assert_int_equal(config->user_count, 1);
	assert_string_equal(config_find_database(config, "jobs")->password,
			    "it's");
	config_release(config);
	buf_free(&error);
	buf_free(&warnings);
	free(sample);
}

/* Each key of each table is named in the text, alone or before a blank. */
static void expect_keys(const char *text, const struct option_table *table,
			const char *before)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at))) {
		char *wanted = xasprintf("%s%s", before, option->name);

		if (!strstr(text, wanted))
			fail_msg("%s is missing", option->name);
		free(wanted);
	}
}

static void test_every_key_is_in_each_text(void **state)
{
	char *help = made_by(config_text_help);
	char *reference = made_by(config_text_reference);
	char *page = made_by(config_text_man);
	const struct option_table *tables[] = { &option_settings,
						&option_database,
						&option_user };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		expect_keys(help, tables[i], "\n  ");
		expect_keys(reference, tables[i], "\n| `");
		expect_keys(page, tables[i], ".TP\n\\fB");
	}
	free(help);
	free(reference);
	free(page);
}

static void test_help_says_what_counts(void **state)
{
	char *help = made_by(config_text_help);

	(void)state;
	assert_non_null(strstr(help, "[databases]"));
	assert_non_null(strstr(help, "  listen_port = 6432\n"));
	assert_non_null(strstr(help, "1 to 65535. Needs"));
	assert_non_null(strstr(help, "0 or more seconds"));
	assert_non_null(strstr(help, "Has no effect: buffers are sized"));
	assert_non_null(strstr(help, "Not supported by this version"));
	/* A method that is refused is not offered. */
	assert_null(strstr(help, "ldap."));
	free(help);
}

static void test_lines_fit_a_terminal(void **state)
{
	char *help = made_by(config_text_help);
	char *rest = help;
	char *line;

	(void)state;
	while ((line = strsep(&rest, "\n")))
		/* A single long word, such as a query, cannot be broken. */
		if (strlen(line) > 80 && !strstr(line, " = SELECT"))
			fail_msg("too long: %s", line);
	free(help);
}

static void test_markup_is_masked(void **state)
{
	char *reference = made_by(config_text_reference);
	char *page = made_by(config_text_man);

	(void)state;
	assert_non_null(strstr(reference, "&lt;empty>"));
	assert_null(strstr(reference, "| <"));
	assert_non_null(strstr(page, "scram\\-sha\\-256"));
	free(reference);
	free(page);
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
		cmocka_unit_test(test_sample_file),
		cmocka_unit_test(test_manual_page),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_sample_is_all_defaults),
		cmocka_unit_test(test_sample_uncommented),
		cmocka_unit_test(test_every_key_is_in_each_text),
		cmocka_unit_test(test_help_says_what_counts),
		cmocka_unit_test(test_lines_fit_a_terminal),
		cmocka_unit_test(test_markup_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
