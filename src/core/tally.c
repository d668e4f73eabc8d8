/*
 * Counting by shape of statement, for SHOW ROUTES.
 *
 * Notes are a few additions: they are made for each statement.  Buckets are
 * those of all our histograms; a full one stays full.  Pure.
 */
#include "core/tally.h"

#include "core/route_reason.h"

#include <stddef.h>

static void add_to_bucket(uint32_t *bucket, uint64_t more)
{
	uint64_t sum = *bucket + more;

	*bucket = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

void tally_note(struct tally *tally, const struct tally_answer *answer)
{
	tally->count++;
	tally->spent_us += answer->took_us;
	add_to_bucket(&tally->buckets[histogram_bucket(answer->took_us)], 1);
	if (answer->is_replica)
		tally->on_replica++;
	else
		tally->kept_by = (uint8_t)(answer->reason + 1);
}

void tally_note_repeat(struct tally *tally)
{
	tally->repeats++;
}

void tally_add(struct tally *tally, const struct tally *more)
{
	tally->count += more->count;
	tally->on_replica += more->on_replica;
	tally->repeats += more->repeats;
	tally->spent_us += more->spent_us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		add_to_bucket(&tally->buckets[i], more->buckets[i]);
	if (more->kept_by > 0)
		tally->kept_by = more->kept_by;
}

uint64_t tally_mean_us(const struct tally *tally)
{
	return tally->count > 0 ? tally->spent_us / tally->count : 0;
}

uint64_t tally_quantile_us(const struct tally *tally, double fraction)
{
	uint64_t slots[HISTOGRAM_SLOTS] = { 0 };

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		slots[i] = tally->buckets[i];
	return histogram_quantile(slots, fraction);
}

unsigned tally_replica_share(const struct tally *tally)
{
	return tally->count > 0
		       ? (unsigned)(tally->on_replica * 1000 / tally->count)
		       : 0;
}

const char *tally_kept_by(const struct tally *tally)
{
	return tally->kept_by > 0 && tally->kept_by <= ROUTE_REASON_COUNT
		       ? route_reason_name(tally->kept_by - 1U)
		       : NULL;
}
