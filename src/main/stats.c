/*
 * Statistics for the log: two samples of the sums over all cells, and what
 * happened between them.  Pure but for reading the metrics.
 */
#include "main/stats.h"

#include "base/buf.h"

#include <assert.h>
#include <stddef.h>

static uint64_t sum_all(struct metrics *metrics, enum metrics_counter counter)
{
	return metrics_sum(metrics, counter, NULL, METRICS_ALL, METRICS_ALL);
}

/*
 * Bytes are the clients' side, as in PgBouncer's SHOW STATS: what travels to
 * servers depends on routing, and would be counted twice.
 */
void stats_take(struct stats_sample *sample, struct metrics *metrics,
		uint64_t now_us)
{
	*sample = (struct stats_sample){
		.at_us = now_us,
		.transactions = sum_all(metrics, COUNTER_TRANSACTIONS),
		.queries = sum_all(metrics, COUNTER_QUERIES),
		.client_parses = sum_all(metrics, COUNTER_CLIENT_PARSES),
		.server_parses = sum_all(metrics, COUNTER_SERVER_PARSES),
		.binds = sum_all(metrics, COUNTER_BINDS),
		.received = metrics_sum(metrics, COUNTER_BYTES, NULL,
					METRICS_SIDE_CLIENT,
					METRICS_DIRECTION_RECEIVED),
		.sent = metrics_sum(metrics, COUNTER_BYTES, NULL,
				    METRICS_SIDE_CLIENT,
				    METRICS_DIRECTION_SENT),
		.transaction_us = metrics_sum_histogram(
			metrics, HISTOGRAM_TRANSACTION, NULL, METRICS_ALL),
		.query_us = metrics_sum_histogram(metrics, HISTOGRAM_QUERY,
						  NULL, METRICS_ALL),
		.wait_us = metrics_sum_histogram(metrics, HISTOGRAM_CLIENT_WAIT,
						 NULL, METRICS_ALL),
	};
}

/* Rounded; a period of nothing counts as a second. */
static unsigned long long rate(uint64_t before, uint64_t now, uint64_t span_us)
{
	double seconds = span_us > 0 ? (double)span_us / 1e6 : 1;

	return (unsigned long long)((double)(now - before) / seconds + 0.5);
}

/* Of what ended in between; a mean since the start would show nothing. */
static unsigned long long mean(const struct metrics_moments *before,
			       const struct metrics_moments *now)
{
	uint64_t count = now->count - before->count;

	return count > 0 ? (now->sum - before->sum) / count : 0;
}

void stats_format(struct buf *out, const struct stats_sample *before,
		  const struct stats_sample *now)
{
	uint64_t span_us = now->at_us - before->at_us;

	assert(now->at_us >= before->at_us);
	buf_printf(out, "%llu xacts/s, %llu queries/s, ",
		   rate(before->transactions, now->transactions, span_us),
		   rate(before->queries, now->queries, span_us));
	buf_printf(out,
		   "%llu client parses/s, %llu server parses/s, "
		   "%llu binds/s, ",
		   rate(before->client_parses, now->client_parses, span_us),
		   rate(before->server_parses, now->server_parses, span_us),
		   rate(before->binds, now->binds, span_us));
	buf_printf(out, "in %llu B/s, out %llu B/s, ",
		   rate(before->received, now->received, span_us),
		   rate(before->sent, now->sent, span_us));
	buf_printf(out, "xact %llu us, query %llu us, wait %llu us",
		   mean(&before->transaction_us, &now->transaction_us),
		   mean(&before->query_us, &now->query_us),
		   mean(&before->wait_us, &now->wait_us));
}
