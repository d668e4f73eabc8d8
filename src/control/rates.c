/*
 * Totals and averages per database.
 *
 * The totals are sums of the workers' counters.  For the averages two older
 * sets of totals are kept: the newer one becomes the base when the next one
 * is taken, as PgBouncer does it.  A mutex guards the two, since consoles of
 * several workers read them while the main thread replaces them.
 */
#include "control/rates.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/metrics.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum source { COUNTED, TIMED };
enum per { PER_SECOND, PER_TRANSACTION, PER_QUERY };

/* table: */
static const struct figure {
	const char *name;
	enum source source;
	enum per per;
	unsigned id; /* a counter; a histogram whose sum it is */
	int first;
	int second;
} figures[RATES_COUNT] = {
	[RATES_ASSIGNMENTS] = { "server_assignment_count", COUNTED, PER_SECOND,
				COUNTER_SERVER_ASSIGNMENTS, METRICS_ALL,
				METRICS_ALL },
	[RATES_TRANSACTIONS] = { "xact_count", COUNTED, PER_SECOND,
				 COUNTER_TRANSACTIONS, METRICS_ALL,
				 METRICS_ALL },
	[RATES_QUERIES] = { "query_count", COUNTED, PER_SECOND, COUNTER_QUERIES,
			    METRICS_ALL, METRICS_ALL },
	[RATES_RECEIVED] = { "client_bytes", COUNTED, PER_SECOND, COUNTER_BYTES,
			     METRICS_SIDE_CLIENT, METRICS_DIRECTION_RECEIVED },
	[RATES_SENT] = { "server_bytes", COUNTED, PER_SECOND, COUNTER_BYTES,
			 METRICS_SIDE_CLIENT, METRICS_DIRECTION_SENT },
	[RATES_TRANSACTION_TIME] = { "xact_time", TIMED, PER_TRANSACTION,
				     HISTOGRAM_TRANSACTION, METRICS_ALL,
				     METRICS_ALL },
	[RATES_QUERY_TIME] = { "query_time", TIMED, PER_QUERY, HISTOGRAM_QUERY,
			       METRICS_ALL, METRICS_ALL },
	[RATES_WAIT_TIME] = { "wait_time", TIMED, PER_SECOND,
			      HISTOGRAM_CLIENT_WAIT, METRICS_ALL, METRICS_ALL },
	[RATES_CLIENT_PARSES] = { "client_parse_count", COUNTED, PER_SECOND,
				  COUNTER_CLIENT_PARSES, METRICS_ALL,
				  METRICS_ALL },
	[RATES_SERVER_PARSES] = { "server_parse_count", COUNTED, PER_SECOND,
				  COUNTER_SERVER_PARSES, METRICS_ALL,
				  METRICS_ALL },
	[RATES_BINDS] = { "bind_count", COUNTED, PER_SECOND, COUNTER_BINDS,
			  METRICS_ALL, METRICS_ALL },
};

/* Totals at a moment: database to uint64_t[RATES_COUNT]. */
struct sample {
	uint64_t at_us;
	struct strmap *totals;
};

/*
 * base is one or two periods old, last at most one: averages cover the last
 * full period and what has passed since.
 */
struct rates {
	struct {
		pthread_mutex_t mutex;
		struct sample base;
		struct sample last;
	} shared;
};

const char *rates_name(enum rates_figure figure)
{
	return figures[figure].name;
}

/* --- samples -------------------------------------------------------------- */

/* Of a database that is not known yet: zeros. */
static uint64_t *totals_of(struct strmap *totals, const char *database)
{
	uint64_t *values = strmap_get(totals, database);

	if (!values) {
		values = xcalloc(RATES_COUNT, sizeof(*values));
		(void)strmap_put(totals, database, values);
	}
	return values;
}

/* Adds one figure of every database. */
static void read_figure(struct strmap *totals, struct metrics *metrics,
			unsigned index)
{
	const struct figure *figure = &figures[index];
	enum metrics_type type = figure->source == COUNTED
					 ? METRICS_TYPE_COUNTER
					 : METRICS_TYPE_HISTOGRAM;
	struct metrics_set *set = metrics_read(metrics, type, figure->id, 0);

	for (unsigned g = 0; g < set->count; g++) {
		const struct metrics_labels *labels = &set->groups[g]->labels;
		uint64_t *values = totals_of(totals, labels->database);

		if (figure->source == COUNTED)
			values[index] = (uint64_t)metrics_set_sum(
				set, labels, figure->first, figure->second);
		else
			values[index] =
				metrics_set_moments(set, labels, figure->first)
					.sum;
	}
	metrics_set_free(set);
}

/*
 * One figure after the other, so not of one moment; counters only grow, so no
 * difference is below zero.
 */
static struct strmap *read_totals(struct metrics *metrics)
{
	struct strmap *totals = strmap_new();

	for (unsigned i = 0; i < RATES_COUNT; i++)
		read_figure(totals, metrics, i);
	return totals;
}

struct rates *rates_new(uint64_t now_us)
{
	struct rates *rates = xcalloc(1, sizeof(*rates));

	(void)pthread_mutex_init(&rates->shared.mutex, NULL);
	rates->shared.base = (struct sample){ now_us, strmap_new() };
	rates->shared.last = (struct sample){ now_us, strmap_new() };
	return rates;
}

void rates_free(struct rates *rates)
{
	if (!rates)
		return;
	strmap_free(rates->shared.base.totals, free);
	strmap_free(rates->shared.last.totals, free);
	(void)pthread_mutex_destroy(&rates->shared.mutex);
	free(rates);
}

/* The maps are swapped under the mutex and freed outside it. */
void rates_sample(struct rates *rates, struct metrics *metrics, uint64_t now_us)
{
	struct strmap *totals = read_totals(metrics);
	struct strmap *old;

	(void)pthread_mutex_lock(&rates->shared.mutex);
	old = rates->shared.base.totals;
	rates->shared.base = rates->shared.last;
	rates->shared.last = (struct sample){ now_us, totals };
	(void)pthread_mutex_unlock(&rates->shared.mutex);
	strmap_free(old, free);
}

/* --- reports -------------------------------------------------------------- */

static uint64_t divide(uint64_t value, uint64_t by)
{
	return by > 0 ? value / by : 0;
}

/* before: totals at the base; NULL for a database that came later. */
static void average(struct rates_line *line, const uint64_t *before,
		    uint64_t span_us)
{
	static const uint64_t nothing[RATES_COUNT];
	uint64_t grown[RATES_COUNT];

	for (unsigned i = 0; i < RATES_COUNT; i++)
		grown[i] = line->total[i] - (before ? before : nothing)[i];
	for (unsigned i = 0; i < RATES_COUNT; i++) {
		if (figures[i].per == PER_TRANSACTION)
			line->average[i] =
				divide(grown[i], grown[RATES_TRANSACTIONS]);
		else if (figures[i].per == PER_QUERY)
			line->average[i] =
				divide(grown[i], grown[RATES_QUERIES]);
		else if (span_us > 0)
			line->average[i] = (uint64_t)((double)grown[i] * 1e6 /
						      (double)span_us);
	}
}

static int compare(const void *one, const void *other)
{
	const struct rates_line *a = one;
	const struct rates_line *b = other;

	return strcmp(a->database, b->database);
}

static void add(uint64_t *into, const uint64_t *values)
{
	for (unsigned i = 0; i < RATES_COUNT; i++)
		into[i] += values[i];
}

/* Averages of the sum, which are not the sum of the averages. */
static void sum_up(struct rates_report *report, const struct sample *base,
		   uint64_t span_us)
{
	uint64_t before[RATES_COUNT] = { 0 };
	size_t at = 0;
	void *values;

	while (strmap_next(base->totals, &at, NULL, &values))
		add(before, values);
	for (unsigned i = 0; i < report->count; i++)
		add(report->sum.total, report->lines[i].total);
	average(&report->sum, before, span_us);
}

static void fill(struct rates_report *report, struct strmap *totals,
		 const struct sample *base, uint64_t now_us)
{
	uint64_t span_us = now_us > base->at_us ? now_us - base->at_us : 0;
	size_t at = 0;
	const char *database;
	void *values;

	report->lines = xcalloc(strmap_count(totals), sizeof(*report->lines));
	while (strmap_next(totals, &at, &database, &values)) {
		struct rates_line *line = &report->lines[report->count++];

		line->database = xstrdup(database);
		memcpy(line->total, values, sizeof(line->total));
		average(line, strmap_get(base->totals, database), span_us);
	}
	qsort(report->lines, report->count, sizeof(*report->lines), compare);
	sum_up(report, base, span_us);
}

/* The totals are read before the mutex is taken: metrics have their own. */
struct rates_report *rates_report_new(struct rates *rates,
				      struct metrics *metrics, uint64_t now_us)
{
	struct rates_report *report = xcalloc(1, sizeof(*report));
	struct strmap *totals = read_totals(metrics);

	(void)pthread_mutex_lock(&rates->shared.mutex);
	fill(report, totals, &rates->shared.base, now_us);
	(void)pthread_mutex_unlock(&rates->shared.mutex);
	strmap_free(totals, free);
	return report;
}

void rates_report_free(struct rates_report *report)
{
	for (unsigned i = 0; i < report->count; i++)
		free(report->lines[i].database);
	free(report->lines);
	free(report);
}
