/* Command lines, good and bad: what they mean, what is said about them. */
#include "base/buf.h"
#include "main/command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 8 };

static struct buf said;

/* Parses "pgweir" and these words, NULL at the end. */
static bool parse(struct command_line *line, char *const words[WORDS])
{
	char name[] = "pgweir";
	char *argv[WORDS + 2] = { name };
	int argc = 1;
	bool is_good;

	for (; argc <= WORDS && words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	buf_free(&said);
	is_good = command_line_parse(line, argc, argv, &said);
	buf_append_u8(&said, 0);
	return is_good;
}

#define PARSE(line, ...) parse(line, (char *[WORDS]){ __VA_ARGS__ })

static const char *complaint(void)
{
	return (const char *)buf_head(&said);
}

static int clean_up(void **state)
{
	(void)state;
	buf_free(&said);
	return 0;
}

static void test_plain(void **state)
{
	struct command_line line;

	(void)state;
	assert_true(PARSE(&line, "a.ini"));
	assert_int_equal(line.command, COMMAND_RUN);
	assert_string_equal(line.file, "a.ini");
	assert_false(line.is_daemon);
	assert_false(line.is_quiet);
	assert_int_equal(line.verbose, 0);
	assert_null(line.user);
	assert_string_equal(complaint(), "");
}

static void test_options(void **state)
{
	struct command_line line;

	(void)state;
	assert_true(PARSE(&line, "-dvvq", "-u", "nobody", "a.ini", "-v"));
	assert_true(line.is_daemon);
	assert_true(line.is_quiet);
	assert_int_equal(line.verbose, 3);
	assert_string_equal(line.user, "nobody");
	assert_string_equal(line.file, "a.ini");
	assert_true(PARSE(&line, "--daemon", "--quiet", "--verbose",
			  "--user=me", "a.ini"));
	assert_true(line.is_daemon);
	assert_true(line.is_quiet);
	assert_int_equal(line.verbose, 1);
	assert_string_equal(line.user, "me");
	assert_true(PARSE(&line, "-unobody", "--", "-strange.ini"));
	assert_string_equal(line.user, "nobody");
	assert_string_equal(line.file, "-strange.ini");
}

static void test_commands(void **state)
{
	struct command_line line;

	(void)state;
	assert_true(PARSE(&line, "--check", "a.ini"));
	assert_int_equal(line.command, COMMAND_CHECK);
	assert_true(PARSE(&line, "a.ini", "--check"));
	assert_int_equal(line.command, COMMAND_CHECK);
	assert_true(PARSE(&line, "--help"));
	assert_int_equal(line.command, COMMAND_HELP);
	assert_true(PARSE(&line, "-h", "-V"));
	assert_int_equal(line.command, COMMAND_HELP);
	assert_true(PARSE(&line, "-V"));
	assert_int_equal(line.command, COMMAND_VERSION);
	assert_true(PARSE(&line, "--check", "--version", "a.ini"));
	assert_int_equal(line.command, COMMAND_VERSION);
	assert_true(PARSE(&line, "--help-config"));
	assert_int_equal(line.command, COMMAND_HELP_CONFIG);
}

/* Who asks for help gets it, whatever else is wrong. */
static void test_help_wins(void **state)
{
	struct command_line line;

	(void)state;
	assert_true(PARSE(&line, "--help", "--nonsense"));
	assert_int_equal(line.command, COMMAND_HELP);
	assert_true(PARSE(&line, "a.ini", "b.ini", "-h"));
	assert_int_equal(line.command, COMMAND_HELP);
}

static void test_faults(void **state)
{
	struct command_line line;

	(void)state;
	assert_false(PARSE(&line, NULL));
	assert_non_null(strstr(complaint(), "configuration file"));
	assert_false(PARSE(&line, "a.ini", "b.ini"));
	assert_non_null(strstr(complaint(), "b.ini"));
	assert_false(PARSE(&line, "-x", "a.ini"));
	assert_non_null(strstr(complaint(), "no option -x "));
	assert_false(PARSE(&line, "-dx", "a.ini"));
	assert_non_null(strstr(complaint(), "no option -x "));
	assert_false(PARSE(&line, "--no-such-option"));
	assert_non_null(strstr(complaint(), "--no-such-option"));
	assert_false(PARSE(&line, "--check=yes", "a.ini"));
	assert_non_null(strstr(complaint(), "--check=yes"));
	assert_false(PARSE(&line, "a.ini", "-u"));
	assert_non_null(strstr(complaint(), "follow -u "));
	assert_false(PARSE(&line, "a.ini", "--user"));
	assert_non_null(strstr(complaint(), "follow --user "));
	assert_false(PARSE(&line, "--check", "-d", "a.ini"));
	assert_non_null(strstr(complaint(), "exclude"));
}

/* One line, which tells what to do instead. */
static void test_online_restart(void **state)
{
	struct command_line line;

	(void)state;
	assert_false(PARSE(&line, "-R", "-d", "a.ini"));
	assert_non_null(strstr(complaint(), "SIGTERM"));
	assert_ptr_equal(strchr(complaint(), '\n'),
			 complaint() + strlen(complaint()) - 1);
	assert_false(PARSE(&line, "--reboot", "a.ini"));
	assert_non_null(strstr(complaint(), "-R"));
}

/* Every option of the table is in the help. */
static void test_help(void **state)
{
	static const char *const words[] = {
		"-d, --daemon",  "-v, --verbose", "-q, --quiet",
		"-u, --user",    "--check",       "-h, --help",
		"--help-config", "-V, --version",
	};
	struct buf out = BUF_INIT;

	(void)state;
	command_line_help(&out);
	buf_append_u8(&out, 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(strstr((char *)buf_head(&out), words[i]));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_plain, clean_up),
		cmocka_unit_test_teardown(test_options, clean_up),
		cmocka_unit_test_teardown(test_commands, clean_up),
		cmocka_unit_test_teardown(test_help_wins, clean_up),
		cmocka_unit_test_teardown(test_faults, clean_up),
		cmocka_unit_test_teardown(test_online_restart, clean_up),
		cmocka_unit_test_teardown(test_help, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
