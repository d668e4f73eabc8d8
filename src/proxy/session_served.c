/*
 * What a session is told by the server that it holds, and what it makes of
 * it: answers for its client, a unit that is over, a server that is free to
 * be given back, a replica at fault, a connection that is lost.
 *
 * Each of these may move the session on, and then ends in its pump.
 */
#include "base/log.h"
#include "core/epoch.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/stmtscope.h"
#include "core/track.h"
#include "net/stream.h"
#include "proxy/ears.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <stdio.h>
#include <string.h>

/* --- giving back --- */

bool session_is_keeping(const struct session *session)
{
	return session->pins != 0 || session_is_at_home(session);
}

/* The protocol state is proved idle, the session state known: give it back. */
static void release(struct session *session)
{
	struct server *server = session->server;

	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
	session_move_if_chosen(session);
	if (session->home || session->is_homeless)
		(void)session_go_home(session);
	else if (session->local->is_ending_sessions)
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

/* Nothing is under way: first what the client has, then what the server has. */
static void tidy_up(struct session *session)
{
	if (!session_restore_settings(session) ||
	    session_listen_is_busy(session) || session_inspect_begin(session) ||
	    session_listen_tend(session))
		return;
	session_reset_pay(session);
	if (!session_is_keeping(session))
		release(session);
}

void session_release_if_done(struct session *session)
{
	if (!session_has_pending(session) && !session->is_mid_unit &&
	    server_is_idle(session->server))
		tidy_up(session);
	session_renew_limit(session);
}

static void on_ready(void *user, char status)
{
	struct session *session = user;

	session_note_unit(session, status);
	session_reset_done(session, status);
	if (status != 'I')
		session_reset_pay(session);
	if (breaks_statement_mode(session, status) ||
	    session_is_evicted(session))
		return;
	session_release_if_done(session);
	session->steps->pump(session);
}

/* --- what the server tells --- */

static bool on_bytes(void *user, const void *data, size_t len)
{
	struct session *session = user;

	if (session_replay_holds(session, data, len))
		return false;
	if (session->is_relaying)
		stream_write_along(session->client, data, len);
	else
		stream_forward(session->client, data, len);
	return stream_len_is_high(stream_out_len(session->client));
}

/*
 * A part of a batch is answered.  If it has failed, its rest is read over by
 * the server, as a part of it.
 */
static void end_flush(struct session *session)
{
	session->is_flushing = false;
	if (track_is_skipping(server_track(session->server)))
		session_replay_forget(session);
	else
		relay_end_part(session);
}

/*
 * What waits for all answers of its own batch may go on: once, as what it
 * sends then may be read over and end here again.
 */
static void on_cleared(void *user)
{
	struct session *session = user;
	bool is_waiting = session->is_moving || session->is_settling ||
			  session->is_flushing || session->is_asking;

	if (session->is_flushing)
		end_flush(session);
	session->is_moving = false;
	session->is_settling = false;
	if (is_waiting)
		session->steps->pump(session);
}

static void on_settled(void *user, const struct track_entry *entry, bool ok)
{
	struct session *session = user;

	if (entry->op == TRACK_QUERY || entry->op == TRACK_FUNCTION ||
	    entry->op == TRACK_STRUCK)
		session_drop_unit(user);
	else if (entry->op == TRACK_EXECUTE && ok)
		session_begin_executed(user);
	else if (!relay_told_settled(session, entry))
		relay_settled(user, entry, ok);
	if (track_owed(server_track(session->server)) == 0)
		on_cleared(user);
}

static void on_named(void *user, bool is_prepare)
{
	materialise_moved(user, is_prepare);
}

static void on_deallocated(void *user, bool is_discard_all)
{
	struct session *session = user;

	stmtmap_clear_named(session->names);
	if (!is_discard_all)
		return;
	session_listen_forget(session);
	session_sequence_forget(session);
	session_inspect_reset(session, ~(uint32_t)EFFECT_LOAD);
	session_reset_settings(session);
}

static void on_row(void *user, const struct pgwire_message *message)
{
	if (session_inspect_is_looking(user))
		session_inspect_take(user, message);
	else
		session_listen_row(user, message);
}

static void on_asked(void *user, bool ok)
{
	struct session *session = user;

	if (!session_inspect_is_looking(session)) {
		session_listen_asked(session, ok);
		return;
	}
	session_inspect_end(session, ok);
	session_release_if_done(session);
	session->steps->pump(session);
}

static bool on_holds(void *user, char status)
{
	struct session *session = user;

	if (session_reset_is_sent(user) || session_listen_holds(user, status))
		return true;
	if (session->ear)
		ear_tell_late(session->ear);
	return false;
}

static void on_notified(void *user, const struct pgwire_message *message)
{
	session_listen_notified(user, message);
}

static void on_undrawn(void *user)
{
	session_sequence_forget(user);
}

/* Behind notifications, which may be still to come (postgres.c). */
static bool on_reported(void *user, const char *name, const char *value,
			bool is_ours)
{
	struct session *session = user;

	if (!session_note_reported(session, name, value, is_ours))
		return false;
	if (is_ours || !session->ear)
		return true;
	pgbuild_parameter_status(&session->ear->late, name, value);
	return false;
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
	session_replay_tell(session);
	if (is_catalog_sign(sqlstate))
		session_want_catalog(session);
	log_debug("client %s db=%s: error %s from %s", session->address,
		  pool_database(session->pool), sqlstate,
		  server_site(session->server)->label);
}

/* The server is gone, or let go of: what is in flight begins again. */
static void repeat(struct session *session, const char *sqlstate)
{
	metrics_count(pool_totals(session->pool), COUNTER_REPLAYS,
		      metrics_sqlstate_class(sqlstate), 0, 1);
	session_begin_undo(session);
	session_replay_rewind(session);
	session_set_state(session, SESSION_IDLE);
	log_debug("client %s db=%s: what its server has failed is repeated",
		  session->address, pool_database(session->pool));
	session->steps->pump(session);
}

static bool on_spares(void *user, const char *sqlstate)
{
	struct session *session = user;
	struct server *server = session->server;

	if (!session_replay_can(session))
		return false;
	if (session->is_replay_stale && server_has_stale_plan(server)) {
		epoch_advance(stmtscope_epoch(session->scope));
		session->is_plan_stale = true;
		session->avoids_replicas |= !session->is_replay_bound;
	} else if (!session->is_replay_bound &&
		   session_replay_is_fault(session, sqlstate) &&
		   server_site(server)->is_replica) {
		session_replay_learn(session, sqlstate);
		session->avoids_replicas = true;
	} else if (!session_doubt_refused(session, sqlstate)) {
		return false;
	}
	session_want_catalog(session);
	session->server = NULL;
	server_detach(server);
	repeat(session, sqlstate);
	return true;
}

static const char *on_name_of(void *user, uint64_t id)
{
	const struct session *session = user;
	const char *closed = session->closes > 0
				     ? server_closed_name(session->server, id)
				     : NULL;

	const char *name =
		closed ? closed : stmtmap_name_of(session->names, id);

	if (!name && session->unnamed_before &&
	    stmt_id(session->unnamed_before) == id)
		return "";
	return name;
}

/* A server did not take its settings; nothing was sent behind them. */
static void begin_again(struct session *session)
{
	session_replay_forget(session);
	session_begin_undo(session);
	session->is_becoming = false;
	session->is_mid_unit = false;
	session_replay_avoid(session);
	session_set_state(session, SESSION_IDLE);
	session->steps->pump(session);
}

/* Nothing is under way, and nothing is the server's alone. */
static bool is_between_units(const struct session *session)
{
	return !session_has_pending(session) && !session->is_mid_unit &&
	       session->pins == 0 && !session->inspect;
}

/*
 * Between two reads of a transaction on a replica: the primary goes on.  Of
 * PostgreSQL's own time limits (25P) the client hears.
 */
static bool is_between_reads(const struct session *session)
{
	return session_begin_can_restart(session) && is_between_units(session);
}

/* What was prepared up to a Flush is answered; the Sync behind it is ours. */
static bool is_between_parts(const struct session *session, char status)
{
	return status == 'I' && session->state == SESSION_ACTIVE &&
	       !session->begin && !session->home && !session->reset &&
	       session->mode != POOL_MODE_SESSION && is_between_units(session);
}

static bool survives(const struct session *session,
		     const struct server_loss *loss, char status)
{
	return loss->is_replica && (is_between_parts(session, status) ||
				    (is_between_reads(session) &&
				     strncmp(loss->sqlstate, "25P", 3) != 0));
}

static bool on_may_lose(void *user)
{
	const struct session *session = user;

	return session_replay_can_lose(session) || is_between_reads(session) ||
	       is_between_parts(session, server_status(session->server));
}

/* Settings go in front of the unit: nothing of that was sent. */
static bool is_lost_becoming(const struct session *session,
			     const struct server_loss *loss)
{
	return session->is_becoming &&
	       (loss->is_replica || (!session->has_repeated &&
				     strncmp(loss->sqlstate, "57P", 3) == 0));
}

static void fail_lost(struct session *session, const struct server_loss *loss,
		      bool is_unknown)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s%.200s",
		       session->state == SESSION_LOGIN && *loss->sqlstate
			       ? ""
			       : "the server connection was lost: ",
		       loss->why);
	if (is_unknown)
		session_fail(session, "08007", text,
			     "What was sent may or may not have been "
			     "committed: look before you repeat it.");
	else
		session_fail(session,
			     strlen(loss->sqlstate) == 5 ? loss->sqlstate
							 : "08006",
			     text, NULL);
}

static void on_lost(void *user, const struct server_loss *loss)
{
	struct session *session = user;
	bool is_unknown = session_doubt_is_unknown(session, loss);
	char status = server_status(session->server);

	session->server = NULL;
	if (is_lost_becoming(session, loss)) {
		session->has_repeated = true;
		begin_again(session);
		return;
	}
	if (session_replay_can_lose(session)) {
		session_replay_avoid(session);
		repeat(session, *loss->sqlstate ? loss->sqlstate : "08006");
		return;
	}
	if (session_doubt_lost(session, loss)) {
		repeat(session, *loss->sqlstate ? loss->sqlstate : "08006");
		return;
	}
	if (survives(session, loss, status)) {
		session_begin_undo(session);
		session_set_state(session, SESSION_IDLE);
		session_renew_limit(session);
		session->steps->pump(session);
		return;
	}
	session_replay_forget(session);
	if (loss->words_len > 0)
		stream_write(session->client, loss->words, loss->words_len);
	if (loss->words_len == 0 || is_unknown)
		fail_lost(session, loss, is_unknown);
	else
		session_end(session, true, loss->why);
}

static void on_server_drained(void *user)
{
	struct session *session = user;

	stream_pause(session->client, false);
	session->steps->pump(session);
}

void session_on_applied(void *user)
{
	struct session *session = user;

	/* Something else of ours; what was asked for is still to come. */
	if (session->server && server_has_question(session->server))
		return;
	session->is_becoming = false;
	if (!session->reset)
		session_forget_told(session);
	if (session->state == SESSION_ACTIVE) {
		session_release_if_done(session);
		session->steps->pump(session);
	}
	if (session->state != SESSION_LOGIN)
		return;
	session_greet_shown(session);
	if (session->mode == POOL_MODE_SESSION)
		session_set_state(session, SESSION_ACTIVE);
	else
		release(session);
	session_renew_limit(session);
	session->steps->pump(session);
}

const struct server_user_hooks session_server_hooks = {
	.bytes = on_bytes,
	.ready = on_ready,
	.applied = session_on_applied,
	.row = on_row,
	.asked = on_asked,
	.holds = on_holds,
	.notified = on_notified,
	.settled = on_settled,
	.cleared = on_cleared,
	.named = on_named,
	.deallocated = on_deallocated,
	.undrawn = on_undrawn,
	.reported = on_reported,
	.erred = on_erred,
	.drained = on_server_drained,
	.spares = on_spares,
	.name_of = on_name_of,
	.may_lose = on_may_lose,
	.lost = on_lost,
};
