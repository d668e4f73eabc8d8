#ifndef PGWEIR_CORE_SQLPREP_H
#define PGWEIR_CORE_SQLPREP_H

/*
 * What the statements of a text do with prepared statements by SQL: PREPARE,
 * EXECUTE and DEALLOCATE in all their forms, and looking at the list of them
 * (PostgreSQL docs, "PREPARE", "pg_prepared_statements").  Only asked for texts
 * whose class says that there may be such.
 */
#include "core/sqlcursor.h"
#include "core/sqllex.h"

#include <stdbool.h>
#include <stddef.h>

enum sqlprep_kind {
	SQLPREP_PREPARE,
	SQLPREP_EXECUTE,    /* also under EXPLAIN and CREATE TABLE AS */
	SQLPREP_DEALLOCATE, /* one name */
	SQLPREP_LIST        /* the view, or its function, is mentioned */
};

struct sqlprep_use {
	enum sqlprep_kind kind;
	char name[SQLLEX_NAME_MAX + 1]; /* as stored; "" for SQLPREP_LIST */
	/* Of SQLPREP_PREPARE: the statement, and what it prepares. */
	const char *text;
	size_t len;
	const char *query;
	size_t query_len;
};

struct sqlprep {
	struct sqlcursor cursor;
	bool is_inside; /* a statement whose first words were looked at */
	bool is_create; /* ... a CREATE */
	bool is_lost;
};

/* The text and the context live as long as the walk. */
void sqlprep_init(struct sqlprep *walk, const char *sql, size_t len,
		  const struct sqlclass_context *context);

/* The next use, in the order of the text; false behind the last. */
bool sqlprep_next(struct sqlprep *walk, struct sqlprep_use *use);

/* Behind the last: some use may not have been understood. */
static inline bool sqlprep_is_lost(const struct sqlprep *walk)
{
	return walk->is_lost;
}

/*
 * A name as the server stores it: folded unless quoted, cut at 63 bytes
 * between two characters of UTF-8.  False when it cannot be told.
 */
bool sqlprep_name(const struct sqllex_token *token,
		  char out[static SQLLEX_NAME_MAX + 1]);

#endif
