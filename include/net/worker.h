#ifndef PGWEIR_NET_WORKER_H
#define PGWEIR_NET_WORKER_H

/*
 * A thread with an event loop.  One turn: wait, run the callbacks of
 * whatever happened, fire due timers, flush every dirty stream once, free
 * what was marked.  Everything but worker_post belongs to its own thread.
 */
#include "base/list.h"
#include "base/wheel.h"
#include "net/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct worker;

/* Read buffer that all streams of a worker share while they are read. */
enum { WORKER_READ_BYTES = 256 * 1024 };

struct worker_hooks {
	/* A mail arrived; the hook owns it. */
	void (*mail)(void *arg, struct mail *mail);
	/* Once, on the worker's thread, before its first turn / after its last
	 * one (streams may still be freed there). */
	void (*started)(void *arg);
	void (*stopped)(void *arg);
	/* After each turn: microseconds spent working, and how late the turn's
	 * timers were.  May be NULL. */
	void (*turned)(void *arg, uint64_t busy_us, uint64_t lag_us);
	void *arg;
};

/*
 * Created by the main thread, not yet running.  NULL with errno when the
 * system refuses; without descriptors left libevent ends the process.
 */
struct worker *worker_new(unsigned index, const struct worker_hooks *hooks);

/* Starts the thread; false with errno when the system refuses. */
bool worker_start(struct worker *worker);

/* Any thread: lets the worker finish its turn and leave its loop. */
void worker_stop(struct worker *worker);

/*
 * Main thread, after worker_stop: waits until the thread has ended.  Where
 * workers post to each other, wait for all before the first is joined.
 */
void worker_wait(struct worker *worker);

/*
 * Main thread, after worker_stop: waits for the thread, frees the worker.
 * Mail that came too late is handed to the hook here, after stopped.  Of a
 * worker that was never started it just frees.
 */
void worker_join(struct worker *worker);

/*
 * One turn on the calling thread, at most WHEEL_TICK_US long when nothing
 * happens.  For a worker that is not started.
 */
void worker_turn(struct worker *worker);

/* Any thread. */
void worker_post(struct worker *worker, struct mail *mail);

unsigned worker_index(const struct worker *worker);
struct event_base *worker_base(struct worker *worker);
struct wheel *worker_wheel(struct worker *worker);

/* Monotonic microseconds, sampled at most once a turn. */
uint64_t worker_now(struct worker *worker);

/*
 * WORKER_READ_BYTES that the streams read into: while a STREAM_DATA callback
 * runs they hold the data told of, and nobody else writes there.
 */
uint8_t *worker_read_buffer(struct worker *worker);

/*
 * The two lists that a turn ends with: the dirty list, then the graveyard
 * (whose tasks free their objects), over again until both are empty.
 */
struct worker_task {
	struct list link;
	void (*run)(struct worker_task *task);
};

void worker_task_init(struct worker_task *task,
		      void (*run)(struct worker_task *task));

/* At the end of this turn, once; harmless when already queued. */
void worker_flush_later(struct worker *worker, struct worker_task *task);
void worker_free_later(struct worker *worker, struct worker_task *task);

/* In the next turn, which does not sleep: for work that takes too long. */
void worker_go_on_later(struct worker *worker, struct worker_task *task);

#endif
