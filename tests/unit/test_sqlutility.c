#include "core/sqlutility.h"

#include "sqljudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

struct row {
	const char *sql;
	enum sqlclass_command command;
	uint32_t effects;
};

#define EXPECT_EFFECTS(rows)                                                  \
	for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++) { \
		struct sqlclass got = judge_text((rows)[row].sql);            \
                                                                              \
		if (got.command != (rows)[row].command ||                     \
		    got.effects != (rows)[row].effects)                       \
			fail_msg("command %d effects %#x: %s", got.command,   \
				 (unsigned)got.effects, (rows)[row].sql);     \
	}

static void test_modes(void **state)
{
	static const struct row rows[] = {
		{ "BEGIN", COMMAND_BEGIN, 0 },
		{ "BEGIN TRANSACTION READ ONLY", COMMAND_BEGIN,
		  EFFECT_READ_ONLY },
		{ "BEGIN READ WRITE", COMMAND_BEGIN, EFFECT_READ_WRITE },
		/* The last one counts. */
		{ "BEGIN READ ONLY READ WRITE", COMMAND_BEGIN,
		  EFFECT_READ_WRITE },
		{ "BEGIN READ WRITE, READ ONLY", COMMAND_BEGIN,
		  EFFECT_READ_ONLY },
		{ "BEGIN ISOLATION LEVEL READ COMMITTED", COMMAND_BEGIN, 0 },
		{ "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
		  COMMAND_BEGIN, EFFECT_READ_ONLY },
		{ "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
		  COMMAND_BEGIN, EFFECT_SERIALIZABLE },
		{ "SET TRANSACTION READ WRITE", COMMAND_SET_TRANSACTION,
		  EFFECT_SET_LOCAL | EFFECT_READ_WRITE },
		{ "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION "
		  "LEVEL SERIALIZABLE, READ ONLY",
		  COMMAND_OTHER,
		  EFFECT_SET | EFFECT_SERIALIZABLE | EFFECT_READ_ONLY },
		{ "START x", COMMAND_OTHER, EFFECT_HIDDEN },
	};

	(void)state;
	EXPECT_EFFECTS(rows);
}

static void test_ends(void **state)
{
	static const struct row rows[] = {
		{ "COMMIT", COMMAND_COMMIT, 0 },
		{ "END WORK", COMMAND_COMMIT, 0 },
		{ "COMMIT AND CHAIN", COMMAND_COMMIT, EFFECT_CHAIN },
		{ "COMMIT AND NO CHAIN", COMMAND_COMMIT, 0 },
		{ "ROLLBACK TRANSACTION AND CHAIN", COMMAND_ROLLBACK,
		  EFFECT_CHAIN },
		{ "ROLLBACK TO x", COMMAND_ROLLBACK_TO, 0 },
		{ "ROLLBACK WORK TO SAVEPOINT x", COMMAND_ROLLBACK_TO, 0 },
		{ "COMMIT PREPARED 'x'", COMMAND_OTHER, EFFECT_TWO_PHASE },
		{ "ROLLBACK PREPARED 'x'", COMMAND_OTHER, EFFECT_TWO_PHASE },
		{ "PREPARE TRANSACTION 'x'", COMMAND_OTHER, EFFECT_TWO_PHASE },
		/* A statement by that name. */
		{ "PREPARE transaction AS SELECT 1", COMMAND_OTHER,
		  EFFECT_PREPARE },
		{ "PREPARE x(int) AS SELECT $1", COMMAND_OTHER,
		  EFFECT_PREPARE },
	};

	(void)state;
	EXPECT_EFFECTS(rows);
}

static void test_settings(void **state)
{
	static const struct row rows[] = {
		{ "SET x = 1", COMMAND_OTHER, EFFECT_SET },
		{ "SET SESSION x TO 1", COMMAND_OTHER, EFFECT_SET },
		{ "SET LOCAL x TO 1", COMMAND_OTHER, EFFECT_SET_LOCAL },
		{ "SET CONSTRAINTS ALL IMMEDIATE", COMMAND_OTHER,
		  EFFECT_SET_LOCAL },
		{ "SET ROLE x", COMMAND_OTHER, EFFECT_SET },
		{ "SET SESSION AUTHORIZATION DEFAULT", COMMAND_OTHER,
		  EFFECT_SET },
		{ "SET transaction_isolation = 'x'", COMMAND_OTHER,
		  EFFECT_SET | EFFECT_SERIALIZABLE },
		{ "SET LOCAL transaction_isolation TO x", COMMAND_OTHER,
		  EFFECT_SET_LOCAL | EFFECT_SERIALIZABLE },
		{ "RESET x", COMMAND_OTHER, EFFECT_SET },
		{ "RESET ALL", COMMAND_OTHER, EFFECT_RESET_ALL },
		{ "DISCARD ALL", COMMAND_OTHER, EFFECT_DISCARD_ALL },
		{ "DISCARD SEQUENCES", COMMAND_OTHER, EFFECT_DISCARD },
	};

	(void)state;
	EXPECT_EFFECTS(rows);
	assert_int_equal(judge_text("SET TRANSACTION SNAPSHOT 'x'").reason,
			 REASON_UTILITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
