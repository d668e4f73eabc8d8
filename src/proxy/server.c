/*
 * A server connection's life: opening, use by one session after another,
 * cleaning in between, moving to another worker, closing.
 *
 * Rules: it is called idle only when the protocol state is proved idle (the
 * queue of owed replies is empty and the last ReadyForQuery said 'I') and
 * the session state is known; whatever cannot be brought there is closed.
 * The states and the moves between them stand in one table.
 */
#include "proxy/server.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/config.h"
#include "core/login.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/settings.h"
#include "core/stmtmap.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/local.h"
#include "proxy/server_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned moves; /* bits of the states that may follow */
	enum metrics_server_state shown;
} states[] = {
#define TO(state) (1U << SERVER_##state)
	[SERVER_CONNECTING] = { "connecting",
				TO(SECURING) | TO(LOGIN) | TO(CLOSED),
				METRICS_SERVER_LOGIN },
	[SERVER_SECURING] = { "securing", TO(LOGIN) | TO(CLOSED),
			      METRICS_SERVER_LOGIN },
	[SERVER_LOGIN] = { "login", TO(IDLE) | TO(CLOSED),
			   METRICS_SERVER_LOGIN },
	[SERVER_IDLE] = { "idle", TO(ACTIVE) | TO(MOVING) | TO(CLOSED),
			  METRICS_SERVER_IDLE },
	[SERVER_ACTIVE] = { "active", TO(CLEANING) | TO(IDLE) | TO(CLOSED),
			    METRICS_SERVER_ACTIVE },
	[SERVER_CLEANING] = { "cleaning", TO(IDLE) | TO(CLOSED),
			      METRICS_SERVER_USED },
	[SERVER_MOVING] = { "moving", TO(IDLE), METRICS_SERVER_IDLE },
	[SERVER_CLOSED] = { "closed", 0, METRICS_SERVER_IDLE },
#undef TO
};

/* A server that does not get clean in this time is closed. */
enum { CLEANING_LIMIT_US = 60 * 1000000 };

void server_count(const struct server *server, int change)
{
	const struct server_site *site = server->site;
	unsigned shown = states[server->state].shown;
	unsigned role =
		site->is_replica ? METRICS_ROLE_REPLICA : METRICS_ROLE_PRIMARY;

	metrics_gauge(site->backend_cell, GAUGE_SERVER_CONNECTIONS, role, shown,
		      change);
	metrics_gauge(site->pool_cell, GAUGE_POOL_SERVERS, shown, 0, change);
}

static void set_state(struct server *server, enum server_state state)
{
	assert(states[server->state].moves & (1U << state));
	server_count(server, -1);
	server->state = state;
	if (state != SERVER_CLOSED && state != SERVER_MOVING)
		server_count(server, 1);
}

const char *server_state_name(enum server_state state)
{
	return states[state].name;
}

/* --- ending --- */

static void drop_note(void *arg, const struct track_entry *entry)
{
	(void)arg;
	server_note_free(entry->note);
}

static void free_server(struct server *server)
{
	track_free(server->track, drop_note, NULL);
	stmtset_free(server->statements);
	server_forget_guests(server);
	strmap_free(server->parameters, free);
	buf_free(&server->parameter_names);
	settings_release(server->settings);
	login_free(server->login);
	util_wipe(server->key, sizeof(server->key));
	buf_free(&server->last_words);
	buf_free(&server->withheld);
	buf_free(&server->described);
	free(server->failure);
	free(server);
}

/* A cancel request under way still names the server: it frees it then. */
static void bury(struct worker_task *task)
{
	struct server *server = LIST_ENTRY(task, struct server, burial);

	if (server->cancels == 0)
		free_server(server);
	else
		server->is_buried = true;
}

static bool is_logged_in(enum server_state state)
{
	return state >= SERVER_IDLE;
}

/* What a reason alone does not say. */
static const char *kind_of_loss(const struct server *server,
				enum metrics_close_reason reason)
{
	bool is_lost = reason == METRICS_CLOSE_PEER && !server->failure;

	/* Not even TCP: behind that, TLS is asked for in this state. */
	if (server->state == SERVER_CONNECTING && !server->is_asking_tls &&
	    (is_lost || reason == METRICS_CLOSE_TIMEOUT))
		return "connect failed: ";
	return is_lost ? "server conn crashed? " : "";
}

static void log_closed(const struct server *server,
		       enum metrics_close_reason reason, const char *why)
{
	const struct server_site *site = server->site;
	uint64_t age_us = local_now(site->local) - server->opened_us;

	if (!is_logged_in(server->state) && site->is_quiet)
		log_debug("server %s/%s@%s login failed again: %s",
			  site->database, site->user, site->label, why);
	else if (local_settings(site->local)->log_disconnections ||
		 !is_logged_in(server->state))
		log_info("server %s/%s@%s closing because: %s%s (age=%us, "
			 "state=%s, backend=%u)",
			 site->database, site->user, site->label,
			 kind_of_loss(server, reason), why,
			 (unsigned)(age_us / 1000000),
			 states[server->state].name, server->pid);
}

static void tell_closed(struct server *server, bool was_in, const char *why)
{
	const struct server_user_hooks *hooks = server->hooks;
	void *user = server->user;
	const struct server_loss loss = {
		.sqlstate = server->failure_state,
		.why = why,
		.words = buf_head(&server->last_words),
		.words_len = buf_len(&server->last_words),
		.is_replica = server->site->is_replica,
		.sent = stream_tls(server->stream)
				? UINT64_MAX
				: stream_bytes_out(server->stream),
	};

	server->hooks = NULL;
	server->user = NULL;
	if (hooks)
		hooks->lost(user, &loss);
	if (was_in)
		server->site->hooks->gone(server->site->owner, server);
	else
		server->site->hooks->failed(server->site->owner, server,
					    server->failure_state, why);
}

void server_close(struct server *server, enum metrics_close_reason reason,
		  const char *why)
{
	bool was_in = is_logged_in(server->state);
	bool is_polite = server->state == SERVER_IDLE;
	bool is_own;
	char *text;

	if (server->state == SERVER_CLOSED)
		return;
	is_own = server->site->own != NULL;
	text = xstrdup(why);
	log_closed(server, reason, text);
	if (was_in)
		metrics_count(server->site->node_cell, COUNTER_SERVER_CLOSED,
			      reason, 0, 1);
	set_state(server, SERVER_CLOSED);
	wheel_unset(&server->timer);
	list_remove(&server->link);
	if (is_polite)
		pgbuild_empty(stream_out(server->stream), 'X');
	/* Of its own: whatever its client has said is said. */
	stream_close(server->stream, is_polite || is_own);
	tell_closed(server, was_in, text);
	worker_free_later(server->site->local->worker, &server->burial);
	free(text);
}

void server_forsake(struct server *server)
{
	if (!is_logged_in(server->state) ||
	    (server->hooks && server->hooks->may_lose &&
	     server->hooks->may_lose(server->user)))
		server_close(server, METRICS_CLOSE_NODE_DOWN, "node is down");
}

/* A server that leaves by itself may be the first of all of its node. */
static void tell_trouble(const struct server *server)
{
	const struct server_site *site = server->site;
	const struct process *process = site->local->process;

	if (is_logged_in(server->state))
		process->node_trouble(process->arg, site->label);
}

/* The protocol was broken, or a FATAL came: failure has the words. */
static void close_broken(struct server *server)
{
	tell_trouble(server);
	server_close(server, METRICS_CLOSE_PROTO,
		     server->failure ? server->failure : "protocol violation");
}

/* --- cleaning --- */

static void send_ours(struct server *server, const char *sql)
{
	pgbuild_query(stream_out(server->stream), sql, strlen(sql));
	track_push(server->track, TRACK_QUERY, TRACK_OURS, NULL);
}

/* In a batch, of which the server has answered all that it has. */
static void roll_batch_back(struct server *server)
{
	static const uint8_t text[] = "ROLLBACK\0\0"; /* no parameters */
	static const uint8_t bind[8] = { 0 };         /* nothing of all */
	static const uint8_t execute[5] = { 0 };      /* all of "" */
	struct buf *out = stream_out(server->stream);

	server->unnamed = 0;
	pgbuild_parse(out, "", text, sizeof(text));
	track_push(server->track, TRACK_PARSE, TRACK_OURS, NULL);
	pgbuild_message(out, 'B', bind, sizeof(bind));
	track_push(server->track, TRACK_BIND, TRACK_OURS, NULL);
	pgbuild_message(out, 'E', execute, sizeof(execute));
	track_push(server->track, TRACK_EXECUTE, TRACK_OURS, NULL);
}

/*
 * A batch without its Sync, outside of a block, is a transaction that its
 * client did not end: PostgreSQL undoes it when the client is lost, and a
 * Sync would commit it.  What is still to be answered may begin a COPY, into
 * which nothing else must be sent.
 */
static void end_batch(struct server *server)
{
	struct buf *out = stream_out(server->stream);

	if (!track_is_skipping(server->track)) {
		if (track_owed(server->track) > 0) {
			pgbuild_empty(out, 'H');
			return;
		}
		if (server->status == 'I')
			roll_batch_back(server);
	}
	pgbuild_empty(out, 'S');
	track_push(server->track, TRACK_SYNC, TRACK_OURS, NULL);
}

static void end_copy_and_batch(struct server *server)
{
	struct buf *out = stream_out(server->stream);

	if (track_is_copy_in(server->track)) {
		pgbuild_message(out, 'f', "client has left", 16);
		track_push(server->track, TRACK_COPY_END, TRACK_OURS, NULL);
	}
	if (track_is_batch_open(server->track))
		end_batch(server);
}

/* Empty is meant for session pooling: others must not meet what is left. */
static const char *reset_query(const struct server *server)
{
	const char *query =
		local_settings(server->site->local)->server_reset_query;

	return query && *query ? query : "DISCARD ALL";
}

static void forget_session(struct server *server)
{
	server_forget_guests(server);
	stmtset_clear(server->statements);
	settings_release(server->settings);
	server->settings = settings_empty();
	server->unnamed = 0;
	server->drawer = 0;
	server->is_dirty = false;
}

static void rest(struct server *server)
{
	wheel_unset(&server->timer);
	set_state(server, SERVER_IDLE);
	server->idle_since_us = local_now(server->site->local);
	server->site->hooks->rested(server->site->owner, server);
}

/* One step towards clean; called again when its reply is here. */
static void clean(struct server *server)
{
	server->is_clean_due = false;
	if (server->is_mid_message) {
		server_close(server, METRICS_CLOSE_CLIENT_GONE,
			     "client left in the middle of a message");
		return;
	}
	if (!track_is_idle(server->track)) {
		end_copy_and_batch(server);
		return;
	}
	/* It must not hit what is sent here, either. */
	if (server->cancels > 0)
		return;
	if (server->status != 'I') {
		send_ours(server, "ROLLBACK");
	} else if (server->is_spent) {
		server_close(server, METRICS_CLOSE_LIFETIME,
			     "its session has changed it for good");
	} else if (server->is_dirty) {
		forget_session(server);
		send_ours(server, reset_query(server));
		server->is_query_due = server->site->connect_query != NULL;
	} else if (server->is_query_due) {
		server->is_query_due = false;
		send_ours(server, server->site->connect_query);
	} else if (!server_dismiss_guests(server)) {
		rest(server);
	}
}

/* Nothing to clean: how most transactions leave it. */
static bool is_clean(const struct server *server)
{
	return server->status == 'I' && !server->is_dirty &&
	       !server_has_guests(server) && !server->is_spent &&
	       !server->is_mid_message && server->cancels == 0 &&
	       track_is_idle(server->track);
}

void server_detach(struct server *server)
{
	assert(server->state == SERVER_ACTIVE);
	server->hooks = NULL;
	server->user = NULL;
	local_count_flow(server->site->totals, METRICS_SIDE_SERVER,
			 server->stream, &server->counted);
	stream_pause(server->stream, false);
	if (is_clean(server)) {
		server->is_clean_due = false;
		rest(server);
		return;
	}
	set_state(server, SERVER_CLEANING);
	clean(server);
	if (server->state == SERVER_CLEANING)
		wheel_set(worker_wheel(server->site->local->worker),
			  &server->timer,
			  local_now(server->site->local) + CLEANING_LIMIT_US);
}

void server_attach(struct server *server, const struct server_user_hooks *hooks,
		   void *user)
{
	assert(server->state == SERVER_IDLE && !server->hooks);
	server->hooks = hooks;
	server->user = user;
	server->run_type = 0;
	set_state(server, SERVER_ACTIVE);
}

struct stream *server_hand_over(struct server *server,
				stream_callback *callback, void *owner)
{
	assert(server->state == SERVER_IDLE && server->site->own);
	stream_set_owner(server->stream, callback, owner);
	set_state(server, SERVER_ACTIVE);
	return server->stream;
}

void server_end_cancel(struct server *server)
{
	assert(server->cancels > 0);
	if (--server->cancels > 0)
		return;
	if (server->is_buried)
		free_server(server);
	else if (server->state == SERVER_CLEANING)
		clean(server);
}

/* --- events --- */

static void opened(struct server *server)
{
	const struct server_site *site = server->site;
	const struct tls *tls = stream_tls(server->stream);
	uint64_t now_us = local_now(site->local);
	unsigned role =
		site->is_replica ? METRICS_ROLE_REPLICA : METRICS_ROLE_PRIMARY;

	wheel_unset(&server->timer);
	metrics_observe(site->totals, HISTOGRAM_SERVER_CONNECT, role,
			now_us - server->opened_us);
	if (local_settings(site->local)->log_connections)
		log_info("server %s/%s@%s new connection to server "
			 "(backend=%u, tls=%s)",
			 site->database, site->user, site->label, server->pid,
			 tls ? tls_version(tls) : "no");
	set_state(server, SERVER_IDLE);
	server->opened_us = now_us;
	server->idle_since_us = now_us;
	site->hooks->opened(site->owner, server);
}

static void take_step(struct server *server, enum server_step step)
{
	if (step == SERVER_STEP_FAILED)
		close_broken(server);
	else if (step == SERVER_STEP_DONE && server->state == SERVER_CONNECTING)
		set_state(server, SERVER_SECURING);
	else if (step == SERVER_STEP_DONE)
		opened(server);
	else if (server->state == SERVER_CONNECTING && !server->is_asking_tls)
		set_state(server, SERVER_LOGIN);
}

static void on_data(struct server *server)
{
	size_t before;
	size_t after = 0;

	if (!is_logged_in(server->state)) {
		take_step(server, server_login_read(server));
		return;
	}
	do {
		(void)stream_data(server->stream, &before);
		if (!server_replies_read(server)) {
			close_broken(server);
			return;
		}
		if (server->state == SERVER_CLOSED)
			return;
		if (server->is_clean_due && server->state == SERVER_CLEANING)
			clean(server);
		if (server->state == SERVER_CLOSED)
			return;
		(void)stream_data(server->stream, &after);
	} while (after > 0 && after < before);
}

static void on_closed(struct server *server)
{
	const char *why = stream_error(server->stream);

	tell_trouble(server);
	if (server->failure && buf_len(&server->last_words) > 0)
		why = server->failure;
	else if (is_logged_in(server->state))
		server->failure_state[0] = '\0'; /* of another statement */
	server_close(server, METRICS_CLOSE_PEER, why);
}

static void on_drained(struct server *server)
{
	if (!server->hooks)
		return;
	server->is_slowing = false;
	server->hooks->drained(server->user);
}

static void on_event(void *owner, enum stream_event event)
{
	struct server *server = owner;

	switch (event) {
	case STREAM_CONNECTED:
		take_step(server, server_login_begin(server));
		break;
	case STREAM_SECURED:
		local_count_tls(server->site->local, METRICS_SIDE_SERVER,
				stream_tls(server->stream));
		set_state(server, SERVER_LOGIN);
		server_login_secured(server);
		break;
	case STREAM_DATA: on_data(server); break;
	case STREAM_DRAINED: on_drained(server); break;
	case STREAM_CLOSED: on_closed(server); break;
	default: break;
	}
}

static void on_timer(struct wheel_timer *timer)
{
	struct server *server = LIST_ENTRY(timer, struct server, timer);

	if (server->state == SERVER_CLEANING)
		server_close(server, METRICS_CLOSE_TIMEOUT,
			     "did not become idle after its client left");
	else
		server_close(server, METRICS_CLOSE_TIMEOUT,
			     "connect timeout (server_connect_timeout)");
}

struct server *server_open(const struct server_site *site,
			   const struct sockaddr_storage *address,
			   socklen_t address_len)
{
	struct local *local = site->local;
	const struct config_settings *settings = local_settings(local);
	struct stream_options options = local_stream_options(local);
	struct server *server = xcalloc(1, sizeof(*server));
	size_t limit = settings->max_prepared_statements > 0
			       ? (size_t)settings->max_prepared_statements
			       : 1;

	server->site = site;
	server->stream = stream_connect(local->worker, address, address_len,
					&options, on_event, server);
	if (!server->stream) {
		free(server);
		return NULL;
	}
	server->address = *address;
	server->address_len = address_len;
	server->begun_us = local_now(local);
	server->opened_us = server->begun_us;
	server->track = track_new();
	server->statements = stmtset_new(limit);
	server->parameters = strmap_new();
	server->settings = settings_empty();
	list_init(&server->link);
	worker_task_init(&server->burial, bury);
	wheel_timer_init(&server->timer, on_timer);
	if (settings->server_connect_timeout_us > 0)
		wheel_set(worker_wheel(local->worker), &server->timer,
			  server->opened_us +
				  settings->server_connect_timeout_us);
	server_count(server, 1);
	return server;
}

/* --- facts --- */

const struct buf *server_last_words(const struct server *server)
{
	return &server->last_words;
}

enum server_state server_state(const struct server *server)
{
	return server->state;
}

const struct server_site *server_site(const struct server *server)
{
	return server->site;
}

struct list *server_link(struct server *server)
{
	return &server->link;
}

struct server *server_of_link(struct list *link)
{
	return LIST_ENTRY(link, struct server, link);
}

uint64_t server_opened_us(const struct server *server)
{
	return server->opened_us;
}

uint64_t server_begun_us(const struct server *server)
{
	return server->begun_us;
}

uint64_t server_idle_since_us(const struct server *server)
{
	return server->idle_since_us;
}

uint32_t server_pid(const struct server *server)
{
	return server->pid;
}

uint64_t server_notifier(const struct server *server)
{
	return server->notifier;
}

const char *server_tls_version(const struct server *server)
{
	const struct tls *tls = stream_tls(server->stream);

	return tls ? tls_version(tls) : "";
}

size_t server_statements(const struct server *server)
{
	return stmtset_count(server->statements);
}

const struct strmap *server_parameters(const struct server *server)
{
	return server->parameters;
}

bool server_parameter_at(const struct server *server, size_t *at,
			 const char **name, const char **value)
{
	const struct buf *names = &server->parameter_names;

	if (*at >= buf_len(names))
		return false;
	*name = (const char *)buf_head(names) + *at;
	*value = strmap_get(server->parameters, *name);
	*at += strlen(*name) + 1;
	return true;
}

/* --- moving --- */

bool server_park(struct server *server)
{
	assert(server->state == SERVER_IDLE);
	if (stream_out_len(server->stream) > 0)
		stream_flush(server->stream);
	if (stream_out_len(server->stream) > 0 ||
	    !stream_is_open(server->stream))
		return false;
	list_remove(&server->link);
	set_state(server, SERVER_MOVING);
	stream_park(server->stream);
	server->site = NULL;
	return true;
}

void server_adopt(struct server *server, const struct server_site *site)
{
	assert(server->state == SERVER_MOVING && !server->site);
	server->site = site;
	stream_adopt(server->stream, site->local->worker, on_event, server);
	server->state = SERVER_IDLE;
	server_count(server, 1);
}

void server_free_parked(struct server *server)
{
	assert(server->state == SERVER_MOVING);
	stream_free_parked(server->stream);
	free_server(server);
}
