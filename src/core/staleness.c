/*
 * The ring of (time, flush LSN).  All that was acknowledged before a sample
 * was asked for lies at or before its LSN, so a replica that has replayed
 * the sample lacks nothing that is older than it.
 *
 * When the ring is full every second sample goes: the past is kept more
 * coarsely, not cut off, and recent samples stay close.  Times and LSNs grow
 * from oldest to newest.
 */
#include "core/staleness.h"

#include <assert.h>

static void staleness_thin(struct staleness *staleness)
{
	unsigned kept = 0;

	/* Counted from the end, so that the newest stays. */
	for (unsigned i = 1; i < STALENESS_SAMPLES; i += 2)
		staleness->samples[kept++] = staleness->samples[i];
	staleness->count = kept;
}

static void staleness_append(struct staleness *staleness, uint64_t sent_us,
			     uint64_t lsn)
{
	if (staleness->count == STALENESS_SAMPLES)
		staleness_thin(staleness);
	assert(staleness->count < STALENESS_SAMPLES);
	staleness->samples[staleness->count].time_us = sent_us;
	staleness->samples[staleness->count].lsn = lsn;
	staleness->count++;
}

void staleness_note(struct staleness *staleness, uint64_t sent_us,
		    struct watermark flushed)
{
	unsigned count = staleness->count;

	if (flushed.system == 0 || flushed.timeline == 0 ||
	    sent_us < staleness_newest_us(staleness))
		return;
	/* A position that goes back: the server lost its tail in a crash. */
	if (!watermark_reached(flushed, staleness->epoch)) {
		staleness->count = 0;
		count = 0;
	}
	staleness->epoch = flushed;
	/* On an idle primary only the time moves. */
	if (count > 0 && staleness->samples[count - 1].lsn == flushed.lsn)
		staleness->samples[count - 1].time_us = sent_us;
	else
		staleness_append(staleness, sent_us, flushed.lsn);
}

uint64_t staleness_age(const struct staleness *staleness,
		       struct watermark replayed, uint64_t now_us)
{
	uint64_t since_us;
	unsigned i = staleness->count;

	if (i == 0 || watermark_reached(replayed, staleness->epoch))
		return 0;
	if (watermark_same_epoch(replayed, staleness->epoch))
		while (i > 1 && staleness->samples[i - 1].lsn > replayed.lsn)
			i--;
	else
		i = 1;
	since_us = staleness->samples[i - 1].time_us;
	return now_us > since_us ? now_us - since_us : 0;
}

uint64_t staleness_since_us(const struct staleness *staleness,
			    struct watermark replayed)
{
	unsigned i = staleness->count;

	if (i == 0 || !watermark_same_epoch(replayed, staleness->epoch))
		return 0;
	while (i > 0 && staleness->samples[i - 1].lsn > replayed.lsn)
		i--;
	return i > 0 ? staleness->samples[i - 1].time_us : 0;
}

uint64_t staleness_newest_us(const struct staleness *staleness)
{
	return staleness->count > 0
		       ? staleness->samples[staleness->count - 1].time_us
		       : 0;
}
