/*
 * A worker: one thread, one libevent base, one timing wheel, one mailbox.
 *
 * The turn is written out in worker_turn.  What callbacks want done once per
 * turn (a flush) or after everything else (a free) they queue as a task;
 * tasks may queue more tasks, so both lists are run in rounds.  The number of
 * rounds is bounded: what is left over then waits for the next turn, which
 * does not sleep, so that tasks cannot starve the sockets.
 *
 * The base is made without locks: only the worker's own thread touches it,
 * and other threads reach it through the mailbox alone.  The clock is read
 * once a turn, by the first callback that asks, and once more at the end
 * when somebody wants to know how long the turn was.
 */
#include "net/worker.h"

#include "base/buf.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 16 };

struct worker {
	unsigned index;
	struct worker_hooks hooks;
	struct event_base *base;
	struct event *tick;
	struct mailbox *mailbox;
	struct wheel wheel;
	struct list dirty;
	struct list graves;
	struct list next; /* dirty, in the turn to come */
	uint8_t *read_buffer;
	uint64_t now_us;      /* 0: not sampled in this turn */
	uint64_t tick_due_us; /* when the next tick should come */
	uint64_t lag_us;      /* how late this turn's tick was */
	bool is_started;
	bool is_leaving;
	pthread_t thread;
	struct {
		_Atomic bool is_stopped; /* stop is in the mailbox */
		struct mail stop;
	} shared;
};

/*
 * The letter to stop is the worker's own and never freed; all others are the
 * hook's.
 */
static void on_mail(void *arg, struct mail *mail)
{
	struct worker *worker = arg;

	(void)worker_now(worker);
	if (mail == &worker->shared.stop)
		worker->is_leaving = true;
	else
		worker->hooks.mail(worker->hooks.arg, mail);
}

/* Wakes the loop for the wheel's sake; the turn itself advances it. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	uint64_t now_us = worker_now(worker);

	(void)fd;
	(void)what;
	if (now_us > worker->tick_due_us)
		worker->lag_us = now_us - worker->tick_due_us;
	worker->tick_due_us = now_us + WHEEL_TICK_US;
}

/* IGNORE_ENV: nobody should change the back end from the environment. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (!config)
		return NULL;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static bool open_loop(struct worker *worker)
{
	struct timeval period = { .tv_usec = WHEEL_TICK_US };

	worker->base = new_base();
	if (!worker->base)
		return false;
	worker->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
	if (!worker->tick || event_add(worker->tick, &period) != 0)
		return false;
	worker->mailbox = mailbox_new(worker->base, on_mail, worker);
	return worker->mailbox != NULL;
}

struct worker *worker_new(unsigned index, const struct worker_hooks *hooks)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));
	uint64_t now_us = util_now_us();

	worker->index = index;
	worker->hooks = *hooks;
	list_init(&worker->dirty);
	list_init(&worker->graves);
	list_init(&worker->next);
	wheel_init(&worker->wheel, now_us);
	worker->tick_due_us = now_us + WHEEL_TICK_US;
	worker->read_buffer = xmalloc(WORKER_READ_BYTES);
	if (open_loop(worker))
		return worker;
	worker_join(worker);
	return NULL;
}

/*
 * A batch: what tasks queue meanwhile is for the next round.  Taken out before
 * it runs, so that a task may queue itself again.
 */
static void run_tasks(struct list *tasks)
{
	struct list batch;
	struct list *link;

	list_init(&batch);
	list_move_all(&batch, tasks);
	while ((link = list_first(&batch)) != NULL) {
		struct worker_task *task =
			LIST_ENTRY(link, struct worker_task, link);

		list_remove(link);
		task->run(task);
	}
}

static bool has_tasks(const struct worker *worker)
{
	return !list_is_empty(&worker->dirty) ||
	       !list_is_empty(&worker->graves);
}

/* Graves last in each round: a flush may still look at what is freed. */
static void run_rounds(struct worker *worker)
{
	for (int round = 0; round < ROUNDS_MAX && has_tasks(worker); round++) {
		run_tasks(&worker->dirty);
		run_tasks(&worker->graves);
	}
}

static void tell_turned(struct worker *worker)
{
	uint64_t busy_us;

	if (!worker->hooks.turned)
		return;
	busy_us = worker->now_us ? util_now_us() - worker->now_us : 0;
	worker->hooks.turned(worker->hooks.arg, busy_us, worker->lag_us);
}

/* With tasks left over it only looks in: they must not wait for a socket. */
void worker_turn(struct worker *worker)
{
	int flags = EVLOOP_ONCE;

	list_move_all(&worker->dirty, &worker->next);
	if (has_tasks(worker))
		flags |= EVLOOP_NONBLOCK;
	worker->now_us = 0;
	worker->lag_us = 0;
	(void)event_base_loop(worker->base, flags);
	wheel_advance(&worker->wheel, worker_now(worker));
	run_rounds(worker);
	tell_turned(worker);
}

/* One more round of tasks at the end: hooks may have closed streams. */
static void *thread_main(void *arg)
{
	struct worker *worker = arg;

	if (worker->hooks.started)
		worker->hooks.started(worker->hooks.arg);
	while (!worker->is_leaving)
		worker_turn(worker);
	if (worker->hooks.stopped)
		worker->hooks.stopped(worker->hooks.arg);
	run_rounds(worker);
	buf_thread_cleanup();
	return NULL;
}

/* Signals are the main thread's business, so the new thread blocks all. */
bool worker_start(struct worker *worker)
{
	sigset_t all;
	sigset_t before;
	char name[16];
	int error;

	assert(!worker->is_started);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&worker->thread, NULL, thread_main, worker);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		errno = error;
		return false;
	}
	(void)snprintf(name, sizeof(name), "worker-%u", worker->index % 10000);
	(void)pthread_setname_np(worker->thread, name);
	worker->is_started = true;
	return true;
}

/* Once: the letter is one, and in the mailbox it may be only once. */
void worker_stop(struct worker *worker)
{
	if (!atomic_exchange(&worker->shared.is_stopped, true))
		worker_post(worker, &worker->shared.stop);
}

void worker_wait(struct worker *worker)
{
	if (!worker->is_started)
		return;
	(void)pthread_join(worker->thread, NULL);
	worker->is_started = false;
}

/* Also the undo of a worker_new() that failed half-way, errno kept. */
void worker_join(struct worker *worker)
{
	int saved_errno = errno;

	if (!worker)
		return;
	worker_wait(worker);
	if (worker->mailbox)
		mailbox_free(worker->mailbox);
	run_rounds(worker);
	if (worker->tick)
		event_free(worker->tick);
	if (worker->base)
		event_base_free(worker->base);
	free(worker->read_buffer);
	free(worker);
	errno = saved_errno;
}

void worker_post(struct worker *worker, struct mail *mail)
{
	mailbox_post(worker->mailbox, mail);
}

unsigned worker_index(const struct worker *worker)
{
	return worker->index;
}

struct event_base *worker_base(struct worker *worker)
{
	return worker->base;
}

struct wheel *worker_wheel(struct worker *worker)
{
	return &worker->wheel;
}

uint64_t worker_now(struct worker *worker)
{
	if (worker->now_us == 0)
		worker->now_us = util_now_us();
	return worker->now_us;
}

uint8_t *worker_read_buffer(struct worker *worker)
{
	return worker->read_buffer;
}

void worker_task_init(struct worker_task *task,
		      void (*run)(struct worker_task *task))
{
	list_init(&task->link);
	task->run = run;
}

static void queue_task(struct list *tasks, struct worker_task *task)
{
	if (!list_is_linked(&task->link))
		list_append(tasks, &task->link);
}

void worker_flush_later(struct worker *worker, struct worker_task *task)
{
	queue_task(&worker->dirty, task);
}

void worker_free_later(struct worker *worker, struct worker_task *task)
{
	queue_task(&worker->graves, task);
}

void worker_go_on_later(struct worker *worker, struct worker_task *task)
{
	queue_task(&worker->next, task);
}
