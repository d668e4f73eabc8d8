/*
 * Hubs: a connection each that listens for the clients of the process.
 *
 * Whoever wants a channel holds a reference of it, counted by worker; the
 * first makes the hub LISTEN, the last UNLISTEN.  Everything is sent down one
 * connection as it is asked for, so what is answered has been done in that
 * order, and a notification never overtakes the answer to what came before.
 *
 * A hub that loses its connection opens another, on whichever node is the
 * primary then, listens to everything again, and tells that something may
 * have been missed.  Until then requests fail at once; barriers hold nobody.
 * A hub without channels goes after a while.
 */
#include "proxy/hub.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "base/wheel.h"
#include "core/channels.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/settings.h"
#include "core/topology.h"
#include "proxy/hub_mail.h"
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
	UNUSED_US = 10 * 1000 * 1000,
	LISTEN_CHUNK = 64 * 1024 /* bytes of one text */
};

enum hub_state {
	HUB_DOWN,    /* no connection; the timer opens one */
	HUB_OPENING, /* up to the end of the first statements */
	HUB_UP
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
	struct channels *channels; /* of a want that waits */
};

struct hub_channel {
	unsigned references;
	unsigned by_worker[];
};

struct hub {
	struct local *local;
	char *key;
	char *database;
	char *encoding;
	struct hub_login *login;
	enum hub_state state;

	struct server_site site;
	char *label;
	char *host;
	struct server *server;
	struct list jobs;    /* sent, oldest first */
	struct list wants;   /* until it is up */
	struct list waiting; /* for the barrier after the one under way */
	struct list passing; /* for that one */
	bool has_erred;      /* the oldest job */
	bool has_been_up;
	unsigned failures;
	struct wheel_timer timer; /* to retry; to end when unused */
	struct strmap *channels;  /* name -> struct hub_channel */
};

static uint64_t now_of(const struct hub *hub)
{
	return local_now(hub->local);
}

static void set_timer(struct hub *hub, uint64_t span_us)
{
	wheel_set(worker_wheel(hub->local->worker), &hub->timer,
		  now_of(hub) + span_us);
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

	buf_printf(&sql, "SET client_encoding TO '%s';", hub->encoding);
	buf_printf(&sql, "SET application_name TO 'pgweir listener';"
			 "SET synchronous_commit TO off;"
			 "SELECT pg_catalog.set_config(name,'0',false) "
			 "FROM pg_catalog.pg_settings WHERE name IN ("
			 "'statement_timeout','lock_timeout',"
			 "'idle_session_timeout','transaction_timeout');");
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

	hub->server = NULL;
	hub->state = HUB_DOWN;
	fail_wants(hub, &hub->jobs);
	fail_wants(hub, &hub->wants);
	pass_all(hub, &hub->passing);
	pass_all(hub, &hub->waiting);
	for (unsigned i = 0; i < hub->failures && pause_us < RETRY_MAX_US; i++)
		pause_us *= 2;
	hub->failures++;
	set_timer(hub, pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US);
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

/* The primary of the database now, as a node of the snapshot, or -1. */
static int primary_of(const struct hub *hub)
{
	const struct local *local = hub->local;
	const struct config_database *line =
		config_find_database(local_config(local), hub->database);

	if (!line || !local->topology)
		return -1;
	return topology_primary(local->topology, line->nodes, line->node_count);
}

static void open_hub(struct hub *hub)
{
	const struct local *local = hub->local;
	int node = primary_of(hub);

	assert(!hub->server && hub->state == HUB_DOWN);
	if (node < 0 || !local->addresses[node].is_known) {
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
	send_setup(hub);
	send_channels(hub);
}

static void on_failed(void *owner, struct server *server, const char *sqlstate,
		      const char *why)
{
	struct hub *hub = owner;

	(void)server;
	(void)sqlstate;
	log_warning("listener %s db=%s: no connection (%s), trying again",
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

/* --- life --- */

static void free_hub(struct hub *hub)
{
	struct server *server = hub->server;

	if (server)
		server_close(server, METRICS_CLOSE_OTHER, "nobody listens");
	wheel_unset(&hub->timer);
	(void)strmap_remove(hub->local->hubs, hub->key);
	strmap_free(hub->channels, free);
	close_site(hub);
	hub_login_free(hub->login);
	free(hub->key);
	free(hub->database);
	free(hub->encoding);
	free(hub);
}

static bool is_unused(const struct hub *hub)
{
	return strmap_count(hub->channels) == 0 && list_is_empty(&hub->wants);
}

static void on_timer(struct wheel_timer *timer)
{
	struct hub *hub = LIST_ENTRY(timer, struct hub, timer);

	if (is_unused(hub))
		free_hub(hub);
	else if (hub->state == HUB_DOWN)
		open_hub(hub);
}

static struct hub *hub_new(struct local *local, struct mail_hub *mail)
{
	struct hub *hub = xcalloc(1, sizeof(*hub));

	hub->local = local;
	hub->key = hub_key(mail->database, mail->encoding);
	hub->database = xstrdup(mail->database);
	hub->encoding = xstrdup(mail->encoding);
	hub->channels = strmap_new();
	list_init(&hub->jobs);
	list_init(&hub->wants);
	list_init(&hub->waiting);
	list_init(&hub->passing);
	wheel_timer_init(&hub->timer, on_timer);
	(void)strmap_put(local->hubs, hub->key, hub);
	return hub;
}

/* --- mail --- */

static void hold_channels(struct hub *hub, const struct mail_hub *mail)
{
	unsigned workers = hub->local->process->worker_count;

	for (size_t i = 0; i < channels_count(mail->channels); i++) {
		const char *name = channels_at(mail->channels, i);
		struct hub_channel *channel = strmap_get(hub->channels, name);

		if (!channel) {
			channel =
				xcalloc(1, sizeof(*channel) +
						   workers * sizeof(unsigned));
			(void)strmap_put(hub->channels, name, channel);
		}
		channel->references++;
		channel->by_worker[mail->worker]++;
	}
}

static void drop_channels(struct hub *hub, const struct mail_hub *mail)
{
	struct buf sql = BUF_INIT;

	for (size_t i = 0; i < channels_count(mail->channels); i++) {
		const char *name = channels_at(mail->channels, i);
		struct hub_channel *channel = strmap_get(hub->channels, name);

		if (!channel || channel->by_worker[mail->worker] == 0)
			continue;
		channel->by_worker[mail->worker]--;
		if (--channel->references > 0)
			continue;
		free(strmap_remove(hub->channels, name));
		channels_unlisten(&sql, name);
	}
	/* While it opens, too: the LISTEN stands in front of it. */
	if (buf_len(&sql) > 0 && hub->server &&
	    server_state(hub->server) == SERVER_ACTIVE)
		send_job(hub, job_new(JOB_OTHER, NULL), &sql);
	buf_free(&sql);
	if (is_unused(hub))
		set_timer(hub, UNUSED_US);
}

/* The newest credentials are the best. */
static void take_login(struct hub *hub, struct mail_hub *mail)
{
	if (hub->server)
		return;
	hub_login_free(hub->login);
	hub->login = mail->login;
	mail->login = NULL;
}

static void take_want(struct hub *hub, struct mail_hub *mail)
{
	struct job *want = job_new(JOB_WANT, mail);
	bool is_first = !hub->login;

	take_login(hub, mail);
	hold_channels(hub, mail);
	want->channels = mail->channels;
	mail->channels = NULL;
	if (hub->state == HUB_UP) {
		wheel_unset(&hub->timer);
		send_want(hub, want);
		return;
	}
	list_append(&hub->wants, &want->link);
	/* After a failure nobody waits for the next attempt. */
	if (is_first)
		open_hub(hub);
	else if (hub->state == HUB_DOWN)
		fail_wants(hub, &hub->wants);
}

static void take_barrier(struct hub *hub, const struct mail_hub *mail)
{
	struct job *barrier = job_new(JOB_BARRIER, mail);

	list_append(&hub->waiting, &barrier->link);
	if (hub->state != HUB_UP)
		pass_all(hub, &hub->waiting);
	else if (list_is_empty(&hub->passing))
		send_barrier(hub);
}

static void take(struct local *local, struct mail_hub *mail)
{
	char *key = hub_key(mail->database, mail->encoding);
	struct hub *hub = strmap_get(local->hubs, key);

	free(key);
	if (!hub && mail->mail.kind == MAIL_HUB_WANT)
		hub = hub_new(local, mail);
	if (!hub) {
		if (mail->mail.kind == MAIL_HUB_BARRIER)
			hub_tell_end(local, mail->worker, MAIL_HEARD_PAST,
				     mail->session, mail->serial, true);
		return;
	}
	switch (mail->mail.kind) {
	case MAIL_HUB_WANT: take_want(hub, mail); break;
	case MAIL_HUB_DROP: drop_channels(hub, mail); break;
	default: take_barrier(hub, mail);
	}
}

bool hubs_take_mail(struct local *local, struct mail *mail)
{
	if (mail->kind != MAIL_HUB_WANT && mail->kind != MAIL_HUB_DROP &&
	    mail->kind != MAIL_HUB_BARRIER)
		return false;
	if (!local->is_stopped)
		take(local, (struct mail_hub *)mail);
	mail_hub_free((struct mail_hub *)mail);
	return true;
}

/* --- the world --- */

/* Its connection is to a node that is no longer the primary. */
static bool is_misplaced(const struct hub *hub)
{
	int node = primary_of(hub);

	return hub->server && node >= 0 &&
	       strcmp(local_config(hub->local)->nodes[node].label,
		      hub->label) != 0;
}

void hubs_refresh(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->hubs, &at, NULL, &value)) {
		struct hub *hub = value;

		if (is_misplaced(hub))
			server_close(hub->server, METRICS_CLOSE_OTHER,
				     "the primary is another node");
	}
}

void hubs_free(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->hubs, &at, NULL, &value)) {
		free_hub(value);
		at = 0;
	}
}
