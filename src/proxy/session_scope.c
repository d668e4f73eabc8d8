/*
 * Under which settings a session's texts are read: the scope in which its
 * prepared statements are shared (core/stmtscope).
 *
 * What is in force is known as a rule: the session's settings, and what the
 * server has told of within the transaction.  But a text that may change how
 * others are read is answered later than the next one is sent, and of
 * search_path and some others nothing is told at all.  Until it is known again
 * what holds, the session's statements are nobody else's: another client must
 * not meet a text that was read by settings which it does not have.
 *
 * A unit that prepares a name waits for that moment where it is near, so that
 * its statement can be read in the same way on another server (reread).
 */
#include "core/inspect.h"
#include "core/settings.h"
#include "core/stmtscope.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

/* After these the session is looked at, or the transaction undoes them. */
enum {
	/* Longer texts are not searched for names. */
	TEXT_MAX = 256 * 1024,
	UNTOLD = EFFECT_SET | EFFECT_SET_LOCAL | EFFECT_HIDDEN |
		 EFFECT_RESET_ALL | EFFECT_DISCARD_ALL,
	TOLD = EFFECT_SET_REPORTED
};

static struct stmtscope_place place_of(const struct session *session)
{
	return (struct stmtscope_place){
		.database = pool_database(session->pool),
		.dbname = pool_dbname(session->pool),
		.user = pool_user(session->pool),
	};
}

struct stmtscope *session_scope_alone(const struct session *session)
{
	const struct stmtscope_place place = place_of(session);

	return stmtscope_alone(&place);
}

static void enter(struct session *session, struct stmtscope *scope)
{
	if (session->scope)
		stmtscope_release(session->scope);
	session->scope = scope;
}

/*
 * What is set and told of counts at once, since the statements of this very
 * transaction are read by it.
 */
void session_rescope(struct session *session)
{
	const struct settings *now = settings_parsing(
		session->changing ? session->changing : session->settings);
	const struct stmtscope_place place = place_of(session);

	if (session->unseen)
		now = NULL;
	if (session->scope && stmtscope_settings(session->scope) == now)
		return;
	enter(session,
	      now ? stmtscope_open(&place, now) : stmtscope_alone(&place));
}

/* Ends a transaction or a part of it, and what was set there. */
static bool may_undo(const struct session *session,
		     const struct sqlclass *judged)
{
	return judged->command != COMMAND_OTHER &&
	       judged->command != COMMAND_BEGIN &&
	       (session->unseen || session->changing);
}

bool session_scope_hears(const struct session *session,
			 const struct sqlclass *judged)
{
	return (judged->effects & (UNTOLD | TOLD)) || may_undo(session, judged);
}

/* Which of the effects it may have on how texts are read. */
static uint32_t unseen_of(uint32_t effects, const void *text, size_t len)
{
	const uint32_t always =
		EFFECT_HIDDEN | EFFECT_RESET_ALL | EFFECT_DISCARD_ALL;
	unsigned reading;

	if (!(effects & (UNTOLD | TOLD)))
		return 0;
	if (!text || len > TEXT_MAX || (effects & always))
		return effects & (UNTOLD | TOLD);
	reading = inspect_reading(text, len);
	if (reading & INSPECT_READING_UNSEEN)
		return effects & (UNTOLD | TOLD);
	return reading ? TOLD : 0;
}

void session_scope_sent(struct session *session, const struct sqlclass *judged,
			const void *text, size_t len)
{
	uint32_t unseen = unseen_of(judged->effects, text, len);

	if (may_undo(session, judged))
		unseen |= EFFECT_SET_LOCAL;
	if (unseen == 0)
		return;
	session->unseen |= unseen;
	/* Not that of what was set before, either. */
	enter(session, session_scope_alone(session));
}

static uint32_t in_flight(const struct session *session)
{
	uint32_t effects = session->unit.judged.effects;

	for (unsigned i = 0; i < session->units_count; i++)
		effects |= session_unit_at(session, i)->judged.effects;
	return effects;
}

void session_scope_settle(struct session *session, char status, bool is_open)
{
	uint32_t effects;

	if (session->unseen == 0)
		return;
	effects = in_flight(session);
	if (!(effects & (UNTOLD | TOLD)))
		session->unseen &= ~(uint32_t)TOLD;
	if (status == 'I' && !is_open && !(effects & UNTOLD) &&
	    !(session->pins & EFFECT_SET))
		session->unseen &= ~(uint32_t)UNTOLD;
	session_rescope(session);
}
