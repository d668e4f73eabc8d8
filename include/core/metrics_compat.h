#ifndef PGWEIR_CORE_METRICS_COMPAT_H
#define PGWEIR_CORE_METRICS_COMPAT_H

/*
 * The same data under the names of prometheus-community's pgbouncer_exporter,
 * so that dashboards and alerts made for it work unchanged.
 */
struct buf;
struct metrics;
struct metrics_page;

/* Appends the set pgbouncer_*; page->config is needed.  Any thread. */
void metrics_render_compat(struct metrics *metrics, struct buf *out,
			   const struct metrics_page *page);

#endif
