/*
 * The connection of a hub: opening it, what is sent down it and what comes.
 *
 * Everything is sent as it is asked for and answered in that order, so a
 * notification never overtakes the answer to what came before it.  What is
 * under way when the connection is lost has failed, but for barriers: nothing
 * that they wait for will come any more.
 */
#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "core/channels.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/topology.h"
#include "proxy/changes.h"
#include "proxy/hub_mail.h"
#include "proxy/hub_parts.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/notifiers.h"
#include "proxy/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_FIRST_US = 100 * 1000,
	RETRY_MAX_US = 2 * 1000 * 1000,
	CHECK_US = 5 * 1000 * 1000,
	SILENCE_US = 20 * 1000 * 1000,
	LISTEN_CHUNK = 64 * 1024 /* bytes of one text */
};

/* What a statement that is under way was sent for. */
enum job_kind {
	JOB_OTHER,
	JOB_SETUP, /* must not fail */
	JOB_READY, /* the last of these */
	JOB_WANT,
	JOB_BARRIER /* of all in hub->passing */
};

struct job {
	struct list link;
	enum job_kind kind;
	unsigned worker;
	uint64_t session;
	uint64_t serial;
	uint64_t sent_us;
	struct channels *channels; /* of a want that waits */
};

void hub_set_timer(struct hub *hub, uint64_t span_us)
{
	wheel_set(worker_wheel(hub->local->worker), &hub->timer,
		  local_now(hub->local) + span_us);
}

static uint64_t now_of(const struct hub *hub)
{
	return local_now(hub->local);
}

/* --- jobs --- */

static struct job *job_new(enum job_kind kind, const struct mail_hub *mail)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->kind = kind;
	list_init(&job->link);
	if (mail) {
		job->worker = mail->worker;
		job->session = mail->session;
		job->serial = mail->serial;
	}
	return job;
}

static void job_free(struct job *job)
{
	list_remove(&job->link);
	channels_free(job->channels);
	free(job);
}

static struct job *job_of(struct list *link)
{
	return LIST_ENTRY(link, struct job, link);
}

static void tell_end(struct hub *hub, const struct job *job,
		     enum mail_kind kind, bool ok)
{
	hub_tell_end(hub->local, job->worker, (int)kind, job->session,
		     job->serial, ok);
}

/* Sends a statement; its answer belongs to the job, which is taken. */
static void send_job(struct hub *hub, struct job *job, struct buf *sql)
{
	assert(hub->server);
	pgbuild_query(server_out(hub->server), (const char *)buf_head(sql),
		      buf_len(sql));
	server_owe(hub->server, TRACK_QUERY, 0, NULL);
	job->sent_us = now_of(hub);
	list_append(&hub->jobs, &job->link);
	buf_free(sql);
}

static void fail_wants(struct hub *hub, struct list *jobs)
{
	LIST_FOREACH_SAFE (link, jobs) {
		if (job_of(link)->kind == JOB_WANT)
			tell_end(hub, job_of(link), MAIL_HEARD_TOKEN, false);
		job_free(job_of(link));
	}
}

static void pass_all(struct hub *hub, struct list *barriers)
{
	LIST_FOREACH_SAFE (link, barriers) {
		tell_end(hub, job_of(link), MAIL_HEARD_PAST, true);
		job_free(job_of(link));
	}
}

/* An empty query: what the server sends before its end came before it. */
static void send_barrier(struct hub *hub)
{
	struct buf sql = BUF_INIT;

	buf_append(&sql, ";", 1);
	list_move_all(&hub->passing, &hub->waiting);
	send_job(hub, job_new(JOB_BARRIER, NULL), &sql);
}

static void send_want(struct hub *hub, struct job *want)
{
	struct buf sql = BUF_INIT;
	char token[HUB_TOKEN_ROOM];

	for (size_t i = 0; i < channels_count(want->channels); i++) {
		const char *name = channels_at(want->channels, i);

		if (strmap_get(hub->channels, name)) /* else dropped again */
			channels_listen(&sql, name);
	}
	hub_token_write(token, want->worker, want->session, want->serial);
	channels_notify(&sql, hub_token_channel(hub->local->process), token);
	send_job(hub, want, &sql);
}

/* --- opening --- */

static void send_setup(struct hub *hub)
{
	struct buf sql = BUF_INIT;

	/* Alone: what the role has set may be too short for the rest. */
	buf_printf(&sql, "SET statement_timeout TO 0;");
	send_job(hub, job_new(JOB_SETUP, NULL), &sql);
	buf_printf(&sql, "SET client_encoding TO '%s';", hub->encoding);
	buf_printf(&sql, "SET application_name TO 'pgweir listener';"
			 "SET synchronous_commit TO off;"
			 "SELECT pg_catalog.set_config(name,'0',false) "
			 "FROM pg_catalog.pg_settings WHERE name IN ("
			 "'lock_timeout','idle_session_timeout',"
			 "'transaction_timeout');");
	channels_listen(&sql, hub_token_channel(hub->local->process));
	send_job(hub, job_new(JOB_SETUP, NULL), &sql);
}

static void send_channels(struct hub *hub)
{
	struct buf sql = BUF_INIT;
	const char *name;
	void *value;
	size_t at = 0;

	while (strmap_next(hub->channels, &at, &name, &value)) {
		channels_listen(&sql, name);
		if (buf_len(&sql) > LISTEN_CHUNK)
			send_job(hub, job_new(JOB_SETUP, NULL), &sql);
	}
	buf_append(&sql, ";", 1);
	send_job(hub, job_new(JOB_READY, NULL), &sql);
}

static void tell_gap(struct hub *hub)
{
	for (unsigned i = 0; i < hub->local->process->worker_count; i++)
		hub_tell_gap(hub->local, i, hub->key);
}

static void come_up(struct hub *hub)
{
	hub->state = HUB_UP;
	hub->failures = 0;
	metrics_gauge(hub->cell, GAUGE_LISTENERS, 0, 0, 1);
	log_info("listener %s db=%s: up, backend %u, %zu channels", hub->label,
		 hub->database, server_pid(hub->server),
		 strmap_count(hub->channels));
	if (hub->has_been_up)
		tell_gap(hub);
	hub->has_been_up = true;
	LIST_FOREACH_SAFE (link, &hub->wants) {
		list_remove(link);
		send_want(hub, job_of(link));
	}
}

static void close_site(struct hub *hub)
{
	metrics_close(hub->site.totals);
	metrics_close(hub->site.pool_cell);
	metrics_close(hub->site.backend_cell);
	metrics_close(hub->site.node_cell);
	free(hub->label);
	free(hub->host);
	hub->site = (struct server_site){ 0 };
	hub->label = NULL;
	hub->host = NULL;
}

static void go_down(struct hub *hub)
{
	uint64_t pause_us = RETRY_FIRST_US;

	if (hub->state == HUB_UP)
		metrics_gauge(hub->cell, GAUGE_LISTENERS, 0, 0, -1);
	hub->server = NULL;
	hub->state = HUB_DOWN;
	fail_wants(hub, &hub->jobs);
	fail_wants(hub, &hub->wants);
	pass_all(hub, &hub->passing);
	pass_all(hub, &hub->waiting);
	for (unsigned i = 0; i < hub->failures && pause_us < RETRY_MAX_US; i++)
		pause_us *= 2;
	hub->failures++;
	hub_set_timer(hub, pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US);
}

static const struct server_pool_hooks pool_hooks;
static const struct server_user_hooks user_hooks;

static void open_site(struct hub *hub, const struct config_node *node)
{
	struct metrics *metrics = hub->local->process->metrics;
	struct metrics_labels labels = { .database = hub->database,
					 .user = hub->login->user,
					 .backend = node->label };

	close_site(hub);
	hub->label = xstrdup(node->label);
	hub->host = xstrdup(node->host);
	hub->site = (struct server_site){
		.local = hub->local,
		.label = hub->label,
		.host = hub->host,
		.database = hub->database,
		.dbname = hub->login->dbname,
		.user = hub->login->user,
		.credentials = hub->login->credentials,
		.totals = metrics_open(metrics, METRICS_DATABASE, &labels),
		.pool_cell = metrics_open(metrics, METRICS_POOL, &labels),
		.backend_cell = metrics_open(metrics, METRICS_BACKEND, &labels),
		.node_cell = metrics_open(metrics, METRICS_NODE, &labels),
		.hooks = &pool_hooks,
		.owner = hub,
	};
}

int hub_link_primary(const struct hub *hub)
{
	const struct local *local = hub->local;
	const struct config_database *line =
		config_find_database(local_config(local), hub->database);

	if (!line || !local->topology)
		return -1;
	return topology_primary(local->topology, line->nodes, line->node_count);
}

void hub_link_open(struct hub *hub)
{
	const struct local *local = hub->local;
	int node = hub_link_primary(hub);

	assert(!hub->server && hub->state == HUB_DOWN);
	if (node < 0 || !local->addresses[node].is_known ||
	    changes_is_shut(local->process->changes, hub->login->dbname,
			    now_of(hub))) {
		go_down(hub);
		return;
	}
	open_site(hub, &local_config(local)->nodes[node]);
	hub->site.node = (unsigned)node;
	hub->server = server_open(&hub->site, &local->addresses[node].address,
				  local->addresses[node].len);
	if (hub->server)
		hub->state = HUB_OPENING;
	else
		go_down(hub);
}

/* --- what the server tells --- */

static void on_opened(void *owner, struct server *server)
{
	struct hub *hub = owner;

	server_attach(server, &user_hooks, hub);
	hub_set_timer(hub, CHECK_US);
	send_setup(hub);
	send_channels(hub);
}

static void on_failed(void *owner, struct server *server, const char *sqlstate,
		      const char *why)
{
	struct hub *hub = owner;

	(void)server;
	(void)sqlstate;
	/* Once: it may try for a long time. */
	log_write(hub->failures == 0 ? LEVEL_WARNING : LEVEL_DEBUG,
		  "listener %s db=%s: no connection (%s), trying again",
		  hub->label, hub->database, why);
	go_down(hub);
}

static void on_rested(void *owner, struct server *server)
{
	(void)owner;
	(void)server;
}

static void on_gone(void *owner, struct server *server)
{
	(void)server;
	go_down(owner);
}

static const struct server_pool_hooks pool_hooks = {
	.opened = on_opened,
	.failed = on_failed,
	.rested = on_rested,
	.gone = on_gone,
};

static void on_lost(void *user, const struct server_loss *loss)
{
	const struct hub *hub = user;

	if (hub_is_unused(hub))
		return;
	metrics_count(hub->cell, COUNTER_LISTENER_LOSSES, 0, 0, 1);
	log_warning("listener %s db=%s: connection lost (%s), notifications "
		    "may be missed until it is back",
		    hub->label, hub->database, loss->why);
}

static bool on_bytes(void *user, const void *data, size_t len)
{
	(void)user;
	(void)data;
	(void)len;
	return false;
}

static void on_erred(void *user, const char *sqlstate)
{
	struct hub *hub = user;

	hub->has_erred = true;
	log_warning("listener %s db=%s: a statement of ours failed (%s)",
		    hub->label, hub->database, sqlstate);
}

static void on_ready(void *user, char status)
{
	struct hub *hub = user;
	struct list *link = list_first(&hub->jobs);
	bool ok = !hub->has_erred;
	struct job *job;

	(void)status;
	assert(link);
	job = job_of(link);
	hub->is_silent = false;
	hub->has_erred = false;
	list_remove(link);
	if (!ok && (job->kind == JOB_SETUP || job->kind == JOB_READY))
		server_close(hub->server, METRICS_CLOSE_OTHER,
			     "cannot listen here");
	else if (job->kind == JOB_READY)
		come_up(hub);
	else if (!ok && job->kind == JOB_WANT)
		tell_end(hub, job, MAIL_HEARD_TOKEN, false);
	if (job->kind == JOB_BARRIER)
		pass_all(hub, &hub->passing);
	if (job->kind == JOB_BARRIER && !list_is_empty(&hub->waiting))
		send_barrier(hub);
	job_free(job);
}

/* To each worker once; the token only to the one that it was made for. */
static void on_notified(void *user, const struct pgwire_message *message)
{
	struct hub *hub = user;
	struct process *process = hub->local->process;
	struct pgwire_notification heard;
	const struct hub_channel *channel;
	struct job token = { 0 };
	uint32_t pid;

	hub->is_silent = false;
	if (!pgwire_read_notification(message, &heard))
		return;
	if (strcmp(heard.channel, hub_token_channel(process)) == 0) {
		if (hub_token_read(heard.payload, &token.worker, &token.session,
				   &token.serial) &&
		    token.worker < process->worker_count)
			tell_end(hub, &token, MAIL_HEARD_TOKEN, true);
		return;
	}
	channel = strmap_get(hub->channels, heard.channel);
	if (!channel)
		return;
	metrics_count(hub->cell, COUNTER_NOTIFICATIONS, 0, 0, 1);
	pid = notifiers_find(process->notifiers, hub->label, heard.pid);
	for (unsigned i = 0; i < process->worker_count; i++)
		if (channel->by_worker[i] > 0)
			hub_tell_heard(hub->local, i, hub->key, pid,
				       heard.channel, heard.payload);
}

static void on_nothing(void *user)
{
	(void)user;
}

static void on_settled(void *user, const struct track_entry *entry, bool ok)
{
	(void)user;
	(void)entry;
	(void)ok;
}

static void on_deallocated(void *user, bool is_discard_all)
{
	(void)user;
	(void)is_discard_all;
}

static bool on_reported(void *user, const char *name, const char *value,
			bool is_ours)
{
	(void)user;
	(void)name;
	(void)value;
	(void)is_ours;
	return false;
}

static bool on_spares(void *user, const char *sqlstate)
{
	(void)user;
	(void)sqlstate;
	return false;
}

static bool on_holds(void *user, char status)
{
	(void)user;
	(void)status;
	return false;
}

static const struct server_user_hooks user_hooks = {
	.bytes = on_bytes,
	.ready = on_ready,
	.applied = on_nothing,
	.holds = on_holds,
	.notified = on_notified,
	.settled = on_settled,
	.deallocated = on_deallocated,
	.reported = on_reported,
	.erred = on_erred,
	.drained = on_nothing,
	.spares = on_spares,
	.lost = on_lost,
};

/* --- for the other room --- */

void hub_link_close(struct hub *hub)
{
	if (hub->server)
		server_close(hub->server, METRICS_CLOSE_OTHER,
			     "nobody listens");
	close_site(hub);
}

void hub_link_want(struct hub *hub, struct mail_hub *mail)
{
	struct job *want = job_new(JOB_WANT, mail);

	want->channels = mail->channels;
	mail->channels = NULL;
	if (hub->state == HUB_UP)
		send_want(hub, want);
	else
		list_append(&hub->wants, &want->link);
}

void hub_link_fail_wants(struct hub *hub)
{
	fail_wants(hub, &hub->wants);
}

void hub_link_barrier(struct hub *hub, const struct mail_hub *mail)
{
	struct job *barrier = job_new(JOB_BARRIER, mail);

	list_append(&hub->waiting, &barrier->link);
	if (hub->state != HUB_UP)
		pass_all(hub, &hub->waiting);
	else if (list_is_empty(&hub->passing))
		send_barrier(hub);
}

void hub_link_say(struct hub *hub, struct buf *sql)
{
	if (hub->server && server_state(hub->server) == SERVER_ACTIVE)
		send_job(hub, job_new(JOB_OTHER, NULL), sql);
	buf_free(sql);
}

void hub_link_check(struct hub *hub)
{
	struct list *link = list_first(&hub->jobs);
	struct buf sql = BUF_INIT;

	/* While it logs in it has a time limit of its own. */
	hub_set_timer(hub, CHECK_US);
	if (server_state(hub->server) != SERVER_ACTIVE)
		return;
	if (!link) {
		buf_append(&sql, ";", 1);
		hub_link_say(hub, &sql);
	} else if (hub->is_silent &&
		   now_of(hub) >= job_of(link)->sent_us + SILENCE_US) {
		server_close(hub->server, METRICS_CLOSE_TIMEOUT,
			     "it does not answer");
	}
	hub->is_silent = true;
}
