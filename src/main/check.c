/*
 * --check.  An inquiry is one probe, the monitor's own question: one for
 * each node as the monitor, then one for each node of each database, to see
 * whether the database is there and lets us in.  They run side by side, a
 * few at a time, on an event loop of their own.
 *
 * What is found is described by a pure function, so that every case of it
 * can be tested without a server.
 */
#include "main/check.h"

#include "base/buf.h"
#include "base/util.h"
#include "control/monitor.h"
#include "control/resolve.h"
#include "core/config.h"
#include "core/topology.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNNING_MAX = 16, TICK_US = 50000 };

/* However short monitor_timeout is: here nobody waits for a failover. */
static const uint64_t LIMIT_MIN_US = 3000000;

/* ---- what was found ----------------------------------------------------- */

struct findings {
	struct buf *out;
	const struct config *config;
	const struct check_inquiry *nodes; /* by number of node */
	unsigned faults;
};

static void find_fault(struct findings *findings, const char *subject,
		       const char *what)
{
	buf_printf(findings->out, "%s: FAULT: %s\n", subject, what);
	findings->faults++;
}

static void describe_version(struct findings *findings, uint32_t version)
{
	if (version != 0)
		buf_printf(findings->out, ", PostgreSQL %u.%u",
			   (unsigned)(version / 10000),
			   (unsigned)(version % 10000));
}

static void describe_primary(struct findings *findings,
			     const struct probe_facts *facts)
{
	buf_printf(findings->out, "primary");
	describe_version(findings, facts->version);
	buf_printf(findings->out, ", timeline %u, at %X/%08X",
		   (unsigned)facts->position.timeline,
		   (unsigned)(facts->position.lsn >> 32),
		   (unsigned)(facts->position.lsn & UINT32_MAX));
}

/* The primary of the same system among the nodes; NULL: none. */
static const struct probe_facts *find_primary(const struct findings *findings,
					      const struct probe_facts *replica)
{
	for (unsigned i = 0; i < findings->config->node_count; i++) {
		const struct probe_report *report = &findings->nodes[i].report;

		if (report->outcome == PROBE_ANSWERED &&
		    report->facts.is_primary &&
		    report->facts.position.system == replica->position.system)
			return &report->facts;
	}
	return NULL;
}

static void describe_replica(struct findings *findings,
			     const struct probe_facts *facts)
{
	const struct probe_facts *primary = find_primary(findings, facts);

	buf_printf(findings->out, "replica");
	describe_version(findings, facts->version);
	buf_printf(findings->out, ", %s",
		   facts->is_receiving ? "streaming"
				       : "not streaming (it gets no reads)");
	if (primary && primary->position.lsn >= facts->position.lsn)
		buf_printf(findings->out, ", %llu bytes behind",
			   (unsigned long long)(primary->position.lsn -
						facts->position.lsn));
	else if (primary)
		buf_printf(findings->out, ", 0 bytes behind");
}

static void describe_refusal(struct findings *findings, const char *subject,
			     const struct check_inquiry *inquiry)
{
	const struct probe_report *report = &inquiry->report;
	char *what = xasprintf(
		"%s %s as user %s, database %s: %s",
		report->outcome == PROBE_REFUSED ? "no login" : "no answer",
		inquiry->line ? "for the database" : "for the monitor",
		inquiry->user, inquiry->dbname, report->reason);

	find_fault(findings, subject, what);
	free(what);
}

static void describe_node(struct findings *findings,
			  const struct check_inquiry *inquiry)
{
	const char *label = findings->config->nodes[inquiry->node].label;
	const struct probe_facts *facts = &inquiry->report.facts;
	char *subject = xasprintf("node %s", label);

	if (inquiry->report.outcome != PROBE_ANSWERED) {
		describe_refusal(findings, subject, inquiry);
		free(subject);
		return;
	}
	buf_printf(findings->out, "%s: ", subject);
	if (facts->is_primary)
		describe_primary(findings, facts);
	else
		describe_replica(findings, facts);
	if (facts->is_limited)
		buf_printf(findings->out,
			   " (user %s may not see all: GRANT "
			   "pg_monitor)",
			   inquiry->user);
	buf_printf(findings->out, "\n");
	free(subject);
}

/* A node that does not answer at all was told of already. */
static void describe_login(struct findings *findings,
			   const struct check_inquiry *inquiry)
{
	const char *label = findings->config->nodes[inquiry->node].label;
	char *subject;

	if (findings->nodes[inquiry->node].report.outcome == PROBE_FAILED)
		return;
	subject = xasprintf("database %s on %s", inquiry->line->name, label);
	if (inquiry->report.outcome == PROBE_ANSWERED)
		buf_printf(findings->out, "%s: user %s can log in to %s\n",
			   subject, inquiry->user, inquiry->dbname);
	else
		describe_refusal(findings, subject, inquiry);
	free(subject);
}

static void describe_line(struct findings *findings,
			  const struct config_database *line)
{
	char *subject = xasprintf("database %s", line->name);
	unsigned primaries = 0;

	for (unsigned i = 0; i < line->node_count; i++) {
		const struct probe_report *report =
			&findings->nodes[line->nodes[i]].report;

		primaries += report->outcome == PROBE_ANSWERED &&
			     report->facts.is_primary;
	}
	if (primaries == 0)
		find_fault(findings, subject,
			   "none of its nodes is known to be a primary, "
			   "nothing can be written");
	else if (primaries > 1)
		find_fault(findings, subject,
			   "more than one of its nodes is a primary, list "
			   "only servers that replicate each other");
	free(subject);
}

unsigned check_describe(struct buf *out, const struct config *config,
			const struct check_inquiry *inquiries, unsigned count)
{
	struct findings findings = {
		.out = out,
		.config = config,
		.nodes = inquiries,
	};

	assert(count >= config->node_count);
	for (unsigned i = 0; i < count; i++)
		if (inquiries[i].line)
			describe_login(&findings, &inquiries[i]);
		else
			describe_node(&findings, &inquiries[i]);
	for (unsigned i = 0; i < config->database_count; i++)
		describe_line(&findings, &config->databases[i]);
	return findings.faults;
}

/* ---- asking ------------------------------------------------------------- */

struct check {
	struct event_base *base;
	const struct config *config;
	struct resolve *resolve;
	struct event *tick;
	struct asking *askings; /* beside the inquiries, same number */
	struct check_inquiry *inquiries;
	unsigned count;
	unsigned running;
	unsigned done;
	uint64_t limit_us;
	uint64_t started_us;
};

struct asking {
	struct check *check;
	struct probe *probe;
	const char *password;
	bool is_started;
};

static void pump(struct check *check);

static void on_report(void *arg, const struct probe_report *report)
{
	const struct asking *asking = arg;
	struct check *check = asking->check;

	check->inquiries[asking - check->askings].report = *report;
	check->running--;
	check->done++;
	pump(check);
}

/* False while the node's name may still be resolved. */
static bool start(struct check *check, unsigned index)
{
	struct asking *asking = &check->askings[index];
	const struct check_inquiry *inquiry = &check->inquiries[index];
	const struct sockaddr_storage *address;
	struct probe_target target = {
		.node = &check->config->nodes[inquiry->node],
		.settings = &check->config->settings,
		.user = inquiry->user,
		.password = asking->password,
		.dbname = inquiry->dbname,
	};
	socklen_t len = 0;

	address = resolve_address(check->resolve, inquiry->node, &len);
	if (!address && util_now_us() - check->started_us < check->limit_us)
		return false;
	asking->probe = probe_new(check->base, on_report, NULL, asking);
	probe_aim(asking->probe, &target);
	if (address)
		probe_set_address(asking->probe,
				  (const struct sockaddr *)address, len);
	probe_start(asking->probe, check->limit_us);
	return true;
}

static void pump(struct check *check)
{
	for (unsigned i = 0; i < check->count && check->running < RUNNING_MAX;
	     i++) {
		if (check->askings[i].is_started || !start(check, i))
			continue;
		check->askings[i].is_started = true;
		check->running++;
	}
	if (check->done == check->count)
		(void)event_base_loopbreak(check->base);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

/* The tick sees to it. */
static void on_address(void *arg, unsigned node,
		       const struct sockaddr_storage *address, socklen_t len)
{
	(void)arg;
	(void)node;
	(void)address;
	(void)len;
}

/* ---- which questions ---------------------------------------------------- */

static struct check_inquiry *add_inquiry(struct check *check, unsigned node)
{
	struct monitor_login login = monitor_login_of(check->config, node);
	struct check_inquiry *inquiry = &check->inquiries[check->count];
	struct asking *asking = &check->askings[check->count];

	inquiry->node = node;
	inquiry->user = login.user;
	inquiry->dbname = login.dbname;
	asking->check = check;
	asking->password = login.password;
	check->count++;
	return inquiry;
}

static void add_line(struct check *check, const struct config_database *line)
{
	const char *dbname = line->dbname;

	/* The others of "*" are named by clients only. */
	if (!dbname && strcmp(line->name, "*") != 0)
		dbname = line->name;
	for (unsigned i = 0; dbname && i < line->node_count; i++) {
		struct check_inquiry *inquiry =
			add_inquiry(check, line->nodes[i]);

		inquiry->line = line;
		inquiry->dbname = dbname;
		if (!line->user)
			continue;
		inquiry->user = line->user;
		check->askings[check->count - 1].password = line->password;
	}
}

static void add_all(struct check *check)
{
	const struct config *config = check->config;
	size_t most = config->node_count;

	for (unsigned i = 0; i < config->database_count; i++)
		most += config->databases[i].node_count;
	check->inquiries = xcalloc(most + 1, sizeof(*check->inquiries));
	check->askings = xcalloc(most + 1, sizeof(*check->askings));
	for (unsigned i = 0; i < config->node_count; i++)
		(void)add_inquiry(check, i);
	for (unsigned i = 0; i < config->database_count; i++)
		add_line(check, &config->databases[i]);
	assert(check->count <= most);
}

static bool ask_all(struct check *check)
{
	struct timeval period = { .tv_usec = TICK_US };

	check->base = event_base_new();
	if (!check->base)
		return false;
	check->started_us = util_now_us();
	check->tick = event_new(check->base, -1, EV_PERSIST, on_tick, check);
	check->resolve =
		resolve_new(check->base, check->config, on_address, check);
	if (!check->tick || !check->resolve ||
	    event_add(check->tick, &period) != 0)
		return false;
	pump(check);
	return check->count == 0 || event_base_dispatch(check->base) >= 0;
}

static void check_close(struct check *check)
{
	for (unsigned i = 0; i < check->count; i++)
		if (check->askings[i].probe)
			probe_free(check->askings[i].probe);
	resolve_free(check->resolve);
	if (check->tick)
		event_free(check->tick);
	if (check->base)
		event_base_free(check->base);
	free(check->inquiries);
	free(check->askings);
}

bool check_run(const struct config *config)
{
	struct check check = { .config = config };
	struct buf out = BUF_INIT;
	unsigned faults = 1;

	check.limit_us = config->settings.monitor_timeout_us;
	if (check.limit_us < LIMIT_MIN_US)
		check.limit_us = LIMIT_MIN_US;
	add_all(&check);
	if (ask_all(&check))
		faults = check_describe(&out, config, check.inquiries,
					check.count);
	else
		buf_printf(&out, "cannot ask the nodes: no event loop\n");
	if (faults == 0)
		buf_printf(&out, "%s: good\n", config->path);
	else
		buf_printf(&out, "%s: %u fault%s\n", config->path, faults,
			   faults == 1 ? "" : "s");
	(void)fwrite(buf_head(&out), 1, buf_len(&out), stdout);
	buf_free(&out);
	check_close(&check);
	return faults == 0;
}
