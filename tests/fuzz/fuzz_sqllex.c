/*
 * Any bytes through the tokenizer: it must end, stay inside the text, walk
 * forward, and write a shape that is the same each time and either way.  What
 * is spelled alike has one shape, whatever its literals are.
 */
#include "core/sqllex.h"
#include "core/sqlshape.h"
#include "core/sqlspell.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_tokens(const char *sql, size_t len, bool plain_backslash,
			 bool is_safe_encoding)
{
	struct sqllex_token token;
	struct sqllex lex;
	const char *before = sql;
	char name[SQLLEX_NAME_MAX + 1];

	sqllex_init(&lex, sql, len, plain_backslash, is_safe_encoding);
	for (;;) {
		sqllex_next(&lex, &token);
		check(lex.at >= before && lex.at <= sql + len);
		if (token.kind == SQLLEX_END || token.kind == SQLLEX_BAD)
			break;
		check(lex.at > before);
		before = lex.at;
		if (token.text)
			check(token.text >= sql &&
			      token.text + token.len <= lex.at);
		check(sqllex_name(&token, name) <= SQLLEX_NAME_MAX);
	}
}

static void check_shape(const char *sql, size_t len, bool plain_backslash)
{
	uint8_t one[512];
	uint8_t other[4096];
	uint8_t all[4096];
	struct sqllex lex;
	size_t one_len;
	size_t other_len;

	sqllex_init(&lex, sql, len, plain_backslash, true);
	one_len = sqlshape_write(&lex, one, sizeof(one));
	sqllex_init(&lex, sql, len, plain_backslash, true);
	other_len = sqlshape_write(&lex, other, sizeof(other));
	sqllex_init(&lex, sql, len, plain_backslash, true);
	check(sqlshape_write_all(&lex, all, sizeof(all)) == other_len &&
	      memcmp(all, other, other_len) == 0);
	/* A small room refuses, it never cuts. */
	check(one_len == 0 ||
	      (one_len == other_len && memcmp(one, other, one_len) == 0));
}

/* A text of that spelling: all of its literals are other ones. */
static size_t respell(const uint8_t *spelled, size_t len, char *out)
{
	bool is_quoted = false;
	char *at = out;

	for (size_t i = 0; i < len; i++) {
		const char *literal = spelled[i] == 1 ? "70" : "'-- x''7'";

		if (spelled[i] == '"')
			is_quoted = !is_quoted;
		if (is_quoted || spelled[i] > 2) {
			*at++ = (char)spelled[i];
			continue;
		}
		memcpy(at, literal, strlen(literal));
		at += strlen(literal);
	}
	return (size_t)(at - out);
}

static void check_spelling(const char *sql, size_t len, bool plain_backslash)
{
	static uint8_t spelled[2048];
	static char other[32768];
	static uint8_t shape[16384];
	static uint8_t other_shape[16384];
	struct sqllex lex;
	size_t shape_len;
	size_t used = sqlspell_write(sql, len, plain_backslash, spelled,
				     sizeof(spelled))
			      .len;

	if (used == 0)
		return;
	check(used <= len);
	sqllex_init(&lex, sql, len, plain_backslash, true);
	shape_len = sqlshape_write_all(&lex, shape, sizeof(shape));
	len = respell(spelled, used, other);
	sqllex_init(&lex, other, len, plain_backslash, true);
	check(sqlshape_write_all(&lex, other_shape, sizeof(other_shape)) ==
	      shape_len);
	check(memcmp(shape, other_shape, shape_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A block of its own: one byte too far is noticed. */
	char *sql = malloc(size ? size : 1);

	if (size > 0)
		memcpy(sql, data, size);
	for (unsigned mode = 0; mode < 4; mode++)
		check_tokens(sql, size, mode & 1, mode & 2);
	check_shape(sql, size, true);
	check_shape(sql, size, false);
	check_spelling(sql, size, true);
	check_spelling(sql, size, false);
	free(sql);
	return 0;
}
