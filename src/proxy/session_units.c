/*
 * The units whose ReadyForQuery is to come: what each was, so that its end
 * can be understood - a write that begins the read-after-write window, DDL
 * that makes the catalog old, a transaction that is over.
 *
 * Invariant: as many units stand here as the server owes ReadyForQuery to
 * this session; one that the server skips is dropped (session_drop_unit).
 */
#include "base/util.h"
#include "core/epoch.h"
#include "core/metrics.h"
#include "core/settings.h"
#include "core/shapes.h"
#include "core/stmtscope.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <assert.h>

static void count_unit(struct session *session, const struct session_unit *unit)
{
	static const enum metrics_class classes[] = {
		[ACCESS_NONE] = METRICS_CLASS_UNKNOWN,
		[ACCESS_READ] = METRICS_CLASS_READ,
		[ACCESS_WRITE] = METRICS_CLASS_WRITE,
		[ACCESS_UNKNOWN] = METRICS_CLASS_UNKNOWN,
	};
	struct metrics_cell *totals = pool_totals(session->pool);
	unsigned role = session_role(session);
	uint64_t took_us = session_now(session) - unit->since_us;

	metrics_count(totals, COUNTER_QUERIES, role,
		      classes[unit->judged.access], 1);
	metrics_observe(totals, HISTOGRAM_QUERY, role, took_us);
	shapes_note_answer(session->local->shapes, &unit->judged,
			   &(struct tally_answer){
				   .is_replica = role == METRICS_ROLE_REPLICA,
				   .reason = session->reason,
				   .took_us = took_us });
	if (role == METRICS_ROLE_REPLICA && unit->judged.access == ACCESS_READ)
		pool_note_answer(server_site(session->server)->owner, took_us);
}

/* What it was; there until the next unit comes. */
static const struct session_unit *pop_unit(struct session *session)
{
	static const struct session_unit nothing;
	const uint32_t naming = EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL;
	const struct session_unit *unit;

	if (session->units_count == 0)
		return &nothing;
	unit = &session->units[session->units_first];
	session->units_first =
		(session->units_first + 1) & (session->units_room - 1);
	session->units_count--;
	if (unit->judged.effects & naming)
		materialise_drop_moves(session);
	return unit;
}

static bool may_have_written(const struct session_unit *unit)
{
	return unit->judged.access == ACCESS_WRITE ||
	       unit->judged.access == ACCESS_UNKNOWN;
}

/* Its owner, the main thread, loads no more often than it makes sense. */
void session_want_catalog(const struct session *session)
{
	const struct process *process = session->local->process;

	process->want_catalog(process->arg, pool_database(session->pool),
			      pool_dbname(session->pool));
}

static void end_transaction(struct session *session)
{
	uint64_t now_us = session_now(session);

	if (session->is_writing)
		session->last_write_us = now_us;
	metrics_count(pool_totals(session->pool), COUNTER_TRANSACTIONS,
		      session_role(session), 0, 1);
	metrics_observe(pool_totals(session->pool), HISTOGRAM_TRANSACTION,
			session_role(session),
			now_us - session->transaction_us);
	if (session->is_changing_catalog) {
		epoch_advance(stmtscope_epoch(session->scope));
		session_want_catalog(session);
	}
	if (session->is_hiding)
		epoch_note_hidden(stmtscope_epoch(session->scope),
				  util_now_us());
	if (session->is_redefining)
		epoch_redefine(stmtscope_epoch(session->scope), util_now_us());
	session->is_changing_catalog = false;
	session->is_hiding = false;
	session->is_redefining = false;
	session_count_bytes(session);
	session->is_writing = false;
	session->transaction_us = 0;
	session->portal = SESSION_PORTAL_OWN;
}

static bool has_identity(const struct settings *settings)
{
	return settings_get(settings, "role") ||
	       settings_get(settings, "session_authorization");
}

/*
 * RESET ALL by itself, and all that was set is known: then nobody has to ask
 * what is left.  It leaves role and session_authorization alone.
 */
static bool resets_all(const struct session *session,
		       const struct session_unit *unit)
{
	const uint32_t others = EFFECT_SET | EFFECT_SET_REPORTED |
				EFFECT_HIDDEN | EFFECT_EXECUTE;
	const struct sqlclass *judged = &unit->judged;
	uint32_t effects = judged->effects;

	return judged->statements == 1 && (effects & EFFECT_RESET_ALL) &&
	       !(effects & others) &&
	       (unit->is_refilled || session->startup == settings_empty()) &&
	       !session_inspect_is_due(session, others) &&
	       !has_identity(session->settings) &&
	       !has_identity(session->startup);
}

/* What the unit has ended for good, unless it began it as well. */
static void end_pins(struct session *session, const struct session_unit *unit)
{
	static const struct {
		uint32_t end;
		uint32_t pin;
	} rows[] = {
		{ EFFECT_CLOSE_ALL, EFFECT_HOLD },
		{ EFFECT_UNLOCK_ALL, EFFECT_ADVISORY },
	};
	uint32_t effects = unit->judged.effects;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if ((effects & rows[i].end) && !(effects & rows[i].pin))
			session_inspect_reset(session,
					      rows[i].end | rows[i].pin);
	if (!resets_all(session, unit))
		return;
	session_inspect_reset(session, EFFECT_RESET_ALL);
	session_refilled_settings(session);
}

void session_note_unit(struct session *session, char status)
{
	const struct session_unit unit = *pop_unit(session);
	bool is_alone;

	session->has_repeated = false;
	session->is_plan_stale = false;
	session->avoided = 0;
	session_replay_answered(session);
	count_unit(session, &unit);
	if (session->ddl)
		session_ddl_note_unit(session, status);
	if (may_have_written(&unit) &&
	    !server_site(session->server)->is_replica)
		session->is_writing = true;
	if (unit.judged.effects & EFFECT_DDL)
		session->is_changing_catalog = true;
	session->is_redefining |= unit.judged.redefines;
	if (session->transaction_us == 0)
		session->transaction_us = unit.since_us;
	is_alone = session->transaction_us == unit.since_us;
	session_inspect_ended(session, &unit.judged);
	if (session->begin)
		session_begin_answered(session, &unit, unit.is_query, status);
	session_fresh_note(session, &unit.judged, status == 'I');
	if (status != 'I') {
		session_scope_settle(session, status, true);
		return;
	}
	if (!session->has_erred && is_alone)
		end_pins(session, &unit);
	session->has_erred = false;
	session_adopt_settings(session);
	session_scope_settle(session, status, session_inspect_is_open(session));
	session_rescope(session);
	end_transaction(session);
	assert(session->units_count == 0 || !server_is_idle(session->server));
}

/* A Query that was skipped after an error, a Sync that COPY has read over. */
void session_drop_unit(struct session *session)
{
	const struct session_unit unit = *pop_unit(session);

	session_replay_forget(session);
	if (may_have_written(&unit) &&
	    !server_site(session->server)->is_replica)
		session->is_writing = true;
	if (unit.judged.access != ACCESS_NONE)
		session->has_touched = true;
	session_begin_skipped(session, &unit);
	if (session->ddl)
		session_ddl_note_unit(session, 0);
}

/* Names that a statement under way may drop cannot be used before it ends. */
bool session_is_dropping_names(const struct session *session)
{
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.effects &
		    (EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL))
			return true;
	return false;
}
