/*
 * A walk over a text for its uses of prepared statements.
 *
 * Statements are told apart by their semicolons alone: inside the body of a
 * function none of these commands can stand, and what only looks like one is
 * taken for a use, which does no harm.  What cannot be told (a U& name, a
 * text that is not understood) makes the walk lost: its user has to be
 * prepared for anything.
 *
 * No allocation; any thread.
 */
#include "core/sqlprep.h"

#include <string.h>
#include <strings.h>

void sqlprep_init(struct sqlprep *walk, const char *sql, size_t len,
		  const struct sqlclass_context *context)
{
	*walk = (struct sqlprep){ 0 };
	sqlcursor_init(&walk->cursor, sql, len, context);
}

/* --- names ---------------------------------------------------------------- */

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

bool sqlprep_name(const struct sqllex_token *token,
		  char out[static SQLLEX_NAME_MAX + 1])
{
	bool is_quoted = token->kind == SQLLEX_NAME;
	size_t len = 0;
	size_t at;

	if (!is_quoted && token->kind != SQLLEX_WORD)
		return false;
	for (at = 0; at < token->len && len < SQLLEX_NAME_MAX; at++) {
		char byte = token->text[at];

		if (!is_quoted && byte >= 'A' && byte <= 'Z')
			byte = (char)(byte - 'A' + 'a');
		out[len++] = byte;
		if (is_quoted && byte == '"')
			at++;
	}
	/* Half a character goes, too (PostgreSQL, pg_mbcliplen). */
	if (at < token->len && is_continuation(token->text[at])) {
		while (len > 0 && is_continuation(out[len - 1]))
			len--;
		if (len > 0)
			len--;
	}
	out[len] = '\0';
	return len > 0;
}

static bool is_called(const struct sqllex_token *token, const char *name)
{
	char stored[SQLLEX_NAME_MAX + 1];

	return sqlprep_name(token, stored) && strcmp(stored, name) == 0;
}

static bool is_list(const struct sqllex_token *token)
{
	return is_called(token, "pg_prepared_statements") ||
	       is_called(token, "pg_prepared_statement");
}

/* --- statements ------------------------------------------------------------
 */

/* Takes the name that the cursor stands on. */
static bool take_name(struct sqlprep *walk, struct sqlprep_use *use,
		      enum sqlprep_kind kind)
{
	use->kind = kind;
	if (!sqlprep_name(&walk->cursor.now, use->name)) {
		walk->is_lost |= walk->cursor.now.kind == SQLLEX_UNICODE;
		return false;
	}
	sqlcursor_advance(&walk->cursor);
	return true;
}

/* "(type, ...)" may hold any words in quotes, and parentheses. */
static void skip_types(struct sqlcursor *cursor)
{
	size_t depth = 0;

	do {
		if (cursor->now.punct == '(')
			depth++;
		else if (cursor->now.punct == ')')
			depth--;
		sqlcursor_advance(cursor);
	} while (depth > 0 && !sqlcursor_is_over(cursor));
}

/* Where the statement ends: at the semicolon, or with the text. */
static const char *skip_statement(struct sqlcursor *cursor)
{
	const char *end = cursor->lex.end;

	while (!sqlcursor_is_over(cursor)) {
		/* The lexer stands right behind what is ahead. */
		if (sqlcursor_sees(cursor, ';'))
			end = cursor->lex.at - 1;
		sqlcursor_advance(cursor);
	}
	return end;
}

/* PREPARE name [(types)] AS query */
static bool take_prepare(struct sqlprep *walk, struct sqlprep_use *use)
{
	struct sqlcursor *cursor = &walk->cursor;
	const char *end;

	use->text = cursor->now.text;
	sqlcursor_advance(cursor);
	if (cursor->word == WORD_TRANSACTION &&
	    cursor->ahead.kind == SQLLEX_LITERAL)
		return false;
	if (!take_name(walk, use, SQLPREP_PREPARE))
		return false;
	if (cursor->now.punct == '(')
		skip_types(cursor);
	if (cursor->word != WORD_AS)
		return false;
	use->query = cursor->now.text + cursor->now.len;
	sqlcursor_advance(cursor);
	end = skip_statement(cursor);
	if (cursor->now.kind == SQLLEX_BAD)
		return false;
	use->len = (size_t)(end - use->text);
	use->query_len = (size_t)(end - use->query);
	return true;
}

/* DEALLOCATE [PREPARE] {name | ALL}; "all" in quotes is a name. */
static bool take_deallocate(struct sqlprep *walk, struct sqlprep_use *use)
{
	struct sqlcursor *cursor = &walk->cursor;

	sqlcursor_advance(cursor);
	if (cursor->word == WORD_PREPARE && sqlcursor_is_name(&cursor->ahead))
		sqlcursor_advance(cursor);
	if (cursor->word == WORD_ALL)
		return false;
	return take_name(walk, use, SQLPREP_DEALLOCATE);
}

static bool take_execute(struct sqlprep *walk, struct sqlprep_use *use)
{
	sqlcursor_advance(&walk->cursor);
	return take_name(walk, use, SQLPREP_EXECUTE);
}

/* The options of EXPLAIN, old and new. */
static void skip_options(struct sqlcursor *cursor)
{
	sqlcursor_advance(cursor);
	if (cursor->now.punct == '(')
		skip_types(cursor);
	while (cursor->word == WORD_ANALYZE || cursor->word == WORD_ANALYSE ||
	       cursor->word == WORD_VERBOSE)
		sqlcursor_advance(cursor);
}

/* The first words of a statement; true when they are a use. */
static bool begin(struct sqlprep *walk, struct sqlprep_use *use)
{
	struct sqlcursor *cursor = &walk->cursor;

	if (cursor->word == WORD_EXPLAIN)
		skip_options(cursor);
	walk->is_inside = true;
	walk->is_create = cursor->word == WORD_CREATE;
	switch ((int)cursor->word) {
	case WORD_PREPARE: return take_prepare(walk, use);
	case WORD_EXECUTE: return take_execute(walk, use);
	case WORD_DEALLOCATE: return take_deallocate(walk, use);
	default: return false;
	}
}

/* A token further within a statement; true when a use begins there. */
static bool step(struct sqlprep *walk, struct sqlprep_use *use)
{
	struct sqlcursor *cursor = &walk->cursor;

	if (is_list(&cursor->now)) {
		use->kind = SQLPREP_LIST;
		sqlcursor_advance(cursor);
		return true;
	}
	if (walk->is_create && cursor->word == WORD_AS &&
	    cursor->ahead_word == WORD_EXECUTE) {
		sqlcursor_advance(cursor);
		return take_execute(walk, use);
	}
	sqlcursor_advance(cursor);
	return false;
}

bool sqlprep_next(struct sqlprep *walk, struct sqlprep_use *use)
{
	struct sqlcursor *cursor = &walk->cursor;

	for (;;) {
		*use = (struct sqlprep_use){ 0 };
		if (cursor->now.kind == SQLLEX_BAD)
			walk->is_lost = true;
		if (cursor->now.kind == SQLLEX_BAD ||
		    cursor->now.kind == SQLLEX_END)
			return false;
		if (cursor->now.punct == ';') {
			walk->is_inside = false;
			sqlcursor_advance(cursor);
		} else if (walk->is_inside ? step(walk, use)
					   : begin(walk, use)) {
			return true;
		}
	}
}
