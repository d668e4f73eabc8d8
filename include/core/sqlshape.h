#ifndef PGWEIR_CORE_SQLSHAPE_H
#define PGWEIR_CORE_SQLSHAPE_H

/* What stays of a text when literals, comments and blanks go. */
#include "core/sqllex.h"

/*
 * Tags of a shape.  Behind a word or an operator its bytes follow, folded;
 * behind a name two bytes of its length, the low one first, and its bytes.
 * Any other byte is a punctuation.
 */
enum sqlshape_tag {
	SQLSHAPE_WORD = 1,
	SQLSHAPE_NAME,
	SQLSHAPE_UNICODE,
	SQLSHAPE_LITERAL,
	SQLSHAPE_OPERATOR,
	SQLSHAPE_CAST,
	SQLSHAPE_ASSIGN
};

/*
 * The shape of a text: its tokens without literals, comments and white space,
 * written so that two texts have the same bytes only if they have the same
 * tokens.  Returns the length, or 0 when the text is BAD, empty, or its shape
 * longer than room.  The lexer has just been set up on the text.
 */
size_t sqlshape_write(struct sqllex *lex, uint8_t *out, size_t room);

/* The same by the lexer alone, slowly: what tests compare it with. */
size_t sqlshape_write_all(struct sqllex *lex, uint8_t *out, size_t room);

#endif
