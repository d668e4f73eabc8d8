/*
 * Spellings: where the literals of a text stand, found without reading it
 * token by token.
 *
 * The text is looked at in blocks of sixteen bytes for those that may begin
 * anything but words, blanks and signs; what is between them is copied.  Of
 * these bytes each is judged by what stands around it, and whatever is not
 * clearly a number, a string or a quoted name ends the attempt: the lexer
 * reads such a text.  So the two agree where a literal begins and ends, and
 * everything else of the text stands in its spelling byte by byte.
 *
 * Marks are bytes that the text itself cannot have outside of its quotes.
 * No state, no allocation; any thread.
 */
#include "core/sqlspell.h"

#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { MARK_NUMBER = 1, MARK_STRING = 2 };

enum { BLOCK = SQLSPELL_SPARE };

/* Sixteen bytes, compared all at once; each is 0 or 0xff afterwards. */
typedef uint8_t block_bytes __attribute__((vector_size(BLOCK)));

struct speller {
	const char *begin;
	const char *at;
	const char *end;
	uint8_t *out;
	bool plain_backslash;
	bool has_strings;
	bool has_names; /* long ones, where any byte may be, as in strings */
};

/* Letters, digits, _, $ and all that is not ASCII. */
static const uint8_t in_word[256] = {
	['0' ... '9'] = 1,   ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
	[0x80 ... 0xff] = 1, ['_'] = 1,         ['$'] = 1,
};

static inline bool is_in_word(char byte)
{
	return in_word[(unsigned char)byte];
}

static inline bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* The first byte that is set, or BLOCK. */
static inline size_t first_set(block_bytes bytes)
{
#ifdef __SSE2__
	unsigned mask = (unsigned)_mm_movemask_epi8((__m128i)bytes);

	return mask ? (size_t)__builtin_ctz(mask) : BLOCK;
#else
	size_t at = 0;

	while (at < BLOCK && !bytes[at])
		at++;
	return at;
#endif
}

static inline block_bytes load(const void *bytes)
{
	block_bytes block;

	memcpy(&block, bytes, sizeof(block));
	return block;
}

/* Control characters, and all that is not ASCII. */
static inline block_bytes strange(block_bytes block)
{
	return (block_bytes)(block - ' ' > '~' - ' ');
}

/* Quotes, dollars, digits, what may open a comment; strange ones. */
static inline size_t first_special(block_bytes block)
{
	return first_set((block_bytes)(block - '"' <= '\'' - '"') |
			 (block_bytes)(block - '/' <= '9' - '/') |
			 (block_bytes)(block == '-') | strange(block));
}

/* Copies up to the next special byte, or a block; true: one is there. */
static inline bool copy_plain(struct speller *speller)
{
	size_t left = (size_t)(speller->end - speller->at);
	size_t len;

	if (left >= BLOCK) {
		memcpy(speller->out, speller->at, BLOCK);
		len = first_special(load(speller->out));
	} else {
		memset(speller->out, ' ', BLOCK);
		memcpy(speller->out, speller->at, left);
		len = first_special(load(speller->out));
		if (len > left)
			len = left;
	}
	speller->at += len;
	speller->out += len;
	return len < BLOCK && len < left;
}

static inline void copy_one(struct speller *speller)
{
	*speller->out++ = (uint8_t)*speller->at++;
}

/* What stands in front of the cursor; a blank at the edge. */
static inline char before(const struct speller *speller)
{
	if (speller->at == speller->begin)
		return ' ';
	return speller->at[-1];
}

/* What stands behind it. */
static inline char behind(const struct speller *speller)
{
	if (speller->end - speller->at < 2)
		return ' ';
	return speller->at[1];
}

static inline const char *skip_digits(const char *at, const char *end)
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

/* Digits of a word, or a number: 1, 1.5, but neither .5 nor 1e5 nor 0x1f. */
static inline bool take_digits(struct speller *speller)
{
	const char *at = speller->at;

	if (is_in_word(before(speller))) {
		copy_one(speller);
		return true;
	}
	if (before(speller) == '.')
		return false;
	at = skip_digits(at + 1, speller->end);
	if (speller->end - at > 1 && *at == '.' && is_digit(at[1]))
		at = skip_digits(at + 2, speller->end);
	if (at < speller->end && (is_in_word(*at) || *at == '.'))
		return false;
	*speller->out++ = MARK_NUMBER;
	speller->at = at;
	return true;
}

/* '...' with '' in it; e'' and its like are another matter. */
static inline bool take_string(struct speller *speller)
{
	const char *at = speller->at;

	if (!speller->plain_backslash || is_in_word(before(speller)) ||
	    before(speller) == '&')
		return false;
	do {
		at++;
		at = memchr(at, '\'', (size_t)(speller->end - at));
		if (!at)
			return false;
		at++;
	} while (at < speller->end && *at == '\'');
	speller->has_strings = true;
	*speller->out++ = MARK_STRING;
	speller->at = at;
	return true;
}

/* "...": a name is what it is, if it is plain. */
static inline bool take_name(struct speller *speller)
{
	const char *at = speller->at + 1;
	size_t len = 0;

	/* Most are shorter than a block, and have others behind them. */
	if (speller->end - at >= BLOCK) {
		block_bytes block = load(at);

		len = first_set((block_bytes)(block == '"') | strange(block));
		memcpy(speller->out + 1, at, BLOCK);
		if (len < BLOCK && at[len] != '"')
			return false;
	}
	if (len == 0 || len == BLOCK) {
		const char *close =
			memchr(at, '"', (size_t)(speller->end - at));
		if (!close)
			return false;
		len = (size_t)(close - at);
		memcpy(speller->out + 1, at, len);
		speller->has_names = true;
	}
	*speller->out = '"';
	speller->out[len + 1] = '"';
	speller->out += len + 2;
	speller->at += len + 2;
	return true;
}

/* The special byte at the cursor; false: no spelling. */
static inline bool take_special(struct speller *speller)
{
	char byte = *speller->at;

	if (is_digit(byte))
		return take_digits(speller);
	if (byte == '\'')
		return take_string(speller);
	if (byte == '"')
		return take_name(speller);
	/* $1, or the part of a word; else it opens a string. */
	if (byte == '$' && !is_in_word(before(speller)) &&
	    !is_digit(behind(speller)))
		return false;
	if ((byte == '-' && behind(speller) == '-') ||
	    (byte == '/' && behind(speller) == '*'))
		return false;
	if ((unsigned char)byte < ' ' && (byte < '\t' || byte > '\r'))
		return false;
	copy_one(speller);
	return true;
}

struct sqlspell sqlspell_write(const char *sql, size_t len,
			       bool plain_backslash, uint8_t *out, size_t room)
{
	const struct sqlspell none = { 0 };
	struct speller speller = { .begin = sql,
				   .at = sql,
				   .end = sql + len,
				   .out = out,
				   .plain_backslash = plain_backslash };

	if (len == 0 || room < SQLSPELL_SPARE || len > room - SQLSPELL_SPARE)
		return none;
	while (speller.at < speller.end)
		if (copy_plain(&speller) && !take_special(&speller))
			return none;
	assert((size_t)(speller.out - out) <= len);
	if ((speller.has_strings || speller.has_names) &&
	    memchr(sql, '\0', len))
		return none;
	return (struct sqlspell){ (size_t)(speller.out - out),
				  speller.has_strings };
}
