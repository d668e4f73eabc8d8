/*
 * Limits and queues that all workers share: exact counts, first come first
 * served, rivals for a shared limit; alone and with threads.
 */
#include "proxy/quota.h"

#include "base/util.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct quota_limits unlimited = { 0, 0, 0 };

static struct quota *open_quota(struct quotas *quotas, const char *database,
				const char *user)
{
	char *key = xasprintf("%s/%s", user, database);
	struct quota *quota = quota_open(quotas, key, database, user, "n:1");

	free(key);
	return quota;
}

static void close_servers(struct quota *quota, unsigned count)
{
	while (count-- > 0)
		quota_note_closed(quota);
}

static void test_pool_limit(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *quota = open_quota(quotas, "app", "anna");
	struct quota_limits limits = { .pool = 2 };

	(void)state;
	assert_int_equal(quota_try_open(quota, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(quota, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(quota, &limits), QUOTA_POOL_FULL);
	assert_int_equal(quota_servers(quota), 2);
	/* A reload raises it, another lowers it: nothing opens meanwhile. */
	limits.pool = 3;
	assert_int_equal(quota_try_open(quota, &limits), QUOTA_GRANTED);
	limits.pool = 1;
	quota_note_closed(quota);
	assert_int_equal(quota_try_open(quota, &limits), QUOTA_POOL_FULL);
	assert_int_equal(quota_try_open(quota, &unlimited), QUOTA_GRANTED);
	assert_int_equal(quota_servers(quota), 3);
	close_servers(quota, 3);
	assert_int_equal(quota_servers(quota), 0);
	quota_close(quota);
	quotas_free(quotas);
}

/* Two pools of one database, two of one user. */
static void test_shared_limits(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *anna = open_quota(quotas, "app", "anna");
	struct quota *bert = open_quota(quotas, "app", "bert");
	struct quota *other = open_quota(quotas, "other", "anna");
	const struct quota_limits database = { .pool = 5, .database = 2 };
	const struct quota_limits user = { .pool = 5, .user = 2 };

	(void)state;
	assert_int_equal(quota_try_open(anna, &database), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(bert, &database), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(anna, &database), QUOTA_SHARED_FULL);
	assert_int_equal(quota_try_open(bert, &database), QUOTA_SHARED_FULL);
	/* Another database is not concerned, the user is. */
	assert_int_equal(quota_try_open(other, &database), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(other, &user), QUOTA_SHARED_FULL);
	assert_int_equal(quota_try_open(anna, &user), QUOTA_SHARED_FULL);
	assert_int_equal(quota_try_open(bert, &user), QUOTA_GRANTED);
	quota_note_closed(anna);
	assert_int_equal(quota_try_open(other, &user), QUOTA_GRANTED);
	close_servers(bert, 2);
	close_servers(other, 2);
	quota_close(anna);
	quota_close(bert);
	quota_close(other);
	quotas_free(quotas);
}

/* Under the limits that pools share, beside the pool's own. */
static void test_own(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *anna = open_quota(quotas, "app", "anna");
	struct quota *bert = open_quota(quotas, "app", "bert");
	const struct quota_limits limits = { .pool = 1, .database = 3 };
	const struct quota_limits user = { .user = 1 };

	(void)state;
	assert_int_equal(quota_try_own(anna, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_servers(anna), 0);
	assert_int_equal(quota_try_open(anna, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_own(anna, &user), QUOTA_SHARED_FULL);
	assert_int_equal(quota_try_own(bert, &user), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(bert, &limits), QUOTA_SHARED_FULL);
	assert_int_equal(quota_try_own(bert, &limits), QUOTA_SHARED_FULL);
	quota_note_own_closed(anna);
	assert_int_equal(quota_servers(anna), 1);
	assert_int_equal(quota_try_open(bert, &limits), QUOTA_GRANTED);
	quota_note_own_closed(bert);
	close_servers(anna, 1);
	close_servers(bert, 1);
	quota_close(anna);
	quota_close(bert);
	quotas_free(quotas);
}

/* Each node has counts of its own. */
static void test_nodes(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *one = quota_open(quotas, "k", "app", "anna", "n:1");
	struct quota *two = quota_open(quotas, "k", "app", "anna", "n:2");
	const struct quota_limits limits = { 1, 1, 1 };

	(void)state;
	assert_ptr_not_equal(one, two);
	assert_int_equal(quota_try_open(one, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(two, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(two, &limits), QUOTA_POOL_FULL);
	close_servers(one, 1);
	close_servers(two, 1);
	quota_close(one);
	quota_close(two);
	quotas_free(quotas);
}

/* Names are chosen by strangers: none may be taken for another. */
static void test_keys(void **state)
{
	static const char *const names[][2] = {
		{ "ab", "c" },
		{ "a", "bc" },
		{ "a:1", "c" },
		{ "a", "1:c" },
		{ "", "abc" },
		{ "abc", "" },
		{ "1:a", "bc" },
		{ "a\x1f", "b" },
		{ "a", "\x1f"
		       "b" },
	};
	enum { COUNT = sizeof(names) / sizeof(*names) };
	struct quotas *quotas = quotas_new();
	struct quota *opened[COUNT];
	const struct quota_limits limits = { .pool = 1 };

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		opened[i] = open_quota(quotas, names[i][0], names[i][1]);
		assert_int_equal(quota_try_open(opened[i], &limits),
				 QUOTA_GRANTED);
	}
	for (size_t i = 0; i < COUNT; i++) {
		struct quota *again =
			open_quota(quotas, names[i][0], names[i][1]);

		assert_ptr_equal(again, opened[i]);
		quota_close(again);
		assert_int_equal(quota_try_open(opened[i], &limits),
				 QUOTA_POOL_FULL);
		quota_note_closed(opened[i]);
		quota_close(opened[i]);
	}
	quotas_free(quotas);
}

/* The last worker that closes a quota takes lost counts with it. */
static void test_close(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *anna = open_quota(quotas, "app", "anna");
	struct quota *bert = open_quota(quotas, "app", "bert");
	const struct quota_limits limits = { .database = 1 };

	(void)state;
	assert_int_equal(quota_try_open(anna, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(bert, &limits), QUOTA_SHARED_FULL);
	quota_close(anna);
	assert_int_equal(quota_try_open(bert, &limits), QUOTA_GRANTED);
	quota_note_closed(bert);
	quota_close(bert);
	quotas_free(quotas);
}

/* A server comes to a worker that no longer has the pool. */
static void test_lost(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *one = quota_open(quotas, "k", "app", "anna", "n:1");
	struct quota *two = quota_open(quotas, "k", "app", "anna", "n:2");
	const struct quota_limits limits = { 1, 1, 1 };

	(void)state;
	assert_int_equal(quota_try_open(one, &limits), QUOTA_GRANTED);
	assert_int_equal(quota_try_open(two, &limits), QUOTA_GRANTED);
	quota_note_lost(quotas, "other", "n:1");
	quota_note_lost(quotas, "k", "n:3");
	assert_int_equal(quota_try_open(one, &limits), QUOTA_POOL_FULL);
	quota_note_lost(quotas, "k", "n:1");
	assert_int_equal(quota_servers(one), 0);
	assert_int_equal(quota_servers(two), 1);
	assert_int_equal(quota_try_open(one, &limits), QUOTA_GRANTED);
	close_servers(one, 1);
	close_servers(two, 1);
	/* Nothing is left to count off. */
	quota_note_lost(quotas, "k", "n:1");
	quota_close(one);
	quota_close(two);
	quota_note_lost(quotas, "k", "n:1");
	quotas_free(quotas);
}

static void test_opening(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *quota = open_quota(quotas, "app", "anna");

	(void)state;
	assert_int_equal(quota_opening(quota), 0);
	quota_note_opening(quota, 1);
	quota_note_opening(quota, 1);
	quota_note_opening(quota, -1);
	assert_int_equal(quota_opening(quota), 1);
	quota_note_opening(quota, -1);
	quota_close(quota);
	quotas_free(quotas);
}

/* --- waiting ---------------------------------------------------------------
 */

struct queue {
	struct quotas *quotas;
	struct quota *quota;
	struct quota_waiter waiters[8];
};

static void queue_open(struct queue *queue)
{
	queue->quotas = quotas_new();
	queue->quota = open_quota(queue->quotas, "app", "anna");
}

static void queue_close(struct queue *queue)
{
	quota_close(queue->quota);
	quotas_free(queue->quotas);
}

/* Session number 100 + i of a worker begins to wait. */
static void queue_wait(struct queue *queue, unsigned i, unsigned worker,
		       uint64_t now_us)
{
	quota_waiter_init(&queue->waiters[i], worker, 100 + i);
	quota_wait(queue->quota, &queue->waiters[i], now_us);
}

static void assert_next(struct queue *queue, unsigned worker, unsigned i)
{
	unsigned to_worker = 99;
	uint64_t session = 0;

	assert_true(quota_next(queue->quota, worker, &to_worker, &session));
	assert_int_equal(session, 100 + i);
	assert_int_equal(to_worker, queue->waiters[i].worker);
	assert_false(queue->waiters[i].is_queued);
}

static void test_fifo(void **state)
{
	struct queue queue;
	unsigned worker;
	uint64_t session;

	(void)state;
	queue_open(&queue);
	assert_int_equal(quota_first_wait(queue.quota), 0);
	assert_false(quota_next(queue.quota, 0, &worker, &session));
	for (unsigned i = 0; i < 6; i++)
		queue_wait(&queue, i, i % 3, 1000000 * (i + 1));
	assert_int_equal(quota_waiting(queue.quota), 6);
	assert_int_equal(quota_first_wait(queue.quota), 1000000);
	/* Whoever has a server: the one who waits longest gets it. */
	for (unsigned i = 0; i < 6; i++)
		assert_next(&queue, 2, i);
	assert_int_equal(quota_waiting(queue.quota), 0);
	assert_int_equal(quota_first_wait(queue.quota), 0);
	queue_close(&queue);
}

/* Within the slack a server stays with its worker, beyond it does not. */
static void test_slack(void **state)
{
	struct queue queue;

	(void)state;
	queue_open(&queue);
	queue_wait(&queue, 0, 0, 5000);
	queue_wait(&queue, 1, 1, 5000 + QUOTA_SLACK_US);
	queue_wait(&queue, 2, 1, 5000 + QUOTA_SLACK_US + 1);
	assert_next(&queue, 1, 1);
	assert_next(&queue, 1, 0);
	assert_next(&queue, 1, 2);
	queue_close(&queue);
}

static void test_leave(void **state)
{
	struct queue queue;

	(void)state;
	queue_open(&queue);
	for (unsigned i = 0; i < 4; i++)
		queue_wait(&queue, i, 0, 10 * i);
	assert_true(quota_leave(queue.quota, &queue.waiters[1]));
	assert_false(quota_leave(queue.quota, &queue.waiters[1]));
	assert_int_equal(quota_waiting(queue.quota), 3);
	assert_next(&queue, 0, 0);
	/* Too late: the grant is on its way. */
	assert_false(quota_leave(queue.quota, &queue.waiters[0]));
	assert_next(&queue, 0, 2);
	assert_true(quota_leave(queue.quota, &queue.waiters[3]));
	assert_int_equal(quota_waiting(queue.quota), 0);
	/* And again. */
	queue_wait(&queue, 1, 0, 99);
	assert_next(&queue, 0, 1);
	queue_close(&queue);
}

static void test_next_own(void **state)
{
	struct queue queue;
	uint64_t session = 0;

	(void)state;
	queue_open(&queue);
	queue_wait(&queue, 0, 0, 10);
	queue_wait(&queue, 1, 1, 20);
	queue_wait(&queue, 2, 1, 30);
	assert_false(quota_next_own(queue.quota, 2, &session));
	assert_true(quota_next_own(queue.quota, 1, &session));
	assert_int_equal(session, 101);
	assert_true(quota_next_own(queue.quota, 1, &session));
	assert_int_equal(session, 102);
	assert_false(quota_next_own(queue.quota, 1, &session));
	assert_int_equal(quota_waiting(queue.quota), 1);
	assert_next(&queue, 1, 0);
	queue_close(&queue);
}

/* --- idle servers elsewhere ------------------------------------------------
 */

static void test_find_idle(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *quota = open_quota(quotas, "app", "anna");

	(void)state;
	assert_int_equal(quota_find_idle(quota, 0), -1);
	quota_set_idle(quota, 3, 2);
	assert_int_equal(quota_find_idle(quota, 0), 3);
	assert_int_equal(quota_find_idle(quota, 3), -1);
	quota_set_idle(quota, QUOTA_WORKERS_MAX - 1, 1);
	assert_int_equal(quota_find_idle(quota, 3), QUOTA_WORKERS_MAX - 1);
	quota_set_idle(quota, 3, 0);
	quota_set_idle(quota, QUOTA_WORKERS_MAX - 1, 0);
	assert_int_equal(quota_find_idle(quota, 0), -1);
	quota_close(quota);
	quotas_free(quotas);
}

static void test_rival(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *anna = open_quota(quotas, "app", "anna");
	struct quota *bert = open_quota(quotas, "app", "bert");
	struct quota *other = open_quota(quotas, "other", "anna");
	const struct quota_limits database = { .database = 1 };
	const struct quota_limits user = { .user = 1 };
	unsigned worker = 99;
	char *key = NULL;

	(void)state;
	assert_int_equal(quota_try_open(bert, &database), QUOTA_GRANTED);
	/* It holds the place, but it is busy. */
	assert_false(quota_find_rival(anna, &database, &worker, &key));
	quota_set_idle(bert, 5, 1);
	assert_true(quota_find_rival(anna, &database, &worker, &key));
	assert_int_equal(worker, 5);
	assert_string_equal(key, "bert/app");
	free(key);
	/* Not a rival for a limit that is not full, nor for another's. */
	assert_false(quota_find_rival(anna, &user, &worker, &key));
	assert_false(quota_find_rival(other, &database, &worker, &key));
	/* Its own idle servers are no rivals. */
	assert_false(quota_find_rival(bert, &database, &worker, &key));

	assert_int_equal(quota_try_open(other, &user), QUOTA_GRANTED);
	quota_set_idle(other, 2, 1);
	assert_true(quota_find_rival(anna, &user, &worker, &key));
	assert_int_equal(worker, 2);
	assert_string_equal(key, "anna/other");
	free(key);
	close_servers(bert, 1);
	close_servers(other, 1);
	quota_close(anna);
	quota_close(bert);
	quota_close(other);
	quotas_free(quotas);
}

/* --- threads ---------------------------------------------------------------
 */

enum { THREADS = 4, ROUNDS = 3000, POOL_LIMIT = 3, DATABASE_LIMIT = 5 };

struct crowd {
	struct quotas *quotas;
	_Atomic unsigned open[2];
	_Atomic unsigned errors;
	_Atomic unsigned granted;
	_Atomic unsigned left;
};

struct member {
	struct crowd *crowd;
	unsigned index;
	pthread_t thread;
};

static void check(struct crowd *crowd, bool is_right)
{
	if (!is_right)
		atomic_fetch_add(&crowd->errors, 1);
}

static void open_and_close(struct crowd *crowd, struct quota *quota,
			   unsigned which)
{
	const struct quota_limits limits = { .pool = POOL_LIMIT,
					     .database = DATABASE_LIMIT };
	unsigned mine;
	unsigned others;

	if (quota_try_open(quota, &limits) != QUOTA_GRANTED)
		return;
	mine = atomic_fetch_add(&crowd->open[which], 1) + 1;
	others = atomic_load(&crowd->open[!which]);
	check(crowd, mine <= POOL_LIMIT);
	check(crowd, mine + others <= DATABASE_LIMIT);
	atomic_fetch_add(&crowd->granted, 1);
	sched_yield();
	/* Counted down first: the quota may grant it at once. */
	atomic_fetch_sub(&crowd->open[which], 1);
	quota_note_closed(quota);
}

static void *run_limits(void *arg)
{
	struct member *member = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned which = (member->index + i) % 2;
		struct quota *quota = open_quota(member->crowd->quotas, "app",
						 which ? "anna" : "bert");

		open_and_close(member->crowd, quota, which);
		quota_close(quota);
	}
	return NULL;
}

static void run_crowd(struct crowd *crowd, void *(*run)(void *arg))
{
	struct member members[THREADS];

	crowd->quotas = quotas_new();
	for (unsigned i = 0; i < THREADS; i++) {
		members[i] = (struct member){ .crowd = crowd, .index = i };
		assert_int_equal(pthread_create(&members[i].thread, NULL, run,
						&members[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	assert_int_equal(crowd->errors, 0);
}

static void test_limits_with_threads(void **state)
{
	struct crowd crowd = { 0 };

	(void)state;
	run_crowd(&crowd, run_limits);
	assert_true(crowd.granted > 0);
	assert_int_equal(crowd.open[0], 0);
	assert_int_equal(crowd.open[1], 0);
	quotas_free(crowd.quotas);
}

/*
 * Each waits, then serves whoever is next; every waiter is served exactly
 * once, by itself, by another or by leaving.
 */
static void *run_waiters(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	struct quota *quota = open_quota(crowd->quotas, "app", "anna");
	struct quota_waiter waiter;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned worker;
		uint64_t session;

		quota_waiter_init(&waiter, member->index, i);
		quota_wait(quota, &waiter, util_now_us());
		quota_set_idle(quota, member->index, i % 2);
		(void)quota_find_idle(quota, member->index);
		(void)quota_first_wait(quota);
		if (quota_next(quota, member->index, &worker, &session)) {
			check(crowd, worker < THREADS && session < ROUNDS);
			atomic_fetch_add(&crowd->granted, 1);
		}
		if (i % 3 == 0)
			sched_yield();
		/* What was granted meanwhile was counted by its granter. */
		if (quota_leave(quota, &waiter))
			atomic_fetch_add(&crowd->left, 1);
	}
	quota_close(quota);
	return NULL;
}

static void test_waiters_with_threads(void **state)
{
	struct crowd crowd = { 0 };

	(void)state;
	run_crowd(&crowd, run_waiters);
	assert_int_equal(crowd.granted + crowd.left, THREADS * ROUNDS);
	quotas_free(crowd.quotas);
}

static void test_overdue(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota *quota = quota_open(quotas, "k", "d", "u", "n");
	struct quota_waiter waiters[3];

	(void)state;
	assert_false(quota_is_overdue(quota, 0, UINT64_MAX));
	for (unsigned i = 0; i < 3; i++) {
		quota_waiter_init(&waiters[i], i, i + 1);
		quota_wait(quota, &waiters[i], 10 * (i + 1));
	}
	assert_false(quota_is_overdue(quota, 0, 9));
	assert_true(quota_is_overdue(quota, 0, 10));
	assert_false(quota_is_overdue(quota, 1, 10));
	assert_true(quota_is_overdue(quota, 1, 25));
	assert_false(quota_is_overdue(quota, 2, 29));
	assert_true(quota_is_overdue(quota, 2, 30));
	assert_false(quota_is_overdue(quota, 3, UINT64_MAX));
	assert_true(quota_leave(quota, &waiters[0]));
	assert_false(quota_is_overdue(quota, 0, 10));
	assert_true(quota_is_overdue(quota, 0, 20));
	for (unsigned i = 1; i < 3; i++)
		assert_true(quota_leave(quota, &waiters[i]));
	quota_close(quota);
	quotas_free(quotas);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_pool_limit),
		cmocka_unit_test(test_shared_limits),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_slack),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_next_own),
		cmocka_unit_test(test_find_idle),
		cmocka_unit_test(test_rival),
		cmocka_unit_test(test_limits_with_threads),
		cmocka_unit_test(test_waiters_with_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
