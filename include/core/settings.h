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
 * May this be the name of a setting: words of [A-Za-z_][A-Za-z0-9_$]*, joined
 * by single dots (PostgreSQL, guc.c valid_custom_variable_name)?
 */
bool settings_is_name(const char *name);

/*
 * base with name set to value, or without name when value is NULL.  The
 * result carries a reference of its own; base keeps its own.  Refuse names
 * that are none before: here they change nothing, nor do settings that do not
 * outlive a transaction (transaction_isolation and its like).
 */
const struct settings *settings_with(const struct settings *base,
				     const char *name, const char *value);

/* The value, or NULL; the name in any letter case. */
const char *settings_get(const struct settings *settings, const char *name);

size_t settings_count(const struct settings *settings);
/* In the order of names; false behind the last. */
bool settings_at(const struct settings *settings, size_t index,
		 const char **name, const char **value);

/*
 * Of the set, what decides how the text of a statement is read (search_path,
 * the encoding, how literals of dates are taken, and so on): a set, too, made
 * once, borrowed for as long as this one lives.
 */
const struct settings *settings_parsing(const struct settings *settings);
/* The names of all of these; NULL behind the last. */
const char *settings_parsing_name(size_t index);

/*
 * Adds what a startup packet's "options" holds ("-c a=b --c-d=e", with
 * backslash escapes; PostgreSQL docs, libpq "options").  *into, a reference
 * of the caller's, is replaced.  False, with why (static text) and *into as it
 * was, when an option is not understood.
 */
bool settings_add_options(const struct settings **into, const char *options,
			  const char **why);

/*
 * The statements that turn a server which has `from` into one which has
 * `to`; appends nothing when they are equal.  What is appended is the text of
 * one simple Query (no NUL), of statements such as SET "a" TO 'x' and RESET
 * "b", each ended by a semicolon: valid in any session state except an
 * aborted transaction, whatever standard_conforming_strings, client_encoding
 * and search_path are.  It has the meaning of startup parameters: a value is
 * taken as it stands, lists included.
 *
 * Of the replies only ErrorResponse, ParameterStatus and the final
 * ReadyForQuery matter; some statements answer a row.  Sent outside of a
 * transaction, all of it takes effect or, after an error, none.
 */
void settings_difference(const struct settings *from, const struct settings *to,
			 struct buf *sql);

/*
 * A query that gives what decides how a text is read the values of `to`, for
 * the rest of the transaction; one that takes a snapshot.  from: what is in
 * force, NULL if nobody knows.  Role and session_authorization stay as they
 * are.  Appends nothing where nothing differs.
 */
void settings_localize(const struct settings *from, const struct settings *to,
		       struct buf *sql);

/* Number of sets alive, for the tests and the metrics. */
size_t settings_interned(void);

#endif
