/*
 * Unnamed statements that many use again and again are prepared once on a
 * server, as named ones are, and their Parse is answered without it.  Most
 * drivers parse each text for each use, and parsing is a large part of what
 * a short statement costs its server.
 *
 * A fresh Parse looks at the catalog as it is; what is there already was
 * looked up before.  PostgreSQL looks again when what a statement uses has
 * changed (plancache.c), but not when something else has taken its name.
 * Therefore nothing is shared
 * - after DDL that went through here, until a Parse of the statement has
 *   succeeded anew (epoch.h); nor next to DDL, or behind what may be;
 * - by what was read under settings that nobody has seen (session_scope);
 * - for longer than RECENT_US: DDL that went elsewhere is seen then;
 * - by sessions that keep their server, where a temporary table may hide
 *   another;
 * - where the client would hear that a result has changed its type: what has
 *   a result is shared only if its batch can be repeated.
 *
 * Refuses what is not a plain statement, what does not come often, and texts
 * in which the time of the Parse would stay ('now').
 */
#include "core/epoch.h"
#include "core/recur.h"
#include "core/sqltime.h"
#include "core/stmtmap.h"
#include "core/stmtscope.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

enum { SHARED_USES = 5 };

#define RECENT_US UINT64_C(1000000)

/* One statement whose meaning is looked up by its Parse, and that is all. */
static bool is_plain(const struct sqlclass *class)
{
	const uint32_t harmless =
		EFFECT_SEQUENCE | EFFECT_SEQUENCE_READ | EFFECT_CATALOG_READ;

	return (class->access == ACCESS_READ ||
		class->access == ACCESS_WRITE) &&
	       class->command == COMMAND_OTHER && class->statements == 1 &&
	       !class->is_global && !(class->effects & ~harmless);
}

static bool is_timeless(const struct stmt *stmt)
{
	size_t len;
	const char *text = stmt_query(stmt, &len);

	return !sqltime_is_asked(text, len);
}

static bool is_often(struct session *session, struct stmt *stmt)
{
	return recur_note(session->local->recur, stmt, session_now(session),
			  is_timeless) >= SHARED_USES;
}

/* DDL that nobody has seen, a moment ago. */
static bool may_be_behind(const struct session *session)
{
	uint64_t hidden_us = epoch_hidden_us(stmtscope_epoch(session->scope));

	return hidden_us > 0 && session_now(session) < hidden_us + RECENT_US;
}

/* What a text means is as it was when its Parse succeeded. */
static bool is_settled(const struct session *session)
{
	return session->mode != POOL_MODE_SESSION && session->pins == 0 &&
	       !session->inspect && !session_has_pending(session) &&
	       !session->is_changing_catalog && !session->is_plan_stale &&
	       !session->is_hiding && !may_be_behind(session) &&
	       stmtscope_settings(session->scope) &&
	       !(session->unit.judged.effects &
		 (EFFECT_DDL | EFFECT_HIDDEN | EFFECT_SET | EFFECT_SET_LOCAL |
		  EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL)) &&
	       server_status(session->server) != 'E';
}

/* Should it turn out that its result has another type now. */
static bool is_bearable(const struct session *session, const struct stmt *stmt)
{
	const struct stmt_shape *shape = stmt_shape(stmt);

	if (shape && !shape->has_result)
		return true;
	return server_status(session->server) == 'I' &&
	       session->scan.binds == 1 && session->is_replay_stale &&
	       session_replay_can(session);
}

static bool is_recent(const struct session *session, struct stmt *stmt)
{
	return server_has_fresh(session->server, stmt) &&
	       session_now(session) <
		       server_sent_us(session->server, stmt) + RECENT_US;
}

/* Makes sure that the server has it; false: it is not to be shared. */
static bool bring(struct session *session, struct stmt *stmt)
{
	struct server *server = session->server;
	bool is_known = stmt_shape(stmt) != NULL;

	if (is_known && !is_bearable(session, stmt))
		return false;
	if (is_recent(session, stmt)) {
		session_count_total(session, COUNTER_PREPARED_HITS);
		return is_known;
	}
	/* Those that clients have named come first. */
	if (!server_may_have(server, stmt) && server_is_full_of_names(server))
		return false;
	session_count_total(session, COUNTER_PREPARED_MISSES);
	server_prepare(server, stmt);
	return true;
}

bool relay_shared_parse(struct session *session, struct stmt *stmt,
			struct sqlclass class)
{
	struct stmtmap_entry *entry;
	struct server_note *note;

	if (!local_settings(session->local)->share_unnamed ||
	    !is_plain(&class) || !is_often(session, stmt) ||
	    !is_settled(session) || !stmt_is_good(stmt) ||
	    !bring(session, stmt))
		return false;
	note = names_keep_unnamed(session);
	session_undo_note(session, "");
	entry = names_put(session, "", stmt, class);
	entry->is_shared = true;
	session->unnamed_changes++;
	server_owe(session->server, TRACK_PARSE, TRACK_LOCAL, note);
	return true;
}
