/*
 * sqlreset: the forms that reset, and those that only look like one.
 */
#include "core/sqlreset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void forms(void **state)
{
	static const struct {
		const char *sql;
		enum sqlreset_kind kind;
		const char *name;
	} rows[] = {
		{ "RESET ALL", SQLRESET_ALL, "" },
		{ "  reset /* x */ all ;", SQLRESET_ALL, "" },
		{ "DISCARD ALL;", SQLRESET_ALL, "" },
		{ "RESET Work_Mem", SQLRESET_ONE, "work_mem" },
		{ "RESET \"My\".own;;", SQLRESET_ONE, "My.own" },
		{ "RESET TIME ZONE", SQLRESET_ONE, "timezone" },
		{ "RESET SESSION AUTHORIZATION", SQLRESET_ONE,
		  "session_authorization" },
		{ "RESET role", SQLRESET_ONE, "role" },
		{ "SET DateStyle TO DEFAULT", SQLRESET_ONE, "datestyle" },
		{ "SET SESSION DateStyle = default", SQLRESET_ONE,
		  "datestyle" },
		{ "SET TIME ZONE LOCAL", SQLRESET_ONE, "timezone" },
		{ "SET TIME ZONE DEFAULT", SQLRESET_ONE, "timezone" },
		{ "SET NAMES", SQLRESET_ONE, "client_encoding" },
		{ "SET NAMES DEFAULT", SQLRESET_ONE, "client_encoding" },
		{ "", SQLRESET_NONE, NULL },
		{ "RESET", SQLRESET_NONE, NULL },
		{ "RESET a b", SQLRESET_NONE, NULL },
		{ "RESET a.", SQLRESET_NONE, NULL },
		{ "RESET ALL; SELECT 1", SQLRESET_NONE, NULL },
		{ "RESET a; RESET b", SQLRESET_NONE, NULL },
		{ "RESET TRANSACTION ISOLATION LEVEL", SQLRESET_NONE, NULL },
		{ "SET a = 'default'", SQLRESET_NONE, NULL },
		{ "SET a = default, b", SQLRESET_NONE, NULL },
		{ "SET a TO b", SQLRESET_NONE, NULL },
		{ "SET a default", SQLRESET_NONE, NULL },
		{ "SET LOCAL a TO DEFAULT", SQLRESET_NONE, NULL },
		{ "SET TIME ZONE 'UTC'", SQLRESET_NONE, NULL },
		{ "SET TIME zones", SQLRESET_NONE, NULL },
		{ "SET NAMES 'utf8'", SQLRESET_NONE, NULL },
		{ "DISCARD PLANS", SQLRESET_NONE, NULL },
		{ "SELECT 1", SQLRESET_NONE, NULL },
		{ "RESET \xc3\xa4", SQLRESET_NONE, NULL },
	};
	char name[SQLRESET_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *sql = rows[i].sql;
		enum sqlreset_kind kind = sqlreset_read(sql, strlen(sql), name);

		if (kind != rows[i].kind)
			print_error("%s\n", sql);
		assert_int_equal(kind, rows[i].kind);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
	}
}

/* However long a name is, it stays in its room. */
static void long_names(void **state)
{
	char sql[1000];
	char name[SQLRESET_NAME_MAX + 1];
	size_t len;

	(void)state;
	(void)memset(sql, 'x', sizeof(sql));
	memcpy(sql, "RESET ", 6);
	assert_int_equal(sqlreset_read(sql, sizeof(sql), name), SQLRESET_NONE);
	for (size_t i = 20; i < sizeof(sql); i += 20)
		sql[i] = '.';
	for (len = 0; len <= sizeof(sql); len++)
		(void)sqlreset_read(sql, len, name);
	assert_int_equal(sqlreset_read(sql, 6 + 13, name), SQLRESET_ONE);
	assert_int_equal(sqlreset_read(sql, 999, name), SQLRESET_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(long_names),
	};

	return cmocka_run_group_tests_name("sqlreset", tests, NULL, NULL);
}
