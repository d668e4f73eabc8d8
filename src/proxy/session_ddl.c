/*
 * Statements about databases and roles: held back until nobody idles in the
 * databases that they want for themselves, and told to everybody when their
 * transaction is over.
 *
 * The statement that waits stands at the head of the client's bytes, in a
 * unit that has begun on its server; so that server is nobody's to close,
 * and PostgreSQL judges the rest: it waits 5 s for those who are leaving, and
 * then says who is in the way.
 */
#include "base/log.h"
#include "base/util.h"
#include "core/dbddl.h"
#include "proxy/changes.h"
#include "proxy/evict.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <stdlib.h>

/* Nobody keeps a statement waiting for longer. */
static const uint64_t WAIT_LIMIT_US = 5000000;
/* A statement whose client has left is over by then, most likely. */
static const uint64_t LEFT_LIMIT_US = 5000000;

enum step {
	STEP_NONE,
	STEP_ASKED, /* the others are leaving */
	STEP_READY  /* the statement that waits may pass */
};

struct session_ddl {
	struct session *session;
	struct wheel_timer timer;
	struct dbddl done; /* by the transaction under way */
	uint64_t owner;    /* of the databases that it has shut */
	enum step step;
	unsigned ahead; /* units in flight up to the last statement's */
};

static void drop(struct session *session)
{
	wheel_unset(&session->ddl->timer);
	free(session->ddl);
	session->ddl = NULL;
}

/* --- before -------------------------------------------------------------- */

static void go_on(struct session *session)
{
	wheel_unset(&session->ddl->timer);
	session->ddl->step = STEP_READY;
	session->steps->pump(session);
}

static void on_ready(struct local *local, uint64_t id, uint64_t owner)
{
	struct session *session = session_table_find(local->sessions, id);

	if (session && session->ddl && session->ddl->owner == owner &&
	    session->ddl->step == STEP_ASKED)
		go_on(session);
}

static void on_timer(struct wheel_timer *timer)
{
	struct session_ddl *ddl = LIST_ENTRY(timer, struct session_ddl, timer);

	log_warning("client %s db=%s: not everybody has left a database in "
		    "time, its statement goes on",
		    ddl->session->address, pool_database(ddl->session->pool));
	go_on(ddl->session);
}

static struct session_ddl *begin(struct session *session)
{
	struct session_ddl *ddl = xcalloc(1, sizeof(*ddl));

	ddl->session = session;
	ddl->owner = changes_owner(session->local->process->changes);
	wheel_timer_init(&ddl->timer, on_timer);
	session->ddl = ddl;
	return ddl;
}

static void ask(struct session_ddl *ddl, const struct dbddl *statement)
{
	struct session *session = ddl->session;

	ddl->step = STEP_ASKED;
	wheel_set(worker_wheel(session->local->worker), &ddl->timer,
		  session_now(session) + WAIT_LIMIT_US);
	evict_begin(session->local, session->id, ddl->owner, statement,
		    on_ready);
}

/* True when it may go at once. */
static bool look(struct session *session, const char *sql, size_t len)
{
	struct sqlclass_context context = intake_context(session);
	struct dbddl statement = { 0 };

	dbddl_read(&statement, sql, len, &context);
	if (dbddl_is_nothing(&statement))
		return true;
	if (!session->ddl)
		(void)begin(session);
	dbddl_merge(&session->ddl->done, &statement);
	if (statement.empty.count == 0)
		return true;
	ask(session->ddl, &statement);
	return false;
}

bool session_ddl_may_pass(struct session *session, const char *sql, size_t len)
{
	/* What a replica makes of it changes nothing. */
	if (server_site(session->server)->is_replica)
		return true;
	if (session->ddl && session->ddl->step == STEP_ASKED)
		return false;
	if (session->ddl && session->ddl->step == STEP_READY)
		session->ddl->step = STEP_NONE;
	else if (!look(session, sql, len))
		return false;
	if (session->ddl)
		session->ddl->ahead = session->units_count + 1;
	return true;
}

/* --- afterwards ---------------------------------------------------------- */

static void end(struct session *session, uint64_t at_us)
{
	const struct session_ddl *ddl = session->ddl;

	/* It failed, and was no part of anything that may have worked. */
	if (session->has_erred && ddl->done.is_alone)
		evict_give_up(session->local, ddl->owner);
	else
		evict_end(session->local, ddl->owner, &ddl->done, at_us);
	drop(session);
}

void session_ddl_note_unit(struct session *session, char status)
{
	struct session_ddl *ddl = session->ddl;

	if (ddl->ahead > 0)
		ddl->ahead--;
	if (ddl->ahead == 0 && ddl->step == STEP_NONE && status == 'I')
		/* Not of the turn's beginning: that may be before the commit.
		 */
		end(session, util_now_us());
}

void session_ddl_leave(struct session *session)
{
	const struct session_ddl *ddl = session->ddl;
	uint64_t at_us = util_now_us();

	if (ddl->ahead > 0)
		at_us += LEFT_LIMIT_US;
	end(session, at_us);
}
