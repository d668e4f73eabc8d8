/*
 * The primary of each line of [databases]: since when there is none, whether
 * two nodes claim to be it, whether one was left behind by a promotion.
 *
 * Decides nothing: which node gets the writes is core/topology's to say.
 * Judged by line, not over all nodes, since two lines may well be two
 * systems.  Each thing is said once, until it is over.  Main thread.
 */
#include "control/monitor_primary.h"

#include "base/log.h"
#include "base/util.h"
#include "core/config.h"
#include "core/metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct line {
	struct metrics_cell *cell; /* NULL without metrics */
	uint64_t missing_us;       /* without a primary since; 0: has one */
	bool was_there;            /* there was one, now or earlier */
	bool is_told;              /* the log says that there is none */
	bool has_two;
	bool has_left_behind;
};

struct monitor_primary {
	const struct config *config;
	unsigned count;
	struct line lines[];
};

static const struct line *find_line(const struct monitor_primary *primaries,
				    const char *name)
{
	for (unsigned i = 0; primaries && i < primaries->count; i++)
		if (strcmp(primaries->config->databases[i].name, name) == 0)
			return &primaries->lines[i];
	return NULL;
}

struct monitor_primary *monitor_primary_new(
	const struct config *config, struct metrics *metrics,
	const struct monitor_primary *before)
{
	unsigned count = config->database_count;
	struct monitor_primary *primaries =
		xcalloc(1, sizeof(*primaries) + count * sizeof(struct line));

	primaries->config = config_hold(config);
	primaries->count = count;
	for (unsigned i = 0; i < count; i++) {
		const char *name = config->databases[i].name;
		const struct line *was = find_line(before, name);

		if (was)
			primaries->lines[i] = *was;
		primaries->lines[i].cell =
			metrics ? metrics_open(metrics, METRICS_DATABASE,
					       &(struct metrics_labels){
						       .database = name })
				: NULL;
	}
	return primaries;
}

void monitor_primary_free(struct monitor_primary *primaries)
{
	if (!primaries)
		return;
	for (unsigned i = 0; i < primaries->count; i++)
		metrics_close(primaries->lines[i].cell);
	config_release(primaries->config);
	free(primaries);
}

/* ---- what the log says -------------------------------------------------- */

static void tell_missing(const struct config_database *line)
{
	log_warning("database %s: none of its nodes is a primary that can be "
		    "used, writes wait up to failover_timeout",
		    line->name);
}

static void tell_found(const struct config_database *line, const char *label,
		       uint64_t gap_us)
{
	log_warning("database %s: writes go to node %s, after %.2f s without "
		    "a primary",
		    line->name, label, (double)gap_us / 1e6);
}

/* first and second are nodes of the configuration, as is used or -1. */
static void tell_two(const struct config *config,
		     const struct config_database *line,
		     const struct topology *topology, const unsigned two[2],
		     int used)
{
	log_error("database %s: nodes %s and %s both say that they are "
		  "the primary (timelines %u and %u), writes go to %s; "
		  "stop the other one",
		  line->name, config->nodes[two[0]].label,
		  config->nodes[two[1]].label,
		  topology->nodes[two[0]].position.timeline,
		  topology->nodes[two[1]].position.timeline,
		  used < 0 ? "none" : config->nodes[used].label);
}

static void tell_left_behind(const struct config *config,
			     const struct config_database *line,
			     const struct topology *topology, unsigned node)
{
	log_error("database %s: node %s says that it is the primary, but on "
		  "timeline %u, which a promotion has left: it gets no "
		  "writes; stop it and make it a replica",
		  line->name, config->nodes[node].label,
		  topology->nodes[node].position.timeline);
}

/* ---- looking ------------------------------------------------------------ */

/* How many say that they are it, the first two of them, one left behind. */
struct claims {
	unsigned count;
	unsigned nodes[2];
	int left_behind; /* -1 none */
};

static struct claims find_claims(const struct config_database *line,
				 const struct topology *topology)
{
	struct claims claims = { .left_behind = -1 };

	for (unsigned i = 0; i < line->node_count; i++) {
		unsigned id = line->nodes[i];
		const struct topology_node *node = &topology->nodes[id];

		if (!node->is_up || node->role != ROLE_PRIMARY)
			continue;
		if (claims.count < 2)
			claims.nodes[claims.count] = id;
		claims.count++;
		if (topology_is_left_behind(topology, line->nodes,
					    line->node_count, id))
			claims.left_behind = (int)id;
	}
	return claims;
}

/* After a start the nodes have this long to answer before that is news. */
static const uint64_t start_us = 1000000;

static void say_missing(struct line *known, const struct config_database *line,
			uint64_t now_us)
{
	if (known->is_told ||
	    (!known->was_there && now_us - known->missing_us < start_us))
		return;
	known->is_told = true;
	tell_missing(line);
}

/* True when the primary has just gone. */
static bool look_for_primary(struct monitor_primary *primaries, unsigned index,
			     int used, uint64_t now_us)
{
	const struct config *config = primaries->config;
	const struct config_database *line = &config->databases[index];
	struct line *known = &primaries->lines[index];

	if (used < 0) {
		bool is_news = known->missing_us == 0;

		if (is_news)
			known->missing_us = now_us;
		say_missing(known, line, now_us);
		return is_news;
	}
	if (known->is_told)
		tell_found(line, config->nodes[used].label,
			   now_us - known->missing_us);
	known->missing_us = 0;
	known->is_told = false;
	known->was_there = true;
	return false;
}

static bool look_at_line(struct monitor_primary *primaries, unsigned index,
			 const struct topology *topology, uint64_t now_us)
{
	const struct config *config = primaries->config;
	const struct config_database *line = &config->databases[index];
	struct line *known = &primaries->lines[index];
	struct claims claims = find_claims(line, topology);
	int used = topology_primary(topology, line->nodes, line->node_count);
	bool has_gone = look_for_primary(primaries, index, used, now_us);

	if (claims.count > 1 && !known->has_two)
		tell_two(config, line, topology, claims.nodes, used);
	else if (claims.left_behind >= 0 && !known->has_left_behind)
		tell_left_behind(config, line, topology,
				 (unsigned)claims.left_behind);
	known->has_two = claims.count > 1;
	known->has_left_behind = claims.left_behind >= 0;
	if (known->cell)
		metrics_gauge_set(known->cell, GAUGE_PRIMARIES, 0, 0,
				  claims.count);
	return has_gone;
}

bool monitor_primary_look(struct monitor_primary *primaries,
			  const struct topology *topology, uint64_t now_us)
{
	bool has_gone = false;

	assert(topology->generation == primaries->config->generation);
	for (unsigned i = 0; i < primaries->count; i++)
		has_gone |= look_at_line(primaries, i, topology, now_us);
	return has_gone;
}

static bool has_node(const struct config_database *line, unsigned node)
{
	for (unsigned i = 0; i < line->node_count; i++)
		if (line->nodes[i] == node)
			return true;
	return false;
}

bool monitor_primary_is_sought(const struct monitor_primary *primaries,
			       unsigned node, uint64_t now_us)
{
	uint64_t limit_us = primaries->config->settings.failover_timeout_us;

	for (unsigned i = 0; i < primaries->count; i++) {
		uint64_t since_us = primaries->lines[i].missing_us;

		if (since_us != 0 &&
		    (limit_us == 0 || now_us - since_us < limit_us) &&
		    has_node(&primaries->config->databases[i], node))
			return true;
	}
	return false;
}
