#ifndef PGWEIR_CORE_BALANCE_H
#define PGWEIR_CORE_BALANCE_H

/*
 * Which worker a client goes to, and when workers share their clients anew.
 * Pure: figures in, a choice out.
 */
#include <stdbool.h>
#include <stdint.h>

/* What is known of a worker. */
struct balance_worker {
	unsigned load;    /* CPU time it used lately, permille of a core */
	uint64_t turn_us; /* how long its last turn took */
};

/*
 * The worker for a new client: the first that uses less than fill permille of
 * its core and is not held up, else the one with the least load.
 */
unsigned balance_place(const struct balance_worker *workers, unsigned count,
		       unsigned fill);

struct balance_relief {
	unsigned to;    /* the worker that takes clients over */
	unsigned share; /* permille of what the giver's busy clients do */
};

/*
 * May this worker give clients away?  False when it has core left, or when
 * nobody has much more.
 */
bool balance_relieve(const struct balance_worker *workers, unsigned count,
		     unsigned fill, unsigned from,
		     struct balance_relief *relief);

/* The load from CPU time used in a span of time, and the load before it. */
unsigned balance_load(unsigned before, uint64_t cpu_us, uint64_t span_us);

#endif
