#ifndef PGWEIR_CONTROL_CATALOG_GRAPH_H
#define PGWEIR_CONTROL_CATALOG_GRAPH_H

/*
 * What uses what in one database, and how bad that makes it: a view is as bad
 * as the functions that it calls, a function as the views that it reads.
 * Objects have names of the caller's choice.  Main thread.
 */
#include "core/sqlfacts.h"

struct catalog_graph;

/* What else is handed on to whoever uses an object. */
enum catalog_trait {
	TRAIT_TIME = 1 << 0,  /* shows when the transaction began */
	TRAIT_LEAVES = 1 << 1 /* may leave something in the session */
};

struct catalog_graph *catalog_graph_new(void);
void catalog_graph_free(struct catalog_graph *graph);

/*
 * What an object is by itself: how it can be read, and its traits (bits of
 * enum catalog_trait).  Of several marks the worst counts.
 */
void catalog_graph_mark(struct catalog_graph *graph, const char *name,
			enum catalog_relation level, unsigned traits);

/* above uses below. */
void catalog_graph_add_use(struct catalog_graph *graph, const char *above,
			   const char *below);

/* Hands everything on, at any depth and round any circle; once, at the end. */
void catalog_graph_settle(struct catalog_graph *graph);

/* What became of an object; of a strange one nothing is known against it. */
enum catalog_relation catalog_graph_level(const struct catalog_graph *graph,
					  const char *name);
unsigned catalog_graph_traits(const struct catalog_graph *graph,
			      const char *name);

#endif
