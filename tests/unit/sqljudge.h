#ifndef PGWEIR_TESTS_SQLJUDGE_H
#define PGWEIR_TESTS_SQLJUDGE_H

/* Rows of text and verdict, for the rooms that only a whole verdict shows. */
#include "core/sqlclass.h"
#include "sqlfixture.h"

#include <string.h>

struct judged_row {
	const char *sql;
	enum sqlclass_access access;
	enum sqlclass_reason reason;
};

static inline struct sqlclass judge_text(const char *sql)
{
	struct sqlclass_context context = { fixture_new(), true, true };
	struct sqlclass class = sqlclass_judge(sql, strlen(sql), &context);

	catalog_release(context.catalog);
	return class;
}

/* Fails at the first row that is judged otherwise. */
#define EXPECT_ROWS(rows)                                                     \
	for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++) { \
		struct sqlclass got = judge_text((rows)[row].sql);            \
                                                                              \
		if (got.access != (rows)[row].access ||                       \
		    got.reason != (rows)[row].reason)                         \
			fail_msg("access %d reason %s: %s", got.access,       \
				 sqlclass_reason_name(                        \
					 (enum sqlclass_reason)got.reason),   \
				 (rows)[row].sql);                            \
	}

#define IS_READ    ACCESS_READ, REASON_NONE
#define IS_CALL    ACCESS_WRITE, REASON_FUNCTION
#define IS_UNSAFE  ACCESS_WRITE, REASON_RELATION
#define IS_MISSING ACCESS_UNKNOWN, REASON_FUNCTION_UNKNOWN
#define IS_NOWHERE ACCESS_UNKNOWN, REASON_RELATION_UNKNOWN
#define IS_LOST    ACCESS_UNKNOWN, REASON_LEX

#endif
