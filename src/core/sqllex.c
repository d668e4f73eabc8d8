/*
 * A pull tokenizer of PostgreSQL's lexical rules (documentation 4.1, the
 * server's scan.l): nested comments, the seven kinds of string and their
 * continuation over lines, dollar quotes, operators that a comment ends.
 *
 * It is used twice on the same text, for the shape and for the verdict, and
 * both must see the same tokens: lists of literals are folded here, not there.
 * Whatever a version of the server could read in another way (a number glued
 * to a word, a NUL, half a character of an unsafe encoding) is BAD.
 *
 * Long literals, comments and names are crossed by memchr and memmem.  No
 * allocation, no state but the cursor; any thread.
 */
#include "core/sqllex.h"

#include "base/util.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* What a byte may be part of. */
enum {
	IS_SPACE = 1,
	IS_WORD_START = 2, /* letter, _, anything not ASCII */
	IS_DIGIT = 4,
	IS_OPERATOR = 8,
	IS_PUNCT = 16,
	IS_DOLLAR = 32,
	IS_WORD = IS_WORD_START | IS_DIGIT | IS_DOLLAR
};

static const uint8_t class_of[256] = {
	[' '] = IS_SPACE,
	['\t' ... '\r'] = IS_SPACE,
	['A' ... 'Z'] = IS_WORD_START,
	['a' ... 'z'] = IS_WORD_START,
	['_'] = IS_WORD_START,
	[0x80 ... 0xff] = IS_WORD_START,
	['0' ... '9'] = IS_DIGIT,
	['$'] = IS_DOLLAR,
	['~'] = IS_OPERATOR,
	['!'] = IS_OPERATOR,
	['@'] = IS_OPERATOR,
	['#'] = IS_OPERATOR,
	['^'] = IS_OPERATOR,
	['&'] = IS_OPERATOR,
	['|'] = IS_OPERATOR,
	['`'] = IS_OPERATOR,
	['?'] = IS_OPERATOR,
	['+'] = IS_OPERATOR,
	['-'] = IS_OPERATOR,
	['*'] = IS_OPERATOR,
	['/'] = IS_OPERATOR,
	['%'] = IS_OPERATOR,
	['<'] = IS_OPERATOR,
	['>'] = IS_OPERATOR,
	['='] = IS_OPERATOR,
	['('] = IS_PUNCT,
	[')'] = IS_PUNCT,
	['['] = IS_PUNCT,
	[']'] = IS_PUNCT,
	[','] = IS_PUNCT,
	[';'] = IS_PUNCT,
	['.'] = IS_PUNCT,
	[':'] = IS_PUNCT,
};

static inline bool is_class(char byte, int mask)
{
	return (class_of[(unsigned char)byte] & mask) != 0;
}

/* The byte so far ahead of the cursor, within the text. */
static inline bool sees(const struct sqllex *lex, size_t ahead, char byte)
{
	return (size_t)(lex->end - lex->at) > ahead && lex->at[ahead] == byte;
}

static bool has_high_byte(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return true;
	return false;
}

void sqllex_init(struct sqllex *lex, const char *sql, size_t len,
		 bool plain_backslash, bool is_safe_encoding)
{
	assert(sql != NULL || len == 0);
	lex->at = sql;
	lex->end = sql + len;
	lex->plain_backslash = plain_backslash;
	lex->work = 0;
	lex->is_bad = (len > 0 && memchr(sql, '\0', len)) ||
		      (!is_safe_encoding && has_high_byte(sql, len));
}

/* To the end of the line, which stays: it may continue a string. */
static void skip_line(struct sqllex *lex)
{
	while (lex->at < lex->end && *lex->at != '\n' && *lex->at != '\r')
		lex->at++;
}

/* Standing on the slash of an opening; false when the comment has no end. */
static bool skip_comment(struct sqllex *lex)
{
	size_t depth = 0;

	while (lex->at < lex->end) {
		const char *next = lex->at + 1;

		if (*lex->at == '/' && next < lex->end && *next == '*') {
			depth++;
			lex->at += 2;
		} else if (*lex->at == '*' && next < lex->end && *next == '/') {
			lex->at += 2;
			if (--depth == 0)
				return true;
		} else {
			lex->at++;
		}
	}
	return false;
}

/* White space and comments; false when a comment has no end. */
static bool skip_blank(struct sqllex *lex)
{
	while (lex->at < lex->end) {
		if (is_class(*lex->at, IS_SPACE)) {
			lex->at++;
		} else if (*lex->at == '-' && sees(lex, 1, '-')) {
			skip_line(lex);
		} else if (*lex->at == '/' && sees(lex, 1, '*')) {
			if (!skip_comment(lex))
				return false;
		} else {
			break;
		}
	}
	return true;
}

/*
 * Between a closing quote and one that continues the string: blanks and --
 * comments, with a line end among them (block comments do not count).
 */
static bool skip_to_continuation(struct sqllex *lex)
{
	const char *start = lex->at;
	bool has_newline = false;

	while (lex->at < lex->end) {
		if (is_class(*lex->at, IS_SPACE)) {
			has_newline |= *lex->at == '\n' || *lex->at == '\r';
			lex->at++;
		} else if (*lex->at == '-' && sees(lex, 1, '-')) {
			skip_line(lex);
		} else {
			break;
		}
	}
	if (has_newline && sees(lex, 0, '\''))
		return true;
	lex->at = start;
	return false;
}

/*
 * To behind the closing quote, the cursor being behind the opening one.  The
 * next quote is remembered, or a text full of backslashes would be searched
 * anew for each of them.
 */
static bool skip_quoted(struct sqllex *lex, bool doubles, bool escapes)
{
	const char *quote = NULL;

	for (;;) {
		const char *slash = NULL;

		lex->work++;
		if (!quote || quote < lex->at)
			quote = memchr(lex->at, '\'',
				       (size_t)(lex->end - lex->at));
		if (!quote)
			return false;
		if (escapes)
			slash = memchr(lex->at, '\\',
				       (size_t)(quote - lex->at));
		if (slash) {
			lex->at = slash + 2;
			continue;
		}
		lex->at = quote + 1;
		if (!doubles || !sees(lex, 0, '\''))
			return true;
		lex->at++;
	}
}

/* A whole string constant, standing on its first quote. */
static bool skip_string(struct sqllex *lex, bool doubles, bool escapes)
{
	do {
		lex->at++;
		if (!skip_quoted(lex, doubles, escapes))
			return false;
	} while (skip_to_continuation(lex));
	return true;
}

/* $tag$ ... $tag$, standing on the first dollar. */
static bool skip_dollar_quoted(struct sqllex *lex)
{
	const char *tag = lex->at;
	const char *at = tag + 1;
	const char *close;
	size_t len;

	if (at < lex->end && is_class(*at, IS_WORD_START))
		while (at < lex->end && is_class(*at, IS_WORD_START | IS_DIGIT))
			at++;
	if (at >= lex->end || *at != '$')
		return false;
	at++;
	len = (size_t)(at - tag);
	close = memmem(at, (size_t)(lex->end - at), tag, len);
	if (!close)
		return false;
	lex->at = close + len;
	return true;
}

static void skip_class(struct sqllex *lex, int mask)
{
	while (lex->at < lex->end && is_class(*lex->at, mask))
		lex->at++;
}

/* A number or parameter must not run into a word: versions differ there. */
static bool ends_cleanly(const struct sqllex *lex)
{
	return lex->at == lex->end || !is_class(*lex->at, IS_WORD);
}

/* Digits with underscores (PostgreSQL 16); hexadecimal ones if wanted. */
static void skip_digits(struct sqllex *lex, bool is_hexadecimal)
{
	while (lex->at < lex->end) {
		char byte = util_fold(*lex->at);

		if (!is_class(byte, IS_DIGIT) && byte != '_' &&
		    !(is_hexadecimal && byte >= 'a' && byte <= 'f'))
			break;
		lex->at++;
	}
}

/* e+10, standing on the e; false without digits. */
static bool skip_exponent(struct sqllex *lex)
{
	lex->at++;
	if (sees(lex, 0, '+') || sees(lex, 0, '-'))
		lex->at++;
	if (lex->at == lex->end || !is_class(*lex->at, IS_DIGIT))
		return false;
	skip_digits(lex, false);
	return true;
}

/* Integer or decimal of any base, with an exponent. */
static bool skip_number(struct sqllex *lex)
{
	if (*lex->at == '0' && lex->end - lex->at > 1 &&
	    strchr("xXoObB", lex->at[1])) {
		lex->at += 2;
		skip_digits(lex, true);
		return ends_cleanly(lex);
	}
	skip_digits(lex, false);
	/* 1..2 is an integer and a range of PL/pgSQL. */
	if (sees(lex, 0, '.') && !sees(lex, 1, '.')) {
		lex->at++;
		skip_digits(lex, false);
	}
	if (lex->at < lex->end && util_fold(*lex->at) == 'e' &&
	    !skip_exponent(lex))
		return false;
	return ends_cleanly(lex);
}

/* $1, or a dollar quote. */
static bool skip_dollar(struct sqllex *lex)
{
	if (lex->end - lex->at < 2 || !is_class(lex->at[1], IS_DIGIT))
		return skip_dollar_quoted(lex);
	lex->at++;
	skip_class(lex, IS_DIGIT);
	return ends_cleanly(lex);
}

/* "...", the cursor on the quote; sets the token's text. */
static bool take_name(struct sqllex *lex, struct sqllex_token *token)
{
	token->text = ++lex->at;
	for (;;) {
		const char *quote =
			memchr(lex->at, '"', (size_t)(lex->end - lex->at));

		if (!quote)
			return false;
		lex->at = quote + 1;
		if (!sees(lex, 0, '"')) {
			token->len = (size_t)(quote - token->text);
			return token->len > 0; /* "" is no identifier */
		}
		token->has_doubled = true;
		lex->at++;
	}
}

/*
 * Operators end before a comment; one of several characters ends in + or -
 * only when it holds a character that standard SQL does not use.
 */
static void take_operator(struct sqllex *lex, struct sqllex_token *token)
{
	const char *start = lex->at;
	bool is_special = false;

	token->kind = SQLLEX_OPERATOR;
	token->text = start;
	while (lex->at < lex->end && is_class(*lex->at, IS_OPERATOR)) {
		if ((*lex->at == '-' && sees(lex, 1, '-')) ||
		    (*lex->at == '/' && sees(lex, 1, '*')))
			break;
		is_special |= strchr("~!@#%^&|`?", *lex->at) != NULL;
		lex->at++;
	}
	while (!is_special && lex->at - start > 1 &&
	       (lex->at[-1] == '+' || lex->at[-1] == '-'))
		lex->at--;
	token->len = (size_t)(lex->at - start);
}

/* A prefix letter right before a quote: which kind of string it opens. */
static bool take_prefixed(struct sqllex *lex, struct sqllex_token *token)
{
	char letter = util_fold(*lex->at);

	token->kind = SQLLEX_LITERAL;
	if (letter == 'u') {
		lex->at += 2;
		if (*lex->at == '\'')
			return skip_string(lex, true, false);
		token->kind = SQLLEX_UNICODE;
		return take_name(lex, token);
	}
	lex->at++;
	if (letter == 'b' || letter == 'x')
		return skip_string(lex, false, false);
	return skip_string(lex, true, letter == 'e' || !lex->plain_backslash);
}

/* e'' and its like: the quote must follow at once. */
static bool is_prefixed(const struct sqllex *lex)
{
	switch (util_fold(*lex->at)) {
	case 'b':
	case 'e':
	case 'n':
	case 'x': return sees(lex, 1, '\'');
	case 'u':
		return sees(lex, 1, '&') &&
		       (sees(lex, 2, '\'') || sees(lex, 2, '"'));
	default: return false;
	}
}

static bool take_word(struct sqllex *lex, struct sqllex_token *token)
{
	if (is_prefixed(lex))
		return take_prefixed(lex, token);
	token->kind = SQLLEX_WORD;
	token->text = lex->at;
	skip_class(lex, IS_WORD);
	token->len = (size_t)(lex->at - token->text);
	return true;
}

/* Also .5, :: and :=, which begin like punctuation. */
static bool take_punct(struct sqllex *lex, struct sqllex_token *token)
{
	if (*lex->at == '.' && lex->end - lex->at > 1 &&
	    is_class(lex->at[1], IS_DIGIT)) {
		token->kind = SQLLEX_LITERAL;
		return skip_number(lex);
	}
	if (*lex->at == ':' && (sees(lex, 1, ':') || sees(lex, 1, '='))) {
		token->kind = lex->at[1] == ':' ? SQLLEX_CAST : SQLLEX_ASSIGN;
		lex->at += 2;
		return true;
	}
	token->kind = SQLLEX_PUNCT;
	token->punct = *lex->at++;
	return true;
}

/* One token at the cursor, which stands on no blank. */
static bool take_token(struct sqllex *lex, struct sqllex_token *token)
{
	switch (class_of[(unsigned char)*lex->at]) {
	case IS_WORD_START: return take_word(lex, token);
	case IS_DIGIT: token->kind = SQLLEX_LITERAL; return skip_number(lex);
	case IS_PUNCT: return take_punct(lex, token);
	case IS_OPERATOR: take_operator(lex, token); return true;
	case IS_DOLLAR: token->kind = SQLLEX_LITERAL; return skip_dollar(lex);
	default: break;
	}
	if (*lex->at == '\'') {
		token->kind = SQLLEX_LITERAL;
		return skip_string(lex, true, !lex->plain_backslash);
	}
	token->kind = SQLLEX_NAME;
	return *lex->at == '"' && take_name(lex, token);
}

/* As sqllex_next(), lists not yet folded.  BAD is for good. */
static void take_next(struct sqllex *lex, struct sqllex_token *token)
{
	*token = (struct sqllex_token){ .kind = SQLLEX_END };
	lex->work += SQLLEX_TOKEN_WORK;
	if (lex->work >= SQLLEX_WORK_MAX)
		lex->is_bad = true;
	if (!lex->is_bad && !skip_blank(lex))
		lex->is_bad = true;
	if (!lex->is_bad && lex->at < lex->end && !take_token(lex, token))
		lex->is_bad = true;
	if (lex->is_bad)
		token->kind = SQLLEX_BAD;
}

/*
 * ",123" as often as it comes: a list may have a million of them.  The last
 * one is left alone, since something may follow it that makes it another
 * token.
 */
static void skip_integers(struct sqllex *lex)
{
	const char *at = lex->at;
	const char *done = at;
	uint32_t count = 0;

	for (;; count++) {
		while (at < lex->end && *at == ' ')
			at++;
		if (at == lex->end || *at != ',')
			break;
		done = at++;
		while (at < lex->end && *at == ' ')
			at++;
		if (at == lex->end || !is_class(*at, IS_DIGIT))
			break;
		while (at < lex->end && is_class(*at, IS_DIGIT))
			at++;
	}
	lex->at = done;
	lex->work += count / 4;
}

/* Swallows ", literal" as often as it comes; anything else is left alone. */
static void fold_list(struct sqllex *lex)
{
	struct sqllex before;
	struct sqllex_token token;

	skip_integers(lex);
	for (;;) {
		before = *lex;
		if (!skip_blank(lex) || !sees(lex, 0, ','))
			break;
		lex->at++;
		if (!skip_blank(lex) || lex->at >= lex->end)
			break;
		if (is_class(*lex->at, IS_WORD_START) && !is_prefixed(lex))
			break;
		take_next(lex, &token);
		if (token.kind != SQLLEX_LITERAL)
			break;
		lex->work -= SQLLEX_TOKEN_WORK / 2; /* nobody looks at it */
	}
	*lex = before;
}

void sqllex_next(struct sqllex *lex, struct sqllex_token *token)
{
	take_next(lex, token);
	if (token->kind == SQLLEX_LITERAL)
		fold_list(lex);
}

bool sqllex_is_word(const struct sqllex_token *token, const char *word)
{
	return token->kind == SQLLEX_WORD && token->len == strlen(word) &&
	       strncasecmp(token->text, word, token->len) == 0;
}

size_t sqllex_name(const struct sqllex_token *token,
		   char out[static SQLLEX_NAME_MAX + 1])
{
	size_t len = 0;

	if (token->kind != SQLLEX_WORD && token->kind != SQLLEX_NAME)
		return 0;
	for (size_t i = 0; i < token->len; i++) {
		char byte = token->text[i];

		if (len == SQLLEX_NAME_MAX)
			return 0;
		if (token->kind == SQLLEX_WORD)
			byte = util_fold(byte);
		out[len++] = byte;
		if (token->has_doubled && byte == '"')
			i++;
	}
	out[len] = '\0';
	return len;
}
