#ifndef PGWEIR_CORE_SQLTIME_H
#define PGWEIR_CORE_SQLTIME_H

/*
 * Does a text ask when its transaction began?
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * True when a word stands in it, or in one of its literals, that stands for
 * the time at which the transaction began (PostgreSQL docs, "Date/Time
 * Functions", "Special Values"); now and then for no reason.  Any thread.
 */
bool sqltime_is_asked(const char *text, size_t len);

#endif
