#ifndef PGWEIR_CORE_HISTOGRAM_H
#define PGWEIR_CORE_HISTOGRAM_H

/*
 * Fixed log-linear buckets: 50, then nine equal steps in each decade from
 * 100 up to 60,000,000 (microseconds: 50 us to 60 s).  Every quantile is
 * right within half a step, and any two histograms can be added.
 */
#include <stdbool.h>
#include <stdint.h>

/* Slot HISTOGRAM_SUM holds the sum of all that was observed. */
enum {
	HISTOGRAM_BUCKETS = 53, /* the last has no upper bound */
	HISTOGRAM_SUM = HISTOGRAM_BUCKETS,
	HISTOGRAM_SLOTS
};

/* Which bucket counts a value: the first whose bound is not below it. */
unsigned histogram_bucket(uint64_t value);

/* Upper bound (inclusive) of a bucket; UINT64_MAX for the last. */
uint64_t histogram_bound(unsigned bucket);

/*
 * True for the buckets whose bounds go on the page: 1, 2 and 5 of each decade
 * and the ends, so that a histogram costs 21 lines and not 53.
 */
bool histogram_is_shown(unsigned bucket);

/* Number of observations in the HISTOGRAM_SLOTS values of one histogram. */
uint64_t histogram_count(const uint64_t *slots);

/*
 * The value below which a fraction (0 to 1) of the observations lies, linear
 * inside the bucket; 0 without observations, the greatest finite bound for
 * what lies beyond it.
 */
uint64_t histogram_quantile(const uint64_t *slots, double fraction);

#endif
