#ifndef PGWEIR_CONTROL_RATES_H
#define PGWEIR_CONTROL_RATES_H

/*
 * The figures of SHOW STATS: what every database has done since the start,
 * and on average lately.  Any thread.
 */
#include <stdint.h>

struct metrics;
struct rates;

/* In the order of the columns. */
enum rates_figure {
	RATES_ASSIGNMENTS,
	RATES_TRANSACTIONS,
	RATES_QUERIES,
	RATES_RECEIVED,
	RATES_SENT,
	RATES_TRANSACTION_TIME, /* times in microseconds */
	RATES_QUERY_TIME,
	RATES_WAIT_TIME,
	RATES_CLIENT_PARSES,
	RATES_SERVER_PARSES,
	RATES_BINDS,
	RATES_COUNT
};

/* Its name in SHOW TOTALS, behind total_ and avg_. */
const char *rates_name(enum rates_figure figure);

struct rates_line {
	char *database;
	uint64_t total[RATES_COUNT];
	/*
	 * Per second; a transaction's and a query's time: of one of them.
	 */
	uint64_t average[RATES_COUNT];
};

struct rates_report {
	unsigned count;
	struct rates_line *lines; /* sorted by database */
	struct rates_line sum;    /* of all; without a database */
};

struct rates *rates_new(uint64_t now_us);
void rates_free(struct rates *rates); /* NULL is fine */

/*
 * Called once in a period.  Averages are taken since the last call but one,
 * so that they never cover less than a period.
 */
void rates_sample(struct rates *rates, struct metrics *metrics,
		  uint64_t now_us);

/* The caller frees it. */
struct rates_report *rates_report_new(struct rates *rates,
				      struct metrics *metrics, uint64_t now_us);
void rates_report_free(struct rates_report *report);

#endif
