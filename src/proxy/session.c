/*
 * Sessions: taking units, waiting for servers, giving them back.
 *
 * The pump is the one place where a session moves on.  It is called when the
 * client sends something, when a server is granted, and when a reply has
 * ended a unit; it goes round until it has to wait for one of these.
 *
 * Invariant: a session holds a server exactly in the state ACTIVE, and in
 * LOGIN while it learns how to greet; it stands in a queue exactly while
 * waiting_node >= 0.
 */
#include "proxy/session.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/route.h"
#include "core/track.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct server_user_hooks server_hooks;

static void pump(struct session *session);

static uint64_t now_of(const struct session *session)
{
	return local_now(session->local);
}

static unsigned role_of(const struct session *session)
{
	return server_site(session->server)->is_replica ? METRICS_ROLE_REPLICA
							: METRICS_ROLE_PRIMARY;
}

static bool is_in_transaction(const struct session *session)
{
	return session->server && server_status(session->server) != 'I';
}

/* --- giving back --- */

static bool is_keeping(const struct session *session)
{
	return session->pins != 0 || session->mode == POOL_MODE_SESSION;
}

/* The protocol state is proved idle, the session state known: give it back. */
static void release(struct session *session)
{
	struct server *server = session->server;

	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
	if (session->local->is_ending_sessions)
		session_fail(session, "57P01",
			     "terminating connection: pgweir is shutting down",
			     NULL);
}

static bool breaks_statement_mode(struct session *session, char status)
{
	if (session->mode != POOL_MODE_STATEMENT || status == 'I')
		return false;
	session_fail(
		session, "0A000",
		"transaction blocks are not allowed in statement pooling mode",
		"Use pool_mode = transaction.");
	return true;
}

static void release_if_done(struct session *session)
{
	if (!session_has_pending(session) && !session->is_mid_unit &&
	    !is_keeping(session) && server_is_idle(session->server))
		release(session);
	session_renew_limit(session);
}

static void on_ready(void *user, char status)
{
	struct session *session = user;

	session_note_unit(session, status);
	if (breaks_statement_mode(session, status))
		return;
	release_if_done(session);
	pump(session);
}

/* --- what the server tells --- */

static bool on_bytes(void *user, const void *data, size_t len)
{
	struct session *session = user;

	session_replay_forget(session);
	stream_forward(session->client, data, len);
	return stream_len_is_high(stream_out_len(session->client));
}

static void on_settled(void *user, const struct track_entry *entry, bool ok)
{
	struct session *session = user;

	if (entry->op == TRACK_QUERY || entry->op == TRACK_FUNCTION ||
	    entry->op == TRACK_STRUCK)
		session_drop_unit(user);
	else
		relay_settled(user, entry, ok);
	if (session->is_moving &&
	    track_owed(server_track(session->server)) == 0)
		pump(session);
}

static void on_deallocated(void *user, bool is_discard_all)
{
	struct session *session = user;

	stmtmap_clear(session->names);
	if (!is_discard_all)
		return;
	session->pins = 0;
	session_reset_settings(session);
}

static void on_reported(void *user, const char *name, const char *value)
{
	session_note_reported(user, name, value);
}

/* Signs that the catalog has changed, or is not what it was taken for. */
static bool is_catalog_sign(const char *sqlstate)
{
	return strcmp(sqlstate, "42P01") == 0 ||
	       strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "25006") == 0;
}

static void on_erred(void *user, const char *sqlstate)
{
	struct session *session = user;

	session->has_erred = true;
	if (is_catalog_sign(sqlstate))
		session_want_catalog(session);
	log_debug("client %s db=%s: error %s from %s", session->address,
		  pool_database(session->pool), sqlstate,
		  server_site(session->server)->label);
}

/* The server is gone, or let go of: what is in flight begins again. */
static void repeat(struct session *session)
{
	session_replay_rewind(session);
	session_set_state(session, SESSION_IDLE);
	log_debug("client %s db=%s: a read that failed on a replica is "
		  "repeated on the primary",
		  session->address, pool_database(session->pool));
	pump(session);
}

static bool on_spares(void *user, const char *sqlstate)
{
	struct session *session = user;
	struct server *server = session->server;

	if (!session_replay_can(session) ||
	    !session_replay_is_fault(sqlstate) ||
	    !server_site(server)->is_replica)
		return false;
	session_replay_learn(session, sqlstate);
	session_want_catalog(session);
	session->server = NULL;
	server_detach(server);
	repeat(session);
	return true;
}

static const char *on_name_of(void *user, uint64_t id)
{
	const struct session *session = user;

	return stmtmap_name_of(session->names, id);
}

static void on_lost(void *user, const struct server_loss *loss)
{
	struct session *session = user;
	char text[256];

	session->server = NULL;
	if (session_replay_can(session)) {
		repeat(session);
		return;
	}
	if (loss->words_len > 0) {
		stream_write(session->client, loss->words, loss->words_len);
		session_end(session, true, loss->why);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s%.200s",
		       session->state == SESSION_LOGIN && *loss->sqlstate
			       ? ""
			       : "the server connection was lost: ",
		       loss->why);
	session_fail(session,
		     strlen(loss->sqlstate) == 5 ? loss->sqlstate : "08006",
		     text, NULL);
}

static void on_server_drained(void *user)
{
	struct session *session = user;

	stream_pause(session->client, false);
	pump(session);
}

static void on_applied(void *user)
{
	struct session *session = user;

	if (session->state == SESSION_ACTIVE) {
		release_if_done(session);
		pump(session);
	}
	if (session->state != SESSION_LOGIN)
		return;
	session_greet_shown(session);
	if (session->mode == POOL_MODE_SESSION)
		session_set_state(session, SESSION_ACTIVE);
	else
		release(session);
	session_renew_limit(session);
	pump(session);
}

static const struct server_user_hooks server_hooks = {
	.bytes = on_bytes,
	.ready = on_ready,
	.applied = on_applied,
	.settled = on_settled,
	.deallocated = on_deallocated,
	.reported = on_reported,
	.erred = on_erred,
	.drained = on_server_drained,
	.spares = on_spares,
	.name_of = on_name_of,
	.lost = on_lost,
};

/* --- finding a server --- */

static void note_decision(const struct session *session)
{
	unsigned role = role_of(session);

	if (session->state == SESSION_LOGIN)
		return;
	metrics_count(pool_totals(session->pool), COUNTER_ROUTING, role,
		      session->reason, 1);
	log_noise("client %s db=%s: unit to %s %s (%s)", session->address,
		  pool_database(session->pool),
		  role == METRICS_ROLE_REPLICA ? "replica" : "primary",
		  server_site(session->server)->label,
		  route_reason_name(session->reason));
}

static void note_wait(struct session *session)
{
	metrics_observe(pool_totals(session->pool), HISTOGRAM_CLIENT_WAIT,
			role_of(session),
			session->wait_since_us
				? now_of(session) - session->wait_since_us
				: 0);
	session->wait_since_us = 0;
}

/*
 * The server is the session's from here; its settings go in front.  A login
 * that needs none is over at once, and its server given back.
 */
static void attach(struct session *session, struct server *server)
{
	bool is_login = session->state == SESSION_LOGIN;

	assert(!session->server && session->waiting_node < 0);
	session->server = server;
	session->pins = 0;
	note_decision(session);
	note_wait(session);
	server_attach(server, &server_hooks, session);
	if (session->mode == POOL_MODE_SESSION ||
	    local_settings(session->local)->server_reset_query_always)
		server_mark_dirty(server);
	if (!is_login)
		session_set_state(session, SESSION_ACTIVE);
	metrics_count(pool_totals(session->pool), COUNTER_SERVER_ASSIGNMENTS, 0,
		      0, 1);
	if (server_apply(server, session->settings) && is_login)
		on_applied(session);
}

static bool can_split(const struct session *session)
{
	return local_settings(session->local)->split_reads &&
	       session->mode != POOL_MODE_SESSION &&
	       pool_node_count(session->pool) > 1;
}

static struct route_decision decide(const struct session *session, int *replica)
{
	struct route_input input = {
		.judged = session->scan.judged,
		.is_split = can_split(session),
		.window_us = local_settings(session->local)
				     ->read_after_write_window_us,
		.is_in_transaction = is_in_transaction(session),
		.is_pinned = session->server && is_keeping(session),
		.is_state_unsafe = session->is_state_unsafe,
		.avoids_replicas = session->avoids_replicas,
		.last_write_us = session->last_write_us,
		.now_us = now_of(session),
	};

	*replica = -1;
	if (input.is_split)
		*replica =
			pool_replica(session->pool, &input.is_replica_lagging);
	input.has_replica = *replica >= 0;
	return route_decide(&input);
}

/*
 * May the unit follow others on the server that still answers them?  On the
 * primary always; on a replica when it is one more read and none before it
 * can end up elsewhere.
 */
static bool may_follow(const struct session *session,
		       struct route_decision decision)
{
	bool on_replica = server_site(session->server)->is_replica;

	if (decision.target == ROUTE_STAY)
		return true;
	if (!on_replica)
		return true;
	if (decision.target != ROUTE_REPLICA)
		return false;
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.command !=
		    COMMAND_OTHER)
			return false;
	return session->scan.judged.command == COMMAND_OTHER;
}

/*
 * A transaction on a replica whose COMMIT is not answered yet: what comes
 * behind it cannot be placed.
 */
static bool is_unsettled(const struct session *session)
{
	return session_has_pending(session) &&
	       server_site(session->server)->is_replica &&
	       is_in_transaction(session);
}

static void begin_to_wait(struct session *session)
{
	if (session->waiting_node >= 0)
		session_count_waiting(session, 1);
	if (session->wait_since_us == 0)
		session->wait_since_us = now_of(session);
	if (session->state != SESSION_LOGIN)
		session_set_state(session, SESSION_WAITING);
	session_renew_limit(session);
}

/* Takes a server of that node, or queues; true when it is here. */
static bool take(struct session *session, int node)
{
	struct server *server = NULL;

	if (!pool_config(session->pool)) {
		session_fail(session, "3D000",
			     "the database is no longer configured", NULL);
		return false;
	}
	if (node >= 0 && !session->local->is_granting_stopped) {
		session->node = (unsigned)node;
		server = pool_take(session->pool, (unsigned)node,
				   &session->waiter);
		session->waiting_node = server ? -1 : node;
	}
	if (!server) {
		begin_to_wait(session);
		return false;
	}
	attach(session, server);
	/* A login that needed nothing of it has given it back already. */
	return session->server != NULL;
}

/* A server for the unit that stands in the scan; false: wait. */
static bool find_server(struct session *session)
{
	int replica;
	struct route_decision decision = decide(session, &replica);

	session->target = decision.target;
	session->reason = decision.reason;
	if (session->server) {
		if (is_unsettled(session) ||
		    session_is_dropping_names(session) ||
		    !may_follow(session, decision))
			return false;
		note_decision(session);
		return true;
	}
	return take(session, decision.target == ROUTE_REPLICA
				     ? replica
				     : pool_primary(session->pool));
}

/*
 * The unit goes on on the primary: what it has prepared is prepared there
 * again by whoever uses it.  True when the pump may go on.
 */
static bool move(struct session *session)
{
	struct server *server = session->server;
	bool was_moving = session->is_moving;

	/* The batch has failed: its rest is skipped where it is. */
	if (track_is_skipping(server_track(server))) {
		session->is_moving = false;
		session->has_bound = true;
		return true;
	}
	session->is_moving = track_owed(server_track(server)) > 0;
	/* Nobody has asked for the answers yet, if a Sync stands behind. */
	if (session->is_moving && !was_moving)
		pgbuild_empty(server_out(server), 'H');
	if (session->is_moving)
		return false;
	session->server = NULL;
	session->target = ROUTE_PRIMARY;
	session->reason = ROUTE_REASON_WRITE;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
	return take(session, pool_primary(session->pool));
}

/* --- the pump --- */

/* Begins the next unit; false when the pump has to stop. */
static bool begin_unit(struct session *session)
{
	const char *why = "";

	switch (intake_look(session, &why)) {
	case INTAKE_UNIT: break;
	case INTAKE_MORE: return false;
	case INTAKE_LOCAL:
		if (session->server)
			break;
		unserved_answer(session);
		return true;
	case INTAKE_STRAY: return unserved_discard(session);
	case INTAKE_END:
		session_end(session, false, "client closed");
		return false;
	case INTAKE_BAD:
	default: session_protocol_error(session, why); return false;
	}
	session->request_us = now_of(session);
	if (!find_server(session))
		return false;
	session_replay_keep(session);
	session->is_mid_unit = true;
	session->avoids_replicas = false;
	return true;
}

/* Passes on what is here; false when the pump has to stop. */
static bool continue_unit(struct session *session)
{
	const char *why = "";

	switch (relay_run(session, &why)) {
	case RELAY_UNIT:
		/* Perhaps answered before it was over: a COPY that failed. */
		release_if_done(session);
		return true;
	case RELAY_MOVE: return move(session);
	case RELAY_FULL: stream_pause(session->client, true); return false;
	case RELAY_END:
		session_end(session, false, "client closed");
		return false;
	case RELAY_BAD: session_protocol_error(session, why); return false;
	case RELAY_MORE:
	case RELAY_HOLD:
	default: return false;
	}
}

static bool is_ready_for_more(const struct session *session)
{
	size_t len;

	if (session->state != SESSION_IDLE && session->state != SESSION_ACTIVE)
		return false;
	/* With a server, it is the server that is slowed down. */
	if (!session->server &&
	    stream_len_is_high(stream_out_len(session->client)))
		return false;
	(void)stream_data(session->client, &len);
	return len > 0 || (session->is_mid_unit && session->ends_unit);
}

static void pump(struct session *session)
{
	bool goes_on = true;

	while (goes_on && is_ready_for_more(session)) {
		if (session->is_skipping) {
			goes_on = unserved_skip_more(session);
		} else if (session->discard > 0) {
			goes_on = unserved_discard(session);
		} else if (session->is_mid_unit) {
			goes_on = continue_unit(session);
		} else {
			goes_on = begin_unit(session);
		}
	}
}

/* --- what pools tell --- */

static bool is_waiting(const struct session *session)
{
	return session && session->waiting_node >= 0;
}

/* Nothing to choose yet for a login: the primary, else whoever is there. */
static void ask_for_login(struct session *session)
{
	bool is_lagging;
	int node = pool_primary(session->pool);

	if (node < 0)
		node = pool_replica(session->pool, &is_lagging);
	(void)take(session, node);
}

/* Once more from the start: the waiting unit is judged and placed anew. */
void session_try_again(struct session *session)
{
	session_leave_queue(session);
	if (session->state == SESSION_LOGIN) {
		ask_for_login(session);
		return;
	}
	session_set_state(session, SESSION_IDLE);
	/* Its unit was on the way from a replica to the primary. */
	if (session->is_mid_unit && !take(session, pool_primary(session->pool)))
		return;
	pump(session);
}

static bool on_granted(struct local *local, uint64_t id, struct server *server)
{
	struct session *session = session_table_find(local->sessions, id);
	struct pool_node *node;
	bool is_login;

	if (!is_waiting(session))
		return false;
	is_login = session->state == SESSION_LOGIN;
	if (!server) {
		session_try_again(session);
		return false;
	}
	node = pool_node_at(session->pool, (unsigned)session->waiting_node);
	if (server_site(server)->owner != node)
		return false;
	/* It may have queued anew since this server was sent. */
	session_leave_queue(session);
	attach(session, server);
	if (is_login)
		return true;
	assert(session->state == SESSION_ACTIVE);
	session_replay_keep(session);
	session->is_mid_unit = true;
	session->avoids_replicas = false;
	session_renew_limit(session);
	pump(session);
	return true;
}

static void on_refused(struct local *local, uint64_t id, const char *sqlstate,
		       const char *why)
{
	struct session *session = session_table_find(local->sessions, id);
	char text[256];

	if (!is_waiting(session))
		return;
	session_leave_queue(session);
	if (session->state == SESSION_WAITING &&
	    pool_node_is_replica(pool_node_at(session->pool, session->node))) {
		session->avoids_replicas = true;
		session_try_again(session);
		return;
	}
	(void)snprintf(text, sizeof(text), "server login failed: %.200s", why);
	session_fail(session, strlen(sqlstate) == 5 ? sqlstate : "08006", text,
		     NULL);
}

/* --- what the client's stream tells --- */

static void on_client_drained(struct session *session)
{
	if (session->server)
		server_slow(session->server, false);
	pump(session);
}

static void on_event(void *owner, enum stream_event event)
{
	struct session *session = owner;

	switch (event) {
	case STREAM_DATA: pump(session); break;
	case STREAM_DRAINED: on_client_drained(session); break;
	case STREAM_CLOSED:
		session_end(session, false, stream_error(session->client));
		break;
	case STREAM_CONNECTED:
	case STREAM_SECURED:
	default: break;
	}
}

/* --- beginning --- */

static struct session *session_new(struct local *local,
				   const struct client_login *login)
{
	struct session *session = xcalloc(1, sizeof(*session));

	session->local = local;
	session->client = login->stream;
	session->pool = login->pool;
	session->settings = login->settings;
	session->startup = settings_hold(login->settings);
	session->connected_us = local_now(local);
	session->waiting_node = -1;
	session->names = stmtmap_new();
	(void)util_copy(session->address, sizeof(session->address),
			login->address);
	util_random(&session->secret, sizeof(session->secret));
	session->mode =
		config_mode_of(local_config(local), pool_config(login->pool),
			       pool_config_user(login->pool));
	session_judge_settings(session);
	worker_task_init(&session->burial, session_bury);
	wheel_timer_init(&session->timer, session_out_of_time);
	return session;
}

static void greet(struct session *session)
{
	if (session_greet_known(session)) {
		session_renew_limit(session);
		pump(session);
		return;
	}
	ask_for_login(session);
	if (session->state == SESSION_LOGIN && !session->server &&
	    session_greet_likely(session)) {
		session_leave_queue(session);
		session->wait_since_us = 0;
		session_renew_limit(session);
		pump(session);
	}
}

void session_start(struct local *local, const struct client_login *login)
{
	struct session *session = session_new(local, login);

	free(login->user);
	session_table_add(local->sessions, session,
			  local->process->worker_count, local->index);
	quota_waiter_init(&session->waiter, local->index, session->id);
	list_append(&local->session_list, &session->link);
	metrics_gauge(pool_gauges(session->pool), GAUGE_CLIENT_CONNECTIONS,
		      METRICS_CLIENT_LOGIN, 0, 1);
	stream_set_owner(session->client, on_event, session);
	/* The login's was small; intake relies on the usual one. */
	stream_set_unread_limit(session->client, STREAM_UNREAD_LIMIT);
	greet(session);
}

static const struct pool_hooks pool_hooks_of_sessions = {
	.granted = on_granted,
	.refused = on_refused,
};

const struct pool_hooks *sessions_pool_hooks(void)
{
	return &pool_hooks_of_sessions;
}
