#ifndef PGWEIR_CORE_STMTSCOPE_H
#define PGWEIR_CORE_STMTSCOPE_H

/*
 * Where a statement's text means the same: one database, one user, and the
 * settings that decide how a text is read (settings_parsing).  Scopes are
 * interned: who has equal ones has the same pointer.  Any thread.
 */
#include <stdint.h>

struct settings;
struct stmtscope;

/* Who asks, and where. */
struct stmtscope_place {
	const char *database; /* as clients know it */
	const char *dbname;   /* as its servers do: its schema's epoch */
	const char *user;     /* on the servers */
};

/* Settings are held, not copied; a reference of the caller's. */
struct stmtscope *stmtscope_open(const struct stmtscope_place *place,
				 const struct settings *settings);
/* One that nobody else ever has: settings that are not known. */
struct stmtscope *stmtscope_alone(const struct stmtscope_place *place);
struct stmtscope *stmtscope_hold(struct stmtscope *scope);
void stmtscope_release(struct stmtscope *scope);

/* Never 0, never reused. */
uint64_t stmtscope_id(const struct stmtscope *scope);
/* Those that decide how texts are read; NULL: not known. */
const struct settings *stmtscope_settings(const struct stmtscope *scope);
struct epoch *stmtscope_epoch(const struct stmtscope *scope);

#endif
