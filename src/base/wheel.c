/*
 * Coarse timers.  Slot s holds every timer whose tick is s modulo the number
 * of slots; one that is further away than a full turn is simply passed over
 * until its turn comes.
 *
 * While a slot is being fired its timers stand in a private list, so that a
 * timer set from inside waits for the next tick, and one that is unset by
 * another's function just disappears from it.
 */
#include "base/wheel.h"

#include <assert.h>

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		list_init(&wheel->slots[i]);
	wheel->tick = now_us / WHEEL_TICK_US;
}

void wheel_timer_init(struct wheel_timer *timer,
		      void (*fire)(struct wheel_timer *timer))
{
	list_init(&timer->link);
	timer->due_us = 0;
	timer->fire = fire;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_us)
{
	uint64_t tick = (due_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;

	assert(timer->fire != NULL);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	timer->due_us = due_us;
	list_remove(&timer->link);
	list_append(&wheel->slots[tick % WHEEL_SLOTS], &timer->link);
}

void wheel_unset(struct wheel_timer *timer)
{
	list_remove(&timer->link);
}

static void fire_slot(struct list *slot, uint64_t now_us)
{
	struct list due;
	struct list *link;

	list_init(&due);
	LIST_FOREACH_SAFE (member, slot) {
		struct wheel_timer *timer =
			LIST_ENTRY(member, struct wheel_timer, link);

		if (timer->due_us > now_us)
			continue;
		list_remove(member);
		list_append(&due, member);
	}
	while ((link = list_first(&due)) != NULL) {
		list_remove(link);
		LIST_ENTRY(link, struct wheel_timer, link)
			->fire(LIST_ENTRY(link, struct wheel_timer, link));
	}
}

void wheel_advance(struct wheel *wheel, uint64_t now_us)
{
	uint64_t tick = now_us / WHEEL_TICK_US;

	/* After a long sleep one full turn visits every slot. */
	if (tick > wheel->tick + WHEEL_SLOTS)
		wheel->tick = tick - WHEEL_SLOTS;
	while (wheel->tick < tick) {
		wheel->tick++;
		fire_slot(&wheel->slots[wheel->tick % WHEEL_SLOTS], now_us);
	}
}
