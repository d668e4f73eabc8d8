/*
 * Sessions: taking units from the client, until it leaves.
 *
 * The pump is the one place where a session moves on.  It is called when the
 * client sends something, when a server is granted, and when a reply has
 * ended a unit; it goes round until it has to wait for one of these.
 *
 * Invariant: a session is on a server exactly in the state ACTIVE, and in
 * LOGIN while it learns how to greet; it stands in a queue exactly while
 * waiting_node >= 0.
 */
#include "proxy/session.h"

#include "base/util.h"
#include "core/metrics.h"
#include "core/pgwire.h"
#include "core/track.h"
#include "net/stream.h"
#include "proxy/client_ask.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the pump --- */

/* The newest unit under way is a COPY that reads, or may become one. */
static bool is_copying(const struct session *session)
{
	if (track_is_copy_in(server_track(session->server)))
		return true;
	return session_has_pending(session) &&
	       (session_unit_at(session, session->units_count - 1)
			->judged.effects &
		EFFECT_COPY_IN);
}

/*
 * What follows a COPY that is not answered yet goes where that is, and waits
 * for nothing: the COPY waits for it.  A Sync or Flush is read over there.
 */
static bool is_copy_data(const struct session *session)
{
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	if (len == 0 || !session->server)
		return false;
	if (*data == 'd' || *data == 'c' || *data == 'f')
		return session_has_pending(session) || is_copying(session);
	return (*data == 'H' || *data == 'S') && is_copying(session);
}

/*
 * It prepares a name, and by which settings it will be read is about to be
 * known: then it can be read in the same way elsewhere.
 */
static bool awaits_settings(const struct session *session)
{
	const struct session_scan *scan = &session->scan;

	/* A COPY waits for whatever comes. */
	return session->unseen && (!session->server || !is_copying(session)) &&
	       ((scan->has_names && scan->parses > 0) ||
		(scan->judged.effects & EFFECT_PREPARE)) &&
	       (session_has_pending(session) ||
		session_inspect_is_looking(session));
}

/* Begins the next unit; false when the pump has to stop. */
static bool begin_unit(struct session *session)
{
	const char *why = "";
	bool is_data = is_copy_data(session);

	if (!is_data && !session_listen_may_begin(session))
		return false;
	switch (intake_look(session, &why)) {
	case INTAKE_UNIT: break;
	case INTAKE_MORE: return false;
	case INTAKE_LOCAL:
		if (session->server || !names_are_known(session))
			break;
		unserved_answer(session);
		return true;
	case INTAKE_STRAY: return unserved_discard(session);
	case INTAKE_END:
		/* What it has asked before is answered before it goes. */
		if (!session_has_pending(session) &&
		    stream_empty(session->client))
			session_end(session, false, "client close request");
		else
			stream_pause(session->client, true);
		return false;
	case INTAKE_BAD:
	default: session_protocol_error(session, why); return false;
	}
	if (!is_data && awaits_settings(session))
		return false;
	session->request_us = session_now(session);
	if (session_defer_answers(session) || session_token_refuses(session))
		return true;
	if (!is_data && !session_find_server(session))
		return false;
	if (!is_data) {
		session_token_begin(session);
		session_listen_begin(session);
	}
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
		session_release_if_done(session);
		return true;
	case RELAY_MOVE: return session_move(session);
	case RELAY_FULL: stream_pause(session->client, true); return false;
	case RELAY_END:
		session_end(session, false, "client close request");
		return false;
	case RELAY_BAD: session_protocol_error(session, why); return false;
	case RELAY_MORE:
	case RELAY_HOLD:
	default: return false;
	}
}

/*
 * Units that are under way at most: some questions look at all of them.  The
 * first answer lets the next one begin.
 */
enum { UNITS_MAX = 256 };

static bool is_ready_for_more(const struct session *session)
{
	size_t len;

	if (!session->is_mid_unit && session->units_count >= UNITS_MAX)
		return false;

	if ((session->state != SESSION_IDLE &&
	     session->state != SESSION_ACTIVE) ||
	    session_reset_is_owing(session) || session->is_becoming)
		return false;
	if (session_listen_holds_unit(session) || session->is_flushing)
		return false;
	/* With a server, it is the server that is slowed down. */
	if (!session->server &&
	    stream_len_is_high(stream_out_len(session->client)))
		return false;
	(void)stream_data(session->client, &len);
	return len > 0 || (session->is_mid_unit && session->ends_unit);
}

void session_pump(struct session *session)
{
	bool goes_on = true;

	while (goes_on && is_ready_for_more(session) &&
	       !session_is_tired(session, 0)) {
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
	if (session->state == SESSION_IDLE &&
	    (session->home || session->is_homeless))
		(void)session_go_home(session);
}

/* The next turn, for one that had too much to do in this one. */
static void go_on(struct worker_task *task)
{
	session_pump(LIST_ENTRY(task, struct session, rest));
}

/* --- what pools tell --- */

static bool is_waiting(const struct session *session)
{
	return session && session->waiting_node >= 0;
}

/* Nothing to choose yet for a login: the primary, else whoever is there. */
static void ask_for_login(struct session *session)
{
	const struct pool_wish any = { .preferred = -1 };
	int node = pool_primary(session->pool);

	if (node < 0)
		node = pool_replica(session->pool, &any).node;
	(void)session_take(session, node);
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
	if (session_begin_is_deferred(session))
		session_renew_limit(session);
	/* Its unit was on the way from a replica to the primary. */
	if (session->is_mid_unit &&
	    !session_take(session, pool_primary(session->pool)))
		return;
	session_pump(session);
}

/* Else what waits is a BEGIN that nothing has followed. */
static bool has_unit(const struct session *session)
{
	return session->scan.is_judged || session->is_mid_unit;
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
	session_attach(session, server);
	if (is_login)
		return true;
	assert(session->state == SESSION_ACTIVE);
	if (has_unit(session)) {
		session_token_begin(session);
		session_listen_begin(session);
		session_replay_keep(session);
		session->is_mid_unit = true;
		session->avoids_replicas = false;
	}
	session_renew_limit(session);
	session_pump(session);
	return true;
}

/* What PostgreSQL says to the client, not of how pgweir logs in. */
static bool is_clients_affair(const char *sqlstate)
{
	return strcmp(sqlstate, "3D000") == 0 ||
	       strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "55000") == 0;
}

static void on_refused(struct local *local, uint64_t id, const char *sqlstate,
		       const char *why)
{
	struct session *session = session_table_find(local->sessions, id);
	char text[256];

	if (!is_waiting(session))
		return;
	session_leave_queue(session);
	if (session->home || (session->state == SESSION_WAITING &&
			      pool_node_is_replica(pool_node_at(
				      session->pool, session->node)))) {
		session_replay_avoid(session);
		session_try_again(session);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s%.200s",
		       is_clients_affair(sqlstate) ? ""
						   : "server login failed: ",
		       why);
	session_fail(session, strlen(sqlstate) == 5 ? sqlstate : "08006", text,
		     NULL);
}

/* --- what the client's stream tells --- */

static void on_client_drained(struct session *session)
{
	if (session->server)
		server_slow(session->server, false);
	session_pump(session);
}

/*
 * With its last word a client may have hung up: as PostgreSQL, do first what
 * it said before.  Its end goes unnoticed as long as nothing is read.
 */
static void heed_goodbye(struct session *session)
{
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	if (!session->is_mid_unit && pgwire_ends_in_terminate(data, len))
		stream_pause(session->client, true);
}

/* In a queue for a BEGIN alone: now there is something to decide it by. */
static void on_data(struct session *session)
{
	heed_goodbye(session);
	if (session->state == SESSION_WAITING && !has_unit(session))
		session_try_again(session);
	else
		session_pump(session);
}

void session_on_event(void *owner, enum stream_event event)
{
	struct session *session = owner;

	switch (event) {
	case STREAM_DATA: on_data(session); break;
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

static const struct session_steps steps = {
	.pump = session_pump,
	.release_if_done = session_release_if_done,
	.try_again = session_try_again,
	.applied = session_on_applied,
	.event = session_on_event,
	.begin_now = session_begin_now,
	.dissolve = session_dissolve,
};

static struct session *session_new(struct local *local,
				   const struct client_login *login)
{
	size_t address_size = strlen(login->address) + 1;
	struct session *session = xcalloc(1, sizeof(*session) + address_size);

	session->steps = &steps;
	session->local = local;
	session->client = login->stream;
	session->pool = login->pool;
	session->settings = settings_hold(login->ask->settings);
	session->startup = settings_hold(login->ask->settings);
	session->connected_us = local_now(local);
	session->waiting_node = -1;
	session->replica = -1;
	list_init(&session->behind_link);
	session->names = stmtmap_new();
	list_init(&session->moves);
	list_init(&session->undo);
	memcpy(session->address, login->address, address_size);
	util_random(&session->secret, sizeof(session->secret));
	session->mode =
		config_mode_of(local_config(local), pool_config(login->pool),
			       pool_config_user(login->pool));
	session_judge_ask(session, login->ask);
	worker_task_init(&session->burial, session_bury);
	worker_task_init(&session->rest, go_on);
	session_move_init(session);
	wheel_timer_init(&session->timer, session_out_of_time);
	return session;
}

static void greet(struct session *session, struct client_ask *ask)
{
	if (session_greet_known(session, ask)) {
		session_renew_limit(session);
		session_pump(session);
		return;
	}
	ask_for_login(session);
	if (session->state == SESSION_LOGIN && !session->server &&
	    session_greet_likely(session)) {
		session_leave_queue(session);
		session->wait_since_us = 0;
		session_renew_limit(session);
		session_pump(session);
	}
}

void session_start(struct local *local, const struct client_login *login)
{
	struct session *session = session_new(local, login);

	session_table_add(local->sessions, session,
			  local->process->worker_count, local->index);
	quota_waiter_init(&session->waiter, local->index, session->id);
	list_append(&local->session_list, &session->link);
	metrics_gauge(pool_gauges(session->pool), GAUGE_CLIENT_CONNECTIONS,
		      METRICS_CLIENT_LOGIN, 0, 1);
	stream_set_owner(session->client, session_on_event, session);
	/* The login's was small; intake relies on the usual one. */
	stream_set_unread_limit(session->client, STREAM_UNREAD_LIMIT);
	greet(session, login->ask);
}

static const struct pool_hooks pool_hooks_of_sessions = {
	.granted = on_granted,
	.refused = on_refused,
};

const struct pool_hooks *sessions_pool_hooks(void)
{
	return &pool_hooks_of_sessions;
}
