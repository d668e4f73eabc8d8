/*
 * Reads that meet an accident on a replica are done again on the primary
 * (docs/routing.md).
 *
 * What we sent to a replica by our own choice is kept: whole autocommit
 * reads; what is prepared up to a Flush; and for a stale plan (0A000, "cached
 * plan must not change result type"), whole autocommit batches that run one
 * statement, also on the primary: that is told before anything has run.
 * On the primary autocommit units are kept for the case that it goes under
 * them (proxy/session_doubt).  Several units in flight are kept together, or
 * not at all; one that is answered is dropped, the others stay.
 *
 * The answer of a read is held until it is whole, up to some size; of other
 * units, what tells of nothing that was done (ParseComplete, RowDescription).
 * Once some of it has gone to the client, that unit is never done again, and
 * nothing behind it until it is answered.
 *
 * Invariant: replay holds exactly the units in flight, or nothing; held and
 * undo are empty with it.
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
enum { REPLAY_BYTES = 64 * 1024, HELD_BYTES = 64 * 1024 };

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

/* ... and because of the moment, whatever the statement is. */
static const char *const conflicts[] = { "40001", "40P01" };

static bool is_among(const char *const *list, size_t count, const char *state)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], state) == 0)
			return true;
	return false;
}

static void drop_all(struct session *session)
{
	if (buf_len(&session->replay) > 0)
		buf_free(&session->replay);
	if (buf_len(&session->held) > 0)
		buf_free(&session->held);
	session->units_kept = 0;
	session->is_replay_told = false;
	session->is_replay_part = false;
	session_undo_forget(session);
}

static void let_go(struct session *session)
{
	struct buf *held = &session->held;

	if (buf_len(held) == 0)
		return;
	stream_forward(session->client, buf_head(held), buf_len(held));
	buf_free(held);
}

void session_replay_forget(struct session *session)
{
	let_go(session);
	drop_all(session);
}

void session_replay_tell(struct session *session)
{
	let_go(session);
	session->is_replay_told = true;
}

/* --- keeping ------------------------------------------------------------- */

/* Its transaction can be begun anew on the primary, in front of it. */
static bool is_in_block(const struct session *session)
{
	return session_begin_can_restart(session) &&
	       server_site(session->server)->is_replica && session->pins == 0 &&
	       !session->inspect;
}

static bool is_repeatable(const struct session *session)
{
	const struct sqlclass *judged = &session->scan.judged;

	return (session->target == ROUTE_REPLICA || is_in_block(session)) &&
	       judged->access == ACCESS_READ &&
	       judged->command == COMMAND_OTHER;
}

/* Nothing of it runs; what follows may, as a unit of its own. */
static bool is_part(const struct session *session)
{
	return session->target == ROUTE_REPLICA && !session->begin &&
	       session->scan.binds == 0 && !session_has_pending(session) &&
	       server_status(session->server) == 'I';
}

/* Bytes of the unit that stands first in the in-buffer; 0: not all there. */
static size_t unit_len(const struct session *session, const uint8_t *data,
		       size_t len)
{
	struct pgwire_message message;
	size_t at = session->scan.at;
	uint8_t last;

	if (at == 0)
		return pgwire_read(data, len, &message) == PGWIRE_OK &&
				       message.type == 'Q' &&
				       pgwire_is_complete(&message)
			       ? message.total
			       : 0;
	/* A batch; it may have been cut at a Flush. */
	last = at >= PGWIRE_HEADER ? data[at - PGWIRE_HEADER] : 0;
	return last == 'S' || (last == 'H' && is_part(session)) ? at : 0;
}

/*
 * A statement may have been prepared before DDL that nobody has told us of.
 * PostgreSQL says so before it runs, and a batch that runs one statement has
 * not done anything then.
 */
static bool may_be_stale(const struct session *session)
{
	const struct session_scan *scan = &session->scan;

	/* The unnamed one may be shared (relay_shared). */
	return scan->binds == 1 && scan->parses == 1 - scan->named_binds &&
	       !scan->has_names && scan->judged.command == COMMAND_OTHER &&
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
	       !(judged->effects & ~harmless) &&
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
	if (len == 0 || buf_len(&session->replay) + len > REPLAY_BYTES) {
		session_replay_forget(session);
		return;
	}
	buf_append(&session->replay, data, len);
	session->replay_end = stream_taken(session->client) + len;
	session->units_kept++;
	session->is_replay_part =
		data[len - PGWIRE_HEADER] == 'H' && !session->is_replay_bound;
}

/* --- the answer ---------------------------------------------------------- */

static bool is_whole(const uint8_t *data, size_t len)
{
	static const uint8_t ready[] = { 'Z', 0, 0, 0, 5 };

	return len > sizeof(ready) && memcmp(data + len - sizeof(ready) - 1,
					     ready, sizeof(ready)) == 0;
}

/* Nothing but messages that tell of no statement that was done. */
static bool is_light(const uint8_t *data, size_t len)
{
	struct pgwire_message message;

	while (len > 0) {
		if (pgwire_read(data, len, &message) != PGWIRE_OK ||
		    !pgwire_is_complete(&message) || message.type == 0 ||
		    !strchr("123tTn", message.type))
			return false;
		data += message.total;
		len -= message.total;
	}
	return true;
}

bool session_replay_holds(struct session *session, const void *data, size_t len)
{
	if (buf_len(&session->replay) == 0 || session->is_replay_told)
		return false;
	/* All of it, most often. */
	if (is_whole(data, len) || buf_len(&session->held) + len > HELD_BYTES ||
	    (session->is_replay_bound && !is_light(data, len))) {
		session_replay_tell(session);
		return false;
	}
	buf_append(&session->held, data, len);
	return true;
}

/* Bytes of the oldest unit that is kept; 0: none of it. */
static size_t oldest_len(const struct session *session)
{
	const uint8_t *data = buf_head(&session->replay);
	size_t len = buf_len(&session->replay);
	struct pgwire_message message;
	size_t at = 0;

	while (at < len &&
	       pgwire_read(data + at, len - at, &message) == PGWIRE_OK) {
		at += message.total;
		if (message.type == 'Q' || message.type == 'S')
			return at;
	}
	return 0;
}

void session_replay_answered(struct session *session)
{
	size_t len;

	let_go(session);
	session->is_replay_told = false;
	if (session->units_kept == 0)
		return;
	len = session->units_kept > 1 ? oldest_len(session) : 0;
	if (len == 0) {
		drop_all(session);
		return;
	}
	buf_consume(&session->replay, len);
	session_undo_settle(session);
	session->units_kept--;
}

/* --- repeating ----------------------------------------------------------- */

bool session_replay_can(const struct session *session)
{
	return buf_len(&session->replay) > 0 && !session->is_replay_told &&
	       session->left == 0;
}

bool session_replay_can_lose(const struct session *session)
{
	return session_replay_can(session) && !session->is_replay_bound;
}

bool session_replay_is_fault(const struct session *session,
			     const char *sqlstate)
{
	/* In a transaction that is read only by its own wish. */
	if (session->begin && !session_begin_is_early(session))
		return is_among(conflicts,
				sizeof(conflicts) / sizeof(*conflicts),
				sqlstate);
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

/* Of the last unit some may not have been passed on yet. */
static size_t passed_len(const struct session *session)
{
	size_t len = buf_len(&session->replay);
	uint64_t taken = stream_taken(session->client);
	uint64_t left = session->is_mid_unit ? session->replay_end - taken : 0;

	assert(taken <= session->replay_end && left <= len);
	return len - left;
}

/* What was in flight is taken back and stands in the in-buffer again. */
void session_replay_rewind(struct session *session)
{
	assert(!session->server && session_replay_can(session));
	stream_unread(session->client, buf_head(&session->replay),
		      passed_len(session));
	session_undo_all(session);
	drop_all(session);
	for (unsigned i = 0; i < session->units_count; i++)
		shapes_note_repeat(session->local->shapes,
				   &session_unit_at(session, i)->judged);
	session->units_count = 0;
	session->relayed_parses = 0;
	session->ends_unit = false;
	session->is_mid_unit = false;
	session->is_flushing = false;
	session->is_settling = false;
	session->is_moving = false;
	session->has_bound = false;
	session->unit = (struct session_unit){ 0 };
	session->scan = (struct session_scan){ 0 };
	session->has_repeated = true;
	session->has_erred = false;
	if (!session->begin)
		session->transaction_us = 0;
	relay_forget_changes(session);
}
