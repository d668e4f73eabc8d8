/*
 * What outlives a transaction on the server: pins, and how they end.
 *
 * A statement that may leave something behind ties the session to its server
 * when it is sent.  Once nothing of the session's is in flight and no
 * transaction is open, the server is asked what is there (core/inspect): what
 * has been set goes with the session from then on, what cannot go with it
 * (a temporary table, a lock ...) keeps it where it is, and what is gone does
 * not.  The client waits for none of this: what it sends meanwhile follows
 * on the same server.
 *
 * Invariant: a server whose state nobody knows is marked dirty, so that it is
 * cleaned when the session is lost at any point.
 */
#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/inspect.h"
#include "core/pgwire.h"
#include "core/settings.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * A look that fails (a cancel request, a time limit) is tried again.  Longer
 * texts are not searched for names: all settings are asked for.
 */
enum { TRIES_MAX = 3, TEXT_MAX = 256 * 1024 };

/* What a look has to find out. */
struct question {
	uint32_t effects; /* of units that are over */
	bool needs_all;   /* names are not enough */
	struct strmap *names;
};

/* Made for the first statement that leaves something behind. */
struct session_inspect {
	struct question next;
	struct question asked; /* by the look under way */
	uint32_t stuck;        /* pins that no look ends */
	unsigned tries;
	bool is_under_way;
	bool has_failed;
	bool has_hidden_statements; /* that no text of the client's names */
	bool is_all;                /* ... and asks for all settings */
	struct inspect_result result;
};

/* State that stays with the server when the unit is over. */
enum {
	PINNING = EFFECT_TEMP | EFFECT_SET | EFFECT_LISTEN | EFFECT_ADVISORY |
		  EFFECT_PREPARE | EFFECT_HOLD | EFFECT_LOAD,
	/* ... or may stay, for all that can be seen. */
	SUSPECT = PINNING | EFFECT_HIDDEN | EFFECT_EXECUTE
};

static struct session_inspect *inspect_of(struct session *session)
{
	if (!session->inspect)
		session->inspect = xcalloc(1, sizeof(*session->inspect));
	return session->inspect;
}

static void forget_question(struct question *question)
{
	strmap_free(question->names, NULL);
	*question = (struct question){ 0 };
}

static void forget_result(struct session_inspect *inspect)
{
	if (inspect->result.settings)
		settings_release(inspect->result.settings);
	inspect->result = (struct inspect_result){ 0 };
}

void session_inspect_forget(struct session *session)
{
	struct session_inspect *inspect = session->inspect;

	session->inspect = NULL;
	if (!inspect)
		return;
	forget_question(&inspect->next);
	forget_question(&inspect->asked);
	forget_result(inspect);
	free(inspect);
}

/* --- what is sent, and what is over --------------------------------------- */

bool session_inspect_is_suspect(uint32_t effects)
{
	return (effects & SUSPECT) != 0;
}

void session_inspect_sent(struct session *session, uint32_t effects)
{
	if (!(effects & SUSPECT))
		return;
	/* Channels are left by themselves (session_listen). */
	if (effects & SUSPECT & ~(uint32_t)EFFECT_LISTEN)
		server_mark_dirty(session->server);
	session->pins |= effects & PINNING;
	if (effects & EFFECT_LOAD) {
		inspect_of(session)->stuck |= EFFECT_LOAD;
		server_mark_spent(session->server);
	}
}

static void collect(struct question *question, const void *text, size_t len)
{
	if (!question->names)
		question->names = strmap_new();
	if (!text || !inspect_collect(question->names, text, len))
		question->needs_all = true;
}

void session_inspect_text(struct session *session, uint32_t effects,
			  const void *text, size_t len)
{
	if (!(effects & (EFFECT_SET | EFFECT_HIDDEN)))
		return;
	if (len > TEXT_MAX) {
		collect(&inspect_of(session)->next, NULL, 0);
		if (effects & EFFECT_SET)
			session_inspect_stick(session, EFFECT_SET);
		return;
	}
	collect(&inspect_of(session)->next, text, len);
	if (!text || !inspect_is_named(text, len))
		session_inspect_stick(session, EFFECT_SET);
}

void session_inspect_stick(struct session *session, uint32_t pin)
{
	session->pins |= pin;
	inspect_of(session)->stuck |= pin;
	server_mark_dirty(session->server);
}

/* What is known well enough to be made anew on another server. */
bool session_inspect_is_portable(const struct session *session, uint32_t pin)
{
	const struct session_inspect *inspect = session->inspect;

	return !inspect ||
	       (!(inspect->stuck & pin) && !inspect->is_under_way &&
		inspect->next.effects == 0 && !inspect->has_hidden_statements);
}

void session_inspect_unstick(struct session *session, uint32_t pin)
{
	session->pins &= ~pin;
	if (session->inspect)
		session->inspect->stuck &= ~pin;
}

/*
 * What was undone has its old value again, and whose that was names do not
 * tell: a value that nobody set must not become the client's own.
 */
void session_inspect_ended(struct session *session,
			   const struct sqlclass *judged)
{
	bool is_undone = session->has_erred ||
			 judged->command == COMMAND_ROLLBACK ||
			 judged->command == COMMAND_MIXED ||
			 judged->command == COMMAND_ROLLBACK_TO;

	if (session->inspect) {
		session->inspect->tries = 0;
		session->inspect->next.needs_all |= is_undone;
	}
	if (inspect_parts(judged->effects, session->pins) != 0)
		inspect_of(session)->next.effects |= judged->effects;
}

bool session_inspect_is_open(const struct session *session)
{
	const uint32_t settings = EFFECT_SET | EFFECT_HIDDEN |
				  EFFECT_RESET_ALL | EFFECT_DISCARD_ALL |
				  EFFECT_EXECUTE;

	return session_inspect_is_due(session, settings);
}

bool session_inspect_is_due(const struct session *session, uint32_t effects)
{
	return session->inspect &&
	       (session->inspect->is_under_way ||
		(session->inspect->next.effects & effects) ||
		(session->inspect->stuck & effects));
}

void session_inspect_reset(struct session *session, uint32_t effects)
{
	if (session->inspect) {
		session->inspect->next.effects &= ~effects;
		session->inspect->stuck &= ~effects;
	}
	session->pins &= ~effects;
}

/* --- looking ----------------------------------------------------------------
 */

/* A session that keeps its server anyway need not know. */
static uint32_t effects_that_matter(const struct session *session)
{
	uint32_t effects = session->inspect->next.effects;

	if (session->mode != POOL_MODE_SESSION || session_can_split(session))
		return effects;
	if (session->startup == settings_empty())
		return 0;
	return effects & (EFFECT_SET | EFFECT_RESET_ALL);
}

static void begin(struct session *session, unsigned parts)
{
	struct session_inspect *inspect = session->inspect;
	struct buf sql = BUF_INIT;

	if ((parts & INSPECT_NAMED) && inspect->next.needs_all)
		parts |= INSPECT_SETTINGS;
	if (!inspect->next.names)
		inspect->next.names = strmap_new();
	forget_question(&inspect->asked);
	inspect->asked = inspect->next;
	inspect->next = (struct question){ 0 };
	inspect->is_all = (parts & INSPECT_SETTINGS) != 0;
	inspect_query(&sql, parts, inspect->asked.names, session->settings);
	forget_result(inspect);
	inspect->result.settings = settings_hold(
		inspect->is_all ? settings_empty() : session->settings);
	inspect->result.pins = session->pins & ~inspect_pins_of(parts);
	inspect->tries++;
	inspect->is_under_way = true;
	inspect->has_failed = false;
	server_ask(session->server, &sql);
	buf_free(&sql);
}

bool session_inspect_is_looking(const struct session *session)
{
	return session->inspect && session->inspect->is_under_way;
}

bool session_inspect_holds(const struct session *session)
{
	const struct session_inspect *inspect = session->inspect;
	uint32_t effects = 0;

	if (session->startup == settings_empty())
		return false;
	/* In a transaction nothing is looked at: then nothing is awaited. */
	if (inspect && inspect->next.needs_all && session_has_pending(session))
		return true;
	for (unsigned i = 0; i < session->units_count; i++)
		effects |= session_unit_at(session, i)->judged.effects;
	return (effects & (EFFECT_RESET_ALL | EFFECT_DISCARD_ALL)) ||
	       (inspect && inspect->is_under_way && inspect->is_all);
}

bool session_inspect_begin(struct session *session)
{
	struct session_inspect *inspect = session->inspect;
	unsigned parts;

	if (!inspect || inspect->is_under_way)
		return inspect != NULL;
	if (inspect->tries >= TRIES_MAX)
		return false;
	parts = inspect_parts(effects_that_matter(session), session->pins);
	if (session_listen_decides(session))
		parts &= ~(unsigned)INSPECT_CHANNELS;
	if (parts == 0)
		forget_question(&inspect->next);
	else
		begin(session, parts);
	return parts != 0;
}

void session_inspect_take(struct session *session,
			  const struct pgwire_message *row)
{
	struct session_inspect *inspect = session->inspect;

	assert(inspect && inspect->is_under_way);
	if (!inspect_take_row(&inspect->result,
			      server_site(session->server)->user, row->body,
			      row->body_len))
		inspect->has_failed = true;
}

/* What follows the look on the same server may leave something anew. */
static uint32_t effects_in_flight(const struct session *session)
{
	uint32_t effects = session->unit.judged.effects;

	for (unsigned i = 0; i < session->units_count; i++)
		effects |= session_unit_at(session, i)->judged.effects;
	return effects;
}

static void take_result(struct session *session)
{
	struct session_inspect *inspect = session->inspect;
	const struct settings *found = inspect->result.settings;
	uint32_t in_flight = effects_in_flight(session);

	/* Settings with computed names are gone, too. */
	if (inspect->asked.effects & EFFECT_RESET_ALL)
		inspect->stuck &= ~(uint32_t)EFFECT_SET;
	if ((inspect->asked.effects & EFFECT_HIDDEN) &&
	    (inspect->result.pins & EFFECT_PREPARE))
		inspect->has_hidden_statements = true;
	session->pins =
		inspect->result.pins | inspect->stuck | (in_flight & PINNING);
	if ((session->pins & ~(uint32_t)EFFECT_LISTEN) == 0 &&
	    !session_inspect_is_suspect(in_flight) &&
	    !local_settings(session->local)->server_reset_query_always)
		server_mark_clean(session->server);
	if (inspect->result.is_spoiling)
		server_mark_spent(session->server);
	server_note_settings(session->server, found);
	session_take_settings(session,
			      inspect_restore(found, session->startup));
	session_scope_settle(session, 'I', session_inspect_is_open(session));
	session->is_restoring = session->settings != found;
	log_debug("client %s db=%s: session state looked at, %s",
		  session->address, pool_database(session->pool),
		  session->pins ? "it keeps its server"
				: "nothing keeps its server");
}

/* Asks again, and for all settings: a name may be one to keep away from. */
static void take_failure(struct session *session)
{
	struct session_inspect *inspect = session->inspect;
	const char *name;
	void *ignored;
	size_t at = 0;

	collect(&inspect->next, NULL, 0);
	while (strmap_next(inspect->asked.names, &at, &name, &ignored))
		collect(&inspect->next, name, strlen(name));
	inspect->next.effects |= inspect->asked.effects;
	session->pins |= EFFECT_SET;
}

void session_inspect_end(struct session *session, bool ok)
{
	struct session_inspect *inspect = session->inspect;

	assert(inspect && inspect->is_under_way);
	inspect->is_under_way = false;
	if (!ok || inspect->has_failed)
		take_failure(session);
	else
		take_result(session);
	forget_question(&inspect->asked);
	forget_result(inspect);
}
