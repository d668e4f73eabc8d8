/*
 * Byte strings to pointers: open addressing with linear probing and a keyed
 * hash, since the texts are chosen by strangers.  A removed entry is closed
 * by moving later ones of its run back, so there are no tombstones and a map
 * that lives for months does not decay.
 *
 * Invariant: used <= 3/4 of slots; slots is a power of two or 0.
 */
#include "base/strmap.h"

#include "base/util.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char *key;
	size_t len;
	uint64_t hash;
	void *value;
};

struct strmap {
	struct entry *slots;
	size_t room;
	size_t used;
};

enum { FIRST_ROOM = 8 };

struct strmap *strmap_new(void)
{
	return xcalloc(1, sizeof(struct strmap));
}

void strmap_free(struct strmap *map, void (*free_value)(void *value))
{
	if (!map)
		return;
	for (size_t i = 0; i < map->room; i++) {
		if (!map->slots[i].key)
			continue;
		if (free_value)
			free_value(map->slots[i].value);
		free(map->slots[i].key);
	}
	free(map->slots);
	free(map);
}

size_t strmap_count(const struct strmap *map)
{
	return map->used;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct entry *slot_for(const struct strmap *map, const void *key,
			      size_t len, uint64_t hash)
{
	size_t mask = map->room - 1;
	size_t at = hash & mask;

	while (map->slots[at].key) {
		const struct entry *entry = &map->slots[at];

		if (entry->hash == hash && entry->len == len &&
		    memcmp(entry->key, key, len) == 0)
			break;
		at = (at + 1) & mask;
	}
	return &map->slots[at];
}

/* Doubles, so that an insertion costs constant time on average. */
static void grow(struct strmap *map)
{
	struct strmap old = *map;

	map->room = old.room ? old.room * 2 : FIRST_ROOM;
	map->slots = xcalloc(map->room, sizeof(*map->slots));
	for (size_t i = 0; i < old.room; i++) {
		const struct entry *entry = &old.slots[i];

		if (entry->key)
			*slot_for(map, entry->key, entry->len, entry->hash) =
				*entry;
	}
	free(old.slots);
}

void *strmap_get_bytes(const struct strmap *map, const void *key, size_t len)
{
	if (map->used == 0)
		return NULL;
	return slot_for(map, key, len, util_hash(key, len))->value;
}

void *strmap_get(const struct strmap *map, const char *key)
{
	return strmap_get_bytes(map, key, strlen(key));
}

void *strmap_put_bytes(struct strmap *map, const void *key, size_t len,
		       void *value)
{
	uint64_t hash = util_hash(key, len);
	struct entry *entry;
	void *before;

	assert(value != NULL);
	if ((map->used + 1) * 4 > map->room * 3)
		grow(map);
	entry = slot_for(map, key, len, hash);
	before = entry->value;
	if (!entry->key) {
		*entry = (struct entry){ xstrndup(key, len), len, hash, NULL };
		map->used++;
	}
	entry->value = value;
	return before;
}

void *strmap_put(struct strmap *map, const char *key, void *value)
{
	return strmap_put_bytes(map, key, strlen(key), value);
}

/* Moves later members of the run back over the hole. */
static void close_hole(struct strmap *map, size_t hole)
{
	size_t mask = map->room - 1;

	for (size_t at = (hole + 1) & mask; map->slots[at].key;
	     at = (at + 1) & mask) {
		size_t home = map->slots[at].hash & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		map->slots[hole] = map->slots[at];
		hole = at;
	}
	map->slots[hole] = (struct entry){ 0 };
}

void *strmap_remove_bytes(struct strmap *map, const void *key, size_t len)
{
	struct entry *entry;
	void *value;

	if (map->used == 0)
		return NULL;
	entry = slot_for(map, key, len, util_hash(key, len));
	if (!entry->key)
		return NULL;
	value = entry->value;
	free(entry->key);
	close_hole(map, (size_t)(entry - map->slots));
	map->used--;
	return value;
}

void *strmap_remove(struct strmap *map, const char *key)
{
	return strmap_remove_bytes(map, key, strlen(key));
}

/* In no order; the map must not change meanwhile. */
bool strmap_next(const struct strmap *map, size_t *at, const char **key,
		 void **value)
{
	while (*at < map->room) {
		const struct entry *entry = &map->slots[(*at)++];

		if (!entry->key)
			continue;
		if (key)
			*key = entry->key;
		if (value)
			*value = entry->value;
		return true;
	}
	return false;
}
