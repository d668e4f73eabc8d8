#ifndef PGWEIR_CORE_JUDGE_H
#define PGWEIR_CORE_JUDGE_H

/*
 * What is known of a statement before it is routed: its class by its shape,
 * and what stands in its text alone.  The one way of both sessions and
 * EXPLAIN ROUTE.
 */
#include "core/sqlfacts.h"

struct shapes;

struct sqlclass judge_text(struct shapes *shapes, const char *sql, size_t len,
			   const struct sqlclass_context *context);

/*
 * The names in a text that are the cause of a class's reason, as "f(), g()"
 * or "t": written to out, cut to room; "" when it cannot be told.
 */
void judge_find_culprits(const char *sql, size_t len,
			 const struct sqlclass_context *context,
			 enum sqlclass_reason reason, char *out, size_t room);

#endif
