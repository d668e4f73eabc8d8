/*
 * How fresh an answer must be: what a session has seen, and which replicas
 * show it (docs/routing.md, core/ticket).
 *
 * Nothing is added to a write: its moment is noted.  A read that comes before
 * the positions are known waits for them, and wakes the monitor, which asks
 * primary and replicas at once and for everybody who waits.  After
 * causal_wait the primary answers.
 *
 * A session that reads stays on one replica, so that it does not go back in
 * time; before it goes to another one, its reads count as something seen.
 *
 * Moments are taken from the clock itself, not from the turn's: a position
 * asked for after the turn began, but before the answer was read, would seem
 * to cover it.
 */
#include "base/util.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/epoch.h"
#include "core/replicas.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/stmtscope.h"
#include "core/ticket.h"
#include "core/token.h"
#include "core/topology.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <strings.h>

/* So often it is asked whether a session moves for balance alone. */
enum { STAY_US = 2000000 };

/* Words for false that PostgreSQL takes for this setting (guc.c). */
static bool is_off(const char *value)
{
	static const char *const words[] = { "off", "false", "no", "0" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(words[i], value) == 0)
			return true;
	return false;
}

bool session_fresh_is_foreign(const struct session *session,
			      struct watermark position)
{
	const struct topology_node *seen = pool_primary_seen(session->pool);

	return seen && seen->position.system != 0 &&
	       seen->position.system != position.system;
}

/* What is no token, or one of another cluster, leaves the primary alone. */
static void judge_token(struct session *session)
{
	const char *asked = settings_get(session->settings, "pgweir.min_lsn");
	struct watermark position;

	if (!asked || !*asked)
		return;
	if (!token_read(asked, &position) ||
	    session_fresh_is_foreign(session, position)) {
		session->consistency = CONSISTENCY_PRIMARY;
		return;
	}
	ticket_demand(&session->ticket, position);
	if (session->consistency < CONSISTENCY_SESSION)
		session->consistency = CONSISTENCY_SESSION;
}

void session_judge_consistency(struct session *session)
{
	const char *asked =
		settings_get(session->settings, "pgweir.consistency");
	enum config_consistency level = CONSISTENCY_UNSET;

	if (asked && *asked) {
		level = config_consistency_named(asked);
		/* Not understood: then the safest. */
		if (level == CONSISTENCY_UNSET)
			level = CONSISTENCY_PRIMARY;
	}
	if (level == CONSISTENCY_UNSET)
		level = config_consistency_of(local_config(session->local),
					      pool_config(session->pool),
					      pool_config_user(session->pool));
	session->consistency = level;
	judge_token(session);
}

/* What is set as the session's, or else what its login has found. */
bool session_fresh_is_asynchronous(const struct session *session)
{
	const char *set = settings_get(session->settings, "synchronous_commit");

	if (set)
		return is_off(set);
	return catalog_is_role(pool_catalog(session->pool), HIDDEN_ASYNCHRONOUS,
			       pool_server_user(session->pool));
}

/* A session that has lived through the loss of its primary reads there. */
static bool is_home_primary(const struct session *session)
{
	const struct server *home =
		session->home ? session->home : session->server;

	return home && !server_site(home)->is_replica &&
	       !session->local->is_granting_stopped;
}

bool session_can_split(const struct session *session)
{
	return local_settings(session->local)->split_reads &&
	       pool_node_count(session->pool) > 1 &&
	       (session->mode != POOL_MODE_SESSION || is_home_primary(session));
}

/* --- what it has seen ------------------------------------------------------
 */

/* Several workers at once: the newest counts. */
static void note_write(struct process *process, uint64_t now_us)
{
	uint64_t before = atomic_load(&process->written_us);

	while (before < now_us &&
	       !atomic_compare_exchange_weak(&process->written_us, &before,
					     now_us))
		continue;
}

/* It has read there: that is its replica now. */
static void settle(struct session *session, uint64_t now_us)
{
	uint64_t generation = pool_generation(session->pool);

	if (session->replica != (int)session->node ||
	    session->replica_generation != generation)
		session->settled_us = now_us;
	session->shift = 0;
	session->replica = (int)session->node;
	session->replica_generation = generation;
	session->read_us = now_us;
}

/*
 * What was acknowledged before it was flushed is flushed within three times
 * wal_writer_delay, which is 10 s at most (PostgreSQL docs, "Asynchronous
 * Commit"): it counts as acknowledged then.
 */
static uint64_t flush_delay_us(const struct session *session)
{
	const uint64_t usual_us = 1000000;
	const uint64_t longest_us = 31000000;

	if (!session->is_writing || (!session->is_asynchronous &&
				     !session_fresh_is_asynchronous(session)))
		return 0;
	return catalog_is_role(pool_catalog(session->pool), HIDDEN_LATE, "")
		       ? longest_us
		       : usual_us;
}

void session_fresh_note(struct session *session, const struct sqlclass *judged,
			bool is_over)
{
	uint64_t now_us;

	if (judged->access != ACCESS_NONE)
		session->has_touched = true;
	if (!is_over || !session->has_touched ||
	    pool_node_count(session->pool) < 2)
		return;
	session->has_touched = false;
	now_us = util_now_us();
	if (server_site(session->server)->is_replica) {
		settle(session, now_us);
		return;
	}
	now_us += flush_delay_us(session);
	session->is_asynchronous = false;
	ticket_note(&session->ticket, now_us);
	if (session->is_writing)
		note_write(session->local->process, now_us);
}

/* --- which replica shows it ------------------------------------------------
 */

/*
 * What the level adds to what the session itself has seen: as of the read's
 * arrival.  A read that waits would never end if later writes counted too.
 */
static void add_demands(struct session *session)
{
	const struct process *process = session->local->process;

	if (session->fresh_since_us != 0)
		return;
	if (session->consistency == CONSISTENCY_GLOBAL)
		ticket_note(&session->ticket,
			    atomic_load_explicit(&process->written_us,
						 memory_order_acquire));
	if (session->consistency == CONSISTENCY_STRONG)
		ticket_note(&session->ticket, util_now_us());
}

static void redeem(struct session *session)
{
	const struct topology_node *primary = pool_primary_seen(session->pool);

	if (!primary || !primary->is_up || primary->role != ROLE_PRIMARY)
		return;
	ticket_follow(&session->ticket, primary->first);
	ticket_redeem(&session->ticket, primary->asked_us, primary->position);
}

/*
 * Its last replica, as long as that has not started anew since, and has the
 * same index still; or the one that it is moving to.
 */
static int usual_replica(const struct session *session)
{
	const struct topology_node *seen = NULL;

	if (session->shift > 0)
		return (int)session->shift - 1;
	if (session->replica >= 0 &&
	    session->replica_generation == pool_generation(session->pool))
		seen = pool_node_seen(session->pool,
				      (unsigned)session->replica);
	return seen && seen->is_up && seen->up_since_us < session->read_us
		       ? session->replica
		       : -1;
}

/* A move for the sake of balance, once in a while and never under a wait. */
static bool may_shift(const struct session *session)
{
	return session->fresh_since_us == 0 && session->replica >= 0 &&
	       session_now(session) > session->settled_us + STAY_US;
}

/* For its own replica; half of the time is left for another one. */
static bool may_wait(const struct session *session)
{
	return session->fresh_since_us == 0 ||
	       session_now(session) <
		       session->fresh_since_us +
			       local_settings(session->local)->causal_wait_us /
				       2;
}

/* Weak levels bind a session to no replica: each read is placed anew. */
static struct pool_choice choose_any(const struct session *session)
{
	struct pool_wish wish = { .preferred = -1,
				  .avoided = session->avoided };

	if (session->consistency == CONSISTENCY_BOUNDED)
		wish.max_age_us =
			local_settings(session->local)->max_staleness_us;
	return pool_replica(session->pool, &wish);
}

/* It counts at once, so that not all sessions move together. */
static void begin_shift(struct session *session, int node)
{
	session->shift = (unsigned)node + 1;
	session->settled_us = session_now(session);
	pool_note_settled(session->pool, (unsigned)node, REPLICAS_SHIFT);
}

/* A session that binds itself to a replica. */
static struct pool_choice choose_steady(struct session *session)
{
	struct pool_wish wish = { .ticket = &session->ticket,
				  .preferred = usual_replica(session),
				  .may_shift = may_shift(session),
				  .may_wait = may_wait(session),
				  .avoided = session->avoided };
	struct pool_choice choice;

	add_demands(session);
	redeem(session);
	choice = pool_replica(session->pool, &wish);
	if (choice.is_shift)
		begin_shift(session, choice.node);
	else if (wish.may_shift)
		session->settled_us = session_now(session);
	if (choice.node >= 0 && session->replica < 0 && session->shift == 0)
		pool_note_settled(session->pool, (unsigned)choice.node,
				  REPLICAS_SETTLE);
	if (choice.node >= 0 && choice.node != wish.preferred &&
	    session->read_us != 0) {
		/*
		 * Another one, or the same after a new start, which may show
		 * less than before: it must show what was read.
		 */
		ticket_note(&session->ticket, session->read_us);
		session->read_us = 0;
		redeem(session);
		wish.may_shift = wish.may_wait = false;
		wish.preferred = choice.node;
		choice = pool_replica(session->pool, &wish);
	}
	return choice;
}

static struct pool_choice choose(struct session *session)
{
	if (session->consistency == CONSISTENCY_PRIMARY)
		return (struct pool_choice){ .node = -1 };
	if (session->consistency < CONSISTENCY_SESSION)
		return choose_any(session);
	return choose_steady(session);
}

static bool has_waited(const struct session *session)
{
	return session->fresh_since_us != 0 &&
	       session_now(session) >= session_fresh_end_us(session);
}

void session_fresh_look(struct session *session, struct route_input *input,
			int *replica)
{
	struct pool_choice choice = choose(session);

	*replica = choice.node;
	input->is_replica_lagging = choice.is_lagging;
	input->has_replica = choice.node >= 0 || choice.is_behind;
	if (choice.node >= 0)
		input->freshness = ROUTE_FRESH;
	else if (has_waited(session) ||
		 session->ticket.since_us > util_now_us())
		/* Of a moment that is still to come no position tells. */
		input->freshness = ROUTE_STALE;
	else
		input->freshness = ROUTE_UNSURE;
}

/* --- waiting ----------------------------------------------------------------
 */

uint64_t session_fresh_end_us(const struct session *session)
{
	return session->fresh_since_us +
	       local_settings(session->local)->causal_wait_us;
}

void session_fresh_wait(struct session *session)
{
	struct local *local = session->local;
	int primary = pool_primary_id(session->pool);

	if (session->fresh_since_us == 0)
		session->fresh_since_us = session_now(session);
	if (!list_is_linked(&session->behind_link))
		list_append(&local->behind, &session->behind_link);
	if (primary < 0 || local->is_hurrying)
		return;
	local->is_hurrying = true;
	local->process->hurry(local->process->arg, (unsigned)primary);
}

void session_fresh_leave(struct session *session)
{
	if (list_is_linked(&session->behind_link))
		list_remove(&session->behind_link);
}

bool session_fresh_is_catalog_old(const struct session *session)
{
	return epoch_outdates(stmtscope_epoch(session->scope),
			      catalog_as_of_us(pool_catalog(session->pool)));
}
