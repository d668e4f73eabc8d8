/*
 * Histograms with buckets that never change, so that the cells of several
 * workers add up slot by slot and a page is comparable over restarts.
 *
 * Bounds are round numbers of the decimal system, because they are read by
 * people as the label "le".  Pure; the slots belong to the caller.
 */
#include "core/histogram.h"

#include <assert.h>
#include <stddef.h>

#define DECADE(unit)                                                      \
	unit, 2 * (unit), 3 * (unit), 4 * (unit), 5 * (unit), 6 * (unit), \
		7 * (unit), 8 * (unit), 9 * (unit)

static const uint64_t bounds[] = {
	50,
	DECADE(UINT64_C(100)),
	DECADE(UINT64_C(1000)),
	DECADE(UINT64_C(10000)),
	DECADE(UINT64_C(100000)),
	DECADE(UINT64_C(1000000)),
	10000000,
	20000000,
	30000000,
	40000000,
	50000000,
	60000000,
};

enum {
	FINITE = sizeof(bounds) / sizeof(bounds[0]),
	FIRST_UNIT = 100,
	LAST_UNIT = 10000000
};

_Static_assert(FINITE == HISTOGRAM_BUCKETS - 1, "one bucket has no bound");

/*
 * Most of what is observed is short: a comparison or two find its decade, and
 * a division the bucket in it.  The last unit has no nine, but no end either.
 */
unsigned histogram_bucket(uint64_t value)
{
	uint64_t unit = FIRST_UNIT;
	uint64_t bucket = 1;

	if (value <= bounds[0])
		return 0;
	while (value > 9 * unit && unit < LAST_UNIT) {
		unit *= 10;
		bucket += 9;
	}
	bucket += (value - 1) / unit;
	return bucket < FINITE ? (unsigned)bucket : FINITE;
}

uint64_t histogram_bound(unsigned bucket)
{
	assert(bucket < HISTOGRAM_BUCKETS);
	return bucket < FINITE ? bounds[bucket] : UINT64_MAX;
}

bool histogram_is_shown(unsigned bucket)
{
	uint64_t digit;

	if (bucket == 0 || bucket >= FINITE - 1)
		return true;
	for (digit = bounds[bucket]; digit >= 10; digit /= 10)
		;
	return digit == 1 || digit == 2 || digit == 5;
}

uint64_t histogram_count(const uint64_t *slots)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		count += slots[i];
	return count;
}

uint64_t histogram_quantile(const uint64_t *slots, double fraction)
{
	double rank = fraction * (double)histogram_count(slots);
	double below = 0;

	if (rank <= 0)
		return 0;
	for (unsigned i = 0; i < FINITE; i++) {
		double here = (double)slots[i];
		double floor = i == 0 ? 0 : (double)bounds[i - 1];

		if (here > 0 && below + here >= rank)
			return (uint64_t)(floor + ((double)bounds[i] - floor) *
							  (rank - below) /
							  here);
		below += here;
	}
	return bounds[FINITE - 1];
}
