/*
 * What a block has done, as a text: what is kept, what a failure leaves, and
 * what can be repeated.
 */
#include "core/blocklog.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct blocklog *begun(const char *text)
{
	struct sqlbegin modes = sqlbegin_read(text, strlen(text));
	struct blocklog *log = blocklog_new(true);

	assert_true(blocklog_open(log, text, strlen(text), &modes));
	return log;
}

/* One simple Query, answered. */
static void run(struct blocklog *log, enum blocklog_kind kind, const char *text)
{
	blocklog_push(log, kind, text, strlen(text) + 1, NULL);
	blocklog_end_unit(log, 1, true, false);
}

static void set(struct blocklog *log, const char *text)
{
	run(log, BLOCKLOG_SETTING, text);
}

static void block(struct blocklog *log, const char *text)
{
	run(log, BLOCKLOG_BLOCK, text);
}

static void run_into_error(struct blocklog *log)
{
	blocklog_push(log, BLOCKLOG_READ, "SELECT 1/0", 10, NULL);
	blocklog_end_unit(log, 1, true, true);
}

/* With a bar between statements. */
static void assert_text(const struct blocklog *log, const char *wanted)
{
	const struct buf *text = blocklog_text(log);
	const char *bytes = (const char *)buf_head(text);
	size_t at = 0;

	for (size_t i = 0; i < buf_len(text); i++) {
		bool is_next = bytes[i] == '\n' && bytes[i + 1] == ';';

		assert_int_equal(is_next ? '|' : bytes[i], wanted[at++]);
		i += is_next;
	}
	assert_int_equal(wanted[at], '\0');
}

static void test_a_block(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	assert_true(blocklog_is_bare(log));
	assert_true(blocklog_is_free(log));
	assert_false(blocklog_may_write(log));
	assert_true(blocklog_is_committed(log));
	set(log, "SET a = 1 -- one");
	run(log, BLOCKLOG_READ, "SELECT 1");
	run(log, BLOCKLOG_NOTHING, "");
	assert_text(log, "BEGIN READ ONLY|SET a = 1 -- one");
	assert_false(blocklog_is_bare(log));
	assert_true(blocklog_has_read(log));
	assert_true(blocklog_is_free(log));
	blocklog_free(log);
	blocklog_free(NULL);
}

static void test_modes_decide_what_reads_see(void **state)
{
	static const struct {
		const char *begin;
		bool is_committed;
		bool is_free;
	} rows[] = {
		{ "BEGIN", true, true },
		{ "BEGIN", false, false },
		{ "BEGIN ISOLATION LEVEL READ COMMITTED", false, true },
		{ "BEGIN ISOLATION LEVEL READ UNCOMMITTED", false, true },
		{ "BEGIN ISOLATION LEVEL REPEATABLE READ", true, false },
		{ "BEGIN ISOLATION LEVEL SERIALIZABLE", true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct blocklog *log = blocklog_new(rows[i].is_committed);

		block(log, rows[i].begin);
		assert_true(blocklog_is_free(log));
		run(log, BLOCKLOG_READ, "SELECT 1");
		assert_int_equal(blocklog_is_free(log), rows[i].is_free);
		block(log, "COMMIT AND CHAIN");
		assert_true(blocklog_is_free(log));
		blocklog_free(log);
	}
}

static void test_a_level_that_is_set(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	block(log, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
	assert_false(blocklog_is_committed(log));
	assert_int_equal(blocklog_modes(log).mode, SQLBEGIN_READ_ONLY);
	blocklog_free(log);
	log = begun("BEGIN ISOLATION LEVEL READ COMMITTED");
	set(log, "SET default_transaction_ISOLATION = 'serializable'");
	assert_false(blocklog_is_committed(log));
	blocklog_free(log);
}

static void test_only_what_succeeds_counts(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	/* A batch: the first two were done, the third failed. */
	blocklog_push(log, BLOCKLOG_BLOCK, "SAVEPOINT a", 11, NULL);
	blocklog_push(log, BLOCKLOG_SETTING, "SET a = 1", 9, NULL);
	blocklog_push(log, BLOCKLOG_SETTING, "SET no = 1", 10, NULL);
	blocklog_push(log, BLOCKLOG_BOUND, "DECLARE", 7, NULL);
	/* Behind it, in a unit of its own. */
	blocklog_push(log, BLOCKLOG_BLOCK, "ROLLBACK TO a", 13, NULL);
	blocklog_done(log);
	blocklog_done(log);
	assert_text(log, "BEGIN READ ONLY|SAVEPOINT a|SET a = 1");
	blocklog_end_unit(log, 4, false, true);
	assert_true(blocklog_has_failed(log));
	blocklog_end_unit(log, 1, true, false);
	assert_text(log, "BEGIN READ ONLY|SAVEPOINT a|SET a = 1|ROLLBACK TO a");
	assert_false(blocklog_has_failed(log));
	/* Nobody has put these down. */
	blocklog_done(log);
	blocklog_end_unit(log, 7, false, false);
	blocklog_free(log);
}

static void test_what_was_sent_is_dropped(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	blocklog_push(log, BLOCKLOG_SETTING, "SET a = 1", 9, NULL);
	blocklog_drop(log);
	blocklog_end_unit(log, 1, true, false);
	assert_text(log, "BEGIN READ ONLY");
	blocklog_free(log);
}

static void test_a_tail(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");
	struct buf tail = BUF_INIT;

	(void)state;
	buf_append_text(&tail, "SET a = 2;");
	blocklog_push(log, BLOCKLOG_SETTING, "RESET a", 7, &tail);
	blocklog_end_unit(log, 1, true, false);
	assert_text(log, "BEGIN READ ONLY|RESET a|SET a = 2;");
	buf_free(&tail);
	blocklog_free(log);
}

static void test_what_cannot_be_repeated(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	run(log, BLOCKLOG_BOUND, "DECLARE c");
	assert_false(blocklog_is_free(log));
	block(log, "ROLLBACK AND CHAIN");
	assert_true(blocklog_is_free(log));
	run(log, BLOCKLOG_LOST, "SELECT f()");
	assert_false(blocklog_is_free(log));
	block(log, "ROLLBACK AND CHAIN");
	assert_false(blocklog_is_free(log));
	blocklog_free(log);
	log = begun("BEGIN READ ONLY");
	blocklog_push(log, BLOCKLOG_SETTING, NULL, 0, NULL);
	blocklog_end_unit(log, 1, true, false);
	assert_false(blocklog_is_free(log));
	blocklog_free(log);
	log = begun("BEGIN READ ONLY");
	block(log, "something else");
	assert_false(blocklog_is_free(log));
	blocklog_free(log);
}

/* Of several statements some may have been done. */
static void test_what_fails_may_have_begun(void **state)
{
	static const struct {
		enum blocklog_kind kind;
		bool is_free;
	} rows[] = { { BLOCKLOG_BOUND, true },
		     { BLOCKLOG_LOST, true },
		     { BLOCKLOG_MANY, false } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct blocklog *log = begun("BEGIN READ ONLY");

		blocklog_push(log, rows[i].kind, "x", 1, NULL);
		blocklog_end_unit(log, 1, true, true);
		assert_int_equal(blocklog_is_free(log), rows[i].is_free);
		blocklog_free(log);
	}
}

static void test_long_texts(void **state)
{
	static char text[9000];
	struct sqlbegin modes = { .kind = SQLBEGIN_BEGIN };
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	memset(text, ' ', sizeof(text));
	assert_false(blocklog_open(log, text, sizeof(text), &modes));
	assert_true(blocklog_is_free(log));
	blocklog_push(log, BLOCKLOG_SETTING, text, sizeof(text), NULL);
	blocklog_end_unit(log, 1, true, false);
	assert_false(blocklog_is_free(log));
	blocklog_free(log);
	log = blocklog_new(true);
	assert_true(blocklog_is_empty(log));
	assert_false(blocklog_open(log, text, sizeof(text), &modes));
	assert_true(blocklog_is_empty(log));
	blocklog_free(log);
}

static void test_chains(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	block(log, "COMMIT AND CHAIN");
	assert_true(blocklog_is_bare(log));
	block(log, "ROLLBACK AND CHAIN");
	assert_text(log, "BEGIN READ ONLY|COMMIT AND CHAIN");
	set(log, "SET a = 1");
	block(log, "COMMIT AND CHAIN");
	assert_text(log, "BEGIN READ ONLY|COMMIT AND CHAIN|SET a = 1"
			 "|COMMIT AND CHAIN");
	assert_false(blocklog_may_write(log));
	blocklog_free(log);
}

static void test_chains_of_what_failed(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	run_into_error(log);
	assert_false(blocklog_may_write(log));
	block(log, "COMMIT AND CHAIN");
	assert_true(blocklog_may_write(log));
	assert_text(log, "BEGIN");
	blocklog_free(log);

	/* The one before has committed. */
	log = begun("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
	set(log, "SET a = 1");
	block(log, "COMMIT AND CHAIN");
	block(log, "SET TRANSACTION READ WRITE");
	run_into_error(log);
	block(log, "ROLLBACK AND CHAIN");
	assert_false(blocklog_may_write(log));
	assert_text(log, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
			 "|SET a = 1|COMMIT AND CHAIN"
			 "|SET TRANSACTION READ WRITE|ROLLBACK"
			 "|BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
			 "|COMMIT AND CHAIN");
	blocklog_free(log);

	/* A savepoint has kept the modes. */
	log = begun("BEGIN READ ONLY");
	block(log, "SAVEPOINT a");
	run_into_error(log);
	block(log, "COMMIT AND CHAIN");
	assert_false(blocklog_may_write(log));
	assert_text(log, "BEGIN READ ONLY|SAVEPOINT a|ROLLBACK AND CHAIN");
	blocklog_free(log);
}

/* What was failed at which depth decides what its chain begins with. */
static void test_savepoints(void **state)
{
	static const struct {
		const char *texts[4];
		bool may_write;
	} rows[] = {
		{ { "SAVEPOINT a", "RELEASE a" }, true },
		{ { "SAVEPOINT a", "SAVEPOINT b", "RELEASE A" }, true },
		{ { "SAVEPOINT a", "SAVEPOINT \"A\"", "RELEASE A" }, true },
		{ { "SAVEPOINT a", "SAVEPOINT b", "ROLLBACK TO a" }, false },
		{ { "SAVEPOINT a", "SAVEPOINT a", "RELEASE a" }, false },
		{ { "SAVEPOINT a", "RELEASE b" }, false },
		{ { "SAVEPOINT a", "COMMIT", "BEGIN READ ONLY" }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct blocklog *log = begun("BEGIN READ ONLY");

		for (size_t j = 0; j < 4 && rows[i].texts[j]; j++)
			block(log, rows[i].texts[j]);
		run_into_error(log);
		block(log, "ROLLBACK AND CHAIN");
		assert_int_equal(blocklog_may_write(log), rows[i].may_write);
		blocklog_free(log);
	}
}

static void test_deep_savepoints(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	for (int i = 0; i < 40; i++)
		block(log, "SAVEPOINT a");
	assert_false(blocklog_is_free(log));
	blocklog_free(log);
}

static void test_one_block_behind_another(void **state)
{
	struct blocklog *log = begun("BEGIN READ ONLY");

	(void)state;
	set(log, "SET a = 1");
	block(log, "COMMIT");
	assert_false(blocklog_may_write(log));
	block(log, "BEGIN");
	assert_true(blocklog_may_write(log));
	assert_text(log, "BEGIN READ ONLY|SET a = 1|COMMIT|BEGIN");
	run_into_error(log);
	block(log, "COMMIT");
	block(log, "START TRANSACTION READ ONLY");
	assert_text(log, "BEGIN READ ONLY|SET a = 1|COMMIT|BEGIN|ROLLBACK"
			 "|START TRANSACTION READ ONLY");
	/* A BEGIN in a block is one of its modes. */
	block(log, "BEGIN READ WRITE");
	assert_true(blocklog_may_write(log));
	blocklog_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block),
		cmocka_unit_test(test_modes_decide_what_reads_see),
		cmocka_unit_test(test_a_level_that_is_set),
		cmocka_unit_test(test_only_what_succeeds_counts),
		cmocka_unit_test(test_what_was_sent_is_dropped),
		cmocka_unit_test(test_a_tail),
		cmocka_unit_test(test_what_cannot_be_repeated),
		cmocka_unit_test(test_what_fails_may_have_begun),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_chains_of_what_failed),
		cmocka_unit_test(test_savepoints),
		cmocka_unit_test(test_deep_savepoints),
		cmocka_unit_test(test_one_block_behind_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
