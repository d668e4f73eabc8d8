#ifndef PGWEIR_CORE_METRICS_ROWS_H
#define PGWEIR_CORE_METRICS_ROWS_H

/*
 * The description of every metric that workers count: one row each, which
 * the cells, the Prometheus page and the console read alike.  A metric is
 * added by an enumerator here and its row in metrics_rows.c.
 */
#include "core/route_reason.h"

#include <stdbool.h>

/*
 * Label values that are enumerated: list, enum and names together.  Names
 * are what dashboards and alerts are written against, so they stay.
 */
#define METRICS_ROLES(X)                   \
	X(METRICS_ROLE_PRIMARY, "primary") \
	X(METRICS_ROLE_REPLICA, "replica")
#define METRICS_CLASSES(X)              \
	X(METRICS_CLASS_READ, "read")   \
	X(METRICS_CLASS_WRITE, "write") \
	X(METRICS_CLASS_UNKNOWN, "unknown")
#define METRICS_CLIENT_STATES(X)                         \
	X(METRICS_CLIENT_ACTIVE, "active")               \
	X(METRICS_CLIENT_IDLE, "idle")                   \
	X(METRICS_CLIENT_WAITING, "waiting")             \
	X(METRICS_CLIENT_LOGIN, "login")                 \
	X(METRICS_CLIENT_CANCEL_ACTIVE, "cancel_active") \
	X(METRICS_CLIENT_CANCEL_WAITING, "cancel_waiting")
#define METRICS_SERVER_STATES(X)                           \
	X(METRICS_SERVER_ACTIVE, "active")                 \
	X(METRICS_SERVER_IDLE, "idle")                     \
	X(METRICS_SERVER_USED, "used")                     \
	X(METRICS_SERVER_TESTED, "tested")                 \
	X(METRICS_SERVER_LOGIN, "login")                   \
	X(METRICS_SERVER_BEING_CANCELED, "being_canceled") \
	X(METRICS_SERVER_ACTIVE_CANCEL, "active_cancel")
#define METRICS_REPLICATIONS(X)                     \
	X(METRICS_REPLICATION_PHYSICAL, "physical") \
	X(METRICS_REPLICATION_LOGICAL, "logical")
#define METRICS_SIDES(X)                 \
	X(METRICS_SIDE_CLIENT, "client") \
	X(METRICS_SIDE_SERVER, "server")
/* As seen by pgweir: received from that side, sent to that side. */
#define METRICS_DIRECTIONS(X)                     \
	X(METRICS_DIRECTION_RECEIVED, "received") \
	X(METRICS_DIRECTION_SENT, "sent")
#define METRICS_TLS_VERSIONS(X)       \
	X(METRICS_TLS_1_2, "TLSv1.2") \
	X(METRICS_TLS_1_3, "TLSv1.3") \
	X(METRICS_TLS_OTHER, "other")
#define METRICS_REJECTS(X)                        \
	X(METRICS_REJECT_MAX_CONN, "max_conn")    \
	X(METRICS_REJECT_AUTH, "auth")            \
	X(METRICS_REJECT_TLS, "tls")              \
	X(METRICS_REJECT_PROTO, "proto")          \
	X(METRICS_REJECT_TIMEOUT, "timeout")      \
	X(METRICS_REJECT_HBA, "hba")              \
	X(METRICS_REJECT_NO_DATABASE, "database") \
	X(METRICS_REJECT_SHUTDOWN, "shutdown")    \
	X(METRICS_REJECT_RESOURCES, "resources")
#define METRICS_CONNECT_ERRORS(X)               \
	X(METRICS_CONNECT_REFUSED, "refused")   \
	X(METRICS_CONNECT_TIMEOUT, "timeout")   \
	X(METRICS_CONNECT_DNS, "dns")           \
	X(METRICS_CONNECT_TLS, "tls")           \
	X(METRICS_CONNECT_AUTH, "auth")         \
	X(METRICS_CONNECT_TOO_MANY, "too_many") \
	X(METRICS_CONNECT_PROTO, "proto")       \
	X(METRICS_CONNECT_OTHER, "other")
#define METRICS_CLOSES(X)                           \
	X(METRICS_CLOSE_IDLE, "idle_timeout")       \
	X(METRICS_CLOSE_LIFETIME, "lifetime")       \
	X(METRICS_CLOSE_PEER, "peer_closed")        \
	X(METRICS_CLOSE_PROTO, "proto")             \
	X(METRICS_CLOSE_DIRTY, "state_not_clean")   \
	X(METRICS_CLOSE_TIMEOUT, "timeout")         \
	X(METRICS_CLOSE_NODE_DOWN, "node_down")     \
	X(METRICS_CLOSE_ROLE_CHANGE, "role_change") \
	X(METRICS_CLOSE_CLIENT_GONE, "client_gone") \
	X(METRICS_CLOSE_RELOAD, "reload")           \
	X(METRICS_CLOSE_SHUTDOWN, "shutdown")       \
	X(METRICS_CLOSE_OTHER, "other")
#define METRICS_CANCELS(X)                           \
	X(METRICS_CANCEL_FORWARDED, "forwarded")     \
	X(METRICS_CANCEL_UNKNOWN_KEY, "unknown_key") \
	X(METRICS_CANCEL_NOT_RUNNING, "not_running") \
	X(METRICS_CANCEL_FAILED, "failed")

#define METRICS_ENUM(id, name) id,
enum metrics_role { METRICS_ROLES(METRICS_ENUM) METRICS_ROLE_COUNT };
enum metrics_class { METRICS_CLASSES(METRICS_ENUM) METRICS_CLASS_COUNT };
enum metrics_client_state {
	METRICS_CLIENT_STATES(METRICS_ENUM) METRICS_CLIENT_COUNT
};
enum metrics_server_state {
	METRICS_SERVER_STATES(METRICS_ENUM) METRICS_SERVER_COUNT
};
enum metrics_replication {
	METRICS_REPLICATIONS(METRICS_ENUM) METRICS_REPLICATION_COUNT
};
enum metrics_side { METRICS_SIDES(METRICS_ENUM) METRICS_SIDE_COUNT };
enum metrics_direction {
	METRICS_DIRECTIONS(METRICS_ENUM) METRICS_DIRECTION_COUNT
};
enum metrics_tls_version {
	METRICS_TLS_VERSIONS(METRICS_ENUM) METRICS_TLS_COUNT
};
enum metrics_reject { METRICS_REJECTS(METRICS_ENUM) METRICS_REJECT_COUNT };
enum metrics_connect_error {
	METRICS_CONNECT_ERRORS(METRICS_ENUM) METRICS_CONNECT_COUNT
};
enum metrics_close_reason { METRICS_CLOSES(METRICS_ENUM) METRICS_CLOSE_COUNT };
enum metrics_cancel { METRICS_CANCELS(METRICS_ENUM) METRICS_CANCEL_COUNT };
#undef METRICS_ENUM

/* What a cell stands for, and so which labels it has. */
enum metrics_scope {
	METRICS_WORKER,   /* worker */
	METRICS_DATABASE, /* database */
	METRICS_POOL,     /* database, user */
	METRICS_BACKEND,  /* database, backend */
	METRICS_NODE,     /* backend */
	METRICS_SCOPE_COUNT
};

/* Strings are borrowed for the call; those outside the scope are ignored. */
struct metrics_labels {
	const char *worker; /* "0" */
	const char *database;
	const char *user;
	const char *backend; /* the label of a config node, "host:port" */
};

/*
 * After each: scope, then what the arguments first and second of
 * metrics_count() and its like mean (0 where nothing is said).
 */
enum metrics_counter {
	COUNTER_CLIENT_CONNECTIONS, /* WORKER */
	COUNTER_CLIENT_REJECTED,    /* WORKER; metrics_reject */
	COUNTER_CANCEL_REQUESTS,    /* WORKER; metrics_cancel */
	COUNTER_TLS_HANDSHAKES,     /* WORKER; metrics_side, _tls_version */
	COUNTER_CLASSIFY_HITS,      /* WORKER */
	COUNTER_CLASSIFY_MISSES,    /* WORKER */
	COUNTER_WORKER_BUSY_US,     /* WORKER; microseconds */
	COUNTER_QUERIES,            /* DATABASE; metrics_role, _class */
	COUNTER_TRANSACTIONS,       /* DATABASE; metrics_role */
	COUNTER_ROUTING,            /* DATABASE; _role, _route_reason */
	COUNTER_BYTES,              /* DATABASE; metrics_side, _direction */
	COUNTER_CLIENT_PARSES,      /* DATABASE */
	COUNTER_SERVER_PARSES,      /* DATABASE */
	COUNTER_BINDS,              /* DATABASE */
	COUNTER_SERVER_ASSIGNMENTS, /* DATABASE */
	COUNTER_PREPARED_HITS,      /* DATABASE */
	COUNTER_PREPARED_MISSES,    /* DATABASE */
	COUNTER_PREPARED_EVICTIONS, /* DATABASE */
	COUNTER_NOTIFICATIONS,      /* DATABASE */
	COUNTER_LISTENER_LOSSES,    /* DATABASE */
	COUNTER_REPLAYS,            /* DATABASE; metrics_sqlstate_class */
	COUNTER_ERRORS,             /* BACKEND; metrics_sqlstate_class() */
	COUNTER_SERVER_CONNECTS,    /* NODE */
	COUNTER_CONNECT_ERRORS,     /* NODE; metrics_connect_error */
	COUNTER_SERVER_CLOSED,      /* NODE; metrics_close_reason */
	COUNTER_PROBE_FAILURES,     /* NODE; the monitor's */
	COUNTER_FAILOVERS,          /* NODE; the monitor's, of the new one */
	COUNTER_ROLE_CHANGES,       /* NODE; the monitor's */
	COUNTER_COUNT
};

enum metrics_gauge {
	GAUGE_CLIENT_CONNECTIONS,  /* POOL; metrics_client_state */
	GAUGE_POOL_SERVERS,        /* POOL; metrics_server_state */
	GAUGE_POOL_SIZE_MAX,       /* POOL; metrics_role; the greatest counts */
	GAUGE_POOL_WAITING,        /* POOL; metrics_role */
	GAUGE_POOL_WAITING_SINCE,  /* POOL; metrics_role; util_now_us() at which
				      the oldest began to wait, 0: nobody */
	GAUGE_PREPARED_STATEMENTS, /* DATABASE */
	GAUGE_PRIMARIES,           /* DATABASE; the monitor's */
	GAUGE_LISTENERS,           /* DATABASE */
	GAUGE_LISTEN_CHANNELS,     /* DATABASE */
	GAUGE_SERVER_CONNECTIONS,  /* BACKEND; metrics_role, _server_state */
	GAUGE_REPLICATION_CONNECTIONS, /* POOL; metrics_replication */
	GAUGE_COUNT
};

/* All observe microseconds, but HISTOGRAM_CLASSIFY_NS. */
enum metrics_histogram {
	HISTOGRAM_EVENT_LOOP_LAG,  /* WORKER */
	HISTOGRAM_EVENT_LOOP_TURN, /* WORKER */
	HISTOGRAM_CLASSIFY_NS,     /* WORKER; nanoseconds */
	HISTOGRAM_QUERY,           /* DATABASE; metrics_role */
	HISTOGRAM_TRANSACTION,     /* DATABASE; metrics_role */
	HISTOGRAM_CLIENT_WAIT,     /* DATABASE; metrics_role */
	HISTOGRAM_SERVER_CONNECT,  /* DATABASE; metrics_role */
	HISTOGRAM_AUTH,            /* DATABASE */
	HISTOGRAM_COUNT
};

enum metrics_type {
	METRICS_TYPE_COUNTER,
	METRICS_TYPE_GAUGE,
	METRICS_TYPE_HISTOGRAM
};

/* How the cells' values of one gauge become one. */
enum metrics_merge { METRICS_SUM, METRICS_MAX, METRICS_AGE };

/* What one unit of the stored value is worth on the page. */
enum metrics_unit { METRICS_ONE, METRICS_US, METRICS_NS };

/* Values of one enumerated label. */
struct metrics_dimension {
	const char *label;
	const char *const *names;
	unsigned count;
	bool is_sparse; /* zero counters are not worth a line */
};

/* Bits of metrics_row.labels: which of the scope's labels are shown. */
enum {
	METRICS_LABEL_WORKER = 1,
	METRICS_LABEL_DATABASE = 2,
	METRICS_LABEL_USER = 4,
	METRICS_LABEL_BACKEND = 8
};

struct metrics_row {
	const char *name; /* with its prefix */
	const char *help;
	enum metrics_scope scope;
	unsigned labels;
	const struct metrics_dimension *first;  /* NULL: none */
	const struct metrics_dimension *second; /* NULL: none */
	enum metrics_merge merge;
	enum metrics_unit unit;
};

/* The row of a counter, gauge or histogram by its enumerator. */
const struct metrics_row *metrics_row(enum metrics_type type, unsigned id);

/* How many metrics of a type there are. */
unsigned metrics_row_count(enum metrics_type type);

/* Number of combinations of the row's enumerated labels; 1 without any. */
unsigned metrics_row_width(const struct metrics_row *row);

/*
 * The value of the label sqlstate_class, from the five characters (or the
 * first two) of a SQLSTATE; what PostgreSQL does not know becomes "other".
 */
unsigned metrics_sqlstate_class(const char *code);

#endif
