#ifndef PGWEIR_CORE_STALENESS_H
#define PGWEIR_CORE_STALENESS_H

/*
 * How old a replica's data is: the age of the newest sample (time, flush LSN
 * of the primary) that the replica has replayed.  Neither clock skew nor an
 * idle primary makes false lag.
 */
#include "core/watermark.h"

#include <stdint.h>

enum { STALENESS_SAMPLES = 256 };

/* Embedded by the owner; all zeros is empty. */
struct staleness {
	struct watermark epoch; /* of all samples; its lsn is the newest */
	unsigned count;
	struct {
		uint64_t time_us;
		uint64_t lsn;
	} samples[STALENESS_SAMPLES]; /* oldest first */
};

/*
 * The primary's flush position, in the answer to a question sent at sent_us
 * (monotonic).  A new epoch forgets all older samples.
 */
void staleness_note(struct staleness *staleness, uint64_t sent_us,
		    struct watermark flushed);

/*
 * Upper bound of the age of a replica's data at now_us: 0 when it has all
 * that was seen, or nothing was seen yet.  A replica behind every sample, or
 * of another epoch, is as old as the oldest sample at least.
 */
uint64_t staleness_age(const struct staleness *staleness,
		       struct watermark replayed, uint64_t now_us);

/*
 * The replica has all that was acknowledged before this time (monotonic); 0
 * when nobody knows.
 */
uint64_t staleness_since_us(const struct staleness *staleness,
			    struct watermark replayed);

/* When the newest sample was taken; 0 without any. */
uint64_t staleness_newest_us(const struct staleness *staleness);

#endif
