#ifndef PGWEIR_CORE_AUTHANSWER_H
#define PGWEIR_CORE_AUTHANSWER_H

/*
 * auth_query as it goes to a server and as it comes back: one text parameter,
 * the user's name; one row of two columns, the name and the secret.
 */
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Longest secret that is taken; PgBouncer's limit for passwords. */
enum { AUTHANSWER_SECRET_MAX = 2048 };

/* Appends Parse, Bind, Execute and Sync. */
void authanswer_ask(struct buf *out, const char *sql, const char *user);

/* What was answered. */
struct authanswer {
	bool is_good;  /* else why says what is wrong with it */
	char *secret;  /* NULL: there is no such user; "": he has none */
	char why[160]; /* no secret in it */
};

/*
 * Reads all that came for one question, up to its ReadyForQuery.  Answers of
 * a stranger: another user's name, more than one row or two columns, and
 * whatever cannot be a secret are refused.  authanswer_clear is due.
 */
void authanswer_read(const void *data, size_t len, const char *user,
		     struct authanswer *answer);

/* Wipes the secret and frees it. */
void authanswer_clear(struct authanswer *answer);

#endif
