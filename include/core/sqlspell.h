#ifndef PGWEIR_CORE_SQLSPELL_H
#define PGWEIR_CORE_SQLSPELL_H

/*
 * The spelling of a text: its bytes as they are, but a mark for each number
 * and for each string.  Texts with one spelling have one shape (sqlshape.h),
 * for a tenth of what finding the shape costs: nothing is folded, and words
 * are copied sixteen bytes at a time.  An application spells what it sends
 * again and again the same way, so its spellings are few.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So much is written, and read over, behind what is used. */
enum { SQLSPELL_SPARE = 16 };

struct sqlspell {
	size_t len;       /* 0: the text has no spelling */
	bool has_strings; /* '...' */
};

/*
 * Writes the spelling (at most len bytes).  Many a text has
 * none, which is no fault: comments, dollar quotes, prefixed strings,
 * numbers that are not plain.  plain_backslash as in sqllex_init(); of an
 * encoding that is not safe there is no spelling.  No allocation; any thread.
 */
struct sqlspell sqlspell_write(const char *sql, size_t len,
			       bool plain_backslash, uint8_t *out, size_t room);

#endif
