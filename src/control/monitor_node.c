/*
 * Judging a node by its probes.  Down at the first failure: a read that goes
 * to a dead node is an error for a client, a read that goes elsewhere is
 * not.  Up again at once as a primary, since nothing else can take writes,
 * but as a replica only after some answers in a row.
 *
 * Pure: time and facts come in.
 */
#include "control/monitor_node.h"

#include "base/util.h"

#include <string.h>

/* True when it is another one than last time, and so worth a line. */
static bool set_reason(struct monitor_node *node,
		       const struct probe_report *report)
{
	bool is_new = strcmp(node->reason, report->reason) != 0;

	(void)util_copy(node->reason, sizeof(node->reason), report->reason);
	(void)util_copy(node->sqlstate, sizeof(node->sqlstate),
			report->sqlstate);
	return is_new;
}

/* A replica that missed too few questions in a row to be called down. */
static bool is_kept(const struct monitor_node *node)
{
	return node->now.is_up && node->now.role == ROLE_REPLICA &&
	       node->failures < node->limits.fall;
}

/* The role stays what it was: it says what the outage means to clients. */
static unsigned take_failure(struct monitor_node *node,
			     const struct probe_report *report)
{
	unsigned changes = 0;

	if (set_reason(node, report) || node->failures == 0)
		changes |= NODE_NEW_FAILURE;
	node->failures++;
	node->answers = 0;
	node->is_doubtful = true;
	if (is_kept(node))
		return changes & ~(unsigned)NODE_NEW_FAILURE;
	if (node->now.is_up)
		changes |= NODE_WENT_DOWN;
	node->now.is_up = false;
	node->now.is_streaming = false;
	node->is_receiving = false;
	return changes;
}

/*
 * The server lives but shows us nothing.  It is taken for what it was, as a
 * change of role takes a restart or is a promotion, which does no harm to
 * its readers.  After a failure it may have been restarted as anything: then
 * it is unknown, unless it is merely full.
 */
static void refuse_role(struct monitor_node *node, const char *sqlstate)
{
	if (!node->is_doubtful || strcmp(sqlstate, "53300") == 0)
		return;
	node->now.role = ROLE_UNKNOWN;
	node->now.is_streaming = false;
	node->is_receiving = false;
}

static unsigned take_refusal(struct monitor_node *node,
			     const struct probe_report *report)
{
	unsigned changes = 0;

	if (set_reason(node, report) || node->outcome != PROBE_REFUSED)
		changes |= NODE_NEW_REFUSAL;
	if (!node->now.is_up)
		changes |= NODE_CAME_UP;
	refuse_role(node, report->sqlstate);
	node->failures = 0;
	node->answers = 0;
	node->now.is_up = true;
	node->was_up = true;
	return changes;
}

/*
 * A change of the timeline alone is a failover that came back to the same node,
 * or a restore: positions of the old one mean nothing now.
 */
static unsigned take_role(struct monitor_node *node,
			  const struct probe_facts *facts)
{
	enum topology_role role =
		facts->is_primary ? ROLE_PRIMARY : ROLE_REPLICA;
	uint32_t before = node->now.position.timeline;
	unsigned changes = 0;

	if (node->now.role != ROLE_UNKNOWN && node->now.role != role)
		changes |= NODE_CHANGED_ROLE;
	else if (facts->is_primary && before != 0 &&
		 before != facts->position.timeline)
		changes |= NODE_CHANGED_TIMELINE;
	if (changes) {
		node->old_role = node->now.role;
		node->old_timeline = before;
	}
	node->now.role = role;
	if (!facts->is_primary)
		node->now.primary_since_us = 0;
	return changes;
}

/*
 * A primary's positions are kept as samples with the time at which they were
 * asked for: a replica's lag in time is read off them.
 */
static unsigned take_position(struct monitor_node *node,
			      const struct probe_report *report)
{
	const struct probe_facts *facts = &report->facts;
	const struct watermark *before = &node->now.position;
	bool has_moved = before->lsn != facts->position.lsn ||
			 !watermark_same_epoch(*before, facts->position) ||
			 node->is_receiving != facts->is_receiving;

	node->now.position = facts->position;
	node->is_receiving = facts->is_receiving;
	if (facts->is_primary) {
		node->now.is_streaming = false;
		node->now.lag_us = 0;
		node->now.lag_bytes = 0;
		if (node->now.primary_since_us == 0)
			node->now.primary_since_us = report->done_us;
		if (!watermark_same_epoch(node->now.first, facts->position))
			node->now.first = facts->position;
		staleness_note(&node->samples, report->sent_us,
			       facts->position);
	}
	return has_moved ? NODE_MOVED : 0;
}

/*
 * The first time of all a replica is taken at its word: a start must not wait
 * for as many rounds as one that was down.
 */
static unsigned take_answer(struct monitor_node *node,
			    const struct probe_report *report)
{
	unsigned needed = report->facts.is_primary || !node->was_up
				  ? 1
				  : node->limits.rise;
	unsigned changes = take_role(node, &report->facts);

	changes |= take_position(node, report);
	if (report->facts.is_limited && !node->is_limited)
		changes |= NODE_NEW_LIMIT;
	node->is_limited = report->facts.is_limited;
	node->answers++;
	node->is_doubtful = false;
	node->reason[0] = '\0';
	node->now.server_version = report->facts.version;
	node->now.probed_us = report->done_us;
	node->now.asked_us = report->sent_us;
	if (!node->now.is_up && node->answers >= needed) {
		node->now.is_up = true;
		node->now.up_since_us = report->done_us;
		node->was_up = true;
		changes |= NODE_CAME_UP;
	}
	if (node->now.is_up)
		node->failures = 0;
	return changes;
}

unsigned monitor_node_take(struct monitor_node *node,
			   const struct probe_report *report)
{
	unsigned changes = 0;

	switch (report->outcome) {
	case PROBE_ANSWERED: changes = take_answer(node, report); break;
	case PROBE_REFUSED: changes = take_refusal(node, report); break;
	case PROBE_FAILED: changes = take_failure(node, report); break;
	}
	node->outcome = report->outcome;
	return changes;
}

bool monitor_node_lose(struct monitor_node *node)
{
	if (!node->now.is_up || node->now.role != ROLE_REPLICA)
		return false;
	node->now.is_up = false;
	node->now.is_streaming = false;
	return true;
}

/*
 * While the primary is down nobody falls behind: lag is then counted up to its
 * last position.  A replica that does not receive is not called broken for
 * that, since it has nothing to receive.
 */
void monitor_node_measure(struct monitor_node *replica,
			  const struct monitor_node *source, uint64_t now_us)
{
	bool is_source_up =
		source && source->now.is_up && source->now.role == ROLE_PRIMARY;

	if (replica->now.role != ROLE_REPLICA)
		return;
	replica->now.is_streaming =
		replica->now.is_up && (replica->is_receiving || !is_source_up);
	replica->now.lag_us = 0;
	replica->now.lag_bytes = 0;
	replica->now.complete_us = 0;
	if (!source)
		return;
	replica->now.complete_us =
		staleness_since_us(&source->samples, replica->now.position);
	replica->now.lag_bytes = watermark_distance(replica->now.position,
						    source->samples.epoch);
	replica->now.lag_us = staleness_age(
		&source->samples, replica->now.position,
		is_source_up ? now_us : staleness_newest_us(&source->samples));
}

/*
 * The node of the same system that has been primary on the newest timeline; of
 * two such the one that is up.  That it is primary now does not matter: one
 * that is down is still what its replicas are measured by.
 */
bool monitor_node_is_source(const struct monitor_node *replica,
			    const struct monitor_node *other,
			    const struct monitor_node *best)
{
	const struct watermark *epoch = &other->samples.epoch;

	if (other == replica || other->samples.count == 0 ||
	    epoch->system != replica->now.position.system)
		return false;
	if (!best)
		return true;
	if (epoch->timeline != best->samples.epoch.timeline)
		return epoch->timeline > best->samples.epoch.timeline;
	return other->now.is_up && !best->now.is_up;
}

uint64_t monitor_node_delay_us(const struct monitor_node *node,
			       uint64_t interval_us)
{
	if (node->outcome != PROBE_FAILED || node->failures <= 1)
		return interval_us;
	return node->failures == 2 ? 2 * interval_us : 4 * interval_us;
}
