/*
 * Sharing reads over replicas.
 *
 * Each replica has an account.  A read costs its price, and the next read
 * goes to the one with the least on it, what is under way there counted as
 * well.  So at rest reads go round by weight, and under load to whoever
 * answers: one that hangs piles up what is under way, and is passed over
 * long before anybody calls it down.
 *
 * The price is the inverse of the share: twice the weight, half the price;
 * twice as slow, up to eight times dearer.  A millisecond is added to all
 * times: differences below it are noise, or the network's, and not worth
 * leaving a replica idle for.
 *
 * No clock, no lock, no memory; a worker's own loads.
 */
#include "core/replicas.h"

#include <assert.h>

enum {
	NOISE_US = 1000,
	SAMPLE_MAX_US = 1000000, /* longer reads are the statement's fault */
	SMOOTHING = 8,
	SLOWEST = 8, /* times the fastest, as far as shares go */
	WARM = 1000,
	COLD = 100
};

void replicas_answered(struct replicas_load *load, uint64_t took_us)
{
	uint32_t now_us =
		took_us < SAMPLE_MAX_US ? (uint32_t)took_us : SAMPLE_MAX_US;
	uint32_t before_us = load->response_us;

	if (before_us == 0) {
		load->response_us = now_us > 0 ? now_us : 1;
		return;
	}
	/* An outlier moves it by its own size at most. */
	if (now_us > SMOOTHING * (before_us + NOISE_US))
		now_us = SMOOTHING * (before_us + NOISE_US);
	load->response_us = before_us - before_us / SMOOTHING +
			    (now_us + SMOOTHING / 2) / SMOOTHING;
	if (load->response_us == 0)
		load->response_us = 1;
}

unsigned replicas_warmth(uint64_t up_since_us, uint64_t now_us,
			 uint64_t slow_start_us)
{
	uint64_t up_us = now_us > up_since_us ? now_us - up_since_us : 0;

	if (up_us >= slow_start_us)
		return WARM;
	return COLD + (unsigned)((WARM - COLD) * up_us / slow_start_us);
}

/* How many times slower than the fastest, in sixteenths. */
static uint64_t slowness(const struct replicas_terms *terms)
{
	const uint64_t most = 16ULL * SLOWEST;
	uint64_t times;

	if (terms->response_us <= terms->fastest_us)
		return 16;
	times = 16ULL * ((uint64_t)terms->response_us + NOISE_US) /
		((uint64_t)terms->fastest_us + NOISE_US);
	return times < most ? times : most;
}

uint64_t replicas_price(const struct replicas_terms *terms)
{
	assert(terms->weight > 0 && terms->weight <= terms->heaviest);
	assert(terms->warmth > 0 && terms->warmth <= WARM);
	return REPLICAS_PRICE * slowness(terms) * terms->heaviest * WARM /
	       (16ULL * terms->weight * terms->warmth);
}

static uint64_t price_of(const struct replicas_load *load)
{
	return load->price > 0 ? load->price : REPLICAS_PRICE;
}

static uint64_t account_of(const struct replicas_load *load, uint64_t floor)
{
	return load->pass > floor ? load->pass : floor;
}

uint64_t replicas_key(const struct replicas_load *load, uint64_t floor,
		      unsigned outstanding)
{
	return account_of(load, floor) + price_of(load) * outstanding;
}

void replicas_charge(struct replicas_load *load, uint64_t floor, unsigned reads)
{
	uint64_t most = floor + price_of(load) * REPLICAS_LEAD;

	load->pass = account_of(load, floor) + price_of(load) * reads;
	if (load->pass > most)
		load->pass = most;
}

void replicas_offer(struct replicas_pick *pick, int index, uint64_t key)
{
	if (pick->index >= 0 && pick->key <= key)
		return;
	pick->index = index;
	pick->key = key;
}

bool replicas_should_shift(const struct replicas_pick *pick, uint64_t own_key)
{
	const uint64_t least = (uint64_t)REPLICAS_SHIFT * REPLICAS_PRICE;

	return pick->index >= 0 && own_key > pick->key &&
	       own_key - pick->key > least;
}

bool replicas_is_crowded(const struct replicas_pick *pick, uint64_t own_key)
{
	const uint64_t least = (uint64_t)REPLICAS_SETTLE * REPLICAS_PRICE;

	return pick->index >= 0 && pick->key > own_key &&
	       pick->key - own_key > least;
}
