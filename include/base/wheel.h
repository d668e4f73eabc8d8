#ifndef PGWEIR_BASE_WHEEL_H
#define PGWEIR_BASE_WHEEL_H

/*
 * A timing wheel: thousands of coarse time limits, each set and dropped in
 * constant time and without a system call.  A limit fires at the first
 * wheel_advance() at or after its moment, up to one WHEEL_TICK_US late.  One
 * thread.
 */
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_TICK_US = 50000, WHEEL_SLOTS = 512 };

struct wheel_timer {
	struct list link;
	uint64_t due_us;
	void (*fire)(struct wheel_timer *timer);
};

struct wheel {
	struct list slots[WHEEL_SLOTS];
	uint64_t tick;
};

void wheel_init(struct wheel *wheel, uint64_t now_us);

/* Prepares a timer; fire runs inside wheel_advance, the timer unset. */
void wheel_timer_init(struct wheel_timer *timer,
		      void (*fire)(struct wheel_timer *timer));

/* (Re)arms the timer for a moment of the monotonic clock. */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_us);

/* Harmless on a timer that is not set. */
void wheel_unset(struct wheel_timer *timer);

static inline bool wheel_is_set(const struct wheel_timer *timer)
{
	return list_is_linked(&timer->link);
}

/*
 * Fires everything due.  A timer's function may set and unset any timer, its
 * own included, and free its object.
 */
void wheel_advance(struct wheel *wheel, uint64_t now_us);

#endif
