#ifndef PGWEIR_PROXY_WELCOME_H
#define PGWEIR_PROXY_WELCOME_H

/*
 * How clients are greeted: the ParameterStatus messages that a server has
 * shown for a pool and a set of settings, kept for the whole process, so
 * that only the first client of a kind waits for a server to log in.
 */
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct settings;
struct welcomes;

struct welcomes *welcomes_new(void);
void welcomes_free(struct welcomes *welcomes);

/*
 * Appends the greeting to out; false when none is known yet.  database and
 * user name the pool; settings NULL stands for a client that sets nothing
 * which is reported.  Any thread.
 */
bool welcomes_find(struct welcomes *welcomes, const char *database,
		   const char *user, const struct settings *settings,
		   struct buf *out);

/*
 * As long as it is the same, what was found is so still.  To be asked first,
 * then for the greeting.  Any thread.
 */
uint64_t welcomes_age(const struct welcomes *welcomes);

/* Remembers a greeting; takes the bytes.  Any thread. */
void welcomes_put(struct welcomes *welcomes, const char *database,
		  const char *user, const struct settings *settings,
		  struct buf *messages);

/* Forgets those of a database, as clients know it.  Any thread. */
void welcomes_forget(struct welcomes *welcomes, const char *database);

/*
 * Forgets all: another server may greet otherwise (a new configuration, a
 * promotion).  Any thread.
 */
void welcomes_clear(struct welcomes *welcomes);

#endif
