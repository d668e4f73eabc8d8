/*
 * DISCARD ALL of a client whose startup packet sets something: to PostgreSQL
 * that is the session's default, servers that are shared know only their own.
 *
 * The server's answer is passed on but for its ReadyForQuery and for what it
 * reports.  Then the values of the startup packet are set again, and the
 * client is told what is another value now than it was before, in
 * PostgreSQL's order and in front of the ReadyForQuery.  What the client has
 * sent meanwhile waits.
 *
 * Such a unit waits until no other is in flight.  Only one that is nothing
 * but DISCARD ALL is treated so; of all others the look behind them
 * (session_inspect) takes care, and the client hears of it a little later.
 * Of RESET takes session_refill care, which needs none of this.
 */
#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/settings.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct session_reset {
	char status; /* of the ReadyForQuery that is owed; 0: not yet */
};

void session_reset_forget(struct session *session)
{
	free(session->reset);
	session->reset = NULL;
}

static bool is_discard(const struct session *session,
		       const struct sqlclass *judged)
{
	return (judged->effects & EFFECT_DISCARD_ALL) &&
	       judged->statements == 1 && session->startup != settings_empty();
}

/* What the client has been told so far must be what the server has. */
bool session_reset_must_wait(const struct session *session,
			     const struct sqlclass *judged)
{
	return is_discard(session, judged) &&
	       (session_has_pending(session) ||
		server_has_question(session->server));
}

void session_reset_sent(struct session *session, const struct sqlclass *judged)
{
	if (session->reset || session_has_pending(session) ||
	    !is_discard(session, judged))
		return;
	session->reset = xcalloc(1, sizeof(*session->reset));
	session_keep_told(session);
}

void session_reset_spoiled(struct session *session)
{
	if (!session->reset || session->reset->status)
		return;
	session_forget_told(session);
	session_reset_forget(session);
}

void session_reset_done(struct session *session, char status)
{
	if (session->reset && !session->reset->status)
		session->reset->status = status;
}

bool session_reset_is_sent(const struct session *session)
{
	return session->reset && !session->reset->status;
}

bool session_reset_is_owing(const struct session *session)
{
	return session->reset && session->reset->status;
}

/* --- what the client is told ---------------------------------------------- */

/* The changed parameter that comes next after that name, or NULL. */
static const char *next_changed(const struct session *session,
				const char *after)
{
	const struct strmap *now = server_parameters(session->server);
	const char *next = NULL;
	const char *name;
	void *value;
	size_t at = 0;

	while (strmap_next(now, &at, &name, &value)) {
		const char *told = settings_get(session->told, name);

		if ((told && strcmp(told, value) == 0) ||
		    strcmp(name, "in_hot_standby") == 0)
			continue;
		if (strcasecmp(name, after) > 0 &&
		    (!next || strcasecmp(name, next) < 0))
			next = name;
	}
	return next;
}

/* As PostgreSQL, which goes through its parameters by name. */
static void tell_changes(struct session *session)
{
	const struct strmap *now = server_parameters(session->server);
	struct buf changes = BUF_INIT;
	const char *name = "";

	while (session->told && (name = next_changed(session, name)) != NULL)
		pgbuild_parameter_status(&changes, name, strmap_get(now, name));
	stream_write(session->client, buf_head(&changes), buf_len(&changes));
	buf_free(&changes);
}

void session_reset_pay(struct session *session)
{
	struct buf ready = BUF_INIT;

	if (!session_reset_is_owing(session) || session->is_restoring)
		return;
	tell_changes(session);
	pgbuild_ready(&ready, session->reset->status);
	stream_write(session->client, buf_head(&ready), buf_len(&ready));
	buf_free(&ready);
	session_forget_told(session);
	session_reset_forget(session);
}
