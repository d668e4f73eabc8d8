/*
 * Statements about databases and roles: which names they are about, as the
 * server stores them.
 */
#include "core/dbddl.h"

#include "core/sqlclass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sqlclass_context plain = { NULL, true, true };

static struct dbddl read_text(const char *sql)
{
	/* Exactly as long as it is: reading on is caught. */
	size_t len = strlen(sql);
	char *copy = malloc(len + (len == 0));
	struct dbddl ddl = { 0 };

	assert_non_null(copy);
	memcpy(copy, sql, len);
	dbddl_read(&ddl, copy, len, &plain);
	free(copy);
	return ddl;
}

/* "a,b", "*" for everybody, "" for nobody. */
static const char *show(const struct dbddl_names *names)
{
	static char text[4][DBDDL_NAMES_MAX * (SQLLEX_NAME_MAX + 2) + 2];
	static unsigned turn;
	char *out = text[turn++ % 4];
	char *at = out;

	for (unsigned i = 0; i < names->count; i++)
		at += sprintf(at, "%s%s", i > 0 ? "," : "", names->names[i]);
	(void)sprintf(at, "%s", names->is_all ? "*" : "");
	return out;
}

struct row {
	const char *sql;
	const char *empty;
	const char *databases;
	const char *roles;
	const char *gone;
	bool is_alone;
};

static const struct row rows[] = {
	{ "CREATE DATABASE x", "template1", "x", "", "x", true },
	{ "create database \"X y\" template Foo", "foo", "X y", "", "X y",
	  true },
	{ "CREATE DATABASE x WITH TEMPLATE = \"Foo\" OWNER me", "Foo", "x", "",
	  "x", true },
	{ "CREATE DATABASE x WITH OWNER = template TEMPLATE y", "y", "x", "",
	  "x", true },
	{ "CREATE DATABASE x STRATEGY = 'wal_log' TEMPLATE 'it' ENCODING "
	  "'UTF8'",
	  "it", "x", "", "x", true },
	{ "CREATE DATABASE x TEMPLATE DEFAULT", "template1", "x", "", "x",
	  true },
	{ "CREATE DATABASE x CONNECTION LIMIT -1 TEMPLATE t", "t", "x", "", "x",
	  true },
	{ "CREATE DATABASE x CONNECTION LIMIT = +5 TEMPLATE=t;", "t", "x", "",
	  "x", true },
	{ "CREATE DATABASE x WITH CONNECTION LIMIT 5", "template1", "x", "",
	  "x", true },
	{ "/* a */ CREATE -- b\n DATABASE x", "template1", "x", "", "x", true },
	/* Cut short, or no name at all. */
	{ "CREATE DATABASE", "", "", "", "", false },
	{ "CREATE DATABASE 'x'", "", "", "", "", false },
	{ "CREATE DATABASE x TEMPLATE", "", "", "", "", false },
	{ "CREATE DATABASE x OWNER =", "", "", "", "", false },
	{ "CREATE DATABASE x TEMPLATE 'a''b'", "", "", "", "", false },
	{ "CREATE DATABASE x TEMPLATE E'a'", "", "", "", "", false },

	{ "DROP DATABASE x", "x", "x", "", "x", true },
	{ "DROP DATABASE IF EXISTS x WITH (FORCE)", "x", "x", "", "x", true },
	{ "DROP DATABASE if", "if", "if", "", "if", true },
	{ "DROP DATABASE \"a\"\"b\"", "a\"b", "a\"b", "", "a\"b", true },
	{ "DROP DATABASE \"\"", "", "", "", "", false },

	{ "ALTER DATABASE x RENAME TO y", "x", "x,y", "", "x,y", false },
	{ "ALTER DATABASE x SET TABLESPACE t", "x", "x", "", "", true },
	{ "ALTER DATABASE x SET work_mem = 1", "", "x", "", "", false },
	{ "ALTER DATABASE x OWNER TO y", "", "x", "", "", false },
	{ "ALTER DATABASE x ALLOW_CONNECTIONS false", "", "x", "", "", false },
	{ "ALTER DATABASE", "", "", "", "", false },
	{ "ALTER DATABASE x RENAME TO", "", "x", "", "", false },

	{ "CREATE ROLE r LOGIN", "", "", "r", "", false },
	{ "CREATE USER R", "", "", "r", "", false },
	{ "CREATE GROUP \"R\"", "", "", "R", "", false },
	{ "ALTER ROLE r PASSWORD 'x'", "", "", "r", "", false },
	{ "ALTER USER r RENAME TO s", "", "", "r,s", "", false },
	{ "ALTER ROLE r IN DATABASE d SET a = 1", "", "", "r", "", false },
	{ "ALTER ROLE ALL IN DATABASE d SET a = 1", "", "d", "", "", false },
	{ "ALTER ROLE ALL SET a = 1", "", "", "*", "", false },
	{ "ALTER ROLE \"all\" SET a = 1", "", "", "all", "", false },
	{ "ALTER ROLE current_user SET a = 1", "", "", "*", "", false },
	{ "ALTER USER session_user RESET ALL", "", "", "*", "", false },
	{ "ALTER ROLE CURRENT_ROLE RESET ALL", "", "", "*", "", false },
	{ "DROP ROLE IF EXISTS a, \"B\" , c", "", "", "a,B,c", "", false },
	{ "DROP USER a,", "", "", "a", "", false },
	{ "DROP ROLE a, b, c, d, e", "", "", "*", "", false },
	{ "CREATE USER MAPPING FOR x SERVER y", "", "", "", "", false },
	{ "DROP USER MAPPING IF EXISTS FOR x SERVER y", "", "", "", "", false },

	{ "GRANT CONNECT ON DATABASE a, b TO c", "", "a,b", "", "", false },
	{ "REVOKE ALL PRIVILEGES ON DATABASE a FROM public", "", "a", "", "",
	  false },
	{ "GRANT SELECT ON t TO database", "", "", "", "", false },
	{ "GRANT a TO b", "", "", "", "", false },

	{ "SELECT 1; ALTER ROLE r SET a = 1; ALTER DATABASE d SET b = 2", "",
	  "d", "r", "", false },
	{ "DROP DATABASE a; DROP DATABASE b", "a,b", "a,b", "", "a,b", true },
	{ "DROP DATABASE a; DROP ROLE b", "a", "a", "b", "a", false },
	{ "DROP ROLE b; DROP DATABASE a", "a", "a", "b", "a", false },
	{ "ALTER ROLE r SET a = 'x; DROP DATABASE y'", "", "", "r", "", false },

	{ "SELECT 'DROP DATABASE x'", "", "", "", "", false },
	{ "ALTER TABLE database RENAME TO role", "", "", "", "", false },
	{ "DROP TABLE x", "", "", "", "", false },
	{ "", "", "", "", "", false },
	{ ";;", "", "", "", "", false },
	{ "DROP DATABASE x; 'open", "x", "x", "", "x", true },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct dbddl got = read_text(row->sql);

		if (strcmp(show(&got.empty), row->empty) != 0 ||
		    strcmp(show(&got.databases), row->databases) != 0 ||
		    strcmp(show(&got.roles), row->roles) != 0 ||
		    strcmp(show(&got.gone), row->gone) != 0 ||
		    got.is_alone != row->is_alone)
			fail_msg("%s: empty %s databases %s roles %s gone %s "
				 "alone %d",
				 row->sql, show(&got.empty),
				 show(&got.databases), show(&got.roles),
				 show(&got.gone), got.is_alone);
	}
}

static const struct {
	const char *sql;
	const char *name; /* "": not understood */
} unicode[] = {
	{ "U&\"d\\0061t\\+000061\"", "data" },
	{ "u&\"d!0061t\" UESCAPE '!'", "dat" },
	{ "u&\"d!!\" uescape\n'!'", "d!" },
	{ "U&\"\\\\\"", "\\" },
	{ "U&\"a\"\"b\"", "a\"b" },
	{ "U&\"\\00E9\"", "\xc3\xa9" },
	{ "U&\"\\20AC\"", "\xe2\x82\xac" },
	{ "U&\"\\+01F600\"", "\xf0\x9f\x98\x80" },
	{ "U&\"\\D83D\\DE00\"", "\xf0\x9f\x98\x80" },
	{ "U&\"\\00e9X\xc3\xa9\"", "\xc3\xa9X\xc3\xa9" },
	/* Refused by PostgreSQL, too. */
	{ "U&\"\\D83D\"", "" },
	{ "U&\"\\D83D\\0041\"", "" },
	{ "U&\"\\DE00\"", "" },
	{ "U&\"\\0000\"", "" },
	{ "U&\"\\+110000\"", "" },
	{ "U&\"\\00\"", "" },
	{ "U&\"\\00g1\"", "" },
	{ "U&\"\\\"", "" },
	{ "U&\"a\" UESCAPE 'ab'", "" },
	{ "U&\"a\" UESCAPE", "" },
};

static void test_unicode(void **state)
{
	char sql[128];

	(void)state;
	for (size_t i = 0; i < sizeof(unicode) / sizeof(*unicode); i++) {
		struct dbddl got;

		(void)snprintf(sql, sizeof(sql), "DROP DATABASE %s",
			       unicode[i].sql);
		got = read_text(sql);
		if (strcmp(show(&got.empty), unicode[i].name) != 0)
			fail_msg("%s is %s", unicode[i].sql, show(&got.empty));
	}
}

/* NAMEDATALEN - 1, and no half of a character. */
static void test_long_names(void **state)
{
	char sql[256];
	char name[SQLLEX_NAME_MAX + 1];
	struct dbddl got;

	(void)state;
	memset(name, 'a', SQLLEX_NAME_MAX);
	name[SQLLEX_NAME_MAX] = '\0';
	(void)snprintf(sql, sizeof(sql), "DROP DATABASE %sbc", name);
	got = read_text(sql);
	assert_string_equal(show(&got.empty), name);

	name[SQLLEX_NAME_MAX - 1] = '\0';
	(void)snprintf(sql, sizeof(sql), "DROP DATABASE \"%s\xc3\xa9z\"", name);
	got = read_text(sql);
	assert_string_equal(show(&got.empty), name);

	(void)snprintf(sql, sizeof(sql), "CREATE DATABASE x TEMPLATE '%saaaa'",
		       name);
	name[SQLLEX_NAME_MAX - 1] = 'a';
	got = read_text(sql);
	assert_string_equal(show(&got.empty), name);
}

/* A backslash may hide the quote when strings are not plain. */
static void test_context(void **state)
{
	const struct sqlclass_context escapes = { NULL, false, true };
	const struct sqlclass_context unsafe = { NULL, true, false };
	const char sql[] = "CREATE DATABASE x TEMPLATE 'a\\b'";
	const char high[] = "DROP DATABASE \"\xc3\xa9\"";
	struct dbddl got = { 0 };

	(void)state;
	dbddl_read(&got, sql, strlen(sql), &escapes);
	dbddl_read(&got, high, strlen(high), &unsafe);
	assert_true(dbddl_is_nothing(&got));
	dbddl_read(&got, high, strlen(high), &plain);
	assert_string_equal(show(&got.empty), "\xc3\xa9");
}

static void test_reload(void **state)
{
	struct dbddl got = read_text("SELECT pg_reload_conf()");

	(void)state;
	assert_true(got.is_reload);
	assert_false(dbddl_is_nothing(&got));
	assert_false(dbddl_concerns(&got, "any", "body"));
	got = read_text("SELECT pg_catalog.PG_RELOAD_CONF ( )");
	assert_true(got.is_reload);
	got = read_text("SELECT 'pg_reload_conf()'");
	assert_false(got.is_reload);
}

static void test_merge(void **state)
{
	struct dbddl all = { 0 };
	struct dbddl one = read_text("DROP DATABASE a");

	(void)state;
	dbddl_merge(&all, &one);
	assert_true(all.is_alone);
	dbddl_merge(&all, &one);
	assert_int_equal(all.empty.count, 1);
	one = read_text("ALTER ROLE ALL SET x = 1");
	dbddl_merge(&all, &one);
	assert_false(all.is_alone);
	assert_true(all.roles.is_all);
	assert_true(dbddl_concerns(&all, "z", "z"));
	/* So many that the databases are all, but none is closed blindly. */
	one = read_text("DROP DATABASE b; DROP DATABASE c; DROP DATABASE d;"
			"DROP DATABASE e");
	dbddl_merge(&all, &one);
	assert_int_equal(all.empty.count, DBDDL_NAMES_MAX);
	assert_false(all.empty.is_all);
	assert_true(all.databases.is_all);
	assert_true(all.gone.is_all);
}

static void test_concerns(void **state)
{
	struct dbddl got = read_text("ALTER ROLE r IN DATABASE d SET a = 1;"
				     "ALTER DATABASE e SET a = 1");

	(void)state;
	assert_true(dbddl_concerns(&got, "other", "r"));
	assert_true(dbddl_concerns(&got, "e", "other"));
	assert_false(dbddl_concerns(&got, "d", "other"));
	assert_false(dbddl_concerns(&got, "r", "e"));
}

/* The class of a text says when to read it. */
static void test_class_agrees(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dbddl got = read_text(rows[i].sql);
		struct sqlclass class = sqlclass_judge(
			rows[i].sql, strlen(rows[i].sql), &plain);

		if (!dbddl_is_nothing(&got) && !class.is_global)
			fail_msg("%s is not called global", rows[i].sql);
	}
	assert_false(sqlclass_judge("SELECT 1", 8, &plain).is_global);
	assert_false(sqlclass_judge("DROP TABLE a", 12, &plain).is_global);
	assert_true(sqlclass_judge("SELECT pg_reload_conf()", 23, &plain)
			    .is_global);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_unicode),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_concerns),
		cmocka_unit_test(test_class_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
