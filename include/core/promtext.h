#ifndef PGWEIR_CORE_PROMTEXT_H
#define PGWEIR_CORE_PROMTEXT_H

/*
 * Writes Prometheus' text format 0.0.4, a sample at a time:
 *
 *	promtext_head(out, "pgweir_up", METRICS_TYPE_GAUGE, "Help.");
 *	promtext_begin(&line, out, "pgweir_up", "");
 *	promtext_label(&line, "backend", label);
 *	promtext_u64(&line, 1);
 */
#include "core/metrics_rows.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;

struct promtext {
	struct buf *out;
	bool has_labels;
};

/* HELP and TYPE, once before the samples of a metric. */
void promtext_head(struct buf *out, const char *name, enum metrics_type type,
		   const char *help);

/* A sample's name; suffix is "" or such as "_bucket". */
void promtext_begin(struct promtext *line, struct buf *out, const char *name,
		    const char *suffix);

/*
 * A label; NULL counts as "".  The value may be any bytes: it is escaped, and
 * what is not UTF-8 is replaced, as one bad byte costs the whole page.
 */
void promtext_label(struct promtext *line, const char *label,
		    const char *value);

/* Each of these writes the value and ends the line. */
void promtext_u64(struct promtext *line, uint64_t value);
void promtext_i64(struct promtext *line, int64_t value);

/* A value in a unit, shown in seconds where that unit is a time. */
void promtext_unit(struct promtext *line, uint64_t value,
		   enum metrics_unit unit);

/* The label le of a histogram's bucket; UINT64_MAX is +Inf. */
void promtext_bound(struct promtext *line, uint64_t bound,
		    enum metrics_unit unit);

#endif
