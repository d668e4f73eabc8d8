#ifndef PGWEIR_CORE_STMTMAP_H
#define PGWEIR_CORE_STMTMAP_H

/*
 * Prepared statements, named by many clients and kept by many servers.
 *
 * struct stmt     one distinct (scope, text, parameter types), interned for
 *                 the whole process and shared by reference; its number makes
 *                 the name that servers know it by
 * struct stmtmap  a client's names
 * struct stmtset  what one server has prepared, least recently used last
 */
#include "core/sqlclass.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stmt;
struct stmtscope;

/* Longest server-side name, with its NUL: "pgweir_" and 16 hex digits. */
enum { STMT_NAME_MAX = 24 };

/*
 * tail is the body of a Parse behind the name: query, NUL, types.  Returns a
 * reference of the caller's.  Any thread.
 */
struct stmt *stmt_intern(const void *tail, size_t len);
/* The same within a scope (stmtscope.h), which it holds; NULL: none. */
struct stmt *stmt_intern_in(struct stmtscope *scope, const void *tail,
			    size_t len);
/* One that exists, with a reference of the caller's, or NULL. */
struct stmt *stmt_find_in(struct stmtscope *scope, const void *tail,
			  size_t len);
struct stmt *stmt_hold(struct stmt *stmt);
void stmt_release(struct stmt *stmt);

const void *stmt_tail(const struct stmt *stmt, size_t *len);
const char *stmt_query(const struct stmt *stmt, size_t *len);
/* The name on servers, NUL-terminated; lives as long as the statement. */
const char *stmt_server_name(const struct stmt *stmt);
uint64_t stmt_id(const struct stmt *stmt);
struct stmtscope *stmt_scope(const struct stmt *stmt);

/*
 * Known good: some server of its scope has prepared the statement in the
 * epoch (epoch.h) that its database is still in.  Note the epoch when the
 * Parse is sent, and say so when it was answered.  Any thread.
 */
uint64_t stmt_epoch(const struct stmt *stmt);
void stmt_note_good(struct stmt *stmt, uint64_t epoch);
bool stmt_is_good(const struct stmt *stmt);
/*
 * What a server has told of it: the body of its ParameterDescription, and
 * whether it has columns.  Told once; any thread.  NULL: nothing yet; lives
 * as long as the statement.
 */
struct stmt_shape {
	bool has_result;
	size_t len;
	uint8_t types[];
};
const struct stmt_shape *stmt_shape(const struct stmt *stmt);
void stmt_note_shape(struct stmt *stmt, const void *types, size_t len,
		     bool has_result);
/* Number of statements alive in the process. */
size_t stmt_count(void);

/* --- a client's names -------------------------------------------------- */

struct stmtmap;

/* What a name stands for; the class was judged when it was parsed. */
struct stmtmap_entry {
	struct stmt *stmt;
	struct sqlclass judged;
	uint64_t catalog_id; /* that the class was judged by */
	uint64_t serial;     /* the owner's number for this use of the name */
	bool is_settled;     /* its Parse was answered, not failed */
	bool is_second;      /* the statement has an older name here */
	uint64_t former;     /* number of what it was before it was read anew */
	bool is_shared;      /* unnamed, but on servers by its number */
	uint64_t told;       /* columns.h: that the client reads by; 0 none */
	/* Of SQL: the text is a PREPARE, and what it prepares begins here. */
	size_t query_at;
};

struct stmtmap *stmtmap_new(void);
void stmtmap_free(struct stmtmap *map); /* NULL is fine */

/* Borrowed until the map changes; NULL for an unknown name. */
struct stmtmap_entry *stmtmap_find(const struct stmtmap *map, const char *name);
/*
 * Takes a reference of its own; replaces what the name stood for.  Memory
 * of all names is bounded only by the client's own behaviour, as in
 * PostgreSQL.
 */
struct stmtmap_entry *stmtmap_put(struct stmtmap *map, const char *name,
				  struct stmt *stmt);
void stmtmap_remove(struct stmtmap *map, const char *name);
void stmtmap_clear(struct stmtmap *map);
/* All but the unnamed one. */
void stmtmap_clear_named(struct stmtmap *map);
/* The next name in no order; *at begins with 0; false behind the last. */
bool stmtmap_next(const struct stmtmap *map, size_t *at, const char **name,
		  struct stmtmap_entry **entry);
size_t stmtmap_count(const struct stmtmap *map);
/* From here on the name stands for another statement, otherwise as before. */
void stmtmap_change(struct stmtmap *map, struct stmtmap_entry *entry,
		    struct stmt *stmt);
/*
 * A name that stands for the statement of this number, the oldest if there
 * are several; or NULL.  A walk.
 */
const char *stmtmap_name_of(const struct stmtmap *map, uint64_t id);

/* --- what one server has prepared --------------------------------------- */

struct stmtset;

struct stmtset *stmtset_new(size_t limit);
void stmtset_free(struct stmtset *set);

/* Member, whether its Parse was answered or not. */
bool stmtset_has(const struct stmtset *set, const struct stmt *stmt);
/* True when the server has it; marks it as just used. */
bool stmtset_use(struct stmtset *set, const struct stmt *stmt);
/* Says that the server has it now; takes a reference of its own. */
void stmtset_add(struct stmtset *set, struct stmt *stmt);
void stmtset_remove(struct stmtset *set, const struct stmt *stmt);

/*
 * The batch whose Parse, not answered yet, is to bring the statement: until
 * then no other batch can rely on it.  0, as after stmtset_add: it is there.
 */
void stmtset_set_batch(struct stmtset *set, const struct stmt *stmt,
		       uint64_t batch);
/* 0 also for a statement that is no member. */
uint64_t stmtset_batch(const struct stmtset *set, const struct stmt *stmt);

/*
 * The epoch that it was sent in: in a later one, what the server has is
 * stale.  0, as after stmtset_add: nobody knows.  STMTSET_STALE: it is.
 */
#define STMTSET_STALE UINT64_MAX

void stmtset_set_epoch(struct stmtset *set, const struct stmt *stmt,
		       uint64_t epoch);
/* When it was sent last, in us; 0: never, or no member. */
void stmtset_set_sent(struct stmtset *set, const struct stmt *stmt,
		      uint64_t now_us);
uint64_t stmtset_sent_us(const struct stmtset *set, const struct stmt *stmt);
/*
 * What its columns are there (columns.h); 0, as after stmtset_add: nobody has
 * asked.
 */
void stmtset_set_columns(struct stmtset *set, const struct stmt *stmt,
			 uint64_t columns);
uint64_t stmtset_columns(const struct stmtset *set, const struct stmt *stmt);
/*
 * As stmtset_use, and it can be relied upon in this batch: confirmed, or of
 * the batch itself, and of the statement's present epoch.
 */
bool stmtset_use_fresh(struct stmtset *set, const struct stmt *stmt,
		       uint64_t batch);

void stmtset_clear(struct stmtset *set);
size_t stmtset_count(const struct stmtset *set);
/* At its limit: another one needs an eviction. */
bool stmtset_is_full(const struct stmtset *set);
/*
 * When the set is at its limit: takes out the least recently used statement
 * and returns it (the caller's reference, for the Close that must be sent),
 * else NULL.
 */
struct stmt *stmtset_evict(struct stmtset *set);
/* By its name on servers; a walk.  Borrowed, or NULL. */
struct stmt *stmtset_find(const struct stmtset *set, const char *server_name);
/* The same of any set that is not empty. */
struct stmt *stmtset_take(struct stmtset *set);

#endif
