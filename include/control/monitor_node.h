#ifndef PGWEIR_CONTROL_MONITOR_NODE_H
#define PGWEIR_CONTROL_MONITOR_NODE_H

/*
 * What is believed of one node, and how a probe's report changes it.  No
 * sockets and no log: the monitor acts on the changes returned.
 */
#include "control/probe.h"
#include "core/staleness.h"
#include "core/topology.h"

#include <stdbool.h>
#include <stdint.h>

/* Of replicas, in questions in a row: monitor_rise, monitor_fall; 0 is 1. */
struct monitor_limits {
	unsigned rise; /* answers, until one that was down gets reads */
	unsigned fall; /* failures, until one that is up is down */
};

/* Embedded by the monitor; all zeros is a node of which nothing is known. */
struct monitor_node {
	struct monitor_limits limits; /* set by the owner */
	struct topology_node now;
	struct staleness samples; /* of its flush position, as a primary */
	unsigned failures;        /* in a row */
	unsigned answers;         /* in a row */
	bool was_up;              /* at some time */
	bool is_doubtful;         /* failed since its role was last seen */
	bool is_limited;
	bool is_receiving;
	enum topology_role old_role; /* before the last change of role */
	uint32_t old_timeline;
	enum probe_outcome outcome; /* of the last report */
	char reason[160];           /* of the last report that was no answer */
	char sqlstate[6];
};

/* Bits: what a report changed. */
enum {
	NODE_CAME_UP = 1,
	NODE_WENT_DOWN = 2,
	NODE_CHANGED_ROLE = 4,     /* between two known roles */
	NODE_CHANGED_TIMELINE = 8, /* as a primary, without a change of role */
	NODE_NEW_REFUSAL = 16,     /* or the reason is another one now */
	NODE_NEW_FAILURE = 32,     /* never was up, or down for a new reason */
	NODE_NEW_LIMIT = 64,       /* the role turns out to see too little */
	NODE_MOVED = 128           /* position or streaming */
};

unsigned monitor_node_take(struct monitor_node *node,
			   const struct probe_report *report);

/*
 * The kept connection to it broke.  True: it was a replica in use, which is
 * taken for down until its next answer, and for up again with that.
 */
bool monitor_node_lose(struct monitor_node *node);

/*
 * Works out a replica's lag and whether it streams, against the primary it
 * follows (NULL: none was ever seen).  While no primary is up nothing newer
 * can be missed: the lag stands still and a broken stream is no fault.
 */
void monitor_node_measure(struct monitor_node *replica,
			  const struct monitor_node *source, uint64_t now_us);

/*
 * Whether other is a better source than best (may be NULL) for a replica:
 * of the same system, the higher timeline, then the one that is up.
 */
bool monitor_node_is_source(const struct monitor_node *replica,
			    const struct monitor_node *other,
			    const struct monitor_node *best);

/* The wait before the next probe: longer while it fails, at most fourfold. */
uint64_t monitor_node_delay_us(const struct monitor_node *node,
			       uint64_t interval_us);

#endif
