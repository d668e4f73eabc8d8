#ifndef PGWEIR_PROXY_POOL_REPLICA_H
#define PGWEIR_PROXY_POOL_REPLICA_H

/*
 * Which of a pool's replicas serves the next read.  The worker's thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct pool;
struct pool_node;
struct ticket;

struct pool_wish {
	uint64_t max_age_us;         /* of its data; 0: max_replica_lag */
	const struct ticket *ticket; /* it must show this; NULL: nothing */
	int preferred;               /* taken if it may be; -1: none */
	bool may_shift;   /* ... or another one that is used far less */
	bool may_wait;    /* for it, rather than crowd another one */
	unsigned avoided; /* one more than the index of one not to be taken */
};

struct pool_choice {
	int node;        /* index in the pool, -1 none */
	bool is_lagging; /* one was passed over for its lag */
	bool is_behind;  /* ... since it does not show what it must, yet */
	bool is_shift;   /* not the preferred one, though that would do */
};

/*
 * The replica that may serve a read: the preferred one, else the one that
 * has least to do for its weight (core/replicas).
 */
struct pool_choice pool_replica(const struct pool *pool,
				const struct pool_wish *wish);

/* A read goes to a replica's server; it was answered, in that time. */
void pool_note_read(struct pool_node *node);
void pool_note_answer(struct pool_node *node, uint64_t took_us);
/* A session will read from this one: so many reads are counted ahead. */
void pool_note_settled(struct pool *pool, unsigned index, unsigned reads);

/* What a worker's pools have to do with a node; sums. */
struct pool_work {
	unsigned outstanding; /* servers that are not idle */
	uint64_t reads;       /* sent to it as a replica */
	uint64_t response_us; /* of reads, smoothed, of all who know */
	unsigned timed;       /* ... which are so many */
};
void pool_node_add_work(const struct pool_node *node, struct pool_work *work);

/* After topology or configuration have changed. */
void pool_price_replicas(struct pool *pool);

#endif
