/*
 * Statements that begin and end transactions: what is read, and what is left
 * to PostgreSQL.
 */
#include "core/sqlbegin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sqlbegin of(const char *text)
{
	return sqlbegin_read(text, strlen(text));
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum sqlbegin_kind kind;
	} rows[] = {
		{ "BEGIN", SQLBEGIN_BEGIN },
		{ "begin work;", SQLBEGIN_BEGIN },
		{ ";; Begin Transaction ; ;", SQLBEGIN_BEGIN },
		{ "/* a /* b */ */ BEGIN -- c", SQLBEGIN_BEGIN },
		{ "START TRANSACTION", SQLBEGIN_START },
		{ "start transaction read only, deferrable", SQLBEGIN_START },
		{ "SET TRANSACTION READ ONLY", SQLBEGIN_MODES },
		{ "COMMIT", SQLBEGIN_COMMIT },
		{ "END TRANSACTION AND NO CHAIN", SQLBEGIN_COMMIT },
		{ "ROLLBACK WORK", SQLBEGIN_ROLLBACK },
		{ "abort;", SQLBEGIN_ROLLBACK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(of(rows[i].text).kind, rows[i].kind);
}

static void test_what_is_none_of_them(void **state)
{
	static const char *const texts[] = {
		"",
		";",
		"-- BEGIN",
		"SELECT 1",
		"BEGIN; SELECT 1",
		"BEGIN; COMMIT",
		"BEGIN BEGIN",
		"BEGIN WORK TRANSACTION",
		"BEGIN READ",
		"BEGIN READ ONLY,",
		"BEGIN , READ ONLY",
		"BEGIN READ ONLY,, READ WRITE",
		"BEGIN ISOLATION LEVEL",
		"BEGIN ISOLATION SERIALIZABLE",
		"BEGIN ISOLATION LEVEL REPEATABLE",
		"BEGIN ISOLATION LEVEL READ",
		"BEGIN ISOLATION LEVEL READ ONLY",
		"BEGIN NOT",
		"BEGIN \"READ\" ONLY",
		"BEGIN 'READ ONLY'",
		"\"BEGIN\"",
		"BEGIN READ ONLY \xe4",
		"START",
		"START WORK",
		"SET TRANSACTION",
		"SET TRANSACTION SNAPSHOT '1'",
		"SET LOCAL x = 1",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		"COMMIT AND CHAIN",
		"COMMIT AND",
		"COMMIT AND NO",
		"COMMIT PREPARED 'x'",
		"ROLLBACK TO a",
		"ROLLBACK AND CHAIN",
		"BEGIN /* open",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sqlbegin begin = of(texts[i]);

		assert_int_equal(begin.kind, SQLBEGIN_NONE);
		assert_int_equal(begin.level, SQLBEGIN_LEVEL_UNSET);
		assert_int_equal(begin.mode, SQLBEGIN_MODE_UNSET);
	}
}

static struct sqlbegin inside(const char *text)
{
	return sqlbegin_read_inside(text, strlen(text));
}

static void test_what_is_told_inside(void **state)
{
	static const struct {
		const char *text;
		enum sqlbegin_kind kind;
	} rows[] = {
		{ "BEGIN", SQLBEGIN_BEGIN },
		{ "COMMIT AND NO CHAIN", SQLBEGIN_COMMIT },
		{ "COMMIT WORK AND CHAIN;", SQLBEGIN_COMMIT_CHAIN },
		{ "end and chain", SQLBEGIN_COMMIT_CHAIN },
		{ "ABORT AND CHAIN", SQLBEGIN_ROLLBACK_CHAIN },
		{ "SAVEPOINT a", SQLBEGIN_SAVEPOINT },
		{ "savepoint \"A\" ; ", SQLBEGIN_SAVEPOINT },
		{ "RELEASE a", SQLBEGIN_RELEASE },
		{ "RELEASE SAVEPOINT a", SQLBEGIN_RELEASE },
		{ "RELEASE SAVEPOINT", SQLBEGIN_RELEASE },
		{ "ROLLBACK TO a", SQLBEGIN_ROLLBACK_TO },
		{ "abort work to savepoint a", SQLBEGIN_ROLLBACK_TO },
		{ "SAVEPOINT", SQLBEGIN_NONE },
		{ "SAVEPOINT 'a'", SQLBEGIN_NONE },
		{ "SAVEPOINT a b", SQLBEGIN_NONE },
		{ "RELEASE", SQLBEGIN_NONE },
		{ "RELEASE SAVEPOINT a; SELECT 1", SQLBEGIN_NONE },
		{ "ROLLBACK TO", SQLBEGIN_NONE },
		{ "COMMIT TO a", SQLBEGIN_NONE },
		{ "ROLLBACK AND CHAIN TO a", SQLBEGIN_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(inside(rows[i].text).kind, rows[i].kind);
}

static void test_names_of_savepoints(void **state)
{
	uint64_t name = inside("SAVEPOINT a").name;

	(void)state;
	assert_int_equal(inside("RELEASE A").name, name);
	assert_int_equal(inside("ROLLBACK TO SAVEPOINT \"a\"").name, name);
	assert_int_not_equal(inside("ROLLBACK TO \"A\"").name, name);
	assert_int_equal(inside("RELEASE savepoint").name,
			 inside("SAVEPOINT savepoint").name);
	assert_int_equal(inside("COMMIT").name, 0);
}

static void test_modes_are_written(void **state)
{
	static const char *const texts[] = {
		"BEGIN",
		"BEGIN READ ONLY",
		"BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
		"BEGIN ISOLATION LEVEL READ COMMITTED",
	};
	char text[SQLBEGIN_MODES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sqlbegin read = of(texts[i]);

		sqlbegin_write(&read, text);
		assert_string_equal(text, texts[i]);
	}
}

static void test_modes(void **state)
{
	static const struct {
		const char *text;
		enum sqlbegin_level level;
		enum sqlbegin_mode mode;
	} rows[] = {
		{ "BEGIN", SQLBEGIN_LEVEL_UNSET, SQLBEGIN_MODE_UNSET },
		{ "BEGIN NOT DEFERRABLE", SQLBEGIN_LEVEL_UNSET,
		  SQLBEGIN_MODE_UNSET },
		{ "BEGIN READ WRITE", SQLBEGIN_LEVEL_UNSET,
		  SQLBEGIN_READ_WRITE },
		{ "BEGIN READ ONLY READ WRITE, READ ONLY", SQLBEGIN_LEVEL_UNSET,
		  SQLBEGIN_READ_ONLY },
		{ "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
		  SQLBEGIN_SERIALIZABLE, SQLBEGIN_READ_ONLY },
		{ "START TRANSACTION ISOLATION LEVEL REPEATABLE READ;",
		  SQLBEGIN_REPEATABLE_READ, SQLBEGIN_MODE_UNSET },
		{ "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
		  SQLBEGIN_READ_COMMITTED, SQLBEGIN_READ_WRITE },
		{ "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
		  SQLBEGIN_READ_COMMITTED, SQLBEGIN_MODE_UNSET },
		{ "BEGIN ISOLATION LEVEL SERIALIZABLE, ISOLATION LEVEL READ "
		  "COMMITTED",
		  SQLBEGIN_READ_COMMITTED, SQLBEGIN_MODE_UNSET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sqlbegin begin = of(rows[i].text);

		assert_int_not_equal(begin.kind, SQLBEGIN_NONE);
		assert_int_equal(begin.level, rows[i].level);
		assert_int_equal(begin.mode, rows[i].mode);
	}
}

static void test_the_last_of_a_kind_counts(void **state)
{
	struct sqlbegin sum = of("BEGIN ISOLATION LEVEL SERIALIZABLE");
	struct sqlbegin more = of("SET TRANSACTION READ ONLY");

	(void)state;
	sqlbegin_add(&sum, &more);
	assert_int_equal(sum.kind, SQLBEGIN_BEGIN);
	assert_int_equal(sum.level, SQLBEGIN_SERIALIZABLE);
	assert_int_equal(sum.mode, SQLBEGIN_READ_ONLY);
	more = of("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE");
	sqlbegin_add(&sum, &more);
	assert_int_equal(sum.level, SQLBEGIN_READ_COMMITTED);
	assert_int_equal(sum.mode, SQLBEGIN_READ_WRITE);
}

static void test_tags(void **state)
{
	(void)state;
	assert_string_equal(sqlbegin_tag(SQLBEGIN_BEGIN), "BEGIN");
	assert_string_equal(sqlbegin_tag(SQLBEGIN_START), "START TRANSACTION");
	assert_string_equal(sqlbegin_tag(SQLBEGIN_MODES), "SET");
	assert_string_equal(sqlbegin_tag(SQLBEGIN_COMMIT), "COMMIT");
	assert_string_equal(sqlbegin_tag(SQLBEGIN_ROLLBACK), "ROLLBACK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_what_is_none_of_them),
		cmocka_unit_test(test_what_is_told_inside),
		cmocka_unit_test(test_names_of_savepoints),
		cmocka_unit_test(test_modes_are_written),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_the_last_of_a_kind_counts),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
