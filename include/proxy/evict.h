#ifndef PGWEIR_PROXY_EVICT_H
#define PGWEIR_PROXY_EVICT_H

/*
 * Getting out of the way of statements about databases and roles: a round
 * over all workers and the main thread before one runs, which closes what
 * nobody uses, and a round when it is done, which closes what is old.
 */
#include "core/dbddl.h"

#include <stdbool.h>
#include <stdint.h>

struct evict;
struct local;

/* A session that asked; its worker's thread.  It may be gone. */
typedef void evict_ready_fn(struct local *local, uint64_t session,
			    uint64_t owner);

/*
 * Shuts the databases that are to be empty, for some minutes at most, and
 * closes idle servers and connections of our own to them everywhere; then
 * ready is called.  Never from inside.
 */
void evict_begin(struct local *local, uint64_t session, uint64_t owner,
		 const struct dbddl *ddl, evict_ready_fn *ready);

/*
 * What the owner did is done, and in force since at_us at the latest: every
 * thread lets go of what is old, then the owner's databases are open again.
 */
void evict_end(struct local *local, uint64_t owner, const struct dbddl *ddl,
	       uint64_t at_us);

/* Nothing was done: the owner's databases are open again. */
void evict_give_up(struct local *local, uint64_t owner);

/* --- the main thread's part, see struct process --- */

const struct dbddl *evict_ddl(const struct evict *evict);
/* False: it begins.  True: it is done. */
bool evict_is_done(const struct evict *evict);
/* The main thread has done its part; takes the reference. */
void evict_confirm(struct evict *evict);
/* It could not, since everything ends; takes the reference. */
void evict_drop(struct evict *evict);

#endif
