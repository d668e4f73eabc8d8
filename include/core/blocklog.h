#ifndef PGWEIR_CORE_BLOCKLOG_H
#define PGWEIR_CORE_BLOCKLOG_H

/*
 * What has been done in a transaction block, as a text that does it again on
 * another server: the BEGIN, what was set, savepoints, chains.  Statements
 * are put down when they are sent, and count when their answers come; what
 * has failed or was skipped is forgotten.
 *
 * Plain reads need no repetition where each sees a state of its own; what
 * cannot be repeated is known to be there.  One thread's.
 */
#include "core/sqlbegin.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum blocklog_kind {
	BLOCKLOG_NOTHING, /* leaves nothing */
	BLOCKLOG_READ,    /* a plain read */
	BLOCKLOG_SETTING, /* what its text sets */
	BLOCKLOG_BLOCK,   /* BEGIN, COMMIT, SAVEPOINT and their like */
	BLOCKLOG_BOUND,   /* not to be repeated, gone with its transaction */
	BLOCKLOG_LOST,    /* not to be repeated, and not gone with it */
	BLOCKLOG_MANY     /* several statements of that kind, or any */
};

struct blocklog;

/* is_committed: READ COMMITTED is the default of the session. */
struct blocklog *blocklog_new(bool is_committed);
void blocklog_free(struct blocklog *log);

/*
 * Of a BEGIN that no server has heard of yet, and of SETs that go with it.
 * False: it is too long.
 */
bool blocklog_open(struct blocklog *log, const char *text, size_t len,
		   const struct sqlbegin *modes);

/*
 * A statement is sent; tail is set behind it (may be NULL).  text NULL: it is
 * not known.  What is too long to keep is LOST.
 */
void blocklog_push(struct blocklog *log, enum blocklog_kind kind,
		   const char *text, size_t len, const struct buf *tail);
/* The oldest one that was sent has succeeded. */
void blocklog_done(struct blocklog *log);
/*
 * The unit of the oldest so many is answered: the block has failed or not.
 * is_whole: nobody has told of them one by one.
 */
void blocklog_end_unit(struct blocklog *log, unsigned sent, bool is_whole,
		       bool has_failed);
/* What was sent is forgotten: it will be sent again. */
void blocklog_drop(struct blocklog *log);

/* The text that does it all again.  Borrowed. */
const struct buf *blocklog_text(const struct blocklog *log);
/* Nothing is in it yet. */
bool blocklog_is_empty(const struct blocklog *log);
/* It is a BEGIN alone, with its modes. */
bool blocklog_is_bare(const struct blocklog *log);
/* All of it can be repeated. */
bool blocklog_is_free(const struct blocklog *log);
/* From now to its end the block has something that its server alone has. */
void blocklog_bind(struct blocklog *log);
bool blocklog_has_read(const struct blocklog *log);
bool blocklog_has_failed(const struct blocklog *log);
/* The present block has not been begun READ ONLY. */
bool blocklog_may_write(const struct blocklog *log);
/* Each statement sees a state of its own. */
bool blocklog_is_committed(const struct blocklog *log);
struct sqlbegin blocklog_modes(const struct blocklog *log);

#endif
