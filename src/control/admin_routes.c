/*
 * SHOW ROUTES.
 *
 * Workers count for themselves, without a lock; the job goes from one to the
 * next and adds up by the text of the shape and its class.  A worker
 * remembers 4096 shapes (proxy/local), so a listing holds no more than that
 * for each; the most frequent ones are shown.
 */
#include "control/admin_routes.h"

#include "base/strmap.h"
#include "base/util.h"
#include "control/admin_job.h"
#include "core/shapes.h"
#include "core/sqlclass.h"
#include "core/sqltext.h"
#include "proxy/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 400, ROWS_USUAL = 100 };

/* What is known of a shape, over the workers asked so far. */
struct route {
	struct sqlclass class;
	struct tally tally;
	const char *text; /* the key's, behind the class */
};

static void drop_routes(void *gathered)
{
	strmap_free(gathered, free);
}

/* --- gathering -------------------------------------------------------------
 */

/* Two shapes may read alike: what they are is part of the key. */
static void write_key(const struct shapes_row *row, struct buf *key)
{
	buf_printf(key, "%u %u ", row->class->access, row->class->reason);
	sqltext_write(row->shape, row->shape_len, TEXT_MAX, key);
}

static void add_row(struct strmap *routes, const struct shapes_row *row)
{
	struct buf key = BUF_INIT;
	struct route *route;

	write_key(row, &key);
	route = strmap_get(routes, buf_text(&key));
	if (!route) {
		route = xcalloc(1, sizeof(*route));
		route->class = *row->class;
		(void)strmap_put(routes, buf_text(&key), route);
	}
	tally_add(&route->tally, row->tally);
	buf_free(&key);
}

void admin_gather_routes(struct admin_job *job)
{
	struct shapes_row row;
	size_t at = 0;

	if (!job->gathered) {
		job->gathered = strmap_new();
		job->drop = drop_routes;
	}
	while (shapes_next(job->local->shapes, &at, &row))
		add_row(job->gathered, &row);
}

/* --- showing ---------------------------------------------------------------
 */

static int compare_counts(const void *one, const void *other)
{
	const struct route *left = *(const struct route *const *)one;
	const struct route *right = *(const struct route *const *)other;

	if (left->tally.count != right->tally.count)
		return left->tally.count < right->tally.count ? 1 : -1;
	return strcmp(left->text, right->text);
}

/* All of them, the most frequent first; the caller frees the array. */
static struct route **sort_routes(const struct strmap *map)
{
	struct route **routes =
		xcalloc(strmap_count(map) + 1, sizeof(struct route *));
	const char *key;
	size_t count = 0;
	size_t at = 0;
	void *value;

	while (strmap_next(map, &at, &key, &value)) {
		routes[count] = value;
		routes[count++]->text = strchr(strchr(key, ' ') + 1, ' ') + 1;
	}
	if (count > 0)
		qsort(routes, count, sizeof(struct route *), compare_counts);
	return routes;
}

static void put_share(struct admin_job *job, unsigned permille)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u.%u", permille / 10,
		       permille % 10);
	admin_put_text(job, text);
}

static const char *class_name(const struct sqlclass *class)
{
	static const char *const names[] = { [ACCESS_NONE] = "none",
					     [ACCESS_READ] = "read",
					     [ACCESS_WRITE] = "write",
					     [ACCESS_UNKNOWN] = "unknown" };

	return names[class->access];
}

static void put_route(struct admin_job *job, const struct route *route)
{
	const struct tally *tally = &route->tally;

	admin_row_begin(job);
	admin_put_number(job, (int64_t)tally->count);
	admin_put_text(job, class_name(&route->class));
	admin_put_text(job, sqlclass_reason_name(
				    (enum sqlclass_reason)route->class.reason));
	put_share(job, tally_replica_share(tally));
	admin_put_text(job, tally_kept_by(tally));
	admin_put_number(job, (int64_t)tally_mean_us(tally));
	admin_put_number(job, (int64_t)tally_quantile_us(tally, 0.99));
	admin_put_number(job, (int64_t)tally->repeats);
	admin_put_text(job, route->text);
	admin_row_end(job);
}

/* False: the argument is no number of rows. */
static bool read_limit(const struct admin_job *job, size_t *limit)
{
	char *end;
	unsigned long value;

	*limit = ROWS_USUAL;
	if (!*job->argument)
		return true;
	value = strtoul(job->argument, &end, 10);
	*limit = value;
	return !*end && *job->argument != '-' && value > 0;
}

void admin_show_routes(struct admin_job *job)
{
	struct route **routes;
	size_t limit;

	if (!read_limit(job, &limit)) {
		admin_job_fail(job, "22023", NULL,
			       "not a number of rows: \"%s\"", job->argument);
		return;
	}
	if (!job->gathered)
		return;
	routes = sort_routes(job->gathered);
	for (size_t i = 0; i < limit && routes[i]; i++)
		put_route(job, routes[i]);
	free(routes);
}
