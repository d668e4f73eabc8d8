#ifndef PGWEIR_MAIN_RELOAD_H
#define PGWEIR_MAIN_RELOAD_H

/* Another configuration, in force as a whole or not at all. */
#include <stdbool.h>

struct buf;
struct house;

/*
 * Reads the configuration anew and, when it is good, puts it in force.  A
 * bad one changes nothing: false, each fault is logged and is a line in
 * error.  Main thread.
 */
bool reload_house(struct house *house, struct buf *error);

/*
 * One key of [pgweir] gets another value, until the next reload: the file is
 * not read, nor written.  As above.
 */
bool reload_set(struct house *house, const char *key, const char *value,
		struct buf *error);

#endif
