#ifndef PGWEIR_CORE_SQLREADER_H
#define PGWEIR_CORE_SQLREADER_H

/*
 * A cursor for texts that are read to their last token because one sentence
 * is expected: the lexer and the token that it stands on.  Who does not find
 * what he expects gives the text up, so nothing is looked at twice.
 */
#include "core/sqllex.h"

#include <stdbool.h>

struct sqlreader {
	struct sqllex lex;
	struct sqllex_token now;
};

static inline void sqlreader_advance(struct sqlreader *reader)
{
	sqllex_next(&reader->lex, &reader->now);
}

static inline bool sqlreader_is_word(const struct sqlreader *reader,
				     const char *word)
{
	return sqllex_is_word(&reader->now, word);
}

/* True, and one token on, when it is this word. */
static inline bool sqlreader_take(struct sqlreader *reader, const char *word)
{
	if (!sqlreader_is_word(reader, word))
		return false;
	sqlreader_advance(reader);
	return true;
}

/* The sign or the word between the name of a setting and its value. */
static inline bool sqlreader_take_equals(struct sqlreader *reader)
{
	bool is_sign = reader->now.kind == SQLLEX_OPERATOR &&
		       reader->now.len == 1 && *reader->now.text == '=';

	if (!is_sign)
		return sqlreader_take(reader, "to");
	sqlreader_advance(reader);
	return true;
}

/* Nothing but semicolons is left; they are passed over. */
static inline bool sqlreader_is_over(struct sqlreader *reader)
{
	while (reader->now.punct == ';')
		sqlreader_advance(reader);
	return reader->now.kind == SQLLEX_END;
}

#endif
