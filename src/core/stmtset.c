/*
 * Which statements one server connection has prepared, and which of them was
 * used longest ago.
 *
 * A hash table by the statement's number (open addressing, linear probing, a
 * removal moves later ones of its run back) over nodes that are also links of
 * a list in order of use.  Every operation takes constant time and only
 * stmtset_add allocates; an empty set owns nothing but itself.  Numbers are
 * given out by us in sequence, so the hash needs no key.
 *
 * Invariant: the table and the list hold the same nodes; used <= 3/4 of room,
 * room is a power of two or 0.  A set belongs to its server's thread.
 */
#include "base/list.h"
#include "base/util.h"
#include "core/stmtmap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

struct node {
	struct list use; /* most recently used first */
	struct stmt *stmt;
	uint64_t batch;   /* 0: confirmed */
	uint64_t epoch;   /* 0: not known */
	uint64_t columns; /* 0: not known */
	uint64_t sent_us;
};

struct stmtset {
	struct node **slots;
	size_t room;
	size_t used;
	size_t limit;
	struct list by_use;
};

struct stmtset *stmtset_new(size_t limit)
{
	struct stmtset *set = xcalloc(1, sizeof(*set));

	set->limit = limit;
	list_init(&set->by_use);
	return set;
}

void stmtset_free(struct stmtset *set)
{
	if (!set)
		return;
	stmtset_clear(set);
	free(set);
}

/* Neighbours in number are spread by Knuth's multiplicative constant. */
static size_t home_of(const struct stmtset *set, const struct stmt *stmt)
{
	uint64_t mixed = stmt_id(stmt) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(mixed >> 32) & (set->room - 1);
}

/* The slot that holds the statement, or the free one where it belongs. */
static size_t slot_for(const struct stmtset *set, const struct stmt *stmt)
{
	size_t at = home_of(set, stmt);

	while (set->slots[at] && set->slots[at]->stmt != stmt)
		at = (at + 1) & (set->room - 1);
	return at;
}

static struct node *find(const struct stmtset *set, const struct stmt *stmt)
{
	return set->used > 0 ? set->slots[slot_for(set, stmt)] : NULL;
}

static void touch(struct stmtset *set, struct node *node)
{
	if (set->by_use.next == &node->use)
		return;
	list_remove(&node->use);
	list_prepend(&set->by_use, &node->use);
}

bool stmtset_has(const struct stmtset *set, const struct stmt *stmt)
{
	return find(set, stmt) != NULL;
}

bool stmtset_use(struct stmtset *set, const struct stmt *stmt)
{
	struct node *node = find(set, stmt);

	if (node)
		touch(set, node);
	return node != NULL;
}

bool stmtset_use_fresh(struct stmtset *set, const struct stmt *stmt,
		       uint64_t batch)
{
	struct node *node = find(set, stmt);

	if (!node)
		return false;
	touch(set, node);
	return (node->batch == 0 || node->batch == batch) &&
	       (node->epoch == 0 || node->epoch == stmt_epoch(stmt));
}

static void grow(struct stmtset *set)
{
	free(set->slots);
	set->room = set->room ? set->room * 2 : FIRST_ROOM;
	set->slots = xcalloc(set->room, sizeof(struct node *));
	LIST_FOREACH (link, &set->by_use) {
		struct node *node = LIST_ENTRY(link, struct node, use);

		set->slots[slot_for(set, node->stmt)] = node;
	}
}

void stmtset_add(struct stmtset *set, struct stmt *stmt)
{
	struct node *node;

	if (stmtset_use(set, stmt))
		return;
	if (set->used + 1 > set->room / 4 * 3)
		grow(set);
	node = xmalloc(sizeof(*node));
	node->stmt = stmt_hold(stmt);
	node->batch = 0;
	node->epoch = 0;
	node->columns = 0;
	node->sent_us = 0;
	list_prepend(&set->by_use, &node->use);
	set->slots[slot_for(set, stmt)] = node;
	set->used++;
}

/* Empties a slot and moves back what would no longer be found behind it. */
static void close_gap(struct stmtset *set, size_t gap)
{
	size_t mask = set->room - 1;
	size_t at = gap;

	for (;;) {
		at = (at + 1) & mask;
		if (!set->slots[at])
			break;
		size_t home = home_of(set, set->slots[at]->stmt);

		/* It may move when its home is not behind the gap. */
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		set->slots[gap] = set->slots[at];
		gap = at;
	}
	set->slots[gap] = NULL;
}

/* Takes a member out; its reference becomes the caller's. */
static struct stmt *take(struct stmtset *set, struct node *node)
{
	struct stmt *stmt = node->stmt;

	close_gap(set, slot_for(set, stmt));
	list_remove(&node->use);
	free(node);
	set->used--;
	return stmt;
}

void stmtset_remove(struct stmtset *set, const struct stmt *stmt)
{
	struct node *node = find(set, stmt);

	if (node)
		stmt_release(take(set, node));
}

void stmtset_set_batch(struct stmtset *set, const struct stmt *stmt,
		       uint64_t batch)
{
	struct node *node = find(set, stmt);

	if (node)
		node->batch = batch;
}

void stmtset_set_epoch(struct stmtset *set, const struct stmt *stmt,
		       uint64_t epoch)
{
	struct node *node = find(set, stmt);

	if (node)
		node->epoch = epoch;
}

void stmtset_set_sent(struct stmtset *set, const struct stmt *stmt,
		      uint64_t now_us)
{
	struct node *node = find(set, stmt);

	if (node)
		node->sent_us = now_us;
}

uint64_t stmtset_sent_us(const struct stmtset *set, const struct stmt *stmt)
{
	const struct node *node = find(set, stmt);

	return node ? node->sent_us : 0;
}

void stmtset_set_columns(struct stmtset *set, const struct stmt *stmt,
			 uint64_t columns)
{
	struct node *node = find(set, stmt);

	if (node)
		node->columns = columns;
}

uint64_t stmtset_columns(const struct stmtset *set, const struct stmt *stmt)
{
	const struct node *node = find(set, stmt);

	return node ? node->columns : 0;
}

uint64_t stmtset_batch(const struct stmtset *set, const struct stmt *stmt)
{
	const struct node *node = find(set, stmt);

	return node ? node->batch : 0;
}

void stmtset_clear(struct stmtset *set)
{
	LIST_FOREACH_SAFE (link, &set->by_use) {
		struct node *node = LIST_ENTRY(link, struct node, use);

		stmt_release(node->stmt);
		free(node);
	}
	list_init(&set->by_use);
	free(set->slots);
	set->slots = NULL;
	set->room = 0;
	set->used = 0;
}

size_t stmtset_count(const struct stmtset *set)
{
	return set->used;
}

bool stmtset_is_full(const struct stmtset *set)
{
	return set->used >= set->limit;
}

struct stmt *stmtset_find(const struct stmtset *set, const char *server_name)
{
	LIST_FOREACH (link, &set->by_use) {
		struct node *node = LIST_ENTRY(link, struct node, use);

		if (strcmp(stmt_server_name(node->stmt), server_name) == 0)
			return node->stmt;
	}
	return NULL;
}

struct stmt *stmtset_take(struct stmtset *set)
{
	if (set->used == 0)
		return NULL;
	assert(!list_is_empty(&set->by_use));
	return take(set, LIST_ENTRY(set->by_use.prev, struct node, use));
}

struct stmt *stmtset_evict(struct stmtset *set)
{
	return set->used < set->limit ? NULL : stmtset_take(set);
}
