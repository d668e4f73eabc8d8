/*
 * RESET, SET ... TO DEFAULT and DISCARD ALL of a client whose startup packet
 * sets something: to PostgreSQL that is the session's default, servers that
 * are shared know only their own.
 *
 * The server's answer is passed on but for its ReadyForQuery, and for what it
 * reports of such settings.  Then the values of the startup packet are set,
 * in the client's transaction if there is one, and what that changes is
 * reported to the client, as PostgreSQL does before its ReadyForQuery.  What
 * the client has sent meanwhile waits.
 *
 * Such a unit waits until no other is in flight.  Only one that is nothing
 * but such a statement is treated so; of all others the look behind them
 * (session_inspect) takes care, and the client hears of it a little later.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/settings.h"
#include "core/sqlreset.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct session_reset {
	enum sqlreset_kind kind;
	char name[SQLRESET_NAME_MAX + 1];
	char status;  /* of the ReadyForQuery that is owed; 0: not yet */
	bool is_sent; /* SETs in the client's transaction */
};

void session_reset_forget(struct session *session)
{
	free(session->reset);
	session->reset = NULL;
}

/* Does the statement reset something that the startup packet sets? */
static bool read_reset(const struct session *session,
		       const struct sqlclass *judged, const char *text,
		       size_t len, struct session_reset *reset)
{
	const uint32_t resets =
		EFFECT_SET | EFFECT_RESET_ALL | EFFECT_DISCARD_ALL;

	*reset = (struct session_reset){ 0 };
	if (!(judged->effects & resets) || judged->statements != 1 ||
	    session->startup == settings_empty())
		return false;
	reset->kind = sqlreset_read(text, len, reset->name);
	return reset->kind == SQLRESET_ALL ||
	       (reset->kind == SQLRESET_ONE &&
		settings_get(session->startup, reset->name));
}

bool session_reset_must_wait(const struct session *session,
			     const struct sqlclass *judged, const char *text,
			     size_t len)
{
	struct session_reset reset;

	return session_has_pending(session) &&
	       read_reset(session, judged, text, len, &reset);
}

void session_reset_sent(struct session *session, const struct sqlclass *judged,
			const char *text, size_t len)
{
	struct session_reset reset;

	if (session->reset || session_has_pending(session) ||
	    !read_reset(session, judged, text, len, &reset))
		return;
	session->reset = xmalloc(sizeof(reset));
	*session->reset = reset;
	session_keep_told(session);
}

void session_reset_spoiled(struct session *session)
{
	if (!session->reset || session->reset->status)
		return;
	session_forget_told(session);
	session_reset_forget(session);
}

bool session_reset_covers(const struct session *session, const char *name)
{
	const struct session_reset *reset = session->reset;

	if (!reset || reset->status || !settings_get(session->startup, name))
		return false;
	return reset->kind == SQLRESET_ALL ||
	       strcasecmp(reset->name, name) == 0;
}

/* What is to be set: of all settings, identities are not reset. */
static const struct settings *wanted(const struct session *session)
{
	const struct session_reset *reset = session->reset;
	const char *value = settings_get(session->startup, reset->name);
	const struct settings *less;
	const struct settings *least;

	if (reset->kind == SQLRESET_ONE)
		return settings_with(settings_empty(), reset->name, value);
	less = settings_with(session->startup, "role", NULL);
	least = settings_with(less, "session_authorization", NULL);
	settings_release(less);
	return least;
}

/* Outside of a transaction the settings are known: that is restored. */
static void restore_one(struct session *session)
{
	const char *name = session->reset->name;
	const struct settings *before = session->settings;
	const struct settings *bare = settings_with(before, name, NULL);

	server_note_settings(session->server, bare);
	settings_release(bare);
	session_take_settings(
		session, settings_with(before, name,
				       settings_get(session->startup, name)));
	session->is_restoring = true;
}

void session_reset_done(struct session *session, char status, bool ok)
{
	struct session_reset *reset = session->reset;
	const struct settings *values;

	if (!reset || reset->status)
		return;
	reset->status = status;
	if (!ok || status == 'E')
		return;
	if (status == 'I') {
		if (reset->kind == SQLRESET_ONE)
			restore_one(session);
		return;
	}
	values = wanted(session);
	reset->is_sent = server_set_aloud(session->server, values);
	settings_release(values);
}

bool session_reset_is_sent(const struct session *session)
{
	return session->reset && !session->reset->status;
}

bool session_reset_is_owing(const struct session *session)
{
	return session->reset && session->reset->status;
}

void session_reset_applied(struct session *session)
{
	if (session_reset_is_owing(session))
		session->reset->is_sent = false;
}

void session_reset_pay(struct session *session)
{
	struct buf ready = BUF_INIT;

	if (!session_reset_is_owing(session) || session->reset->is_sent ||
	    session->is_restoring)
		return;
	pgbuild_ready(&ready, session->reset->status);
	stream_write(session->client, buf_head(&ready), buf_len(&ready));
	buf_free(&ready);
	session_forget_told(session);
	session_reset_forget(session);
}
