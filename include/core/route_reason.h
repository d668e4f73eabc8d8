#ifndef PGWEIR_CORE_ROUTE_REASON_H
#define PGWEIR_CORE_ROUTE_REASON_H

/*
 * Why a unit of work went where it went.  One list for the decision, the
 * metric's label, the debug line and the answer of EXPLAIN ROUTE.  The order
 * is of no meaning; names are part of the metrics, so they stay.
 */
#define ROUTE_REASONS(X)                      \
	X(IN_TXN, "in_txn")                   \
	X(WRITE, "write")                     \
	X(UNKNOWN, "unknown")                 \
	X(UNSAFE_FN, "unsafe_fn")             \
	X(HINT, "hint")                       \
	X(REPLICA_LAG, "replica_lag")         \
	X(NO_REPLICA, "no_replica")           \
	X(STICKY, "sticky")                   \
	X(PINNED, "pinned")                   \
	X(RECENT_WRITE, "recent_write")       \
	X(SESSION_STATE, "session_state")     \
	X(READ_ONLY_TXN, "read_only_txn")     \
	X(TXN_READ, "txn_read")               \
	X(AUTOCOMMIT_READ, "autocommit_read") \
	X(SPLIT_OFF, "split_off")             \
	X(TOO_LONG, "too_long")               \
	X(CATALOG, "catalog")

enum metrics_route_reason {
#define ROUTE_REASON_ENUM(id, name) ROUTE_REASON_##id,
	ROUTE_REASONS(ROUTE_REASON_ENUM)
#undef ROUTE_REASON_ENUM
		ROUTE_REASON_COUNT
};

/* Its name, static; "?" for what is none.  Any thread. */
const char *route_reason_name(enum metrics_route_reason reason);

#endif
