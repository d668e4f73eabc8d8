#ifndef PGWEIR_CORE_CHANNELS_H
#define PGWEIR_CORE_CHANNELS_H

/*
 * Names of channels (PostgreSQL docs, LISTEN): sets of them in order, and the
 * texts that are sent about them.  A name is kept as pg_listening_channels()
 * tells it: folded, cut and in the encoding of the session that asked.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct channels;
struct pgwire_message;

/* An empty set; NULL is fine for the other. */
struct channels *channels_new(void);
void channels_free(struct channels *channels);

/* False when it was there already; was not there. */
bool channels_add(struct channels *channels, const char *name);
bool channels_remove(struct channels *channels, const char *name);
bool channels_has(const struct channels *channels, const char *name);
size_t channels_count(const struct channels *channels);

/* In the order of their coming; borrowed until the set changes. */
const char *channels_at(const struct channels *channels, size_t index);

/*
 * Every member of more that is not in less, as a new set; less NULL: a copy.
 */
struct channels *channels_minus(const struct channels *more,
				const struct channels *less);

/*
 * Append a statement with its semicolon, valid whatever the session's
 * settings are.  The payload is taken as it stands.
 */
void channels_listen(struct buf *sql, const char *name);
void channels_unlisten(struct buf *sql, const char *name);
void channels_notify(struct buf *sql, const char *name, const char *payload);

/* The first column of a DataRow, a new string; NULL when there is none. */
char *channels_read_row(const struct pgwire_message *message);

#endif
