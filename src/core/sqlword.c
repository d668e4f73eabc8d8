/*
 * Keywords by binary search: a verdict is only made when a shape is new, so
 * that a perfect hash would buy nothing.  The list lives in the header, sorted,
 * in capitals; comparison folds the token.
 */
#include "core/sqlword.h"

#include <assert.h>
#include <string.h>

struct known {
	const char *name;
	enum sqlword_freedom freedom;
};

static const struct known words[] = { { "", NAME_FREE },
#define SQLWORD_ROW(id, freedom) { #id, freedom },
				      SQLWORDS(SQLWORD_ROW)
#undef SQLWORD_ROW
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

static char raise(char byte)
{
	if (byte >= 'a' && byte <= 'z')
		byte &= 0x5f;
	return byte;
}

/* The token, in capitals, against a listed word. */
static int compare(const struct sqllex_token *token, const char *listed)
{
	for (size_t i = 0; i < token->len; i++) {
		int order = (unsigned char)raise(token->text[i]) -
			    (unsigned char)listed[i];

		/* The end of the listed word is a difference too. */
		if (order != 0)
			return order;
	}
	return listed[token->len] == '\0' ? 0 : -1;
}

enum sqlword sqlword_of(const struct sqllex_token *token)
{
	size_t low = NO_WORD + 1;
	size_t high = WORDS;

	if (token->kind != SQLLEX_WORD)
		return NO_WORD;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(token, words[middle].name);

		if (order == 0)
			return (enum sqlword)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NO_WORD;
}

enum sqlword_freedom sqlword_freedom(enum sqlword word)
{
	assert((size_t)word < WORDS);
	return words[word].freedom;
}
