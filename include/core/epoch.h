#ifndef PGWEIR_CORE_EPOCH_H
#define PGWEIR_CORE_EPOCH_H

/*
 * The age of a database's schema: a number that moves on whenever DDL has
 * passed, or was found to have.  What was learned in another epoch is not
 * known any more.  One per name of a database on its servers, shared by all
 * that know it; any thread.
 *
 * Beside it stands what is known of the clients of that database: whether
 * they read what sequences have given them, or want locks in READ ONLY blocks.
 */
#include <stdbool.h>
#include <stdint.h>

struct epoch;

/* Made when missing; a reference of the caller's. */
struct epoch *epoch_open(const char *dbname);
struct epoch *epoch_hold(struct epoch *epoch);
void epoch_release(struct epoch *epoch);

/* Never 0, and never a number of another epoch, wherever it was. */
uint64_t epoch_now(const struct epoch *epoch);
/* The schema has changed, or may have. */
void epoch_advance(struct epoch *epoch);

/* The same by name: nothing happens when nobody has it open. */
void epoch_advance_of(const char *dbname);

/*
 * A name may mean something else since now_us, until the catalog is read
 * again: the latest such time, 0 if there was none.
 */
void epoch_redefine(struct epoch *epoch, uint64_t now_us);
uint64_t epoch_redefined_us(const struct epoch *epoch);

/*
 * Whether a catalog that has everything from before as_of_us may be wrong
 * about a name; by name, nobody need have it open.
 */
bool epoch_outdates(const struct epoch *epoch, uint64_t as_of_us);
bool epoch_outdates_of(const char *dbname, uint64_t as_of_us);

/*
 * What nobody can see through (DO, CALL, a volatile function) has run until
 * now_us, and it may have been DDL: the latest such time, 0 if there was none.
 */
void epoch_note_hidden(struct epoch *epoch, uint64_t now_us);
uint64_t epoch_hidden_us(const struct epoch *epoch);

/*
 * Somebody has asked for currval() or lastval(): that is not forgotten for as
 * long as the process lives.
 */
void epoch_note_sequence_reader(struct epoch *epoch);
bool epoch_has_sequence_readers(const struct epoch *epoch);

/*
 * A block that was tied to its replica has asked for what only the primary
 * has; that is not forgotten either.
 */
void epoch_note_tied_block(struct epoch *epoch);
bool epoch_has_tied_blocks(const struct epoch *epoch);

#endif
