#ifndef PGWEIR_CORE_FITNESS_H
#define PGWEIR_CORE_FITNESS_H

/*
 * Why a node may serve reads or may not, in words: what SHOW NODES and
 * EXPLAIN ROUTE tell of it.  The decision itself is topology_can_read's.
 */
#include "core/topology.h"

#define FITNESS_LIST(X)                   \
	X(OK, "ok")                       \
	X(UNSEEN, "not reached yet")      \
	X(DOWN, "down")                   \
	X(NO_ROLE, "of unknown role")     \
	X(PRIMARY, "primary")             \
	X(NOT_STREAMING, "not streaming") \
	X(LAGGING, "lagging")             \
	X(OTHER_TIMELINE, "on another timeline")

enum fitness {
#define FITNESS_ENUM(id, name) FITNESS_##id,
	FITNESS_LIST(FITNESS_ENUM)
#undef FITNESS_ENUM
};

/*
 * Of a node towards the primary (-1: none known).  OK exactly when
 * topology_can_read is true.  topology NULL: nothing is known.
 */
enum fitness fitness_of(const struct topology *topology, unsigned node,
			int primary, uint64_t max_lag_us);

const char *fitness_name(enum fitness fitness);

#endif
