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

#include "base/util.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

enum {
	TAG_WORD = SQLSHAPE_WORD,
	TAG_NAME = SQLSHAPE_NAME,
	TAG_UNICODE = SQLSHAPE_UNICODE,
	TAG_LITERAL = SQLSHAPE_LITERAL,
	TAG_OPERATOR = SQLSHAPE_OPERATOR,
	TAG_CAST = SQLSHAPE_CAST,
	TAG_ASSIGN = SQLSHAPE_ASSIGN
};

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
		out[i + 1] = (uint8_t)util_fold(token->text[i]);
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
enum { ROWS_BEGIN = 1, ROWS_FIRST_END = 4, ROWS_NEXT_END = 7, ROWS_BYTES = 4 };

/* What has been written, and room for more. */
struct writer {
	uint8_t *out;
	size_t room;
	size_t len;
	unsigned rows;
};

/* what: a punctuation, '?' for a literal, NUL for any other token. */
static inline unsigned follow_rows(unsigned step, char what)
{
	static const char wanted[] = "(?),(?)";

	return step > 0 && what != '\0' && wanted[step - 1] == what ? step + 1
								    : 0;
}

static bool is_values(const struct sqllex_token *token)
{
	return token->kind == SQLLEX_WORD && token->len == 6 &&
	       strncasecmp(token->text, "values", 6) == 0;
}

static char sign_of(const struct sqllex_token *token)
{
	if (token->kind == SQLLEX_LITERAL)
		return '?';
	return token->punct;
}

/* One token; false at the end, and when there is no shape (len is 0 then). */
static bool write_next(struct sqllex *lex, struct writer *writer)
{
	struct sqllex_token token;

	sqllex_next(lex, &token);
	if (token.kind == SQLLEX_END)
		return false;
	if (token.kind == SQLLEX_BAD || token.len > UINT16_MAX ||
	    token.len + 3 > writer->room - writer->len) {
		writer->len = 0;
		return false;
	}
	writer->len += write_token(&token, writer->out + writer->len);
	assert(writer->len <= writer->room);
	if (is_values(&token))
		writer->rows = ROWS_BEGIN;
	else
		writer->rows = follow_rows(writer->rows, sign_of(&token));
	if (writer->rows > ROWS_NEXT_END) {
		assert(writer->len > ROWS_BYTES);
		writer->len -= ROWS_BYTES;
		writer->rows = ROWS_FIRST_END;
	}
	return true;
}

/* ---- simple tokens ------------------------------------------------------ */

/*
 * Most of a text are words, integers and single signs with blanks between
 * them.  Of these the shape is written here, without making tokens; whatever
 * could be anything else, by what follows it, is left to the lexer.  The bytes
 * are the same either way.
 */

/* What a token is that begins with a byte, if it is simple. */
enum simple { NOT_SIMPLE, BLANK, LETTER, DIGIT, DOLLAR, SIGN, PUNCT, DOT };

static const uint8_t simple_of[256] = {
	[' '] = BLANK,
	['\t' ... '\r'] = BLANK,
	['A' ... 'Z'] = LETTER,
	['a' ... 'z'] = LETTER,
	['_'] = LETTER,
	['0' ... '9'] = DIGIT,
	['$'] = DOLLAR,
	['~'] = SIGN,
	['!'] = SIGN,
	['@'] = SIGN,
	['#'] = SIGN,
	['^'] = SIGN,
	['&'] = SIGN,
	['|'] = SIGN,
	['`'] = SIGN,
	['?'] = SIGN,
	['+'] = SIGN,
	['-'] = SIGN,
	['*'] = SIGN,
	['/'] = SIGN,
	['%'] = SIGN,
	['<'] = SIGN,
	['>'] = SIGN,
	['='] = SIGN,
	['('] = PUNCT,
	[')'] = PUNCT,
	['['] = PUNCT,
	[']'] = PUNCT,
	[','] = PUNCT,
	[';'] = PUNCT,
	['.'] = DOT,
};

static inline enum simple simple_at(const char *at, const char *end)
{
	return at < end ? simple_of[(unsigned char)*at] : BLANK;
}

/*
 * A byte of a word, folded, or 0.  Bytes that are not ASCII may go on in a
 * word as well, but such words are not simple.
 */
static const uint8_t in_word[256] = {
#define LOWER(byte) [(byte) - 'a' + 'A'] = (byte), [byte] = (byte)
	LOWER('a'),  LOWER('b'),  LOWER('c'),  LOWER('d'),  LOWER('e'),
	LOWER('f'),  LOWER('g'),  LOWER('h'),  LOWER('i'),  LOWER('j'),
	LOWER('k'),  LOWER('l'),  LOWER('m'),  LOWER('n'),  LOWER('o'),
	LOWER('p'),  LOWER('q'),  LOWER('r'),  LOWER('s'),  LOWER('t'),
	LOWER('u'),  LOWER('v'),  LOWER('w'),  LOWER('x'),  LOWER('y'),
	LOWER('z'),
#undef LOWER
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
	['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
	['_'] = '_', ['$'] = '$',
};

static inline size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* The longest token that is simple; the tag in front of it, and no less. */
enum { SIMPLE_MAX = 64, SIMPLE_ROOM = SIMPLE_MAX + 3 };

/* A word, folded; its length, or 0 when it may be something else. */
static inline size_t write_simple_word(const char *at, const char *end,
				       uint8_t *out)
{
	size_t most = least(SIMPLE_MAX, (size_t)(end - at));
	size_t len = 0;

	while (len < most && in_word[(unsigned char)at[len]]) {
		out[len + 1] = in_word[(unsigned char)at[len]];
		len++;
	}
	at += len;
	/* Not e'', not u&"", nor the part of a longer word. */
	if (at < end && (*at == '\'' || *at == '&' || len == SIMPLE_MAX ||
			 (unsigned char)*at >= 0x80))
		return 0;
	out[0] = TAG_WORD;
	return len;
}

/*
 * Digits that nothing follows which would make them part of a longer number
 * or of a list of literals; their end, or NULL.
 */
static inline const char *skip_simple_digits(const char *at, const char *end)
{
	const char *next;

	while (simple_at(at, end) == DIGIT)
		at++;
	if (at < end && (in_word[(unsigned char)*at] || *at == '.' ||
			 (unsigned char)*at >= 0x80))
		return NULL;
	next = at;
	while (next < end && simple_at(next, end) == BLANK)
		next++;
	/* A comment may stand in front of the comma. */
	if (next < end && (*next == ',' || *next == '-' || *next == '/'))
		return NULL;
	return at;
}

/* One sign that is an operator of its own, or a punctuation. */
static inline bool is_simple_sign(enum simple class, const char *at,
				  const char *end)
{
	if (class == SIGN)
		return simple_at(at + 1, end) != SIGN;
	return class == PUNCT ||
	       (class == DOT && simple_at(at + 1, end) != DIGIT);
}

static inline void note_simple(struct writer *writer, size_t len, char what)
{
	writer->len += len;
	writer->rows = follow_rows(writer->rows, what);
	if (writer->rows > ROWS_NEXT_END) {
		writer->len -= ROWS_BYTES;
		writer->rows = ROWS_FIRST_END;
	}
}

static inline const char *take_simple_word(struct writer *writer,
					   const char *at, const char *end)
{
	uint8_t *out = writer->out + writer->len;
	size_t len = write_simple_word(at, end, out);

	if (len == 0)
		return NULL;
	note_simple(writer, len + 1, '\0');
	if (len == 6 && memcmp(out + 1, "values", 6) == 0)
		writer->rows = ROWS_BEGIN;
	return at + len;
}

static inline const char *take_simple_sign(struct writer *writer,
					   enum simple class, const char *at)
{
	uint8_t *out = writer->out + writer->len;

	if (class == SIGN) {
		*out++ = TAG_OPERATOR;
		*out = (uint8_t)*at;
		note_simple(writer, 2, '\0');
	} else {
		*out = (uint8_t)*at;
		note_simple(writer, 1, *at);
	}
	return at + 1;
}

/* The simple token at the cursor: where it ends, NULL when it is none. */
static inline const char *take_simple(struct writer *writer, enum simple class,
				      const char *at, const char *end)
{
	const char *next;

	if (class == LETTER)
		return take_simple_word(writer, at, end);
	if (class == DIGIT ||
	    (class == DOLLAR && simple_at(at + 1, end) == DIGIT)) {
		next = skip_simple_digits(at + 1, end);
		if (!next)
			return NULL;
		writer->out[writer->len] = TAG_LITERAL;
		note_simple(writer, 1, '?');
		return next;
	}
	if (!is_simple_sign(class, at, end))
		return NULL;
	return take_simple_sign(writer, class, at);
}

static void write_simple(struct sqllex *lex, struct writer *into)
{
	struct writer writer = *into;
	const char *at = lex->at;
	const char *end = lex->end;

	while (at < end && writer.room - writer.len >= SIMPLE_ROOM) {
		enum simple class = simple_at(at, end);
		const char *next = at + 1;

		if (class != BLANK)
			next = take_simple(&writer, class, at, end);
		if (!next)
			break;
		at = next;
	}
	lex->at = at;
	*into = writer;
}

/* ---- all tokens --------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes there */
size_t sqlshape_write(struct sqllex *lex, uint8_t *out, size_t room)
{
	struct writer writer = { .out = out, .room = room };

	do {
		if (!lex->is_bad)
			write_simple(lex, &writer);
	} while (write_next(lex, &writer));
	return writer.len;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes there */
size_t sqlshape_write_all(struct sqllex *lex, uint8_t *out, size_t room)
{
	struct writer writer = { .out = out, .room = room };

	while (write_next(lex, &writer))
		continue;
	return writer.len;
}
