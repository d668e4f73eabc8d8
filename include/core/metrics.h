#ifndef PGWEIR_CORE_METRICS_H
#define PGWEIR_CORE_METRICS_H

/*
 * Counters, gauges and histograms.  Each worker writes into cells of its own
 * without locks; a reader sums the cells.  Never read to decide anything.
 *
 *	cell = metrics_open(metrics, METRICS_DATABASE,
 *			    &(struct metrics_labels){ .database = name });
 *	metrics_count(cell, COUNTER_QUERIES, METRICS_ROLE_REPLICA,
 *		      METRICS_CLASS_READ, 1);
 *	metrics_observe(cell, HISTOGRAM_QUERY, METRICS_ROLE_REPLICA, us);
 */
#include "core/metrics_rows.h"

#include <stddef.h>
#include <stdint.h>

struct metrics;
struct metrics_cell;

struct metrics *metrics_new(void);

/* Frees all, open cells included: no thread may use one any more. */
void metrics_free(struct metrics *metrics);

/*
 * A fresh cell of zeros, written by one thread alone (the owner) until it
 * closes it; many cells may have equal labels.  Takes a lock: open once and
 * keep.  Any thread.
 */
struct metrics_cell *metrics_open(struct metrics *metrics,
				  enum metrics_scope scope,
				  const struct metrics_labels *labels);

/*
 * Ends a cell: counters and histograms live on under the same labels, so
 * that no sum ever goes back; gauges vanish.  NULL is allowed.  Owner.
 */
void metrics_close(struct metrics_cell *cell);

/*
 * The hot path: owner thread only, no lock, no read-modify-write cycle.  A
 * metric must be of the cell's scope; first and second are the enumerators
 * of its row's dimensions, 0 where there is none.
 */
void metrics_count(struct metrics_cell *cell, enum metrics_counter counter,
		   unsigned first, unsigned second, uint64_t add);
void metrics_gauge(struct metrics_cell *cell, enum metrics_gauge gauge,
		   unsigned first, unsigned second, int64_t add);
void metrics_gauge_set(struct metrics_cell *cell, enum metrics_gauge gauge,
		       unsigned first, unsigned second, int64_t value);
void metrics_observe(struct metrics_cell *cell,
		     enum metrics_histogram histogram, unsigned first,
		     uint64_t value);

/*
 * Sums over cells, closed ones included, for the console.  Labels that are
 * NULL match all (labels itself may be NULL); first and second below 0 mean
 * all of that dimension.  now_us matters to ages alone.  Any thread.
 */
enum { METRICS_ALL = -1 };

uint64_t metrics_sum(struct metrics *metrics, enum metrics_counter counter,
		     const struct metrics_labels *labels, int first,
		     int second);
int64_t metrics_sum_gauge(struct metrics *metrics, enum metrics_gauge gauge,
			  const struct metrics_labels *labels, int first,
			  int second, uint64_t now_us);

struct metrics_moments {
	uint64_t count;
	uint64_t sum; /* in the unit that was observed */
};

struct metrics_moments metrics_sum_histogram(
	struct metrics *metrics, enum metrics_histogram histogram,
	const struct metrics_labels *labels, int first);

/*
 * All values of one metric, merged by the labels that its row shows.  A
 * group has metrics_row_width() values (gauges: cast to int64_t; ages are
 * worked out), or as many times HISTOGRAM_SLOTS for a histogram.
 */
struct metrics_group {
	struct metrics_labels labels; /* those not shown are NULL */
	uint64_t *values;
};

struct metrics_set {
	const struct metrics_row *row;
	unsigned count;
	unsigned width; /* values of a group */
	struct metrics_group **groups;
};

/* A copy; the caller frees it.  Any thread. */
struct metrics_set *metrics_read(struct metrics *metrics,
				 enum metrics_type type, unsigned id,
				 uint64_t now_us);
void metrics_set_free(struct metrics_set *set);

/* As metrics_sum() and its like, over a set that was read once. */
int64_t metrics_set_sum(const struct metrics_set *set,
			const struct metrics_labels *labels, int first,
			int second);
struct metrics_moments metrics_set_moments(const struct metrics_set *set,
					   const struct metrics_labels *labels,
					   int first);

#endif
