/*
 * The cursor over a statement's tokens, and the names found under it.
 *
 * Names are looked up as they would be stored.  A name that cannot be told (a
 * U& name, one longer than the server keeps) is nowhere to be found, which
 * makes it unknown.  Operators and types that are not built in only take away
 * the certainty, as the catalog knows those where harm hides; if there is no
 * catalog they are unknown, too.
 */
#include "core/sqlcursor.h"

#include "core/catalog.h"
#include "core/catalog_builtin.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* A name as the catalog has it. */
struct stored {
	char schema[SQLLEX_NAME_MAX + 1];
	size_t schema_len;
	char name[SQLLEX_NAME_MAX + 1];
	size_t name_len;
	bool is_known; /* could be told */
};

/*
 * One token further; the one ahead is always known.  U&"..." UESCAPE '!' is
 * one name to the server, of which nothing can be told.
 */
static void fetch(struct sqlcursor *cursor)
{
	cursor->now = cursor->ahead;
	cursor->word = cursor->ahead_word;
	sqllex_next(&cursor->lex, &cursor->ahead);
	cursor->ahead_word = sqlword_of(&cursor->ahead);
	if (cursor->now.kind == SQLLEX_UNICODE &&
	    cursor->ahead_word == WORD_UESCAPE) {
		cursor->lex.is_bad = true;
		cursor->ahead.kind = SQLLEX_BAD;
		cursor->ahead_word = NO_WORD;
	}
}

void sqlcursor_init(struct sqlcursor *cursor, const char *sql, size_t len,
		    const struct sqlclass_context *context)
{
	*cursor = (struct sqlcursor){ .context = context };
	sqllex_init(&cursor->lex, sql, len, context->plain_backslash,
		    context->is_safe_encoding);
	fetch(cursor);
	fetch(cursor);
}

void sqlcursor_advance(struct sqlcursor *cursor)
{
	fetch(cursor);
}

bool sqlcursor_take_word(struct sqlcursor *cursor, enum sqlword word)
{
	if (cursor->word != word)
		return false;
	sqlcursor_advance(cursor);
	return true;
}

bool sqlcursor_is_over(const struct sqlcursor *cursor)
{
	return cursor->now.kind == SQLLEX_END ||
	       cursor->now.kind == SQLLEX_BAD || cursor->now.punct == ';';
}

bool sqlcursor_is_name(const struct sqllex_token *token)
{
	return token->kind == SQLLEX_WORD || token->kind == SQLLEX_NAME ||
	       token->kind == SQLLEX_UNICODE;
}

bool sqlcursor_says(const struct sqllex_token *token, const char *word)
{
	return token->kind == SQLLEX_WORD && token->len == strlen(word) &&
	       strncasecmp(token->text, word, token->len) == 0;
}

unsigned sqlcursor_rank(unsigned access)
{
	static const unsigned ranks[] = {
		[ACCESS_NONE] = 0,
		[ACCESS_READ] = 1,
		[ACCESS_UNKNOWN] = 2,
		[ACCESS_WRITE] = 3,
	};

	return ranks[access];
}

void sqlcursor_blame(struct sqlcursor *cursor, enum sqlclass_access access,
		     enum sqlclass_reason reason)
{
	struct sqlclass *verdict = &cursor->verdict;

	assert(access != ACCESS_NONE || reason == REASON_NONE);
	if (sqlcursor_rank(access) <= sqlcursor_rank(verdict->access))
		return;
	verdict->access = (uint8_t)access;
	verdict->reason = (uint8_t)reason;
}

void sqlcursor_lose(struct sqlcursor *cursor)
{
	if (cursor->verdict.access != ACCESS_WRITE)
		sqlcursor_add_effects(cursor, EFFECT_HIDDEN);
	sqlcursor_blame(cursor, ACCESS_UNKNOWN, REASON_LEX);
}

void sqlcursor_add_effects(struct sqlcursor *cursor, uint32_t effects)
{
	cursor->verdict.effects |= effects;
}

/* Still a read, but a server might refuse it. */
static void doubt(struct sqlcursor *cursor)
{
	cursor->verdict.is_certain = false;
}

struct sqlname sqlcursor_take_name(struct sqlcursor *cursor)
{
	struct sqlname name = { .name = cursor->now };

	assert(sqlcursor_is_name(&cursor->now));
	while (sqlcursor_sees(cursor, '.')) {
		sqlcursor_advance(cursor);
		if (!sqlcursor_is_name(&cursor->ahead)) {
			/* "t.*": what comes is no name, and not the last. */
			name.schema = name.name;
			name.name.kind = SQLLEX_END;
			break;
		}
		sqlcursor_advance(cursor);
		name.schema = name.name;
		name.name = cursor->now;
	}
	return name;
}

/* The parts as the catalog would have them, unquoted and folded. */
static struct stored store(const struct sqlname *name)
{
	struct stored stored = { .schema_len = 0 };

	stored.name_len = sqllex_name(&name->name, stored.name);
	stored.is_known = stored.name_len > 0;
	if (name->schema.kind != SQLLEX_END) {
		stored.schema_len = sqllex_name(&name->schema, stored.schema);
		stored.is_known &= stored.schema_len > 0;
	}
	return stored;
}

static enum catalog_function find_function(const struct sqlcursor *cursor,
					   const struct stored *stored,
					   uint32_t *effects)
{
	*effects = 0;
	if (!stored->is_known)
		return FUNCTION_MISSING;
	return catalog_find_function(cursor->context->catalog, stored->schema,
				     stored->schema_len, stored->name,
				     stored->name_len, effects);
}

static bool is_builtin(const struct sqlcursor *cursor,
		       const struct stored *stored)
{
	return catalog_is_builtin(cursor->context->catalog, stored->schema,
				  stored->schema_len, stored->name,
				  stored->name_len);
}

bool sqlcursor_is_unknown_function(const struct sqlcursor *cursor,
				   const struct sqlname *name)
{
	struct stored stored = store(name);
	uint32_t effects;

	return find_function(cursor, &stored, &effects) == FUNCTION_MISSING;
}

/*
 * Not in the catalog: made since it was loaded, or temporary.  In a write it
 * does not matter, and column lists look like calls there.
 */
static void blame_missing(struct sqlcursor *cursor, enum sqlclass_reason reason)
{
	if (!cursor->is_read)
		return;
	sqlcursor_blame(cursor, ACCESS_UNKNOWN,
			cursor->context->catalog ? reason : REASON_NO_CATALOG);
}

/* What lists the prepared statements of the session. */
static bool is_statements(const char *name, size_t len)
{
	static const char view[] = "pg_prepared_statements";
	const size_t view_len = sizeof(view) - 1;

	return (len == view_len || len == view_len - 1) &&
	       memcmp(name, view, len) == 0;
}

/* The catalog knows what lies behind the name. */
static void note_time(struct sqlcursor *cursor, const char *name, size_t len)
{
	cursor->verdict.tells_time |= catalog_is_hidden(
		cursor->context->catalog, HIDDEN_TIME, name, len);
}

void sqlcursor_judge_function(struct sqlcursor *cursor,
			      const struct sqlname *name)
{
	struct stored stored = store(name);
	uint32_t effects;

	note_time(cursor, stored.name, stored.name_len);
	if (stored.is_known && is_statements(stored.name, stored.name_len))
		sqlcursor_add_effects(cursor, EFFECT_EXECUTE);
	switch (find_function(cursor, &stored, &effects)) {
	case FUNCTION_SAFE:
		if (!is_builtin(cursor, &stored))
			doubt(cursor);
		break;
	case FUNCTION_MISSING:
		/* It may do anything, to the session too. */
		if (cursor->is_read)
			effects |= EFFECT_HIDDEN;
		blame_missing(cursor, REASON_FUNCTION_UNKNOWN);
		break;
	case FUNCTION_PRIMARY:
	case FUNCTION_NEVER_REPLICA:
		sqlcursor_blame(cursor, ACCESS_WRITE, REASON_FUNCTION);
		cursor->verdict.may_draw |= (effects & EFFECT_SEQUENCE) ||
					    !is_builtin(cursor, &stored);
		/* The defaults of new sessions may be others then. */
		if (strcmp(stored.name, "pg_reload_conf") == 0)
			cursor->verdict.is_global = true;
		break;
	}
	sqlcursor_add_effects(cursor, effects);
}

void sqlcursor_judge_relation(struct sqlcursor *cursor,
			      const struct sqlname *name)
{
	struct stored stored = store(name);
	enum catalog_relation kind = RELATION_MISSING;

	if (stored.is_known && is_statements(stored.name, stored.name_len))
		sqlcursor_add_effects(cursor, EFFECT_EXECUTE);
	if (!cursor->is_read)
		return;
	note_time(cursor, stored.name, stored.name_len);
	if (catalog_is_hidden(cursor->context->catalog, HIDDEN_LEAVING,
			      stored.name, stored.name_len))
		sqlcursor_add_effects(cursor, EFFECT_HIDDEN);
	if (stored.is_known)
		kind = catalog_find_relation(cursor->context->catalog,
					     stored.schema, stored.schema_len,
					     stored.name, stored.name_len);
	switch (kind) {
	case RELATION_PLAIN: break;
	case RELATION_SYSTEM:
		sqlcursor_add_effects(cursor, EFFECT_CATALOG_READ);
		break;
	/* A temporary table, or one made since the catalog was loaded. */
	case RELATION_MISSING:
		blame_missing(cursor, REASON_RELATION_UNKNOWN);
		break;
	case RELATION_PRIMARY:
		sqlcursor_blame(cursor, ACCESS_WRITE, REASON_RELATION);
		break;
	case RELATION_NODE_LOCAL:
		sqlcursor_blame(cursor, ACCESS_UNKNOWN, REASON_NODE_LOCAL);
		break;
	}
}

/*
 * An operator or a type that is not built in.  The catalog knows those behind
 * which harm hides; without one any of them may.
 */
static void judge_foreign(struct sqlcursor *cursor)
{
	doubt(cursor);
	if (!cursor->is_read || cursor->context->catalog)
		return;
	sqlcursor_blame(cursor, ACCESS_UNKNOWN, REASON_NO_CATALOG);
	sqlcursor_add_effects(cursor, EFFECT_HIDDEN);
}

/* A volatile function runs here without being called by name. */
static void judge_hidden(struct sqlcursor *cursor, enum catalog_hidden what,
			 const char *name, size_t len)
{
	if (!catalog_is_hidden(cursor->context->catalog, what, name, len))
		return;
	sqlcursor_blame(cursor, ACCESS_WRITE, REASON_FUNCTION);
	sqlcursor_add_effects(cursor, EFFECT_HIDDEN);
}

void sqlcursor_judge_type(struct sqlcursor *cursor, const struct sqlname *name)
{
	struct stored stored = store(name);
	bool is_system =
		stored.schema_len == 0 ||
		(stored.schema_len == strlen("pg_catalog") &&
		 memcmp(stored.schema, "pg_catalog", stored.schema_len) == 0);

	if (!stored.is_known || !is_system ||
	    !catalog_builtin_has_type(stored.name, stored.name_len))
		judge_foreign(cursor);
	/* regclass and its like look names up. */
	else if (stored.name_len > 3 && memcmp(stored.name, "reg", 3) == 0)
		sqlcursor_add_effects(cursor, EFFECT_CATALOG_READ);
	judge_hidden(cursor, HIDDEN_TYPE, stored.name, stored.name_len);
	note_time(cursor, stored.name, stored.name_len);
}

void sqlcursor_judge_value(struct sqlcursor *cursor, const struct sqlname *name)
{
	struct stored stored = store(name);

	judge_hidden(cursor, HIDDEN_TYPE, stored.name, stored.name_len);
	note_time(cursor, stored.name, stored.name_len);
	/* "row.name" is "name(row)" when there is no such column. */
	if (name->schema.kind != SQLLEX_END)
		judge_hidden(cursor, HIDDEN_ATTRIBUTE, stored.name,
			     stored.name_len);
}

void sqlcursor_judge_operator(struct sqlcursor *cursor)
{
	const struct sqllex_token *token = &cursor->now;

	assert(token->kind == SQLLEX_OPERATOR);
	if (!catalog_builtin_has_operator(token->text, token->len))
		judge_foreign(cursor);
	judge_hidden(cursor, HIDDEN_OPERATOR, token->text, token->len);
	note_time(cursor, token->text, token->len);
}
