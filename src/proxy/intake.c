/*
 * What does the client want next?  Looks at the bytes in the in-buffer up to
 * the end of the next unit - a Query, or a batch up to its Sync or Flush -
 * and says what class of work it is.  Consumes nothing and sends nothing.
 *
 * A unit is held back until it is whole, so that it is judged as a whole,
 * but not without limit: a longer one is judged by its first words, and goes
 * to the primary.
 */
#include "base/util.h"
#include "core/catalog.h"
#include "core/judge.h"
#include "core/pgwire.h"
#include "core/sqlclass.h"
#include "core/sqlhint.h"
#include "core/track.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <string.h>

struct sqlclass_context intake_context(const struct session *session)
{
	return (struct sqlclass_context){
		.catalog = pool_catalog(session->pool),
		.plain_backslash = session->is_plain_backslash,
		.is_safe_encoding = session->is_safe_encoding,
	};
}

struct sqlclass intake_judge(const struct session *session, const char *sql,
			     size_t len)
{
	struct sqlclass_context context = intake_context(session);

	return judge_text(session->local->shapes, sql, len, &context);
}

/* Adds a statement's class to the unit's: the worst counts. */
static void add_class(struct sqlclass *unit, struct sqlclass more)
{
	bool is_first = unit->statements == 0;
	unsigned sum = (unsigned)unit->statements + more.statements;

	if (more.access > unit->access) {
		unit->access = more.access;
		unit->reason = more.reason;
	}
	unit->hint = is_first ? more.hint
			      : (uint8_t)sqlhint_join(unit->hint, more.hint);
	if (is_first)
		unit->command = more.command;
	else if (more.command != COMMAND_OTHER ||
		 unit->command != COMMAND_OTHER)
		unit->command = COMMAND_MIXED;
	unit->is_certain = (is_first || unit->is_certain) && more.is_certain;
	unit->effects |= more.effects;
	unit->shows_position |= more.shows_position;
	unit->tells_time |= more.tells_time;
	unit->redefines |= more.redefines;
	unit->statements = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
}

static struct sqlclass unknown(enum sqlclass_reason reason)
{
	return (struct sqlclass){ .access = ACCESS_UNKNOWN,
				  .reason = (uint8_t)reason,
				  .may_draw = true,
				  .statements = 1 };
}

/* The rest may come: lets it pile up.  False when it would be too much. */
static bool wait_for(struct session *session, size_t end)
{
	if (end > SESSION_HOLD_BYTES)
		return false;
	if (end + PGWIRE_HEADER > STREAM_UNREAD_LIMIT) {
		session->is_hoarding = true;
		stream_set_unread_limit(session->client, end + PGWIRE_HEADER);
	}
	return true;
}

static enum intake_result judged(struct session *session, struct sqlclass class)
{
	session->scan.judged = class;
	session->scan.is_judged = true;
	session->scan.is_local = false;
	return INTAKE_UNIT;
}

static enum intake_result look_at_query(struct session *session,
					const struct pgwire_message *message,
					const char **why)
{
	const char *text = (const char *)message->body;
	struct sqlclass class;
	size_t len;

	if (pgwire_is_complete(message)) {
		if (!pgwire_read_string(message, &text, &len)) {
			*why = "invalid message format (Query)";
			return INTAKE_BAD;
		}
		return judged(session, intake_judge(session, text, len));
	}
	class = sqlclass_judge_prefix(text, message->body_here);
	if ((class.access != ACCESS_WRITE ||
	     message->total <= SESSION_WHOLE_BYTES) &&
	    wait_for(session, message->total))
		return INTAKE_MORE;
	class.reason = REASON_TOO_LONG;
	return judged(session, class);
}

/* --- batches --- */

static bool scan_parse(struct session *session,
		       const struct pgwire_message *message)
{
	struct session_scan *scan = &session->scan;
	struct pgwire_parse parse;
	struct sqlclass class;

	if (!pgwire_read_parse(message, &parse))
		return false;
	class = intake_judge(session, parse.query, parse.query_len);
	if (scan->parses < SESSION_JUDGED) {
		if (!session->parsed)
			session->parsed = xcalloc(SESSION_JUDGED,
						  sizeof(*session->parsed));
		session->parsed[scan->parses] = (struct session_parsed){
			class, util_hash(parse.name, strlen(parse.name))
		};
	}
	scan->parses++;
	scan->has_names |= *parse.name != '\0';
	/* One that is known good needs no server (names_are_known). */
	scan->is_local &= *parse.name != '\0';
	add_class(&scan->judged, class);
	return true;
}

/* A class that was judged by an older catalog is judged anew. */
static struct sqlclass class_of_entry(const struct session *session,
				      struct stmtmap_entry *entry)
{
	uint64_t catalog = catalog_id(pool_catalog(session->pool));
	const char *query;
	size_t len;

	if (entry->catalog_id != catalog) {
		query = stmt_query(entry->stmt, &len);
		entry->judged = intake_judge(session, query + entry->query_at,
					     len - entry->query_at);
		entry->catalog_id = catalog;
	}
	return entry->judged;
}

/* Of a batch with very many nobody knows. */
static bool is_parsed_here(const struct session *session, const char *name)
{
	const struct session_scan *scan = &session->scan;
	uint64_t hash = util_hash(name, strlen(name));

	if (scan->parses > SESSION_JUDGED)
		return false;
	for (unsigned i = 0; i < scan->parses; i++)
		if (session->parsed[i].name == hash)
			return true;
	return false;
}

/* A name that the batch itself prepares has been counted there. */
static void scan_name(struct session *session, const char *name)
{
	struct session_scan *scan = &session->scan;
	struct stmtmap_entry *entry = stmtmap_find(session->names, name);

	scan->is_local = false;
	if (is_parsed_here(session, name))
		return;
	add_class(&scan->judged,
		  entry ? class_of_entry(session, entry) : unknown(REASON_LEX));
}

static bool scan_bind(struct session *session,
		      const struct pgwire_message *message)
{
	struct pgwire_bind bind;

	if (pgwire_read_bind(message, &bind) != PGWIRE_OK)
		return false;
	session->scan.binds++;
	session->scan.named_binds += *bind.statement != '\0';
	scan_name(session, bind.statement);
	return true;
}

static bool scan_target(struct session *session,
			const struct pgwire_message *message)
{
	const char *name;
	uint8_t kind;

	if (!pgwire_read_target(message, &kind, &name))
		return false;
	if (message->type == 'C' && kind == 'S') {
		session->scan.has_names = true;
		return true;
	}
	session->scan.is_local = false;
	if (message->type == 'D' && kind == 'S')
		scan_name(session, name);
	return true;
}

static bool scan_message(struct session *session,
			 const struct pgwire_message *message)
{
	switch (message->type) {
	case 'P': return scan_parse(session, message);
	case 'B': return scan_bind(session, message);
	case 'D':
	case 'C': return scan_target(session, message);
	case 'S':
	case 'H': return message->body_len == 0;
	default: session->scan.is_local = false; return true;
	}
}

/*
 * What runs in front of a Flush and what comes behind it is one transaction,
 * and a write may come.
 */
static enum intake_result end_of_batch(struct session *session, uint8_t type)
{
	if (type == 'H' && session->scan.binds > 0)
		add_class(&session->scan.judged, unknown(REASON_TOO_LONG));
	if (type != 'S' || !session->scan.is_local)
		return judged(session, session->scan.judged);
	session->scan.is_judged = true;
	return INTAKE_LOCAL;
}

/* A batch too long to hold goes to the primary as it comes. */
static enum intake_result cut_batch(struct session *session, size_t end)
{
	if (wait_for(session, end))
		return INTAKE_MORE;
	return judged(session, unknown(REASON_TOO_LONG));
}

static bool is_batch_type(uint8_t type)
{
	return type != 0 && strchr("PBDECSH", type) != NULL;
}

static bool check(const struct pgwire_message *message, const char **why)
{
	*why = "invalid frontend message type";
	if (!pgwire_is_client_type(message->type))
		return false;
	*why = "invalid message length";
	return pgwire_is_client_length(message->type, message->body_len);
}

static enum intake_result look_at_batch(struct session *session,
					const char **why)
{
	struct session_scan *scan = &session->scan;
	struct pgwire_message message;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	for (;;) {
		switch (pgwire_read(data + scan->at, len - scan->at,
				    &message)) {
		case PGWIRE_OK: break;
		case PGWIRE_MORE:
			return cut_batch(session, scan->at + PGWIRE_HEADER);
		case PGWIRE_BAD:
		default: *why = "invalid message length"; return INTAKE_BAD;
		}
		if (!check(&message, why))
			return INTAKE_BAD;
		if (!is_batch_type(message.type))
			return judged(session, unknown(REASON_LEX));
		if (!pgwire_is_complete(&message))
			return cut_batch(session, scan->at + message.total);
		*why = "invalid message format";
		if (!scan_message(session, &message))
			return INTAKE_BAD;
		scan->at += message.total;
		if (message.type == 'S' || message.type == 'H')
			return end_of_batch(session, message.type);
		if (session_is_tired(session, message.total))
			return INTAKE_MORE;
	}
}

/* On its server for good, or in a transaction: nothing has to be chosen. */
static bool is_bound(const struct session *session)
{
	/* Of one that listens it matters what the unit does to that. */
	return session->server && !session->ear &&
	       !session_begin_is_open(session) &&
	       (session->pins || server_status(session->server) != 'I' ||
		(session->mode == POOL_MODE_SESSION &&
		 !session_can_split(session)));
}

static enum intake_result look_at_extended(struct session *session,
					   const char **why)
{
	if (session->scan.at == 0)
		session->scan.is_local = true;
	if (is_bound(session))
		return judged(session, (struct sqlclass){ 0 });
	return look_at_batch(session, why);
}

static enum intake_result stray(struct session *session,
				const struct pgwire_message *message)
{
	/* COPY may be about to begin: the server knows what to ignore. */
	if (session->server &&
	    (session_has_pending(session) || is_bound(session) ||
	     track_owed(server_track(session->server)) > 0))
		return judged(session, (struct sqlclass){ 0 });
	session->discard = message->total;
	return INTAKE_STRAY;
}

enum intake_result intake_look(struct session *session, const char **why)
{
	struct pgwire_message message;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	/* Looked at before, but it had to wait. */
	if (session->scan.is_judged)
		return session->scan.is_local ? INTAKE_LOCAL : INTAKE_UNIT;
	switch (pgwire_read(data, len, &message)) {
	case PGWIRE_OK: break;
	case PGWIRE_MORE: return INTAKE_MORE;
	case PGWIRE_BAD:
	default: *why = "invalid message length"; return INTAKE_BAD;
	}
	if (!check(&message, why))
		return INTAKE_BAD;
	switch (message.type) {
	case 'X': return INTAKE_END;
	case 'Q': return look_at_query(session, &message, why);
	case 'F': return judged(session, unknown(REASON_UTILITY));
	case 'd':
	case 'c':
	case 'f': return stray(session, &message);
	default: return look_at_extended(session, why);
	}
}
