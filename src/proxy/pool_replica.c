/*
 * Which of a pool's replicas serves the next read, as this worker sees them.
 *
 * Fit is who is up, streams, lags little enough, is on the primary's
 * timeline, has the database and lets us in.  Of the fit ones core/replicas
 * has the arithmetic; what is under way is counted here.  A reserve (backup)
 * serves only while no other is fit: one that merely does not show a session
 * what it must, yet, is waited for.
 *
 * Runs for each read: one walk over the nodes, no lock, no memory.  Prices
 * are made when the monitor has news, which is twice a second at least.
 */
#include "proxy/pool_replica.h"

#include "core/config.h"
#include "core/replicas.h"
#include "core/ticket.h"
#include "core/topology.h"
#include "proxy/local.h"
#include "proxy/pool_ahead.h"
#include "proxy/pool_parts.h"
#include "proxy/quota.h"

#include <assert.h>

/* --- prices ----------------------------------------------------------------
 */

static const struct config_share *share_of(const struct pool *pool,
					   unsigned index)
{
	return &pool->config->shares[index];
}

static const struct topology_node *seen_of(const struct pool *pool,
					   unsigned index)
{
	return &pool->local->topology->nodes[pool->config->nodes[index]];
}

/* Somebody who could serve reads now, if others did not matter. */
static bool is_sharing(const struct pool *pool, unsigned index)
{
	const struct topology_node *seen = seen_of(pool, index);

	return seen->is_up && seen->role == ROLE_REPLICA &&
	       share_of(pool, index)->weight > 0;
}

static struct replicas_terms terms_of(const struct pool *pool)
{
	struct replicas_terms terms = { .heaviest = 1 };

	for (unsigned i = 0; i < pool->node_count; i++) {
		uint32_t response_us = pool->nodes[i]->load.response_us;

		if (!is_sharing(pool, i))
			continue;
		if (share_of(pool, i)->weight > terms.heaviest)
			terms.heaviest = share_of(pool, i)->weight;
		if (response_us > 0 &&
		    (terms.fastest_us == 0 || response_us < terms.fastest_us))
			terms.fastest_us = response_us;
	}
	return terms;
}

/* The least account of those who share; who was away begins there. */
static void raise_floor(struct pool *pool)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < pool->node_count; i++)
		if (is_sharing(pool, i) && pool->nodes[i]->load.pass < least)
			least = pool->nodes[i]->load.pass;
	if (least != UINT64_MAX && least > pool->floor)
		pool->floor = least;
}

void pool_price_replicas(struct pool *pool)
{
	const struct config_settings *settings = local_settings(pool->local);
	struct replicas_terms terms = terms_of(pool);

	for (unsigned i = 0; i < pool->node_count; i++) {
		struct pool_node *node = pool->nodes[i];

		if (!is_sharing(pool, i))
			continue;
		terms.weight = share_of(pool, i)->weight;
		terms.response_us = node->load.response_us;
		terms.warmth = replicas_warmth(seen_of(pool, i)->up_since_us,
					       local_now(pool->local),
					       settings->slow_start_us);
		node->load.price = replicas_price(&terms);
	}
	raise_floor(pool);
}

void pool_note_read(struct pool_node *node)
{
	node->reads++;
	replicas_charge(&node->load, node->pool->floor, REPLICAS_UNIT);
}

void pool_node_add_work(const struct pool_node *node, struct pool_work *work)
{
	work->outstanding += node->busy_count;
	work->reads += node->reads;
	work->response_us += node->load.response_us;
	work->timed += node->load.response_us > 0;
}

void pool_note_answer(struct pool_node *node, uint64_t took_us)
{
	replicas_answered(&node->load, took_us);
}

void pool_note_settled(struct pool *pool, unsigned index, unsigned reads)
{
	assert(index < pool->node_count);
	replicas_charge(&pool->nodes[index]->load, pool->floor, reads);
	raise_floor(pool);
}

/* --- fitness ---------------------------------------------------------------
 */

/* Upper bound of the age of what it shows, now. */
static uint64_t age_of(const struct pool *pool,
		       const struct topology_node *seen)
{
	uint64_t now_us = local_now(pool->local);

	return seen->lag_us +
	       (now_us > seen->asked_us ? now_us - seen->asked_us : 0);
}

/* Whether a readable replica shows what is wished for. */
static bool shows(const struct pool *pool, const struct topology_node *seen,
		  const struct pool_wish *wish)
{
	if (wish->max_age_us > 0 && age_of(pool, seen) > wish->max_age_us)
		return false;
	return !wish->ticket || ticket_allows(wish->ticket, seen->position);
}

/* It has no server, and the last attempts to get one have failed. */
static bool is_failing(const struct pool_node *node)
{
	return node->failures > 0 &&
	       local_now(node->pool->local) < node->retry_us &&
	       quota_servers(node->quota) == 0;
}

/* What only a pool knows; the rest is the topology's. */
static bool is_served(const struct pool *pool, unsigned index,
		      const struct pool_wish *wish)
{
	const struct pool_node *node = pool->nodes[index];

	return share_of(pool, index)->weight > 0 &&
	       index + 1 != wish->avoided && !node->is_lacking &&
	       !is_failing(node) &&
	       !pool_is_ahead(pool, pool->config->nodes[index]);
}

static unsigned outstanding(const struct pool_node *node)
{
	return node->busy_count + quota_waiting(node->quota);
}

/* --- choosing --------------------------------------------------------------
 */

/* One walk: the best of those used first, and the best reserve. */
struct survey {
	struct replicas_pick usual;
	struct replicas_pick reserve;
	bool is_usual_fit;
	bool is_reserve_behind;
};

static void survey_one(const struct pool *pool, const struct pool_wish *wish,
		       unsigned index, struct survey *survey,
		       struct pool_choice *choice)
{
	const struct pool_node *node = pool->nodes[index];
	bool is_reserve = share_of(pool, index)->is_backup;
	bool is_fresh = shows(pool, seen_of(pool, index), wish);

	if (is_reserve)
		survey->is_reserve_behind |= !is_fresh;
	else
		survey->is_usual_fit = true;
	if (!is_reserve && !is_fresh)
		choice->is_behind = true;
	if (is_fresh)
		replicas_offer(is_reserve ? &survey->reserve : &survey->usual,
			       (int)index,
			       replicas_key(&node->load, pool->floor,
					    outstanding(node)));
}

static bool is_fit(const struct pool *pool, unsigned index, int primary,
		   const struct pool_wish *wish, bool *is_lagging)
{
	const struct topology *topology = pool->local->topology;
	uint64_t max_us = local_settings(pool->local)->max_replica_lag_us;
	unsigned id = pool->config->nodes[index];
	const struct topology_node *seen = &topology->nodes[id];

	if (topology_can_read(topology, id, primary, max_us))
		return is_served(pool, index, wish);
	*is_lagging |= seen->is_up && seen->lag_us > max_us;
	return false;
}

/*
 * A session keeps to its own, unless it may leave and had better; never for
 * one that would let it wait for longer than it may.
 */
static void prefer(const struct pool *pool, const struct pool_wish *wish,
		   const struct replicas_pick *pick, struct pool_choice *choice)
{
	const struct pool_node *node = pool->nodes[wish->preferred];
	uint64_t key =
		replicas_key(&node->load, pool->floor, outstanding(node));

	if (wish->may_shift &&
	    seen_of(pool, (unsigned)pick->index)->lag_us <=
		    local_settings(pool->local)->causal_wait_us &&
	    replicas_should_shift(pick, key))
		choice->is_shift = true;
	else
		choice->node = wish->preferred;
}

/* Whether the preferred one is among those that the survey chose from. */
static bool is_eligible(const struct pool *pool, const struct pool_wish *wish,
			int primary, bool is_usual_fit)
{
	unsigned index = (unsigned)wish->preferred;
	bool ignored = false;

	return wish->preferred >= 0 && index < pool->node_count &&
	       (!share_of(pool, index)->is_backup || !is_usual_fit) &&
	       is_fit(pool, index, primary, wish, &ignored) &&
	       shows(pool, seen_of(pool, index), wish);
}

/*
 * Its own is fit, and not as far as it must be yet.  Whoever went elsewhere
 * for that each time would end up anywhere: shares would be as chance is, not
 * as weights are.
 */
static bool should_wait(const struct pool *pool, const struct pool_wish *wish,
			int primary, const struct replicas_pick *pick)
{
	unsigned index = (unsigned)wish->preferred;
	const struct pool_node *node;
	bool ignored = false;

	if (!wish->may_wait || wish->preferred < 0 ||
	    index >= pool->node_count || share_of(pool, index)->is_backup ||
	    !is_fit(pool, index, primary, wish, &ignored))
		return false;
	node = pool->nodes[index];
	return replicas_is_crowded(pick, replicas_key(&node->load, pool->floor,
						      outstanding(node)));
}

static struct pool_choice choose(const struct pool *pool,
				 const struct pool_wish *wish, int primary)
{
	struct survey survey = { .usual = REPLICAS_PICK_INIT,
				 .reserve = REPLICAS_PICK_INIT };
	struct pool_choice choice = { .node = -1 };
	const struct replicas_pick *pick = &survey.usual;

	for (unsigned i = 0; i < pool->node_count; i++)
		if (is_fit(pool, i, primary, wish, &choice.is_lagging))
			survey_one(pool, wish, i, &survey, &choice);
	if (!survey.is_usual_fit) {
		pick = &survey.reserve;
		choice.is_behind = survey.is_reserve_behind;
	}
	choice.node = pick->index;
	if (pick->index < 0 || pick->index == wish->preferred)
		return choice;
	if (is_eligible(pool, wish, primary, survey.is_usual_fit))
		prefer(pool, wish, pick, &choice);
	else if (should_wait(pool, wish, primary, pick))
		choice.node = -1;
	return choice;
}

struct pool_choice pool_replica(const struct pool *pool,
				const struct pool_wish *wish)
{
	const struct topology *topology = pool->local->topology;
	int primary;

	if (!topology || !pool->config)
		return (struct pool_choice){ .node = -1 };
	primary = topology_primary(topology, pool->config->nodes,
				   pool->config->node_count);
	/* As nearly always: a session goes on where it has been. */
	if (!wish->may_shift && wish->preferred >= 0 &&
	    (unsigned)wish->preferred < pool->node_count &&
	    !share_of(pool, (unsigned)wish->preferred)->is_backup &&
	    is_eligible(pool, wish, primary, true))
		return (struct pool_choice){ .node = wish->preferred };
	return choose(pool, wish, primary);
}
