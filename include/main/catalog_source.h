#ifndef PGWEIR_MAIN_CATALOG_SOURCE_H
#define PGWEIR_MAIN_CATALOG_SOURCE_H

/* Which node is asked for a catalog, and how it is reached.  Main thread. */
#include "core/topology.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct config;
struct config_database;
struct node_address;
struct users;

/* Nodes of the configuration; -1: none. */
struct catalog_choice {
	int primary;
	int replica; /* fit, and has all from before needed_us */
	/* A replica is fit and may have it in a moment. */
	bool may_wait;
	/* All from before that is there, on the replica; 0: no replica. */
	uint64_t complete_us;
};

/* needed_us is monotonic time. */
struct catalog_choice catalog_source_choose(const struct topology *topology,
					    const struct config_database *line,
					    uint64_t max_lag_us,
					    uint64_t needed_us);

/*
 * The words with which libpq reaches a node for a line's database; they
 * hold a password, so wipe them.  False when it has no address yet.
 */
struct catalog_source {
	const struct config *config;
	const struct users *users; /* NULL: no auth_file */
	const struct config_database *line;
	unsigned node;
	const struct node_address *address;
	const char *dbname;
};
bool catalog_source_words(const struct catalog_source *source, struct buf *out);

#endif
