#ifndef PGWEIR_MAIN_PAGE_H
#define PGWEIR_MAIN_PAGE_H

/* What the stats port shows of the house.  Main thread. */
#include <stdbool.h>

struct buf;
struct house;

/* The page /metrics, appended. */
void page_metrics(const struct house *house, struct buf *out);

/* True when a primary is reachable; else why not is appended. */
bool page_ready(const struct house *house, struct buf *why);

#endif
