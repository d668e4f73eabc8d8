/*
 * Hints: a comment that begins with "pgweir:" and a word, such as
 * "pgweir: primary" between the marks of a comment.
 *
 * The primary is never wrong, so what looks like that hint is taken for it
 * even inside a literal: it costs load and no more.  "replica" takes a
 * preference of the session's away, so it counts only where no literal can
 * stand: in front of the first token.  Words that are no hint of ours mean
 * nothing, and so do all other comments (pg_hint_plan, sqlcommenter).
 *
 * A text without the mark costs one search for it.
 */
#include "core/sqlhint.h"

#include "core/sqllex.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char mark[] = "pgweir:";
enum { MARK_LEN = sizeof(mark) - 1 };

static bool is_blank(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Is the mark the first word of a comment? */
static bool begins_comment(const char *sql, const char *at)
{
	while (at > sql && is_blank(at[-1]))
		at--;
	return at - sql >= 2 && ((at[-2] == '/' && at[-1] == '*') ||
				 (at[-2] == '-' && at[-1] == '-'));
}

/* The word behind the mark, and nothing that goes on behind it. */
static bool says(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	while (at < end && is_blank(*at))
		at++;
	return (size_t)(end - at) >= len && strncasecmp(at, word, len) == 0 &&
	       ((size_t)(end - at) == len ||
		(!isalnum((unsigned char)at[len]) && at[len] != '_'));
}

/* Where the first token stands: what is before it can be but a comment. */
static const char *first_token(const char *sql, size_t len)
{
	struct sqllex_token token;
	struct sqllex lex;

	sqllex_init(&lex, sql, len, true, true);
	sqllex_next(&lex, &token);
	return token.kind == SQLLEX_WORD || token.punct ? token.text : sql;
}

/* By its colon, which is rare; NULL: no more. */
static const char *next_mark(const char *sql, const char *at, const char *end)
{
	while (at < end) {
		at = memchr(at, ':', (size_t)(end - at));
		if (!at)
			break;
		at++;
		if (at - sql >= MARK_LEN &&
		    memcmp(at - MARK_LEN, mark, MARK_LEN) == 0)
			return at - MARK_LEN;
	}
	return NULL;
}

enum sqlclass_hint sqlhint_find(const char *sql, size_t len)
{
	const char *end = sql + len;
	const char *at = sql;
	enum sqlclass_hint found = HINT_NONE;
	bool is_late = false;

	while ((at = next_mark(sql, at, end)) != NULL) {
		if (begins_comment(sql, at)) {
			if (says(at + MARK_LEN, end, "primary"))
				return HINT_PRIMARY;
			if (found == HINT_NONE && !is_late &&
			    says(at + MARK_LEN, end, "replica")) {
				/* Once: it reads all the comments in front. */
				is_late = at >= first_token(sql, len);
				found = is_late ? HINT_NONE : HINT_REPLICA;
			}
		}
		at += MARK_LEN;
	}
	return found;
}

enum sqlclass_hint sqlhint_join(enum sqlclass_hint one,
				enum sqlclass_hint other)
{
	if (one == other)
		return one;
	return one == HINT_PRIMARY || other == HINT_PRIMARY ? HINT_PRIMARY
							    : HINT_NONE;
}
