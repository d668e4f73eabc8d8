#ifndef PGWEIR_CORE_SQLBEGIN_H
#define PGWEIR_CORE_SQLBEGIN_H

/*
 * Statements that begin and end transaction blocks, read so exactly that they
 * can be answered without a server: one statement alone, in the grammar of
 * PostgreSQL (docs, BEGIN, START TRANSACTION, SET TRANSACTION, COMMIT,
 * ROLLBACK).  Anything else is NONE.  Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

enum sqlbegin_kind {
	SQLBEGIN_NONE,
	SQLBEGIN_BEGIN,
	SQLBEGIN_START,    /* START TRANSACTION */
	SQLBEGIN_MODES,    /* SET TRANSACTION; of a snapshot it is NONE */
	SQLBEGIN_COMMIT,   /* COMMIT, END; AND CHAIN is NONE */
	SQLBEGIN_ROLLBACK, /* ROLLBACK, ABORT; likewise, and TO */
};

enum sqlbegin_level {
	SQLBEGIN_LEVEL_UNSET,
	SQLBEGIN_READ_COMMITTED, /* READ UNCOMMITTED is the same */
	SQLBEGIN_REPEATABLE_READ,
	SQLBEGIN_SERIALIZABLE
};

enum sqlbegin_mode {
	SQLBEGIN_MODE_UNSET,
	SQLBEGIN_READ_ONLY,
	SQLBEGIN_READ_WRITE
};

struct sqlbegin {
	enum sqlbegin_kind kind;
	enum sqlbegin_level level;
	enum sqlbegin_mode mode;
};

struct sqlbegin sqlbegin_read(const char *sql, size_t len);

/* What more says, in the same transaction: the last of a kind counts. */
void sqlbegin_add(struct sqlbegin *sum, const struct sqlbegin *more);

/* The tag that ends it, a static text; not of NONE. */
const char *sqlbegin_tag(enum sqlbegin_kind kind);

#endif
