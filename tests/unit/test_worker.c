/*
 * Workers: turns driven by hand, and real threads that post to each other.
 */
#include "net/worker.h"

#include "base/util.h"

#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct witness {
	struct worker *worker;
	struct worker *next; /* a ball goes there */
	struct wheel_timer timer;
	atomic_uint started;
	atomic_uint stopped;
	atomic_uint mails;
	atomic_uint turns;
	atomic_uint fired;
	uint64_t busy_us;
	uint64_t lag_us;
	sigset_t signals;
};

struct ball {
	struct mail mail;
	unsigned hops_left;
};

static void on_started(void *arg)
{
	struct witness *witness = arg;

	witness->started++;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &witness->signals);
}

static void on_stopped(void *arg)
{
	((struct witness *)arg)->stopped++;
}

static void on_mail(void *arg, struct mail *mail)
{
	struct witness *witness = arg;
	struct ball *ball = LIST_ENTRY(mail, struct ball, mail);

	witness->mails++;
	if (witness->next && ball->hops_left > 0) {
		ball->hops_left--;
		worker_post(witness->next, mail);
		return;
	}
	free(ball);
}

static void on_turned(void *arg, uint64_t busy_us, uint64_t lag_us)
{
	struct witness *witness = arg;

	witness->turns++;
	witness->busy_us += busy_us;
	witness->lag_us += lag_us;
}

static void hire(struct witness *witness, unsigned index)
{
	struct worker_hooks hooks = { .mail = on_mail,
				      .started = on_started,
				      .stopped = on_stopped,
				      .turned = on_turned,
				      .arg = witness };

	*witness = (struct witness){ 0 };
	witness->worker = worker_new(index, &hooks);
	assert_non_null(witness->worker);
}

static struct mail *new_ball(unsigned hops)
{
	struct ball *ball = xcalloc(1, sizeof(*ball));

	ball->hops_left = hops;
	return &ball->mail;
}

static void wait_until(const atomic_uint *counter, unsigned least)
{
	uint64_t limit_us = util_now_us() + 20 * 1000000ULL;
	struct timespec moment = { .tv_nsec = 1000000 };

	while (*counter < least && util_now_us() < limit_us)
		(void)nanosleep(&moment, NULL);
	assert_true(*counter >= least);
}

/* ---- turns by hand ------------------------------------------------------ */

struct job {
	struct worker_task task;
	struct worker *worker;
	struct job *flush_next;
	struct job *free_next;
	char name;
};

static char journal[256];

static void run_job(struct worker_task *task)
{
	struct job *job = LIST_ENTRY(task, struct job, task);
	size_t at = strlen(journal);

	if (at + 1 < sizeof(journal))
		journal[at] = job->name;
	if (job->flush_next)
		worker_flush_later(job->worker, &job->flush_next->task);
	if (job->free_next)
		worker_free_later(job->worker, &job->free_next->task);
}

static void init_job(struct job *job, struct worker *worker, char name)
{
	*job = (struct job){ .worker = worker, .name = name };
	worker_task_init(&job->task, run_job);
	memset(journal, 0, sizeof(journal));
}

static void test_flushes_come_before_frees(void **state)
{
	struct witness witness;
	struct job jobs[4];

	(void)state;
	hire(&witness, 0);
	for (int i = 0; i < 4; i++)
		init_job(&jobs[i], witness.worker, (char)('a' + i));
	/* a queues b, b queues c to be freed, and so does freed d with a. */
	jobs[0].flush_next = &jobs[1];
	jobs[1].free_next = &jobs[2];
	worker_free_later(witness.worker, &jobs[3].task);
	worker_free_later(witness.worker, &jobs[3].task);
	worker_flush_later(witness.worker, &jobs[0].task);
	worker_flush_later(witness.worker, &jobs[0].task);
	worker_turn(witness.worker);
	assert_string_equal(journal, "adbc");
	worker_turn(witness.worker);
	assert_string_equal(journal, "adbc");
	assert_int_equal(witness.turns, 2);
	worker_join(witness.worker);
}

/* Tasks that never come to an end do not starve the loop. */
static void test_endless_tasks_are_bounded(void **state)
{
	struct witness witness;
	struct job job;
	uint64_t begin_us;

	(void)state;
	hire(&witness, 0);
	init_job(&job, witness.worker, 'x');
	job.flush_next = &job;
	worker_flush_later(witness.worker, &job.task);
	begin_us = util_now_us();
	worker_turn(witness.worker);
	assert_in_range(strlen(journal), 2, 100);
	worker_post(witness.worker, new_ball(0));
	for (int i = 0; i < 100 && witness.mails == 0; i++)
		worker_turn(witness.worker);
	assert_int_equal(witness.mails, 1);
	/* And while they wait the loop does not sleep. */
	for (int i = 0; i < 20; i++)
		worker_turn(witness.worker);
	assert_true(util_now_us() - begin_us < 10 * WHEEL_TICK_US);
	job.flush_next = NULL;
	worker_turn(witness.worker);
	worker_join(witness.worker);
}

/* Tasks left over are run when the worker goes. */
static void test_join_empties_the_graveyard(void **state)
{
	struct witness witness;
	struct job job;

	(void)state;
	hire(&witness, 3);
	assert_int_equal(worker_index(witness.worker), 3);
	init_job(&job, witness.worker, 'g');
	worker_free_later(witness.worker, &job.task);
	worker_post(witness.worker, new_ball(0));
	worker_join(witness.worker);
	assert_string_equal(journal, "g");
	assert_int_equal(witness.mails, 1);
	assert_int_equal(witness.started, 0);
	worker_join(NULL);
}

static void on_timer(struct wheel_timer *timer)
{
	LIST_ENTRY(timer, struct witness, timer)->fired++;
}

static void test_timers_fire(void **state)
{
	struct witness witness;
	uint64_t begin_us = util_now_us();

	(void)state;
	hire(&witness, 0);
	wheel_timer_init(&witness.timer, on_timer);
	wheel_set(worker_wheel(witness.worker), &witness.timer,
		  begin_us + 120000);
	while (witness.fired == 0 && util_now_us() < begin_us + 5000000)
		worker_turn(witness.worker);
	assert_int_equal(witness.fired, 1);
	assert_true(util_now_us() - begin_us >= 120000);
	worker_join(witness.worker);
}

static void test_clock_stands_within_a_turn(void **state)
{
	struct witness witness;
	uint64_t now_us;

	(void)state;
	hire(&witness, 0);
	now_us = worker_now(witness.worker);
	while (util_now_us() == now_us)
		continue;
	assert_true(worker_now(witness.worker) == now_us);
	worker_turn(witness.worker);
	assert_true(worker_now(witness.worker) > now_us);
	assert_non_null(worker_base(witness.worker));
	assert_non_null(worker_read_buffer(witness.worker));
	worker_join(witness.worker);
}

static void dawdle(evutil_socket_t fd, short what, void *arg)
{
	struct timespec nap = { .tv_nsec = 120000000 };

	(void)fd;
	(void)what;
	(void)worker_now(arg);
	(void)nanosleep(&nap, NULL);
}

static void test_busy_time_and_lag(void **state)
{
	struct witness witness;

	(void)state;
	hire(&witness, 0);
	assert_int_equal(event_base_once(worker_base(witness.worker), -1,
					 EV_TIMEOUT, dawdle, witness.worker,
					 NULL),
			 0);
	worker_turn(witness.worker);
	assert_true(witness.busy_us >= 120000);
	assert_true(witness.busy_us < 5000000);
	/* The tick was due 70 ms ago. */
	worker_turn(witness.worker);
	assert_in_range(witness.lag_us, 50000, 5000000);
	worker_join(witness.worker);
}

/* ---- threads ------------------------------------------------------------ */

static void test_thread_lives_and_ends(void **state)
{
	struct witness witness;

	(void)state;
	hire(&witness, 7);
	assert_true(worker_start(witness.worker));
	worker_post(witness.worker, new_ball(0));
	wait_until(&witness.mails, 1);
	assert_int_equal(witness.started, 1);
	assert_int_equal(witness.stopped, 0);
	worker_stop(witness.worker);
	worker_stop(witness.worker);
	worker_wait(witness.worker);
	worker_wait(witness.worker);
	assert_int_equal(witness.stopped, 1);
	/* Signals are the main thread's. */
	assert_true(sigismember(&witness.signals, SIGTERM));
	worker_join(witness.worker);
}

static void test_stop_before_start(void **state)
{
	struct witness witness;

	(void)state;
	hire(&witness, 0);
	worker_stop(witness.worker);
	assert_true(worker_start(witness.worker));
	worker_join(witness.worker);
	assert_int_equal(witness.started, 1);
	assert_int_equal(witness.stopped, 1);
}

static void test_workers_post_to_each_other(void **state)
{
	enum { WORKERS = 3, BALLS = 50, HOPS = 60 };
	struct witness witness[WORKERS];
	atomic_uint total = 0;
	uint64_t limit_us = util_now_us() + 20 * 1000000ULL;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		hire(&witness[i], i);
	for (unsigned i = 0; i < WORKERS; i++)
		witness[i].next = witness[(i + 1) % WORKERS].worker;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_true(worker_start(witness[i].worker));
	for (unsigned i = 0; i < BALLS; i++)
		worker_post(witness[i % WORKERS].worker, new_ball(HOPS));
	while (total < BALLS * (HOPS + 1) && util_now_us() < limit_us) {
		total = 0;
		for (unsigned i = 0; i < WORKERS; i++)
			total += witness[i].mails;
	}
	assert_int_equal(total, BALLS * (HOPS + 1));
	for (unsigned i = 0; i < WORKERS; i++)
		worker_stop(witness[i].worker);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_wait(witness[i].worker);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_join(witness[i].worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flushes_come_before_frees),
		cmocka_unit_test(test_endless_tasks_are_bounded),
		cmocka_unit_test(test_join_empties_the_graveyard),
		cmocka_unit_test(test_timers_fire),
		cmocka_unit_test(test_clock_stands_within_a_turn),
		cmocka_unit_test(test_busy_time_and_lag),
		cmocka_unit_test(test_thread_lives_and_ends),
		cmocka_unit_test(test_stop_before_start),
		cmocka_unit_test(test_workers_post_to_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
