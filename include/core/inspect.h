#ifndef PGWEIR_CORE_INSPECT_H
#define PGWEIR_CORE_INSPECT_H

/*
 * Looking at the session state of a server: what has to be asked after which
 * statements, the query that asks it, and what its rows say.
 *
 * A text that may leave something behind (SET, set_config(), DO, a volatile
 * function ...) is not interpreted: whatever a transaction came to, the
 * server knows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct settings;
struct strmap;

enum inspect_part {
	INSPECT_NAMED = 1 << 0,      /* settings whose names are known */
	INSPECT_SETTINGS = 1 << 1,   /* all that the session has set */
	INSPECT_TEMP = 1 << 2,       /* objects in its temporary schema */
	INSPECT_LOCKS = 1 << 3,      /* session-level advisory locks */
	INSPECT_CURSORS = 1 << 4,    /* cursors WITH HOLD */
	INSPECT_STATEMENTS = 1 << 5, /* of SQL PREPARE */
	INSPECT_CHANNELS = 1 << 6    /* LISTEN */
};

/*
 * The pins (bits of enum sqlclass_effect) that a look at these parts decides:
 * what it does not find is over.
 */
uint32_t inspect_pins_of(unsigned asked);

/*
 * The parts to ask for when units with these effects have ended and these
 * pins were in force; 0: nothing.
 */
unsigned inspect_parts(uint32_t effects, uint32_t pins);

/*
 * Adds to the keys of names whatever in a text could be the name of a setting
 * that it sets, folded to lower case.  Too much does no harm.  False: names
 * will not do (RESET, DEFAULT, too many), all settings must be asked for.
 */
bool inspect_collect(struct strmap *names, const void *text, size_t len);

/*
 * True when all that the text sets ends with the transaction: nothing but
 * calls of set_config() with constants, the last one true.
 */
bool inspect_is_local(const void *text, size_t len);

/*
 * False when the text calls set_config() with a name that is computed: then
 * nobody can say which made-up setting it sets.
 */
bool inspect_is_named(const void *text, size_t len);

/* Settings by which texts are read (settings_parsing) that a text may set. */
enum inspect_reading {
	INSPECT_READING_TOLD = 1 << 0,  /* the server tells of a change */
	INSPECT_READING_UNSEEN = 1 << 1 /* ... and of this it does not */
};

/* Too much does no harm here, either. */
unsigned inspect_reading(const void *text, size_t len);

/*
 * Appends the text of one Query; its rows have three columns.  Names with a
 * dot are asked for in any case, as are those of known: no list of settings
 * holds such.  The words are found whatever search_path is.
 */
void inspect_query(struct buf *sql, unsigned asked, const struct strmap *names,
		   const struct settings *known);

/* What the rows have said so far. */
struct inspect_result {
	const struct settings *settings; /* a reference of the owner's */
	uint32_t pins;
	bool is_spoiling; /* something is set that no command undoes */
};

/*
 * Takes the body of a DataRow.  login is the name that the server was logged
 * in with.  False when it is no row of our query.
 */
bool inspect_take_row(struct inspect_result *result, const char *login,
		      const void *body, size_t len);

/*
 * What the client has then: a setting of its startup packet that is not set
 * was reset, and has that value again.  A reference of the caller's.
 */
const struct settings *inspect_restore(const struct settings *found,
				       const struct settings *startup);

#endif
