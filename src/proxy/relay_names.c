/*
 * What a client's name of a statement is on its server: how a Parse, Bind,
 * Describe or Close that names one is said there (relay passes them on).
 *
 * A Parse goes there unless it is known what it would be answered.  It takes
 * nothing with it that is there already: whether it succeeds nobody can know
 * while a transaction may have failed, and what has been closed then cannot be
 * brought anew.
 *
 * Two rules keep the errors PostgreSQL's own: a name that the client never
 * prepared is passed on as it is, and a name that is taken is really taken
 * on the server for the length of that batch.
 */
#include "base/buf.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

/* --- Parse --- */

static void parse_unnamed(struct session *session, struct stmt *stmt,
			  struct sqlclass class)
{
	struct server_note *note = names_keep_unnamed(session);
	struct stmtmap_entry *entry;

	session_undo_note(session, "");
	entry = names_put(session, "", stmt, class);
	server_set_unnamed(session->server, entry->serial);
	session->unnamed_epoch = stmt_epoch(stmt);
	session->unnamed_changes++;
	session_count_total(session, COUNTER_SERVER_PARSES);
	server_owe(session->server, TRACK_PARSE, 0, note);
}

/*
 * The name is taken, and PostgreSQL shall say so: something of that very name
 * goes in front.
 */
static void parse_taken(struct session *session, const char *name)
{
	/* As ours it may be there already. */
	if (names_looks_like_ours(name)) {
		server_mark_spent(session->server);
		server_close_statement(session->server, name);
	}
	(void)server_need_guest(session->server, name);
	server_owe(session->server, TRACK_PARSE, 0,
		   server_note_new(NULL, 0, false, name));
}

/* What is under way, or has been in this transaction, may be DDL. */
static bool may_be_ddl(const struct session *session)
{
	const uint32_t changing = EFFECT_DDL | EFFECT_HIDDEN;
	bool may_be = session->is_changing_catalog ||
		      (session->unit.judged.effects & changing);

	for (unsigned i = 0; i < session->units_count; i++)
		may_be |= (session_unit_at(session, i)->judged.effects &
			   changing) != 0;
	return may_be;
}

/* The statement's Parse would succeed now: answered without the server. */
static bool is_known_good(struct session *session, struct stmt *stmt)
{
	const uint32_t changing =
		EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL | EFFECT_DDL;

	return server_status(session->server) != 'E' &&
	       !session_has_pending(session) && !session->is_changing_catalog &&
	       !(session->unit.judged.effects & changing) &&
	       server_has_fresh(session->server, stmt);
}

/* The client's Parse is the one that brings the statement. */
static void parse_new(struct session *session, struct stmt *stmt,
		      struct server_note *note)
{
	struct server *server = session->server;
	size_t len;
	const void *tail = stmt_tail(stmt, &len);

	note->is_sent = true;
	note->was_there = server_expect_statement(server, stmt);
	server_date_note(server, note);
	pgbuild_parse(server_out(server), stmt_server_name(stmt), tail, len);
	server_owe(server, TRACK_PARSE, 0, note);
	server_describe_new(server, stmt);
}

/*
 * It is there, but would its Parse succeed?  Only when that was tried is it
 * prepared anew, if what is there may be stale.
 */
static void parse_again(struct session *session, struct stmt *stmt,
			struct server_note *note)
{
	server_try_parse(session->server, stmt, note);
	if (may_be_ddl(session) || !server_has_fresh(session->server, stmt))
		server_prepare(session->server, stmt);
}

static void parse_named(struct session *session, const char *name,
			struct stmt *stmt, struct sqlclass class)
{
	struct server *server = session->server;
	bool is_known = is_known_good(session, stmt);
	struct stmtmap_entry *entry;
	struct server_note *note;

	session_undo_note(session, name);
	entry = names_put(session, name, stmt, class);
	note = server_note_new(stmt, entry->serial, false, name);
	session_count_total(session, is_known ? COUNTER_PREPARED_HITS
					      : COUNTER_PREPARED_MISSES);
	if (is_known) {
		server_owe(server, TRACK_PARSE, TRACK_LOCAL, note);
		return;
	}
	session_count_total(session, COUNTER_SERVER_PARSES);
	if (server_may_have(server, stmt))
		parse_again(session, stmt, note);
	else
		parse_new(session, stmt, note);
}

bool relay_names_parse(struct session *session,
		       const struct pgwire_message *message,
		       const struct pgwire_parse *parse, struct sqlclass class)
{
	struct stmt *stmt;
	bool is_named = *parse->name != '\0';
	bool is_passed = false;

	if (is_named && stmtmap_find(session->names, parse->name)) {
		parse_taken(session, parse->name);
		return true;
	}
	stmt = names_intern(session, message, parse, class.effects);
	if (is_named)
		parse_named(session, parse->name, stmt, class);
	else
		is_passed = !relay_shared_parse(session, stmt, class);
	if (is_passed)
		parse_unnamed(session, stmt, class);
	stmt_release(stmt);
	return is_passed;
}

/* --- Bind and Describe --- */

/* Another client's must not answer for the one that this client lacks. */
static void lack_unnamed(struct session *session)
{
	struct server *server = session->server;
	uint64_t serial = server_unnamed(server);

	if (serial == 0 || serial == session->unnamed_serial)
		return;
	pgbuild_target(server_out(server), 'C', 'S', "");
	server_owe(server, TRACK_CLOSE, TRACK_OURS, NULL);
	server_set_unnamed(server, 0);
}

/* On servers it is called by its number, not as the client does. */
static bool is_numbered(const char *name, const struct stmtmap_entry *entry)
{
	return *name || entry->is_shared;
}

/* Is the statement there, for what stands in this batch? */
static bool is_there(struct session *session, const char *name,
		     const struct stmtmap_entry *entry)
{
	if (is_numbered(name, entry))
		return server_has_statement(session->server, entry->stmt);
	return server_unnamed(session->server) == entry->serial;
}

/* Those that a transaction takes though it has failed; or PREPARE. */
static bool is_exit(const struct stmtmap_entry *entry)
{
	const struct sqlclass *class = &entry->judged;
	size_t len;

	return strcasestr(stmt_query(entry->stmt, &len), "prepare") ||
	       (class->command != COMMAND_OTHER &&
		class->command != COMMAND_BEGIN &&
		class->command != COMMAND_SET_TRANSACTION);
}

/*
 * The transaction has failed: what is not there cannot be prepared.  Nor would
 * it be run, but PostgreSQL knows its parameters, and looks at them first.
 */
static const char *stand_in(struct session *session, const char *name,
			    const struct stmtmap_entry *entry,
			    bool is_described)
{
	const struct stmt_shape *shape = stmt_shape(entry->stmt);
	const char *there =
		is_numbered(name, entry) ? stmt_server_name(entry->stmt) : "";

	if (!shape || entry->query_at > 0 || is_there(session, name, entry) ||
	    (is_described ? shape->has_result : is_exit(entry)))
		return NULL;
	server_stand_in(session->server, there, shape);
	return there;
}

bool relay_names_must_wait(struct session *session, const char *name)
{
	const struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	bool may_fail = server_status(session->server) != 'I';
	const struct session_unit *unit;

	if (!session_has_pending(session) || !entry ||
	    names_have_failed(session) || is_there(session, name, entry))
		return false;
	for (unsigned i = 0; i < session->units_count; i++) {
		unit = session_unit_at(session, i);
		may_fail |= unit->judged.command != COMMAND_OTHER;
	}
	may_fail |= reread_is_due(session, entry->stmt);
	/* A COPY would wait for what comes. */
	unit = session_unit_at(session, session->units_count - 1);
	return may_fail && !(unit->judged.effects & EFFECT_COPY_IN);
}

static void bring_unnamed(struct session *session,
			  const struct stmtmap_entry *entry)
{
	struct server *server = session->server;
	struct reread reread = reread_begin(session, entry->stmt, 0);
	size_t len;
	const void *tail = stmt_tail(entry->stmt, &len);

	server_set_unnamed(server, entry->serial);
	pgbuild_parse(server_out(server), "", tail, len);
	server_owe(server, TRACK_PARSE, TRACK_OURS | reread.flags, NULL);
	reread_end(session, &reread);
}

/* Where PREPARE has made it, or it is ours and shared, or unnamed. */
static const char *bring(struct session *session, const char *name,
			 struct stmtmap_entry *entry)
{
	struct server *server = session->server;
	struct stmt *stmt;

	if (*name && materialise_name(session, name, entry))
		return name;
	if (is_numbered(name, entry)) {
		stmt = names_stmt_now(session, entry);
		if (!server_has_statement(server, stmt))
			reread_prepare(session, stmt);
		return stmt_server_name(stmt);
	}
	if (server_unnamed(server) != entry->serial)
		bring_unnamed(session, entry);
	return "";
}

const char *relay_names_there(struct session *session, const char *name,
			      bool is_described,
			      const struct stmtmap_entry **found)
{
	struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	const char *there = NULL;

	*found = entry;
	if (!entry && !*name)
		lack_unnamed(session);
	if (!entry)
		return NULL;
	/* As it was read, even if it would be read otherwise now. */
	if (is_numbered(name, entry) && names_have_failed(session) &&
	    server_has_statement(session->server, entry->stmt))
		return stmt_server_name(entry->stmt);
	if (names_have_failed(session))
		there = stand_in(session, name, entry, is_described);
	if (there)
		return there;
	return bring(session, name, entry);
}

struct server_note *relay_names_note(const struct session *session,
				     const struct stmtmap_entry *entry,
				     const char *name)
{
	if (!entry || !*name ||
	    (!entry->is_second && stmt_scope(entry->stmt) == session->scope))
		return NULL;
	return server_note_new(NULL, 0, false, name);
}

/* --- Close --- */

/* The server keeps the statement for others; the name is the client's. */
bool relay_names_close(struct session *session, const char *name)
{
	const struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	struct server_note *note;

	session_undo_note(session, name);
	if (!*name) {
		note = names_keep_unnamed(session);
		stmtmap_remove(session->names, "");
		server_set_unnamed(session->server, 0);
		session->unnamed_changes++;
		server_owe(session->server, TRACK_CLOSE, 0, note);
		return true;
	}
	session->closes += entry != NULL;
	note = server_note_new(entry ? entry->stmt : NULL,
			       entry ? entry->serial : 0, false, name);
	note->query_at = entry ? entry->query_at : 0;
	note->is_second = entry && entry->is_second;
	stmtmap_remove(session->names, name);
	(void)server_lack_guest(session->server, name);
	server_owe(session->server, TRACK_CLOSE, TRACK_LOCAL, note);
	return false;
}
