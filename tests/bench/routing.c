/*
 * What it costs to know where a text belongs whose spelling was seen before:
 * its class, and the decision.  The literals differ each time, as those of an
 * application do.  "routing ROUNDS" says how long a query takes; callgrind
 * tells the instructions (tests/bench/instructions).
 */
#include "base/util.h"
#include "core/route.h"
#include "core/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* pgbench's own, and what a mapper of objects writes. */
static const char *const texts[] = {
	"SELECT abalance FROM pgbench_accounts WHERE aid = %u;",
	"UPDATE pgbench_accounts SET abalance = abalance + %u WHERE aid = 7;",
	"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES "
	"(7, 3, %u, -12, CURRENT_TIMESTAMP);",
	"SELECT \"users\".\"id\", \"users\".\"name\", \"users\".\"email\" FROM "
	"\"users\" WHERE \"users\".\"email\" = 'u%u@example.org' LIMIT 1",
};
enum { TEXTS = sizeof(texts) / sizeof(*texts), VARIANTS = 64 };

static char spelled[TEXTS][VARIANTS][256];
static size_t lens[TEXTS][VARIANTS];

static void write_texts(void)
{
	for (unsigned t = 0; t < TEXTS; t++)
		for (unsigned v = 0; v < VARIANTS; v++)
			/* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral) */
			lens[t][v] = (size_t)snprintf(
				spelled[t][v], 256, texts[t], 100000 + v * 977);
}

static unsigned route(struct shapes *shapes, unsigned text, unsigned variant,
		      const struct sqlclass_context *context)
{
	struct route_input input = {
		.judged = shapes_classify(shapes, spelled[text][variant],
					  lens[text][variant], context),
		.is_split = true,
		.has_replica = true,
	};

	return route_decide(&input).target;
}

int main(int argc, char **argv)
{
	unsigned rounds =
		argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	struct sqlclass_context context = { .plain_backslash = true,
					    .is_safe_encoding = true };
	struct shapes *shapes = shapes_new(64);
	unsigned sum = 0;
	uint64_t begin_us;

	write_texts();
	begin_us = util_now_us();
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned t = 0; t < TEXTS; t++)
			sum += route(shapes, t, i % VARIANTS, &context);
	printf("%.0f ns a query (%u)\n",
	       1000.0 * (double)(util_now_us() - begin_us) /
		       ((double)rounds * TEXTS),
	       sum);
	shapes_free(shapes);
	return 0;
}
