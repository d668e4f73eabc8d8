#ifndef PGWEIR_CONTROL_MONITOR_PRIMARY_H
#define PGWEIR_CONTROL_MONITOR_PRIMARY_H

/*
 * Who is the primary of each database, as the operator has to know it: none,
 * two, one that was left behind.  Main thread.
 */
#include "core/topology.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct metrics;
struct monitor_primary;

/*
 * For the lines of this configuration, which is held.  metrics may be NULL;
 * before (may be NULL) is what is asked after until now: a line of the same
 * name goes on as it was.
 */
struct monitor_primary *monitor_primary_new(
	const struct config *config, struct metrics *metrics,
	const struct monitor_primary *before);
void monitor_primary_free(struct monitor_primary *primaries);

/*
 * Looks at a snapshot of that configuration; says in the log what is new.
 * True when a line has just lost its primary.
 */
bool monitor_primary_look(struct monitor_primary *primaries,
			  const struct topology *topology, uint64_t now_us);

/*
 * Writes wait for a primary that may be this node: it is to be asked without
 * pause.  False again after failover_timeout: by then nobody waits.
 */
bool monitor_primary_is_sought(const struct monitor_primary *primaries,
			       unsigned node, uint64_t now_us);

#endif
