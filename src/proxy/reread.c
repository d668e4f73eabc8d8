/*
 * A statement is read under the settings of its Parse, and stays as it was
 * read: the types of its parameters, the dates in its text, the tables that
 * were there.  When its names lead elsewhere later, PostgreSQL looks again at
 * its next use, behind its parameters (plancache.c, RevalidateCachedQuery).
 *
 * So where a server lacks a statement, it is read there under the settings of
 * then: what decides about that is set for this one Parse, as a part of the
 * transaction that is there anyway, and the rest is PostgreSQL's own.  In a
 * transaction a savepoint takes it back; outside, the Parse stands in a batch
 * of ours, or, where the client's has begun already, it is set back.
 *
 * Refuses statements whose settings of then are not known, and those that
 * nothing is looked up for before they run: SET, BEGIN and their like must
 * not find a snapshot in front of them.
 */
#include "base/buf.h"
#include "core/settings.h"
#include "core/sqllex.h"
#include "core/stmtmap.h"
#include "core/stmtscope.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

#define SAVEPOINT   "SAVEPOINT pgweir_reread"
#define ROLLBACK_TO "ROLLBACK TO pgweir_reread"
#define RELEASE     "RELEASE pgweir_reread"

/* Those that are analyzed by their Parse (analyze.c), or by PREPARE. */
static bool is_analyzed(const struct stmt *stmt)
{
	static const char *const verbs[] = {
		"select", "insert", "update",  "delete",  "merge",
		"with",   "values", "explain", "declare", "create",
		"call",   "table",  "prepare",
	};
	struct sqllex_token token;
	struct sqllex lex;
	size_t len;
	const char *text = stmt_query(stmt, &len);

	sqllex_init(&lex, text, len, true, true);
	do
		sqllex_next(&lex, &token);
	while (token.punct == '(' || token.punct == ';');
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (sqllex_is_word(&token, verbs[i]))
			return true;
	return false;
}

/* NULL: nobody knows. */
static const struct settings *settings_of_now(const struct session *session)
{
	/* SET LOCAL is not told of. */
	return server_status(session->server) == 'I'
		       ? stmtscope_settings(session->scope)
		       : NULL;
}

static bool is_batch_open(const struct session *session)
{
	return track_is_batch_open(server_track(session->server));
}

bool reread_can(const struct session *session, const struct stmt *stmt)
{
	char status = server_status(session->server);

	if (!stmtscope_settings(stmt_scope(stmt)) || session->is_plan_stale ||
	    status == 'E' || session_has_pending(session))
		return false;
	return status == 'T' || !is_batch_open(session) ||
	       stmtscope_settings(session->scope);
}

bool reread_is_due(const struct session *session, const struct stmt *stmt)
{
	return stmt_scope(stmt) != session->scope && is_analyzed(stmt);
}

static void run(struct session *session, const char *sql, unsigned flags)
{
	server_insert_as(session->server, sql, strlen(sql), flags);
}

static void localize(struct session *session, const struct settings *from,
		     const struct settings *to, unsigned flags)
{
	struct buf sql = BUF_INIT;

	settings_localize(from, to, &sql);
	if (buf_len(&sql) > 0)
		server_insert_as(session->server, (const char *)buf_head(&sql),
				 buf_len(&sql), flags);
	buf_free(&sql);
}

struct reread reread_begin(struct session *session, const struct stmt *stmt,
			   unsigned flags)
{
	struct reread reread = { REREAD_PLAIN, flags, NULL };
	char status = server_status(session->server);

	if (!reread_is_due(session, stmt) || !reread_can(session, stmt))
		return reread;
	reread.then = stmtscope_settings(stmt_scope(stmt));
	if (status == 'T') {
		reread.way = REREAD_SAVEPOINT;
		run(session, SAVEPOINT, flags);
	} else if (is_batch_open(session)) {
		reread.way = REREAD_SET_BACK;
	} else {
		reread.way = REREAD_ALONE;
		reread.flags |= TRACK_QUIET;
	}
	localize(session, settings_of_now(session), reread.then, reread.flags);
	return reread;
}

void reread_end(struct session *session, const struct reread *reread)
{
	switch (reread->way) {
	case REREAD_ALONE: server_send_sync(session->server); break;
	case REREAD_SET_BACK:
		localize(session, reread->then, settings_of_now(session),
			 reread->flags);
		break;
	case REREAD_SAVEPOINT:
		run(session, ROLLBACK_TO, reread->flags);
		run(session, RELEASE, reread->flags);
		break;
	case REREAD_PLAIN:
	default: break;
	}
}

void reread_prepare(struct session *session, struct stmt *stmt)
{
	struct reread reread = reread_begin(session, stmt, 0);

	server_prepare_as(session->server, stmt, reread.flags);
	reread_end(session, &reread);
	if (reread.way == REREAD_ALONE)
		server_rely_on(session->server, stmt);
}
