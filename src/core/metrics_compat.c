/*
 * The metrics of prometheus-community's pgbouncer_exporter, names, labels and
 * types as it exports them, computed from our own.  Tables say which of our
 * sums stands behind each name.
 *
 * What pgweir has no counterpart of (DNS zones, suspended databases) is 0, as
 * it is in a PgBouncer that does not use it.  Any thread.
 */
#include "core/metrics_compat.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/metrics_page.h"
#include "core/promtext.h"

#include <stddef.h>
#include <string.h>

static const struct metrics_labels any = { 0 };

/* ---- pgbouncer_stats_totals_* ------------------------------------------- */

/* Where a total comes from: a counter, or the sum of a histogram. */
enum source { COUNTED, TIMED };

/* table: */
static const struct total {
	const char *name;
	const char *help;
	enum source source;
	unsigned id; /* a counter; a histogram whose sum it is */
	int first;
	int second;
} totals[] = {
	{ "pgbouncer_stats_totals_queries_pooled_total", "SQL queries pooled.",
	  COUNTED, COUNTER_QUERIES, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_queries_duration_seconds_total",
	  "Time spent executing queries.", TIMED, HISTOGRAM_QUERY, METRICS_ALL,
	  METRICS_ALL },
	{ "pgbouncer_stats_totals_received_bytes_total",
	  "Bytes received from clients.", COUNTED, COUNTER_BYTES,
	  METRICS_SIDE_CLIENT, METRICS_DIRECTION_RECEIVED },
	{ "pgbouncer_stats_totals_sent_bytes_total", "Bytes sent to clients.",
	  COUNTED, COUNTER_BYTES, METRICS_SIDE_CLIENT, METRICS_DIRECTION_SENT },
	{ "pgbouncer_stats_totals_client_wait_seconds_total",
	  "Time that clients waited for a server.", TIMED,
	  HISTOGRAM_CLIENT_WAIT, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_sql_transactions_pooled_total",
	  "SQL transactions pooled.", COUNTED, COUNTER_TRANSACTIONS,
	  METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_server_in_transaction_seconds_total",
	  "Time that servers spent in transactions.", TIMED,
	  HISTOGRAM_TRANSACTION, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_queries_total", "SQL requests pooled.",
	  COUNTED, COUNTER_QUERIES, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_client_parses_total",
	  "Parse messages received from clients.", COUNTED,
	  COUNTER_CLIENT_PARSES, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_server_parses_total",
	  "Parse messages sent to servers.", COUNTED, COUNTER_SERVER_PARSES,
	  METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_binds_total", "Bind messages forwarded.",
	  COUNTED, COUNTER_BINDS, METRICS_ALL, METRICS_ALL },
	{ "pgbouncer_stats_totals_server_assignments_total",
	  "Times that a server was given to a client.", COUNTED,
	  COUNTER_SERVER_ASSIGNMENTS, METRICS_ALL, METRICS_ALL },
};

/*
 * first and second choose among the values of our row, METRICS_ALL is no
 * choice; PgBouncer has one number per database, so they are summed.
 */
static void write_total(struct metrics *metrics, struct buf *out,
			const struct total *total)
{
	enum metrics_type type = total->source == COUNTED
					 ? METRICS_TYPE_COUNTER
					 : METRICS_TYPE_HISTOGRAM;
	struct metrics_set *set = metrics_read(metrics, type, total->id, 0);

	if (set->count > 0)
		promtext_head(out, total->name, METRICS_TYPE_COUNTER,
			      total->help);
	for (unsigned g = 0; g < set->count; g++) {
		const struct metrics_labels *labels = &set->groups[g]->labels;
		struct promtext line;

		promtext_begin(&line, out, total->name, "");
		promtext_label(&line, "database", labels->database);
		if (total->source == COUNTED)
			promtext_i64(&line,
				     metrics_set_sum(set, labels, total->first,
						     total->second));
		else
			promtext_unit(
				&line,
				metrics_set_moments(set, labels, total->first)
					.sum,
				METRICS_US);
	}
	metrics_set_free(set);
}

/* ---- pgbouncer_pools_* -------------------------------------------------- */

/* table: */
static const struct pool_row {
	const char *name;
	const char *help;
	enum metrics_gauge gauge;
	int state;
	int other_state; /* added; the same as state when there is none */
} pool_rows[] = {
	{ "pgbouncer_pools_client_active_connections",
	  "Clients that are linked to a server or idle.",
	  GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_ACTIVE,
	  METRICS_CLIENT_IDLE },
	{ "pgbouncer_pools_client_waiting_connections",
	  "Clients that wait for a server.", GAUGE_CLIENT_CONNECTIONS,
	  METRICS_CLIENT_WAITING, METRICS_CLIENT_WAITING },
	{ "pgbouncer_pools_client_active_cancel_connections",
	  "Cancel requests forwarded and not yet answered.",
	  GAUGE_CLIENT_CONNECTIONS, METRICS_CLIENT_CANCEL_ACTIVE,
	  METRICS_CLIENT_CANCEL_ACTIVE },
	{ "pgbouncer_pools_client_waiting_cancel_connections",
	  "Cancel requests not yet forwarded.", GAUGE_CLIENT_CONNECTIONS,
	  METRICS_CLIENT_CANCEL_WAITING, METRICS_CLIENT_CANCEL_WAITING },
	{ "pgbouncer_pools_server_active_connections",
	  "Servers linked to a client.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_ACTIVE, METRICS_SERVER_ACTIVE },
	{ "pgbouncer_pools_server_active_cancel_connections",
	  "Servers that forward a cancel request.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_ACTIVE_CANCEL, METRICS_SERVER_ACTIVE_CANCEL },
	{ "pgbouncer_pools_server_being_canceled_connections",
	  "Servers that wait for a cancel request to end.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_BEING_CANCELED, METRICS_SERVER_BEING_CANCELED },
	{ "pgbouncer_pools_server_idle_connections",
	  "Servers ready for a client.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_IDLE, METRICS_SERVER_IDLE },
	{ "pgbouncer_pools_server_used_connections",
	  "Servers idle for so long that they need a check.",
	  GAUGE_POOL_SERVERS, METRICS_SERVER_USED, METRICS_SERVER_USED },
	{ "pgbouncer_pools_server_testing_connections",
	  "Servers that run a reset or check query.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_TESTED, METRICS_SERVER_TESTED },
	{ "pgbouncer_pools_server_login_connections",
	  "Servers that are logging in.", GAUGE_POOL_SERVERS,
	  METRICS_SERVER_LOGIN, METRICS_SERVER_LOGIN },
};

static void begin_pool(struct promtext *line, struct buf *out, const char *name,
		       const struct metrics_group *pool)
{
	promtext_begin(line, out, name, "");
	promtext_label(line, "database", pool->labels.database);
	promtext_label(line, "user", pool->labels.user);
}

/* Every gauge of the scope has the same groups. */
static void write_pool_row(struct metrics *metrics, struct buf *out,
			   const struct pool_row *row)
{
	struct metrics_set *set =
		metrics_read(metrics, METRICS_TYPE_GAUGE, row->gauge, 0);

	if (set->count > 0)
		promtext_head(out, row->name, METRICS_TYPE_GAUGE, row->help);
	for (unsigned g = 0; g < set->count; g++) {
		const uint64_t *values = set->groups[g]->values;
		uint64_t value = values[row->state];
		struct promtext line;

		if (row->other_state != row->state)
			value += values[row->other_state];
		begin_pool(&line, out, row->name, set->groups[g]);
		promtext_i64(&line, (int64_t)value);
	}
	metrics_set_free(set);
}

static void write_maxwait(struct metrics *metrics, struct buf *out,
			  uint64_t now_us)
{
	static const char name[] = "pgbouncer_pools_client_maxwait_seconds";
	struct metrics_set *set = metrics_read(
		metrics, METRICS_TYPE_GAUGE, GAUGE_POOL_WAITING_SINCE, now_us);

	if (set->count > 0)
		promtext_head(out, name, METRICS_TYPE_GAUGE,
			      "How long the first client has waited.");
	for (unsigned g = 0; g < set->count; g++) {
		const uint64_t *values = set->groups[g]->values;
		struct promtext line;
		uint64_t oldest = 0;

		for (unsigned i = 0; i < set->width; i++)
			if (values[i] > oldest)
				oldest = values[i];
		begin_pool(&line, out, name, set->groups[g]);
		promtext_unit(&line, oldest, METRICS_US);
	}
	metrics_set_free(set);
}

/* ---- pgbouncer_databases_* ---------------------------------------------- */

enum database_value {
	POOL_SIZE,
	RESERVE_POOL,
	MAX_CONNECTIONS,
	CURRENT_CONNECTIONS,
	IS_PAUSED,
	IS_DISABLED
};

/* table: */
static const struct database_row {
	const char *name;
	const char *help;
	enum database_value value;
} database_rows[] = {
	{ "pgbouncer_databases_pool_size",
	  "Server connections that a pool may have.", POOL_SIZE },
	{ "pgbouncer_databases_reserve_pool",
	  "Server connections that a pool may have beyond that.",
	  RESERVE_POOL },
	{ "pgbouncer_databases_max_connections",
	  "Server connections that the database may have.", MAX_CONNECTIONS },
	{ "pgbouncer_databases_current_connections",
	  "Server connections that the database has.", CURRENT_CONNECTIONS },
	{ "pgbouncer_databases_paused", "1 when the database is paused.",
	  IS_PAUSED },
	{ "pgbouncer_databases_disabled", "1 when the database is disabled.",
	  IS_DISABLED },
};

static int64_t own_or_global(int own, int global)
{
	return own == CONFIG_UNSET ? global : own;
}

static int64_t database_value(const struct metrics_set *servers,
			      const struct metrics_page *page,
			      const struct config_database *database,
			      enum database_value value)
{
	const struct config_settings *settings = &page->config->settings;
	struct metrics_labels labels = { .database = database->name };

	switch (value) {
	case POOL_SIZE:
		return own_or_global(database->pool_size,
				     settings->default_pool_size);
	case RESERVE_POOL:
		return own_or_global(database->reserve_pool_size,
				     settings->reserve_pool_size);
	case MAX_CONNECTIONS:
		return own_or_global(database->max_db_connections,
				     settings->max_db_connections);
	case CURRENT_CONNECTIONS:
		return metrics_set_sum(servers, &labels, METRICS_ALL,
				       METRICS_ALL);
	case IS_PAUSED:
		return page->is_paused &&
		       page->is_paused(page->arg, database->name);
	case IS_DISABLED:
		return page->is_disabled &&
		       page->is_disabled(page->arg, database->name);
	}
	return 0;
}

static void begin_database(struct promtext *line, struct buf *out,
			   const struct config *config,
			   const struct config_database *database,
			   const char *name)
{
	struct buf hosts = BUF_INIT;
	struct buf port = BUF_INIT;

	if (database->node_count > 0)
		buf_printf(&port, "%u", config->nodes[database->nodes[0]].port);
	promtext_begin(line, out, name, "");
	promtext_label(line, "name", database->name);
	config_write_hosts(config, database, &hosts);
	promtext_label(line, "host", buf_text(&hosts));
	promtext_label(line, "port", buf_text(&port));
	promtext_label(line, "database",
		       database->dbname ? database->dbname : database->name);
	promtext_label(line, "force_user", database->user);
	promtext_label(
		line, "pool_mode",
		config_pool_mode_name(config_mode_of(config, database, NULL)));
	buf_free(&port);
	buf_free(&hosts);
}

static void write_database_row(const struct metrics_set *servers,
			       struct buf *out, const struct metrics_page *page,
			       const struct database_row *row)
{
	const struct config *config = page->config;

	promtext_head(out, row->name, METRICS_TYPE_GAUGE, row->help);
	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *database = &config->databases[i];
		struct promtext line;

		begin_database(&line, out, config, database, row->name);
		promtext_i64(&line, database_value(servers, page, database,
						   row->value));
	}
}

static void write_databases(struct metrics *metrics, struct buf *out,
			    const struct metrics_page *page)
{
	const size_t rows = sizeof(database_rows) / sizeof(database_rows[0]);
	struct metrics_set *servers = metrics_read(metrics, METRICS_TYPE_GAUGE,
						   GAUGE_POOL_SERVERS, 0);

	for (size_t i = 0; page->config->database_count > 0 && i < rows; i++)
		write_database_row(servers, out, page, &database_rows[i]);
	metrics_set_free(servers);
}

/* ---- pgbouncer_* (SHOW LISTS) ------------------------------------------- */

static void write_number(struct buf *out, const char *name, const char *help,
			 int64_t value)
{
	struct promtext line;

	promtext_head(out, name, METRICS_TYPE_GAUGE, help);
	promtext_begin(&line, out, name, "");
	promtext_i64(&line, value);
}

static int64_t count_of(struct metrics *metrics, enum metrics_gauge gauge,
			int state)
{
	return metrics_sum_gauge(metrics, gauge, &any, state, METRICS_ALL, 0);
}

static unsigned count_pools(struct metrics *metrics)
{
	struct metrics_set *set = metrics_read(metrics, METRICS_TYPE_GAUGE,
					       GAUGE_POOL_SERVERS, 0);
	unsigned count = set->count;

	metrics_set_free(set);
	return count;
}

static void write_lists(struct metrics *metrics, struct buf *out,
			const struct metrics_page *page)
{
	const struct config *config = page->config;
	int64_t clients =
		count_of(metrics, GAUGE_CLIENT_CONNECTIONS, METRICS_ALL);
	int64_t servers = count_of(metrics, GAUGE_POOL_SERVERS, METRICS_ALL);
	int64_t idle =
		count_of(metrics, GAUGE_POOL_SERVERS, METRICS_SERVER_IDLE);

	write_number(out, "pgbouncer_databases", "Databases.",
		     config->database_count);
	write_number(out, "pgbouncer_users", "Users.", config->user_count);
	write_number(out, "pgbouncer_pools", "Pools.", count_pools(metrics));
	write_number(out, "pgbouncer_free_clients", "Free client slots.",
		     config->settings.max_client_conn > clients
			     ? config->settings.max_client_conn - clients
			     : 0);
	write_number(out, "pgbouncer_used_clients", "Clients.", clients);
	write_number(out, "pgbouncer_login_clients", "Clients in login.",
		     count_of(metrics, GAUGE_CLIENT_CONNECTIONS,
			      METRICS_CLIENT_LOGIN));
	write_number(out, "pgbouncer_free_servers", "Idle servers.", idle);
	write_number(out, "pgbouncer_used_servers", "Servers in use.",
		     servers - idle);
	write_number(out, "pgbouncer_cached_dns_names", "Names resolved.",
		     page->dns_names);
	write_number(out, "pgbouncer_cached_dns_zones", "Zones watched.", 0);
	write_number(out, "pgbouncer_in_flight_dns_queries",
		     "Look-ups under way.", page->dns_queries);
}

static void write_version(struct buf *out, const struct metrics_page *page)
{
	struct promtext line;

	promtext_head(out, "pgbouncer_version_info", METRICS_TYPE_GAUGE,
		      "The version of the pooler.");
	promtext_begin(&line, out, "pgbouncer_version_info", "");
	promtext_label(&line, "version", page->version);
	promtext_u64(&line, 1);
	write_number(out, "pgbouncer_up", "1: the pooler answers.", 1);
}

void metrics_render_compat(struct metrics *metrics, struct buf *out,
			   const struct metrics_page *page)
{
	write_version(out, page);
	write_number(out, "pgbouncer_config_max_client_connections",
		     "Limit of client connections.",
		     page->config->settings.max_client_conn);
	write_number(out, "pgbouncer_config_max_user_connections",
		     "Limit of server connections of a user.",
		     page->config->settings.max_user_connections);
	write_lists(metrics, out, page);
	write_databases(metrics, out, page);
	for (size_t i = 0; i < sizeof(pool_rows) / sizeof(pool_rows[0]); i++)
		write_pool_row(metrics, out, &pool_rows[i]);
	write_maxwait(metrics, out, page->now_us);
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		write_total(metrics, out, &totals[i]);
}
