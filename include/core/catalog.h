#ifndef PGWEIR_CORE_CATALOG_H
#define PGWEIR_CORE_CATALOG_H

/*
 * What one database holds, as far as routing must know: an immutable
 * snapshot, built on the main thread, shared by reference count.  Names are
 * as stored (folded to lower case unless they were quoted).  A name without
 * a schema means any schema: the worst of its owners counts.
 */
#include "core/sqlfacts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog;
struct catalog_builder;

/*
 * Filling: begin, add in any order, finish.  The built-in functions and
 * system relations of pg_catalog and information_schema are known without
 * being added.
 */
struct catalog_builder *catalog_builder_new(void);
void catalog_builder_free(struct catalog_builder *builder);

/* effects: bits of enum sqlclass_effect that a call leaves in the session. */
void catalog_add_function(struct catalog_builder *builder, const char *schema,
			  const char *name, enum catalog_function kind,
			  uint32_t effects);
void catalog_add_relation(struct catalog_builder *builder, const char *schema,
			  const char *name, enum catalog_relation kind);

/*
 * Things that run a volatile function without a call in the text: operators,
 * types (domains with checks), and functions of one composite argument, which
 * "row.name" calls.  Names without a schema.
 */
enum catalog_hidden {
	HIDDEN_OPERATOR,
	HIDDEN_TYPE,
	HIDDEN_ATTRIBUTE,
	/* Anything that shows when the transaction began. */
	HIDDEN_TIME,
	/* Relations whose reading may leave something in the session. */
	HIDDEN_LEAVING,
	/* Settings of logins, by role ("": all) ... */
	HIDDEN_SNAPSHOTS, /* default_transaction_isolation above READ COMMITTED
			   */
	HIDDEN_ASYNCHRONOUS, /* synchronous_commit = off */
	HIDDEN_LATE          /* wal_writer_delay is longer than usual */
};

void catalog_add_hidden(struct catalog_builder *builder,
			enum catalog_hidden what, const char *name);

/*
 * Something volatile cannot be seen in any text (an implicit cast): no
 * statement of this database is certain.
 */
void catalog_set_uncertain(struct catalog_builder *builder);

/*
 * Something volatile stands behind what every text may use without a name
 * (the = of IN and CASE, the ~~ of LIKE): no statement is a read.
 */
void catalog_set_treacherous(struct catalog_builder *builder);

/* Any write may leave something in the session: triggers do. */
void catalog_set_hidden_writes(struct catalog_builder *builder);

/* Some default, check, view or rule calls currval() or lastval(). */
void catalog_set_reading_back(struct catalog_builder *builder);

/* Takes the builder; the result carries one reference. */
struct catalog *catalog_finish(struct catalog_builder *builder);
struct catalog *catalog_hold(const struct catalog *catalog);
void catalog_release(const struct catalog *catalog);

/*
 * The time from before which it has everything that was committed; set before
 * the snapshot is shared.  0 for NULL.
 */
void catalog_set_as_of(struct catalog *catalog, uint64_t as_of_us);
uint64_t catalog_as_of_us(const struct catalog *catalog);

/* Unique per snapshot in this process; 0 for NULL (nothing loaded). */
uint64_t catalog_id(const struct catalog *catalog);

/* Equal for snapshots that say the same, else almost surely not. */
uint64_t catalog_digest(const struct catalog *catalog);

/*
 * Look-ups; names need no NUL.  schema_len 0: any schema.  A NULL catalog
 * knows the built-in names only.  effects may be NULL.
 */
enum catalog_function catalog_find_function(const struct catalog *catalog,
					    const char *schema,
					    size_t schema_len, const char *name,
					    size_t name_len, uint32_t *effects);
enum catalog_relation catalog_find_relation(const struct catalog *catalog,
					    const char *schema,
					    size_t schema_len, const char *name,
					    size_t name_len);

/* True when the name is in the hidden list; false for NULL. */
bool catalog_is_hidden(const struct catalog *catalog, enum catalog_hidden what,
		       const char *name, size_t name_len);
/* The same of a role, or of all. */
bool catalog_is_role(const struct catalog *catalog, enum catalog_hidden what,
		     const char *role);

/* Whether no text of this database can be known as a read. */
bool catalog_is_treacherous(const struct catalog *catalog);

/* Whether known-safe parts make a safe whole in this database. */
bool catalog_is_certain(const struct catalog *catalog);

/* Whether writes may leave something in the session by triggers. */
bool catalog_hides_writes(const struct catalog *catalog);

/* Whether something stored reads back what a sequence gave. */
bool catalog_reads_back(const struct catalog *catalog);

/* True when all functions of that name are built in. */
bool catalog_is_builtin(const struct catalog *catalog, const char *schema,
			size_t schema_len, const char *name, size_t name_len);

/* How many functions and relations were added, for log lines. */
size_t catalog_functions(const struct catalog *catalog);
size_t catalog_relations(const struct catalog *catalog);

#endif
