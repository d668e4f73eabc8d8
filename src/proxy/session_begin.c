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
 * Invariant: begin is set only while the session is on a replica, in a
 * transaction that a BEGIN READ ONLY of its own has opened there or is about
 * to open; or, with is_due, on its way to the primary.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/track.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longer texts are not kept. */
enum { BEGIN_BYTES = 2048 };

struct session_begin {
	struct buf text;   /* the BEGIN, then what was set */
	size_t own_len;    /* of the BEGIN alone */
	char status;       /* of the last ReadyForQuery in the transaction */
	bool has_read;     /* it has a snapshot */
	bool is_rooted;    /* something has run that cannot be repeated */
	bool is_misplaced; /* a chained block that may write */
	bool is_due;       /* its next server has not heard of it yet */
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
	char copy[BEGIN_BYTES + 1];

	memcpy(copy, buf_head(text), buf_len(text));
	copy[buf_len(text)] = '\0';
	if (strcasestr(copy, "isolation"))
		return !strcasestr(copy, "repeatable");
	return !usual || strcasecmp(usual, "read committed") == 0 ||
	       strcasecmp(usual, "read uncommitted") == 0;
}

static bool is_plain_read(const struct sqlclass *class)
{
	return class->access == ACCESS_READ &&
	       class->command == COMMAND_OTHER &&
	       (class->effects & ~(uint32_t)EFFECT_CATALOG_READ) == 0;
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

	if (is_plain_read(class)) {
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
	if (session->begin && (!is_inside || !is_on_replica(session)))
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
	if (status == 'I') {
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
	if (!session_begin_is_due(session))
		return;
	/* What was set on the replica is to be looked at here. */
	if (session->pins || session->inspect)
		server_mark_dirty(session->server);
	server_repeat(session->server, &session->begin->text);
	session_begin_forget(session);
}
