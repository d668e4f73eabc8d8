/*
 * A client's names of prepared statements while messages that define or drop
 * them are in flight: what a name stands for is decided by the order in
 * which they were sent, and undone when the server skipped them.
 *
 * Each use of a name has a number (serial), so that an answer which comes
 * late never touches what the name has come to stand for since.
 */
#include "core/pgwire.h"
#include "core/stmtmap.h"
#include "core/stmtscope.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <string.h>

#define SERVER_PREFIX "pgweir_"

bool names_looks_like_ours(const char *name)
{
	return strncmp(name, SERVER_PREFIX, strlen(SERVER_PREFIX)) == 0;
}

uint64_t names_serial(const struct session *session)
{
	return session->serial;
}

/*
 * Of the whole process, since servers go from worker to worker and remember
 * whose statement they have.  Drawn in blocks; a session's numbers grow.
 * Small ones are the server's own.
 */
uint64_t names_next_serial(struct session *session)
{
	enum { BLOCK = 1 << 16 };
	struct process *process = session->local->process;

	session->serial++;
	if (session->serial % BLOCK == 1)
		session->serial =
			BLOCK * (1 + atomic_fetch_add(&process->serials, 1)) +
			1;
	return session->serial;
}

/*
 * A batch in flight defines or closes the name, unless it fails first: what
 * uses the name in a later batch has to wait and see.
 */
bool names_is_unsure(const struct session *session, const char *name)
{
	const struct stmtmap_entry *entry;

	if (!session_has_pending(session))
		return false;
	entry = stmtmap_find(session->names, name);
	if (!entry)
		return *name && session->closes > 0;
	return !entry->is_settled && entry->serial <= session->batch_serial;
}

struct stmtmap_entry *names_put(struct session *session, const char *name,
				struct stmt *stmt, struct sqlclass judged)
{
	struct stmtmap_entry *entry = stmtmap_put(session->names, name, stmt);

	entry->judged = judged;
	entry->serial = names_next_serial(session);
	entry->is_settled = false;
	return entry;
}

/*
 * Should the Parse be skipped, what was there before is there again: kept
 * with the session, or with the Parse while others are in flight.
 */
struct server_note *names_keep_unnamed(struct session *session)
{
	const struct stmtmap_entry *before = stmtmap_find(session->names, "");

	if (session->unnamed_changes > 0)
		return before ? server_note_new(before->stmt, 0, false, "")
			      : NULL;
	if (session->unnamed_before)
		stmt_release(session->unnamed_before);
	session->unnamed_before = before ? stmt_hold(before->stmt) : NULL;
	session->has_changed_unnamed = false;
	session->is_unnamed_there =
		before && server_unnamed(session->server) == before->serial;
	return NULL;
}

/* What names statements means something else for each client. */
struct stmt *names_intern(struct session *session,
			  const struct pgwire_message *message,
			  const struct pgwire_parse *parse, uint32_t effects)
{
	size_t skip = strlen(parse->name) + 1;
	struct stmtscope *alone;
	struct stmt *stmt;

	if (!(effects & EFFECT_EXECUTE))
		return stmt_intern_in(session->scope, message->body + skip,
				      message->body_len - skip);
	alone = session_scope_alone(session);
	stmt = stmt_intern_in(alone, message->body + skip,
			      message->body_len - skip);
	stmtscope_release(alone);
	return stmt;
}

bool names_have_failed(const struct session *session)
{
	bool may_end = session->unit.judged.command != COMMAND_OTHER;

	for (unsigned i = 0; i < session->units_count; i++)
		may_end |= session_unit_at(session, i)->judged.command !=
			   COMMAND_OTHER;
	return server_status(session->server) == 'E' && !may_end;
}

/*
 * Where the server lacks it and the settings of then cannot be had, it is read
 * by those of now: another statement, if others may share it.
 */
struct stmt *names_stmt_now(struct session *session,
			    struct stmtmap_entry *entry)
{
	struct stmt *before = entry->stmt;
	struct stmt *now;
	const void *tail;
	size_t len;

	if (stmt_scope(before) == session->scope ||
	    !stmtscope_settings(stmt_scope(before)) ||
	    (entry->judged.effects & EFFECT_EXECUTE) ||
	    names_have_failed(session) || reread_can(session, before) ||
	    (!session->is_plan_stale &&
	     server_has_statement(session->server, before)))
		return before;
	tail = stmt_tail(before, &len);
	now = stmt_intern_in(session->scope, tail, len);
	/* Until it is there, it is known by what it was. */
	if (stmt_shape(before))
		stmt_note_shape(now, stmt_shape(before)->types,
				stmt_shape(before)->len,
				stmt_shape(before)->has_result);
	/* Errors of what is in flight name it still. */
	entry->former = stmt_id(before);
	stmtmap_change(session->names, entry, now);
	stmt_release(now);
	return now;
}

/* Its name is free, and some server has prepared it since the last DDL. */
static bool is_known_parse(const struct session *session,
			   const struct pgwire_message *message)
{
	struct pgwire_parse parse;
	struct stmt *stmt;
	size_t skip;
	bool is_good;

	if (!pgwire_read_parse(message, &parse) ||
	    stmtmap_find(session->names, parse.name))
		return false;
	skip = strlen(parse.name) + 1;
	stmt = stmt_find_in(session->scope, message->body + skip,
			    message->body_len - skip);
	if (!stmt)
		return false;
	is_good = stmt_is_good(stmt);
	stmt_release(stmt);
	return is_good;
}

bool names_are_known(const struct session *session)
{
	struct pgwire_message message;
	unsigned parses = session->scan.parses;
	size_t at = 0;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	/* Two could be of one name: seldom enough to ask the server. */
	if (parses > 1 || (parses > 0 && session_begin_has_failed(session)))
		return false;
	while (parses > 0 &&
	       pgwire_read(data + at, len - at, &message) == PGWIRE_OK) {
		if (message.type == 'P' && !is_known_parse(session, &message))
			return false;
		if (message.type == 'P')
			parses--;
		at += message.total;
	}
	return parses == 0;
}

/* A Close that was skipped did not happen. */
static void restore_name(struct session *session,
			 const struct server_note *note)
{
	struct stmtmap_entry *entry =
		stmtmap_put(session->names, note->name, note->stmt);
	const char *query;
	size_t len;

	query = stmt_query(note->stmt, &len);
	entry->judged = intake_judge(session, query + note->query_at,
				     len - note->query_at);
	entry->serial = note->serial;
	entry->query_at = note->query_at;
	entry->is_settled = true;
}

static void restore_unnamed(struct session *session)
{
	struct stmt *stmt = session->unnamed_before;
	struct stmtmap_entry *entry;
	const char *query;
	size_t len;

	if (!stmt)
		return;
	query = stmt_query(stmt, &len);
	entry = names_put(session, "", stmt, intake_judge(session, query, len));
	entry->is_settled = true;
	if (session->is_unnamed_there)
		server_set_unnamed(session->server, entry->serial);
}

/* Which statement the server has now. */
static void note_unnamed(struct session *session,
			 const struct track_entry *entry, bool ok)
{
	const struct server_note *note = entry->note;
	bool is_skipped = (entry->flags & TRACK_SKIPPED) != 0;

	if (is_skipped && !session->has_changed_unnamed)
		return;
	if (session->unnamed_before)
		stmt_release(session->unnamed_before);
	session->unnamed_before =
		is_skipped && note ? stmt_hold(note->stmt) : NULL;
	session->has_changed_unnamed = ok;
	session->is_unnamed_there = is_skipped;
}

static void settle_unnamed(struct session *session,
			   const struct track_entry *entry, bool ok)
{
	if (!server_changes_unnamed(entry))
		return;
	assert(session->unnamed_changes > 0);
	session->unnamed_changes--;
	note_unnamed(session, entry, ok);
	if (session->unnamed_changes > 0)
		return;
	if (ok) {
		struct stmtmap_entry *last = stmtmap_find(session->names, "");

		if (!last)
			return;
		last->is_settled = true;
		if (!last->is_shared && !session->is_changing_catalog)
			stmt_note_good(last->stmt, session->unnamed_epoch);
		return;
	}
	stmtmap_remove(session->names, "");
	restore_unnamed(session);
}

void relay_settled(struct session *session, const struct track_entry *entry,
		   bool ok)
{
	const struct server_note *note = entry->note;
	struct stmtmap_entry *named;

	if (!note || server_changes_unnamed(entry)) {
		settle_unnamed(session, entry, ok);
		return;
	}
	if (note->serial == 0)
		return;
	if (entry->op == TRACK_CLOSE) {
		assert(session->closes > 0);
		session->closes--;
		/* Unless its Parse stood behind the same error. */
		if (!ok && note->serial <= session->parsed_serial)
			restore_name(session, note);
	}
	if (entry->op != TRACK_PARSE)
		return;
	if (ok)
		session->parsed_serial = note->serial;
	named = stmtmap_find(session->names, note->name);
	if (!named || named->serial != note->serial)
		return;
	named->is_settled = true;
	if (!ok)
		stmtmap_remove(session->names, note->name);
}

void relay_forget_changes(struct session *session)
{
	if (session->unnamed_before)
		stmt_release(session->unnamed_before);
	session->unnamed_before = NULL;
	session->unnamed_changes = 0;
	session->has_changed_unnamed = false;
	session->is_asking = false;
	session->closes = 0;
}
