#ifndef PGWEIR_BASE_STRMAP_H
#define PGWEIR_BASE_STRMAP_H

/*
 * A map from byte strings to pointers: open addressing, keyed hash, full
 * compare on a hit.  Keys are copied; values are the caller's.  Not shared
 * between threads without the owner's lock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strmap;

struct strmap *strmap_new(void);

/* Frees map and keys; free_value (may be NULL) is called for each value. */
void strmap_free(struct strmap *map, void (*free_value)(void *value));

size_t strmap_count(const struct strmap *map);

/* The value, or NULL. */
void *strmap_get(const struct strmap *map, const char *key);
void *strmap_get_bytes(const struct strmap *map, const void *key, size_t len);

/* Sets; returns the value that was there before, or NULL. value != NULL. */
void *strmap_put(struct strmap *map, const char *key, void *value);
void *strmap_put_bytes(struct strmap *map, const void *key, size_t len,
		       void *value);

/* Takes out; returns the value that was there, or NULL. */
void *strmap_remove(struct strmap *map, const char *key);
void *strmap_remove_bytes(struct strmap *map, const void *key, size_t len);

/*
 * Walks all entries in no order: start with *at = 0; false at the end.  The
 * map must not change meanwhile.  key (NUL-terminated, borrowed) may be NULL.
 */
bool strmap_next(const struct strmap *map, size_t *at, const char **key,
		 void **value);

#endif
