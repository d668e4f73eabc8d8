/*
 * What is known of the nodes, immutable once it is posted.  The one who
 * fills a fresh snapshot does so before anyone else can see it; after that
 * only the reference count changes, and that is atomic.
 *
 * Unknown counts as unfit: a node serves reads only when every fact that
 * makes it fit has been seen.
 */
#include "core/topology.h"

#include "base/util.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* The count stands before the snapshot that the readers see. */
struct counted {
	atomic_uint references;
	struct topology topology;
};

static struct counted *counted_of(const struct topology *topology)
{
	return (struct counted *)(void *)((char *)(void *)topology -
					  offsetof(struct counted, topology));
}

struct topology *topology_new(uint64_t generation, unsigned count)
{
	struct counted *counted = xcalloc(
		1, sizeof(*counted) + count * sizeof(struct topology_node));

	atomic_init(&counted->references, 1);
	counted->topology.generation = generation;
	counted->topology.count = count;
	return &counted->topology;
}

struct topology *topology_hold(const struct topology *topology)
{
	struct counted *counted = counted_of(topology);

	(void)atomic_fetch_add_explicit(&counted->references, 1,
					memory_order_relaxed);
	return &counted->topology;
}

void topology_release(const struct topology *topology)
{
	struct counted *counted;
	unsigned before;

	if (!topology)
		return;
	counted = counted_of(topology);
	before = atomic_fetch_sub_explicit(&counted->references, 1,
					   memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		free(counted);
}

static bool is_primary(const struct topology_node *node)
{
	return node->is_up && node->role == ROLE_PRIMARY;
}

/*
 * Nodes that are down count as well: while the new primary is away the old
 * one, started again by mistake, must not get the writes.
 */
bool topology_is_left_behind(const struct topology *topology,
			     const unsigned *nodes, unsigned count,
			     unsigned node)
{
	const struct watermark *own;

	if (node >= topology->count || !is_primary(&topology->nodes[node]))
		return false;
	own = &topology->nodes[node].position;
	for (unsigned i = 0; i < count; i++) {
		const struct watermark *other;

		if (nodes[i] >= topology->count)
			continue;
		other = &topology->nodes[nodes[i]].position;
		if (other->system == own->system &&
		    other->timeline > own->timeline)
			return true;
	}
	return false;
}

/*
 * Of two that claim to be primary, on one timeline or of two systems, the one
 * that was it before: what runs there is not moved.
 */
static bool is_better_primary(const struct topology_node *node,
			      const struct topology_node *best)
{
	return !best || node->primary_since_us < best->primary_since_us;
}

int topology_primary(const struct topology *topology, const unsigned *nodes,
		     unsigned count)
{
	const struct topology_node *best = NULL;
	bool has_answered = false;
	int primary = -1;

	for (unsigned i = 0; i < count; i++) {
		const struct topology_node *node;

		if (nodes[i] >= topology->count)
			continue;
		node = &topology->nodes[nodes[i]];
		has_answered |= node->probed_us != 0;
		if (is_primary(node) && is_better_primary(node, best) &&
		    !topology_is_left_behind(topology, nodes, count,
					     nodes[i])) {
			best = node;
			primary = (int)nodes[i];
		}
	}
	if (primary < 0 && count > 0 && !has_answered &&
	    nodes[0] < topology->count)
		primary = (int)nodes[0];
	return primary;
}

bool topology_can_read(const struct topology *topology, unsigned node,
		       int primary, uint64_t max_lag_us)
{
	const struct topology_node *replica;
	const struct topology_node *source;

	if (node >= topology->count)
		return false;
	replica = &topology->nodes[node];
	if (!replica->is_up || replica->role != ROLE_REPLICA ||
	    !replica->is_streaming || replica->lag_us > max_lag_us)
		return false;
	if (primary < 0 || (unsigned)primary >= topology->count)
		return true;
	source = &topology->nodes[primary];
	return source->position.system == 0 ||
	       watermark_same_epoch(replica->position, source->position);
}

const char *topology_role_name(enum topology_role role)
{
	switch (role) {
	case ROLE_PRIMARY: return "primary";
	case ROLE_REPLICA: return "replica";
	case ROLE_UNKNOWN: break;
	}
	return "unknown";
}
