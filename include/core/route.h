#ifndef PGWEIR_CORE_ROUTE_H
#define PGWEIR_CORE_ROUTE_H

/*
 * Where a unit of work may go, and why: one pure function of what is known
 * about the unit, its session, the policy and the nodes.
 */
#include "core/route_reason.h"
#include "core/sqlfacts.h"

#include <stdbool.h>
#include <stdint.h>

enum route_target {
	ROUTE_PRIMARY,
	ROUTE_REPLICA,
	ROUTE_STAY, /* the server that the session is on */
	ROUTE_WAIT  /* a replica, once one is fresh enough */
};

/* Whether replicas show what the session must see. */
enum route_freshness {
	ROUTE_FRESH,  /* the one that is chosen does */
	ROUTE_UNSURE, /* not yet, or not known yet: it may wait */
	ROUTE_STALE   /* ... it has waited long enough */
};

struct route_input {
	struct sqlclass judged;
	/* the policy */
	bool is_split;      /* reads may leave the primary */
	uint64_t window_us; /* after a write reads stay, 0 never */
	/* the session */
	bool prefers_primary; /* SET pgweir.route = 'primary' */
	bool is_in_transaction;
	bool is_pinned;
	bool is_state_unsafe;   /* settings under which texts mislead */
	bool is_catalog_old;    /* names may mean something else by now */
	bool avoids_replicas;   /* one has just refused this unit */
	uint64_t last_write_us; /* 0: never wrote */
	uint64_t now_us;
	/* the nodes */
	bool has_replica;
	bool is_replica_lagging; /* one was passed over for its lag */
	enum route_freshness freshness;
};

struct route_decision {
	enum route_target target;
	enum metrics_route_reason reason;
};

struct route_decision route_decide(const struct route_input *input);

/* BEGIN READ ONLY alone: a transaction that a replica may have. */
bool route_is_read_only_begin(const struct sqlclass *judged);

/*
 * In a transaction that has begun on a replica and done nothing yet: does
 * this belong on the primary, and the transaction with it?
 */
bool route_leaves_replica(const struct sqlclass *judged);

/* Nothing but a read, which leaves nothing behind, not even in its block. */
bool route_is_plain_read(const struct sqlclass *judged);

/* Is the encoding free of trail bytes below 0x80 (docs, "Character Sets")? */
bool route_is_safe_encoding(const char *encoding);

#endif
