#ifndef PGWEIR_CORE_SQLWITH_H
#define PGWEIR_CORE_SQLWITH_H

/* The list of a WITH clause; part of the walk through a query. */
#include "core/sqllevel.h"

/*
 * A word or name while the innermost level's WITH list is open.  False when it
 * is a main verb to be walked like any other word.
 */
bool sqlwith_take_name(struct walk *walk);

/* Punctuation there that is not a parenthesis which a name announced. */
void sqlwith_take_punct(struct walk *walk);

#endif
