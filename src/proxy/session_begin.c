/*
 * Read-only transactions that turn out to belong on the primary.
 *
 * BEGIN READ ONLY goes to a replica at once.  What comes later may be what no
 * replica can do, or what is another thing there: SET TRANSACTION READ WRITE
 * or SNAPSHOT, pg_export_snapshot(), a lock, NOTIFY, PREPARE.  As long as what
 * has run can be repeated, the transaction is given up on the replica and
 * begun again on the primary in front of what comes: after the BEGIN alone
 * and SETs, which are kept as a text, and at READ COMMITTED after plain reads
 * as well, since there each statement sees a state of its own.
 *
 * A block that has failed and is ended AND CHAIN begins anew with the
 * session's defaults (PostgreSQL loses its characteristics): that one may
 * write, so it does not stay on the replica.
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
#include "core/route.h"
#include "core/settings.h"
#include "core/sqlbegin.h"
#include "core/sqlhint.h"
#include "core/track.h"
#include "proxy/local.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longer texts are not kept. */
enum { BEGIN_BYTES = 2048 };

struct session_begin {
	struct buf text;       /* the BEGIN, then what was set */
	size_t own_len;        /* of the BEGIN alone */
	struct sqlbegin modes; /* of one that was deferred */
	uint64_t since_us;     /* that it waits */
	char status;       /* of the last ReadyForQuery in the transaction */
	uint8_t hint;      /* enum sqlclass_hint, of the BEGIN */
	bool has_read;     /* it has a snapshot */
	bool is_rooted;    /* something has run that cannot be repeated */
	bool is_misplaced; /* a chained block that may write */
	bool is_due;       /* its next server has not heard of it yet */
	bool is_deferred;  /* ... nor has any other */
	bool is_opening;   /* sent, and its first unit is not answered */
	bool is_early;     /* it may write; only reads run on the replica */
};

void session_begin_forget(struct session *session)
{
	if (!session->begin)
		return;
	buf_free(&session->begin->text);
	free(session->begin);
	session->begin = NULL;
}

static bool is_on_replica(const struct session *session)
{
	return session->server && server_site(session->server)->is_replica;
}

/* --- what runs on the replica --- */

/* To what the session began with, which is another matter on each server. */
static bool goes_back(const char *text, size_t len)
{
	char *copy = xstrndup(text, len);
	bool goes = strcasestr(copy, "reset") || strcasestr(copy, "default");

	free(copy);
	return goes;
}

static void add_text(struct session_begin *begin, const char *text, size_t len)
{
	/* Its terminating zero, of a message's body. */
	while (text && len > 0 && text[len - 1] == '\0')
		len--;
	if (!text || buf_len(&begin->text) + len + 2 > BEGIN_BYTES ||
	    (buf_len(&begin->text) > 0 && goes_back(text, len))) {
		begin->is_rooted = true;
		return;
	}
	/* A line comment at the end goes no further than its line. */
	if (buf_len(&begin->text) > 0)
		buf_append(&begin->text, "\n;", 2);
	buf_append(&begin->text, text, len);
}

static void remember(struct session *session, const char *text, size_t len)
{
	struct session_begin *begin = xcalloc(1, sizeof(*begin));

	add_text(begin, text, len);
	begin->own_len = buf_len(&begin->text);
	begin->status = 'I';
	session->begin = begin;
}

/* Does each statement of the transaction see a state of its own? */
static bool is_read_committed(const struct session *session)
{
	const struct buf *text = &session->begin->text;
	const char *usual = settings_get(session->settings,
					 "default_transaction_isolation");
	const void *head = buf_head(text);
	char copy[BEGIN_BYTES + 1];

	assert(head && buf_len(text) <= BEGIN_BYTES);
	memcpy(copy, head, buf_len(text));
	copy[buf_len(text)] = '\0';
	if (strcasestr(copy, "isolation"))
		return !strcasestr(copy, "repeatable");
	return !usual || strcasecmp(usual, "read committed") == 0 ||
	       strcasecmp(usual, "read uncommitted") == 0;
}

/* What a text may set again elsewhere. */
static bool is_setting(const struct sqlclass *class)
{
	const uint32_t settings = EFFECT_SET | EFFECT_SET_LOCAL |
				  EFFECT_SET_REPORTED | EFFECT_READ_ONLY;

	return class->access == ACCESS_NONE && class->statements == 1 &&
	       (class->command == COMMAND_OTHER ||
		class->command == COMMAND_SET_TRANSACTION) &&
	       (class->effects & settings) != 0 &&
	       (class->effects & ~settings) == 0;
}

static bool is_end(const struct sqlclass *class)
{
	return class->statements == 1 && (class->command == COMMAND_COMMIT ||
					  class->command == COMMAND_ROLLBACK);
}

static void note_statement(struct session *session,
			   const struct sqlclass *class, const char *text,
			   size_t len)
{
	struct session_begin *begin = session->begin;

	if (route_is_plain_read(class)) {
		begin->has_read = true;
		begin->is_rooted |= !is_read_committed(session);
	} else if (is_setting(class)) {
		add_text(begin, text, len);
	} else if (!is_end(class) && class->statements > 0) {
		begin->is_rooted = true;
	}
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

void session_begin_ran(struct session *session, const struct sqlclass *class,
		       const char *text, size_t len)
{
	bool is_inside = session_is_in_transaction(session);

	if (is_read_over(session))
		return;
	if (session->begin && !session->begin->is_opening &&
	    (!is_inside || !is_on_replica(session)))
		session_begin_forget(session);
	if (session->begin)
		note_statement(session, class, text, len);
	else if (!is_inside && is_on_replica(session) &&
		 route_is_read_only_begin(class))
		remember(session, text, len);
}

void session_begin_root(struct session *session)
{
	if (session->begin)
		session->begin->is_rooted = true;
}

/* A block follows on the one that is over, with its characteristics. */
static void chain(struct session_begin *begin)
{
	begin->has_read = false;
	if (begin->status == 'E') {
		buf_consume(&begin->text, buf_len(&begin->text));
		buf_append(&begin->text, "BEGIN", 5);
		begin->own_len = buf_len(&begin->text);
		begin->is_rooted = false;
		begin->is_misplaced = true;
	} else {
		/* What was set in it is gone, or the session's for good. */
		begin->is_rooted = buf_len(&begin->text) > begin->own_len;
	}
}

void session_begin_answered(struct session *session, uint32_t effects,
			    char status)
{
	struct session_begin *begin = session->begin;

	if (!begin || begin->is_due)
		return;
	begin->is_opening = false;
	if (status == 'I' || !is_on_replica(session)) {
		session_begin_forget(session);
		return;
	}
	if ((effects & EFFECT_CHAIN) && status == 'T')
		chain(begin);
	begin->status = status;
}

/* --- leaving the replica --- */

bool session_begin_is_open(const struct session *session)
{
	return session->begin && is_on_replica(session) &&
	       (!session->begin->is_rooted || session->begin->is_misplaced);
}

bool session_begin_is_early(const struct session *session)
{
	return session->begin && session->begin->is_early &&
	       is_on_replica(session);
}

/* Nothing is lost when it is begun anew, should its server be gone. */
bool session_begin_can_restart(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	return begin && !begin->is_due && begin->status != 'E' &&
	       !begin->is_rooted && !begin->is_misplaced &&
	       (!begin->has_read || is_read_committed(session));
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

	return session_begin_can_restart(session) && begin->has_read &&
	       asks_anew(session) && is_on_replica(session) &&
	       !session_has_pending(session) && session->pins == 0 &&
	       !session->inspect && buf_len(&begin->text) == begin->own_len &&
	       server_status(session->server) == 'T' &&
	       route_is_plain_read(&session->scan.judged);
}

/* SET TRANSACTION comes too late behind a query, on any node. */
static bool is_too_late(const struct session_begin *begin,
			const struct sqlclass *class)
{
	return begin->has_read && class->command == COMMAND_SET_TRANSACTION;
}

bool session_begin_is_misplaced(const struct session *session)
{
	const struct session_begin *begin = session->begin;

	if (!begin || begin->is_due || session_has_pending(session) ||
	    !is_on_replica(session) || server_status(session->server) != 'T')
		return false;
	if (begin->is_early && !is_end(&session->scan.judged) &&
	    !session_early_is_plain(session))
		return true;
	return begin->is_misplaced ||
	       (!begin->is_rooted &&
		route_leaves_replica(&session->scan.judged) &&
		!is_too_late(begin, &session->scan.judged));
}

void session_begin_leave(struct session *session)
{
	struct server *server = session->server;

	assert(session->begin);
	session->begin->is_due = true;
	session->server = NULL;
	session_set_state(session, SESSION_IDLE);
	server_detach(server);
}

bool session_begin_is_due(const struct session *session)
{
	return session->begin && session->begin->is_due;
}

void session_begin_again(struct session *session)
{
	struct session_begin *begin = session->begin;

	if (!session_begin_is_due(session))
		return;
	/* What was set on the replica is to be looked at here. */
	if (session->pins || session->inspect)
		server_mark_dirty(session->server);
	/* What must come before any query comes too late there as well. */
	if (begin->has_read && !begin->is_deferred &&
	    session->scan.judged.command != COMMAND_OTHER)
		buf_append_text(&begin->text, "\n;SELECT 1");
	server_begin_block(session->server, &begin->text);
	begin->is_due = false;
	begin->is_deferred = false;
	begin->is_opening = true;
}

void session_begin_undo(struct session *session)
{
	if (session->begin)
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

	if ((begin ? buf_len(&begin->text) : 0) + len + 2 > BEGIN_BYTES)
		return false;
	if (!begin) {
		begin = session->begin = xcalloc(1, sizeof(*begin));
		begin->is_due = begin->is_deferred = true;
		begin->status = 'I';
		begin->since_us = session_now(session);
	}
	assert(begin->is_deferred);
	add_text(begin, text, len);
	begin->own_len = buf_len(&begin->text);
	sqlbegin_add(&begin->modes, modes);
	begin->hint =
		(uint8_t)sqlhint_join(begin->hint, session->scan.judged.hint);
	return true;
}

char session_begin_status(const struct session *session)
{
	return session_begin_is_due(session) ? 'T' : 'I';
}

uint64_t session_begin_end_us(const struct session *session)
{
	assert(session_begin_is_deferred(session));
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

	assert(begin && begin->is_deferred);
	if (begin->modes.level == SQLBEGIN_SERIALIZABLE ||
	    route_leaves_replica(judged))
		return false;
	session->begin->is_early =
		begin->modes.mode == SQLBEGIN_MODE_UNSET &&
		begin->modes.level <= SQLBEGIN_READ_COMMITTED &&
		session_early_is_plain(session);
	if (session->begin->is_early) {
		judged->hint = (uint8_t)sqlhint_join(begin->hint, judged->hint);
		return true;
	}
	if (begin->modes.mode != SQLBEGIN_READ_ONLY)
		return false;
	*judged = (struct sqlclass){
		.command = COMMAND_BEGIN,
		.statements = 1,
		.effects = EFFECT_READ_ONLY,
		.hint = (uint8_t)sqlhint_join(begin->hint, judged->hint),
	};
	return true;
}
