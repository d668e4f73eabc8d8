/*
 * Each word has its cause, and "ok" is what routing takes for fit.
 */
#include "core/fitness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_US = 1000 };

static const struct topology_node fit = {
	.role = ROLE_REPLICA,
	.is_up = true,
	.is_streaming = true,
	.lag_us = MAX_US,
	.position = { 7, 2, 100 },
	.probed_us = 5,
};

static struct topology *pair(struct topology_node replica)
{
	struct topology *topology = topology_new(1, 2);

	topology->nodes[0] = (struct topology_node){
		.role = ROLE_PRIMARY,
		.is_up = true,
		.position = { 7, 2, 100 },
		.probed_us = 5,
	};
	topology->nodes[1] = replica;
	return topology;
}

static void expect(struct topology_node replica, const char *name)
{
	struct topology *topology = pair(replica);
	enum fitness fitness = fitness_of(topology, 1, 0, MAX_US);

	assert_string_equal(fitness_name(fitness), name);
	assert_int_equal(fitness == FITNESS_OK,
			 topology_can_read(topology, 1, 0, MAX_US));
	topology_release(topology);
}

static void test_words(void **state)
{
	struct topology_node node = fit;

	(void)state;
	expect(fit, "ok");
	node.lag_us++;
	expect(node, "lagging");
	node.is_streaming = false;
	expect(node, "not streaming");
	node.role = ROLE_UNKNOWN;
	expect(node, "of unknown role");
	node.role = ROLE_PRIMARY;
	expect(node, "primary");
	node.is_up = false;
	expect(node, "down");
	node.probed_us = 0;
	expect(node, "not reached yet");
	node = fit;
	node.position.timeline = 1;
	expect(node, "on another timeline");
}

static void test_nothing_known(void **state)
{
	struct topology *topology = pair(fit);

	(void)state;
	assert_int_equal(fitness_of(NULL, 0, 0, MAX_US), FITNESS_UNSEEN);
	assert_int_equal(fitness_of(topology, 2, 0, MAX_US), FITNESS_UNSEEN);
	/* Without a primary any timeline will do. */
	assert_int_equal(fitness_of(topology, 1, -1, MAX_US), FITNESS_OK);
	assert_string_equal(fitness_name((enum fitness)99), "?");
	topology_release(topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_nothing_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
