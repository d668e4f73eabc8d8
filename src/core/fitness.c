/*
 * Facts of a node, in the order in which they matter to whoever asks why it
 * gets no reads.  Pure.
 */
#include "core/fitness.h"

#include <stddef.h>

static enum fitness without_primary(const struct topology_node *node,
				    uint64_t max_lag_us)
{
	if (!node->is_up)
		return node->probed_us == 0 ? FITNESS_UNSEEN : FITNESS_DOWN;
	if (node->role == ROLE_PRIMARY)
		return FITNESS_PRIMARY;
	if (node->role != ROLE_REPLICA)
		return FITNESS_NO_ROLE;
	if (!node->is_streaming)
		return FITNESS_NOT_STREAMING;
	return node->lag_us > max_lag_us ? FITNESS_LAGGING : FITNESS_OK;
}

enum fitness fitness_of(const struct topology *topology, unsigned node,
			int primary, uint64_t max_lag_us)
{
	enum fitness fitness;

	if (!topology || node >= topology->count)
		return FITNESS_UNSEEN;
	fitness = without_primary(&topology->nodes[node], max_lag_us);
	if (fitness == FITNESS_OK &&
	    !topology_can_read(topology, node, primary, max_lag_us))
		return FITNESS_OTHER_TIMELINE;
	return fitness;
}

const char *fitness_name(enum fitness fitness)
{
	static const char *const names[] = {
#define FITNESS_NAME(id, name) name,
		FITNESS_LIST(FITNESS_NAME)
#undef FITNESS_NAME
	};

	return (unsigned)fitness < sizeof(names) / sizeof(*names)
		       ? names[fitness]
		       : "?";
}
