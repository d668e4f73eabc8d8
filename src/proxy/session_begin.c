/*
 * Read-only transactions that turn out to belong on the primary.
 *
 * BEGIN READ ONLY goes to a replica at once.  What comes next may be what no
 * replica can do, or what is another thing there: SET TRANSACTION SNAPSHOT
 * of a snapshot of the primary, pg_export_snapshot() for somebody there, SET
 * TRANSACTION READ WRITE.  As long as nothing but the BEGIN has run, the
 * transaction is given up on the replica and begun again on the primary,
 * with the same text, in front of what comes.
 *
 * Invariant: begin is set only while the last unit sent was that BEGIN, or,
 * with has_to_begin, while the session has no server that has heard it.
 */
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/route.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are no plain BEGIN. */
enum { BEGIN_BYTES = 1024 };

void session_begin_forget(struct session *session)
{
	free(session->begin);
	session->begin = NULL;
	session->has_to_begin = false;
}

/* The one statement of the unit, of a Query or of a Parse; or NULL. */
static char *text_of_unit(const struct session *session)
{
	struct pgwire_message message;
	struct pgwire_parse parse;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	if (pgwire_read(data, len, &message) != PGWIRE_OK ||
	    !pgwire_is_complete(&message) || message.body_len == 0 ||
	    message.body_len > BEGIN_BYTES)
		return NULL;
	if (message.type == 'Q')
		return xstrndup((const char *)message.body,
				message.body_len - 1);
	if (message.type != 'P' || !pgwire_read_parse(&message, &parse))
		return NULL;
	return xstrndup(parse.query, parse.query_len);
}

void session_begin_keep(struct session *session)
{
	if (session->begin)
		session_begin_forget(session);
	if (server_site(session->server)->is_replica &&
	    !session_is_in_transaction(session) &&
	    route_is_read_only_begin(&session->scan.judged))
		session->begin = text_of_unit(session);
}

bool session_begin_is_misplaced(const struct session *session)
{
	return session->begin && !session->has_to_begin && session->server &&
	       server_site(session->server)->is_replica &&
	       !session_has_pending(session) &&
	       server_status(session->server) == 'T' &&
	       route_leaves_replica(&session->scan.judged);
}

void session_begin_leave(struct session *session)
{
	struct server *server = session->server;

	assert(session->begin);
	session->has_to_begin = true;
	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
}

void session_begin_again(struct session *session)
{
	if (!session->has_to_begin)
		return;
	pgbuild_query(server_out(session->server), session->begin,
		      strlen(session->begin));
	server_owe(session->server, TRACK_QUERY, TRACK_OURS, NULL);
	session_begin_forget(session);
}
