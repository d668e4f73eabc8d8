/*
 * Routing decisions: each question that route_decide asks, alone and in
 * front of the ones behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/route.h"

#include <string.h>

/* A plain read in a session that may split, with a healthy replica. */
static struct route_input plain_read(void)
{
	return (struct route_input){
		.judged = { .access = ACCESS_READ, .statements = 1 },
		.is_split = true,
		.window_us = 1000000,
		.now_us = 5000000,
		.has_replica = true,
	};
}

static void expect(struct route_input input, enum route_target target,
		   const char *reason)
{
	struct route_decision decision = route_decide(&input);

	assert_int_equal(decision.target, target);
	assert_string_equal(route_reason_name(decision.reason), reason);
}

static void reads_leave(void **state)
{
	(void)state;
	expect(plain_read(), ROUTE_REPLICA, "autocommit_read");
}

static void what_binds_the_session_comes_first(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.is_in_transaction = true;
	expect(input, ROUTE_STAY, "in_txn");
	input.is_pinned = true;
	expect(input, ROUTE_STAY, "pinned");
	input.is_split = false;
	input.judged.access = ACCESS_WRITE;
	expect(input, ROUTE_STAY, "pinned");
}

/* A block that says what it is needs no catalog. */
static void an_old_catalog_knows_no_reads(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.is_catalog_old = true;
	expect(input, ROUTE_PRIMARY, "catalog");
	input.judged.access = ACCESS_NONE;
	input.judged.command = COMMAND_BEGIN;
	input.judged.effects = EFFECT_READ_ONLY;
	expect(input, ROUTE_REPLICA, "read_only_txn");
}

static void policy_and_state(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.is_state_unsafe = true;
	expect(input, ROUTE_PRIMARY, "session_state");
	input.is_split = false;
	expect(input, ROUTE_PRIMARY, "split_off");
}

static void classes(void **state)
{
	static const struct {
		uint8_t access;
		uint8_t reason;
		const char *expected;
	} rows[] = {
		{ ACCESS_WRITE, REASON_VERB, "write" },
		{ ACCESS_WRITE, REASON_LOCKING, "write" },
		{ ACCESS_WRITE, REASON_DML_CTE, "write" },
		{ ACCESS_UNKNOWN, REASON_UTILITY, "unknown" },
		{ ACCESS_UNKNOWN, REASON_LEX, "unknown" },
		{ ACCESS_UNKNOWN, REASON_FUNCTION, "unsafe_fn" },
		{ ACCESS_WRITE, REASON_FUNCTION_UNKNOWN, "unsafe_fn" },
		{ ACCESS_UNKNOWN, REASON_TOO_LONG, "too_long" },
		{ ACCESS_UNKNOWN, REASON_NO_CATALOG, "catalog" },
		{ ACCESS_UNKNOWN, REASON_RELATION, "catalog" },
		{ ACCESS_UNKNOWN, REASON_RELATION_UNKNOWN, "catalog" },
		{ ACCESS_UNKNOWN, REASON_NODE_LOCAL, "catalog" },
		{ ACCESS_NONE, REASON_NONE, "unknown" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct route_input input = plain_read();

		input.judged.access = rows[i].access;
		input.judged.reason = rows[i].reason;
		expect(input, ROUTE_PRIMARY, rows[i].expected);
	}
}

static void transactions(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.judged.access = ACCESS_NONE;
	input.judged.command = COMMAND_BEGIN;
	expect(input, ROUTE_PRIMARY, "unknown");
	input.judged.effects = EFFECT_READ_ONLY;
	expect(input, ROUTE_REPLICA, "read_only_txn");
	input.judged.effects = EFFECT_READ_ONLY | EFFECT_SERIALIZABLE;
	expect(input, ROUTE_PRIMARY, "unknown");
	input.judged.effects = EFFECT_READ_ONLY | EFFECT_READ_WRITE;
	expect(input, ROUTE_PRIMARY, "unknown");
	/* BEGIN READ ONLY; INSERT ...: two statements in one string. */
	input.judged.effects = EFFECT_READ_ONLY;
	input.judged.statements = 2;
	expect(input, ROUTE_PRIMARY, "unknown");
	/* A read beside transaction control stays as well. */
	input = plain_read();
	input.judged.command = COMMAND_MIXED;
	expect(input, ROUTE_PRIMARY, "unknown");
}

/* A batch of a read and a SET: the setting belongs where writes go. */
static void state_stays(void **state)
{
	static const uint32_t effects[] = {
		EFFECT_SET,         EFFECT_SET_REPORTED, EFFECT_TEMP,
		EFFECT_LISTEN,      EFFECT_ADVISORY,     EFFECT_PREPARE,
		EFFECT_HOLD,        EFFECT_LOAD,         EFFECT_DEALLOCATE,
		EFFECT_DISCARD_ALL,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++) {
		struct route_input input = plain_read();

		input.judged.effects = effects[i];
		expect(input, ROUTE_PRIMARY, "unknown");
	}
}

static void own_writes(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.last_write_us = input.now_us - 999999;
	expect(input, ROUTE_PRIMARY, "recent_write");
	input.last_write_us = input.now_us - 1000000;
	expect(input, ROUTE_REPLICA, "autocommit_read");
	input.last_write_us = input.now_us - 1;
	input.window_us = 0;
	expect(input, ROUTE_REPLICA, "autocommit_read");
}

static void nodes(void **state)
{
	struct route_input input = plain_read();

	(void)state;
	input.avoids_replicas = true;
	expect(input, ROUTE_PRIMARY, "no_replica");
	input.avoids_replicas = false;
	input.has_replica = false;
	expect(input, ROUTE_PRIMARY, "no_replica");
	input.is_replica_lagging = true;
	expect(input, ROUTE_PRIMARY, "replica_lag");
}

static bool leaves(enum sqlclass_access access, enum sqlclass_command command,
		   uint32_t effects)
{
	const struct sqlclass judged = { .access = (uint8_t)access,
					 .command = (uint8_t)command,
					 .statements = 1,
					 .effects = effects };

	return route_leaves_replica(&judged);
}

static void what_moves_a_transaction(void **state)
{
	struct sqlclass begin = { .command = COMMAND_BEGIN,
				  .statements = 1,
				  .effects = EFFECT_READ_ONLY };

	(void)state;
	assert_true(route_is_read_only_begin(&begin));
	begin.statements = 2;
	assert_false(route_is_read_only_begin(&begin));
	begin.statements = 1;
	begin.effects |= EFFECT_SERIALIZABLE;
	assert_false(route_is_read_only_begin(&begin));
	begin.effects = 0;
	assert_false(route_is_read_only_begin(&begin));
	/* The modes of a transaction: what no replica has. */
	assert_true(leaves(ACCESS_NONE, COMMAND_SET_TRANSACTION,
			   EFFECT_SET_LOCAL | EFFECT_READ_WRITE));
	assert_true(leaves(ACCESS_NONE, COMMAND_SET_TRANSACTION,
			   EFFECT_SERIALIZABLE));
	assert_false(leaves(ACCESS_NONE, COMMAND_SET_TRANSACTION,
			    EFFECT_SET_LOCAL | EFFECT_READ_ONLY));
	assert_false(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_READ_WRITE));
	assert_true(leaves(ACCESS_UNKNOWN, COMMAND_SET_TRANSACTION, 0));
	assert_true(leaves(ACCESS_WRITE, COMMAND_OTHER, 0));
	/* State that would be left behind on the replica; a SET may follow. */
	assert_true(leaves(ACCESS_NONE, COMMAND_OTHER,
			   EFFECT_HOLD | EFFECT_CURSOR));
	assert_true(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_TWO_PHASE));
	assert_true(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_DISCARD_ALL));
	assert_false(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_CURSOR));
	assert_false(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_SET));
	assert_false(leaves(ACCESS_NONE, COMMAND_OTHER, EFFECT_SET_REPORTED));
	assert_false(leaves(ACCESS_READ, COMMAND_OTHER, 0));
	assert_false(leaves(ACCESS_NONE, COMMAND_COMMIT, 0));
}

static void what_is_asked_for(void **state)
{
	struct route_input input = plain_read();
	struct sqlclass begin = { .command = COMMAND_BEGIN,
				  .statements = 1,
				  .effects = EFFECT_READ_ONLY,
				  .hint = HINT_PRIMARY };

	(void)state;
	input.judged.hint = HINT_PRIMARY;
	expect(input, ROUTE_PRIMARY, "hint");
	input.judged.hint = HINT_REPLICA;
	expect(input, ROUTE_REPLICA, "autocommit_read");
	input.prefers_primary = true;
	expect(input, ROUTE_REPLICA, "autocommit_read");
	input.judged.hint = HINT_NONE;
	expect(input, ROUTE_PRIMARY, "hint");
	/* A hint takes nothing of what keeps a statement on the primary. */
	input = plain_read();
	input.judged.hint = HINT_REPLICA;
	input.judged.access = ACCESS_UNKNOWN;
	expect(input, ROUTE_PRIMARY, "unknown");
	input.judged.access = ACCESS_READ;
	input.is_state_unsafe = true;
	expect(input, ROUTE_PRIMARY, "session_state");
	input.is_state_unsafe = false;
	input.last_write_us = input.now_us - 1;
	expect(input, ROUTE_PRIMARY, "recent_write");
	input = plain_read();
	input.judged = begin;
	expect(input, ROUTE_PRIMARY, "hint");
	assert_true(route_leaves_replica(&(struct sqlclass){
		.access = ACCESS_READ, .hint = HINT_PRIMARY }));
}

static void names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUTE_REASON_COUNT; i++)
		assert_true(*route_reason_name(i) != '\0');
	assert_string_equal(route_reason_name(ROUTE_REASON_COUNT), "?");
}

static void encodings(void **state)
{
	static const char *const unsafe[] = {
		"SJIS",  "shift_jis", "Shift-JIS", "GBK",   "big5",
		"BIG-5", "gb18030",   "UHC",       "johab", "WIN936"
	};
	static const char *const safe[] = { "UTF8",   "utf-8",     "LATIN1",
					    "EUC_JP", "SQL_ASCII", "sji",
					    "sjisx",  "" };

	(void)state;
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(*unsafe); i++)
		assert_false(route_is_safe_encoding(unsafe[i]));
	for (size_t i = 0; i < sizeof(safe) / sizeof(*safe); i++)
		assert_true(route_is_safe_encoding(safe[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_leave),
		cmocka_unit_test(what_binds_the_session_comes_first),
		cmocka_unit_test(an_old_catalog_knows_no_reads),
		cmocka_unit_test(policy_and_state),
		cmocka_unit_test(classes),
		cmocka_unit_test(transactions),
		cmocka_unit_test(state_stays),
		cmocka_unit_test(own_writes),
		cmocka_unit_test(nodes),
		cmocka_unit_test(what_moves_a_transaction),
		cmocka_unit_test(what_is_asked_for),
		cmocka_unit_test(names),
		cmocka_unit_test(encodings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
