/*
 * inspect: which parts are asked for, which names a text could set, the query
 * and its answer.
 */
#include "core/inspect.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "core/settings.h"
#include "core/sqlfacts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- parts ---------------------------------------------------------------- */

static void parts_follow_effects(void **state)
{
	const unsigned all = INSPECT_SETTINGS | INSPECT_TEMP | INSPECT_LOCKS |
			     INSPECT_CURSORS | INSPECT_STATEMENTS |
			     INSPECT_CHANNELS;

	(void)state;
	assert_int_equal(inspect_parts(0, ~0U), 0);
	assert_int_equal(inspect_parts(EFFECT_SET, 0), INSPECT_NAMED);
	assert_int_equal(inspect_parts(EFFECT_SET_LOCAL, 0), 0);
	assert_int_equal(inspect_parts(EFFECT_RESET_ALL, 0), INSPECT_SETTINGS);
	assert_int_equal(inspect_parts(EFFECT_TEMP, 0), INSPECT_TEMP);
	assert_int_equal(inspect_parts(EFFECT_HIDDEN, 0), all);
	assert_int_equal(inspect_parts(EFFECT_EXECUTE, 0), all);
}

/* What ends a pin is looked for only while there is one. */
static void ends_matter_to_pins(void **state)
{
	static const struct {
		uint32_t end;
		uint32_t pin;
		unsigned part;
	} rows[] = {
		{ EFFECT_DDL, EFFECT_TEMP, INSPECT_TEMP },
		{ EFFECT_UNLOCK, EFFECT_ADVISORY, INSPECT_LOCKS },
		{ EFFECT_CURSOR, EFFECT_HOLD, INSPECT_CURSORS },
		{ EFFECT_DEALLOCATE, EFFECT_PREPARE, INSPECT_STATEMENTS },
		{ EFFECT_UNLISTEN_ALL, EFFECT_LISTEN, INSPECT_CHANNELS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(inspect_parts(rows[i].end, 0), 0);
		assert_int_equal(inspect_parts(rows[i].end, rows[i].pin),
				 rows[i].part);
		assert_int_equal(inspect_pins_of(rows[i].part), rows[i].pin);
	}
	assert_int_equal(inspect_pins_of(INSPECT_NAMED), EFFECT_SET);
	assert_int_equal(inspect_pins_of(INSPECT_SETTINGS), EFFECT_SET);
}

/* --- names ------------------------------------------------------------------
 */

static bool collects(struct strmap *names, const char *text)
{
	return inspect_collect(names, text, strlen(text));
}

static void names_are_found(void **state)
{
	static const char *const found[] = {
		"work_mem",
		"search_path",
		"my_app.who",
		"a.b.c",
		"timezone",
		"client_encoding",
		"xmloption",
		"app.tenant",
		"session_authorization",
		"default_transaction_read_only",
	};
	struct strmap *names = strmap_new();

	(void)state;
	assert_true(collects(names, "SET Work_Mem = '7MB'"));
	assert_true(collects(names, "set search_path to a, \"B\""));
	assert_true(collects(names, "SET \"My_App\".\"who\" TO 'x'"));
	assert_true(collects(names, "SELECT set_config('a.b.c', $1, false)"));
	assert_true(collects(names, "SET TIME ZONE 2"));
	assert_true(collects(names, "SET NAMES 'utf8'"));
	assert_true(collects(names, "SET XML OPTION document"));
	assert_true(collects(names, "SET SESSION AUTHORIZATION x"));
	assert_true(collects(names, "SET SESSION CHARACTERISTICS AS"));
	assert_true(inspect_collect(names, "\0\0\0\012app.tenant\0\0", 16));
	for (size_t i = 0; i < sizeof(found) / sizeof(*found); i++)
		assert_non_null(strmap_get(names, found[i]));
	assert_null(strmap_get(names, "7mb"));
	strmap_free(names, NULL);
}

static void names_are_not_enough(void **state)
{
	struct strmap *names = strmap_new();
	char *many = malloc(100000);

	(void)state;
	assert_false(collects(names, "RESET work_mem"));
	assert_false(collects(names, "SET work_mem TO Default"));
	(void)memset(many, ' ', 100000);
	for (size_t i = 0; i < 10000; i++)
		(void)memcpy(many + 10 * i, "nnnn", 4);
	assert_true(inspect_collect(names, many, 100000));
	for (size_t i = 0; i < 10000; i++)
		for (size_t digit = 0, n = i; digit < 4; digit++, n /= 10)
			many[10 * i + digit] = (char)('a' + n % 10);
	assert_false(inspect_collect(names, many, 100000));
	/* However many there are, memory is bounded. */
	assert_in_range(strmap_count(names), 41, 400);
	(void)memset(many, 'x', 100000);
	assert_false(inspect_collect(names, many, 100000));
	free(many);
	strmap_free(names, NULL);
}

static bool is_named(const char *text)
{
	return inspect_is_named(text, strlen(text));
}

static void computed_names_are_seen(void **state)
{
	(void)state;
	assert_true(is_named("SET a = 1"));
	assert_true(is_named("SELECT set_config('a.b', x || y, true)"));
	assert_true(is_named("SELECT Set_Config ( $12 , $2, false)"));
	assert_false(is_named("SELECT set_config('a.' || x, '', false)"));
	assert_false(is_named("SELECT set_config(name, '', false) FROM t"));
	assert_false(is_named("SELECT set_config('a.b', '', true), "
			      "set_config(x, '', false)"));
	assert_false(is_named("set_config"));
	assert_false(is_named("set_config("));
	assert_false(is_named("set_config('"));
	assert_false(is_named("set_config('a'"));
}

static bool is_local(const char *text)
{
	return inspect_is_local(text, strlen(text));
}

static void local_calls_are_seen(void **state)
{
	(void)state;
	assert_true(is_local("SELECT set_config('a.b', $1, true)"));
	assert_true(is_local("select Set_Config($1,$2,TRUE), "
			     "set_config('c', 'x', true )"));
	assert_true(is_local("SELECT 1"));
	assert_false(is_local("SELECT set_config('a.b', $1, false)"));
	assert_false(is_local("SELECT set_config('a.b', $1, $2)"));
	assert_false(is_local("SELECT set_config('a', x, true)"));
	assert_false(is_local("SELECT set_config('a', 'x', true or false)"));
	assert_false(is_local("SELECT set_config('a', 'x', true"));
	assert_false(is_local("SELECT set_config('a', 'x', true); "
			      "SET work_mem = 1"));
	assert_false(is_local("RESET work_mem"));
	assert_false(is_local("SELECT set_config('a', 'b' 'c', true)"));
	assert_false(is_local("set"));
}

/* --- the query
 * ---------------------------------------------------------------- */

static void query_asks_for_parts(void **state)
{
	const struct settings *known =
		settings_with(settings_empty(), "my.own", "1");
	struct strmap *names = strmap_new();
	struct buf sql = BUF_INIT;

	(void)state;
	assert_true(collects(names, "work_mem a.b"));
	inspect_query(&sql, INSPECT_NAMED, names, known);
	assert_non_null(strstr(buf_text(&sql), "'work_mem'"));
	assert_non_null(strstr(buf_text(&sql), "'a.b'"));
	assert_null(strstr(buf_text(&sql), "pg_settings"));
	assert_null(strstr(buf_text(&sql), "'my.own'"));
	buf_free(&sql);
	inspect_query(&sql, INSPECT_SETTINGS | INSPECT_LOCKS, names, known);
	assert_null(strstr(buf_text(&sql), "'work_mem'"));
	assert_non_null(strstr(buf_text(&sql), "'a.b'"));
	assert_non_null(strstr(buf_text(&sql), "'my.own'"));
	assert_non_null(strstr(buf_text(&sql), "pg_settings"));
	assert_non_null(strstr(buf_text(&sql), "pg_locks"));
	assert_null(strstr(buf_text(&sql), "pg_cursors"));
	buf_free(&sql);
	inspect_query(&sql, INSPECT_TEMP, names, known);
	assert_null(strstr(buf_text(&sql), "UNION"));
	buf_free(&sql);
	strmap_free(names, NULL);
	settings_release(known);
}

/* --- the answer
 * ---------------------------------------------------------------- */

static void add_column(struct buf *row, const char *text)
{
	buf_append_u32(row, (uint32_t)strlen(text));
	buf_append(row, text, strlen(text));
}

static bool take(struct inspect_result *result, const char *kind,
		 const char *name, const char *value)
{
	struct buf row = BUF_INIT;
	bool ok;

	buf_append_u16(&row, 3);
	add_column(&row, kind);
	add_column(&row, name);
	add_column(&row, value);
	ok = inspect_take_row(result, "login", buf_head(&row), buf_len(&row));
	buf_free(&row);
	return ok;
}

static void rows_are_taken(void **state)
{
	struct inspect_result result = { .settings = settings_empty() };

	(void)state;
	assert_true(take(&result, "s", "plpgsql.extra_errors", "none"));
	assert_false(result.is_spoiling);
	assert_true(take(&result, "s", "plpgsql.made_up", ""));
	assert_true(result.is_spoiling);
	settings_release(result.settings);
	result = (struct inspect_result){ .settings = settings_empty() };
	assert_true(take(&result, "s", "work_mem", "9"));
	assert_true(take(&result, "s", "my.own", ""));
	assert_true(take(&result, "s", "role", "somebody"));
	assert_true(take(&result, "s", "session_authorization", "login"));
	assert_true(take(&result, "p", "temp", ""));
	assert_true(take(&result, "p", "hold", ""));
	assert_int_equal(result.pins, EFFECT_TEMP | EFFECT_HOLD);
	assert_int_equal(settings_count(result.settings), 3);
	assert_string_equal(settings_get(result.settings, "work_mem"), "9");
	assert_string_equal(settings_get(result.settings, "my.own"), "");
	assert_string_equal(settings_get(result.settings, "role"), "somebody");
	assert_true(take(&result, "s", "role", "none"));
	assert_null(settings_get(result.settings, "role"));
	assert_true(take(&result, "s", "session_authorization", "other"));
	assert_string_equal(
		settings_get(result.settings, "session_authorization"),
		"other");
	settings_release(result.settings);
	assert_int_equal(settings_interned(), 0);
}

static void bad_rows_are_refused(void **state)
{
	struct inspect_result result = { .settings = settings_empty() };
	static const uint8_t row[] = { 0, 3, 0,   0, 0, 1, 's', 0,   0,
				       0, 1, 'a', 0, 0, 0, 2,   'b', 'c' };
	uint8_t changed[sizeof(row)];

	(void)state;
	for (size_t len = 0; len < sizeof(row); len++)
		assert_false(inspect_take_row(&result, "x", row, len));
	assert_true(inspect_take_row(&result, "x", row, sizeof(row)));
	for (size_t i = 0; i < 6; i++) {
		memcpy(changed, row, sizeof(row));
		changed[i] ^= 0x80;
		assert_false(
			inspect_take_row(&result, "x", changed, sizeof(row)));
	}
	assert_false(take(&result, "q", "a", "b"));
	assert_false(take(&result, "p", "unheard of", ""));
	assert_string_equal(settings_get(result.settings, "a"), "bc");
	settings_release(result.settings);
}

static void startup_values_come_back(void **state)
{
	const struct settings *one =
		settings_with(settings_empty(), "datestyle", "German");
	const struct settings *startup = settings_with(one, "work_mem", "1MB");
	const struct settings *found =
		settings_with(settings_empty(), "work_mem", "5MB");
	const struct settings *made = inspect_restore(found, startup);
	const struct settings *again;

	(void)state;
	assert_string_equal(settings_get(made, "datestyle"), "German");
	assert_string_equal(settings_get(made, "work_mem"), "5MB");
	again = inspect_restore(made, startup);
	assert_ptr_equal(again, made);
	settings_release(again);
	settings_release(made);
	settings_release(found);
	settings_release(startup);
	settings_release(one);
	assert_int_equal(settings_interned(), 0);
}

static unsigned reading(const char *text)
{
	return inspect_reading(text, strlen(text));
}

static void reading_is_seen(void **state)
{
	const unsigned told = INSPECT_READING_TOLD;
	const unsigned unseen = INSPECT_READING_UNSEEN;

	(void)state;
	assert_int_equal(reading(""), 0);
	assert_int_equal(reading("SET work_mem = 1"), 0);
	assert_int_equal(reading("SET my.datestyle = 1"), 0);
	assert_int_equal(reading("SET DateStyle = ISO"), told);
	assert_int_equal(reading("SET TIME ZONE 'UTC'"), told);
	assert_int_equal(reading("SET NAMES 'UTF8'"), told);
	assert_int_equal(reading("SET application_name = 'x'"), 0);
	assert_int_equal(reading("SET LOCAL Search_Path = a"), unseen);
	assert_int_equal(reading("SET SCHEMA 'a'"), unseen);
	assert_int_equal(reading("SET SESSION AUTHORIZATION a"), unseen);
	assert_int_equal(reading("SET XML OPTION DOCUMENT"), unseen);
	assert_int_equal(reading("SET LOCAL \"role\" = a; SET NAMES 'x'"),
			 told | unseen);
	assert_int_equal(reading("SELECT set_config('timezone', $1, true)"),
			 told);
	assert_int_equal(reading("SELECT set_config(x, 'a', true)"), unseen);
	assert_int_equal(reading("SELECT set_config(E'r\\157le', 'a', true)"),
			 unseen);
	assert_int_equal(inspect_reading("role", 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_follow_effects),
		cmocka_unit_test(ends_matter_to_pins),
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(names_are_not_enough),
		cmocka_unit_test(computed_names_are_seen),
		cmocka_unit_test(local_calls_are_seen),
		cmocka_unit_test(reading_is_seen),
		cmocka_unit_test(query_asks_for_parts),
		cmocka_unit_test(rows_are_taken),
		cmocka_unit_test(bad_rows_are_refused),
		cmocka_unit_test(startup_values_come_back),
	};

	return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
