#ifndef PGWEIR_CORE_SQLCURSOR_H
#define PGWEIR_CORE_SQLCURSOR_H

/*
 * Where a verdict stands: the token under judgement, the one after it, and
 * what has been found against the statement so far.  Also the look-up of
 * names, since whatever is called or read is held against it at once.
 */
#include "core/sqlfacts.h"
#include "core/sqllex.h"
#include "core/sqlword.h"

#include <stdbool.h>

struct sqlcursor {
	struct sqllex lex;
	struct sqllex_token now;
	struct sqllex_token ahead;
	enum sqlword word; /* of now */
	enum sqlword ahead_word;
	const struct sqlclass_context *context;
	struct sqlclass verdict; /* of the statement */
	bool is_read;            /* relations and unknown names count */
};

/* Stands on the first token. */
void sqlcursor_init(struct sqlcursor *cursor, const char *sql, size_t len,
		    const struct sqlclass_context *context);
void sqlcursor_advance(struct sqlcursor *cursor);

/* Passes the word if it is now. */
bool sqlcursor_take_word(struct sqlcursor *cursor, enum sqlword word);

/* True on a semicolon and at the end of what is understood. */
bool sqlcursor_is_over(const struct sqlcursor *cursor);

/* True when the next token is this punctuation. */
static inline bool sqlcursor_sees(const struct sqlcursor *cursor, char punct)
{
	return cursor->ahead.punct == punct;
}

/* A name of any kind, keywords included. */
bool sqlcursor_is_name(const struct sqllex_token *token);

/* True for the word, in any case, unless quoted. */
bool sqlcursor_says(const struct sqllex_token *token, const char *word);

/* How bad an access is: NONE, READ, UNKNOWN, WRITE (what is known wins). */
unsigned sqlcursor_rank(unsigned access);

/* Raises the verdict; the first reason at the worst level stays. */
void sqlcursor_blame(struct sqlcursor *cursor, enum sqlclass_access access,
		     enum sqlclass_reason reason);

/* The statement is not understood. */
void sqlcursor_lose(struct sqlcursor *cursor);

void sqlcursor_add_effects(struct sqlcursor *cursor, uint32_t effects);

/* "a.b.c": the last two parts. */
struct sqlname {
	struct sqllex_token schema; /* kind SQLLEX_END: none */
	struct sqllex_token name;
};

/*
 * Takes the dotted name that begins at now, any word being a name after the
 * first dot; leaves now on its last token.
 */
struct sqlname sqlcursor_take_name(struct sqlcursor *cursor);

/* Look a name up and hold it against the statement. */
void sqlcursor_judge_function(struct sqlcursor *cursor,
			      const struct sqlname *name);
void sqlcursor_judge_relation(struct sqlcursor *cursor,
			      const struct sqlname *name);
void sqlcursor_judge_type(struct sqlcursor *cursor, const struct sqlname *name);

/* A column, a parameter, or an attribute that may be a function. */
void sqlcursor_judge_value(struct sqlcursor *cursor,
			   const struct sqlname *name);
void sqlcursor_judge_operator(struct sqlcursor *cursor);

/* True when no function of that name is known. */
bool sqlcursor_is_unknown_function(const struct sqlcursor *cursor,
				   const struct sqlname *name);

#endif
