/*
 * What uses what, and what that makes of it.
 */
#include "control/catalog_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_a_chain(void **state)
{
	struct catalog_graph *graph = catalog_graph_new();

	(void)state;
	catalog_graph_add_use(graph, "a", "b");
	catalog_graph_add_use(graph, "b", "c");
	catalog_graph_add_use(graph, "x", "a");
	catalog_graph_mark(graph, "c", RELATION_PRIMARY, TRAIT_LEAVES);
	catalog_graph_mark(graph, "b", RELATION_PLAIN, TRAIT_TIME);
	assert_int_equal(catalog_graph_level(graph, "a"), RELATION_PLAIN);
	catalog_graph_settle(graph);
	assert_int_equal(catalog_graph_level(graph, "x"), RELATION_PRIMARY);
	assert_int_equal(catalog_graph_traits(graph, "x"),
			 TRAIT_LEAVES | TRAIT_TIME);
	assert_int_equal(catalog_graph_traits(graph, "c"), TRAIT_LEAVES);
	catalog_graph_free(graph);
}

/* Nothing goes down, and what nobody knows is plain. */
static void test_only_upwards(void **state)
{
	struct catalog_graph *graph = catalog_graph_new();

	(void)state;
	catalog_graph_add_use(graph, "above", "below");
	catalog_graph_mark(graph, "above", RELATION_NODE_LOCAL, TRAIT_TIME);
	catalog_graph_settle(graph);
	assert_int_equal(catalog_graph_level(graph, "below"), RELATION_PLAIN);
	assert_int_equal(catalog_graph_traits(graph, "below"), 0);
	assert_int_equal(catalog_graph_level(graph, "nobody"), RELATION_PLAIN);
	assert_int_equal(catalog_graph_traits(graph, "nobody"), 0);
	catalog_graph_free(graph);
	catalog_graph_free(NULL);
}

static void test_the_worst_counts(void **state)
{
	struct catalog_graph *graph = catalog_graph_new();

	(void)state;
	catalog_graph_add_use(graph, "v", "one");
	catalog_graph_add_use(graph, "v", "two");
	catalog_graph_mark(graph, "one", RELATION_NODE_LOCAL, 0);
	catalog_graph_mark(graph, "one", RELATION_SYSTEM, 0);
	catalog_graph_mark(graph, "two", RELATION_PRIMARY, 0);
	catalog_graph_settle(graph);
	assert_int_equal(catalog_graph_level(graph, "v"), RELATION_NODE_LOCAL);
	assert_int_equal(catalog_graph_level(graph, "two"), RELATION_PRIMARY);
	catalog_graph_free(graph);
}

/* Functions call each other, and themselves. */
static void test_circles(void **state)
{
	struct catalog_graph *graph = catalog_graph_new();

	(void)state;
	catalog_graph_add_use(graph, "a", "b");
	catalog_graph_add_use(graph, "b", "a");
	catalog_graph_add_use(graph, "b", "b");
	catalog_graph_add_use(graph, "c", "d");
	catalog_graph_add_use(graph, "d", "c");
	catalog_graph_add_use(graph, "b", "bad");
	catalog_graph_add_use(graph, "b", "bad");
	catalog_graph_mark(graph, "bad", RELATION_MISSING, 0);
	catalog_graph_settle(graph);
	assert_int_equal(catalog_graph_level(graph, "a"), RELATION_MISSING);
	assert_int_equal(catalog_graph_level(graph, "c"), RELATION_PLAIN);
	catalog_graph_free(graph);
}

static void test_many(void **state)
{
	enum { MANY = 5000 };
	struct catalog_graph *graph = catalog_graph_new();
	char above[16];
	char below[16];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(above, sizeof(above), "%d", i + 1);
		(void)snprintf(below, sizeof(below), "%d", i);
		catalog_graph_add_use(graph, above, below);
		catalog_graph_add_use(graph, "all", below);
		catalog_graph_add_use(graph, below, "none");
	}
	catalog_graph_mark(graph, "0", RELATION_PRIMARY, 0);
	catalog_graph_settle(graph);
	assert_int_equal(catalog_graph_level(graph, above), RELATION_PRIMARY);
	assert_int_equal(catalog_graph_level(graph, "all"), RELATION_PRIMARY);
	assert_int_equal(catalog_graph_level(graph, "none"), RELATION_PLAIN);
	catalog_graph_free(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain),
		cmocka_unit_test(test_only_upwards),
		cmocka_unit_test(test_the_worst_counts),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
