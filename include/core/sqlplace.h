#ifndef PGWEIR_CORE_SQLPLACE_H
#define PGWEIR_CORE_SQLPLACE_H

/*
 * What the word under the cursor is where it stands; part of the walk through
 * a query.
 */
#include "core/sqllevel.h"

/* ILIKE between operands, not the name of a function. */
bool sqlplace_is_infix(const struct walk *walk);

/* Of "PASSING (...)" or "BY REF (...)", not the name of a function. */
bool sqlplace_is_passing(struct walk *walk);

/* JOIN of two items, not the name of a function. */
bool sqlplace_is_join(const struct walk *walk);

/*
 * A free word before a parenthesis that opens a clause (OVER, FILTER, BY,
 * CUBE, OPERATOR...): no call.  Announces what the parenthesis will be; when
 * false, that is to be forgotten.
 */
bool sqlplace_is_clause(struct walk *walk);

#endif
