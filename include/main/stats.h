#ifndef PGWEIR_MAIN_STATS_H
#define PGWEIR_MAIN_STATS_H

/*
 * The line of statistics that is logged every stats_period, in PgBouncer's
 * words.
 */
#include "core/metrics.h"

#include <stdint.h>

struct buf;

/* What was counted since the start, at one moment. */
struct stats_sample {
	uint64_t at_us; /* monotonic */
	uint64_t transactions;
	uint64_t queries;
	uint64_t client_parses;
	uint64_t server_parses;
	uint64_t binds;
	uint64_t received; /* bytes, from clients */
	uint64_t sent;     /* bytes, to clients */
	struct metrics_moments transaction_us;
	struct metrics_moments query_us;
	struct metrics_moments wait_us;
};

/* Any thread. */
void stats_take(struct stats_sample *sample, struct metrics *metrics,
		uint64_t now_us);

/* Appends "12 xacts/s, ...", what came between the two, without an end. */
void stats_format(struct buf *out, const struct stats_sample *before,
		  const struct stats_sample *now);

#endif
