/*
 * Reads that meet an accident on a replica are done again on the primary
 * (docs/routing.md).
 *
 * What we sent to a replica by our own choice is kept: whole autocommit
 * reads that prepare no name; and for a stale plan (0A000, "cached plan must
 * not change result type"), whole autocommit batches that run one named
 * statement, also on the primary: that is told before anything has run.  On
 * the primary autocommit units are kept for the case that it goes under them
 * (proxy/session_doubt).  The bytes are kept until the first byte of an answer
 * goes to the client; from then on nothing is ever done again.  Several units
 * in flight are kept together, or not at all.
 *
 * Invariant: replay holds exactly the units in flight, or nothing.
 */
#include "base/buf.h"
#include "core/catalog.h"
#include "core/pgwire.h"
#include "core/shapes.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <string.h>

/* Longer units are not kept. */
enum { REPLAY_BYTES = 64 * 1024 };

/*
 * What a replica says when it is the replica that is at fault: it is read
 * only, lacks what the primary has, or replayed something in the way
 * (PostgreSQL docs, "Hot Standby", "Error Codes").
 */
static const char *const faults[] = {
	"25006", "40001", "40P01", "0A000", "55000", "XX000",
	"42P01", "42703", "42704", "42883", "3F000",
};

/* ... of these because of what the statement is: its shape is learned. */
static const char *const verdicts[] = { "25006", "55000", "XX000" };

/*
 * ... and because of the session: its role has SERIALIZABLE as default.  (An
 * unlogged table, too; the catalog will have it by the next statement.)
 */
static const char refusal[] = "0A000";

static bool is_among(const char *const *list, size_t count, const char *state)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], state) == 0)
			return true;
	return false;
}

void session_replay_forget(struct session *session)
{
	if (buf_len(&session->replay) > 0)
		buf_free(&session->replay);
}

/* Bytes of the unit that stands first in the in-buffer; 0: not all there. */
static size_t unit_len(const struct session *session, const uint8_t *data,
		       size_t len)
{
	struct pgwire_message message;
	size_t at = session->scan.at;

	if (at == 0)
		return pgwire_read(data, len, &message) == PGWIRE_OK &&
				       message.type == 'Q' &&
				       pgwire_is_complete(&message)
			       ? message.total
			       : 0;
	/* A batch; it may have been cut at a Flush. */
	return at >= PGWIRE_HEADER && data[at - PGWIRE_HEADER] == 'S' ? at : 0;
}

static bool is_repeatable(const struct session *session)
{
	const struct sqlclass *judged = &session->scan.judged;

	return (session->target == ROUTE_REPLICA ||
		session_begin_is_early(session)) &&
	       judged->access == ACCESS_READ &&
	       judged->command == COMMAND_OTHER && !session->scan.has_names;
}

/*
 * A statement of some name may have been prepared before DDL that nobody has
 * told us of.  PostgreSQL says so before it runs, and a batch that runs one
 * statement has not done anything then.
 */
static bool may_be_stale(const struct session *session)
{
	const struct session_scan *scan = &session->scan;

	return scan->binds == 1 && scan->named_binds == 1 && !scan->has_names &&
	       scan->judged.command == COMMAND_OTHER &&
	       !session_has_pending(session) && !session->has_repeated &&
	       session->mode != POOL_MODE_SESSION && session->pins == 0 &&
	       server_status(session->server) == 'I';
}

/*
 * On the primary, alone on its server, and leaves nothing behind there: it may
 * be done on the next primary, if it was certainly not done on this one.
 */
static bool may_be_redone(const struct session *session)
{
	const uint32_t harmless = EFFECT_SEQUENCE | EFFECT_CATALOG_READ |
				  EFFECT_READ_ONLY | EFFECT_READ_WRITE |
				  EFFECT_SERIALIZABLE;
	const struct sqlclass *judged = &session->scan.judged;

	return session->target == ROUTE_PRIMARY && session->pins == 0 &&
	       session->mode != POOL_MODE_SESSION && !session->begin &&
	       server_status(session->server) == 'I' &&
	       !session->scan.has_names && !(judged->effects & ~harmless) &&
	       (judged->command == COMMAND_OTHER ||
		judged->command == COMMAND_BEGIN) &&
	       (judged->reason != REASON_FUNCTION ||
		(judged->effects & EFFECT_SEQUENCE));
}

/* For which accidents it is kept; what follows others, for theirs as well. */
static void judge(struct session *session, bool is_first)
{
	bool is_bound = !is_repeatable(session);
	bool is_stale = !is_bound || may_be_stale(session);
	bool is_redo = may_be_redone(session);

	session->is_replay_bound =
		is_bound || (!is_first && session->is_replay_bound);
	session->is_replay_stale =
		is_stale && (is_first || session->is_replay_stale);
	session->is_replay_redo =
		is_redo && (is_first || session->is_replay_redo);
}

void session_replay_keep(struct session *session)
{
	bool is_first = !session_has_pending(session);
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	if (is_first) {
		session_replay_forget(session);
		session->sent_mark = server_queued(session->server);
	} else if (buf_len(&session->replay) == 0) {
		return;
	}
	judge(session, is_first);
	len = !session->is_replay_bound || session->is_replay_stale ||
			      session->is_replay_redo
		      ? unit_len(session, data, len)
		      : 0;
	if (len == 0 || buf_len(&session->replay) + len > REPLAY_BYTES)
		session_replay_forget(session);
	else
		buf_append(&session->replay, data, len);
}

bool session_replay_can(const struct session *session)
{
	return buf_len(&session->replay) > 0 && !session->is_mid_unit &&
	       session->left == 0;
}

bool session_replay_can_lose(const struct session *session)
{
	return session_replay_can(session) && !session->is_replay_bound;
}

bool session_replay_is_fault(const char *sqlstate)
{
	return is_among(faults, sizeof(faults) / sizeof(*faults), sqlstate);
}

/* The oldest unit was refused for what it is, or for whose it is. */
void session_replay_learn(struct session *session, const char *sqlstate)
{
	struct sqlclass_context context = intake_context(session);
	struct pgwire_message message;
	struct pgwire_parse parse;
	const char *text;
	size_t len;

	if (strcmp(sqlstate, refusal) == 0)
		session->is_refused = true;
	if (!is_among(verdicts, sizeof(verdicts) / sizeof(*verdicts),
		      sqlstate) ||
	    pgwire_read(buf_head(&session->replay), buf_len(&session->replay),
			&message) != PGWIRE_OK)
		return;
	if (message.type == 'Q' && pgwire_read_string(&message, &text, &len))
		shapes_learn_write(session->local->shapes, text, len, &context);
	if (message.type == 'P' && pgwire_read_parse(&message, &parse))
		shapes_learn_write(session->local->shapes, parse.query,
				   parse.query_len, &context);
}

/* The first replica that dies is avoided, then all are. */
void session_replay_avoid(struct session *session)
{
	if (session->avoided == 0)
		session->avoided = session->node + 1;
	else
		session->avoids_replicas = true;
}

/* What was in flight is taken back and stands in the in-buffer again. */
void session_replay_rewind(struct session *session)
{
	assert(!session->server && session_replay_can(session));
	stream_unread(session->client, buf_head(&session->replay),
		      buf_len(&session->replay));
	session_replay_forget(session);
	for (unsigned i = 0; i < session->units_count; i++)
		shapes_note_repeat(session->local->shapes,
				   &session_unit_at(session, i)->judged);
	session->units_count = 0;
	session->relayed_parses = 0;
	session->ends_unit = false;
	session->unit = (struct session_unit){ 0 };
	session->scan = (struct session_scan){ 0 };
	session->has_repeated = true;
	session->has_erred = false;
	if (!session->begin)
		session->transaction_us = 0;
	relay_forget_changes(session);
}
