/*
 * SQL and protocol share one set of names: what a text does with them by
 * PREPARE, EXECUTE and DEALLOCATE.
 *
 * A client's names stand in its own map, and on servers go by other names, or
 * are not there at all.  In front of a text that uses some, these are made
 * what the client takes them for on the server that the text goes to (a
 * guest, server_guests), in the same packet.  Afterwards the map follows what
 * the server says it has done: its tags PREPARE and DEALLOCATE come in the
 * order of the text, whatever becomes of the transaction, since names do not
 * follow it (PostgreSQL docs, "PREPARE").
 *
 * So a name of the protocol does not tie a session to its server, and one of
 * SQL only as long as nobody else waits for that.  What is not understood
 * does, and finds all names there.
 *
 * Invariant: moves holds what the text in flight may still do; no other unit
 * begins meanwhile (session_is_dropping_names).
 */
#include "base/util.h"
#include "core/sqlprep.h"
#include "core/track.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
	USING = EFFECT_PREPARE | EFFECT_EXECUTE | EFFECT_DEALLOCATE,
	/* Uses of one text; one of more is taken for not understood. */
	USES_MAX = 64
};

/* What a text may do to a name once it is done. */
struct materialise_move {
	struct list link;
	bool is_prepare;
	struct stmt *stmt; /* of PREPARE */
	size_t query_at;
	struct sqlclass judged;
	char name[SQLLEX_NAME_MAX + 1];
};

/* The uses of a text. */
struct uses {
	struct sqlprep_use list[USES_MAX];
	unsigned count;
	bool is_lost;
};

bool materialise_is_needed(uint32_t effects)
{
	return (effects & USING) != 0;
}

static void read_uses(const struct session *session, const char *sql,
		      size_t len, struct uses *uses)
{
	struct sqlclass_context context = intake_context(session);
	struct sqlprep_use use;
	struct sqlprep walk;

	uses->count = 0;
	uses->is_lost = false;
	sqlprep_init(&walk, sql, len, &context);
	while (sqlprep_next(&walk, &use)) {
		/* One of ours may be there, and stand for something else. */
		uses->is_lost |= names_looks_like_ours(use.name);
		if (uses->count == USES_MAX)
			uses->is_lost = true;
		else
			uses->list[uses->count++] = use;
	}
	uses->is_lost |= sqlprep_is_lost(&walk);
}

/* All names have to be there. */
static bool is_wide(const struct uses *uses)
{
	for (unsigned i = 0; i < uses->count; i++)
		if (uses->list[i].kind == SQLPREP_LIST)
			return true;
	return uses->is_lost;
}

/* Some name is in flight still: its Parse, or its Close. */
static bool is_unsure(const struct session *session, const struct uses *uses)
{
	struct stmtmap_entry *entry;
	const char *name;
	size_t at = 0;

	for (unsigned i = 0; i < uses->count; i++)
		if (names_is_unsure(session, uses->list[i].name))
			return true;
	while (is_wide(uses) &&
	       stmtmap_next(session->names, &at, &name, &entry))
		if (names_is_unsure(session, name))
			return true;
	return false;
}

/* --- in front of the text ------------------------------------------------- */

static unsigned flags_of(bool is_quiet)
{
	return is_quiet ? TRACK_QUIET : 0;
}

static bool host(struct session *session, const char *name,
		 struct stmtmap_entry *entry, bool is_quiet)
{
	struct server *server = session->server;
	bool is_sql = entry->query_at > 0;
	struct reread reread;
	struct stmt *stmt;

	/* A name of ours would stand for what others share. */
	if (names_looks_like_ours(name))
		return false;
	stmt = names_stmt_now(session, entry);
	if (server_has_guest(server, name, stmt, is_sql))
		return false;
	reread = reread_begin(session, stmt, flags_of(is_quiet));
	(void)server_host_guest(server, name, stmt, is_sql, reread.flags);
	reread_end(session, &reread);
	if (reread.way == REREAD_ALONE)
		server_rely_on_guest(server, name);
	return true;
}

static bool host_all(struct session *session, bool is_quiet)
{
	struct stmtmap_entry *entry;
	const char *name;
	bool is_sent = false;
	size_t at = 0;

	while (stmtmap_next(session->names, &at, &name, &entry))
		is_sent |= host(session, name, entry, is_quiet);
	return is_sent;
}

/* Later uses of a name meet what the earlier one has left. */
static bool is_first(const struct uses *uses, unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (strcmp(uses->list[i].name, uses->list[index].name) == 0)
			return false;
	return true;
}

static bool prepare_for(struct session *session, const struct sqlprep_use *use,
			bool is_quiet)
{
	struct stmtmap_entry *entry = stmtmap_find(session->names, use->name);

	if (!entry)
		return server_lack_guest(session->server, use->name);
	if (use->kind == SQLPREP_EXECUTE)
		return host(session, use->name, entry, is_quiet);
	if (names_looks_like_ours(use->name))
		return false;
	return server_need_guest(session->server, use->name);
}

static bool prepare_server(struct session *session, const struct uses *uses,
			   bool is_quiet)
{
	bool is_sent = false;

	if (is_wide(uses)) {
		server_close_statements(session->server);
		(void)host_all(session, is_quiet);
		return true;
	}
	for (unsigned i = 0; i < uses->count; i++)
		if (is_first(uses, i))
			is_sent |=
				prepare_for(session, &uses->list[i], is_quiet);
	return is_sent;
}

/* --- behind it -------------------------------------------------------------
 */

/* The PREPARE as a statement without parameters. */
static struct stmt *intern_text(struct session *session,
				const struct sqlprep_use *use)
{
	char *tail = xmalloc(use->len + 3);
	struct stmt *stmt;

	memcpy(tail, use->text, use->len);
	memset(tail + use->len, 0, 3);
	stmt = stmt_intern_in(session->scope, tail, use->len + 3);
	free(tail);
	return stmt;
}

static void add_move(struct session *session, const struct sqlprep_use *use)
{
	struct materialise_move *move = xcalloc(1, sizeof(*move));

	list_append(&session->moves, &move->link);
	memcpy(move->name, use->name, sizeof(move->name));
	move->is_prepare = use->kind == SQLPREP_PREPARE;
	if (!move->is_prepare)
		return;
	move->stmt = intern_text(session, use);
	move->query_at = (size_t)(use->query - use->text);
	move->judged = intake_judge(session, use->query, use->query_len);
}

static void free_move(struct materialise_move *move)
{
	list_remove(&move->link);
	if (move->stmt)
		stmt_release(move->stmt);
	free(move);
}

void materialise_drop_moves(struct session *session)
{
	LIST_FOREACH_SAFE (link, &session->moves)
		free_move(LIST_ENTRY(link, struct materialise_move, link));
}

/* What EXECUTE runs decides what it leaves behind. */
static uint32_t note_query(struct session *session,
			   const struct sqlprep_use *use)
{
	const struct stmtmap_entry *entry;
	const char *query = use->query;
	size_t len = use->query_len;
	struct sqlclass judged;

	if (use->kind == SQLPREP_EXECUTE) {
		entry = stmtmap_find(session->names, use->name);
		if (!entry)
			return 0;
		query = stmt_query(entry->stmt, &len) + entry->query_at;
		len -= entry->query_at;
	} else if (use->kind != SQLPREP_PREPARE) {
		return 0;
	}
	judged = intake_judge(session, query, len);
	session_scope_sent(session, &judged, query, len);
	session_inspect_text(session, judged.effects, query, len);
	return judged.effects;
}

static bool has_execute(const struct uses *uses)
{
	for (unsigned i = 0; i < uses->count; i++)
		if (uses->list[i].kind == SQLPREP_EXECUTE)
			return true;
	return false;
}

/*
 * What PREPARE has made stays where it is while it may: plans, counts and
 * functions that name it are PostgreSQL's own there.  It can be made anew
 * elsewhere when others wait for the server (session_yield).
 */
static uint32_t effects_beside(struct session *session, const struct uses *uses,
			       uint32_t effects)
{
	bool is_moving = (effects & (EFFECT_PREPARE | EFFECT_DEALLOCATE)) != 0;

	if (uses->is_lost && (effects & EFFECT_PREPARE))
		session_inspect_stick(session, EFFECT_PREPARE);
	if (uses->is_lost)
		return effects | (is_moving ? EFFECT_DEALLOCATE : 0);
	effects &= ~(uint32_t)EFFECT_EXECUTE;
	for (unsigned i = 0; i < uses->count && has_execute(uses); i++)
		effects |= note_query(session, &uses->list[i]);
	return effects | (is_moving ? EFFECT_DEALLOCATE : 0);
}

static void add_moves(struct session *session, const struct uses *uses)
{
	for (unsigned i = 0; i < uses->count; i++)
		if (uses->list[i].kind == SQLPREP_PREPARE ||
		    uses->list[i].kind == SQLPREP_DEALLOCATE)
			add_move(session, &uses->list[i]);
}

/* EXECUTE has the columns of what it runs, and has them from its Parse on. */
bool materialise_parse(struct session *session, const char *sql, size_t len)
{
	struct uses uses;

	read_uses(session, sql, len, &uses);
	if (is_unsure(session, &uses))
		return false;
	if (!names_have_failed(session))
		(void)prepare_server(session, &uses, false);
	return true;
}

bool materialise_text(struct session *session, const char *sql, size_t len,
		      uint32_t *effects)
{
	const struct track *track = server_track(session->server);
	bool is_quiet = !track_is_batch_open(track);
	struct uses uses;

	read_uses(session, sql, len, &uses);
	if (is_unsure(session, &uses))
		return false;
	if (!names_have_failed(session) &&
	    prepare_server(session, &uses, is_quiet) && is_quiet)
		server_send_sync(session->server);
	*effects = effects_beside(session, &uses, *effects);
	add_moves(session, &uses);
	return true;
}

bool materialise_name(struct session *session, const char *name,
		      struct stmtmap_entry *entry)
{
	/* What names statements is not shared either: it may list itself. */
	if (entry->query_at == 0 && !(entry->judged.effects & EFFECT_EXECUTE))
		return false;
	(void)host(session, name, entry, false);
	return !names_looks_like_ours(name);
}

/* The tags tell which of the moves was made. */
void materialise_moved(struct session *session, bool is_prepare)
{
	LIST_FOREACH_SAFE (link, &session->moves) {
		struct materialise_move *move =
			LIST_ENTRY(link, struct materialise_move, link);
		struct stmtmap_entry *entry;

		if (move->is_prepare != is_prepare)
			continue;
		if (is_prepare) {
			entry = names_put(session, move->name, move->stmt,
					  move->judged);
			entry->is_settled = true;
			session->parsed_serial = entry->serial;
			entry->query_at = move->query_at;
			server_note_guest(session->server, move->name,
					  move->stmt, true);
		} else {
			stmtmap_remove(session->names, move->name);
			server_forget_guest(session->server, move->name);
		}
		free_move(move);
		return;
	}
}
