#ifndef PGWEIR_CORE_SQLWALK_H
#define PGWEIR_CORE_SQLWALK_H

/*
 * The walk through a query: which functions it calls, which relations it
 * reads, whether it locks, writes in a WITH or makes a table.
 */
#include "core/sqlcursor.h"

/*
 * From the cursor's token to the end of the statement, where the cursor then
 * stands.  Findings go into the cursor's verdict; with is_read off only those
 * that leave something behind count.
 */
void sqlwalk_query(struct sqlcursor *cursor);

/*
 * As sqlwalk_query(), from an opening parenthesis to behind the one that
 * closes it.
 */
void sqlwalk_group(struct sqlcursor *cursor);

#endif
