/*
 * Prepared statements: what is interned of them, and a client's names.
 *
 * The text and the parameter types of a Parse are kept once for the process,
 * whoever sends them and under whatever name; the statement's number names it
 * on every server.  Numbers are never reused, so that a name on a server
 * cannot come to mean another text.
 *
 * A statement is immutable and shared by all threads.  A map belongs to its
 * client's thread.  Which statements a server has is stmtset's.
 */
#include "core/stmtmap.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/epoch.h"
#include "core/intern.h"
#include "core/stmtscope.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stmt {
	struct intern_item item; /* its bytes are the tail */
	struct stmtscope *scope; /* NULL: none */
	uint64_t id;
	_Atomic uint64_t good; /* the epoch in which it was; 0 never */
	_Atomic(struct stmt_shape *) shape; /* NULL: not told yet */
	size_t query_len;
	char name[STMT_NAME_MAX];
	char tail[];
};

static struct intern_table statements = INTERN_TABLE_INIT;
static _Atomic uint64_t last_id;

/* --- statements ----------------------------------------------------------- */

static struct stmt *stmt_of(struct intern_item *item)
{
	return (struct stmt *)(void *)((char *)item -
				       offsetof(struct stmt, item));
}

static uint64_t group_of(const struct stmtscope *scope)
{
	return scope ? stmtscope_id(scope) : 0;
}

static struct stmt *stmt_new(struct stmtscope *scope, const void *tail,
			     size_t len)
{
	struct stmt *stmt = xmalloc(sizeof(*stmt) + len + 1);

	if (len > 0)
		memcpy(stmt->tail, tail, len);
	stmt->tail[len] = '\0';
	stmt->scope = scope ? stmtscope_hold(scope) : NULL;
	stmt->item.group = group_of(scope);
	stmt->item.data = stmt->tail;
	stmt->item.len = len;
	stmt->query_len = strlen(stmt->tail);
	atomic_init(&stmt->good, 0);
	atomic_init(&stmt->shape, NULL);
	stmt->id = atomic_fetch_add(&last_id, 1) + 1;
	(void)snprintf(stmt->name, sizeof(stmt->name), "pgweir_%" PRIx64,
		       stmt->id);
	return stmt;
}

static void stmt_free(struct stmt *stmt)
{
	if (stmt->scope)
		stmtscope_release(stmt->scope);
	free(atomic_load(&stmt->shape));
	free(stmt);
}

struct stmt *stmt_find_in(struct stmtscope *scope, const void *tail, size_t len)
{
	struct intern_item *found =
		intern_find_in(&statements, group_of(scope), tail, len);

	return found ? stmt_of(found) : NULL;
}

struct stmt *stmt_intern_in(struct stmtscope *scope, const void *tail,
			    size_t len)
{
	struct stmt *fresh = stmt_find_in(scope, tail, len);
	struct intern_item *found;

	if (fresh)
		return fresh;
	fresh = stmt_new(scope, tail, len);
	found = intern_add(&statements, &fresh->item);
	/* Another thread may have been first with the same text. */
	if (found != &fresh->item)
		stmt_free(fresh);
	return stmt_of(found);
}

struct stmt *stmt_intern(const void *tail, size_t len)
{
	return stmt_intern_in(NULL, tail, len);
}

struct stmt *stmt_hold(struct stmt *stmt)
{
	intern_hold(&stmt->item);
	return stmt;
}

void stmt_release(struct stmt *stmt)
{
	if (intern_drop(&statements, &stmt->item))
		stmt_free(stmt);
}

const void *stmt_tail(const struct stmt *stmt, size_t *len)
{
	*len = stmt->item.len;
	return stmt->tail;
}

const char *stmt_query(const struct stmt *stmt, size_t *len)
{
	*len = stmt->query_len;
	return stmt->tail;
}

const char *stmt_server_name(const struct stmt *stmt)
{
	return stmt->name;
}

uint64_t stmt_id(const struct stmt *stmt)
{
	return stmt->id;
}

struct stmtscope *stmt_scope(const struct stmt *stmt)
{
	return stmt->scope;
}

uint64_t stmt_epoch(const struct stmt *stmt)
{
	return stmt->scope ? epoch_now(stmtscope_epoch(stmt->scope)) : 0;
}

void stmt_note_good(struct stmt *stmt, uint64_t epoch)
{
	atomic_store_explicit(&stmt->good, epoch, memory_order_relaxed);
}

bool stmt_is_good(const struct stmt *stmt)
{
	uint64_t good = atomic_load_explicit(&stmt->good, memory_order_relaxed);

	return good != 0 && good == stmt_epoch(stmt);
}

const struct stmt_shape *stmt_shape(const struct stmt *stmt)
{
	return atomic_load_explicit(&stmt->shape, memory_order_acquire);
}

/* Who is told first says it: readers keep the pointer. */
void stmt_note_shape(struct stmt *stmt, const void *types, size_t len,
		     bool has_result)
{
	struct stmt_shape *shape = xmalloc(sizeof(*shape) + len);
	struct stmt_shape *before = NULL;

	shape->has_result = has_result;
	shape->len = len;
	memcpy(shape->types, types, len);
	if (!atomic_compare_exchange_strong(&stmt->shape, &before, shape))
		free(shape);
}

size_t stmt_count(void)
{
	return intern_count(&statements);
}

/* --- a client's names ----------------------------------------------------- */

/* The unnamed statement has a place of its own: most drivers use no other. */
struct stmtmap {
	struct stmtmap_entry unnamed; /* its stmt is NULL: there is none */
	struct strmap *named;         /* NULL until the first name */
	/* By names on servers: entries that are not second. */
	struct strmap *firsts;
};

struct stmtmap *stmtmap_new(void)
{
	return xcalloc(1, sizeof(struct stmtmap));
}

static void entry_free(void *value)
{
	struct stmtmap_entry *entry = value;

	stmt_release(entry->stmt);
	free(entry);
}

static void remove_unnamed(struct stmtmap *map)
{
	if (map->unnamed.stmt)
		stmt_release(map->unnamed.stmt);
	map->unnamed = (struct stmtmap_entry){ 0 };
}

void stmtmap_clear_named(struct stmtmap *map)
{
	strmap_free(map->named, entry_free);
	strmap_free(map->firsts, NULL);
	map->named = NULL;
	map->firsts = NULL;
}

void stmtmap_clear(struct stmtmap *map)
{
	remove_unnamed(map);
	stmtmap_clear_named(map);
}

bool stmtmap_next(const struct stmtmap *map, size_t *at, const char **name,
		  struct stmtmap_entry **entry)
{
	void *value;

	if (!map->named || !strmap_next(map->named, at, name, &value))
		return false;
	*entry = value;
	return true;
}

void stmtmap_free(struct stmtmap *map)
{
	if (!map)
		return;
	stmtmap_clear(map);
	free(map);
}

struct stmtmap_entry *stmtmap_find(const struct stmtmap *map, const char *name)
{
	if (name[0] == '\0')
		return map->unnamed.stmt ? (struct stmtmap_entry *)&map->unnamed
					 : NULL;
	return map->named ? strmap_get(map->named, name) : NULL;
}

static struct stmtmap_entry *place_for(struct stmtmap *map, const char *name)
{
	struct stmtmap_entry *entry = stmtmap_find(map, name);

	if (entry)
		return entry;
	if (name[0] == '\0')
		return &map->unnamed;
	if (!map->named)
		map->named = strmap_new();
	entry = xcalloc(1, sizeof(*entry));
	(void)strmap_put(map->named, name, entry);
	return entry;
}

/* The entry's statement is about to be another one. */
static void leave_firsts(struct stmtmap *map, const struct stmtmap_entry *entry)
{
	if (map->firsts && entry->stmt && !entry->is_second)
		(void)strmap_remove(map->firsts, stmt_server_name(entry->stmt));
}

/* Does its statement have an older name? */
static void join_firsts(struct stmtmap *map, struct stmtmap_entry *entry)
{
	const char *key = stmt_server_name(entry->stmt);

	if (!map->firsts)
		map->firsts = strmap_new();
	entry->is_second = strmap_get(map->firsts, key) != NULL;
	if (!entry->is_second)
		(void)strmap_put(map->firsts, key, entry);
}

void stmtmap_change(struct stmtmap *map, struct stmtmap_entry *entry,
		    struct stmt *stmt)
{
	struct stmt *old = entry->stmt;

	if (entry != &map->unnamed)
		leave_firsts(map, entry);
	/* Held before the old one is dropped: they may be the same. */
	entry->stmt = stmt_hold(stmt);
	if (entry != &map->unnamed)
		join_firsts(map, entry);
	if (old)
		stmt_release(old);
}

struct stmtmap_entry *stmtmap_put(struct stmtmap *map, const char *name,
				  struct stmt *stmt)
{
	struct stmtmap_entry *entry = place_for(map, name);

	stmtmap_change(map, entry, stmt);
	*entry = (struct stmtmap_entry){ .stmt = entry->stmt,
					 .is_second = entry->is_second };
	return entry;
}

void stmtmap_remove(struct stmtmap *map, const char *name)
{
	struct stmtmap_entry *entry = NULL;

	if (name[0] == '\0')
		remove_unnamed(map);
	else if (map->named)
		entry = strmap_remove(map->named, name);
	if (!entry)
		return;
	leave_firsts(map, entry);
	entry_free(entry);
}

size_t stmtmap_count(const struct stmtmap *map)
{
	size_t count = map->unnamed.stmt ? 1 : 0;

	return map->named ? count + strmap_count(map->named) : count;
}

const char *stmtmap_name_of(const struct stmtmap *map, uint64_t id)
{
	const char *found = NULL;
	const char *name;
	void *value;
	size_t at = 0;

	while (map->named && strmap_next(map->named, &at, &name, &value)) {
		const struct stmtmap_entry *entry = value;

		if (stmt_id(entry->stmt) != id) {
			if (!found && entry->former == id)
				found = name;
			continue;
		}
		found = name;
		if (!entry->is_second)
			break;
	}
	if (!found && map->unnamed.is_shared &&
	    stmt_id(map->unnamed.stmt) == id)
		return "";
	return found;
}
