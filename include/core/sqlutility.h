#ifndef PGWEIR_CORE_SQLUTILITY_H
#define PGWEIR_CORE_SQLUTILITY_H

/*
 * Statements about transactions and settings.  Each function starts on the
 * token behind the verb and leaves the cursor anywhere in the statement.
 */
#include "core/sqlcursor.h"

/* Transaction modes: of BEGIN, SET TRANSACTION... */
void sqlutility_judge_modes(struct sqlcursor *cursor);

/* START TRANSACTION */
void sqlutility_judge_start(struct sqlcursor *cursor);

/* COMMIT, END, ROLLBACK, ABORT */
void sqlutility_judge_end(struct sqlcursor *cursor);

/* PREPARE name, PREPARE TRANSACTION */
void sqlutility_judge_prepare(struct sqlcursor *cursor);

void sqlutility_judge_set(struct sqlcursor *cursor);
void sqlutility_judge_discard(struct sqlcursor *cursor);
void sqlutility_judge_reset(struct sqlcursor *cursor);
void sqlutility_judge_show(struct sqlcursor *cursor);

/* UNLISTEN and CLOSE, of one or of all. */
void sqlutility_judge_unlisten(struct sqlcursor *cursor);
void sqlutility_judge_close(struct sqlcursor *cursor);

#endif
