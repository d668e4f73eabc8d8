/*
 * The table of the console's commands: who may use which, how they are
 * written, and that the rows themselves make sense.
 */
#include "control/admin_command.h"

#include "control/rates.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct admin_parsed parsed;

static bool reads(const char *text)
{
	return admin_parse(text, true, &parsed);
}

static void assert_command(const char *text, const char *words)
{
	assert_true(reads(text));
	assert_non_null(parsed.command);
	assert_string_equal(parsed.command->words, words);
	assert_string_equal(parsed.sqlstate, "");
}

static void assert_refused(const char *text, const char *sqlstate)
{
	assert_false(reads(text));
	assert_string_equal(parsed.sqlstate, sqlstate);
	assert_true(*parsed.error);
	assert_true(*parsed.hint);
}

static void test_spelling(void **state)
{
	(void)state;
	assert_command("SHOW CLIENTS", "SHOW CLIENTS");
	assert_command("show clients;", "SHOW CLIENTS");
	assert_command("  Show\n\tCLIENTS \r\n; ; ", "SHOW CLIENTS");
	assert_command("SELECT clients", "SHOW CLIENTS");
	assert_command("show \"clients\"", "SHOW CLIENTS");
	assert_command("Reload", "RELOAD");
	assert_command("shutdown", "SHUTDOWN");
	assert_command("SHUTDOWN wait_for_clients;",
		       "SHUTDOWN WAIT_FOR_CLIENTS");
	assert_command("SHOW stats", "SHOW STATS");
	assert_command("SHOW stats_totals", "SHOW STATS_TOTALS");
	assert_command("show TimeZone", "SHOW timezone");
}

static void test_empty(void **state)
{
	static const char *const texts[] = { "", ";", " \n ", " ; ;\t" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_true(reads(texts[i]));
		assert_null(parsed.command);
	}
}

static void test_arguments(void **state)
{
	(void)state;
	assert_command("KILL_CLIENT 123", "KILL_CLIENT");
	assert_string_equal(parsed.argument, "123");
	assert_command("PAUSE", "PAUSE");
	assert_string_equal(parsed.argument, "");
	assert_command("PAUSE \"my \"\"db\"\"\";", "PAUSE");
	assert_string_equal(parsed.argument, "my \"db\"");
	assert_command("kill 'it''s'", "KILL");
	assert_string_equal(parsed.argument, "it's");
	assert_command("SET key = 'a value'", "SET");
	assert_string_equal(parsed.argument, "key");
	assert_string_equal(parsed.value, "a value");
	assert_command("set timezone to \"UTC\"", "SET");
	assert_string_equal(parsed.value, "UTC");
	assert_command("set a=3", "SET");
	assert_string_equal(parsed.value, "3");
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("SHOW", "42601");
	assert_refused("SHOW CLIENTS now", "42601");
	assert_refused("KILL_CLIENT", "42601");
	assert_refused("KILL_CLIENT 1 2", "42601");
	assert_refused("ENABLE", "42601");
	assert_refused("PAUSE a b", "42601");
	assert_refused("SET", "42601");
	assert_refused("SET a", "42601");
	assert_refused("SET a b c", "42601");
	assert_refused("SET a = ", "42601");
	assert_refused("SHOW CLIENTS; SHOW POOLS", "42601");
	assert_refused("SHOW \"CLIENTS", "42601");
	assert_refused("SHOW 'CLIENTS", "42601");
	assert_refused("SELECT 1 + (2)", "42601");
	assert_refused("a b c d e f g", "42601");
	assert_refused("SHOW \x01", "42601");
}

static void test_nearest(void **state)
{
	(void)state;
	assert_refused("SHO CLIENTS", "42601");
	assert_string_equal(parsed.hint, "Did you mean SHOW CLIENTS?");
	assert_refused("show client", "42601");
	assert_string_equal(parsed.hint, "Did you mean SHOW CLIENTS?");
	assert_refused("relaod", "42601");
	assert_string_equal(parsed.hint, "Did you mean RELOAD?");
	assert_refused("xyzzy plugh", "42601");
	assert_string_equal(parsed.hint, "SHOW HELP lists the commands.");
	assert_refused("BEGIN", "42601");
	assert_non_null(strstr(parsed.hint, "autocommit"));
}

/* What stands behind EXPLAIN ROUTE is another language's, of any length. */
static void test_statements(void **state)
{
	char *text = calloc(1, 5000);

	(void)state;
	assert_true(reads(" explain\n ROUTE  SELECT 'a;b' ; -- x"));
	assert_string_equal(parsed.command->words, "EXPLAIN ROUTE");
	assert_string_equal(parsed.text, "SELECT 'a;b' ; -- x");
	assert_true(reads("EXPLAIN ROUTE"));
	assert_string_equal(parsed.text, "");
	assert_refused("EXPLAIN ROUTER SELECT 1", "42601");
	assert_refused("EXPLAIN SELECT 1", "42601");
	assert_refused("EXPLAIN", "42601");
	memset(text, 'x', 4999);
	memcpy(text, "EXPLAIN ROUTE ", 14);
	assert_true(reads(text));
	assert_int_equal(strlen(parsed.text), 4999 - 14);
	free(text);
}

/* Long words and texts end in an error, never beyond a buffer. */
static void test_huge(void **state)
{
	enum { ROOM = 70000 };
	char *text = calloc(1, ROOM);

	(void)state;
	for (size_t len = 0; len < 2000; len++) {
		memset(text, 'a', len);
		text[len] = '\0';
		(void)reads(text);
		text[0] = '"';
		(void)reads(text);
		memcpy(text, "KILL ", 5);
		text[len > 5 ? len : 5] = '\0';
		if (reads(text))
			assert_true(strlen(parsed.argument) <
				    sizeof(parsed.argument));
	}
	memset(text, 'a', ROOM - 1);
	assert_refused(text, "42601");
	free(text);
}

/*
 * Every command and both kinds of user.  Said without the table's own
 * column, so that a new command cannot be open to all by oversight.
 */
static bool is_for_all(const char *words)
{
	return (strncmp(words, "SHOW ", 5) == 0 &&
		strcmp(words, "SHOW FDS") != 0) ||
	       strcmp(words, "EXPLAIN ROUTE") == 0 || strcmp(words, "SET") == 0;
}

static void test_permissions(void **state)
{
	const struct admin_command *command;
	char text[128];

	(void)state;
	for (unsigned i = 0; (command = admin_command_at(i)); i++) {
		const char *argument = "";

		if (command->argument == ADMIN_ARGUMENT_ONE)
			argument = " x";
		else if (command->argument == ADMIN_ARGUMENT_SET)
			argument = " a = b";
		(void)snprintf(text, sizeof(text), "%s%s;", command->words,
			       argument);
		assert_true(admin_parse(text, true, &parsed));
		assert_ptr_equal(parsed.command, command);
		if (is_for_all(command->words)) {
			assert_true(admin_parse(text, false, &parsed));
			assert_ptr_equal(parsed.command, command);
		} else {
			assert_false(admin_parse(text, false, &parsed));
			assert_string_equal(parsed.sqlstate, "42501");
		}
	}
}

static void test_rows(void **state)
{
	const struct admin_command *command;

	(void)state;
	for (unsigned i = 0; (command = admin_command_at(i)); i++) {
		assert_non_null(command->run);
		assert_true((command->shown != NULL) ==
			    (command->argument != ADMIN_ARGUMENT_NONE));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(admin_command_at(j)->words,
						command->words);
		if (command->columns) {
			struct buf out = BUF_INIT;

			admin_write_columns(&out, command->columns);
			assert_true(buf_len(&out) > 0);
			buf_free(&out);
		}
	}
	assert_true(strncmp(admin_command_at(0)->words, "SHOW ", 5) == 0);
}

/* The figures and the columns that they are written under. */
static void test_statistics(void **state)
{
	(void)state;
	assert_command("SHOW STATS", "SHOW STATS");
	assert_int_equal(admin_count_columns(parsed.command->columns),
			 1 + 2 * RATES_COUNT);
	assert_non_null(strstr(parsed.command->columns, "total_xact_count:n"));
	assert_command("SHOW STATS_TOTALS", "SHOW STATS_TOTALS");
	assert_int_equal(admin_count_columns(parsed.command->columns),
			 1 + RATES_COUNT);
	assert_command("SHOW STATS_AVERAGES", "SHOW STATS_AVERAGES");
	assert_int_equal(admin_count_columns(parsed.command->columns),
			 1 + RATES_COUNT);
}

static void test_tag(void **state)
{
	char tag[32];

	(void)state;
	assert_command("shutdown wait_for_servers",
		       "SHUTDOWN WAIT_FOR_SERVERS");
	admin_command_tag(parsed.command, tag, sizeof(tag));
	assert_string_equal(tag, "SHUTDOWN");
	assert_command("reload", "RELOAD");
	admin_command_tag(parsed.command, tag, sizeof(tag));
	assert_string_equal(tag, "RELOAD");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
