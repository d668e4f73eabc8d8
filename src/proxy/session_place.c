/*
 * A session's place: where its next unit belongs, and the server of that node
 * for it - at once, or from the queue.
 *
 * The decision itself is core/route's; what it must know of the session, the
 * policy and the nodes is gathered here.  Nothing is sent from here but the
 * settings that go in front of a unit.
 */
#include "base/log.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/route.h"
#include "core/track.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>

static void note_decision(const struct session *session)
{
	unsigned role = session_role(session);

	if (session->state == SESSION_LOGIN)
		return;
	metrics_count(pool_totals(session->pool), COUNTER_ROUTING, role,
		      session->reason, 1);
	if (role == METRICS_ROLE_REPLICA)
		pool_note_read(server_site(session->server)->owner);
	log_noise("client %s db=%s: unit to %s %s (%s)", session->address,
		  pool_database(session->pool),
		  role == METRICS_ROLE_REPLICA ? "replica" : "primary",
		  server_site(session->server)->label,
		  route_reason_name(session->reason));
}

static void note_wait(struct session *session)
{
	metrics_observe(pool_totals(session->pool), HISTOGRAM_CLIENT_WAIT,
			session_role(session),
			session->wait_since_us
				? session_now(session) - session->wait_since_us
				: 0);
	session->wait_since_us = 0;
}

/* As whom a statement runs is not to be left to chance. */
static bool has_identity(const struct session *session)
{
	return settings_get(session->settings, "role") ||
	       settings_get(session->settings, "session_authorization");
}

/*
 * The server is the session's from here; its settings go in front.  A login
 * that needs none is over at once, and its server given back.
 */
void session_attach(struct session *session, struct server *server)
{
	bool is_login = session->state == SESSION_LOGIN;

	assert(!session->server && session->waiting_node < 0);
	/* It waits no more, nor is it idle. */
	wheel_unset(&session->timer);
	session->server = server;
	if (!session_begin_is_due(session) ||
	    session_begin_is_deferred(session)) {
		session->pins = 0;
		session_inspect_forget(session);
	}
	session_reset_forget(session);
	note_decision(session);
	note_wait(session);
	server_attach(server, &session_server_hooks, session);
	if ((session->mode == POOL_MODE_SESSION && !session->home) ||
	    local_settings(session->local)->server_reset_query_always)
		server_mark_dirty(server);
	if (!is_login)
		session_set_state(session, SESSION_ACTIVE);
	metrics_count(pool_totals(session->pool), COUNTER_SERVER_ASSIGNMENTS, 0,
		      0, 1);
	if (!is_login)
		session_sequence_attached(session);
	if (!server_apply(server, session->settings))
		session->is_becoming = !is_login && has_identity(session);
	else if (is_login)
		session->steps->applied(session);
	session_begin_again(session);
}

/* What the choice of a node depends on, and the replica that would be it. */
static void gather(struct session *session, struct route_input *input,
		   int *replica)
{
	input->is_split = session_can_split(session);
	input->prefers_primary = session->prefers_primary;
	input->window_us =
		local_settings(session->local)->read_after_write_window_us;
	/* A block of a listener's may look at its channels. */
	input->is_state_unsafe = session->is_state_unsafe ||
				 session->is_refused ||
				 (session_listen_count(session) > 0 &&
				  input->judged.command != COMMAND_OTHER);
	input->is_catalog_old = session_fresh_is_catalog_old(session);
	input->avoids_replicas = session->avoids_replicas;
	input->last_write_us = session->last_write_us;
	input->now_us = session_now(session);
	if (input->is_split)
		session_fresh_look(session, input, replica);
}

static struct route_decision decide(struct session *session,
				    struct sqlclass judged, int *replica)
{
	struct route_input input = {
		.judged = judged,
		.is_in_transaction = session_is_in_transaction(session),
		.is_pinned = session->server && session->pins != 0,
	};

	*replica = -1;
	/* What stays where it is has no choice. */
	if (!input.is_in_transaction && !input.is_pinned)
		gather(session, &input, replica);
	return route_decide(&input);
}

/* The transaction goes where its first statement belongs. */
static struct route_decision decide_block(struct session *session, int *replica)
{
	struct sqlclass judged = session->scan.judged;

	struct route_decision decision = { ROUTE_PRIMARY, ROUTE_REASON_IN_TXN };

	*replica = -1;
	if (session_begin_is_deferred(session) &&
	    session_begin_may_leave(session, &judged))
		decision = decide(session, judged, replica);
	if (decision.reason == ROUTE_REASON_AUTOCOMMIT_READ)
		decision.reason = ROUTE_REASON_TXN_READ;
	return decision;
}

/*
 * May the unit follow others on the server that still answers them?  On the
 * primary always; on a replica when it is one more read, for which that one
 * is still the choice, and none before it can end up elsewhere.
 */
static bool may_follow(const struct session *session,
		       struct route_decision decision, int replica)
{
	bool on_replica = server_site(session->server)->is_replica;

	if (!on_replica)
		return true;
	/* Perhaps nothing keeps it here. */
	if (decision.reason == ROUTE_REASON_PINNED &&
	    session_inspect_is_looking(session))
		return false;
	if (decision.target == ROUTE_STAY)
		return true;
	if (decision.target != ROUTE_REPLICA || replica != (int)session->node)
		return false;
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.command !=
		    COMMAND_OTHER)
			return false;
	return session->scan.judged.command == COMMAND_OTHER;
}

/*
 * A transaction on a replica whose COMMIT is not answered yet, or state that
 * may be left there and is not looked at yet: what comes behind it cannot be
 * placed.
 */
static bool is_unsettled(const struct session *session)
{
	return server_site(session->server)->is_replica &&
	       (session_has_pending(session) ||
		!track_is_idle(server_track(session->server))) &&
	       (session->pins || session_is_in_transaction(session));
}

static void begin_to_wait(struct session *session)
{
	if (session->waiting_node >= 0)
		session_count_waiting(session, 1);
	if (session->wait_since_us == 0)
		session->wait_since_us = session_now(session);
	if (session->state != SESSION_LOGIN)
		session_set_state(session, SESSION_WAITING);
	session_renew_limit(session);
}

/* Takes a server of that node, or queues; true when it is here. */
bool session_take(struct session *session, int node)
{
	struct server *server = NULL;

	if (!pool_config(session->pool)) {
		session_fail(session, "3D000",
			     "the database is no longer configured", NULL);
		return false;
	}
	if (session->scan.judged.effects & EFFECT_SEQUENCE_READ)
		session_sequence_wants(session, node);
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
	session_attach(session, server);
	/* A login that needed nothing of it has given it back already. */
	return session->server != NULL;
}

/*
 * A session with a server of its own leaves it for a replica, or goes back
 * there for anything else.  False: the session has ended.
 */
static bool settle_home(struct session *session, enum route_target target)
{
	if (session_is_at_home(session)) {
		if (target == ROUTE_REPLICA && session_may_leave_home(session))
			session_leave_home(session);
		return true;
	}
	if (!session->home || session->server || target == ROUTE_REPLICA)
		return true;
	return session_go_home(session);
}

/* What a server of its own has lost (DISCARD ALL), or has not heard of. */
static void bring_settings(struct session *session)
{
	if (session_is_at_home(session) && !session_has_pending(session) &&
	    server_is_idle(session->server))
		(void)server_apply(session->server, session->settings);
}

/* What its last server left in doubt is settled; false: not yet, or never. */
static bool is_beyond_doubt(struct session *session)
{
	switch (session_doubt_look(session)) {
	case DOUBT_NONE: return true;
	case DOUBT_OPEN: begin_to_wait(session); return false;
	case DOUBT_ENDED:
	default: return false;
	}
}

/* Where the unit goes, or the block that begins in front of it. */
static struct route_decision decide_unit(struct session *session, int *replica)
{
	if (session_begin_is_misplaced(session))
		session_begin_leave(session);
	else if (session_begin_is_outdated(session))
		session_begin_place_anew(session);
	if (session_begin_is_due(session))
		return decide_block(session, replica);
	return decide(session, session->scan.judged, replica);
}

/* The server that it has will do; false: not yet. */
static bool go_on_there(struct session *session, struct route_decision decision,
			int replica)
{
	session->fresh_since_us = 0;
	if (is_unsettled(session) || session_is_dropping_names(session) ||
	    session_inspect_holds(session) || session->reset ||
	    session_token_must_wait(session) ||
	    !may_follow(session, decision, replica))
		return false;
	bring_settings(session);
	session_begin_again(session);
	note_decision(session);
	return true;
}

/* A server for the unit that stands in the scan; false: wait. */
bool session_find_server(struct session *session)
{
	int replica;
	struct route_decision decision;

	if (!is_beyond_doubt(session))
		return false;
	decision = decide_unit(session, &replica);
	if (!settle_home(session, decision.target))
		return false;
	if (session_is_at_home(session))
		decision.target = ROUTE_STAY;
	session->target = decision.target;
	session->reason = decision.reason;
	if (session->server)
		return go_on_there(session, decision, replica);
	if (decision.target == ROUTE_WAIT) {
		session_fresh_wait(session);
		begin_to_wait(session);
		return false;
	}
	session->fresh_since_us = 0;
	return session_take(session, decision.target == ROUTE_REPLICA
					     ? replica
					     : pool_primary(session->pool));
}

/*
 * The unit goes on on the primary: what it has prepared is prepared there
 * again by whoever uses it.  True when the pump may go on.
 */
bool session_move(struct session *session)
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
	if (session->has_bound)
		return true;
	session->server = NULL;
	session->target = ROUTE_PRIMARY;
	session->reason = ROUTE_REASON_WRITE;
	session_set_state(session, SESSION_IDLE);
	session_begin_undo(session);
	server_detach(server);
	if (session->home || session->is_homeless)
		return session_go_home(session);
	return session_take(session, pool_primary(session->pool));
}

void session_begin_now(struct session *session)
{
	struct route_decision decision;
	int replica;
	size_t len;

	assert(session->state == SESSION_IDLE && !session->server);
	(void)stream_data(session->client, &len);
	/* Its first statement is on the way, or the replica is not ready. */
	decision = decide_block(session, &replica);
	if (len > 0 || decision.target == ROUTE_WAIT) {
		session_begin_wait_on(session);
		session_renew_limit(session);
		return;
	}
	session->target = decision.target;
	session->reason = decision.reason;
	if (session_take(session, decision.target == ROUTE_REPLICA
					  ? replica
					  : pool_primary(session->pool)))
		session_renew_limit(session);
}
