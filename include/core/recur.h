#ifndef PGWEIR_CORE_RECUR_H
#define PGWEIR_CORE_RECUR_H

/*
 * Which statements come again and again: a bounded memory of those that were
 * seen lately, for clients that have theirs parsed for each use.  One per
 * worker, on its thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct recur;
struct stmt;

struct recur *recur_new(void);
void recur_free(struct recur *recur); /* NULL is fine */

/*
 * The statement is used once more: how often it was seen lately (a second or
 * two), with this time; about, and 64 at most.  Holds a reference while it
 * remembers.  Not remembered, always 0: long texts, and those that do not fit.
 */
unsigned recur_note(struct recur *recur, struct stmt *stmt, uint64_t now_us,
		    bool (*fits)(const struct stmt *stmt));

#endif
