#ifndef PGWEIR_CORE_SHAPES_H
#define PGWEIR_CORE_SHAPES_H

/*
 * A bounded cache from the shape of a statement (its tokens without
 * literals, comments and white space) to its class.  One per worker and
 * catalog; no locks.  Entries of an older catalog are dropped on sight.
 */
#include "core/sqlclass.h"

#include <stddef.h>
#include <stdint.h>

struct shapes;

/* Holds at most limit shapes. */
struct shapes *shapes_new(size_t limit);
void shapes_free(struct shapes *shapes);

/*
 * The class of a text; a miss calls sqlclass_judge.  Does not allocate on a
 * hit.  The key includes the two lexer settings of the context and the
 * identity of its catalog.
 */
struct sqlclass shapes_classify(struct shapes *shapes, const char *sql,
				size_t len,
				const struct sqlclass_context *context);

/* The shape learned that a replica refuses it: from now on ACCESS_WRITE. */
void shapes_learn_write(struct shapes *shapes, const char *sql, size_t len,
			const struct sqlclass_context *context);

uint64_t shapes_hits(const struct shapes *shapes);
uint64_t shapes_misses(const struct shapes *shapes);
uint64_t shapes_evictions(const struct shapes *shapes);

#endif
