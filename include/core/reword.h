#ifndef PGWEIR_CORE_REWORD_H
#define PGWEIR_CORE_REWORD_H

/*
 * Errors that name a prepared statement by the name that it has on servers,
 * worded as the client knows it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Does an error's body hold such a name? */
bool reword_is_needed(const void *body, size_t len);

/*
 * Appends the body with each name replaced by what name_of(arg, id) says;
 * NULL leaves it.
 */
void reword_error(struct buf *out, const void *body, size_t len,
		  const char *(*name_of)(void *arg, uint64_t id), void *arg);

#endif
