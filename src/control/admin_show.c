/*
 * What a worker knows of the whole process: version, configuration, nodes,
 * statistics.
 *
 * A figure that has no counterpart here is 0, never made up.
 */
#include "control/admin_show.h"

#include "base/util.h"
#include "control/admin_job.h"
#include "control/rates.h"
#include "core/config.h"
#include "core/topology.h"
#include "proxy/local.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* --- process ---------------------------------------------------------------
 */

static void put_pair(struct admin_job *job, const char *name, const char *value)
{
	admin_row_begin(job);
	admin_put_text(job, name);
	admin_put_text(job, value);
	admin_row_end(job);
}

void admin_show_version(struct admin_job *job)
{
	char *text = xasprintf("pgweir %s", job->desk->version);

	admin_row_begin(job);
	admin_put_text(job, text);
	admin_row_end(job);
	free(text);
}

/* PAUSE and SUSPEND are not there yet; monitoring wants the rows. */
void admin_show_state(struct admin_job *job)
{
	put_pair(job, "active", "yes");
	put_pair(job, "paused", "no");
	put_pair(job, "suspended", "no");
}

/* Column heads without rows: exporters ask for these and want an answer. */
void admin_show_nothing(struct admin_job *job)
{
	(void)job;
}

/* Pages of the process, as the kernel counts them. */
void admin_show_mem(struct admin_job *job)
{
	static const char *const names[] = { "virtual", "resident", "shared" };
	FILE *file = fopen("/proc/self/statm", "re");
	long page = sysconf(_SC_PAGESIZE);
	char line[128] = "";
	char *at = line;

	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		(void)fclose(file);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		long pages = strtol(at, &at, 10);

		admin_row_begin(job);
		admin_put_text(job, names[i]);
		admin_put_number(job, page);
		admin_put_number(job, pages);
		admin_put_number(job, 0);
		admin_put_number(job, pages * page);
		admin_row_end(job);
	}
}

/* --- configuration ---------------------------------------------------------
 */

static void put_option(void *context, const char *key, const char *value,
		       const char *fallback, bool is_changeable)
{
	struct admin_job *job = context;

	admin_row_begin(job);
	admin_put_text(job, key);
	admin_put_text(job, value);
	admin_put_text(job, fallback);
	admin_put_text(job, is_changeable ? "yes" : "no");
	admin_row_end(job);
}

/* Secrets come as "****" from below. */
void admin_show_config(struct admin_job *job)
{
	const struct config_show_sink sink = { .row = put_option,
					       .context = job };

	config_show(local_config(job->local), &sink);
}

/* --- nodes -----------------------------------------------------------------
 */

/* "" while it is not known. */
static void format_address(const struct node_address *address, char *out,
			   size_t room)
{
	const struct sockaddr_in *v4 = (const void *)&address->address;
	const struct sockaddr_in6 *v6 = (const void *)&address->address;
	const struct sockaddr_un *path = (const void *)&address->address;

	out[0] = '\0';
	if (!address->is_known)
		return;
	if (address->address.ss_family == AF_INET)
		(void)inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)room);
	else if (address->address.ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)room);
	else
		(void)snprintf(out, room, "%.*s", (int)sizeof(path->sun_path),
			       path->sun_path);
}

/* Timeline and LSN as PostgreSQL writes it; NULL while unknown. */
static void put_position(struct admin_job *job, struct watermark position)
{
	char text[32];

	if (position.system == 0) {
		admin_put_text(job, NULL);
		admin_put_text(job, NULL);
		return;
	}
	admin_put_number(job, position.timeline);
	(void)snprintf(text, sizeof(text), "%X/%X",
		       (unsigned)(position.lsn >> 32), (unsigned)position.lsn);
	admin_put_text(job, text);
}

/* 150018 is 15.18. */
static void put_server_version(struct admin_job *job, uint32_t version)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%u.%u", version / 10000,
		       version % 10000);
	admin_put_text(job, version > 0 ? text : NULL);
}

/* What the monitor last told this worker of a node. */
static void put_node(struct admin_job *job, unsigned index)
{
	static const struct topology_node unknown;
	const struct local *local = job->local;
	const struct config_node *node = &local_config(local)->nodes[index];
	const struct topology_node *seen =
		local->topology ? &local->topology->nodes[index] : &unknown;
	char address[INET6_ADDRSTRLEN + sizeof(struct sockaddr_un)];

	format_address(&local->addresses[index], address, sizeof(address));
	admin_row_begin(job);
	admin_put_text(job, node->label);
	admin_put_text(job, node->host);
	admin_put_number(job, node->port);
	admin_put_text(job, address);
	admin_put_text(job, topology_role_name(seen->role));
	admin_put_text(job, seen->is_up ? "yes" : "no");
	admin_put_text(job, seen->is_streaming ? "yes" : "no");
	admin_put_number(job, (int64_t)seen->lag_us);
	admin_put_number(job, (int64_t)seen->lag_bytes);
	put_position(job, seen->position);
	put_server_version(job, seen->server_version);
	admin_put_time(job, seen->probed_us);
	admin_row_end(job);
}

void admin_show_nodes(struct admin_job *job)
{
	for (unsigned i = 0; i < local_config(job->local)->node_count; i++)
		put_node(job, i);
}

bool admin_is_host_name(const struct config_node *node)
{
	uint8_t address[sizeof(struct in6_addr)];

	return !node->is_unix && inet_pton(AF_INET, node->host, address) != 1 &&
	       inet_pton(AF_INET6, node->host, address) != 1;
}

/* The same name with another port was shown already. */
static bool is_repeated(const struct config *config, unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (strcmp(config->nodes[i].host, config->nodes[index].host) ==
		    0)
			return true;
	return false;
}

/* Names are asked of the system, which does not tell how long they hold. */
void admin_show_dns_hosts(struct admin_job *job)
{
	const struct config *config = local_config(job->local);
	char address[INET6_ADDRSTRLEN + sizeof(struct sockaddr_un)];

	for (unsigned i = 0; i < config->node_count; i++) {
		if (!admin_is_host_name(&config->nodes[i]) ||
		    is_repeated(config, i))
			continue;
		format_address(&job->local->addresses[i], address,
			       sizeof(address));
		admin_row_begin(job);
		admin_put_text(job, config->nodes[i].host);
		admin_put_number(job, 0);
		admin_put_text(job, address);
		admin_row_end(job);
	}
}

/* --- statistics ------------------------------------------------------------
 */

/* Read anew for each listing: nobody lists often. */
static struct rates_report *report_for(const struct admin_job *job)
{
	return rates_report_new(job->desk->rates, job->local->process->metrics,
				job->now_us);
}

/* In the order of enum rates_figure, as the columns are. */
static void put_figures(struct admin_job *job, const uint64_t *values)
{
	for (unsigned i = 0; i < RATES_COUNT; i++)
		admin_put_number(job, (int64_t)values[i]);
}

static void show_lines(struct admin_job *job, bool has_totals,
		       bool has_averages)
{
	struct rates_report *report = report_for(job);

	for (unsigned i = 0; i < report->count; i++) {
		admin_row_begin(job);
		admin_put_text(job, report->lines[i].database);
		if (has_totals)
			put_figures(job, report->lines[i].total);
		if (has_averages)
			put_figures(job, report->lines[i].average);
		admin_row_end(job);
	}
	rates_report_free(report);
}

void admin_show_stats(struct admin_job *job)
{
	show_lines(job, true, true);
}

void admin_show_stats_totals(struct admin_job *job)
{
	show_lines(job, true, false);
}

void admin_show_stats_averages(struct admin_job *job)
{
	show_lines(job, false, true);
}

static void put_sums(struct admin_job *job, const char *prefix,
		     const uint64_t *values)
{
	for (unsigned i = 0; i < RATES_COUNT; i++) {
		char *name = xasprintf("%s%s", prefix, rates_name(i));

		admin_row_begin(job);
		admin_put_text(job, name);
		admin_put_number(job, (int64_t)values[i]);
		admin_row_end(job);
		free(name);
	}
}

void admin_show_totals(struct admin_job *job)
{
	struct rates_report *report = report_for(job);

	put_sums(job, "total_", report->sum.total);
	put_sums(job, "avg_", report->sum.average);
	rates_report_free(report);
}
