/*
 * The page of metrics in Prometheus' text format.  Two kinds of rows: those
 * that workers count (metrics_rows) and those that are read off the page
 * structure, in tables here.
 *
 * Shows names of databases, users and nodes, and numbers; nothing else of
 * the configuration gets here.  Any thread; reads the cells' sums.
 */
#include "core/metrics_text.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/histogram.h"
#include "core/metrics.h"
#include "core/metrics_compat.h"
#include "core/promtext.h"
#include "core/topology.h"

#include <stddef.h>

/* ---- rows that workers count -------------------------------------------- */

/* Labels are written in this order everywhere: dashboards join rows by them. */
static void write_labels(struct promtext *line, const struct metrics_row *row,
			 const struct metrics_labels *labels)
{
	if (row->labels & METRICS_LABEL_WORKER)
		promtext_label(line, "worker", labels->worker);
	if (row->labels & METRICS_LABEL_DATABASE)
		promtext_label(line, "database", labels->database);
	if (row->labels & METRICS_LABEL_USER)
		promtext_label(line, "user", labels->user);
	if (row->labels & METRICS_LABEL_BACKEND)
		promtext_label(line, "backend", labels->backend);
}

static void write_dimensions(struct promtext *line,
			     const struct metrics_row *row, unsigned index)
{
	unsigned stride = row->second ? row->second->count : 1;

	if (row->first)
		promtext_label(line, row->first->label,
			       row->first->names[index / stride]);
	if (row->second)
		promtext_label(line, row->second->label,
			       row->second->names[index % stride]);
}

/* One sparse dimension makes the row sparse: zeros are left out. */
static bool is_sparse(const struct metrics_row *row)
{
	return (row->first && row->first->is_sparse) ||
	       (row->second && row->second->is_sparse);
}

/*
 * Gauges may be below zero for a moment, while one worker has counted down what
 * another has not yet counted up.
 */
static void write_group(struct buf *out, const struct metrics_row *row,
			enum metrics_type type,
			const struct metrics_group *group)
{
	for (unsigned i = 0; i < metrics_row_width(row); i++) {
		struct promtext line;

		if (group->values[i] == 0 && is_sparse(row))
			continue;
		promtext_begin(&line, out, row->name, "");
		write_labels(&line, row, &group->labels);
		write_dimensions(&line, row, i);
		if (type == METRICS_TYPE_GAUGE && row->unit == METRICS_ONE)
			promtext_i64(&line, (int64_t)group->values[i]);
		else
			promtext_unit(&line, group->values[i], row->unit);
	}
}

static void begin_histogram(struct promtext *line, struct buf *out,
			    const char *suffix, const struct metrics_row *row,
			    const struct metrics_group *group, unsigned index)
{
	promtext_begin(line, out, row->name, suffix);
	write_labels(line, row, &group->labels);
	write_dimensions(line, row, index);
}

/*
 * Prometheus' buckets are cumulative and want +Inf last; ours are finer, and
 * only some of their bounds are shown (core/histogram).
 */
static void write_histogram(struct buf *out, const struct metrics_row *row,
			    const struct metrics_group *group, unsigned index)
{
	const uint64_t *slots = &group->values[(size_t)index * HISTOGRAM_SLOTS];
	struct promtext line;
	uint64_t count = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += slots[i];
		if (!histogram_is_shown(i))
			continue;
		begin_histogram(&line, out, "_bucket", row, group, index);
		promtext_bound(&line, histogram_bound(i), row->unit);
		promtext_u64(&line, count);
	}
	begin_histogram(&line, out, "_sum", row, group, index);
	promtext_unit(&line, slots[HISTOGRAM_SUM], row->unit);
	begin_histogram(&line, out, "_count", row, group, index);
	promtext_u64(&line, count);
}

/* No head without a line: a metric that has nothing to say is left out. */
static void write_row(struct metrics *metrics, struct buf *out,
		      enum metrics_type type, unsigned id, uint64_t now_us)
{
	const struct metrics_row *row = metrics_row(type, id);
	struct metrics_set *set = metrics_read(metrics, type, id, now_us);

	if (set->count > 0)
		promtext_head(out, row->name, type, row->help);
	for (unsigned g = 0; g < set->count; g++) {
		if (type != METRICS_TYPE_HISTOGRAM) {
			write_group(out, row, type, set->groups[g]);
			continue;
		}
		for (unsigned i = 0; i < metrics_row_width(row); i++)
			write_histogram(out, row, set->groups[g], i);
	}
	metrics_set_free(set);
}

static void write_rows(struct metrics *metrics, struct buf *out,
		       uint64_t now_us)
{
	static const enum metrics_type types[] = { METRICS_TYPE_COUNTER,
						   METRICS_TYPE_GAUGE,
						   METRICS_TYPE_HISTOGRAM };

	for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for (unsigned i = 0; i < metrics_row_count(types[t]); i++)
			write_row(metrics, out, types[t], i, now_us);
}

/* ---- rows without labels, off the page ---------------------------------- */

/* table: */
static const struct {
	const char *name;
	const char *help;
	enum metrics_type type;
	enum metrics_unit unit;
	size_t offset; /* of a uint64_t in struct metrics_page */
} page_rows[] = {
	{ "pgweir_start_time_seconds", "When the process started.",
	  METRICS_TYPE_GAUGE, METRICS_US,
	  offsetof(struct metrics_page, started_wall_us) },
	{ "pgweir_config_last_reload_success_timestamp_seconds",
	  "When the configuration was last read successfully.",
	  METRICS_TYPE_GAUGE, METRICS_US,
	  offsetof(struct metrics_page, reload_ok_wall_us) },
	{ "process_start_time_seconds", "When the process started.",
	  METRICS_TYPE_GAUGE, METRICS_US,
	  offsetof(struct metrics_page, started_wall_us) },
	{ "process_cpu_seconds_total", "User and system CPU time.",
	  METRICS_TYPE_COUNTER, METRICS_US,
	  offsetof(struct metrics_page, process.cpu_us) },
	{ "process_resident_memory_bytes", "Resident memory.",
	  METRICS_TYPE_GAUGE, METRICS_ONE,
	  offsetof(struct metrics_page, process.resident_bytes) },
	{ "process_virtual_memory_bytes", "Virtual memory.", METRICS_TYPE_GAUGE,
	  METRICS_ONE, offsetof(struct metrics_page, process.virtual_bytes) },
	{ "process_open_fds", "Open file descriptors.", METRICS_TYPE_GAUGE,
	  METRICS_ONE, offsetof(struct metrics_page, process.open_fds) },
	{ "process_max_fds", "Limit of open file descriptors.",
	  METRICS_TYPE_GAUGE, METRICS_ONE,
	  offsetof(struct metrics_page, process.max_fds) },
};

static void write_page_rows(struct buf *out, const struct metrics_page *page)
{
	for (size_t i = 0; i < sizeof(page_rows) / sizeof(page_rows[0]); i++) {
		const uint64_t *value = (const void *)((const char *)page +
						       page_rows[i].offset);
		struct promtext line;

		promtext_head(out, page_rows[i].name, page_rows[i].type,
			      page_rows[i].help);
		promtext_begin(&line, out, page_rows[i].name, "");
		promtext_unit(&line, *value, page_rows[i].unit);
	}
}

static void write_build(struct buf *out, const struct metrics_page *page)
{
	struct promtext line;

	promtext_head(out, "pgweir_build_info", METRICS_TYPE_GAUGE,
		      "Version of pgweir; the value is always 1.");
	promtext_begin(&line, out, "pgweir_build_info", "");
	promtext_label(&line, "version", page->version);
	promtext_label(&line, "commit", page->commit);
	promtext_u64(&line, 1);
	promtext_head(out, "pgweir_config_last_reload_successful",
		      METRICS_TYPE_GAUGE,
		      "1 when the last reload was accepted, 0 when refused.");
	promtext_begin(&line, out, "pgweir_config_last_reload_successful", "");
	promtext_u64(&line, page->reload_ok);
}

/* One of the two sides may have none. */
static void write_certificate(struct buf *out, const char *side,
			      uint64_t expires_s)
{
	struct promtext line;

	if (expires_s == 0)
		return;
	promtext_begin(&line, out, "pgweir_tls_certificate_expiry_seconds", "");
	promtext_label(&line, "side", side);
	promtext_u64(&line, expires_s);
}

static void write_certificates(struct buf *out, const struct metrics_page *page)
{
	if (page->client_cert_expires_s == 0 &&
	    page->server_cert_expires_s == 0)
		return;
	promtext_head(out, "pgweir_tls_certificate_expiry_seconds",
		      METRICS_TYPE_GAUGE,
		      "When our own certificate expires, since 1970.");
	write_certificate(out, "client", page->client_cert_expires_s);
	write_certificate(out, "server", page->server_cert_expires_s);
}

/* ---- nodes -------------------------------------------------------------- */

/* Lag is a word about replicas that answer; an old one would mislead. */
static bool is_replica(const struct topology_node *node)
{
	return node->is_up && node->role == ROLE_REPLICA;
}

static bool always(const struct topology_node *node)
{
	(void)node;
	return true;
}

static uint64_t value_up(const struct topology_node *node)
{
	return node->is_up;
}

static uint64_t value_primary(const struct topology_node *node)
{
	return node->is_up && node->role == ROLE_PRIMARY;
}

static uint64_t value_streaming(const struct topology_node *node)
{
	return node->is_streaming;
}

static uint64_t value_lag_us(const struct topology_node *node)
{
	return node->lag_us;
}

static uint64_t value_lag_bytes(const struct topology_node *node)
{
	return node->lag_bytes;
}

/* table: */
static const struct node_row {
	const char *name;
	const char *help;
	enum metrics_unit unit;
	bool (*applies)(const struct topology_node *node);
	uint64_t (*value)(const struct topology_node *node);
} node_rows[] = {
	{ "pgweir_backend_up", "1 when the last probe was answered.",
	  METRICS_ONE, always, value_up },
	{ "pgweir_backend_is_primary", "1 when the backend is a primary.",
	  METRICS_ONE, always, value_primary },
	{ "pgweir_backend_is_streaming",
	  "1 when the replica's WAL receiver runs.", METRICS_ONE, is_replica,
	  value_streaming },
	{ "pgweir_backend_replication_lag_seconds",
	  "Age of the newest commit that the replica has replayed, 0 when it "
	  "has all.",
	  METRICS_US, is_replica, value_lag_us },
	{ "pgweir_backend_replication_lag_bytes",
	  "WAL that the primary has flushed and the replica not replayed.",
	  METRICS_ONE, is_replica, value_lag_bytes },
};

static void write_node_row(struct buf *out, const struct metrics_page *page,
			   const struct node_row *row)
{
	bool has_head = false;

	for (unsigned i = 0; i < page->topology->count; i++) {
		const struct topology_node *node = &page->topology->nodes[i];
		struct promtext line;

		if (!row->applies(node))
			continue;
		if (!has_head)
			promtext_head(out, row->name, METRICS_TYPE_GAUGE,
				      row->help);
		has_head = true;
		promtext_begin(&line, out, row->name, "");
		promtext_label(&line, "backend", page->config->nodes[i].label);
		promtext_unit(&line, row->value(node), row->unit);
	}
}

/* For a moment after a reload the two snapshots may not fit each other. */
static void write_nodes(struct buf *out, const struct metrics_page *page)
{
	if (!page->config || !page->topology ||
	    page->topology->count != page->config->node_count)
		return;
	for (size_t i = 0; i < sizeof(node_rows) / sizeof(node_rows[0]); i++)
		write_node_row(out, page, &node_rows[i]);
}

void metrics_render(struct metrics *metrics, struct buf *out,
		    const struct metrics_page *page)
{
	write_build(out, page);
	write_page_rows(out, page);
	write_certificates(out, page);
	write_nodes(out, page);
	write_rows(metrics, out, page->now_us);
	if (page->config && page->config->settings.stats_compat_pgbouncer)
		metrics_render_compat(metrics, out, page);
}
