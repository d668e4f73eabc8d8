#ifndef PGWEIR_CORE_METRICS_TEXT_H
#define PGWEIR_CORE_METRICS_TEXT_H

/*
 * The page /metrics: every metric of the rows, summed over the cells, what
 * the page structure carries, and the compatible set when the config has
 * stats_compat_pgbouncer on.
 */
#include "core/metrics_page.h"

struct buf;
struct metrics;

/* Appends Prometheus text 0.0.4.  Any thread. */
void metrics_render(struct metrics *metrics, struct buf *out,
		    const struct metrics_page *page);

#endif
