/*
 * Any bytes through the tokenizer: it must end, stay inside the text, walk
 * forward, and write a shape that is the same each time and either way.
 */
#include "core/sqllex.h"
#include "core/sqlshape.h"

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
	free(sql);
	return 0;
}
