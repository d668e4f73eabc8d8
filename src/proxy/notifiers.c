/*
 * A table of backends and the clients that they write for.
 *
 * Every write passes here, so it is one relaxed store: the hash is made once
 * for a backend.  A row holds half of the hash and the client's number in one
 * word; rows that collide replace each other.  What is read is shown to
 * clients, never used to decide.
 */
#include "proxy/notifiers.h"

#include "base/util.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 1 << 14 };

struct notifiers {
	_Atomic uint64_t rows[ROWS];
};

struct notifiers *notifiers_new(void)
{
	return xcalloc(1, sizeof(struct notifiers));
}

void notifiers_free(struct notifiers *notifiers)
{
	free(notifiers);
}

uint64_t notifiers_key(const char *node, uint32_t backend)
{
	uint64_t hash = util_hash(node, strlen(node)) ^ backend;

	return util_hash(&hash, sizeof(hash));
}

void notifiers_set(struct notifiers *notifiers, uint64_t key, uint32_t client)
{
	atomic_store_explicit(&notifiers->rows[key % ROWS],
			      (key & 0xffffffff00000000U) | client,
			      memory_order_relaxed);
}

uint32_t notifiers_find(const struct notifiers *notifiers, const char *node,
			uint32_t backend)
{
	uint64_t hash = notifiers_key(node, backend);
	uint64_t row = atomic_load_explicit(&notifiers->rows[hash % ROWS],
					    memory_order_relaxed);

	if (row == 0 || (row ^ hash) >> 32)
		return backend;
	return (uint32_t)row;
}
