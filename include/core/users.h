#ifndef PGWEIR_CORE_USERS_H
#define PGWEIR_CORE_USERS_H

/*
 * The auth_file as one immutable snapshot: lines of "user" "secret", quotes
 * inside doubled, the rest of a line and lines from ';' on ignored, as in
 * PgBouncer's userlist.txt.  A name that comes twice: its last line counts.
 */
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct users;

/*
 * Reads the file (blocking; main thread).  On failure NULL, and a line
 * "file:line: what" without any secret is appended to error.  The result
 * carries one reference.
 */
struct users *users_load(const char *path, struct buf *error);

/* The same from memory; path is for messages only. */
struct users *users_parse(const char *text, size_t len, const char *path,
			  struct buf *error);

/* References; any thread.  The last one frees, secrets wiped. */
struct users *users_hold(const struct users *users);
void users_release(const struct users *users);

/*
 * The secret of a user (may be ""), borrowed while users is held, or NULL
 * when there is no such user, or users is NULL.  Any thread.
 */
const char *users_find(const struct users *users, const char *name);
size_t users_count(const struct users *users);

/* Walks the names in no order: start with *at = 0; false at the end. */
bool users_next(const struct users *users, size_t *at, const char **name);

#endif
