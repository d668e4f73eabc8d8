/*
 * The table of metrics and the names of their enumerated labels.  Names and
 * label values are an interface: dashboards and alerts are written against
 * them, so a row may be added but not renamed.
 *
 * Data only, read by any thread.  The name tables come from the lists of the
 * header, so that an enumerator and its name cannot part.
 */
#include "core/metrics_rows.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* In the order of the enumerators, as the lists of the header are. */
#define NAME(id, name) name,
static const char *const role_names[] = { METRICS_ROLES(NAME) };
static const char *const class_names[] = { METRICS_CLASSES(NAME) };
static const char *const client_names[] = { METRICS_CLIENT_STATES(NAME) };
static const char *const server_names[] = { METRICS_SERVER_STATES(NAME) };
static const char *const replication_names[] = { METRICS_REPLICATIONS(NAME) };
static const char *const side_names[] = { METRICS_SIDES(NAME) };
static const char *const direction_names[] = { METRICS_DIRECTIONS(NAME) };
static const char *const tls_names[] = { METRICS_TLS_VERSIONS(NAME) };
static const char *const reject_names[] = { METRICS_REJECTS(NAME) };
static const char *const connect_names[] = { METRICS_CONNECT_ERRORS(NAME) };
static const char *const close_names[] = { METRICS_CLOSES(NAME) };
static const char *const cancel_names[] = { METRICS_CANCELS(NAME) };
static const char *const reason_names[] = { ROUTE_REASONS(NAME) };
#undef NAME

/* PostgreSQL's documentation, appendix A, in its order; "other" is last. */
static const char *const sqlstate_names[] = {
	"00", "01", "02", "03", "08", "09", "0A", "0B", "0F",
	"0L", "0P", "0Z", "10", "20", "21", "22", "23", "24",
	"25", "26", "27", "28", "2B", "2D", "2F", "34", "38",
	"39", "3B", "3D", "3F", "40", "42", "44", "53", "54",
	"55", "57", "58", "72", "F0", "HV", "P0", "XX", "other",
};

/*
 * A dimension is a label with a value for each of its enumerators.  Of a sparse
 * one only the values that have been counted are shown: 45 classes of SQLSTATE
 * for every database would drown the page.
 */
#define COUNT_OF(list) (unsigned)(sizeof(list) / sizeof((list)[0]))
#define DIMENSION(name, label, list)                                \
	static const struct metrics_dimension name = { label, list, \
						       COUNT_OF(list), false }
#define SPARSE_DIMENSION(name, label, list)                         \
	static const struct metrics_dimension name = { label, list, \
						       COUNT_OF(list), true }

DIMENSION(role, "role", role_names);
DIMENSION(target, "target", role_names);
DIMENSION(class, "class", class_names);
DIMENSION(client_state, "state", client_names);
DIMENSION(state_of_server, "state", server_names);
DIMENSION(kind, "kind", replication_names);
DIMENSION(side, "side", side_names);
DIMENSION(direction, "direction", direction_names);
DIMENSION(version_of_tls, "version", tls_names);
DIMENSION(reject, "reason", reject_names);
DIMENSION(connect_error, "reason", connect_names);
DIMENSION(close_reason, "reason", close_names);
DIMENSION(cancel, "result", cancel_names);
SPARSE_DIMENSION(route_reason, "reason", reason_names);
SPARSE_DIMENSION(sqlstate, "sqlstate_class", sqlstate_names);

/*
 * table: what only grows.  Names end in _total, as Prometheus wants it; times
 * are counted in microseconds and shown in seconds.
 */
static const struct metrics_row counters[] = {
	[COUNTER_CLIENT_CONNECTIONS] = {
		.name = "pgweir_client_connections_total",
		.help = "Client connections accepted.",
		.scope = METRICS_WORKER,
	},
	[COUNTER_CLIENT_REJECTED] = {
		.name = "pgweir_client_rejected_total",
		.help = "Client connections refused before or during login.",
		.scope = METRICS_WORKER,
		.first = &reject,
	},
	[COUNTER_CANCEL_REQUESTS] = {
		.name = "pgweir_cancel_requests_total",
		.help = "Cancel requests received, by what became of them.",
		.scope = METRICS_WORKER,
		.first = &cancel,
	},
	[COUNTER_TLS_HANDSHAKES] = {
		.name = "pgweir_tls_handshakes_total",
		.help = "TLS handshakes completed.",
		.scope = METRICS_WORKER,
		.first = &side,
		.second = &version_of_tls,
	},
	[COUNTER_CLASSIFY_HITS] = {
		.name = "pgweir_classify_cache_hits_total",
		.help = "Statements whose shape was known.",
		.scope = METRICS_WORKER,
	},
	[COUNTER_CLASSIFY_MISSES] = {
		.name = "pgweir_classify_cache_misses_total",
		.help = "Statements whose shape had to be classified.",
		.scope = METRICS_WORKER,
	},
	[COUNTER_WORKER_BUSY_US] = {
		.name = "pgweir_worker_busy_seconds_total",
		.help = "Time that a worker's loop spent working.",
		.scope = METRICS_WORKER,
		.labels = METRICS_LABEL_WORKER,
		.unit = METRICS_US,
	},
	[COUNTER_QUERIES] = {
		.name = "pgweir_queries_total",
		.help = "Queries sent to a server.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
		.second = &class,
	},
	[COUNTER_TRANSACTIONS] = {
		.name = "pgweir_transactions_total",
		.help = "Transactions finished.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
	},
	[COUNTER_ROUTING] = {
		.name = "pgweir_routing_decisions_total",
		.help = "Units of work by where they went and why.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &target,
		.second = &route_reason,
	},
	[COUNTER_BYTES] = {
		.name = "pgweir_bytes_total",
		.help = "Bytes received from and sent to each side.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &side,
		.second = &direction,
	},
	[COUNTER_CLIENT_PARSES] = {
		.name = "pgweir_client_parses_total",
		.help = "Parse messages received from clients.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_SERVER_PARSES] = {
		.name = "pgweir_server_parses_total",
		.help = "Parse messages sent to servers.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_BINDS] = {
		.name = "pgweir_binds_total",
		.help = "Bind messages forwarded.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_SERVER_ASSIGNMENTS] = {
		.name = "pgweir_server_assignments_total",
		.help = "Times that a server was given to a client.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_PREPARED_HITS] = {
		.name = "pgweir_prepared_cache_hits_total",
		.help = "Prepared statements found ready on the server.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_PREPARED_MISSES] = {
		.name = "pgweir_prepared_cache_misses_total",
		.help = "Prepared statements that had to be prepared first.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_PREPARED_EVICTIONS] = {
		.name = "pgweir_prepared_cache_evictions_total",
		.help = "Prepared statements closed to make room.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_NOTIFICATIONS] = {
		.name = "pgweir_notifications_total",
		.help = "Notifications that listeners have received.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_LISTENER_LOSSES] = {
		.name = "pgweir_listener_losses_total",
		.help = "Times that a listener's connection was lost.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[COUNTER_REPLAYS] = {
		.name = "pgweir_replays_total",
		.help = "Reads done once more, by why a replica failed them.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &sqlstate,
	},
	[COUNTER_ERRORS] = {
		.name = "pgweir_errors_total",
		.help = "Errors answered by servers, by class of SQLSTATE.",
		.scope = METRICS_BACKEND,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_BACKEND,
		.first = &sqlstate,
	},
	[COUNTER_SERVER_CONNECTS] = {
		.name = "pgweir_server_connects_total",
		.help = "Server connections that became ready.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
	},
	[COUNTER_CONNECT_ERRORS] = {
		.name = "pgweir_server_connect_errors_total",
		.help = "Server connections that failed before being ready.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
		.first = &connect_error,
	},
	[COUNTER_SERVER_CLOSED] = {
		.name = "pgweir_server_closed_total",
		.help = "Server connections closed.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
		.first = &close_reason,
	},
	[COUNTER_PROBE_FAILURES] = {
		.name = "pgweir_backend_probe_failures_total",
		.help = "Probes of the monitor that failed.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
	},
	[COUNTER_FAILOVERS] = {
		.name = "pgweir_failovers_total",
		.help = "Times that this backend took over as the primary.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
	},
	[COUNTER_ROLE_CHANGES] = {
		.name = "pgweir_role_changes_total",
		.help = "Times that this backend changed its role.",
		.scope = METRICS_NODE,
		.labels = METRICS_LABEL_BACKEND,
	},
};

/* table: */
static const struct metrics_row gauges[] = {
	[GAUGE_CLIENT_CONNECTIONS] = {
		.name = "pgweir_client_connections",
		.help = "Client connections by state.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &client_state,
	},
	[GAUGE_POOL_SERVERS] = {
		.name = "pgweir_pool_server_connections",
		.help = "Server connections of a pool by state.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &state_of_server,
	},
	[GAUGE_POOL_SIZE_MAX] = {
		.name = "pgweir_pool_size_max",
		.help = "Server connections that a pool may have, per role.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &role,
		.merge = METRICS_MAX,
	},
	[GAUGE_POOL_WAITING] = {
		.name = "pgweir_pool_waiting_clients",
		.help = "Clients that wait for a server connection.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &role,
	},
	[GAUGE_POOL_WAITING_SINCE] = {
		.name = "pgweir_pool_maxwait_seconds",
		.help = "How long the first client in the queue has waited.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &role,
		.merge = METRICS_AGE,
		.unit = METRICS_US,
	},
	[GAUGE_PREPARED_STATEMENTS] = {
		.name = "pgweir_prepared_statements",
		.help = "Prepared statements known for clients.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[GAUGE_PRIMARIES] = {
		.name = "pgweir_primaries",
		.help = "Nodes that say that they are the primary; 1 is right.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[GAUGE_LISTENERS] = {
		.name = "pgweir_listeners",
		.help = "Connections that listen for all clients.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[GAUGE_LISTEN_CHANNELS] = {
		.name = "pgweir_listen_channels",
		.help = "Channels that clients listen to without a server.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
	},
	[GAUGE_SERVER_CONNECTIONS] = {
		.name = "pgweir_server_connections",
		.help = "Server connections by backend, role and state.",
		.scope = METRICS_BACKEND,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_BACKEND,
		.first = &role,
		.second = &state_of_server,
	},
	[GAUGE_REPLICATION_CONNECTIONS] = {
		.name = "pgweir_replication_connections",
		.help = "Replication connections that are passed through.",
		.scope = METRICS_POOL,
		.labels = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
		.first = &kind,
	},
};

/* table: */
static const struct metrics_row histograms[] = {
	[HISTOGRAM_EVENT_LOOP_LAG] = {
		.name = "pgweir_event_loop_lag_seconds",
		.help = "How late a worker's loop runs what is due.",
		.scope = METRICS_WORKER,
		.labels = METRICS_LABEL_WORKER,
		.unit = METRICS_US,
	},
	[HISTOGRAM_EVENT_LOOP_TURN] = {
		.name = "pgweir_event_loop_turn_seconds",
		.help = "How long a worker's loop works at a stretch.",
		.scope = METRICS_WORKER,
		.labels = METRICS_LABEL_WORKER,
		.unit = METRICS_US,
	},
	[HISTOGRAM_CLASSIFY_NS] = {
		.name = "pgweir_classify_seconds",
		.help = "Time to classify a statement of unknown shape.",
		.scope = METRICS_WORKER,
		.unit = METRICS_NS,
	},
	[HISTOGRAM_QUERY] = {
		.name = "pgweir_query_duration_seconds",
		.help = "Time from the query sent to its answer complete.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
		.unit = METRICS_US,
	},
	[HISTOGRAM_TRANSACTION] = {
		.name = "pgweir_transaction_duration_seconds",
		.help = "Time that a transaction held its server connection.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
		.unit = METRICS_US,
	},
	[HISTOGRAM_CLIENT_WAIT] = {
		.name = "pgweir_client_wait_seconds",
		.help = "Time that a client waited for a server connection.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
		.unit = METRICS_US,
	},
	[HISTOGRAM_SERVER_CONNECT] = {
		.name = "pgweir_server_connect_seconds",
		.help = "Time to connect and log in to a server.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.first = &role,
		.unit = METRICS_US,
	},
	[HISTOGRAM_AUTH] = {
		.name = "pgweir_auth_duration_seconds",
		.help = "Time from a client's startup message to its login.",
		.scope = METRICS_DATABASE,
		.labels = METRICS_LABEL_DATABASE,
		.unit = METRICS_US,
	},
};

_Static_assert(COUNT_OF(counters) == COUNTER_COUNT, "a row for each");
_Static_assert(COUNT_OF(gauges) == GAUGE_COUNT, "a row for each");
_Static_assert(COUNT_OF(histograms) == HISTOGRAM_COUNT, "a row for each");

/* By enumerator, which is the index of the row. */
unsigned metrics_row_count(enum metrics_type type)
{
	switch (type) {
	case METRICS_TYPE_COUNTER: return COUNTER_COUNT;
	case METRICS_TYPE_GAUGE: return GAUGE_COUNT;
	case METRICS_TYPE_HISTOGRAM: break;
	}
	return HISTOGRAM_COUNT;
}

const struct metrics_row *metrics_row(enum metrics_type type, unsigned id)
{
	assert(id < metrics_row_count(type));
	switch (type) {
	case METRICS_TYPE_COUNTER: return &counters[id];
	case METRICS_TYPE_GAUGE: return &gauges[id];
	case METRICS_TYPE_HISTOGRAM: break;
	}
	return &histograms[id];
}

/* Numbers that one row has in a cell: one for each combination. */
unsigned metrics_row_width(const struct metrics_row *row)
{
	return (row->first ? row->first->count : 1) *
	       (row->second ? row->second->count : 1);
}

/*
 * Linear, since errors are rare; what we do not know is "other", so that a
 * server of a later version needs no change here.
 */
unsigned metrics_sqlstate_class(const char *code)
{
	const unsigned other = COUNT_OF(sqlstate_names) - 1;

	for (unsigned i = 0; i < other; i++)
		if (strncmp(sqlstate_names[i], code, 2) == 0)
			return i;
	return other;
}
