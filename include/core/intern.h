#ifndef PGWEIR_CORE_INTERN_H
#define PGWEIR_CORE_INTERN_H

/*
 * Immutable values that are kept once for the whole process and shared by
 * reference.  A value is known by its bytes: equal bytes, same pointer.  The
 * value's own struct embeds a struct intern_item and owns the bytes.
 *
 * Any thread may call anything here.  Holding is one atomic addition; only
 * looking up, adding and dropping the last reference take the table's lock.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern_item {
	atomic_size_t references;
	struct intern_item *next; /* in its bucket; under the table's lock */
	uint64_t hash;
	uint64_t group;   /* equal bytes of two groups are two values */
	const void *data; /* constant while the item is in the table */
	size_t len;
};

struct intern_table {
	struct {
		pthread_mutex_t lock;
		struct intern_item **buckets;
		size_t room; /* a power of two, or 0 */
		size_t used;
	} shared;
};

#define INTERN_TABLE_INIT                                        \
	{                                                        \
		.shared = { .lock = PTHREAD_MUTEX_INITIALIZER }, \
	}

/* The item with these bytes, with a reference of the caller's, or NULL. */
struct intern_item *intern_find(struct intern_table *table, const void *data,
				size_t len);
/* The same within a group; intern_find looks in group 0. */
struct intern_item *intern_find_in(struct intern_table *table, uint64_t group,
				   const void *data, size_t len);

/*
 * Adds an item, of which only group, data and len need be set, unless an
 * equal one is there.  Returns the one in the table with a reference of the
 * caller's; when that is not the given one, the given one is still the
 * caller's.
 */
struct intern_item *intern_add(struct intern_table *table,
			       struct intern_item *item);

void intern_hold(struct intern_item *item);

/*
 * Drops a reference.  True when it was the last one: the item is out of the
 * table, nobody can find it again, and the caller frees it.
 */
bool intern_drop(struct intern_table *table, struct intern_item *item);

size_t intern_count(struct intern_table *table);

#endif
