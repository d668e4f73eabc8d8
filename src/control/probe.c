/*
 * The monitor's question to a node.  One connection per node is kept and
 * asked again and again; when it was lost since the last time it is opened
 * anew at once, since an idle connection that broke says little about the
 * server.
 *
 * Nothing here blocks: names are resolved elsewhere and come as addresses,
 * GSSAPI is off, and every wait has a time limit of our own.  The question
 * changes nothing and needs no privilege; what a role may not see is left
 * out (is_limited).  Main thread.
 */
#include "control/probe.h"

#include "base/log.h"
#include "base/util.h"
#include "core/config.h"

#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum probe_state { PROBE_CLOSED, PROBE_CONNECTING, PROBE_IDLE, PROBE_ASKING };

/*
 * Invariants: state says what connection and socket are (both NULL when
 * CLOSED); is_busy holds from probe_start() to the report, of which there is
 * exactly one.
 */
struct probe {
	struct event_base *base;
	probe_done_fn *done;
	void (*lost)(void *arg);
	void *arg;
	enum probe_state state;
	bool is_busy; /* a report is owed */
	bool is_limited;
	bool has_retried; /* the kept connection was lost under a question */
	bool was_kept;    /* the question went over a kept connection */
	bool is_quick;    /* only the position is wanted */
	uint64_t started_us;
	uint64_t sent_us;
	PGconn *connection;
	struct event *socket; /* NULL while closed */
	struct event *limit;
	struct event *kick; /* starts from the loop, never from a caller */
	struct {
		char *host;
		char *port;
		char *user;
		char *password;
		char *dbname;
		enum config_sslmode sslmode;
		char *ca_file;
		char *cert_file;
		char *key_file;
		bool is_unix;
	} target;
	char address[NI_MAXHOST]; /* numeric; "" not known */
	struct probe_facts known; /* of this connection; version 0: none */
};

/* A server that knows us not, has no room or no such database still lives. */
static bool is_refusal(const char *sqlstate)
{
	static const char *const codes[] = { "28", "3D000", "53300", "42501" };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strncmp(sqlstate, codes[i], strlen(codes[i])) == 0)
			return true;
	return false;
}

/* ---- the connection ----------------------------------------------------- */

/* The event first: it must not outlive the socket that PQfinish closes. */
static void probe_close(struct probe *probe)
{
	if (probe->socket)
		event_free(probe->socket);
	probe->socket = NULL;
	if (probe->connection)
		PQfinish(probe->connection);
	probe->connection = NULL;
	assert(!probe->socket);
	probe->state = PROBE_CLOSED;
}

/*
 * The end of a question.  The callback may start the next one, or aim the probe
 * anew, but not free it.
 */
static void probe_report(struct probe *probe, struct probe_report *report)
{
	assert(probe->is_busy);
	probe->is_busy = false;
	(void)event_del(probe->limit);
	report->sent_us = probe->sent_us;
	report->done_us = util_now_us();
	probe->done(probe->arg, report);
}

/*
 * For what libpq knows nothing of; is_connecting lets the owner try the name's
 * next address.
 */
static void probe_fail(struct probe *probe, const char *reason, bool is_timeout)
{
	struct probe_report report = {
		.outcome = PROBE_FAILED,
		.is_timeout = is_timeout,
		.is_connecting = probe->state != PROBE_ASKING,
	};

	(void)util_copy(report.reason, sizeof(report.reason), reason);
	probe_close(probe);
	probe_report(probe, &report);
}

static void probe_connect(struct probe *probe);

/*
 * The connection broke, or the server said no.  A kept connection that broke is
 * tried anew once, at once: an idle one that died says little about the server,
 * and the first question after a restart would be a false alarm.
 */
static void probe_fail_libpq(struct probe *probe)
{
	struct probe_report report = {
		.outcome = PROBE_FAILED,
		.is_connecting = probe->state == PROBE_CONNECTING,
	};

	if (probe->state == PROBE_ASKING && probe->was_kept &&
	    !probe->has_retried) {
		probe->has_retried = true;
		probe_close(probe);
		probe_connect(probe);
		return;
	}
	probe_explain(PQerrorMessage(probe->connection), report.reason,
		      sizeof(report.reason), report.sqlstate);
	/* libpq gives up by itself here, without a message of the server's. */
	if (PQconnectionNeedsPassword(probe->connection)) {
		report.outcome = PROBE_REFUSED;
		(void)util_copy(report.sqlstate, sizeof(report.sqlstate),
				"28P01");
	} else if (is_refusal(report.sqlstate)) {
		report.outcome = PROBE_REFUSED;
	}
	probe_close(probe);
	probe_report(probe, &report);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg);

/*
 * libpq may have closed its socket and opened another with the same number,
 * so the event is made anew whenever libpq had the word while connecting.
 */
static bool probe_watch(struct probe *probe, short what)
{
	if (probe->socket)
		event_free(probe->socket);
	probe->socket = event_new(probe->base, PQsocket(probe->connection),
				  what, socket_ready, probe);
	return probe->socket && event_add(probe->socket, NULL) == 0;
}

/* Else libpq writes to stderr, which a daemon has given away. */
static void discard_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("monitor: notice from a server: %s", message);
}

/* NULL for what is not set: libpq's default. */
static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

/*
 * hostaddr spares libpq's look-up, which blocks; host stays for the check of
 * the certificate's name.  options and target_session_attrs are given so that
 * no environment variable (PGOPTIONS and the like) has a say.
 */
static PGconn *probe_open(const struct probe *probe)
{
	const char *const keys[] = {
		"host",
		"hostaddr",
		"port",
		"user",
		"password",
		"dbname",
		"sslmode",
		"sslrootcert",
		"sslcert",
		"sslkey",
		"gssencmode",
		"client_encoding",
		"application_name",
		"options",
		"target_session_attrs",
		NULL,
	};
	const char *const values[] = {
		probe->target.host,
		or_null(probe->address),
		probe->target.port,
		probe->target.user,
		or_null(probe->target.password),
		probe->target.dbname,
		config_sslmode_name(probe->target.sslmode),
		or_null(probe->target.ca_file),
		or_null(probe->target.cert_file),
		or_null(probe->target.key_file),
		"disable",
		"UTF8",
		"pgweir monitor",
		"",
		"any",
		NULL,
	};

	return PQconnectStartParams(keys, values, 0);
}

/* Returns with a report made or an event to come: never neither. */
static void probe_connect(struct probe *probe)
{
	if (!probe->target.is_unix && probe->address[0] == '\0') {
		probe_fail(probe, "its name is not resolved", false);
		return;
	}
	assert(probe->state == PROBE_CLOSED && !probe->connection);
	probe->was_kept = false;
	probe->known = (struct probe_facts){ 0 };
	probe->state = PROBE_CONNECTING;
	probe->connection = probe_open(probe);
	if (!probe->connection) {
		probe_fail(probe, "out of memory in libpq", false);
		return;
	}
	(void)PQsetErrorVerbosity(probe->connection, PQERRORS_VERBOSE);
	(void)PQsetNoticeProcessor(probe->connection, discard_notice, NULL);
	if (PQstatus(probe->connection) == CONNECTION_BAD)
		probe_fail_libpq(probe);
	else if (!probe_watch(probe, EV_WRITE))
		probe_fail(probe, "no event for the socket", false);
}

/* ---- the question ------------------------------------------------------- */

/*
 * Nonblocking: a question may leave in parts.  EV_PERSIST keeps the reading
 * event for as long as the connection is kept.
 */
static void probe_flush(struct probe *probe)
{
	int left = PQflush(probe->connection);
	short what = EV_READ | EV_PERSIST;

	if (left > 0)
		what |= EV_WRITE;
	if (left < 0)
		probe_fail_libpq(probe);
	else if (!probe_watch(probe, what))
		probe_fail(probe, "no event for the socket", false);
}

/* Quick is enough for a server whose system and timeline are known. */
static enum probe_kind kind_of(const struct probe *probe)
{
	if (probe->is_quick && probe->was_kept && probe->known.version != 0)
		return PROBE_QUICK;
	return probe->is_limited ? PROBE_LIMITED : PROBE_FULL;
}

static void probe_ask(struct probe *probe)
{
	probe->state = PROBE_ASKING;
	assert(probe->is_busy && probe->connection);
	probe->sent_us = util_now_us();
	if (!PQsendQuery(probe->connection, probe_question(kind_of(probe))))
		probe_fail_libpq(probe);
	else
		probe_flush(probe);
}

/* Reads what follows a result, so that the connection is idle again. */
static void probe_drain(struct probe *probe)
{
	PGresult *rest;

	while (!PQisBusy(probe->connection)) {
		rest = PQgetResult(probe->connection);
		if (!rest) {
			probe->state = PROBE_IDLE;
			return;
		}
		PQclear(rest);
	}
	/* The end is not here yet: simpler to open a new one next time. */
	probe_close(probe);
}

/* Another question, over the same connection if that is idle. */
static void ask_again(struct probe *probe)
{
	probe->was_kept = true;
	probe_drain(probe);
	if (probe->state == PROBE_IDLE)
		probe_ask(probe);
	else
		probe_connect(probe);
}

static void probe_answered(struct probe *probe, const PGresult *result)
{
	struct probe_report report = { .outcome = PROBE_ANSWERED };

	bool is_quick = kind_of(probe) == PROBE_QUICK;

	if (!probe_read_result(result, &report.facts)) {
		probe_fail(probe, "its answer makes no sense", false);
		return;
	}
	probe->is_quick = false;
	if (is_quick && !probe_complete(&report.facts, &probe->known)) {
		ask_again(probe);
		return;
	}
	report.facts.version = (uint32_t)PQserverVersion(probe->connection);
	probe->known = report.facts;
	probe_drain(probe);
	probe_report(probe, &report);
}

/*
 * 42501: the role may not call pg_control_*(). It is asked for less from then
 * on; everything else is a failure that the log should show.
 */
static void probe_question_failed(struct probe *probe, const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	char reason[160];
	char sqlstate[6];

	if (code && strcmp(code, "42501") == 0 && !probe->is_limited) {
		probe->is_limited = true;
		ask_again(probe);
		return;
	}
	if (PQstatus(probe->connection) == CONNECTION_BAD) {
		probe_fail_libpq(probe);
		return;
	}
	probe_explain(PQresultErrorMessage(result), reason, sizeof(reason),
		      sqlstate);
	probe_fail(probe, reason, false);
}

/* Only complete results are looked at: PQgetResult would block before. */
static void probe_take_result(struct probe *probe)
{
	PGresult *result;

	if (!PQconsumeInput(probe->connection)) {
		probe_fail_libpq(probe);
		return;
	}
	if (PQisBusy(probe->connection))
		return;
	result = PQgetResult(probe->connection);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		probe_answered(probe, result);
	else
		probe_question_failed(probe, result);
	PQclear(result);
}

/*
 * libpq says after each step what it waits for, and may have another socket
 * (another address, TLS refused): so the event is made anew.
 */
static void probe_poll_connect(struct probe *probe)
{
	switch (PQconnectPoll(probe->connection)) {
	case PGRES_POLLING_READING:
		if (!probe_watch(probe, EV_READ))
			probe_fail(probe, "no event for the socket", false);
		return;
	case PGRES_POLLING_WRITING:
		if (!probe_watch(probe, EV_WRITE))
			probe_fail(probe, "no event for the socket", false);
		return;
	case PGRES_POLLING_OK:
		(void)PQsetnonblocking(probe->connection, 1);
		probe_ask(probe);
		return;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE: break;
	}
	probe_fail_libpq(probe);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	switch (probe->state) {
	case PROBE_CONNECTING:
		/* Off the loop before libpq may close the socket. */
		(void)event_del(probe->socket);
		probe_poll_connect(probe);
		return;
	case PROBE_ASKING:
		if (what & EV_WRITE)
			probe_flush(probe);
		if (what & EV_READ && probe->state == PROBE_ASKING)
			probe_take_result(probe);
		return;
	case PROBE_IDLE:
		/* A parameter changed, or the server hung up. */
		if (!PQconsumeInput(probe->connection)) {
			probe_close(probe);
			if (probe->lost)
				probe->lost(probe->arg);
		}
		return;
	case PROBE_CLOSED: return;
	}
}

/*
 * Our own limit, for connecting and asking together: connect_timeout of libpq
 * holds for its blocking calls only.
 */
static void limit_reached(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	probe_fail(probe,
		   probe->state == PROBE_CONNECTING ? "no connection in time"
						    : "no answer in time",
		   true);
}

/*
 * Runs in the loop, so that no report comes while the caller of probe_start()
 * is still on the stack.  aim() may kick what nobody waits for.
 */
static void kicked(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	if (!probe->is_busy)
		return;
	probe->has_retried = false;
	if (probe->state == PROBE_IDLE) {
		probe->was_kept = true;
		probe_ask(probe);
	} else {
		probe_connect(probe);
	}
}

/* ---- for the owner ------------------------------------------------------ */

struct probe *probe_new(struct event_base *base, probe_done_fn *done,
			void (*lost)(void *arg), void *arg)
{
	struct probe *probe = xcalloc(1, sizeof(*probe));

	probe->base = base;
	probe->done = done;
	probe->lost = lost;
	probe->arg = arg;
	probe->limit = evtimer_new(base, limit_reached, probe);
	probe->kick = evtimer_new(base, kicked, probe);
	assert(probe->limit && probe->kick);
	return probe;
}

/* The password was copied for us, so it is wiped by us. */
static void free_target(struct probe *probe)
{
	free(probe->target.host);
	free(probe->target.port);
	free(probe->target.user);
	util_free_secret(probe->target.password);
	free(probe->target.dbname);
	free(probe->target.ca_file);
	free(probe->target.cert_file);
	free(probe->target.key_file);
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	probe_close(probe);
	event_free(probe->limit);
	event_free(probe->kick);
	free_target(probe);
	free(probe);
}

static bool same_text(const char *one, const char *other)
{
	return strcmp(one ? one : "", other ? other : "") == 0;
}

/*
 * What a connection was made with; settings that play no part in it may change
 * without one being opened anew.
 */
static bool is_same_target(const struct probe *probe,
			   const struct probe_target *target, const char *port)
{
	const struct config_settings *settings = target->settings;

	return same_text(probe->target.host, target->node->host) &&
	       same_text(probe->target.port, port) &&
	       same_text(probe->target.user, target->user) &&
	       same_text(probe->target.password, target->password) &&
	       same_text(probe->target.dbname, target->dbname) &&
	       same_text(probe->target.ca_file, settings->server_tls_ca_file) &&
	       same_text(probe->target.cert_file,
			 settings->server_tls_cert_file) &&
	       same_text(probe->target.key_file,
			 settings->server_tls_key_file) &&
	       probe->target.sslmode == settings->server_tls_sslmode;
}

static char *copy_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void probe_aim(struct probe *probe, const struct probe_target *target)
{
	const struct config_settings *settings = target->settings;
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", target->node->port);
	if (is_same_target(probe, target, port))
		return;
	probe_close(probe);
	/* What was under way starts anew with the new target. */
	if (probe->is_busy)
		event_active(probe->kick, EV_TIMEOUT, 0);
	free_target(probe);
	probe->is_limited = false;
	probe->target.host = xstrdup(target->node->host);
	probe->target.port = xstrdup(port);
	probe->target.user = xstrdup(target->user);
	probe->target.password = copy_or_null(target->password);
	probe->target.dbname = xstrdup(target->dbname);
	probe->target.sslmode = settings->server_tls_sslmode;
	probe->target.ca_file = copy_or_null(settings->server_tls_ca_file);
	probe->target.cert_file = copy_or_null(settings->server_tls_cert_file);
	probe->target.key_file = copy_or_null(settings->server_tls_key_file);
	probe->target.is_unix = target->node->is_unix;
}

/*
 * Another address is another server, maybe: a kept connection to the old one
 * would go on answering for it.
 */
void probe_set_address(struct probe *probe, const struct sockaddr *address,
		       socklen_t len)
{
	char text[sizeof(probe->address)];

	if (len == 0 || address->sa_family == AF_UNIX ||
	    getnameinfo(address, len, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) != 0)
		text[0] = '\0';
	if (strcmp(text, probe->address) == 0)
		return;
	(void)util_copy(probe->address, sizeof(probe->address), text);
	if (probe->state == PROBE_IDLE)
		probe_close(probe);
}

void probe_start(struct probe *probe, uint64_t timeout_us)
{
	struct timeval limit = util_timeval(timeout_us);

	if (probe->is_busy)
		return;
	assert(probe->target.host);
	probe->is_busy = true;
	probe->is_quick = false;
	probe->started_us = util_now_us();
	probe->sent_us = probe->started_us;
	(void)evtimer_add(probe->limit, &limit);
	event_active(probe->kick, EV_TIMEOUT, 0);
}

void probe_rest(struct probe *probe)
{
	if (!probe->is_busy)
		probe_close(probe);
}

void probe_start_quick(struct probe *probe, uint64_t timeout_us)
{
	if (probe->is_busy)
		return;
	probe_start(probe, timeout_us);
	probe->is_quick = true;
}

bool probe_is_busy(const struct probe *probe)
{
	return probe->is_busy;
}

uint64_t probe_started_us(const struct probe *probe)
{
	return probe->started_us;
}
