#ifndef PGWEIR_CORE_SQLCLASS_H
#define PGWEIR_CORE_SQLCLASS_H

/*
 * What a statement text may do, judged conservatively from its tokens:
 * unknown means primary.  A text of several statements gets the worst of
 * them.  Literals never matter, so that the answer belongs to the shape.
 */
#include "core/sqlfacts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Judges a text (no NUL needed); time linear in len, no allocation, no
 * recursion; any thread.  The verdict depends on the tokens alone, literals
 * and the length of their lists left out (sqlshape_write()), on the lexer's
 * settings and on the catalog.
 */
struct sqlclass sqlclass_judge(const char *sql, size_t len,
			       const struct sqlclass_context *context);

/*
 * The verdict on the first words alone, for a text too long to hold: a write
 * verb is certain after one word, everything else stays unknown.  Always with
 * EFFECT_HIDDEN, since what follows is not seen.
 */
struct sqlclass sqlclass_judge_prefix(const char *sql, size_t len);

const char *sqlclass_reason_name(enum sqlclass_reason reason);

#endif
