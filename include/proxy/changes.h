#ifndef PGWEIR_PROXY_CHANGES_H
#define PGWEIR_PROXY_CHANGES_H

/*
 * What clients have changed about databases and roles, for all threads: which
 * databases are shut while a statement wants them for itself, and what was
 * changed when, so that servers and replicas that are older can be told.
 */
#include "core/dbddl.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct changes;

struct changes *changes_new(void);
void changes_free(struct changes *changes);

/* --- shut databases --- */

/* A number for changes_shut that nobody else has. */
uint64_t changes_owner(struct changes *changes);

/*
 * No server of these databases is to be opened before changes_open or
 * until_us.  owner: who opens them again.  Any thread.
 */
void changes_shut(struct changes *changes, uint64_t owner,
		  const struct dbddl_names *names, uint64_t until_us);
/* Whatever the owner has shut. */
void changes_open(struct changes *changes, uint64_t owner);
/* Takes no lock while nothing is shut.  Any thread. */
bool changes_is_shut(struct changes *changes, const char *dbname,
		     uint64_t now_us);

/* --- what was changed --- */

struct change {
	struct dbddl ddl;
	uint64_t at_us; /* it was in force at the latest */
};

/* Any thread. */
void changes_add(struct changes *changes, const struct change *change);

/*
 * The next change behind *seen, which moves on; false when there is none.
 * Who has missed too many gets one that concerns everybody.
 */
bool changes_next(struct changes *changes, uint64_t *seen,
		  struct change *change);

/* How many there were; one relaxed load, to compare with *seen. */
uint64_t changes_count(const struct changes *changes);

/*
 * When the last change was in force that concerns servers of this database
 * for this user, or a later time; 0: none.
 */
uint64_t changes_last_us(struct changes *changes, const char *dbname,
			 const char *user);

#endif
