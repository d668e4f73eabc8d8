/*
 * Units that were on the primary when it went (docs/failover.md).
 *
 * What may have been committed is reported as unknown, 08007, and never done
 * again.  What was certainly not done is held until it is known what has
 * become of the node: if it is no longer the primary, the unit goes to the
 * next one; if nothing has happened to it, somebody has ended this one
 * connection, or the refusal was meant, and the client is told what the
 * server has said.
 *
 * Certainly not done is: not a byte of it has left us; or the server has sent
 * the FATAL of an administrator's end (57P01: PostgreSQL sends that in order,
 * behind the answer of what was done) and no end of a statement before it;
 * or 25006 from a standby that was taken for the primary.  Only texts that
 * cannot commit on their way count: no CALL, no DO, no VACUUM.
 *
 * Invariant: doubt_us is set only while the unit stands in the in-buffer
 * again and the session has no server.
 */
#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/config.h"
#include "core/pgwire.h"
#include "core/sqlcursor.h"
#include "core/topology.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <string.h>

/* Answers to questions asked sooner may be older than the trouble. */
enum { PROOF_US = 20000 };

/* --- what may be repeated --- */

/* A verb that runs in one transaction, and nothing outside of it. */
static bool is_plain(const struct session *session, const char *text,
		     size_t len)
{
	static const enum sqlword plain[] = {
		WORD_SELECT, WORD_INSERT, WORD_UPDATE, WORD_DELETE, WORD_MERGE,
		WORD_WITH,   WORD_VALUES, WORD_TABLE,  WORD_BEGIN,  WORD_START,
	};
	struct sqlclass_context context = intake_context(session);
	struct sqlcursor cursor;

	sqlcursor_init(&cursor, text, len, &context);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (cursor.word == plain[i])
			return true;
	return false;
}

static bool is_plain_bind(const struct session *session, const char *name)
{
	/* The unnamed one's Parse stands in the batch, or did so before. */
	const struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	const char *text;
	size_t len;

	if (!entry)
		return false;
	text = stmt_query(entry->stmt, &len);
	return is_plain(session, text, len);
}

static bool is_plain_message(const struct session *session,
			     const struct pgwire_message *message)
{
	struct pgwire_parse parse;
	struct pgwire_bind bind;
	const char *text;
	size_t len;

	switch (message->type) {
	case 'Q':
		return pgwire_read_string(message, &text, &len) &&
		       is_plain(session, text, len);
	case 'P':
		return pgwire_read_parse(message, &parse) &&
		       is_plain(session, parse.query, parse.query_len);
	case 'B':
		return pgwire_read_bind(message, &bind) == PGWIRE_OK &&
		       is_plain_bind(session, bind.statement);
	case 'F': return false;
	default: return true;
	}
}

/* Of the text of a Query only the first verb is looked at. */
static bool is_single(const struct session *session, unsigned unit)
{
	return unit < session->units_count &&
	       session_unit_at(session, unit)->judged.statements <= 1;
}

/* All that is kept is of statements of that kind. */
static bool are_plain(const struct session *session)
{
	const uint8_t *data = buf_head(&session->replay);
	size_t len = buf_len(&session->replay);
	struct pgwire_message message;
	unsigned unit = 0;

	while (len > 0) {
		if (pgwire_read(data, len, &message) != PGWIRE_OK ||
		    !pgwire_is_complete(&message) ||
		    !is_plain_message(session, &message) ||
		    (message.type == 'Q' && !is_single(session, unit)))
			return false;
		unit += message.type == 'Q' || message.type == 'S';
		data += message.total;
		len -= message.total;
	}
	return true;
}

static bool may_be_held(const struct session *session)
{
	return session_replay_can(session) && session->is_replay_redo &&
	       are_plain(session);
}

/* --- what has become of it --- */

static bool only_reads(const struct session *session)
{
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.access != ACCESS_READ)
			return false;
	return true;
}

static bool is_of_administrator(const char *sqlstate)
{
	return strcmp(sqlstate, "57P01") == 0 || strcmp(sqlstate, "57P03") == 0;
}

/* An answer of which this is all has not come to the end of a statement. */
static bool is_before_end(uint8_t type)
{
	return type != '\0' && strchr("12TntDNE", type) != NULL;
}

/*
 * The server's last words hold a FATAL; is_all: and nothing that tells of a
 * statement that was done.
 */
static bool says_fatal(const struct server_loss *loss, bool *is_all)
{
	const uint8_t *data = loss->words;
	size_t len = loss->words_len;
	struct pgwire_message message;
	bool is_said = false;

	*is_all = true;
	while (len > 0 && pgwire_read(data, len, &message) == PGWIRE_OK &&
	       pgwire_is_complete(&message)) {
		is_said |= message.type == 'E';
		*is_all &= is_before_end(message.type);
		data += message.total;
		len -= message.total;
	}
	*is_all &= len == 0;
	return is_said;
}

static bool is_unsent(const struct session *session,
		      const struct server_loss *loss)
{
	return loss->sent <= session->sent_mark;
}

/* Nothing of it was done, or it does no harm to do it twice. */
static bool is_undone(const struct session *session,
		      const struct server_loss *loss)
{
	bool is_all;

	if (is_unsent(session, loss))
		return true;
	/* To our own settings in front of it: nothing is passed on then. */
	if (is_of_administrator(loss->sqlstate) && loss->words_len == 0)
		return true;
	if (says_fatal(loss, &is_all))
		return is_all && is_of_administrator(loss->sqlstate);
	return loss->words_len == 0 && !session->has_repeated &&
	       only_reads(session);
}

/* Looks at the catalog or the node's statistics, and no more. */
static bool is_harmless_look(const struct sqlclass *judged)
{
	return judged->access == ACCESS_UNKNOWN &&
	       (judged->reason == REASON_NODE_LOCAL ||
		judged->reason == REASON_CATALOG);
}

static bool may_write(const struct sqlclass *judged)
{
	return (judged->access == ACCESS_WRITE ||
		judged->access == ACCESS_UNKNOWN) &&
	       !is_harmless_look(judged);
}

/* Whether its end may have committed something; goes on from unit to unit. */
struct course {
	bool is_in_block;
	bool has_written; /* the block */
};

static bool may_commit(struct course *course, const struct sqlclass *judged)
{
	bool writes = may_write(judged);

	course->has_written |= writes;
	switch ((enum sqlclass_command)judged->command) {
	case COMMAND_BEGIN: course->is_in_block = true; return false;
	case COMMAND_COMMIT:
		course->is_in_block = false;
		return course->has_written;
	case COMMAND_ROLLBACK: course->is_in_block = false; return false;
	case COMMAND_MIXED: return course->has_written;
	case COMMAND_OTHER:
	case COMMAND_ROLLBACK_TO:
	case COMMAND_SET_TRANSACTION:
	default: break;
	}
	return (judged->effects & EFFECT_TWO_PHASE) ||
	       (!course->is_in_block && writes);
}

bool session_doubt_is_unknown(const struct session *session,
			      const struct server_loss *loss)
{
	struct course course = {
		/* A BEGIN of its own may stand in front, unanswered. */
		.is_in_block = server_status(session->server) != 'I' ||
			       session->begin != NULL,
		.has_written = session->is_writing,
	};
	bool is_all;

	/* A failed block commits nothing; a FATAL comes before the commit. */
	if (loss->is_replica || server_status(session->server) == 'E' ||
	    is_unsent(session, loss) || says_fatal(loss, &is_all))
		return false;
	for (unsigned i = 0; i < session->units_count; i++)
		if (may_commit(&course, &session_unit_at(session, i)->judged))
			return true;
	/* A batch whose Sync has not been sent: it may end in Bind, Execute. */
	return session->is_mid_unit && session->has_bound &&
	       may_commit(&course, &session->unit.judged) &&
	       session->unit.judged.command != COMMAND_OTHER;
}

/* --- holding it --- */

static void hold(struct session *session, const void *words, size_t len)
{
	session->doubt_us = util_now_us();
	session->doubt_node = session->node;
	buf_free(&session->doubt_words);
	if (len > 0)
		buf_append(&session->doubt_words, words, len);
}

bool session_doubt_lost(struct session *session, const struct server_loss *loss)
{
	if (loss->is_replica || !may_be_held(session) ||
	    !is_undone(session, loss))
		return false;
	hold(session, loss->words, loss->words_len);
	return true;
}

bool session_doubt_refused(struct session *session, const char *sqlstate)
{
	const char *standby = strmap_get(server_parameters(session->server),
					 "in_hot_standby");

	/* Since version 14 it says what it is. */
	if (strcmp(sqlstate, "25006") != 0 || session->has_repeated ||
	    server_site(session->server)->is_replica ||
	    (standby && strcmp(standby, "off") == 0) || !may_be_held(session))
		return false;
	hold(session, NULL, 0);
	session->is_doubt_refusal = true;
	return true;
}

void session_doubt_forget(struct session *session)
{
	session->doubt_us = 0;
	session->is_doubt_refusal = false;
	buf_free(&session->doubt_words);
}

/* --- finding out --- */

/* Nothing has happened to the node: the client hears what was said. */
static void tell(struct session *session)
{
	if (buf_len(&session->doubt_words) == 0) {
		session_fail(session, "08006", "the server connection was lost",
			     NULL);
		return;
	}
	stream_write(session->client, buf_head(&session->doubt_words),
		     buf_len(&session->doubt_words));
	session_end(session, true, "its server connection was ended");
}

/* The pool has the node: it was looked at just now. */
static void ask_again(struct session *session)
{
	struct local *local = session->local;
	const struct config_database *line = pool_config(session->pool);
	unsigned id = line->nodes[session->doubt_node];

	local->process->node_trouble(local->process->arg,
				     local_config(local)->nodes[id].label);
	if (!list_is_linked(&session->behind_link))
		list_append(&local->behind, &session->behind_link);
}

enum session_doubt session_doubt_look(struct session *session)
{
	const struct topology_node *seen;

	if (session->doubt_us == 0)
		return DOUBT_NONE;
	seen = pool_node_seen(session->pool, session->doubt_node);
	if (!seen || !seen->is_up || seen->role != ROLE_PRIMARY ||
	    pool_primary(session->pool) != (int)session->doubt_node) {
		session_doubt_forget(session);
		return DOUBT_NONE;
	}
	if (seen->asked_us <= session->doubt_us + PROOF_US) {
		ask_again(session);
		return DOUBT_OPEN;
	}
	/* Done once more, and what is said then holds. */
	if (session->is_doubt_refusal) {
		session_doubt_forget(session);
		return DOUBT_NONE;
	}
	tell(session);
	return DOUBT_ENDED;
}
