/*
 * The life of a session: its states, and how it ends.
 *
 * A session ends in two ways only: told why (session_fail) or because its
 * client has left (session_end).  Both give back whatever it held: its place
 * in a queue, its server, its pool, its number.
 */
#include "base/buf.h"
#include "base/log.h"
#include "core/metrics.h"
#include "core/stmtscope.h"
#include "net/stream.h"
#include "proxy/errand.h"
#include "proxy/headcount.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdlib.h>

static const struct {
	const char *name;
	unsigned moves; /* bits of the states that may follow */
	enum metrics_client_state shown;
} states[] = {
#define TO(state) (1U << SESSION_##state)
	[SESSION_LOGIN] = { "waiting_login", TO(IDLE) | TO(CLOSED),
			    METRICS_CLIENT_LOGIN },
	[SESSION_IDLE] = { "idle", TO(WAITING) | TO(ACTIVE) | TO(CLOSED),
			   METRICS_CLIENT_IDLE },
	[SESSION_WAITING] = { "waiting", TO(ACTIVE) | TO(IDLE) | TO(CLOSED),
			      METRICS_CLIENT_WAITING },
	[SESSION_ACTIVE] = { "active", TO(IDLE) | TO(CLOSED),
			     METRICS_CLIENT_ACTIVE },
	[SESSION_CLOSED] = { "closed", 0, METRICS_CLIENT_IDLE },
#undef TO
};

void session_set_state(struct session *session, enum session_state state)
{
	struct metrics_cell *cell = pool_gauges(session->pool);

	if (session->state == state)
		return;
	assert(states[session->state].moves & (1U << state));
	metrics_gauge(cell, GAUGE_CLIENT_CONNECTIONS,
		      states[session->state].shown, 0, -1);
	session->state = state;
	if (state != SESSION_CLOSED)
		metrics_gauge(cell, GAUGE_CLIENT_CONNECTIONS,
			      states[state].shown, 0, 1);
}

static uint64_t now_of(const struct session *session)
{
	return local_now(session->local);
}

/* --- ending --- */

void session_bury(struct worker_task *task)
{
	struct session *session = LIST_ENTRY(task, struct session, burial);

	if (session->unnamed_before)
		stmt_release(session->unnamed_before);
	stmtmap_free(session->names);
	buf_free(&session->replay);
	session_inspect_forget(session);
	session_reset_forget(session);
	session_forget_told(session);
	buf_free(&session->said_at_home);
	stmtscope_release(session->scope);
	settings_release(session->settings);
	settings_release(session->startup);
	if (session->changing)
		settings_release(session->changing);
	free(session->units);
	session_begin_forget(session);
	materialise_drop_moves(session);
	free(session);
}

/* By the role of the node in whose queue it stands. */
void session_count_waiting(const struct session *session, int change)
{
	const struct pool_node *node =
		pool_node_at(session->pool, (unsigned)session->waiting_node);

	metrics_gauge(pool_gauges(session->pool), GAUGE_POOL_WAITING,
		      pool_node_is_replica(node) ? METRICS_ROLE_REPLICA
						 : METRICS_ROLE_PRIMARY,
		      0, change);
}

void session_leave_queue(struct session *session)
{
	session_fresh_leave(session);
	if (session->waiting_node < 0)
		return;
	/* False: a grant is on its way; it will find nobody. */
	(void)pool_stop_waiting(session->pool, (unsigned)session->waiting_node,
				&session->waiter);
	session_count_waiting(session, -1);
	session->waiting_node = -1;
}

void session_count_bytes(struct session *session)
{
	local_count_flow(pool_totals(session->pool), METRICS_SIDE_CLIENT,
			 session->client, &session->counted);
}

/* Reads alone are under way: nobody waits for them any more. */
static bool is_only_reading(const struct session *session)
{
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.access != ACCESS_READ)
			return false;
	return session->units_count > 0;
}

/*
 * What a session pool's client leaves behind is not known: it goes, unless the
 * operator wants no reset in session pooling, PgBouncer's empty query.
 */
static void judge_own_server(const struct session *session,
			     struct server *server)
{
	if (session->mode != POOL_MODE_SESSION)
		return;
	if (*local_settings(session->local)->server_reset_query)
		server_mark_dirty(server);
	else
		server_mark_clean(server);
}

static void leave_home(struct session *session)
{
	struct server *home = session->home;

	session->home = NULL;
	judge_own_server(session, home);
	server_detach(home);
}

/*
 * Cleaning begins.  A write goes on to its end, as it would in PostgreSQL
 * when the client has left; a read would only hold the server.
 */
static void leave_server(struct session *session)
{
	struct server *server = session->server;
	bool cancels = is_only_reading(session);

	if (session_is_at_home(session))
		judge_own_server(session, server);
	session->server = NULL;
	if (session->pins & EFFECT_LISTEN)
		server_mark_dirty(server);
	if (cancels)
		server_begin_cancel(server);
	server_detach(server);
	if (cancels)
		(void)errand_send(session->local, server, NULL, NULL);
}

/* Everything that the session held goes back; its stream is closed already. */
static void dissolve(struct session *session)
{
	session_set_state(session, SESSION_CLOSED);
	wheel_unset(&session->timer);
	list_remove(&session->link);
	session_leave_queue(session);
	if (session->ddl)
		session_ddl_leave(session);
	session_listen_end(session);
	if (session->server)
		leave_server(session);
	if (session->home)
		leave_home(session);
	session_table_remove(session->local->sessions, session);
	if (session->has_server_pid || session->is_on_keyring)
		keyring_remove(session->local->process->keyring, session->pid,
			       session->secret);
	atomic_fetch_sub(&session->local->process->clients, 1);
	headcount_leave(session->local->process->headcount,
			pool_database(session->pool), pool_user(session->pool));
	pool_leave(session->pool);
	worker_free_later(session->local->worker, &session->burial);
}

static void log_end(const struct session *session, const char *why)
{
	if (local_settings(session->local)->log_disconnections)
		log_info("client %s db=%s user=%s: closed (%s, age %us)",
			 session->address, pool_database(session->pool),
			 pool_user(session->pool), why,
			 (unsigned)((now_of(session) - session->connected_us) /
				    1000000));
}

/* With a last word; closes the stream. */
void session_fail(struct session *session, const char *sqlstate,
		  const char *message, const char *hint)
{
	if (session->state == SESSION_CLOSED)
		return;
	log_end(session, message);
	session_count_bytes(session);
	client_fail(session->client, sqlstate, message, hint);
	dissolve(session);
}

void session_end(struct session *session, bool flush, const char *why)
{
	if (session->state == SESSION_CLOSED)
		return;
	log_end(session, why);
	session_count_bytes(session);
	stream_close(session->client, flush);
	dissolve(session);
}

void session_protocol_error(struct session *session, const char *why)
{
	log_warning("client %s db=%s user=%s: protocol violation (%s)",
		    session->address, pool_database(session->pool),
		    pool_user(session->pool), why);
	metrics_count(session->local->cell, COUNTER_CLIENT_REJECTED,
		      METRICS_REJECT_PROTO, 0, 1);
	session_fail(session, "08P01", why, NULL);
}

const char *session_state_name(const struct session *session)
{
	return states[session->state].name;
}
