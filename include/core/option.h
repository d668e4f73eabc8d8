#ifndef PGWEIR_CORE_OPTION_H
#define PGWEIR_CORE_OPTION_H

/*
 * What one option is, as data: how its text is read, what it may be, where
 * its value lives, what people are told about it.  Parsing, defaults,
 * SHOW CONFIG, the help, the sample file and the documents all walk the same
 * rows (core/option_table), so that they cannot differ.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum option_type {
	OPTION_STRING,
	OPTION_SECRET, /* a string that is never shown */
	OPTION_LIST,   /* a string: words between commas */
	OPTION_INT,
	OPTION_SIZE, /* bytes */
	OPTION_BOOL,
	OPTION_TIME,   /* microseconds; written in seconds */
	OPTION_CHOICE, /* one of a few words */
	OPTION_MODE    /* permission bits, octal */
};

enum option_state {
	OPTION_USED,
	OPTION_ALIAS,      /* another name; note: the row's real name */
	OPTION_NO_EFFECT,  /* known, not needed; note: what replaced it */
	OPTION_UNSUPPORTED /* known, not there yet; the value is kept */
};

/* A word and what it means; the table ends with a word of NULL. */
struct option_choice {
	const char *word;
	int value;
	const char *refused; /* why this word is an error; NULL: it is not */
};

/* size 0: the option has no field. */
struct option {
	const char *name;
	const char *fallback; /* default as text; NULL: unset */
	const char *help;
	const char *note;
	const char *unit; /* NULL: the usual one of the type */
	const struct option_choice *choices;
	enum option_type type;
	enum option_state state;
	bool needs_restart;
	size_t offset;
	size_t size;
	int64_t min; /* of a number; a time in microseconds */
	int64_t max; /* 0: the widest of the type */
};

/* Rows that are explained together. */
struct option_group {
	const char *title;
	const struct option *rows;
	unsigned count;
};

/* The options of one section. */
struct option_table {
	const char *section;
	const struct option_group *groups;
	unsigned group_count;
};

/*
 * Reads text into the option's field of base (the struct that the table is
 * for; its old value is freed).  False leaves the field alone and appends to
 * why what is wrong and what would be right, never the text of a secret.
 */
bool option_parse(const struct option *option, const char *text, void *base,
		  struct buf *why);

/* The default: the row's, or "unset" (NULL, -1, UINT64_MAX, 0). */
void option_set_default(const struct option *option, void *base);
void option_table_set_defaults(const struct option_table *table, void *base);

/* The value in the language of the file; a secret as "****". */
void option_format(const struct option *option, const void *base,
		   struct buf *out);

/* True when both structs hold the same value. */
bool option_is_equal(const struct option *option, const void *one,
		     const void *other);

/*
 * Of a struct that was copied as a whole: gives base strings of its own, so
 * that both can be changed and cleared.
 */
void option_table_own(const struct option_table *table, void *base);

/* Wipes and frees every string of the struct. */
void option_table_clear(const struct option_table *table, void *base);

/*
 * Walks all rows: start with *at = 0; NULL at the end.
 */
const struct option *option_next(const struct option_table *table,
				 unsigned *at);

/* The row of this name, or NULL; aliases are followed when asked to. */
const struct option *option_find(const struct option_table *table,
				 const char *name, bool follow);

/* The known name that is most like this one, or NULL when none is near. */
const char *option_nearest(const struct option_table *table, const char *name);

/* True when the value is a string in memory of its own. */
bool option_is_text(const struct option *option);

/* "seconds", "bytes", "0 or 1", ...; "" when there is nothing to say. */
const char *option_unit(const struct option *option);

/* Appends what may be written: "0 to 100", "off, prefer"; "" for any text. */
void option_describe_range(const struct option *option, struct buf *out);

/* For a number whose upper limit is of no interest: "1 or more". */
void option_describe_least(const struct option *option, struct buf *out);

#endif
