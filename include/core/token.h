#ifndef PGWEIR_CORE_TOKEN_H
#define PGWEIR_CORE_TOKEN_H

/*
 * Positions in the WAL as a text that an application passes on: from SHOW
 * pgweir.lsn of one connection to SET pgweir.min_lsn of another, perhaps at
 * another pgweir.  "7301234567890123456:00000002:16/B374D848": system,
 * timeline in hex as in names of WAL files, position.  Any thread.
 */
#include "core/watermark.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* False on anything that is no token. */
bool token_read(const char *text, struct watermark *position);

/*
 * Appends the query (no semicolon, one row) that puts the token of now into
 * the setting pgweir.lsn of the server that runs it: of what it has flushed,
 * with is_asynchronous inserted, or on a replica replayed.  The epoch is that
 * which is known of the node; a primary says its timeline itself.
 */
void token_append_query(struct buf *sql, struct watermark known,
			bool is_asynchronous);

enum token_setting {
	TOKEN_NONE, /* no such statement */
	TOKEN_GOOD, /* what it asks for is in *position */
	TOKEN_BAD   /* ... is no token; value says what */
};

enum { TOKEN_VALUE_MAX = 100 };

/*
 * SET [SESSION | LOCAL] pgweir.min_lsn { TO | = } 'token', alone in its text.
 * An empty value and DEFAULT are NONE.
 */
enum token_setting token_read_setting(const char *sql, size_t len,
				      struct watermark *position,
				      char value[static TOKEN_VALUE_MAX + 1]);

/*
 * Appends a statement that fails as PostgreSQL does for a bad value of that
 * setting (22023), in whatever state the session is.
 */
void token_append_refusal(struct buf *sql, const char *value, bool is_foreign);

#endif
