/*
 * One list of shut databases and one ring of the last changes, under a mutex:
 * both are touched when DDL about databases or roles runs, or when a server
 * or a pool is opened; atomic counters tell the rest that there is nothing
 * to do.
 *
 * The ring forgets.  By the time that it does, either every worker has taken
 * the change in, or it is told that everything has changed.
 */
#include "proxy/changes.h"

#include "base/util.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	RING = 64,
	/* At a time; a statement more goes on without. */
	SHUTS = 64
};

struct shut {
	uint64_t owner;
	uint64_t until_us;
	struct dbddl_names names;
};

struct changes {
	_Atomic unsigned shut_count;
	_Atomic uint64_t owners;
	_Atomic uint64_t count;
	struct {
		pthread_mutex_t mutex;
		struct shut shuts[SHUTS];
		struct change ring[RING]; /* change n stands at n % RING */
		uint64_t forgotten_us;    /* the last that fell out of it */
	} shared;
};

struct changes *changes_new(void)
{
	struct changes *changes = xcalloc(1, sizeof(*changes));

	(void)pthread_mutex_init(&changes->shared.mutex, NULL);
	return changes;
}

void changes_free(struct changes *changes)
{
	(void)pthread_mutex_destroy(&changes->shared.mutex);
	free(changes);
}

static void lock(struct changes *changes)
{
	(void)pthread_mutex_lock(&changes->shared.mutex);
}

static void unlock(struct changes *changes)
{
	(void)pthread_mutex_unlock(&changes->shared.mutex);
}

/* --- shut databases --- */

uint64_t changes_owner(struct changes *changes)
{
	return atomic_fetch_add(&changes->owners, 1) + 1;
}

void changes_shut(struct changes *changes, uint64_t owner,
		  const struct dbddl_names *names, uint64_t until_us)
{
	unsigned count;

	assert(!names->is_all);
	lock(changes);
	count = atomic_load(&changes->shut_count);
	if (count < SHUTS) {
		changes->shared.shuts[count] = (struct shut){
			.owner = owner,
			.until_us = until_us,
			.names = *names,
		};
		atomic_store(&changes->shut_count, count + 1);
	}
	unlock(changes);
}

void changes_open(struct changes *changes, uint64_t owner)
{
	struct shut *shuts = changes->shared.shuts;
	unsigned kept = 0;
	unsigned count;

	lock(changes);
	count = atomic_load(&changes->shut_count);
	for (unsigned i = 0; i < count; i++)
		if (shuts[i].owner != owner)
			shuts[kept++] = shuts[i];
	atomic_store(&changes->shut_count, kept);
	unlock(changes);
}

bool changes_is_shut(struct changes *changes, const char *dbname,
		     uint64_t now_us)
{
	bool is_shut = false;

	if (atomic_load(&changes->shut_count) == 0)
		return false;
	lock(changes);
	for (unsigned i = 0; i < atomic_load(&changes->shut_count); i++) {
		const struct shut *shut = &changes->shared.shuts[i];

		is_shut |= now_us < shut->until_us &&
			   dbddl_has_name(&shut->names, dbname);
	}
	unlock(changes);
	return is_shut;
}

/* --- what was changed --- */

void changes_add(struct changes *changes, const struct change *change)
{
	uint64_t count;

	lock(changes);
	count = atomic_load(&changes->count);
	if (changes->shared.ring[count % RING].at_us >
	    changes->shared.forgotten_us)
		changes->shared.forgotten_us =
			changes->shared.ring[count % RING].at_us;
	changes->shared.ring[count % RING] = *change;
	atomic_store(&changes->count, count + 1);
	unlock(changes);
}

/* The mutex is held; nobody knows any more what was changed. */
static void read_lost(const struct changes *changes, uint64_t count,
		      struct change *change)
{
	*change = (struct change){
		.ddl = { .databases = { .is_all = true },
			 .gone = { .is_all = true } },
		.at_us = changes->shared.ring[(count - 1) % RING].at_us,
	};
}

bool changes_next(struct changes *changes, uint64_t *seen,
		  struct change *change)
{
	uint64_t count;

	if (changes_count(changes) == *seen)
		return false;
	lock(changes);
	count = atomic_load(&changes->count);
	if (count - *seen > RING) {
		read_lost(changes, count, change);
		*seen = count;
	} else {
		*change = changes->shared.ring[*seen % RING];
		++*seen;
	}
	unlock(changes);
	return true;
}

uint64_t changes_count(const struct changes *changes)
{
	return atomic_load_explicit(&changes->count, memory_order_relaxed);
}

uint64_t changes_last_us(struct changes *changes, const char *dbname,
			 const char *user)
{
	uint64_t last_us;
	uint64_t count;

	if (changes_count(changes) == 0)
		return 0;
	lock(changes);
	last_us = changes->shared.forgotten_us;
	count = atomic_load(&changes->count);
	for (uint64_t i = 0; i < RING && i < count; i++) {
		const struct change *change = &changes->shared.ring[i];

		if (change->at_us > last_us &&
		    dbddl_concerns(&change->ddl, dbname, user))
			last_us = change->at_us;
	}
	unlock(changes);
	return last_us;
}
