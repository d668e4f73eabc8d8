#ifndef PGWEIR_CORE_SQLLEX_H
#define PGWEIR_CORE_SQLLEX_H

/*
 * PostgreSQL's lexical rules (documentation 4.1): a text in, tokens out, one
 * at a time.  No allocation and no NUL needed; the tokens point into the text.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sqllex_kind {
	SQLLEX_END,
	SQLLEX_BAD,     /* not understood: nothing after it is known */
	SQLLEX_WORD,    /* identifier or keyword, not quoted */
	SQLLEX_NAME,    /* "quoted"; text is what stands between the quotes */
	SQLLEX_UNICODE, /* U&"..." : a name that we do not decode */
	SQLLEX_LITERAL, /* string, number or $1; a list of them counts once */
	SQLLEX_OPERATOR,
	SQLLEX_CAST,   /* :: */
	SQLLEX_ASSIGN, /* := */
	SQLLEX_PUNCT   /* one of ( ) [ ] , ; . : */
};

struct sqllex_token {
	enum sqllex_kind kind;
	char punct;       /* of SQLLEX_PUNCT, else NUL */
	bool has_doubled; /* SQLLEX_NAME with "" inside */
	const char *text;
	size_t len;
};

struct sqllex {
	const char *at;
	const char *end;
	bool plain_backslash;
	bool is_bad;
	uint32_t work; /* done so far; at SQLLEX_WORK_MAX the text is BAD */
};

/*
 * How much of a text is looked at: 65,536 words and signs, or a list of a
 * hundred thousand strings or two million integers.  Some milliseconds.
 */
enum { SQLLEX_TOKEN_WORK = 8, SQLLEX_WORK_MAX = 65536 * SQLLEX_TOKEN_WORK };

/*
 * is_safe_encoding false: any byte that is not ASCII makes the text BAD, since
 * its neighbour could be half of a character.
 */
void sqllex_init(struct sqllex *lex, const char *sql, size_t len,
		 bool plain_backslash, bool is_safe_encoding);

/*
 * The next token.  After END or BAD the same comes again.  "1, 'a', $2" is one
 * LITERAL, so that the length of a list does not make another shape.
 */
void sqllex_next(struct sqllex *lex, struct sqllex_token *token);

/* BAD came because the text is too much to look at. */
static inline bool sqllex_is_exhausted(const struct sqllex *lex)
{
	return lex->work >= SQLLEX_WORK_MAX;
}

/* An unquoted word, whatever its case; word in lower case. */
bool sqllex_is_word(const struct sqllex_token *token, const char *word);

/* Longest name that PostgreSQL keeps (NAMEDATALEN - 1). */
enum { SQLLEX_NAME_MAX = 63 };

/*
 * The name as stored: folded unless quoted, "" undoubled.  Returns its length,
 * or 0 when it is no name or longer than SQLLEX_NAME_MAX.
 */
size_t sqllex_name(const struct sqllex_token *token,
		   char out[static SQLLEX_NAME_MAX + 1]);

#endif
