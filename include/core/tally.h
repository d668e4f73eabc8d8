#ifndef PGWEIR_CORE_TALLY_H
#define PGWEIR_CORE_TALLY_H

/*
 * What became of the statements of one shape: how many, where, how long.
 * One owner counts; tallies of several workers can be added.
 */
#include "core/histogram.h"
#include "core/route_reason.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing yet.  About 250 bytes. */
struct tally {
	uint64_t count;
	uint64_t on_replica;
	uint64_t repeats;  /* sent once more, since a replica failed */
	uint64_t spent_us; /* of all together */
	uint32_t buckets[HISTOGRAM_BUCKETS];
	uint8_t kept_by; /* why it was last on the primary, plus one */
};

/* One statement was answered. */
struct tally_answer {
	bool is_replica;
	enum metrics_route_reason reason;
	uint64_t took_us;
};
void tally_note(struct tally *tally, const struct tally_answer *answer);
void tally_note_repeat(struct tally *tally);

/* Adds what another owner has counted. */
void tally_add(struct tally *tally, const struct tally *more);

uint64_t tally_mean_us(const struct tally *tally);
uint64_t tally_quantile_us(const struct tally *tally, double fraction);
/* Of those answered, in permille. */
unsigned tally_replica_share(const struct tally *tally);
/* NULL: it never was on the primary. */
const char *tally_kept_by(const struct tally *tally);

#endif
