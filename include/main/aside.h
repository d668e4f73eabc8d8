#ifndef PGWEIR_MAIN_ASIDE_H
#define PGWEIR_MAIN_ASIDE_H

/*
 * The main thread's part in getting out of the way of statements about
 * databases: its own connections leave, and stay away while one runs.
 */
#include <stdbool.h>

struct evict;
struct house;

/* Does its part and confirms; takes the reference.  Main thread. */
void aside_take(struct house *house, struct evict *evict);

/* SIGUSR1 and SIGUSR2: PAUSE and RESUME of everything. */
void aside_pause(struct house *house);
void aside_resume(struct house *house);

/* The house's hook of the catalog loader: stay away from this database. */
bool aside_is_shut(void *house, const char *dbname);

#endif
