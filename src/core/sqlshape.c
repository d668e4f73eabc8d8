/*
 * The shape of a text as bytes.  Every token can be told back from them: words
 * are folded and begin with a tag below the printable; names, which may hold
 * any byte, carry their length; the rest is a tag or the punctuation itself.
 * So two texts with the same bytes have the same tokens, and a comparison of
 * the bytes is one of the texts.  No hash could promise that.
 *
 * No allocation, no state; any thread.
 */
#include "core/sqlshape.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* Tags of a shape; idents are folded text, the rest below the printable. */
enum {
	TAG_WORD = 1,
	TAG_NAME,
	TAG_UNICODE,
	TAG_LITERAL,
	TAG_OPERATOR,
	TAG_CAST,
	TAG_ASSIGN
};

static inline char fold(char byte)
{
	if (byte >= 'A' && byte <= 'Z')
		byte |= 0x20;
	return byte;
}

/* A tag, for names their length (they may hold any byte), and the text. */
static size_t write_name(const struct sqllex_token *token, uint8_t tag,
			 uint8_t *out)
{
	out[0] = tag;
	out[1] = (uint8_t)(token->len & 0xff);
	out[2] = (uint8_t)(token->len >> 8);
	memcpy(out + 3, token->text, token->len);
	return token->len + 3;
}

static size_t write_word(const struct sqllex_token *token, uint8_t *out)
{
	out[0] = TAG_WORD;
	for (size_t i = 0; i < token->len; i++)
		out[i + 1] = (uint8_t)fold(token->text[i]);
	return token->len + 1;
}

/* Writes at most token->len + 3 bytes; every token can be told back. */
static size_t write_token(const struct sqllex_token *token, uint8_t *out)
{
	switch (token->kind) {
	case SQLLEX_WORD: return write_word(token, out);
	case SQLLEX_NAME: return write_name(token, TAG_NAME, out);
	case SQLLEX_UNICODE: return write_name(token, TAG_UNICODE, out);
	case SQLLEX_OPERATOR:
		out[0] = TAG_OPERATOR;
		memcpy(out + 1, token->text, token->len);
		return token->len + 1;
	case SQLLEX_LITERAL: out[0] = TAG_LITERAL; return 1;
	case SQLLEX_CAST: out[0] = TAG_CAST; return 1;
	case SQLLEX_ASSIGN: out[0] = TAG_ASSIGN; return 1;
	default: out[0] = (uint8_t)token->punct; return 1;
	}
}

/*
 * How far the tokens are into "values ( literal ) , ( literal )", whose second
 * row is dropped: rows of literals have one shape, however many.  Tokens are
 * counted, not bytes: a quoted name may hold any bytes.
 */
enum { ROWS_FIRST_END = 4, ROWS_NEXT_END = 7, ROWS_BYTES = 4 };

static unsigned follow_rows(unsigned step, const struct sqllex_token *token)
{
	static const char puncts[] = "(?),(?)";

	if (token->kind == SQLLEX_WORD && token->len == 6 &&
	    strncasecmp(token->text, "values", 6) == 0)
		return 1;
	if (step == 0)
		return 0;
	if (puncts[step - 1] == '?')
		return token->kind == SQLLEX_LITERAL ? step + 1 : 0;
	return token->punct == puncts[step - 1] ? step + 1 : 0;
}

size_t sqlshape_write(struct sqllex *lex, uint8_t *out, size_t room)
{
	struct sqllex_token token;
	unsigned rows = 0;
	size_t len = 0;

	for (;;) {
		sqllex_next(lex, &token);
		if (token.kind == SQLLEX_END)
			return len;
		if (token.kind == SQLLEX_BAD || token.len > UINT16_MAX ||
		    token.len + 3 > room - len)
			return 0;
		len += write_token(&token, out + len);
		assert(len <= room);
		rows = follow_rows(rows, &token);
		if (rows > ROWS_NEXT_END) {
			assert(len > ROWS_BYTES);
			len -= ROWS_BYTES;
			rows = ROWS_FIRST_END;
		}
	}
}
