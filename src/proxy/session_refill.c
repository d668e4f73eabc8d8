/*
 * RESET, RESET ALL and SET ... TO DEFAULT of a client whose startup packet
 * sets something: to PostgreSQL that is the session's default, servers that
 * are shared know only their own.
 *
 * So the values of the startup packet are set again right behind such a
 * statement: in the text of the same Query, or in the same batch behind its
 * Execute.  Both are one transaction, or one part of the client's, and
 * PostgreSQL reports at the end what has changed, so that the client is told
 * what it would have been told, and nothing waits.
 *
 * A text of several statements is left to the look behind it
 * (session_inspect), as are functions that reset.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/settings.h"
#include "core/sqlreset.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <stdlib.h>
#include <string.h>

/* A statement that was bound; the Execute of its portal does it. */
struct session_refill {
	const struct settings *values; /* a reference */
	char portal[];
};

void session_refill_forget(struct session *session)
{
	if (!session->refill)
		return;
	settings_release(session->refill->values);
	free(session->refill);
	session->refill = NULL;
}

/* Of all settings, identities are not reset. */
static const struct settings *all_of(const struct settings *startup)
{
	const struct settings *less = settings_with(startup, "role", NULL);
	const struct settings *least =
		settings_with(less, "session_authorization", NULL);

	settings_release(less);
	return least;
}

static const struct settings *one_of(const struct settings *startup,
				     const char *name)
{
	return settings_with(settings_empty(), name,
			     settings_get(startup, name));
}

/* What such a statement gives back: a reference; NULL: it is none. */
static const struct settings *values_of(const struct session *session,
					const struct sqlclass *judged,
					const char *text, size_t len)
{
	const uint32_t resets = EFFECT_SET | EFFECT_RESET_ALL;
	char name[SQLRESET_NAME_MAX + 1];

	if (session->startup == settings_empty() || judged->statements != 1 ||
	    !(judged->effects & resets) ||
	    (judged->effects & EFFECT_DISCARD_ALL))
		return NULL;
	switch (sqlreset_read(text, len, name)) {
	case SQLRESET_ALL: return all_of(session->startup);
	case SQLRESET_ONE:
		return settings_get(session->startup, name)
			       ? one_of(session->startup, name)
			       : NULL;
	case SQLRESET_NONE:
	default: return NULL;
	}
}

/* The SET of one of them; its bytes are in the startup packet's encoding. */
static void append_set(const struct session *session, const char *name,
		       struct buf *sql)
{
	const struct settings *less =
		settings_with(session->startup, name, NULL);

	settings_difference(less, session->startup, sql);
	settings_release(less);
}

bool session_refill_text(const struct session *session,
			 const struct sqlclass *judged, const char *text,
			 size_t len, struct buf *sql)
{
	const struct settings *values = values_of(session, judged, text, len);
	const char *name;
	const char *value;

	if (!values)
		return false;
	for (size_t i = 0; settings_at(values, i, &name, &value); i++)
		append_set(session, name, sql);
	settings_release(values);
	return true;
}

bool session_refill_query(struct session *session,
			  const struct sqlclass *judged,
			  const struct pgwire_message *message,
			  struct buf *tail)
{
	struct buf sql = BUF_INIT;
	const char *text;
	size_t len;

	if (message->type != 'Q' || !pgwire_is_complete(message) ||
	    !pgwire_read_string(message, &text, &len))
		return false;
	session->unit.is_refilled =
		session_refill_text(session, judged, text, len, &sql);
	if (session->unit.is_refilled) {
		/* A comment at the end goes no further than its line. */
		buf_append_text(tail, "\n;");
		buf_move(tail, &sql);
	}
	return session->unit.is_refilled;
}

void session_refill_pass(struct session *session,
			 const struct pgwire_message *message, struct buf *tail)
{
	struct buf *out = server_out(session->server);
	size_t len = message->body_len - 1;

	pgbuild_header(out, 'Q', len + buf_len(tail) + 1);
	buf_append(out, message->body, len);
	buf_append(out, buf_head(tail), buf_len(tail));
	buf_append_u8(out, 0);
	buf_free(tail);
	stream_consume(session->client, message->total);
}

void session_refill_bound(struct session *session,
			  const struct sqlclass *judged, const char *text,
			  size_t len, const char *portal)
{
	const struct settings *values = values_of(session, judged, text, len);
	size_t portal_len = strlen(portal);

	if (!values)
		return;
	session_refill_forget(session);
	session->refill = xmalloc(sizeof(*session->refill) + portal_len + 1);
	session->refill->values = values;
	memcpy(session->refill->portal, portal, portal_len + 1);
}

bool session_refill_is_due(const struct session *session,
			   const struct pgwire_message *execute)
{
	const struct session_refill *refill = session->refill;
	size_t size;

	if (!refill || !pgwire_is_complete(execute))
		return false;
	size = strlen(refill->portal) + 1;
	return execute->body_len >= size &&
	       memcmp(execute->body, refill->portal, size) == 0;
}

void session_refill_insert(struct session *session)
{
	const struct settings *values = session->refill->values;
	const char *name;
	const char *value;

	for (size_t i = 0; settings_at(values, i, &name, &value); i++) {
		struct buf sql = BUF_INIT;

		append_set(session, name, &sql);
		server_insert(session->server, &sql);
		buf_free(&sql);
	}
	session->unit.is_refilled = true;
	session_refill_forget(session);
}
