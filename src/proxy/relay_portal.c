/*
 * The unnamed portal of a BEGIN that was bound, and that no server has heard
 * of in this way (session_defer): the block was opened by a Query.
 *
 * Hardly anybody asks for it again.  Who does is told what PostgreSQL says of
 * a portal that has been run, or of one in a transaction that has failed.  In
 * a failed one nothing can be bound any more but its end; there a statement is
 * prepared instead, which fails with the same words.
 *
 * Refuses to know what has become of a Bind under way: what looks back at the
 * portal from another batch waits until all is answered.
 */
#include "core/pgbuild.h"
#include "core/track.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

static const char stand_in[] = "pgweir_portal";

void relay_portal_begun(struct session *session, bool is_bound)
{
	session->portal = is_bound ? SESSION_PORTAL_BEGUN : SESSION_PORTAL_OWN;
}

void relay_portal_bound(struct session *session, const char *portal,
			const struct sqlclass *class)
{
	if (session->portal == SESSION_PORTAL_OWN || *portal)
		return;
	/* It may be run in a transaction that has failed. */
	session->portal = class->command == COMMAND_COMMIT ||
					  class->command == COMMAND_ROLLBACK
				  ? SESSION_PORTAL_OWN
				  : SESSION_PORTAL_BOUND;
}

/* In other batches nobody knows whether the Bind of this one was good. */
void relay_portal_end_unit(struct session *session)
{
	if (session->portal == SESSION_PORTAL_BOUND)
		session->portal = SESSION_PORTAL_COVERED;
}

static bool must_settle(struct session *session)
{
	bool was_settling = session->is_settling;

	session->is_settling = track_owed(server_track(session->server)) > 0;
	if (session->is_settling && !was_settling)
		pgbuild_empty(server_out(session->server), 'H');
	return session->is_settling;
}

/* --- what is sent for it --------------------------------------------------
 */

static void send_parse(struct session *session, const char *text)
{
	struct buf *out = server_out(session->server);
	size_t start = pgbuild_begin(out, 'P');

	buf_append_cstring(out, stand_in);
	buf_append_cstring(out, text);
	buf_append(out, "\0\0", 2);
	pgbuild_end(out, start);
}

static void send_close(struct session *session)
{
	pgbuild_target(server_out(session->server), 'C', 'S', stand_in);
	server_owe(session->server, TRACK_CLOSE, TRACK_OURS, NULL);
}

/* The unnamed portal of a statement that does nothing there. */
static void bind_it(struct session *session, const char *text)
{
	struct buf *out = server_out(session->server);
	size_t start;

	send_parse(session, text);
	server_owe(session->server, TRACK_PARSE, TRACK_OURS, NULL);
	start = pgbuild_begin(out, 'B');
	buf_append_cstring(out, "");
	buf_append_cstring(out, stand_in);
	buf_append(out, "\0\0\0\0\0\0", 6);
	pgbuild_end(out, start);
	server_owe(session->server, TRACK_BIND, TRACK_OURS, NULL);
	send_close(session);
}

static void run_it(struct session *session)
{
	struct buf *out = server_out(session->server);
	size_t start = pgbuild_begin(out, 'E');

	buf_append_cstring(out, "");
	buf_append_u32(out, 0);
	pgbuild_end(out, start);
	server_owe(session->server, TRACK_EXECUTE, TRACK_OURS, NULL);
}

/* In the transaction that it has begun, which goes on. */
static void make_it(struct session *session)
{
	if (session->portal != SESSION_PORTAL_BEGUN)
		return;
	bind_it(session, "UNLISTEN pgweir_portal");
	run_it(session);
	session->portal = SESSION_PORTAL_OWN;
}

/* True: that is all, the message itself stays here. */
static bool ask_failed(struct session *session,
		       const struct pgwire_message *message)
{
	if (message->type == 'D') {
		if (session->portal == SESSION_PORTAL_BEGUN)
			bind_it(session, "ROLLBACK");
		return false;
	}
	send_parse(session, "SELECT 1");
	server_owe(session->server, TRACK_EXECUTE, 0, NULL);
	stream_consume(session->client, message->total);
	return true;
}

enum relay_portal relay_portal_look(struct session *session,
				    const struct pgwire_message *message,
				    const char *portal)
{
	const struct track *track = server_track(session->server);

	if (session->portal == SESSION_PORTAL_OWN ||
	    session->portal == SESSION_PORTAL_BOUND || *portal ||
	    track_is_skipping(track))
		return RELAY_PORTAL_THERE;
	if (must_settle(session))
		return RELAY_PORTAL_WAIT;
	if (server_status(session->server) == 'T')
		make_it(session);
	else if (server_status(session->server) == 'E' &&
		 ask_failed(session, message))
		return RELAY_PORTAL_ANSWERED;
	return RELAY_PORTAL_THERE;
}
