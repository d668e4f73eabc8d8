/*
 * Few workers that are busy cost less than many that are not: a worker that
 * has something to do when it looks does not sleep, and what it finds at once
 * it answers at once.  So clients fill one worker after the other.  What is
 * measured is the CPU time that a worker gets, not how long it is awake: where
 * the machine has no core left, a second worker would only take time from the
 * servers and the clients.
 *
 * A worker that uses up its core gives clients away, so that it does not matter
 * where they were when they became busy.  The gap between the thresholds, and
 * a smoothed load, keep clients from going back and forth.
 *
 * No state, no clock; any thread.
 */
#include "core/balance.h"

#include <assert.h>

enum {
	FULL_MAX = 900, /* has no core left */
	HELD_UP = 5000, /* microseconds: handshakes, most likely */
	LOAD_MAX = 1000
};

/* A good deal above what a worker is filled to. */
static unsigned full(unsigned fill)
{
	return fill * 7 / 5 < FULL_MAX ? fill * 7 / 5 : FULL_MAX;
}

/* Less is not worth the trouble of moving clients. */
static unsigned gap(unsigned fill)
{
	return fill / 2;
}

static unsigned least_loaded(const struct balance_worker *workers,
			     unsigned count)
{
	unsigned least = 0;

	for (unsigned i = 1; i < count; i++)
		if (workers[i].load < workers[least].load)
			least = i;
	return least;
}

unsigned balance_place(const struct balance_worker *workers, unsigned count,
		       unsigned fill)
{
	assert(count > 0);
	for (unsigned i = 0; i < count; i++)
		if (workers[i].load < fill && workers[i].turn_us < HELD_UP)
			return i;
	return least_loaded(workers, count);
}

bool balance_relieve(const struct balance_worker *workers, unsigned count,
		     unsigned fill, unsigned from,
		     struct balance_relief *relief)
{
	unsigned load = workers[from].load;
	unsigned to = least_loaded(workers, count);

	assert(from < count);
	if (load < full(fill) || workers[to].load + gap(fill) >= load)
		return false;
	relief->to = to;
	relief->share = (load - workers[to].load) * LOAD_MAX / (2 * load);
	return true;
}

unsigned balance_load(unsigned before, uint64_t cpu_us, uint64_t span_us)
{
	uint64_t now = span_us > 0 ? cpu_us * LOAD_MAX / span_us : 0;

	if (now > LOAD_MAX)
		now = LOAD_MAX;
	return (before + (unsigned)now + 1) / 2;
}
