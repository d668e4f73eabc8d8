/*
 * Judging a text as sessions do, and saying afterwards who was to blame.
 *
 * Culprits are looked for by a walk of its own over the tokens, since the
 * verdict keeps no names: a name in front of a parenthesis is a function,
 * any other may be a relation.  It is an explanation, not a verdict: it may
 * miss a name, and nothing is routed by it.  Pure but for the cache.
 */
#include "core/judge.h"

#include "core/catalog.h"
#include "core/inspect.h"
#include "core/shapes.h"
#include "core/sqllex.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct sqlclass judge_text(struct shapes *shapes, const char *sql, size_t len,
			   const struct sqlclass_context *context)
{
	struct sqlclass class = shapes_classify(shapes, sql, len, context);

	/* A shape does not show it: the name of a setting is a literal. */
	if ((class.effects & EFFECT_SET) && inspect_is_local(sql, len)) {
		class.effects &= ~(uint32_t)EFFECT_SET;
		class.effects |= EFFECT_SET_LOCAL;
	}
	return class;
}

/* --- culprits --------------------------------------------------------------
 */

struct search {
	const struct sqlclass_context *context;
	enum sqlclass_reason reason;
	char *out;
	size_t room;
	size_t used;
	bool is_relation; /* the word before said so */
};

static bool is_to_blame(const struct search *search, const char *name,
			size_t len, bool is_call)
{
	const struct catalog *catalog = search->context->catalog;
	enum catalog_function function;
	enum catalog_relation relation;

	if (is_call) {
		function =
			catalog_find_function(catalog, "", 0, name, len, NULL);
		if (search->reason == REASON_FUNCTION_UNKNOWN)
			return function == FUNCTION_MISSING;
		return search->reason == REASON_FUNCTION &&
		       (function == FUNCTION_PRIMARY ||
			function == FUNCTION_NEVER_REPLICA);
	}
	relation = catalog_find_relation(catalog, "", 0, name, len);
	if (search->reason == REASON_RELATION_UNKNOWN)
		return search->is_relation && relation == RELATION_MISSING;
	return (search->reason == REASON_RELATION &&
		relation == RELATION_PRIMARY) ||
	       (search->reason == REASON_NODE_LOCAL &&
		relation == RELATION_NODE_LOCAL);
}

/* Behind FROM and the like a name is that of a relation. */
static bool announces_relation(const struct sqllex_token *token)
{
	static const char *const words[] = { "from", "join", "table", "only" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (sqllex_is_word(token, words[i]))
			return true;
	return false;
}

/* Said once each. */
static void blame(struct search *search, const char *name, size_t len,
		  bool is_call)
{
	char text[SQLLEX_NAME_MAX + 4];
	int wrote;

	(void)snprintf(text, sizeof(text), "%.*s%s", (int)len, name,
		       is_call ? "()" : "");
	if (strstr(search->out, text))
		return;
	wrote = snprintf(search->out + search->used,
			 search->room - search->used, "%s%s",
			 search->used > 0 ? ", " : "", text);
	if (wrote < 0 || (size_t)wrote >= search->room - search->used)
		search->out[search->used] = '\0';
	else
		search->used += (size_t)wrote;
}

/* Keywords behind which a name or a parenthesis may stand. */
static bool is_keyword(const char *name, size_t len)
{
	static const char *const words[] = {
		"in",     "and",    "or",    "not",      "values", "from",
		"where",  "as",     "on",    "any",      "all",    "some",
		"exists", "select", "over",  "by",       "case",   "when",
		"then",   "else",   "using", "join",     "with",   "lateral",
		"filter", "array",  "row",   "distinct", "only",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == len && memcmp(words[i], name, len) == 0)
			return true;
	return false;
}

static void judge_token(struct search *search, const struct sqllex_token *token,
			bool is_call)
{
	char name[SQLLEX_NAME_MAX + 1];
	size_t len = sqllex_name(token, name);

	if (len > 0 && !is_keyword(name, len) &&
	    is_to_blame(search, name, len, is_call))
		blame(search, name, len, is_call);
}

void judge_find_culprits(const char *sql, size_t len,
			 const struct sqlclass_context *context,
			 enum sqlclass_reason reason, char *out, size_t room)
{
	struct search search = { context, reason, out, room, 0, false };
	struct sqllex_token before = { .kind = SQLLEX_END };
	struct sqllex_token token;
	struct sqllex lex;

	out[0] = '\0';
	sqllex_init(&lex, sql, len, context->plain_backslash,
		    context->is_safe_encoding);
	do {
		sqllex_next(&lex, &token);
		if (before.kind == SQLLEX_WORD || before.kind == SQLLEX_NAME)
			judge_token(&search, &before, token.punct == '(');
		search.is_relation = announces_relation(&before);
		before = token;
	} while (token.kind != SQLLEX_END && token.kind != SQLLEX_BAD);
}
