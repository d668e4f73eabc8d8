/*
 * Answers the stats port: brings together what the page of metrics shows
 * beside the counters, and judges whether clients can be served.
 */
#include "main/page.h"

#include "base/buf.h"
#include "base/util.h"
#include "control/monitor.h"
#include "control/process.h"
#include "control/resolve.h"
#include "core/config.h"
#include "core/metrics_text.h"
#include "core/topology.h"
#include "main/house_parts.h"
#include "net/tls_context.h"
#include "proxy/orders.h"
#include "proxy/proxy.h"

#include <stddef.h>

/* 0: no TLS, or no certificate of our own; the page leaves it out then. */
static uint64_t expiry_of(const struct tls_context *context)
{
	int64_t seconds = context ? tls_context_expiry(context) : 0;

	return seconds > 0 ? (uint64_t)seconds : 0;
}

static bool is_paused(void *arg, const char *database)
{
	return orders_is_given(arg, ORDER_PAUSE, database);
}

static bool is_disabled(void *arg, const char *database)
{
	return orders_is_given(arg, ORDER_DISABLE, database);
}

/*
 * Main thread, between two turns of the loop: the snapshot, the topology and
 * the addresses are of one configuration.
 */
void page_metrics(const struct house *house, struct buf *out)
{
	const struct snapshot *snapshot = house->snapshot;
	struct metrics_page page = {
		.version = house->version,
		.now_us = util_now_us(),
		.started_wall_us = house->started_wall_us,
		.reload_ok = house->reload_ok,
		.reload_ok_wall_us = house->reload_ok_wall_us,
		.config = snapshot->config,
		.topology = monitor_topology(house->monitor),
		.client_cert_expires_s = expiry_of(snapshot->client_tls),
		.server_cert_expires_s = expiry_of(snapshot->server_tls),
		.dns_names = resolve_count_names(house->resolve),
		.dns_queries = resolve_count_pending(house->resolve),
	};

	if (house->proxy) {
		page.is_paused = is_paused;
		page.is_disabled = is_disabled;
		page.arg = proxy_process(house->proxy)->orders;
	}
	process_sample(&page.process);
	metrics_render(house->metrics, out, &page);
}

/*
 * What a load balancer wants to know: would a write find its server?  Lagging
 * or missing replicas cost speed, not readiness.
 */
bool page_ready(const struct house *house, struct buf *why)
{
	const struct topology *topology = monitor_topology(house->monitor);
	const struct config *config = house->snapshot->config;

	if (house->mode != SHUTDOWN_NONE) {
		buf_printf(why, "shutting down");
		return false;
	}
	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];
		int node = topology_primary(topology, line->nodes,
					    line->node_count);

		if (node >= 0 && topology->nodes[node].is_up &&
		    topology->nodes[node].role == ROLE_PRIMARY)
			return true;
	}
	buf_printf(why, "no primary is reachable");
	return false;
}
