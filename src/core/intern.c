/*
 * The table behind interned values: chained buckets under one mutex, a keyed
 * hash since the bytes are chosen by strangers, a full compare on a hit.
 *
 * Invariant: an item in the table has at least one reference, whenever the
 * lock is free.  The last reference is therefore dropped under the lock,
 * together with taking the item out; a thread that looks the same bytes up
 * meanwhile either comes before, and then the drop is not the last, or finds
 * nothing.
 *
 * Buckets and not open addressing, because the links cost no memory of their
 * own and removal is plain.  Any thread.
 */
#include "core/intern.h"

#include "base/util.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

/* The link that holds the item, or the NULL that ends its bucket. */
static struct intern_item **link_for(const struct intern_table *table,
				     const struct intern_item *wanted)
{
	size_t bucket = wanted->hash & (table->shared.room - 1);
	struct intern_item **link = &table->shared.buckets[bucket];

	for (; *link; link = &(*link)->next)
		if ((*link)->hash == wanted->hash &&
		    (*link)->len == wanted->len &&
		    (*link)->group == wanted->group &&
		    memcmp((*link)->data, wanted->data, wanted->len) == 0)
			break;
	return link;
}

static void rehash(struct intern_table *table, size_t room)
{
	struct intern_item **old = table->shared.buckets;
	size_t old_room = table->shared.room;

	table->shared.buckets = xcalloc(room, sizeof(struct intern_item *));
	table->shared.room = room;
	for (size_t i = 0; i < old_room; i++) {
		while (old[i]) {
			struct intern_item *item = old[i];
			size_t bucket = item->hash & (room - 1);

			old[i] = item->next;
			item->next = table->shared.buckets[bucket];
			table->shared.buckets[bucket] = item;
		}
	}
	free(old);
}

/* The resident item of these bytes, held, or NULL.  Under the lock. */
static struct intern_item *find_locked(const struct intern_table *table,
				       const struct intern_item *wanted)
{
	struct intern_item *found = NULL;

	if (table->shared.used > 0)
		found = *link_for(table, wanted);
	if (found)
		intern_hold(found);
	return found;
}

/* Groups are spread over the buckets, too. */
static uint64_t hash_of(uint64_t group, const void *data, size_t len)
{
	return util_hash(data, len) ^ group * UINT64_C(0x9e3779b97f4a7c15);
}

struct intern_item *intern_find_in(struct intern_table *table, uint64_t group,
				   const void *data, size_t len)
{
	struct intern_item wanted = { .hash = hash_of(group, data, len),
				      .group = group,
				      .data = data,
				      .len = len };
	struct intern_item *found;

	(void)pthread_mutex_lock(&table->shared.lock);
	found = find_locked(table, &wanted);
	(void)pthread_mutex_unlock(&table->shared.lock);
	return found;
}

struct intern_item *intern_find(struct intern_table *table, const void *data,
				size_t len)
{
	return intern_find_in(table, 0, data, len);
}

static void insert_locked(struct intern_table *table, struct intern_item *item)
{
	struct intern_item **link;

	if (table->shared.used >= table->shared.room)
		rehash(table, table->shared.room ? table->shared.room * 2
						 : FIRST_ROOM);
	link = &table->shared.buckets[item->hash & (table->shared.room - 1)];
	item->next = *link;
	*link = item;
	table->shared.used++;
}

struct intern_item *intern_add(struct intern_table *table,
			       struct intern_item *item)
{
	struct intern_item *found;

	item->hash = hash_of(item->group, item->data, item->len);
	atomic_init(&item->references, 1);
	(void)pthread_mutex_lock(&table->shared.lock);
	found = find_locked(table, item);
	if (!found) {
		insert_locked(table, item);
		found = item;
	}
	(void)pthread_mutex_unlock(&table->shared.lock);
	return found;
}

void intern_hold(struct intern_item *item)
{
	(void)atomic_fetch_add_explicit(&item->references, 1,
					memory_order_relaxed);
}

/* Drops a reference that is not the last one; false when it may be. */
static bool drop_one_of_many(struct intern_item *item)
{
	size_t seen =
		atomic_load_explicit(&item->references, memory_order_relaxed);

	while (seen > 1)
		if (atomic_compare_exchange_weak_explicit(
			    &item->references, &seen, seen - 1,
			    memory_order_release, memory_order_relaxed))
			return true;
	return false;
}

static void remove_locked(struct intern_table *table, struct intern_item *item)
{
	struct intern_item **link = link_for(table, item);

	assert(*link == item);
	*link = item->next;
	table->shared.used--;
	/* A burst of statements must not cost memory for ever. */
	if (table->shared.room > FIRST_ROOM &&
	    table->shared.used < table->shared.room / 8)
		rehash(table, table->shared.room / 4);
}

bool intern_drop(struct intern_table *table, struct intern_item *item)
{
	bool is_last;

	if (drop_one_of_many(item))
		return false;
	(void)pthread_mutex_lock(&table->shared.lock);
	is_last = atomic_fetch_sub_explicit(&item->references, 1,
					    memory_order_acq_rel) == 1;
	if (is_last)
		remove_locked(table, item);
	(void)pthread_mutex_unlock(&table->shared.lock);
	return is_last;
}

size_t intern_count(struct intern_table *table)
{
	size_t count;

	(void)pthread_mutex_lock(&table->shared.lock);
	count = table->shared.used;
	(void)pthread_mutex_unlock(&table->shared.lock);
	return count;
}
