#ifndef PGWEIR_CORE_REPLICAS_H
#define PGWEIR_CORE_REPLICAS_H

/*
 * Which replica the next read goes to.  Pure arithmetic: loads, weights and
 * times in, a choice out; a handful of words per replica and worker.
 *
 *	every now and then   load.price = replicas_price(...)
 *	for each that may    replicas_offer(&pick, i, replicas_key(...))
 *	a read goes there    replicas_charge(&load, floor, REPLICAS_UNIT)
 *	it is answered       replicas_answered(&load, took_us)
 */
#include <stdbool.h>
#include <stdint.h>

/* What a worker remembers of a replica.  All zero: nothing yet. */
struct replicas_load {
	uint64_t pass;        /* what it was charged, on the common scale */
	uint64_t price;       /* of one read; 0: as that of the best */
	uint32_t response_us; /* smoothed; 0: not known */
};

enum {
	REPLICAS_PRICE = 1024, /* of a read on the best and heaviest */
	REPLICAS_UNIT = 1,     /* reads that a charge is for */
	REPLICAS_SETTLE = 64,  /* ... that a session will do there, for sure */
	/* A session that stays is worth moving beyond so many reads. */
	REPLICAS_SHIFT = 512,
	/* ... and nobody gets further ahead than by so many. */
	REPLICAS_LEAD = 4 * REPLICAS_SHIFT
};

/* Takes the time that a read took; a few long ones mean little. */
void replicas_answered(struct replicas_load *load, uint64_t took_us);

/*
 * How much of its share a replica may have that has been up since then, in
 * permille: a tenth at first, all of it after slow_start_us.
 */
unsigned replicas_warmth(uint64_t up_since_us, uint64_t now_us,
			 uint64_t slow_start_us);

/* What a price is made of. */
struct replicas_terms {
	unsigned weight;      /* its own, at least 1 */
	unsigned heaviest;    /* the largest of all */
	uint32_t response_us; /* its own, 0: not known */
	uint32_t fastest_us;  /* the least known; 0: none is */
	unsigned warmth;
};

/*
 * The price of a read: dear is who is slow, light or cold.  Shares are as the
 * inverse of prices.
 */
uint64_t replicas_price(const struct replicas_terms *terms);

/*
 * Who has the least key is next: charged so far, and what is under way.
 * floor is what the one charged least had when last looked: who was away
 * has saved up nothing.
 */
uint64_t replicas_key(const struct replicas_load *load, uint64_t floor,
		      unsigned outstanding);

/* So many reads go there; the lead over floor is bounded. */
void replicas_charge(struct replicas_load *load, uint64_t floor,
		     unsigned reads);

/* The best of those offered, in one pass. */
struct replicas_pick {
	int index; /* -1: none was offered */
	uint64_t key;
};

#define REPLICAS_PICK_INIT ((struct replicas_pick){ .index = -1 })

void replicas_offer(struct replicas_pick *pick, int index, uint64_t key);

/* Is the best so much better that a session should leave its own? */
bool replicas_should_shift(const struct replicas_pick *pick, uint64_t own_key);

/* Has the best been used so much more that a session had better not come? */
bool replicas_is_crowded(const struct replicas_pick *pick, uint64_t own_key);

#endif
