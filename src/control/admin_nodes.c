/*
 * SHOW NODES.
 *
 * What the monitor knows is the same for all workers, so the one that
 * answers tells it.  What is under way, how long reads take and how many
 * there were each worker knows for its own pools: the job goes round and
 * adds up.  Nodes are told apart by their number in the configuration; a
 * worker that has another one already, or still, is left out.
 */
#include "control/admin_nodes.h"

#include "base/util.h"
#include "control/admin_job.h"
#include "control/admin_show.h"
#include "core/config.h"
#include "core/fitness.h"
#include "core/topology.h"
#include "proxy/local.h"
#include "proxy/pool.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* --- gathering -------------------------------------------------------------
 */

struct labour {
	uint64_t generation; /* of the configuration */
	unsigned count;
	struct pool_work nodes[];
};

static struct labour *labour_of(struct admin_job *job)
{
	const struct config *config = local_config(job->local);
	struct labour *labour = job->gathered;

	if (labour)
		return labour;
	labour = xcalloc(1, sizeof(*labour) + config->node_count *
						      sizeof(struct pool_work));
	labour->generation = config->generation;
	labour->count = config->node_count;
	job->gathered = labour;
	job->drop = free;
	return labour;
}

static void add_pool(void *arg, const struct pool *pool)
{
	const struct config_database *line = pool_config(pool);
	struct labour *labour = arg;

	for (unsigned i = 0; line && i < pool_node_count(pool); i++)
		if (line->nodes[i] < labour->count)
			pool_node_add_work(pool_node_at(pool, i),
					   &labour->nodes[line->nodes[i]]);
}

void admin_gather_nodes(struct admin_job *job)
{
	struct labour *labour = labour_of(job);

	if (local_config(job->local)->generation == labour->generation)
		pools_visit(job->local, add_pool, labour);
}

/* --- showing ---------------------------------------------------------------
 */

/* Timeline and LSN as PostgreSQL writes it; NULL while unknown. */
static void put_position(struct admin_job *job, struct watermark position)
{
	char text[32];

	if (position.system == 0) {
		admin_put_text(job, NULL);
		admin_put_text(job, NULL);
		return;
	}
	admin_put_number(job, position.timeline);
	(void)snprintf(text, sizeof(text), "%X/%X",
		       (unsigned)(position.lsn >> 32), (unsigned)position.lsn);
	admin_put_text(job, text);
}

/* 150018 is 15.18. */
static void put_server_version(struct admin_job *job, uint32_t version)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%u.%u", version / 10000,
		       version % 10000);
	admin_put_text(job, version > 0 ? text : NULL);
}

/* What the lines that have the node say; NULL when they do not agree. */
static const struct config_share *share_of(const struct config *config,
					   unsigned node)
{
	static const struct config_share usual = { .weight = 1 };
	const struct config_share *found = NULL;

	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];

		for (unsigned j = 0; j < line->node_count; j++) {
			const struct config_share *share = &line->shares[j];

			if (line->nodes[j] != node)
				continue;
			if (found && (found->weight != share->weight ||
				      found->is_backup != share->is_backup))
				return NULL;
			found = share;
		}
	}
	return found ? found : &usual;
}

static void put_share(struct admin_job *job, unsigned index)
{
	const struct config_share *share =
		share_of(local_config(job->local), index);

	if (!share) {
		admin_put_text(job, "by database");
		admin_put_text(job, "by database");
		return;
	}
	admin_put_number(job, share->weight);
	admin_put_text(job, share->is_backup ? "yes" : "no");
}

/* Towards the primary of the first line that has the node. */
static int primary_for(const struct local *local, unsigned node)
{
	const struct config *config = local_config(local);

	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];

		for (unsigned j = 0; j < line->node_count; j++)
			if (line->nodes[j] == node)
				return topology_primary(local->topology,
							line->nodes,
							line->node_count);
	}
	return -1;
}

static enum fitness state_of(const struct local *local, unsigned node)
{
	if (!local->topology)
		return FITNESS_UNSEEN;
	return fitness_of(local->topology, node, primary_for(local, node),
			  local_settings(local)->max_replica_lag_us);
}

static void put_ms(struct admin_job *job, uint64_t us)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.3f", (double)us / 1000);
	admin_put_text(job, text);
}

/* What the monitor last told this worker of a node. */
static void put_seen(struct admin_job *job, unsigned index,
		     const struct topology_node *seen)
{
	const struct config_node *node =
		&local_config(job->local)->nodes[index];
	char address[INET6_ADDRSTRLEN + sizeof(struct sockaddr_un)];

	admin_format_address(&job->local->addresses[index], address,
			     sizeof(address));
	admin_put_text(job, node->label);
	admin_put_text(job, node->host);
	admin_put_number(job, node->port);
	admin_put_text(job, address);
	admin_put_text(job, topology_role_name(seen->role));
	admin_put_text(job, seen->is_up ? "yes" : "no");
	admin_put_text(job, seen->is_streaming ? "yes" : "no");
	admin_put_number(job, (int64_t)seen->lag_us);
	admin_put_number(job, (int64_t)seen->lag_bytes);
	put_position(job, seen->position);
	put_server_version(job, seen->server_version);
	admin_put_time(job, seen->probed_us);
}

static void put_node(struct admin_job *job, unsigned index,
		     const struct pool_work *work)
{
	static const struct topology_node unknown;
	const struct topology *topology = job->local->topology;
	const struct topology_node *seen =
		topology ? &topology->nodes[index] : &unknown;

	admin_row_begin(job);
	put_seen(job, index, seen);
	admin_put_text(job, fitness_name(state_of(job->local, index)));
	put_ms(job, seen->lag_us);
	put_share(job, index);
	admin_put_number(job, work->outstanding);
	admin_put_number(job, work->timed > 0 ? (int64_t)(work->response_us /
							  work->timed)
					      : 0);
	admin_put_number(job, (int64_t)work->reads);
	admin_row_end(job);
}

void admin_show_nodes(struct admin_job *job)
{
	static const struct pool_work none;
	const struct config *config = local_config(job->local);
	const struct labour *labour = job->gathered;
	bool is_same = labour && labour->generation == config->generation;

	for (unsigned i = 0; i < config->node_count; i++)
		put_node(job, i, is_same ? &labour->nodes[i] : &none);
}
