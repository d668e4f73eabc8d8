#ifndef PGWEIR_CORE_SQLHINT_H
#define PGWEIR_CORE_SQLHINT_H

/*
 * Hints in comments, which say where a statement is wanted.  They make it
 * safer or undo a preference of the session's; where it may go at all is
 * decided without them.
 */
#include "core/sqlfacts.h"

#include <stddef.h>

/*
 * What the comments of a text ask for (no NUL needed; any thread; linear, no
 * allocation).  "primary" counts wherever it stands, "replica" only in front
 * of everything else, and not beside "primary".
 */
enum sqlclass_hint sqlhint_find(const char *sql, size_t len);

/* Of two statements of one unit: what is asked for both. */
enum sqlclass_hint sqlhint_join(enum sqlclass_hint one,
				enum sqlclass_hint other);

#endif
