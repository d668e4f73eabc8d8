#ifndef PGWEIR_PROXY_QUOTA_H
#define PGWEIR_PROXY_QUOTA_H

/*
 * What all workers must agree on about one pool on one node: how many
 * servers may exist, and who waits for one, first come, first served.  A
 * worker comes here only to open or close a server, or when somebody waits.
 */
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct quotas;
struct quota;

/* Highest number of workers. */
enum { QUOTA_WORKERS_MAX = 64 };

/*
 * Waiters of two workers that came within this time of each other count as
 * simultaneous: then a server stays on the worker that it is on.
 */
enum { QUOTA_SLACK_US = 2000 };

/* Embedded in whatever waits; its owner's thread sets it up. */
struct quota_waiter {
	struct list all; /* guarded by the quota's mutex, like the next two */
	struct list mine;
	bool is_queued;
	unsigned worker;
	uint64_t session;
	uint64_t since_us;
};

struct quotas *quotas_new(void);
/* No quota may be open any more. */
void quotas_free(struct quotas *quotas);

/*
 * The quota of a pool, which is (database, user), on a node; opened by each
 * worker that has the pool, closed by each.  pool_key names the pool to its
 * workers.  Any thread.
 */
struct quota *quota_open(struct quotas *quotas, const char *pool_key,
			 const char *database, const char *user,
			 const char *node);
void quota_close(struct quota *quota);

/* Limits on one node; 0: none. */
struct quota_limits {
	unsigned pool;
	unsigned database;
	unsigned user;
};

enum quota_answer {
	QUOTA_GRANTED,    /* one server more may be opened; it is counted now */
	QUOTA_POOL_FULL,  /* this pool has as many as it may have */
	QUOTA_SHARED_FULL /* another pool's server would have to go first */
};

/* Any thread; exact over all workers. */
enum quota_answer quota_try_open(struct quota *quota,
				 const struct quota_limits *limits);

/* A server counted by quota_try_open is gone. */
void quota_note_closed(struct quota *quota);

/*
 * The same for a connection that counts against the limits of database and
 * user alone: its pool's size and servers know nothing of it.
 */
enum quota_answer quota_try_own(struct quota *quota,
				const struct quota_limits *limits);
void quota_note_own_closed(struct quota *quota);

/*
 * The same for a server that came to a worker which no longer has its pool:
 * whoever else has it counts on.
 */
void quota_note_lost(struct quotas *quotas, const char *pool_key,
		     const char *node);

/* Servers of this pool on this node, over all workers. */
unsigned quota_servers(const struct quota *quota);

/* Servers being opened, over all workers: not one per waiter and worker. */
void quota_note_opening(struct quota *quota, int change);
unsigned quota_opening(const struct quota *quota);

/* --- waiting --- */

void quota_waiter_init(struct quota_waiter *waiter, unsigned worker,
		       uint64_t session);
void quota_wait(struct quota *quota, struct quota_waiter *waiter,
		uint64_t now_us);

/* Leaves the queue; false when it was taken out already: a grant comes. */
bool quota_leave(struct quota *quota, struct quota_waiter *waiter);

unsigned quota_waiting(const struct quota *quota);

/* When the first of all waiters came; 0 without one. */
uint64_t quota_first_wait(struct quota *quota);

/* More waiters than count came at this time or before. */
bool quota_is_overdue(struct quota *quota, unsigned count, uint64_t since_us);

/*
 * Takes the waiter whose turn it is, seen from a worker that has a server at
 * hand; false when nobody waits.
 */
bool quota_next(struct quota *quota, unsigned worker, unsigned *to_worker,
		uint64_t *session);

/* The same for a worker's own waiters alone: to tell them bad news. */
bool quota_next_own(struct quota *quota, unsigned worker, uint64_t *session);

/* --- idle servers elsewhere --- */

/*
 * How many idle servers a worker has: said by that worker, so that another
 * one, whose clients wait, knows whom to ask.
 */
void quota_set_idle(struct quota *quota, unsigned worker, unsigned idle);

/* A worker other than this one with an idle server; -1: none. */
int quota_find_idle(const struct quota *quota, unsigned not_worker);

/*
 * A worker with an idle server of another pool that counts against the same
 * full database or user limit, and that pool's key (the caller frees it);
 * false when there is none.
 */
bool quota_find_rival(struct quota *quota, const struct quota_limits *limits,
		      unsigned *worker, char **pool_key);

#endif
