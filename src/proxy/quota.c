/*
 * Exact limits and one queue of waiters over all workers.
 *
 * Counts of servers are kept per pool, per database and per user, each on
 * one node, and change only under the registry's mutex: opening and closing
 * servers is rare.  Each queue of waiters has a mutex of its own.  The fast
 * path (nobody waits, a server is idle here) reads one atomic.
 *
 * Who may be missed?  A worker that gives a server back stores its idle
 * count, then reads the number of waiters; one that begins to wait counts
 * itself, then reads the idle counts.  Both in sequentially consistent order,
 * so at least one of them sees the other.
 */
#include "proxy/quota.h"

#include "base/strmap.h"
#include "base/util.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Servers of one database, or of one user, on one node. */
struct tally {
	char *key;
	unsigned count;
	unsigned refs;
};

/*
 * Each worker writes its own idle count, on a cache line of its own: the
 * padding is meant.
 */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct quota {
	struct {
		_Alignas(64) _Atomic unsigned count;
	} idle[QUOTA_WORKERS_MAX];
	struct quotas *home;
	char *key;
	char *pool_key;
	char *node;
	unsigned refs; /* guarded by the registry, like count */
	_Atomic unsigned count;
	_Atomic unsigned opening;
	struct tally *database;
	struct tally *user;
	struct list link; /* in the registry */
	_Atomic unsigned waiting;
	struct {
		pthread_mutex_t mutex;
		struct list waiters;
		struct list of_worker[QUOTA_WORKERS_MAX];
	} shared;
};

struct quotas {
	struct {
		pthread_mutex_t mutex;
		struct strmap *quotas;
		struct strmap *tallies;
		struct list all;
	} shared;
};

struct quotas *quotas_new(void)
{
	struct quotas *quotas = xcalloc(1, sizeof(*quotas));

	(void)pthread_mutex_init(&quotas->shared.mutex, NULL);
	quotas->shared.quotas = strmap_new();
	quotas->shared.tallies = strmap_new();
	list_init(&quotas->shared.all);
	return quotas;
}

void quotas_free(struct quotas *quotas)
{
	assert(list_is_empty(&quotas->shared.all));
	strmap_free(quotas->shared.quotas, NULL);
	strmap_free(quotas->shared.tallies, NULL);
	(void)pthread_mutex_destroy(&quotas->shared.mutex);
	free(quotas);
}

static void lock_registry(struct quotas *quotas)
{
	(void)pthread_mutex_lock(&quotas->shared.mutex);
}

static void unlock_registry(struct quotas *quotas)
{
	(void)pthread_mutex_unlock(&quotas->shared.mutex);
}

/* Takes key. */
static struct tally *tally_hold(struct quotas *quotas, char *key)
{
	struct tally *tally = strmap_get(quotas->shared.tallies, key);

	if (tally) {
		free(key);
	} else {
		tally = xcalloc(1, sizeof(*tally));
		tally->key = key;
		(void)strmap_put(quotas->shared.tallies, key, tally);
	}
	tally->refs++;
	return tally;
}

static void tally_release(struct quotas *quotas, struct tally *tally)
{
	if (--tally->refs > 0)
		return;
	(void)strmap_remove(quotas->shared.tallies, tally->key);
	free(tally->key);
	free(tally);
}

/* Takes key; the registry is locked. */
static struct quota *quota_new(struct quotas *quotas, char *key)
{
	struct quota *quota =
		aligned_alloc(_Alignof(struct quota), sizeof(*quota));

	if (!quota)
		abort();
	*quota = (struct quota){ .home = quotas, .key = key };
	list_init(&quota->shared.waiters);
	for (unsigned i = 0; i < QUOTA_WORKERS_MAX; i++)
		list_init(&quota->shared.of_worker[i]);
	(void)pthread_mutex_init(&quota->shared.mutex, NULL);
	list_append(&quotas->shared.all, &quota->link);
	(void)strmap_put(quotas->shared.quotas, key, quota);
	return quota;
}

/* Lengths make the key unambiguous: the names are chosen by strangers. */
static char *key_of(const char *kind, const char *node, const char *first,
		    const char *second)
{
	return xasprintf("%s%zu:%s%zu:%s%s", kind, strlen(node), node,
			 strlen(first), first, second);
}

struct quota *quota_open(struct quotas *quotas, const char *pool_key,
			 const char *database, const char *user,
			 const char *node)
{
	char *key = key_of("p", node, database, user);
	struct quota *quota;

	lock_registry(quotas);
	quota = strmap_get(quotas->shared.quotas, key);
	if (quota) {
		free(key);
	} else {
		quota = quota_new(quotas, key);
		quota->pool_key = xstrdup(pool_key);
		quota->node = xstrdup(node);
		quota->database = tally_hold(
			quotas, xasprintf("d%s\x1f%s", node, database));
		quota->user =
			tally_hold(quotas, xasprintf("u%s\x1f%s", node, user));
	}
	quota->refs++;
	unlock_registry(quotas);
	return quota;
}

void quota_close(struct quota *quota)
{
	struct quotas *quotas = quota->home;
	bool is_last;

	lock_registry(quotas);
	is_last = --quota->refs == 0;
	if (is_last) {
		(void)strmap_remove(quotas->shared.quotas, quota->key);
		list_remove(&quota->link);
		/* Of servers that were lost between two workers. */
		quota->database->count -= quota->count;
		quota->user->count -= quota->count;
		tally_release(quotas, quota->database);
		tally_release(quotas, quota->user);
	}
	unlock_registry(quotas);
	if (!is_last)
		return;
	assert(list_is_empty(&quota->shared.waiters));
	(void)pthread_mutex_destroy(&quota->shared.mutex);
	free(quota->pool_key);
	free(quota->node);
	free(quota->key);
	free(quota);
}

static bool is_under(unsigned count, unsigned limit)
{
	return limit == 0 || count < limit;
}

/* The registry is locked. */
static bool has_shared_room(const struct quota *quota,
			    const struct quota_limits *limits)
{
	return is_under(quota->database->count, limits->database) &&
	       is_under(quota->user->count, limits->user);
}

enum quota_answer quota_try_open(struct quota *quota,
				 const struct quota_limits *limits)
{
	enum quota_answer answer = QUOTA_GRANTED;

	lock_registry(quota->home);
	if (!is_under(quota->count, limits->pool)) {
		answer = QUOTA_POOL_FULL;
	} else if (!has_shared_room(quota, limits)) {
		answer = QUOTA_SHARED_FULL;
	} else {
		quota->count++;
		quota->database->count++;
		quota->user->count++;
	}
	unlock_registry(quota->home);
	return answer;
}

enum quota_answer quota_try_own(struct quota *quota,
				const struct quota_limits *limits)
{
	enum quota_answer answer = QUOTA_SHARED_FULL;

	lock_registry(quota->home);
	if (has_shared_room(quota, limits)) {
		answer = QUOTA_GRANTED;
		quota->database->count++;
		quota->user->count++;
	}
	unlock_registry(quota->home);
	return answer;
}

void quota_note_own_closed(struct quota *quota)
{
	lock_registry(quota->home);
	assert(quota->database->count > 0 && quota->user->count > 0);
	quota->database->count--;
	quota->user->count--;
	unlock_registry(quota->home);
}

/* The registry is locked. */
static void count_off(struct quota *quota)
{
	assert(quota->count > 0);
	quota->count--;
	quota->database->count--;
	quota->user->count--;
}

void quota_note_closed(struct quota *quota)
{
	lock_registry(quota->home);
	count_off(quota);
	unlock_registry(quota->home);
}

void quota_note_lost(struct quotas *quotas, const char *pool_key,
		     const char *node)
{
	lock_registry(quotas);
	LIST_FOREACH (link, &quotas->shared.all) {
		struct quota *quota = LIST_ENTRY(link, struct quota, link);

		if (quota->count > 0 && strcmp(quota->node, node) == 0 &&
		    strcmp(quota->pool_key, pool_key) == 0) {
			count_off(quota);
			break;
		}
	}
	unlock_registry(quotas);
}

unsigned quota_servers(const struct quota *quota)
{
	return quota->count;
}

void quota_note_opening(struct quota *quota, int change)
{
	quota->opening += (unsigned)change;
}

unsigned quota_opening(const struct quota *quota)
{
	return quota->opening;
}

void quota_waiter_init(struct quota_waiter *waiter, unsigned worker,
		       uint64_t session)
{
	*waiter = (struct quota_waiter){ .worker = worker, .session = session };
	list_init(&waiter->all);
	list_init(&waiter->mine);
}

void quota_wait(struct quota *quota, struct quota_waiter *waiter,
		uint64_t now_us)
{
	assert(waiter->worker < QUOTA_WORKERS_MAX);
	(void)pthread_mutex_lock(&quota->shared.mutex);
	waiter->since_us = now_us;
	waiter->is_queued = true;
	list_append(&quota->shared.waiters, &waiter->all);
	list_append(&quota->shared.of_worker[waiter->worker], &waiter->mine);
	atomic_fetch_add(&quota->waiting, 1);
	(void)pthread_mutex_unlock(&quota->shared.mutex);
}

static void take_out(struct quota *quota, struct quota_waiter *waiter)
{
	list_remove(&waiter->all);
	list_remove(&waiter->mine);
	waiter->is_queued = false;
	atomic_fetch_sub(&quota->waiting, 1);
}

bool quota_leave(struct quota *quota, struct quota_waiter *waiter)
{
	bool was_queued;

	(void)pthread_mutex_lock(&quota->shared.mutex);
	was_queued = waiter->is_queued;
	if (was_queued)
		take_out(quota, waiter);
	(void)pthread_mutex_unlock(&quota->shared.mutex);
	return was_queued;
}

unsigned quota_waiting(const struct quota *quota)
{
	return quota->waiting;
}

uint64_t quota_first_wait(struct quota *quota)
{
	struct list *first;
	uint64_t since_us = 0;

	(void)pthread_mutex_lock(&quota->shared.mutex);
	first = list_first(&quota->shared.waiters);
	if (first)
		since_us =
			LIST_ENTRY(first, struct quota_waiter, all)->since_us;
	(void)pthread_mutex_unlock(&quota->shared.mutex);
	return since_us;
}

/* The queue is in the order of coming: no more than count are looked at. */
bool quota_is_overdue(struct quota *quota, unsigned count, uint64_t since_us)
{
	bool is_overdue = false;
	unsigned seen = 0;

	(void)pthread_mutex_lock(&quota->shared.mutex);
	LIST_FOREACH (link, &quota->shared.waiters) {
		if (LIST_ENTRY(link, struct quota_waiter, all)->since_us >
		    since_us)
			break;
		is_overdue = seen++ == count;
		if (is_overdue)
			break;
	}
	(void)pthread_mutex_unlock(&quota->shared.mutex);
	return is_overdue;
}

/* The first of all, or this worker's first when it came at the same time. */
static struct quota_waiter *choose(struct quota *quota, unsigned worker)
{
	struct list *first = list_first(&quota->shared.waiters);
	struct list *mine = list_first(&quota->shared.of_worker[worker]);
	struct quota_waiter *oldest;
	struct quota_waiter *own;

	if (!first)
		return NULL;
	oldest = LIST_ENTRY(first, struct quota_waiter, all);
	if (!mine)
		return oldest;
	own = LIST_ENTRY(mine, struct quota_waiter, mine);
	return own->since_us <= oldest->since_us + QUOTA_SLACK_US ? own
								  : oldest;
}

bool quota_next(struct quota *quota, unsigned worker, unsigned *to_worker,
		uint64_t *session)
{
	struct quota_waiter *waiter;

	(void)pthread_mutex_lock(&quota->shared.mutex);
	waiter = choose(quota, worker);
	if (waiter) {
		*to_worker = waiter->worker;
		*session = waiter->session;
		take_out(quota, waiter);
	}
	(void)pthread_mutex_unlock(&quota->shared.mutex);
	return waiter != NULL;
}

bool quota_next_own(struct quota *quota, unsigned worker, uint64_t *session)
{
	struct list *mine;

	(void)pthread_mutex_lock(&quota->shared.mutex);
	mine = list_first(&quota->shared.of_worker[worker]);
	if (mine) {
		struct quota_waiter *waiter =
			LIST_ENTRY(mine, struct quota_waiter, mine);

		*session = waiter->session;
		take_out(quota, waiter);
	}
	(void)pthread_mutex_unlock(&quota->shared.mutex);
	return mine != NULL;
}

void quota_set_idle(struct quota *quota, unsigned worker, unsigned idle)
{
	atomic_store(&quota->idle[worker].count, idle);
}

int quota_find_idle(const struct quota *quota, unsigned not_worker)
{
	for (unsigned i = 0; i < QUOTA_WORKERS_MAX; i++)
		if (i != not_worker && atomic_load(&quota->idle[i].count) > 0)
			return (int)i;
	return -1;
}

static bool is_rival(const struct quota *quota, const struct quota *other,
		     const struct quota_limits *limits)
{
	if (other == quota)
		return false;
	if (other->database == quota->database &&
	    !is_under(quota->database->count, limits->database))
		return true;
	return other->user == quota->user &&
	       !is_under(quota->user->count, limits->user);
}

static bool find_any_idle(const struct quota *quota, unsigned *worker)
{
	int found = quota_find_idle(quota, QUOTA_WORKERS_MAX);

	if (found >= 0)
		*worker = (unsigned)found;
	return found >= 0;
}

bool quota_find_rival(struct quota *quota, const struct quota_limits *limits,
		      unsigned *worker, char **pool_key)
{
	bool is_found = false;

	lock_registry(quota->home);
	LIST_FOREACH (link, &quota->home->shared.all) {
		struct quota *other = LIST_ENTRY(link, struct quota, link);

		if (!is_rival(quota, other, limits) ||
		    !find_any_idle(other, worker))
			continue;
		*pool_key = xstrdup(other->pool_key);
		is_found = true;
		break;
	}
	unlock_registry(quota->home);
	return is_found;
}
