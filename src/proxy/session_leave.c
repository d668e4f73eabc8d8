/*
 * What a session holds when it ends, and gives back: its place in a queue,
 * its server, its pool, its number; and, at the end of the turn, its memory.
 */
#include "base/buf.h"
#include "core/stmtscope.h"
#include "net/stream.h"
#include "proxy/errand.h"
#include "proxy/headcount.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_listen.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <stdlib.h>

void session_bury(struct worker_task *task)
{
	struct session *session = LIST_ENTRY(task, struct session, burial);

	if (session->unnamed_before)
		stmt_release(session->unnamed_before);
	stmtmap_free(session->names);
	relay_told_forget(session);
	buf_free(&session->replay);
	buf_free(&session->held);
	session_undo_forget(session);
	buf_free(&session->doubt_words);
	session_inspect_forget(session);
	session_reset_forget(session);
	session_refill_forget(session);
	session_forget_told(session);
	buf_free(&session->said_at_home);
	stmtscope_release(session->scope);
	settings_release(session->settings);
	settings_release(session->startup);
	if (session->changing)
		settings_release(session->changing);
	free(session->units);
	free(session->parsed);
	session_begin_forget(session);
	materialise_drop_moves(session);
	free(session);
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
	session_leave_settings(session);
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
void session_dissolve(struct session *session)
{
	session_set_state(session, SESSION_CLOSED);
	wheel_unset(&session->timer);
	list_remove(&session->rest.link);
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
			pool_headcount(session->pool));
	pool_leave(session->pool);
	worker_free_later(session->local->worker, &session->burial);
}
