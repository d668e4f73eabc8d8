/*
 * Objects of a database and what uses them, as a graph whose marks spread from
 * what is used to its users, until nothing changes.  A mark only gets worse,
 * so that this ends, circles included: after as many steps as there are uses,
 * a few times over.
 */
#include "control/catalog_graph.h"

#include "base/strmap.h"
#include "base/util.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct node;

/* Whom to tell; borrowed from the map. */
struct use {
	struct node *user;
};

/* next links what is still to be told. */
struct node {
	enum catalog_relation level;
	unsigned traits;
	struct use *users;
	size_t users_count;
	size_t users_room;
	struct node *next;
	bool is_waiting;
};

struct catalog_graph {
	struct strmap *nodes;
	struct node *waiting;
};

static void node_free(void *value)
{
	struct node *node = value;

	free(node->users);
	free(node);
}

struct catalog_graph *catalog_graph_new(void)
{
	struct catalog_graph *graph = xcalloc(1, sizeof(*graph));

	graph->nodes = strmap_new();
	return graph;
}

void catalog_graph_free(struct catalog_graph *graph)
{
	if (!graph)
		return;
	strmap_free(graph->nodes, node_free);
	free(graph);
}

static struct node *node_of(struct catalog_graph *graph, const char *name)
{
	struct node *node = strmap_get(graph->nodes, name);

	if (!node) {
		node = xcalloc(1, sizeof(*node));
		(void)strmap_put(graph->nodes, name, node);
	}
	return node;
}

/* True when that made it worse. */
static bool worsen(struct node *node, enum catalog_relation level,
		   unsigned traits)
{
	bool is_worse = level > node->level || (traits & ~node->traits) != 0;

	if (level > node->level)
		node->level = level;
	node->traits |= traits;
	return is_worse;
}

static void wait(struct catalog_graph *graph, struct node *node)
{
	if (node->is_waiting)
		return;
	node->is_waiting = true;
	node->next = graph->waiting;
	graph->waiting = node;
}

void catalog_graph_mark(struct catalog_graph *graph, const char *name,
			enum catalog_relation level, unsigned traits)
{
	(void)worsen(node_of(graph, name), level, traits);
}

void catalog_graph_add_use(struct catalog_graph *graph, const char *above,
			   const char *below)
{
	struct node *node = node_of(graph, below);

	if (node->users_count == node->users_room) {
		node->users_room = node->users_room ? node->users_room * 2 : 4;
		node->users = xrealloc(node->users,
				       node->users_room * sizeof(*node->users));
	}
	node->users[node->users_count++].user = node_of(graph, above);
}

static void tell_users(struct catalog_graph *graph, const struct node *node)
{
	for (size_t i = 0; i < node->users_count; i++)
		if (worsen(node->users[i].user, node->level, node->traits))
			wait(graph, node->users[i].user);
}

void catalog_graph_settle(struct catalog_graph *graph)
{
	struct node *node;
	void *value;
	size_t at = 0;

	while (strmap_next(graph->nodes, &at, NULL, &value)) {
		node = value;
		if (node->level != RELATION_PLAIN || node->traits != 0)
			wait(graph, node);
	}
	while ((node = graph->waiting) != NULL) {
		assert(node->is_waiting);
		graph->waiting = node->next;
		node->is_waiting = false;
		tell_users(graph, node);
	}
}

enum catalog_relation catalog_graph_level(const struct catalog_graph *graph,
					  const char *name)
{
	const struct node *node = strmap_get(graph->nodes, name);

	return node ? node->level : RELATION_PLAIN;
}

unsigned catalog_graph_traits(const struct catalog_graph *graph,
			      const char *name)
{
	const struct node *node = strmap_get(graph->nodes, name);

	return node ? node->traits : 0;
}
