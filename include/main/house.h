#ifndef PGWEIR_MAIN_HOUSE_H
#define PGWEIR_MAIN_HOUSE_H

/*
 * The whole program, wired: what is started in which order, who tells whom,
 * and how it ends.  Main thread.
 */
#include <stdbool.h>

struct buf;
struct command_line;
struct house;
struct snapshot;

/*
 * Opens everything and starts the workers.  Takes the snapshot; line and
 * version are borrowed.  With -d the caller goes on in the background.
 * NULL when something is missing; lines in error say what.  warnings, of
 * the loading, go to the log as soon as there is one.
 */
struct house *house_open(const struct command_line *line, const char *version,
			 struct snapshot *snapshot, const struct buf *warnings,
			 struct buf *error);

/* Works until a signal, or the console, has ended it. */
void house_run(struct house *house);

/* Ends whatever runs; frees everything. */
void house_close(struct house *house);

#endif
