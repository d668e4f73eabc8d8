/*
 * Reads BEGIN and its like word by word (PostgreSQL, gram.y, TransactionStmt
 * and transaction_mode_list).
 *
 * No literal stands in any of them, so that neither encoding nor the setting
 * standard_conforming_strings matter.  What is not understood to its last
 * token is NONE: its error is PostgreSQL's to tell.
 */
#include "core/sqlbegin.h"

#include "base/util.h"
#include "core/sqllex.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct reader {
	struct sqllex lex;
	struct sqllex_token now;
};

static void advance(struct reader *reader)
{
	sqllex_next(&reader->lex, &reader->now);
}

static bool take(struct reader *reader, const char *word)
{
	if (!sqllex_is_word(&reader->now, word))
		return false;
	advance(reader);
	return true;
}

static bool is_over(struct reader *reader)
{
	while (reader->now.punct == ';')
		advance(reader);
	return reader->now.kind == SQLLEX_END;
}

/* ISOLATION LEVEL has been read. */
static bool take_level(struct reader *reader, struct sqlbegin *begin)
{
	if (take(reader, "serializable")) {
		begin->level = SQLBEGIN_SERIALIZABLE;
		return true;
	}
	if (take(reader, "repeatable")) {
		begin->level = SQLBEGIN_REPEATABLE_READ;
		return take(reader, "read");
	}
	begin->level = SQLBEGIN_READ_COMMITTED;
	return take(reader, "read") &&
	       (take(reader, "committed") || take(reader, "uncommitted"));
}

static bool take_access(struct reader *reader, struct sqlbegin *begin)
{
	if (take(reader, "only"))
		begin->mode = SQLBEGIN_READ_ONLY;
	else if (take(reader, "write"))
		begin->mode = SQLBEGIN_READ_WRITE;
	else
		return false;
	return true;
}

static bool take_mode(struct reader *reader, struct sqlbegin *begin)
{
	if (take(reader, "isolation"))
		return take(reader, "level") && take_level(reader, begin);
	if (take(reader, "read"))
		return take_access(reader, begin);
	(void)take(reader, "not");
	return take(reader, "deferrable");
}

/* Commas may stand between modes; none at all is no list. */
static bool take_modes(struct reader *reader, struct sqlbegin *begin)
{
	do {
		if (!take_mode(reader, begin))
			return false;
		if (reader->now.punct == ',')
			advance(reader);
		else if (is_over(reader))
			return true;
	} while (true);
}

static bool take_modes_if_any(struct reader *reader, struct sqlbegin *begin)
{
	return is_over(reader) || take_modes(reader, begin);
}

static void take_work(struct reader *reader)
{
	if (!take(reader, "work"))
		(void)take(reader, "transaction");
}

/* Up to its end; the name of a savepoint. */
static bool take_name(struct reader *reader, struct sqlbegin *begin)
{
	char name[SQLLEX_NAME_MAX + 1];
	size_t len = sqllex_name(&reader->now, name);

	if (len == 0)
		return false;
	begin->name = util_hash(name, len);
	advance(reader);
	return is_over(reader);
}

/* SAVEPOINT may stand in front of it, or be the name itself. */
static bool take_savepoint(struct reader *reader, struct sqlbegin *begin,
			   enum sqlbegin_kind kind)
{
	begin->kind = kind;
	if (sqllex_is_word(&reader->now, "savepoint")) {
		struct reader before = *reader;

		advance(reader);
		if (is_over(reader))
			*reader = before;
	}
	return take_name(reader, begin);
}

/* AND NO CHAIN is the default. */
static bool take_end(struct reader *reader, struct sqlbegin *begin)
{
	take_work(reader);
	if (begin->kind == SQLBEGIN_ROLLBACK && take(reader, "to"))
		return take_savepoint(reader, begin, SQLBEGIN_ROLLBACK_TO);
	if (take(reader, "and")) {
		bool is_chained = !take(reader, "no");

		if (!take(reader, "chain"))
			return false;
		if (is_chained)
			begin->kind = begin->kind == SQLBEGIN_COMMIT
					      ? SQLBEGIN_COMMIT_CHAIN
					      : SQLBEGIN_ROLLBACK_CHAIN;
	}
	return is_over(reader);
}

static bool read_end(struct reader *reader, struct sqlbegin *begin)
{
	if (take(reader, "commit") || take(reader, "end"))
		begin->kind = SQLBEGIN_COMMIT;
	else if (take(reader, "rollback") || take(reader, "abort"))
		begin->kind = SQLBEGIN_ROLLBACK;
	else
		return false;
	return take_end(reader, begin);
}

static bool read(struct reader *reader, struct sqlbegin *begin)
{
	if (take(reader, "begin")) {
		begin->kind = SQLBEGIN_BEGIN;
		take_work(reader);
		return take_modes_if_any(reader, begin);
	}
	if (take(reader, "start")) {
		begin->kind = SQLBEGIN_START;
		return take(reader, "transaction") &&
		       take_modes_if_any(reader, begin);
	}
	if (take(reader, "set")) {
		begin->kind = SQLBEGIN_MODES;
		return take(reader, "transaction") && take_modes(reader, begin);
	}
	if (take(reader, "savepoint")) {
		begin->kind = SQLBEGIN_SAVEPOINT;
		return take_name(reader, begin);
	}
	if (take(reader, "release"))
		return take_savepoint(reader, begin, SQLBEGIN_RELEASE);
	return read_end(reader, begin);
}

struct sqlbegin sqlbegin_read_inside(const char *sql, size_t len)
{
	struct sqlbegin begin = { .kind = SQLBEGIN_NONE };
	struct reader reader;

	sqllex_init(&reader.lex, sql, len, true, false);
	advance(&reader);
	while (reader.now.punct == ';')
		advance(&reader);
	if (!read(&reader, &begin))
		return (struct sqlbegin){ .kind = SQLBEGIN_NONE };
	return begin;
}

struct sqlbegin sqlbegin_read(const char *sql, size_t len)
{
	struct sqlbegin begin = sqlbegin_read_inside(sql, len);

	if (begin.kind > SQLBEGIN_ROLLBACK)
		return (struct sqlbegin){ .kind = SQLBEGIN_NONE };
	return begin;
}

void sqlbegin_add(struct sqlbegin *sum, const struct sqlbegin *more)
{
	if (more->level != SQLBEGIN_LEVEL_UNSET)
		sum->level = more->level;
	if (more->mode != SQLBEGIN_MODE_UNSET)
		sum->mode = more->mode;
}

void sqlbegin_write(const struct sqlbegin *modes,
		    char text[static SQLBEGIN_MODES_MAX])
{
	static const char *const levels[] = {
		[SQLBEGIN_LEVEL_UNSET] = "",
		[SQLBEGIN_READ_COMMITTED] = " ISOLATION LEVEL READ COMMITTED",
		[SQLBEGIN_REPEATABLE_READ] = " ISOLATION LEVEL REPEATABLE READ",
		[SQLBEGIN_SERIALIZABLE] = " ISOLATION LEVEL SERIALIZABLE",
	};
	static const char *const accesses[] = {
		[SQLBEGIN_MODE_UNSET] = "",
		[SQLBEGIN_READ_ONLY] = " READ ONLY",
		[SQLBEGIN_READ_WRITE] = " READ WRITE",
	};

	assert(modes->level <= SQLBEGIN_SERIALIZABLE);
	assert(modes->mode <= SQLBEGIN_READ_WRITE);
	(void)snprintf(text, SQLBEGIN_MODES_MAX, "BEGIN%s%s",
		       levels[modes->level], accesses[modes->mode]);
}

const char *sqlbegin_tag(enum sqlbegin_kind kind)
{
	static const char *const tags[] = {
		[SQLBEGIN_NONE] = "",
		[SQLBEGIN_BEGIN] = "BEGIN",
		[SQLBEGIN_START] = "START TRANSACTION",
		[SQLBEGIN_MODES] = "SET",
		[SQLBEGIN_COMMIT] = "COMMIT",
		[SQLBEGIN_ROLLBACK] = "ROLLBACK",
	};

	assert(kind > SQLBEGIN_NONE && kind <= SQLBEGIN_ROLLBACK);
	return tags[kind];
}
