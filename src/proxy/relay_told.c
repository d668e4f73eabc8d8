/*
 * What a client was told of a statement's columns holds.
 *
 * It reads rows by the description that it had once, as PostgreSQL runs a
 * prepared statement only as long as its columns are the same (plancache.c,
 * RevalidateCachedQuery).  A server where the statement is prepared anew knows
 * nothing of what it was elsewhere, so it is asked there before it is bound,
 * and if the columns are others, the client hears PostgreSQL's words.  It is
 * asked once for each statement and server; a batch that describes its portal
 * reads by that and needs nothing, unless its Bind names formats for the
 * columns that it knows.
 *
 * Refuses to look at unnamed statements, and at those that SQL has made: these
 * stay with their server, or go by materialise.
 */
#include "core/columns.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

/* The name is one that Parse made, for a text that names no statements. */
static bool is_followed(const char *name, const struct stmtmap_entry *entry)
{
	return entry && *name && entry->query_at == 0 &&
	       !(entry->judged.effects & EFFECT_EXECUTE);
}

/* A Describe of the portal stands right behind its Bind. */
static bool describes_portal(const struct session *session,
			     const struct pgwire_message *message,
			     const char *portal)
{
	struct pgwire_message next;
	const char *name;
	uint8_t kind;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	return message->total < len &&
	       pgwire_read(data + message->total, len - message->total,
			   &next) == PGWIRE_OK &&
	       next.type == 'D' && pgwire_is_complete(&next) &&
	       pgwire_read_target(&next, &kind, &name) && kind == 'P' &&
	       strcmp(name, portal) == 0;
}

/* Whatever the columns are now, it goes by what this batch is told. */
static bool reads_anew(const struct session *session,
		       const struct pgwire_message *message,
		       const struct pgwire_bind *bind)
{
	return describes_portal(session, message, bind->portal) &&
	       pgwire_count_formats(message->body + bind->rest,
				    message->body_len - bind->rest) <= 1;
}

static struct server_note *note_of(struct session *session, const char *name,
				   const struct stmtmap_entry *entry)
{
	struct server_note *note =
		server_note_new(entry->stmt, entry->serial, false, name);

	server_date_note(session->server, note);
	return note;
}

struct server_note *relay_told_note(struct session *session, const char *name,
				    const struct stmtmap_entry *entry)
{
	return is_followed(name, entry) ? note_of(session, name, entry) : NULL;
}

void relay_told_forget(struct session *session)
{
	server_note_free(session->portal_note);
	session->portal_note = NULL;
}

void relay_told_bound(struct session *session,
		      const struct pgwire_message *message,
		      const struct pgwire_bind *bind,
		      const struct stmtmap_entry *entry)
{
	relay_told_forget(session);
	if (is_followed(bind->statement, entry) && entry->told == 0 &&
	    describes_portal(session, message, bind->portal))
		session->portal_note = note_of(session, bind->statement, entry);
}

struct server_note *relay_told_take_portal(struct session *session)
{
	struct server_note *note = session->portal_note;

	session->portal_note = NULL;
	return note;
}

/* The server tells what it has, or is made to have it and tells then. */
static void ask(struct session *session, struct stmt *stmt, bool is_there)
{
	struct server *server = session->server;

	if (!is_there)
		server_prepare(server, stmt);
	server_describe(server, stmt);
	pgbuild_empty(server_out(server), 'H');
	session->is_asking = true;
}

/* What comes next would wait for data of the client's. */
static bool is_copying(const struct session *session)
{
	return session_unit_at(session, session->units_count - 1)
		       ->judged.effects &
	       EFFECT_COPY_IN;
}

static bool is_failed(const struct session *session)
{
	const struct track *track = server_track(session->server);

	return (track_is_skipping(track) && track_units(track) == 0) ||
	       (server_status(session->server) == 'E' &&
		!session_has_pending(session));
}

/* Nothing is known of what stands there. */
static enum relay_told find_out(struct session *session, struct stmt *stmt,
				bool is_there)
{
	if (!session->is_asking) {
		ask(session, stmt, is_there);
		return RELAY_TOLD_WAIT;
	}
	/* It may not have been told: the batch has failed. */
	return track_owed(server_track(session->server)) > 0 ? RELAY_TOLD_WAIT
							     : RELAY_TOLD_HOLDS;
}

static enum relay_told check(struct session *session,
			     const struct pgwire_message *message,
			     const struct pgwire_bind *bind)
{
	struct stmtmap_entry *entry =
		stmtmap_find(session->names, bind->statement);
	struct stmt *stmt;
	uint64_t there;
	bool is_there;

	if (!is_followed(bind->statement, entry) || entry->told == 0 ||
	    is_failed(session))
		return RELAY_TOLD_HOLDS;
	stmt = names_stmt_now(session, entry);
	is_there = server_has_statement(session->server, stmt);
	there = is_there ? server_columns(session->server, stmt) : 0;
	if (there == entry->told || reads_anew(session, message, bind))
		return RELAY_TOLD_HOLDS;
	/* In a transaction that has failed PostgreSQL does not look at them. */
	if (session_has_pending(session))
		return is_copying(session) ? RELAY_TOLD_HOLDS : RELAY_TOLD_WAIT;
	return there ? RELAY_TOLD_BROKEN : find_out(session, stmt, is_there);
}

enum relay_told relay_told_check(struct session *session,
				 const struct pgwire_message *message,
				 const struct pgwire_bind *bind)
{
	enum relay_told result = check(session, message, bind);

	/* What is sent next may end the wait for an answer, here and now. */
	if (result != RELAY_TOLD_WAIT)
		session->is_asking = false;
	return result;
}

struct server_note *relay_told_stale(void)
{
	struct server_note *note = server_note_new(NULL, 0, false, "");

	note->is_stale = true;
	return note;
}

bool relay_told_settled(struct session *session,
			const struct track_entry *described)
{
	const struct server_note *note = described->note;
	struct stmtmap_entry *entry;

	if (described->op != TRACK_DESCRIBE_STATEMENT &&
	    described->op != TRACK_DESCRIBE_PORTAL)
		return false;
	entry = note ? stmtmap_find(session->names, note->name) : NULL;
	if (entry && entry->serial == note->serial && note->columns > 0)
		entry->told = note->columns;
	return true;
}
