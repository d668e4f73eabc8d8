#ifndef PGWEIR_CORE_SHAPES_H
#define PGWEIR_CORE_SHAPES_H

/*
 * A bounded cache from the shape of a statement (its tokens without
 * literals, comments and white space) to its class.  One per worker and
 * catalog; no locks.  Entries of an older catalog are dropped on sight.
 */
#include "core/sqlclass.h"
#include "core/tally.h"

#include <stddef.h>
#include <stdint.h>

struct shapes;

/*
 * The class of a text names its shape by number: what becomes of it is
 * counted there, without another look-up.
 */
enum { SHAPES_NUMBERED = UINT16_MAX }; /* those beyond are not counted */

/* Holds at most limit shapes. */
struct shapes *shapes_new(size_t limit);
void shapes_free(struct shapes *shapes);

/*
 * The class of a text, and the hint in its comments; a miss calls
 * sqlclass_judge.  Does not allocate on a hit.  The key includes the two lexer
 * settings of the context and the identity of its catalog.
 */
struct sqlclass shapes_classify(struct shapes *shapes, const char *sql,
				size_t len,
				const struct sqlclass_context *context);

/* The shape learned that a replica refuses it: from now on ACCESS_WRITE. */
void shapes_learn_write(struct shapes *shapes, const char *sql, size_t len,
			const struct sqlclass_context *context);

/*
 * A statement of a class that shapes_classify of this very cache has given
 * was answered, or sent once more.  Nothing happens if its shape is forgotten.
 */
void shapes_note_answer(struct shapes *shapes, const struct sqlclass *class,
			const struct tally_answer *answer);
void shapes_note_repeat(struct shapes *shapes, const struct sqlclass *class);

/* What is remembered of a shape; borrowed until the cache changes. */
struct shapes_row {
	const uint8_t *shape; /* as core/sqlshape writes it */
	size_t shape_len;
	const struct sqlclass *class;
	const struct tally *tally;
};

/* The next shape that was answered; *at begins with 0.  False at the end. */
bool shapes_next(const struct shapes *shapes, size_t *at,
		 struct shapes_row *row);

uint64_t shapes_hits(const struct shapes *shapes);
uint64_t shapes_misses(const struct shapes *shapes);
uint64_t shapes_evictions(const struct shapes *shapes);

#endif
