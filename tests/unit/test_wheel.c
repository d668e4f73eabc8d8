/*
 * Coarse timers under a clock of our own.
 */
#include "base/wheel.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 2000 };

struct alarm {
	struct wheel_timer timer;
	struct wheel *wheel;
	unsigned fired;
	uint64_t again_us;        /* sets itself for then, if not 0 */
	struct alarm *unset_this; /* when it fires */
	struct alarm *set_this;   /* for again_us of that one */
	bool frees_itself;
};

static unsigned total;

static void on_fire(struct wheel_timer *timer)
{
	struct alarm *alarm = LIST_ENTRY(timer, struct alarm, timer);

	assert_false(wheel_is_set(timer));
	total++;
	alarm->fired++;
	if (alarm->again_us)
		wheel_set(alarm->wheel, timer, alarm->again_us);
	if (alarm->unset_this)
		wheel_unset(&alarm->unset_this->timer);
	if (alarm->set_this)
		wheel_set(alarm->wheel, &alarm->set_this->timer,
			  alarm->set_this->again_us);
	if (alarm->frees_itself)
		free(alarm);
}

static void init(struct alarm *alarm, struct wheel *wheel)
{
	*alarm = (struct alarm){ .wheel = wheel };
	wheel_timer_init(&alarm->timer, on_fire);
}

static void test_fires_once_and_not_early(void **state)
{
	uint64_t now_us = 123456789;
	struct wheel wheel;
	struct alarm alarm;

	(void)state;
	wheel_init(&wheel, now_us);
	init(&alarm, &wheel);
	assert_false(wheel_is_set(&alarm.timer));
	wheel_set(&wheel, &alarm.timer, now_us + 200000);
	assert_true(wheel_is_set(&alarm.timer));
	wheel_advance(&wheel, now_us + 199999);
	assert_int_equal(alarm.fired, 0);
	wheel_advance(&wheel, now_us + 200000 + WHEEL_TICK_US);
	assert_int_equal(alarm.fired, 1);
	assert_false(wheel_is_set(&alarm.timer));
	wheel_advance(&wheel, now_us + 60000000);
	assert_int_equal(alarm.fired, 1);
}

static void test_past_moments_fire_at_the_next_tick(void **state)
{
	uint64_t now_us = 10 * WHEEL_TICK_US;
	struct wheel wheel;
	struct alarm alarm;

	(void)state;
	wheel_init(&wheel, now_us);
	init(&alarm, &wheel);
	wheel_set(&wheel, &alarm.timer, 0);
	wheel_advance(&wheel, now_us);
	assert_int_equal(alarm.fired, 0);
	wheel_advance(&wheel, now_us + WHEEL_TICK_US);
	assert_int_equal(alarm.fired, 1);
}

/* Further away than a turn of the wheel, and after the end of time. */
static void test_far_moments(void **state)
{
	const uint64_t turn_us = (uint64_t)WHEEL_TICK_US * WHEEL_SLOTS;
	struct wheel wheel;
	struct alarm far;
	struct alarm never;

	(void)state;
	wheel_init(&wheel, 0);
	init(&far, &wheel);
	init(&never, &wheel);
	wheel_set(&wheel, &far.timer, 3 * turn_us + WHEEL_TICK_US);
	wheel_set(&wheel, &never.timer, UINT64_MAX);
	for (uint64_t at = 0; at <= 3 * turn_us; at += WHEEL_TICK_US)
		wheel_advance(&wheel, at);
	assert_int_equal(far.fired, 0);
	wheel_advance(&wheel, 3 * turn_us + WHEEL_TICK_US);
	assert_int_equal(far.fired, 1);
	wheel_advance(&wheel, 10 * turn_us);
	assert_int_equal(never.fired, 0);
	wheel_unset(&never.timer);
}

static void test_setting_again_moves_it(void **state)
{
	struct wheel wheel;
	struct alarm alarm;

	(void)state;
	wheel_init(&wheel, 0);
	init(&alarm, &wheel);
	wheel_set(&wheel, &alarm.timer, 100000);
	wheel_set(&wheel, &alarm.timer, 500000);
	wheel_advance(&wheel, 450000);
	assert_int_equal(alarm.fired, 0);
	wheel_advance(&wheel, 500000);
	assert_int_equal(alarm.fired, 1);
	wheel_set(&wheel, &alarm.timer, 900000);
	wheel_unset(&alarm.timer);
	wheel_unset(&alarm.timer);
	wheel_advance(&wheel, 2000000);
	assert_int_equal(alarm.fired, 1);
}

static void test_functions_may_set_and_unset(void **state)
{
	struct wheel wheel;
	struct alarm first;
	struct alarm second;
	struct alarm third;
	struct alarm *gone = xmalloc(sizeof(*gone));

	(void)state;
	wheel_init(&wheel, 0);
	init(&first, &wheel);
	init(&second, &wheel);
	init(&third, &wheel);
	init(gone, &wheel);
	gone->frees_itself = true;
	first.unset_this = &second;
	first.set_this = &third;
	third.again_us = 400000;
	/* All in one slot: first takes second out and moves third. */
	wheel_set(&wheel, &first.timer, 100000);
	wheel_set(&wheel, &second.timer, 100000);
	wheel_set(&wheel, &third.timer, 100000);
	wheel_set(&wheel, &gone->timer, 100000);
	total = 0;
	wheel_advance(&wheel, 100000);
	assert_int_equal(total, 2);
	assert_int_equal(second.fired, 0);
	assert_int_equal(third.fired, 0);
	wheel_advance(&wheel, 400000);
	assert_int_equal(third.fired, 1);
	assert_true(wheel_is_set(&third.timer));
	/* Set for the past from inside: the next tick, not for ever. */
	wheel_advance(&wheel, 450000);
	assert_int_equal(third.fired, 2);
	wheel_unset(&third.timer);
}

/* After a long sleep everything due fires, and at once. */
static void test_long_sleep(void **state)
{
	struct alarm *alarms = xcalloc(MANY, sizeof(*alarms));
	struct wheel wheel;

	(void)state;
	wheel_init(&wheel, 0);
	total = 0;
	for (unsigned i = 0; i < MANY; i++) {
		init(&alarms[i], &wheel);
		wheel_set(&wheel, &alarms[i].timer, (uint64_t)i * 77777);
	}
	wheel_advance(&wheel, (uint64_t)MANY * 77777 + WHEEL_TICK_US);
	assert_int_equal(total, MANY);
	free(alarms);
}

/* Never early, never more than a tick late. */
static void test_lateness_is_a_tick(void **state)
{
	struct wheel wheel;
	struct alarm alarm;
	uint64_t now_us = 999;

	(void)state;
	srand(3);
	wheel_init(&wheel, now_us);
	init(&alarm, &wheel);
	for (int i = 0; i < 500; i++) {
		uint64_t due_us = now_us + (uint64_t)(rand() % 3000000);
		unsigned before = alarm.fired;

		wheel_set(&wheel, &alarm.timer, due_us);
		while (alarm.fired == before) {
			now_us += 1000;
			wheel_advance(&wheel, now_us);
		}
		assert_true(now_us >= due_us);
		assert_true(now_us <= due_us + WHEEL_TICK_US + 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_once_and_not_early),
		cmocka_unit_test(test_past_moments_fire_at_the_next_tick),
		cmocka_unit_test(test_far_moments),
		cmocka_unit_test(test_setting_again_moves_it),
		cmocka_unit_test(test_functions_may_set_and_unset),
		cmocka_unit_test(test_long_sleep),
		cmocka_unit_test(test_lateness_is_a_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
