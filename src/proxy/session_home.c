/*
 * The home of a session in session pooling: the server that is its own for
 * life, and that stands aside while a read runs on a replica.
 *
 * A session leaves its home only when that is proved idle, and goes back as
 * soon as the borrowed server may be given back; so at most one server of a
 * session has work at any time.  What the home says meanwhile - settings that
 * were reloaded, notifications - is kept and told behind the borrowed
 * server's answer, never in the middle of it.
 *
 * Invariant: home is set exactly while the session is on a borrowed server,
 * waits for one, or is on its way back from it; a session whose home was lost
 * meanwhile (is_homeless) ends with the next answer at the latest.
 */
#include "base/buf.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct server_user_hooks home_hooks;

bool session_is_at_home(const struct session *session)
{
	return session->mode == POOL_MODE_SESSION && session->server &&
	       !session->home && !session->is_homeless;
}

bool session_may_leave_home(const struct session *session)
{
	return !session_has_pending(session) && session->pins == 0 &&
	       server_is_idle(session->server);
}

void session_leave_home(struct session *session)
{
	struct server *home = session->server;

	assert(session_is_at_home(session) && session_may_leave_home(session));
	session_adopt_settings(session);
	server_slow(home, false);
	server_set_hooks(home, &home_hooks);
	session->home = home;
	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
}

/* --- what it says meanwhile --- */

/* Values that its server has reported count from now on. */
static void hear(struct session *session, const struct buf *said)
{
	const uint8_t *data = buf_head(said);
	size_t len = buf_len(said);
	struct pgwire_message message;
	const char *name;
	const char *value;

	while (pgwire_read(data, len, &message) == PGWIRE_OK) {
		if (message.type == 'S' &&
		    pgwire_read_pair(&message, &name, &value))
			(void)session_note_reported(session, name, value,
						    false);
		data += message.total;
		len -= message.total;
	}
}

static void tell_client(struct session *session)
{
	struct buf *said = &session->said_at_home;

	if (buf_len(said) == 0)
		return;
	stream_write(session->client, buf_head(said), buf_len(said));
	if (!session->is_homeless)
		hear(session, said);
	buf_free(said);
}

bool session_go_home(struct session *session)
{
	assert(!session->server && (session->home || session->is_homeless));
	if (session->is_homeless) {
		tell_client(session);
		session_end(session, true, "its server was lost");
		return false;
	}
	session->server = session->home;
	session->home = NULL;
	session->wait_since_us = 0;
	server_set_hooks(session->server, &session_server_hooks);
	session_set_state(session, SESSION_ACTIVE);
	session_renew_limit(session);
	tell_client(session);
	return true;
}

bool session_is_evicted(struct session *session)
{
	if (!session->is_homeless)
		return false;
	tell_client(session);
	session_end(session, true, "its server was lost");
	return true;
}

/* --- hooks --- */

static bool on_home_bytes(void *user, const void *data, size_t len)
{
	struct session *session = user;

	buf_append(&session->said_at_home, data, len);
	return false;
}

static void on_home_lost(void *user, const struct server_loss *loss)
{
	struct session *session = user;
	char text[256];

	session->home = NULL;
	session->is_homeless = true;
	(void)snprintf(text, sizeof(text), "the server connection was lost: %s",
		       loss->why);
	if (loss->words_len > 0)
		buf_append(&session->said_at_home, loss->words,
			   loss->words_len);
	else
		pgbuild_error(&session->said_at_home,
			      &(struct pgbuild_error){
				      .severity = "FATAL",
				      .sqlstate = strlen(loss->sqlstate) == 5
							  ? loss->sqlstate
							  : "08006",
				      .message = text });
	/* In the middle of an answer its end is waited for. */
	if (!session_has_pending(session) && !session->is_mid_unit)
		(void)session_is_evicted(session);
}

static const char *on_home_name_of(void *user, uint64_t id)
{
	const struct session *session = user;

	return stmtmap_name_of(session->names, id);
}

/* It owes nothing: none of these is called, whatever a server may send. */
static void on_home_ready(void *user, char status)
{
	(void)user;
	(void)status;
}

static void on_home_told(void *user)
{
	(void)user;
}

static void on_home_settled(void *user, const struct track_entry *entry,
			    bool ok)
{
	(void)user;
	(void)entry;
	(void)ok;
}

static void on_home_named(void *user, bool is_prepare)
{
	(void)user;
	(void)is_prepare;
}

static void on_home_deallocated(void *user, bool is_discard_all)
{
	(void)user;
	(void)is_discard_all;
}

static void on_home_erred(void *user, const char *sqlstate)
{
	(void)user;
	(void)sqlstate;
}

static bool on_home_spares(void *user, const char *sqlstate)
{
	(void)user;
	(void)sqlstate;
	return false;
}

/* Heard with the bytes, when the session is back. */
static bool on_home_reported(void *user, const char *name, const char *value,
			     bool is_ours)
{
	(void)user;
	(void)name;
	(void)value;
	(void)is_ours;
	return true;
}

static void on_home_notified(void *user, const struct pgwire_message *message)
{
	struct session *session = user;

	pgbuild_message(&session->said_at_home, 'A', message->body,
			message->body_len);
}

static bool on_home_holds(void *user, char status)
{
	(void)user;
	(void)status;
	return false;
}

static const struct server_user_hooks home_hooks = {
	.bytes = on_home_bytes,
	.ready = on_home_ready,
	.applied = on_home_told,
	.settled = on_home_settled,
	.named = on_home_named,
	.deallocated = on_home_deallocated,
	.reported = on_home_reported,
	.notified = on_home_notified,
	.holds = on_home_holds,
	.erred = on_home_erred,
	.drained = on_home_told,
	.spares = on_home_spares,
	.name_of = on_home_name_of,
	.lost = on_home_lost,
};
