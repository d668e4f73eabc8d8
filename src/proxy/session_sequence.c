/*
 * What nextval() has left in a server for currval() and lastval().
 *
 * Most applications never ask for it, and pay nothing: a note of who drew
 * last on which server.  Once a client of a database has asked, a session of
 * it that draws keeps its server, and whoever comes to a server where another
 * one has drawn before finds nothing of it.
 *
 * The values that were drawn before anybody asked are found again if the
 * session has drawn on one server only, and nobody else has there since; else
 * PostgreSQL says that there are none.  They are never another session's.
 *
 * When others wait for a server, one that keeps its own for nothing else gives
 * it back: soon if it has never asked for what it has drawn, else when it has
 * been idle for sequence_keep.  PostgreSQL can set these values by no other way
 * than drawing, so they cannot follow the session to another server.
 */
#include "base/log.h"
#include "core/catalog.h"
#include "core/epoch.h"
#include "core/stmtscope.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>

/* Other than the session's number, unique over all workers. */
static uint64_t number_of(const struct session *session)
{
	return session->id * QUOTA_WORKERS_MAX + session->local->index + 1;
}

static bool has_readers(const struct session *session)
{
	return epoch_has_sequence_readers(stmtscope_epoch(session->scope)) ||
	       catalog_reads_back(pool_catalog(session->pool));
}

/* What this very transaction has drawn is there without any of this. */
static bool reads_its_own(const struct session *session)
{
	return session->draw_turn != 0 &&
	       session->draw_turn == server_draw_turn(session->server) &&
	       session_is_in_transaction(session);
}

static void note_draw(struct session *session)
{
	uint64_t turn = server_note_draw(session->server, number_of(session));

	if (session->draw_turn != 0 && session->draw_turn != turn)
		session->has_drawn_elsewhere = true;
	session->draw_turn = turn;
}

void session_sequence_wants(struct session *session, int node)
{
	epoch_note_sequence_reader(stmtscope_epoch(session->scope));
	if (node >= 0 && session->draw_turn != 0)
		pool_favour(session->pool, (unsigned)node, session->draw_turn);
}

void session_sequence_attached(struct session *session)
{
	struct server *server = session->server;
	uint64_t turn = server_draw_turn(server);

	if (turn == 0 || session->mode == POOL_MODE_SESSION ||
	    !has_readers(session))
		return;
	if (turn != session->draw_turn || session->has_drawn_elsewhere)
		server_forget_draws(server);
}

void session_sequence_sent(struct session *session,
			   const struct sqlclass *class)
{
	bool draws = class->may_draw ||
		     (class->effects & (EFFECT_HIDDEN | EFFECT_EXECUTE));

	if (!draws && !(class->effects & EFFECT_SEQUENCE_READ))
		return;
	if (server_site(session->server)->is_replica ||
	    session->mode == POOL_MODE_SESSION)
		return;
	if ((class->effects & EFFECT_SEQUENCE_READ) && !reads_its_own(session))
		session->has_asked_draws = true;
	if (draws)
		note_draw(session);
	else if (!reads_its_own(session))
		epoch_note_sequence_reader(stmtscope_epoch(session->scope));
	if (session->draw_turn != 0 &&
	    session->draw_turn == server_draw_turn(session->server) &&
	    has_readers(session))
		session_inspect_stick(session, EFFECT_SEQUENCE);
}

static void forget_draws(struct session *session)
{
	session->draw_turn = 0;
	session->has_drawn_elsewhere = false;
	session_inspect_unstick(session, EFFECT_SEQUENCE);
}

/* What stands behind it, in flight already, may have drawn anew. */
void session_sequence_forget(struct session *session)
{
	if (session->units_count > 1 || session->is_mid_unit)
		return;
	forget_draws(session);
}

/* --- yielding ---------------------------------------------------------------
 */

/* Of those who, for all that is known, do not need what they keep. */
enum { YIELD_US = 100000 };

/* A default that reads it asks in the name of all who write. */
static bool is_asker(const struct session *session)
{
	return (session->pins & EFFECT_SEQUENCE) &&
	       (session->has_asked_draws ||
		catalog_reads_back(pool_catalog(session->pool)));
}

static bool keeps_for_good(const struct session *session)
{
	return (session->pins & EFFECT_SEQUENCE) &&
	       local_settings(session->local)->sequence_keep_us == 0;
}

uint64_t session_yield_after_us(const struct session *session)
{
	uint64_t keep_us = local_settings(session->local)->sequence_keep_us;

	return is_asker(session) || keep_us < YIELD_US ? keep_us : YIELD_US;
}

/* Draws can be forgotten, and what PREPARE made can be made again. */
bool session_may_yield(const struct session *session)
{
	const uint32_t lesser = EFFECT_SEQUENCE | EFFECT_PREPARE;

	if (!session->server || session->pins == 0 ||
	    (session->pins & ~lesser) || keeps_for_good(session) ||
	    session->mode == POOL_MODE_SESSION)
		return false;
	if ((session->pins & EFFECT_PREPARE) &&
	    !session_inspect_is_portable(session, EFFECT_PREPARE))
		return false;
	return !session_has_pending(session) && !session->is_mid_unit &&
	       server_is_idle(session->server);
}

void session_yield(struct session *session)
{
	assert(session_may_yield(session));
	forget_draws(session);
	session->pins = 0;
	log_debug("client %s db=%s: gives its server to those who wait",
		  session->address, pool_database(session->pool));
}
