#ifndef PGWEIR_CORE_TOPOLOGY_H
#define PGWEIR_CORE_TOPOLOGY_H

/*
 * What the monitor knows of every node, as one immutable snapshot.  Index i
 * is node i of the config snapshot of the same generation.  Workers read it
 * through one atomic pointer and take it once per unit of work.
 */
#include "core/watermark.h"

#include <stdbool.h>
#include <stdint.h>

enum topology_role { ROLE_UNKNOWN, ROLE_PRIMARY, ROLE_REPLICA };

struct topology_node {
	enum topology_role role;
	bool is_up;        /* answered its last probe */
	bool is_streaming; /* a replica: its WAL receiver runs, or no primary
			      is up that it could receive from */
	uint64_t lag_us;   /* replay delay; 0 when caught up */
	uint64_t lag_bytes;
	/* A replica: all that was done before is there; 0: unknown */
	uint64_t complete_us;
	struct watermark position; /* flushed (primary), replayed (replica) */
	uint32_t server_version;   /* 150018; 0 unknown */
	uint64_t probed_us;        /* monotonic, of the last answer; 0 never */
	uint64_t asked_us;    /* ... of the question that position answers */
	uint64_t up_since_us; /* ... since when it is up without a break */
	/* A primary: since when it says so, and the first position then. */
	uint64_t primary_since_us;
	struct watermark first;
};

struct topology {
	uint64_t generation; /* of the config it belongs to */
	unsigned count;
	struct topology_node nodes[];
};

/* A snapshot of count unknown nodes; one reference, the caller's. */
struct topology *topology_new(uint64_t generation, unsigned count);
struct topology *topology_hold(const struct topology *topology);
void topology_release(const struct topology *topology);

/*
 * The primary among the nodes of a list (indexes): the one with the role,
 * the highest timeline winning, else the one that has had it longest; when
 * none is known and no node has ever answered, the first of the list; -1 when
 * there is none.  One that was left behind is none.
 */
int topology_primary(const struct topology *topology, const unsigned *nodes,
		     unsigned count);

/*
 * The node says that it is the primary, but another of the list has been on a
 * higher timeline of the same system: an old primary that has come back.
 */
bool topology_is_left_behind(const struct topology *topology,
			     const unsigned *nodes, unsigned count,
			     unsigned node);

/*
 * True when the node may serve reads: up, a streaming replica, on the
 * timeline of the primary (when one is known), lag at most max_lag_us.
 */
bool topology_can_read(const struct topology *topology, unsigned node,
		       int primary, uint64_t max_lag_us);

const char *topology_role_name(enum topology_role role);

#endif
