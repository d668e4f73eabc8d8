#ifndef PGWEIR_CORE_DBDDL_H
#define PGWEIR_CORE_DBDDL_H

/*
 * Statements about databases and roles: which databases must have no other
 * session while one runs, and for whom a server that was opened before is
 * not what PostgreSQL would give a new session afterwards.  Values only.
 */
#include "core/sqlfacts.h"
#include "core/sqllex.h"

#include <stdbool.h>
#include <stddef.h>

enum { DBDDL_NAMES_MAX = 4 };

/* A small set; one that overflows has everybody in it. */
struct dbddl_names {
	unsigned count;
	bool is_all;
	char names[DBDDL_NAMES_MAX][SQLLEX_NAME_MAX + 1];
};

struct dbddl {
	/* Databases that PostgreSQL wants for itself; never is_all. */
	struct dbddl_names empty;
	/* Databases and roles whose servers are old when it is done. */
	struct dbddl_names databases;
	struct dbddl_names roles;
	/* Databases that are gone then, or another than before. */
	struct dbddl_names gone;
	/* pg_reload_conf(): everybody's servers, on this node alone. */
	bool is_reload;
	/* None of it can be part of a transaction: it failed or was done. */
	bool is_alone;
};

/*
 * Adds what the statements of a text are about.  Names are as the server
 * stores them: folded, decoded, cut at 63 bytes.  What is not understood
 * adds nothing: PostgreSQL will most likely refuse it.  context: as for
 * sqlclass_judge; its catalog is not looked at.
 */
void dbddl_read(struct dbddl *ddl, const char *sql, size_t len,
		const struct sqlclass_context *context);

/* Adds all of more to ddl. */
void dbddl_merge(struct dbddl *ddl, const struct dbddl *more);

/* True when nothing has to be done before or afterwards. */
bool dbddl_is_nothing(const struct dbddl *ddl);

bool dbddl_has_name(const struct dbddl_names *names, const char *name);

/*
 * True when a new session of this user in this database is not like one that
 * began before; is_reload is not looked at.
 */
bool dbddl_concerns(const struct dbddl *ddl, const char *dbname,
		    const char *user);

#endif
