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
#include <stdint.h>

enum sqlbegin_kind {
	SQLBEGIN_NONE,
	SQLBEGIN_BEGIN,
	SQLBEGIN_START,    /* START TRANSACTION */
	SQLBEGIN_MODES,    /* SET TRANSACTION; of a snapshot it is NONE */
	SQLBEGIN_COMMIT,   /* COMMIT, END; AND CHAIN is NONE */
	SQLBEGIN_ROLLBACK, /* ROLLBACK, ABORT; likewise, and TO */
	/* Only sqlbegin_read_inside tells these. */
	SQLBEGIN_COMMIT_CHAIN,
	SQLBEGIN_ROLLBACK_CHAIN,
	SQLBEGIN_SAVEPOINT,
	SQLBEGIN_RELEASE,
	SQLBEGIN_ROLLBACK_TO
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
	uint64_t name; /* of a savepoint: a hash; 0 else */
};

struct sqlbegin sqlbegin_read(const char *sql, size_t len);

/*
 * The same for a statement inside of a block, where chains and savepoints are
 * told as well.
 */
struct sqlbegin sqlbegin_read_inside(const char *sql, size_t len);

/* What more says, in the same transaction: the last of a kind counts. */
void sqlbegin_add(struct sqlbegin *sum, const struct sqlbegin *more);

/* A BEGIN with that level and mode. */
enum { SQLBEGIN_MODES_MAX = 64 };
void sqlbegin_write(const struct sqlbegin *modes,
		    char text[static SQLBEGIN_MODES_MAX]);

/* The tag that ends it, a static text; of what sqlbegin_read tells. */
const char *sqlbegin_tag(enum sqlbegin_kind kind);

#endif
