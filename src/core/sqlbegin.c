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
#include "core/sqlreader.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ISOLATION LEVEL has been read. */
static bool take_level(struct sqlreader *reader, struct sqlbegin *begin)
{
	if (sqlreader_take(reader, "serializable")) {
		begin->level = SQLBEGIN_SERIALIZABLE;
		return true;
	}
	if (sqlreader_take(reader, "repeatable")) {
		begin->level = SQLBEGIN_REPEATABLE_READ;
		return sqlreader_take(reader, "read");
	}
	begin->level = SQLBEGIN_READ_COMMITTED;
	return sqlreader_take(reader, "read") &&
	       (sqlreader_take(reader, "committed") ||
		sqlreader_take(reader, "uncommitted"));
}

static bool take_access(struct sqlreader *reader, struct sqlbegin *begin)
{
	if (sqlreader_take(reader, "only"))
		begin->mode = SQLBEGIN_READ_ONLY;
	else if (sqlreader_take(reader, "write"))
		begin->mode = SQLBEGIN_READ_WRITE;
	else
		return false;
	return true;
}

static bool take_mode(struct sqlreader *reader, struct sqlbegin *begin)
{
	if (sqlreader_take(reader, "isolation"))
		return sqlreader_take(reader, "level") &&
		       take_level(reader, begin);
	if (sqlreader_take(reader, "read"))
		return take_access(reader, begin);
	(void)sqlreader_take(reader, "not");
	return sqlreader_take(reader, "deferrable");
}

/* Commas may stand between modes; none at all is no list. */
static bool take_modes(struct sqlreader *reader, struct sqlbegin *begin)
{
	do {
		if (!take_mode(reader, begin))
			return false;
		if (reader->now.punct == ',')
			sqlreader_advance(reader);
		else if (sqlreader_is_over(reader))
			return true;
	} while (true);
}

static bool take_modes_if_any(struct sqlreader *reader, struct sqlbegin *begin)
{
	return sqlreader_is_over(reader) || take_modes(reader, begin);
}

static void take_work(struct sqlreader *reader)
{
	if (!sqlreader_take(reader, "work"))
		(void)sqlreader_take(reader, "transaction");
}

/* Up to its end; the name of a savepoint. */
static bool take_name(struct sqlreader *reader, struct sqlbegin *begin)
{
	char name[SQLLEX_NAME_MAX + 1];
	size_t len = sqllex_name(&reader->now, name);

	if (len == 0)
		return false;
	begin->name = util_hash(name, len);
	sqlreader_advance(reader);
	return sqlreader_is_over(reader);
}

/* SAVEPOINT may stand in front of it, or be the name itself. */
static bool take_savepoint(struct sqlreader *reader, struct sqlbegin *begin,
			   enum sqlbegin_kind kind)
{
	begin->kind = kind;
	if (sqllex_is_word(&reader->now, "savepoint")) {
		struct sqlreader before = *reader;

		sqlreader_advance(reader);
		if (sqlreader_is_over(reader))
			*reader = before;
	}
	return take_name(reader, begin);
}

/* AND NO CHAIN is the default. */
static bool take_end(struct sqlreader *reader, struct sqlbegin *begin)
{
	take_work(reader);
	if (begin->kind == SQLBEGIN_ROLLBACK && sqlreader_take(reader, "to"))
		return take_savepoint(reader, begin, SQLBEGIN_ROLLBACK_TO);
	if (sqlreader_take(reader, "and")) {
		bool is_chained = !sqlreader_take(reader, "no");

		if (!sqlreader_take(reader, "chain"))
			return false;
		if (is_chained)
			begin->kind = begin->kind == SQLBEGIN_COMMIT
					      ? SQLBEGIN_COMMIT_CHAIN
					      : SQLBEGIN_ROLLBACK_CHAIN;
	}
	return sqlreader_is_over(reader);
}

static bool read_end(struct sqlreader *reader, struct sqlbegin *begin)
{
	if (sqlreader_take(reader, "commit") || sqlreader_take(reader, "end"))
		begin->kind = SQLBEGIN_COMMIT;
	else if (sqlreader_take(reader, "rollback") ||
		 sqlreader_take(reader, "abort"))
		begin->kind = SQLBEGIN_ROLLBACK;
	else
		return false;
	return take_end(reader, begin);
}

static bool read(struct sqlreader *reader, struct sqlbegin *begin)
{
	if (sqlreader_take(reader, "begin")) {
		begin->kind = SQLBEGIN_BEGIN;
		take_work(reader);
		return take_modes_if_any(reader, begin);
	}
	if (sqlreader_take(reader, "start")) {
		begin->kind = SQLBEGIN_START;
		return sqlreader_take(reader, "transaction") &&
		       take_modes_if_any(reader, begin);
	}
	if (sqlreader_take(reader, "set")) {
		begin->kind = SQLBEGIN_MODES;
		return sqlreader_take(reader, "transaction") &&
		       take_modes(reader, begin);
	}
	if (sqlreader_take(reader, "savepoint")) {
		begin->kind = SQLBEGIN_SAVEPOINT;
		return take_name(reader, begin);
	}
	if (sqlreader_take(reader, "release"))
		return take_savepoint(reader, begin, SQLBEGIN_RELEASE);
	return read_end(reader, begin);
}

struct sqlbegin sqlbegin_read_inside(const char *sql, size_t len)
{
	struct sqlbegin begin = { .kind = SQLBEGIN_NONE };
	struct sqlreader reader;

	sqllex_init(&reader.lex, sql, len, true, false);
	sqlreader_advance(&reader);
	while (reader.now.punct == ';')
		sqlreader_advance(&reader);
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
