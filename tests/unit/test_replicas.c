/*
 * Sharing reads: what a thousand reads look like under weights, slowness,
 * a cold start and a hang.
 */
#include "core/replicas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 3, READS = 12000 };

struct node {
	struct replicas_load load;
	unsigned weight; /* 0: not there */
	unsigned outstanding;
	unsigned warmth;
	unsigned reads;
};

static void price_all(struct node *nodes)
{
	uint32_t fastest = 0;
	unsigned heaviest = 0;

	for (int i = 0; i < COUNT; i++) {
		uint32_t own = nodes[i].load.response_us;

		if (nodes[i].weight == 0)
			continue;
		if (own > 0 && (fastest == 0 || own < fastest))
			fastest = own;
		if (nodes[i].weight > heaviest)
			heaviest = nodes[i].weight;
	}
	for (int i = 0; i < COUNT; i++)
		if (nodes[i].weight > 0)
			nodes[i].load.price = replicas_price(&(
				struct replicas_terms){
				.weight = nodes[i].weight,
				.heaviest = heaviest,
				.response_us = nodes[i].load.response_us,
				.fastest_us = fastest,
				.warmth = nodes[i].warmth ? nodes[i].warmth
							  : 1000,
			});
}

static uint64_t floor_of(const struct node *nodes, uint64_t before)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < COUNT; i++)
		if (nodes[i].weight > 0 && nodes[i].load.pass < least)
			least = nodes[i].load.pass;
	return least > before ? least : before;
}

static uint64_t play(struct node *nodes, unsigned reads, uint64_t floor)
{
	price_all(nodes);
	for (unsigned n = 0; n < reads; n++) {
		struct replicas_pick pick = REPLICAS_PICK_INIT;

		for (int i = 0; i < COUNT; i++)
			if (nodes[i].weight > 0)
				replicas_offer(
					&pick, i,
					replicas_key(&nodes[i].load, floor,
						     nodes[i].outstanding));
		assert_true(pick.index >= 0);
		replicas_charge(&nodes[pick.index].load, floor, REPLICAS_UNIT);
		nodes[pick.index].reads++;
		floor = floor_of(nodes, floor);
	}
	return floor;
}

static void assert_near(unsigned got, unsigned wanted, unsigned permille)
{
	unsigned slack = wanted * permille / 1000;

	assert_in_range(got, wanted - slack, wanted + slack);
}

static void test_equal(void **state)
{
	struct node nodes[COUNT] = { { .weight = 1 },
				     { .weight = 1 },
				     { .weight = 1 } };

	(void)state;
	(void)play(nodes, READS, 0);
	for (int i = 0; i < COUNT; i++)
		assert_near(nodes[i].reads, READS / 3, 5);
}

static void test_weights(void **state)
{
	struct node nodes[COUNT] = { { .weight = 1 },
				     { .weight = 3 },
				     { .weight = 2 } };

	(void)state;
	(void)play(nodes, READS, 0);
	assert_near(nodes[0].reads, READS / 6, 10);
	assert_near(nodes[1].reads, READS / 2, 10);
	assert_near(nodes[2].reads, READS / 3, 10);
}

/* 9 ms against 1 ms, with the millisecond that is noise: 1 to 5. */
static void test_slow(void **state)
{
	struct node nodes[COUNT] = {
		{ .weight = 1, .load.response_us = 1000 },
		{ .weight = 1, .load.response_us = 9000 },
		{ .weight = 0 },
	};

	(void)state;
	(void)play(nodes, READS, 0);
	assert_near(nodes[1].reads, READS / 6, 20);
	/* Sub-millisecond differences mean next to nothing. */
	nodes[0] = (struct node){ .weight = 1, .load.response_us = 100 };
	nodes[1] = (struct node){ .weight = 1, .load.response_us = 160 };
	(void)play(nodes, READS, 0);
	assert_near(nodes[1].reads, READS / 2, 80);
	/* However slow, it keeps an eighth: else nobody would see it heal. */
	nodes[0] = (struct node){ .weight = 1, .load.response_us = 100 };
	nodes[1] = (struct node){ .weight = 1, .load.response_us = 900000 };
	(void)play(nodes, READS, 0);
	assert_near(nodes[1].reads, READS / 9, 20);
}

static void test_hang(void **state)
{
	struct node nodes[COUNT] = { { .weight = 1, .outstanding = 20 },
				     { .weight = 1 },
				     { .weight = 1 } };

	(void)state;
	(void)play(nodes, 30, 0);
	assert_int_equal(nodes[0].reads, 0);
	assert_int_equal(nodes[1].reads, 15);
}

/* Who was away comes back as one of the others, not with all it has missed. */
static void test_return(void **state)
{
	struct node nodes[COUNT] = { { .weight = 1 },
				     { .weight = 1 },
				     { .weight = 0 } };
	uint64_t floor = play(nodes, READS, 0);

	(void)state;
	nodes[0].reads = nodes[1].reads = 0;
	nodes[2].weight = 1;
	(void)play(nodes, 30, floor);
	assert_in_range(nodes[2].reads, 9, 12);
	/* Cold, it gets a tenth of a share. */
	nodes[2].warmth = 100;
	nodes[0].reads = nodes[1].reads = nodes[2].reads = 0;
	(void)play(nodes, 2100, floor_of(nodes, floor));
	assert_near(nodes[2].reads, 100, 60);
}

static void test_warmth(void **state)
{
	(void)state;
	assert_int_equal(replicas_warmth(50, 50, 1000), 100);
	assert_int_equal(replicas_warmth(50, 550, 1000), 550);
	assert_int_equal(replicas_warmth(50, 1050, 1000), 1000);
	assert_int_equal(replicas_warmth(50, 9050, 1000), 1000);
	/* At once, and when clocks of two threads disagree. */
	assert_int_equal(replicas_warmth(50, 50, 0), 1000);
	assert_int_equal(replicas_warmth(50, 40, 1000), 100);
}

static void test_response(void **state)
{
	struct replicas_load load = { 0 };

	(void)state;
	replicas_answered(&load, 0);
	assert_int_equal(load.response_us, 1);
	for (int i = 0; i < 100; i++)
		replicas_answered(&load, 800);
	assert_in_range(load.response_us, 790, 810);
	/* One report of an hour is not what reads take here. */
	replicas_answered(&load, UINT64_MAX);
	assert_in_range(load.response_us, 2000, 2600);
	for (int i = 0; i < 100; i++)
		replicas_answered(&load, UINT64_MAX);
	assert_in_range(load.response_us, 990000, 1000000);
	for (int i = 0; i < 200; i++)
		replicas_answered(&load, 0);
	assert_in_range(load.response_us, 1, 20);
}

static void test_price(void **state)
{
	struct replicas_terms terms = { .weight = 1000,
					.heaviest = 1000,
					.warmth = 1000 };

	(void)state;
	assert_int_equal(replicas_price(&terms), REPLICAS_PRICE);
	terms.weight = 1;
	terms.warmth = 100;
	terms.response_us = UINT32_MAX;
	terms.fastest_us = 1;
	assert_int_equal(replicas_price(&terms),
			 REPLICAS_PRICE * 1000ULL * 10 * 8);
	/* Not known yet is no fault. */
	terms = (struct replicas_terms){
		.weight = 1, .heaviest = 1, .warmth = 1000, .fastest_us = 900
	};
	assert_int_equal(replicas_price(&terms), REPLICAS_PRICE);
}

static void test_shift(void **state)
{
	struct replicas_load own = { 0 };
	struct replicas_load other = { 0 };
	struct replicas_pick pick = REPLICAS_PICK_INIT;

	(void)state;
	assert_false(replicas_should_shift(&pick, UINT64_MAX));
	for (unsigned i = 0; i < REPLICAS_SHIFT; i++)
		replicas_charge(&own, 0, REPLICAS_UNIT);
	replicas_offer(&pick, 1, replicas_key(&other, 0, 0));
	assert_false(replicas_should_shift(&pick, replicas_key(&own, 0, 0)));
	replicas_charge(&own, 0, REPLICAS_UNIT);
	assert_true(replicas_should_shift(&pick, replicas_key(&own, 0, 0)));
	assert_false(replicas_should_shift(&pick, 0));
	/* The lead is bounded, so that the other one is not flooded later. */
	replicas_charge(&own, 0, UINT32_MAX);
	assert_int_equal(own.pass, (uint64_t)REPLICAS_LEAD * REPLICAS_PRICE);
}

/* Ahead by what one session settles for is no crowd yet. */
static void test_crowded(void **state)
{
	struct replicas_load own = { 0 };
	struct replicas_load other = { 0 };
	struct replicas_pick pick = REPLICAS_PICK_INIT;

	(void)state;
	assert_false(replicas_is_crowded(&pick, 0));
	replicas_charge(&other, 0, REPLICAS_SETTLE);
	replicas_offer(&pick, 1, replicas_key(&other, 0, 0));
	assert_false(replicas_is_crowded(&pick, replicas_key(&own, 0, 0)));
	replicas_charge(&other, 0, REPLICAS_UNIT);
	pick = REPLICAS_PICK_INIT;
	replicas_offer(&pick, 1, replicas_key(&other, 0, 0));
	assert_true(replicas_is_crowded(&pick, replicas_key(&own, 0, 0)));
	replicas_charge(&own, 0, REPLICAS_UNIT);
	assert_false(replicas_is_crowded(&pick, replicas_key(&own, 0, 0)));
	assert_false(replicas_is_crowded(&pick, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),    cmocka_unit_test(test_weights),
		cmocka_unit_test(test_slow),     cmocka_unit_test(test_hang),
		cmocka_unit_test(test_return),   cmocka_unit_test(test_warmth),
		cmocka_unit_test(test_response), cmocka_unit_test(test_price),
		cmocka_unit_test(test_shift),    cmocka_unit_test(test_crowded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
