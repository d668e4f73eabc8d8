/*
 * Snapshots of the nodes: who is primary, who may serve reads.
 */
#include "core/topology.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { LAG_US = 1000000 };

static void set(struct topology *topology, unsigned i, enum topology_role role,
		uint32_t timeline)
{
	topology->nodes[i] = (struct topology_node){
		.role = role,
		.is_up = true,
		.is_streaming = role == ROLE_REPLICA,
		.position = { 7, timeline, 100 },
		.probed_us = 1,
	};
}

static void test_nobody_answered(void **state)
{
	struct topology *topology = topology_new(3, 3);
	const unsigned list[] = { 2, 1 };

	(void)state;
	assert_int_equal(topology->generation, 3);
	assert_int_equal(topology->count, 3);
	assert_int_equal(topology->nodes[2].role, ROLE_UNKNOWN);
	/* The first of the list is tried until something is known. */
	assert_int_equal(topology_primary(topology, list, 2), 2);
	assert_int_equal(topology_primary(topology, list, 0), -1);
	assert_false(topology_can_read(topology, 2, 2, LAG_US));
	topology_release(topology);
}

static void test_all_down(void **state)
{
	struct topology *topology = topology_new(1, 2);
	const unsigned list[] = { 0, 1 };

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 1);
	topology->nodes[0].is_up = false;
	assert_int_equal(topology_primary(topology, list, 2), -1);
	topology_release(topology);
}

static void test_higher_timeline_wins(void **state)
{
	struct topology *topology = topology_new(1, 4);
	const unsigned list[] = { 0, 1, 2, 3 };
	const unsigned old_only[] = { 0 };

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 1);
	set(topology, 1, ROLE_REPLICA, 2);
	set(topology, 2, ROLE_PRIMARY, 2);
	set(topology, 3, ROLE_PRIMARY, 2);
	assert_int_equal(topology_primary(topology, list, 4), 2);
	assert_int_equal(topology_primary(topology, old_only, 1), 0);
	topology->nodes[2].is_up = false;
	assert_int_equal(topology_primary(topology, list, 4), 3);
	topology_release(topology);
}

/* The new primary is away, or a replica follows it: the old one is none. */
static void test_left_behind(void **state)
{
	struct topology *topology = topology_new(1, 3);
	const unsigned list[] = { 0, 1, 2, 7 };

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 1);
	set(topology, 1, ROLE_PRIMARY, 2);
	set(topology, 2, ROLE_REPLICA, 1);
	assert_true(topology_is_left_behind(topology, list, 4, 0));
	assert_false(topology_is_left_behind(topology, list, 4, 1));
	assert_false(topology_is_left_behind(topology, list, 4, 2));
	assert_false(topology_is_left_behind(topology, list, 4, 7));
	topology->nodes[1].is_up = false;
	assert_int_equal(topology_primary(topology, list, 4), -1);
	/* Another line knows nothing of it. */
	assert_int_equal(topology_primary(topology, list, 1), 0);
	set(topology, 1, ROLE_REPLICA, 1);
	assert_int_equal(topology_primary(topology, list, 4), 0);
	set(topology, 2, ROLE_REPLICA, 2);
	assert_int_equal(topology_primary(topology, list, 4), -1);
	/* Another system's timelines say nothing. */
	topology->nodes[2].position.system = 8;
	assert_int_equal(topology_primary(topology, list, 4), 0);
	topology_release(topology);
}

/* On one timeline, or of two systems, the one that has it stays. */
static void test_the_elder_stays(void **state)
{
	struct topology *topology = topology_new(1, 2);
	const unsigned list[] = { 0, 1 };

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 1);
	set(topology, 1, ROLE_PRIMARY, 1);
	topology->nodes[0].primary_since_us = 200;
	topology->nodes[1].primary_since_us = 100;
	assert_int_equal(topology_primary(topology, list, 2), 1);
	topology->nodes[0].position.system = 8;
	topology->nodes[0].position.timeline = 5;
	assert_int_equal(topology_primary(topology, list, 2), 1);
	topology->nodes[1].is_up = false;
	assert_int_equal(topology_primary(topology, list, 2), 0);
	topology_release(topology);
}

static void test_out_of_range(void **state)
{
	struct topology *topology = topology_new(1, 1);
	const unsigned list[] = { 5, 0 };
	const unsigned beyond[] = { 5 };

	(void)state;
	assert_int_equal(topology_primary(topology, beyond, 1), -1);
	set(topology, 0, ROLE_PRIMARY, 1);
	assert_int_equal(topology_primary(topology, list, 2), 0);
	assert_false(topology_can_read(topology, 5, 0, LAG_US));
	topology_release(topology);
}

static void test_can_read(void **state)
{
	struct topology *topology = topology_new(1, 2);
	struct topology_node *replica = &topology->nodes[1];

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 1);
	set(topology, 1, ROLE_REPLICA, 1);
	assert_true(topology_can_read(topology, 1, 0, LAG_US));
	assert_false(topology_can_read(topology, 0, 0, LAG_US));

	replica->lag_us = LAG_US;
	assert_true(topology_can_read(topology, 1, 0, LAG_US));
	replica->lag_us = LAG_US + 1;
	assert_false(topology_can_read(topology, 1, 0, LAG_US));
	replica->lag_us = 0;

	replica->is_streaming = false;
	assert_false(topology_can_read(topology, 1, 0, LAG_US));
	replica->is_streaming = true;

	replica->is_up = false;
	assert_false(topology_can_read(topology, 1, 0, LAG_US));
	topology_release(topology);
}

static void test_can_read_epochs(void **state)
{
	struct topology *topology = topology_new(1, 2);

	(void)state;
	set(topology, 0, ROLE_PRIMARY, 2);
	set(topology, 1, ROLE_REPLICA, 1);
	assert_false(topology_can_read(topology, 1, 0, LAG_US));
	/* No primary known: the replicas go on serving reads. */
	assert_true(topology_can_read(topology, 1, -1, LAG_US));
	assert_true(topology_can_read(topology, 1, 9, LAG_US));
	topology->nodes[0].position.system = 0;
	assert_true(topology_can_read(topology, 1, 0, LAG_US));
	topology->nodes[0].position.system = 8;
	topology->nodes[1].position.timeline = 2;
	assert_false(topology_can_read(topology, 1, 0, LAG_US));
	topology_release(topology);
}

static void *hold_and_release(void *arg)
{
	struct topology *topology = arg;

	for (int i = 0; i < 10000; i++) {
		struct topology *held = topology_hold(topology);

		assert_ptr_equal(held, topology);
		topology_release(held);
	}
	return NULL;
}

/* The sanitizers see a count that is lost or dropped once too often. */
static void test_references(void **state)
{
	struct topology *topology = topology_new(1, 1);
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						hold_and_release, topology),
				 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(topology->count, 1);
	topology_release(topology);
	topology_release(NULL);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(topology_role_name(ROLE_PRIMARY), "primary");
	assert_string_equal(topology_role_name(ROLE_REPLICA), "replica");
	assert_string_equal(topology_role_name(ROLE_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_answered),
		cmocka_unit_test(test_all_down),
		cmocka_unit_test(test_higher_timeline_wins),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_the_elder_stays),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_can_read),
		cmocka_unit_test(test_can_read_epochs),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
