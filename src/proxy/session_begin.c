/*
 * Read-only transactions that turn out to belong on the primary.
 *
 * BEGIN READ ONLY goes to a replica at once.  What comes later may be what no
 * replica can do, or what is another thing there: SET TRANSACTION READ WRITE
 * or SNAPSHOT, pg_export_snapshot(), a lock, NOTIFY, PREPARE.  As long as what
 * has run can be repeated (core/blocklog), the transaction is given up on the
 * replica and begun again on the primary in front of what comes.
 *
 * A block that has failed and is ended AND CHAIN may begin anew with the
 * session's defaults: that one may write, so it does not stay on the replica.
 *
 * A BEGIN that waits for its first statement (session_defer) is kept here as
 * well, and goes in front of that statement wherever it runs.
 *
 * Invariant: begin is set only while the session is on a replica, in a
 * transaction that a BEGIN of its own has opened there or is about to open;
 * on any server, with is_opening, until the first unit behind the BEGIN is
 * answered; or, with is_due, while no server has heard of it.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/blocklog.h"
#include "core/epoch.h"
#include "core/pgwire.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/sqlbegin.h"
#include "core/sqlhint.h"
#include "core/sqlinline.h"
#include "core/stmtscope.h"
#include "core/track.h"
#include "proxy/local.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A statement that was bound; the Execute of its portal does it. */
struct bound {
	enum blocklog_kind kind;
	bool is_named; /* its portal may be asked again, there alone */
	struct buf text;
	struct buf tail;
};

struct session_begin {
	struct blocklog *log;
	struct bound bound;
	uint64_t since_us; /* that it waits */
	uint8_t hint;      /* enum sqlclass_hint, of the BEGIN */
	bool is_due;       /* its next server has not heard of it yet */
	bool is_deferred;  /* ... nor has any other */
	bool is_opening;   /* sent, and its first unit is not answered */
	bool is_early;     /* it may write; only reads run on the replica */
};

void session_begin_forget(struct session *session)
{
	if (!session->begin)
		return;
	buf_free(&session->begin->bound.text);
	buf_free(&session->begin->bound.tail);
	blocklog_free(session->begin->log);
	free(session->begin);
	session->begin = NULL;
}

static bool is_on_replica(const struct session *session)
{
	return session->server && server_site(session->server)->is_replica;
}

/* --- what runs on the replica --- */

/* What a block without a level of its own has. */
static bool is_read_committed(const struct session *session)
{
	const char *usual = settings_get(session->settings,
					 "default_transaction_isolation");

	return !usual || strcasecmp(usual, "read committed") == 0 ||
	       strcasecmp(usual, "read uncommitted") == 0;
}

static struct session_begin *begin_new(struct session *session)
{
	struct session_begin *begin = xcalloc(1, sizeof(*begin));

	begin->log = blocklog_new(is_read_committed(session));
	session->begin = begin;
	return begin;
}

/* What a text may set again elsewhere; a SELECT of set_config() as well. */
static bool is_setting(const struct sqlclass *class)
{
	const uint32_t settings = EFFECT_SET | EFFECT_SET_LOCAL |
				  EFFECT_SET_REPORTED | EFFECT_READ_ONLY |
				  EFFECT_READ_WRITE | EFFECT_RESET_ALL |
				  EFFECT_SERIALIZABLE;

	return class->access <= ACCESS_READ && class->statements == 1 &&
	       class->command == COMMAND_OTHER &&
	       (class->effects & settings) != 0 &&
	       (class->effects & ~settings) == 0;
}

static bool is_block(const struct sqlclass *class)
{
	return class->access == ACCESS_NONE && class->statements == 1 &&
	       (class->command != COMMAND_OTHER || class->effects == 0);
}

/* What is delivered, and leaves nothing. */
static bool is_read(const struct sqlclass *class)
{
	struct sqlclass less = *class;

	less.effects &= ~(uint32_t)EFFECT_COPY_OUT;
	return route_is_plain_read(&less);
}

/* Ends what is not there, or what matters nowhere else. */
static bool is_nothing(const struct sqlclass *class)
{
	const uint32_t ends = EFFECT_CURSOR | EFFECT_CLOSE_ALL |
			      EFFECT_DEALLOCATE | EFFECT_DISCARD |
			      EFFECT_UNLISTEN_ALL;

	return class->statements == 0 ||
	       (class->access == ACCESS_NONE && class->statements == 1 &&
		class->command == COMMAND_OTHER && class->effects != 0 &&
		(class->effects & ~ends) == 0);
}

static enum blocklog_kind kind_of(const struct sqlclass *class)
{
	const uint32_t cursors = EFFECT_CURSOR | EFFECT_CATALOG_READ;

	if (is_nothing(class))
		return BLOCKLOG_NOTHING;
	if (is_read(class))
		return BLOCKLOG_READ;
	if (is_setting(class))
		return BLOCKLOG_SETTING;
	if (is_block(class))
		return BLOCKLOG_BLOCK;
	if (class->statements > 1)
		return BLOCKLOG_MANY;
	return class->access == ACCESS_READ && (class->effects & ~cursors) == 0
		       ? BLOCKLOG_BOUND
		       : BLOCKLOG_LOST;
}

static bool is_end(const struct sqlclass *class)
{
	return class->statements == 1 && (class->command == COMMAND_COMMIT ||
					  class->command == COMMAND_ROLLBACK);
}

bool session_begin_hears(const struct session *session,
			 const struct sqlclass *class)
{
	return session->begin ||
	       (is_on_replica(session) && route_is_read_only_begin(class));
}

/* The batch has failed already: what is sent of it is read over. */
static bool is_read_over(const struct session *session)
{
	const struct track *track = server_track(session->server);

	return track_is_skipping(track) && track_units(track) == 0;
}

/* False: nothing of it is kept. */
static bool is_kept(struct session *session, const struct sqlclass *class)
{
	bool is_inside = session_is_in_transaction(session);

	if (is_read_over(session))
		return false;
	if (session->begin && !session->begin->is_opening &&
	    (!is_inside || !is_on_replica(session)))
		session_begin_forget(session);
	/* Behind others of its batch: their answers would be taken for its. */
	if (!session->begin && !is_inside && is_on_replica(session) &&
	    route_is_read_only_begin(class) &&
	    session->unit.judged.statements <= 1)
		(void)begin_new(session);
	return session->begin != NULL;
}

/*
 * A cursor or a snapshot has tied the block to its replica, and now it wants
 * what outlives it, on the primary: the next ones shall not be tied.
 */
static void note_tied(const struct session *session,
		      const struct sqlclass *class)
{
	const uint32_t lasting = EFFECT_ADVISORY | EFFECT_TEMP | EFFECT_LISTEN |
				 EFFECT_HOLD | EFFECT_PREPARE | EFFECT_HIDDEN;

	if ((class->effects & lasting) && is_on_replica(session) &&
	    !blocklog_is_free(session->begin->log))
		epoch_note_tied_block(stmtscope_epoch(session->scope));
}

/* In a database where that has happened. */
static bool would_tie(const struct session *session,
		      const struct sqlclass *class)
{
	if (!epoch_has_tied_blocks(stmtscope_epoch(session->scope)))
		return false;
	return (class->effects & EFFECT_CURSOR) ||
	       (class->access == ACCESS_READ &&
		!blocklog_is_committed(session->begin->log));
}

static void push(struct session *session, enum blocklog_kind kind,
		 const char *text, size_t len, struct buf *tail)
{
	blocklog_push(session->begin->log, kind, text, len, tail);
	session->unit.begun++;
}

void session_begin_ran(struct session *session, const struct sqlclass *class,
		       const char *text, size_t len)
{
	struct buf tail = BUF_INIT;

	if (!is_kept(session, class))
		return;
	note_tied(session, class);
	if (text)
		(void)session_refill_text(session, class, text, len, &tail);
	push(session, kind_of(class), text, len, &tail);
	buf_free(&tail);
}

/* The text with its values; what has none that can be written is LOST. */
static void bind_text(struct bound *bound, const char *text, size_t len,
		      const struct pgwire_message *message)
{
	struct pgwire_bind bind;

	if (bound->kind != BLOCKLOG_SETTING || !memchr(text, '$', len)) {
		buf_append(&bound->text, text, len);
		return;
	}
	if (!pgwire_is_complete(message) ||
	    pgwire_read_bind(message, &bind) != PGWIRE_OK ||
	    !sqlinline_write(text, len, message->body + bind.rest,
			     message->body_len - bind.rest, &bound->text))
		bound->kind = BLOCKLOG_LOST;
}

void session_begin_bound(struct session *session, const struct sqlclass *class,
			 const char *text, size_t len,
			 const struct pgwire_message *message)
{
	struct bound *bound;

	if (!is_kept(session, class))
		return;
	note_tied(session, class);
	bound = &session->begin->bound;
	buf_free(&bound->text);
	buf_free(&bound->tail);
	bound->kind = kind_of(class);
	bound->is_named = *(const char *)message->body != '\0';
	if (bound->kind == BLOCKLOG_READ && bound->is_named)
		bound->kind = BLOCKLOG_BOUND;
	if (!text ||
	    (bound->kind != BLOCKLOG_SETTING && bound->kind != BLOCKLOG_BLOCK))
		return;
	bind_text(bound, text, len, message);
	(void)session_refill_text(session, class, text, len, &bound->tail);
}

void session_begin_executes(struct session *session)
{
	struct bound *bound;

	if (!session->begin)
		return;
	bound = &session->begin->bound;
	push(session, bound->kind, (const char *)buf_head(&bound->text),
	     buf_len(&bound->text), &bound->tail);
	/* An early block is to move, whatever portals it leaves. */
	if (bound->is_named && !session->begin->is_early)
		blocklog_bind(session->begin->log);
	/* Once more it only reads on. */
	if (bound->kind != BLOCKLOG_BOUND)
		bound->kind = BLOCKLOG_NOTHING;
}

void session_begin_executed(struct session *session)
{
	if (session->begin)
		blocklog_done(session->begin->log);
}

void session_begin_answered(struct session *session,
			    const struct session_unit *unit, bool is_query,
			    char status)
{
	struct session_begin *begin = session->begin;

	if (!begin || begin->is_due)
		return;
	begin->is_opening = false;
	if (status == 'I' || !is_on_replica(session))
		session_begin_forget(session);
	else
		blocklog_end_unit(begin->log, unit->begun, is_query,
				  status == 'E');
}

void session_begin_skipped(struct session *session,
			   const struct session_unit *unit)
{
	if (session->begin)
		blocklog_end_unit(session->begin->log, unit->begun, false,
				  blocklog_has_failed(session->begin->log));
}

/* --- leaving the replica --- */

bool session_begin_is_open(const struct session *session)
{
	return session->begin && is_on_replica(session) &&
	       (blocklog_is_free(session->begin->log) ||
		session_has_pending(session));
}

bool session_begin_is_early(const struct session *session)
{
	return session->begin && session->begin->is_early &&
	       is_on_replica(session);
}

/* It goes to the primary with whatever comes. */
static bool is_misplaced(const struct session_begin *begin)
{
	return !begin->is_early && blocklog_may_write(begin->log);
}

/* Nothing is lost when it is begun anew, should its server be gone. */
bool session_begin_can_restart(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	return begin && !begin->is_due && !blocklog_has_failed(begin->log) &&
	       blocklog_is_free(begin->log) && !is_misplaced(begin);
}

/*
 * Levels that promise something of the moment at which a read arrives: then
 * no replica is good for a whole transaction.
 */
static bool asks_anew(const struct session *session)
{
	return session->consistency == CONSISTENCY_BOUNDED ||
	       session->consistency == CONSISTENCY_GLOBAL ||
	       session->consistency == CONSISTENCY_STRONG;
}

bool session_begin_is_outdated(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	return session_begin_can_restart(session) &&
	       blocklog_has_read(begin->log) && asks_anew(session) &&
	       is_on_replica(session) && !session_has_pending(session) &&
	       session->pins == 0 && !session->inspect &&
	       blocklog_is_bare(begin->log) &&
	       server_status(session->server) == 'T' &&
	       route_is_plain_read(&session->scan.judged);
}

/* SET TRANSACTION comes too late behind a query, on any node. */
static bool is_too_late(const struct session_begin *begin,
			const struct sqlclass *class)
{
	return blocklog_has_read(begin->log) &&
	       class->command == COMMAND_SET_TRANSACTION;
}

/* A text of several statements can only be repeated as a whole. */
static bool is_mixed(const struct session *session)
{
	const struct sqlclass *class = &session->scan.judged;

	return session->scan.at == 0 && class->statements > 1 &&
	       !route_is_plain_read(class);
}

static bool leaves(const struct session *session)
{
	const struct sqlclass *class = &session->scan.judged;

	return route_leaves_replica(class) || would_tie(session, class) ||
	       (class->effects & EFFECT_SERIALIZABLE) || is_mixed(session);
}

/*
 * Of a block that has failed only what goes back in it, or ends it, is done;
 * what belongs elsewhere may stand behind that in the same unit.
 */
static bool leaves_failed(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	return blocklog_has_failed(begin->log) &&
	       session->scan.judged.statements > 1 &&
	       blocklog_is_free(begin->log) && leaves(session);
}

bool session_begin_is_misplaced(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	if (!begin || begin->is_due || session_has_pending(session) ||
	    !is_on_replica(session) || server_status(session->server) == 'I')
		return false;
	if (server_status(session->server) == 'E')
		return leaves_failed(session);
	if (begin->is_early && !is_end(&session->scan.judged) &&
	    !session_early_is_plain(session))
		return true;
	return blocklog_is_free(begin->log) &&
	       (is_misplaced(begin) ||
		(leaves(session) &&
		 !is_too_late(begin, &session->scan.judged)));
}

void session_begin_leave(struct session *session)
{
	struct server *server = session->server;

	assert(session->begin);
	session_leave_settings(session);
	session->begin->is_due = true;
	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
}

bool session_begin_is_due(const struct session *session)
{
	return session->begin && session->begin->is_due;
}

/* Where it had failed, it has to fail again. */
static void send_again(struct session *session)
{
	static const char failing[] = "\n;ROLLBACK TO SAVEPOINT pgweir_failed";
	struct session_begin *begin = session->begin;
	const struct buf *text = blocklog_text(begin->log);
	bool has_failed = blocklog_has_failed(begin->log);
	struct buf sql = BUF_INIT;

	buf_append(&sql, buf_head(text), buf_len(text));
	/* What must come before any query comes too late there as well. */
	if (blocklog_has_read(begin->log) && !begin->is_deferred &&
	    session->scan.judged.command != COMMAND_OTHER)
		buf_append_text(&sql, "\n;SELECT 1");
	if (has_failed)
		buf_append_text(&sql, failing);
	server_begin_block(session->server, &sql, has_failed);
	buf_free(&sql);
}

void session_begin_again(struct session *session)
{
	struct session_begin *begin = session->begin;

	if (!session_begin_is_due(session))
		return;
	/* What was set on the replica is to be looked at here. */
	if (session->pins || session->inspect)
		server_mark_dirty(session->server);
	send_again(session);
	begin->is_due = false;
	begin->is_deferred = false;
	begin->is_opening = true;
}

void session_begin_undo(struct session *session)
{
	if (!session->begin)
		return;
	blocklog_drop(session->begin->log);
	session->begin->is_due = true;
}

void session_begin_place_anew(struct session *session)
{
	assert(session_begin_is_outdated(session));
	/* What it has read counts, wherever it goes. */
	session->replica = (int)session->node;
	session->read_us = util_now_us();
	session_begin_leave(session);
	session->begin->is_deferred = true;
}

/* --- one that waits --- */

bool session_begin_is_deferred(const struct session *session)
{
	return session->begin && session->begin->is_deferred;
}

bool session_begin_defer(struct session *session, const struct sqlbegin *modes,
			 const char *text, size_t len)
{
	struct session_begin *begin = session->begin;

	if (!begin) {
		begin = begin_new(session);
		begin->is_due = begin->is_deferred = true;
		begin->since_us = session_now(session);
	}
	assert(begin->is_deferred);
	if (!blocklog_open(begin->log, text, len, modes)) {
		if (blocklog_is_empty(begin->log))
			session_begin_forget(session);
		return false;
	}
	begin->hint =
		(uint8_t)sqlhint_join(begin->hint, session->scan.judged.hint);
	return true;
}

bool session_begin_has_failed(const struct session *session)
{
	return session_begin_is_due(session) &&
	       blocklog_has_failed(session->begin->log);
}

void session_begin_fail(struct session *session)
{
	struct session_begin *begin = session->begin;

	assert(session_begin_is_due(session) && !session->server);
	blocklog_drop(begin->log);
	blocklog_end_unit(begin->log, 0, false, true);
	begin->is_deferred = true;
}

char session_begin_status(const struct session *session)
{
	if (!session_begin_is_due(session))
		return 'I';
	return session_begin_has_failed(session) ? 'E' : 'T';
}

uint64_t session_begin_end_us(const struct session *session)
{
	assert(session_begin_is_deferred(session));
	/* Nothing but its end is to come. */
	if (session_begin_has_failed(session))
		return UINT64_MAX;
	return session->begin->since_us +
	       local_settings(session->local)->begin_wait_us;
}

void session_begin_wait_on(struct session *session)
{
	assert(session_begin_is_deferred(session));
	session->begin->since_us = session_now(session);
}

bool session_begin_may_leave(const struct session *session,
			     struct sqlclass *judged)
{
	const struct session_begin *begin = session->begin;
	struct sqlbegin modes;

	assert(begin && begin->is_deferred);
	modes = blocklog_modes(begin->log);
	if (session_begin_has_failed(session) ||
	    modes.level == SQLBEGIN_SERIALIZABLE ||
	    route_leaves_replica(judged) || would_tie(session, judged))
		return false;
	session->begin->is_early = modes.mode == SQLBEGIN_MODE_UNSET &&
				   modes.level <= SQLBEGIN_READ_COMMITTED &&
				   session_early_is_plain(session);
	if (session->begin->is_early) {
		judged->hint = (uint8_t)sqlhint_join(begin->hint, judged->hint);
		return true;
	}
	if (modes.mode != SQLBEGIN_READ_ONLY)
		return false;
	*judged = (struct sqlclass){
		.command = COMMAND_BEGIN,
		.statements = 1,
		.effects = EFFECT_READ_ONLY,
		.hint = (uint8_t)sqlhint_join(begin->hint, judged->hint),
	};
	return true;
}
