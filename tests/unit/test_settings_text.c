/*
 * settings_text: the "options" of a startup packet, and the statements that
 * lead from one set to another.
 */
#include "base/buf.h"
#include "core/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- options ------------------------------------------------------------- */

static const struct settings *set;

static int begin(void **state)
{
	(void)state;
	set = settings_with(settings_empty(), "kept", "yes");
	return 0;
}

static int end(void **state)
{
	(void)state;
	settings_release(set);
	assert_int_equal(settings_interned(), 0);
	return 0;
}

static void accept_options(const char *options)
{
	const char *why = NULL;

	assert_true(settings_add_options(&set, options, &why));
	assert_null(why);
	assert_string_equal(settings_get(set, "kept"), "yes");
}

static void expect(const char *name, const char *value)
{
	assert_non_null(settings_get(set, name));
	assert_string_equal(settings_get(set, name), value);
}

static void switches_are_understood(void **state)
{
	(void)state;
	accept_options("");
	accept_options(" \t\n\v\f\r ");
	assert_int_equal(settings_count(set), 1);
	accept_options("-c a=1 -cb=2\t--c=3  --long-name=x -c d-e=4-5");
	expect("a", "1");
	expect("b", "2");
	expect("c", "3");
	expect("long_name", "x");
	expect("d_e", "4-5");
	assert_int_equal(settings_count(set), 6);
	accept_options("-c\na=2 -c x.Y=z -c empty= -c eq=a=b");
	expect("a", "2");
	expect("x.y", "z");
	expect("empty", "");
	expect("eq", "a=b");
}

static void white_space_is_escaped(void **state)
{
	(void)state;
	accept_options("-c search_path=a,\\ b --x=c:\\\\d\\n -c t=a\\\tb");
	expect("search_path", "a, b");
	expect("x", "c:\\dn");
	expect("t", "a\tb");
}

static void trailing_escapes_end(void **state)
{
	(void)state;
	accept_options("-c a=b\\");
	expect("a", "b");
	accept_options("-c a=c\\\\");
	expect("a", "c\\");
	accept_options("-c a=d\\ ");
	expect("a", "d ");
}

static void last_one_counts(void **state)
{
	(void)state;
	accept_options("-c a=1 -c A=2 --a=3");
	expect("a", "3");
	assert_int_equal(settings_count(set), 2);
}

static void others_are_refused(void **state)
{
	const char *const bad[] = { "-c",       "-c ",      "--",
				    "-",        "-c a",     "--a",
				    "-d 5",     "-e",       "-f s",
				    "-B 10",    "word",     "-ec a=1",
				    "-c =1",    "--=1",     "-c a=1 x",
				    "-c a$%=1", "-c a;b=1", "-c \"a\"=1",
				    "\\",       "-c 1a=2",  "-c\\ a=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct settings *before = set;
		const char *why = NULL;

		assert_false(settings_add_options(&set, bad[i], &why));
		assert_non_null(why);
		assert_true(strlen(why) > 10);
		assert_ptr_equal(set, before);
	}
	assert_int_equal(settings_interned(), 1);
}

/* --- differences -----------------------------------------------------------
 */

/* A set of pairs, in the order in which a client would set them. */
static const struct settings *make(const char *const *pairs)
{
	const struct settings *made = settings_hold(settings_empty());

	for (; *pairs; pairs += 2) {
		const struct settings *more =
			settings_with(made, pairs[0], pairs[1]);

		settings_release(made);
		made = more;
	}
	return made;
}

static void expect_sql(const char *const *from, const char *const *to,
		       const char *expected)
{
	const struct settings *old = make(from);
	const struct settings *new = make(to);
	struct buf sql = BUF_INIT;

	settings_difference(old, new, &sql);
	buf_append_u8(&sql, 0);
	assert_string_equal((const char *)buf_head(&sql), expected);
	buf_free(&sql);
	settings_release(old);
	settings_release(new);
}
#define PAIRS(...) \
	((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL, NULL })

static void equal_sets_need_nothing(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS(), "");
	expect_sql(PAIRS("a", "1"), PAIRS("a", "1"), "");
	expect_sql(PAIRS("role", "r"), PAIRS("role", "r"), "");
}

static void changes_are_spoken(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS("a", "1"), "SET \"a\" TO '1';");
	expect_sql(PAIRS("a", "1"), PAIRS(), "RESET \"a\";");
	expect_sql(PAIRS("a", "1"), PAIRS("a", "2"), "SET \"a\" TO '2';");
	expect_sql(PAIRS("b", "1", "c", "2", "d", "3"),
		   PAIRS("a", "0", "c", "2", "d", "4", "My.Var", "x"),
		   "RESET \"b\";SET \"a\" TO '0';SET \"d\" TO '4';"
		   "SET \"my\".\"var\" TO 'x';");
	expect_sql(PAIRS("my.var", "1"), PAIRS("a", ""),
		   "RESET \"my\".\"var\";SET \"a\" TO '';");
}

static void values_are_quoted(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS("a", "it's"), "SET \"a\" TO 'it''s';");
	expect_sql(PAIRS(), PAIRS("a", "\\"), "SET \"a\" TO E'\\\\';");
	expect_sql(PAIRS(), PAIRS("a", "\\'; drop table t; --"),
		   "SET \"a\" TO E'\\\\''; drop table t; --';");
	expect_sql(PAIRS(), PAIRS("a", "x\n\"$$\";--/*"),
		   "SET \"a\" TO 'x\n\"$$\";--/*';");
}

static void lists_are_taken_as_they_stand(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS("search_path", "a, \"B\", 'c"),
		   "SELECT pg_catalog.set_config('search_path',"
		   "'a, \"B\", ''c',false);");
	expect_sql(PAIRS(), PAIRS("temp_tablespaces", "x,\\y"),
		   "SELECT pg_catalog.set_config('temp_tablespaces',"
		   "E'x,\\\\y',false);");
	expect_sql(PAIRS(), PAIRS("local_preload_libraries", "a,b"),
		   "SELECT pg_catalog.set_config('local_preload_libraries',"
		   "'a,b',false);");
	expect_sql(PAIRS(), PAIRS("session_preload_libraries", "a"),
		   "SELECT pg_catalog.set_config('session_preload_libraries',"
		   "'a',false);");
	expect_sql(PAIRS("search_path", "a"), PAIRS(),
		   "RESET \"search_path\";");
}

/* 63 bytes and the dot; then a word of 64. */
#define WORD16   "abcdefghijklmnop"
#define WORD63   WORD16 WORD16 WORD16 "abcdefghijklmno"
#define LONGEST  WORD63 "." WORD63
#define TOO_LONG "x." WORD63 "p"

static void long_names_are_not_cut(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS(LONGEST, "1"),
		   "SET \"" WORD63 "\".\"" WORD63 "\" TO '1';");
	expect_sql(PAIRS(), PAIRS(TOO_LONG, "1"),
		   "SELECT pg_catalog.set_config('" TOO_LONG "','1',false);");
	expect_sql(PAIRS(TOO_LONG, "1"), PAIRS(),
		   "SELECT pg_catalog.set_config('" TOO_LONG "',NULL,false);");
}

static void other_bytes_name_their_encoding(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS("a", "\xc3\xa9'"),
		   "SELECT pg_catalog.set_config('a',pg_catalog.convert_from("
		   "pg_catalog.decode('c3a927','hex'),"
		   "pg_catalog.getdatabaseencoding()),false);");
	expect_sql(PAIRS("client_encoding", "UTF8"),
		   PAIRS("a", "\x95\x5c", "client_encoding", "SJIS"),
		   "SELECT pg_catalog.set_config('a',pg_catalog.convert_from("
		   "pg_catalog.decode('955c','hex'),'SJIS'),false);"
		   "SET \"client_encoding\" TO 'SJIS';");
	expect_sql(PAIRS(), PAIRS("client_encoding", "\xff"),
		   "SELECT pg_catalog.set_config('client_encoding',"
		   "pg_catalog.convert_from(pg_catalog.decode('ff','hex'),"
		   "pg_catalog.getdatabaseencoding()),false);");
}

static void identities_frame_the_rest(void **state)
{
	(void)state;
	expect_sql(PAIRS(), PAIRS("zz", "1", "role", "r", "a", "2"),
		   "SET \"a\" TO '2';SET \"zz\" TO '1';SET \"role\" TO 'r';");
	expect_sql(PAIRS("role", "r", "a", "1"), PAIRS(),
		   "RESET \"role\";RESET \"a\";");
	expect_sql(PAIRS("role", "r"), PAIRS("role", "r", "a", "1"),
		   "RESET \"role\";SET \"a\" TO '1';SET \"role\" TO 'r';");
	expect_sql(PAIRS("role", "r", "session_authorization", "s"),
		   PAIRS("role", "r", "session_authorization", "t"),
		   "RESET \"role\";RESET \"session_authorization\";"
		   "SET \"session_authorization\" TO 't';"
		   "SET \"role\" TO 'r';");
}

static void date_style_starts_anew(void **state)
{
	(void)state;
	expect_sql(PAIRS("DateStyle", "German"), PAIRS("DateStyle", "DMY"),
		   "RESET \"datestyle\";SET \"datestyle\" TO 'DMY';");
	expect_sql(PAIRS("DateStyle", "German"), PAIRS("DateStyle", "German"),
		   "");
	expect_sql(PAIRS(), PAIRS("DateStyle", "ISO, DMY"),
		   "SET \"datestyle\" TO 'ISO, DMY';");
}

/* Every length around the blocks of a buffer, half of it to be escaped. */
static void long_values_are_whole(void **state)
{
	static char value[10001];
	static char expected[30000];

	(void)state;
	for (size_t len = 0; len <= 10000; len += len < 300 ? 1 : 389) {
		char *at = expected;

		for (size_t i = 0; i < len; i++)
			value[i] = i % 2 ? '\'' : 'v';
		value[len] = '\0';
		at = stpcpy(at, "SET \"application_name\" TO '");
		for (size_t i = 0; i < len; i++)
			at = stpcpy(at, i % 2 ? "''" : "v");
		(void)stpcpy(at, "';");
		expect_sql(PAIRS(), PAIRS("application_name", value), expected);
	}
}

static void text_is_appended(void **state)
{
	const struct settings *to = make(PAIRS("a", "1"));
	struct buf sql = BUF_INIT;

	(void)state;
	buf_append(&sql, "BEGIN;", 6);
	settings_difference(settings_empty(), to, &sql);
	assert_int_equal(buf_len(&sql), 6 + 15);
	assert_memory_equal(buf_head(&sql), "BEGIN;SET \"a\" TO '1';", 21);
	buf_free(&sql);
	settings_release(to);
}

/* --- for the rest of a transaction --------------------------------------- */

static void expect_local(const struct settings *from, const struct settings *to,
			 const char *expected)
{
	struct buf sql = BUF_INIT;

	settings_localize(from, to, &sql);
	buf_append_u8(&sql, 0);
	assert_string_equal((const char *)buf_head(&sql), expected);
	buf_free(&sql);
}

static void what_is_read_by_is_local(void **state)
{
	const struct settings *from =
		make(PAIRS("search_path", "a, b", "work_mem", "1MB", "timezone",
			   "UTC", "role", "one"));
	const struct settings *to = make(PAIRS("search_path", "c", "datestyle",
					       "DMY", "timezone", "UTC"));

	(void)state;
	expect_local(from, to,
		     "SELECT pg_catalog.set_config('datestyle',NULL,true),"
		     "pg_catalog.set_config('datestyle','DMY',true),"
		     "pg_catalog.set_config('search_path','c',true)");
	expect_local(to, from,
		     "SELECT pg_catalog.set_config('datestyle',NULL,true),"
		     "pg_catalog.set_config('search_path','a, b',true)");
	expect_local(to, to, "");
	settings_release(from);
	settings_release(to);
}

/* All of them are said, and never who one is. */
static void what_is_not_known_is_said(void **state)
{
	const struct settings *to =
		make(PAIRS("search_path", "it's", "role", "one"));
	struct buf sql = BUF_INIT;
	const char *name;

	(void)state;
	settings_localize(NULL, to, &sql);
	buf_append_u8(&sql, 0);
	for (size_t i = 0; (name = settings_parsing_name(i)) != NULL; i++) {
		bool is_who = strcmp(name, "role") == 0 ||
			      strcmp(name, "session_authorization") == 0;

		assert_int_equal(!strstr((const char *)buf_head(&sql), name),
				 is_who);
	}
	assert_non_null(strstr((const char *)buf_head(&sql),
			       "'search_path','it''s',true"));
	buf_free(&sql);
	settings_release(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(switches_are_understood, begin,
						end),
		cmocka_unit_test_setup_teardown(white_space_is_escaped, begin,
						end),
		cmocka_unit_test_setup_teardown(trailing_escapes_end, begin,
						end),
		cmocka_unit_test_setup_teardown(last_one_counts, begin, end),
		cmocka_unit_test_setup_teardown(others_are_refused, begin, end),
		cmocka_unit_test(equal_sets_need_nothing),
		cmocka_unit_test(changes_are_spoken),
		cmocka_unit_test(values_are_quoted),
		cmocka_unit_test(lists_are_taken_as_they_stand),
		cmocka_unit_test(long_names_are_not_cut),
		cmocka_unit_test(other_bytes_name_their_encoding),
		cmocka_unit_test(identities_frame_the_rest),
		cmocka_unit_test(date_style_starts_anew),
		cmocka_unit_test(long_values_are_whole),
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(what_is_read_by_is_local),
		cmocka_unit_test(what_is_not_known_is_said),
	};
	int failed =
		cmocka_run_group_tests_name("settings_text", tests, NULL, NULL);

	buf_thread_cleanup();
	return failed;
}
