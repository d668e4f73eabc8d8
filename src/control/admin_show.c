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
#include "proxy/local.h"
#include "proxy/orders.h"

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

/* There is no SUSPEND; monitoring wants the row. */
void admin_show_state(struct admin_job *job)
{
	bool is_paused =
		orders_is_given(job->process->orders, ORDER_PAUSE, NULL);

	put_pair(job, "active", is_paused ? "no" : "yes");
	put_pair(job, "paused", is_paused ? "yes" : "no");
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

void admin_format_address(const struct node_address *address, char *out,
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
		admin_format_address(&job->local->addresses[i], address,
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
