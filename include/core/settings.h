#ifndef PGWEIR_CORE_SETTINGS_H
#define PGWEIR_CORE_SETTINGS_H

/*
 * The run-time settings that a session asked for, as an immutable set of
 * (name, value), sorted, names folded to lower case.  Sets are interned for
 * the whole process: equal sets are the same pointer, so "does this server
 * have what this client wants" is one comparison.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct settings;

/* The empty set; needs no release, but takes it. */
const struct settings *settings_empty(void);

/* References; any thread.  NULL is refused. */
const struct settings *settings_hold(const struct settings *settings);
void settings_release(const struct settings *settings);

/*
 * base with name set to value, or without name when value is NULL.  The
 * result carries a reference of its own; base keeps its own.
 */
const struct settings *settings_with(const struct settings *base,
				     const char *name, const char *value);

/* The value, or NULL. */
const char *settings_get(const struct settings *settings, const char *name);

size_t settings_count(const struct settings *settings);
bool settings_at(const struct settings *settings, size_t index,
		 const char **name, const char **value);

/*
 * Adds what a startup packet's "options" holds ("-c a=b --c-d=e", with
 * backslash escapes; PostgreSQL docs, libpq "options").  *into is replaced.
 * False, with why (static text), when an option is not understood.
 */
bool settings_add_options(const struct settings **into, const char *options,
			  const char **why);

/*
 * The statements that turn a server which has `from` into one which has
 * `to`: "SET a TO '...'; RESET b; ...", each value quoted for either state of
 * standard_conforming_strings.  Appends nothing when equal.
 */
void settings_difference(const struct settings *from, const struct settings *to,
			 struct buf *sql);

/* Number of sets alive, for the tests and the metrics. */
size_t settings_interned(void);

#endif
