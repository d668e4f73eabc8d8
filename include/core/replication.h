#ifndef PGWEIR_CORE_REPLICATION_H
#define PGWEIR_CORE_REPLICATION_H

/*
 * The startup packet of a replication connection (PostgreSQL docs,
 * "Streaming Replication Protocol"): which kind it asks for, and what it
 * says beside that, kept as it came.  Pure.
 */
#include <stddef.h>

struct pgwire_startup;
struct replication_startup;

enum replication {
	REPLICATION_NONE,
	REPLICATION_PHYSICAL, /* replication=true: no database */
	REPLICATION_LOGICAL,  /* replication=database */
	REPLICATION_BAD       /* a value that PostgreSQL refuses */
};

/* What the parameter's value means; NULL, not given: NONE. */
enum replication replication_read(const char *value);

/* "none", "physical", "logical": the console's and the metrics' words. */
const char *replication_name(enum replication kind);

/*
 * A copy of all parameters but user, database and protocol options; kind is
 * PHYSICAL or LOGICAL.
 */
struct replication_startup *replication_keep(
	const struct pgwire_startup *startup, enum replication kind);
void replication_free(struct replication_startup *kept); /* NULL is fine */

enum replication replication_kind(const struct replication_startup *kept);
/* The value of a parameter, or NULL. */
const char *replication_get(const struct replication_startup *kept,
			    const char *name);
/* Name, value, name, value ...; *count says how many pairs. */
const char *const *replication_pairs(const struct replication_startup *kept,
				     size_t *count);

#endif
