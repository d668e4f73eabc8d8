/*
 * Scopes of prepared statements.
 *
 * A scope's identity is the names of its place and the pointer of its
 * settings, which are interned themselves and held for as long as it lives.
 * One that stands alone has its own number instead.
 *
 * Refuses to know which settings matter: that is the settings' own.
 */
#include "core/stmtscope.h"

#include "base/util.h"
#include "core/epoch.h"
#include "core/intern.h"
#include "core/settings.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct stmtscope {
	struct intern_item item; /* its bytes are the names of the place */
	uint64_t id;
	const struct settings *settings; /* NULL: it stands alone */
	struct epoch *epoch;
	char names[];
};

static struct intern_table scopes = INTERN_TABLE_INIT;
static _Atomic uint64_t last_id;

static struct stmtscope *scope_of(struct intern_item *item)
{
	return (struct stmtscope *)(void *)((char *)item -
					    offsetof(struct stmtscope, item));
}

static char *put(char *at, const char *name)
{
	size_t size = strlen(name) + 1;

	memcpy(at, name, size);
	return at + size;
}

static struct stmtscope *scope_new(const struct stmtscope_place *place)
{
	size_t len = strlen(place->database) + strlen(place->dbname) +
		     strlen(place->user) + 3;
	struct stmtscope *scope = xcalloc(1, sizeof(*scope) + len);
	char *at = put(scope->names, place->database);

	at = put(at, place->dbname);
	(void)put(at, place->user);
	scope->item.data = scope->names;
	scope->item.len = len;
	scope->epoch = epoch_open(place->dbname);
	scope->id = atomic_fetch_add(&last_id, 1) + 1;
	return scope;
}

static void scope_free(struct stmtscope *scope)
{
	if (scope->settings)
		settings_release(scope->settings);
	epoch_release(scope->epoch);
	free(scope);
}

/* Sets and numbers of lone scopes cannot be confused: numbers are odd. */
static struct stmtscope *intern(struct stmtscope *fresh, uint64_t group)
{
	struct intern_item *found;

	fresh->item.group = group;
	found = intern_add(&scopes, &fresh->item);
	if (found != &fresh->item)
		scope_free(fresh);
	return scope_of(found);
}

struct stmtscope *stmtscope_open(const struct stmtscope_place *place,
				 const struct settings *settings)
{
	const struct settings *parsing = settings_parsing(settings);
	struct stmtscope *scope = scope_new(place);

	scope->settings = settings_hold(parsing);
	return intern(scope, (uint64_t)(uintptr_t)parsing);
}

struct stmtscope *stmtscope_alone(const struct stmtscope_place *place)
{
	struct stmtscope *scope = scope_new(place);

	return intern(scope, scope->id * 2 + 1);
}

struct stmtscope *stmtscope_hold(struct stmtscope *scope)
{
	intern_hold(&scope->item);
	return scope;
}

void stmtscope_release(struct stmtscope *scope)
{
	if (intern_drop(&scopes, &scope->item))
		scope_free(scope);
}

uint64_t stmtscope_id(const struct stmtscope *scope)
{
	return scope->id;
}

const struct settings *stmtscope_settings(const struct stmtscope *scope)
{
	return scope->settings;
}

struct epoch *stmtscope_epoch(const struct stmtscope *scope)
{
	return scope->epoch;
}
