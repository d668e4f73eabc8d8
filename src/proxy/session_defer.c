/*
 * BEGIN, answered without a server (docs/routing.md).
 *
 * A transaction does nothing before its first statement, so BEGIN, SET
 * TRANSACTION behind it, and a COMMIT or ROLLBACK that follows at once are
 * answered here, in PostgreSQL's words.  The text goes in front of the first
 * real statement, in the same packet, to the node where that belongs
 * (session_begin).  No server is held meanwhile, and the client's next
 * statement is one round trip nearer.
 *
 * What PostgreSQL would show of the difference is when the transaction began
 * (now(), pg_stat_activity); so it waits for begin_wait at most, and is sent
 * alone then.  A session that holds a server, or listens, defers nothing.
 *
 * Only what core/sqlbegin reads to its end is answered: such a statement
 * cannot fail.
 */
#include "core/config.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/sqlbegin.h"
#include "core/stmtmap.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

/* The messages of one such statement, and what stands in them. */
struct piece {
	struct sqlbegin read;
	const char *text;
	size_t text_len;
	struct pgwire_message parse; /* type 0: there is none */
	size_t len;                  /* of all messages */
	uint8_t type;                /* of the first */
	bool has_sync;
};

/* --- what stands there ------------------------------------------------------
 */

static bool read_text(struct piece *piece, const char *text, size_t len)
{
	piece->text = text;
	piece->text_len = len;
	piece->read = sqlbegin_read(text, len);
	return piece->read.kind != SQLBEGIN_NONE;
}

static bool read_query(const struct session *session,
		       const struct pgwire_message *message,
		       struct piece *piece)
{
	const char *text;
	size_t len;

	if (!pgwire_is_complete(message) ||
	    local_settings(session->local)->disable_pqexec ||
	    !pgwire_read_string(message, &text, &len))
		return false;
	piece->len = message->total;
	piece->has_sync = true;
	return read_text(piece, text, len);
}

/* A walk over the messages of a batch. */
struct walk {
	const uint8_t *data;
	size_t len;
	size_t at;
	struct pgwire_message now; /* type 0: none is here whole */
};

static void step(struct walk *walk)
{
	if (walk->now.type != 0)
		walk->at += walk->now.total;
	if (pgwire_read(walk->data + walk->at, walk->len - walk->at,
			&walk->now) != PGWIRE_OK ||
	    !pgwire_is_complete(&walk->now))
		walk->now.type = 0;
}

/* Of the unnamed statement, without parameters. */
static bool take_parse(struct walk *walk, struct piece *piece)
{
	struct pgwire_parse parse;

	if (!pgwire_read_parse(&walk->now, &parse) || *parse.name ||
	    parse.types_len != 2 || pgwire_u16(parse.types) != 0 ||
	    !read_text(piece, parse.query, parse.query_len))
		return false;
	piece->parse = walk->now;
	step(walk);
	return true;
}

static bool take_describe(struct walk *walk, uint8_t wanted, struct buf *out)
{
	const char *name;
	uint8_t kind;

	if (walk->now.type != 'D' ||
	    !pgwire_read_target(&walk->now, &kind, &name) || kind != wanted ||
	    *name)
		return false;
	if (wanted == 'S')
		pgbuild_message(out, 't', "\0\0", 2);
	pgbuild_empty(out, 'n');
	step(walk);
	return true;
}

/* A statement that an earlier batch has prepared. */
static bool read_named(const struct session *session, const char *name,
		       struct piece *piece)
{
	const struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	const char *text;
	size_t len;

	if (!entry || entry->query_at > 0)
		return false;
	text = stmt_query(entry->stmt, &len);
	return read_text(piece, text, len);
}

/* To the unnamed portal, without parameters, formats of results as may be. */
static bool take_bind(struct walk *walk, const struct session *session,
		      struct piece *piece)
{
	const uint8_t *rest;
	struct pgwire_bind bind;
	size_t len;

	if (walk->now.type != 'B' ||
	    pgwire_read_bind(&walk->now, &bind) != PGWIRE_OK || *bind.portal)
		return false;
	if (piece->parse.type != 0
		    ? *bind.statement != '\0'
		    : !read_named(session, bind.statement, piece))
		return false;
	rest = walk->now.body + bind.rest;
	len = walk->now.body_len - bind.rest;
	/* Formats of parameters, parameters, formats of results. */
	if (len < 6 || pgwire_u16(rest) != 0 || pgwire_u16(rest + 2) != 0 ||
	    pgwire_u16(rest + 4) > 1 ||
	    len != 6 + 2 * (size_t)pgwire_u16(rest + 4))
		return false;
	step(walk);
	return true;
}

static bool take_execute(struct walk *walk)
{
	const struct pgwire_message *now = &walk->now;

	/* The unnamed portal, any count of rows. */
	if (now->type != 'E' || now->body_len != 5 || now->body[0] != '\0')
		return false;
	step(walk);
	return true;
}

/*
 * Parse, Bind and Execute of one statement; more may stand behind it that does
 * not look back at its portal.
 */
static bool read_batch(const struct session *session, struct walk *walk,
		       struct piece *piece, struct buf *out)
{
	if (walk->now.type == 'P') {
		if (!take_parse(walk, piece))
			return false;
		pgbuild_empty(out, '1');
		while (take_describe(walk, 'S', out))
			continue;
	}
	if (!take_bind(walk, session, piece))
		return false;
	pgbuild_empty(out, '2');
	while (take_describe(walk, 'P', out))
		continue;
	if (!take_execute(walk))
		return false;
	piece->has_sync = walk->now.type == 'S';
	if (piece->has_sync)
		step(walk);
	else if (walk->now.type != 'P' && walk->now.type != 'B')
		return false;
	piece->len = walk->at;
	return true;
}

/* --- answering --------------------------------------------------------------
 */

static void count(struct session *session, const struct piece *piece)
{
	struct metrics_cell *totals = pool_totals(session->pool);

	if (piece->parse.type != 0)
		metrics_count(totals, COUNTER_CLIENT_PARSES, 0, 0, 1);
	if (piece->type != 'Q')
		metrics_count(totals, COUNTER_BINDS, 0, 0, 1);
	if (piece->has_sync)
		metrics_count(totals, COUNTER_QUERIES, METRICS_ROLE_PRIMARY,
			      METRICS_CLASS_UNKNOWN, 1);
}

/* What the messages mean for the unnamed statement. */
static void name_it(struct session *session, const struct piece *piece)
{
	struct stmtmap_entry *entry;
	struct pgwire_parse parse;
	struct stmt *stmt;

	if (piece->type == 'Q')
		stmtmap_remove(session->names, "");
	if (piece->parse.type == 0 || !pgwire_read_parse(&piece->parse, &parse))
		return;
	stmt = names_intern(session, &piece->parse, &parse, 0);
	entry = names_put(session, "", stmt,
			  intake_judge(session, parse.query, parse.query_len));
	entry->is_settled = true;
	session->parsed_serial = entry->serial;
	stmt_release(stmt);
}

static void end(struct session *session)
{
	struct metrics_cell *totals = pool_totals(session->pool);
	uint64_t took_us = session_now(session) - session->transaction_us;

	session_begin_forget(session);
	session->transaction_us = 0;
	metrics_count(totals, COUNTER_TRANSACTIONS, METRICS_ROLE_PRIMARY, 0, 1);
	metrics_observe(totals, HISTOGRAM_TRANSACTION, METRICS_ROLE_PRIMARY,
			took_us);
	session_count_bytes(session);
}

/* False: it is for a server to answer. */
static bool change(struct session *session, const struct piece *piece)
{
	bool is_first = !session_begin_is_deferred(session);

	switch (piece->read.kind) {
	case SQLBEGIN_BEGIN:
	case SQLBEGIN_START:
		if (!is_first ||
		    !session_begin_defer(session, &piece->read, piece->text,
					 piece->text_len))
			return false;
		/* A unit of this very moment is not the transaction's first. */
		session->transaction_us = session_now(session) - 1;
		return true;
	case SQLBEGIN_MODES:
		return !is_first && !session_begin_has_failed(session) &&
		       session_begin_defer(session, &piece->read, piece->text,
					   piece->text_len);
	case SQLBEGIN_COMMIT:
	case SQLBEGIN_ROLLBACK:
		if (is_first)
			return false;
		end(session);
		return true;
	case SQLBEGIN_NONE:
	default: return false;
	}
}

static bool may_defer(const struct session *session)
{
	if (session_begin_is_deferred(session))
		return session->state == SESSION_IDLE;
	return session->state == SESSION_IDLE && !session->server &&
	       session->mode == POOL_MODE_TRANSACTION && !session->begin &&
	       !session->ear && pool_config(session->pool) &&
	       local_settings(session->local)->begin_wait_us > 0;
}

static bool answer(struct session *session, const struct piece *piece,
		   const struct buf *first)
{
	struct buf *out = stream_out(session->client);
	enum sqlbegin_kind kind = session_begin_has_failed(session)
					  ? SQLBEGIN_ROLLBACK
					  : piece->read.kind;

	if (!change(session, piece))
		return false;
	name_it(session, piece);
	relay_portal_begun(session,
			   piece->type != 'Q' && session_begin_is_due(session));
	count(session, piece);
	buf_append(out, buf_head(first), buf_len(first));
	pgbuild_command_complete(out, sqlbegin_tag(kind));
	if (piece->has_sync)
		pgbuild_ready(out, session_begin_status(session));
	stream_consume(session->client, piece->len);
	session->scan = (struct session_scan){ 0 };
	if (piece->has_sync)
		session->batch_serial = names_serial(session);
	return true;
}

bool session_defer_answers(struct session *session)
{
	struct buf first = BUF_INIT;
	struct piece piece = { 0 };
	struct walk walk = { 0 };
	bool is_answered;

	if (session->scan.judged.command == COMMAND_OTHER ||
	    !may_defer(session))
		return false;
	walk.data = stream_data(session->client, &walk.len);
	step(&walk);
	piece.type = walk.now.type;
	if (piece.type == 'Q')
		is_answered = read_query(session, &walk.now, &piece);
	else
		is_answered = read_batch(session, &walk, &piece, &first);
	is_answered = is_answered && answer(session, &piece, &first);
	buf_free(&first);
	if (is_answered) {
		session_renew_limit(session);
		session_move_if_chosen(session);
	}
	return is_answered;
}
