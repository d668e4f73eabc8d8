/*
 * The stack of open parentheses of a query, and the scope of WITH names: a
 * name is seen from its definition to the end of the level that holds it, and
 * from all levels inside.  A name that is not seen is looked up as a relation,
 * which is the safe side.
 *
 * Invariant: depth < SQLLEVEL_MAX; names below a level's own count belong to
 * the levels around it.
 */
#include "core/sqllevel.h"

#include <assert.h>
#include <string.h>

void sqllevels_init(struct sqllevels *levels)
{
	levels->depth = 0;
	levels->name_count = 0;
	levels->stack[0] =
		(struct level){ .kind = LEVEL_GROUP, .is_start = true };
}

bool sqllevels_push(struct sqllevels *levels, enum level_kind kind)
{
	if (levels->depth + 1 >= SQLLEVEL_MAX)
		return false;
	assert(levels->name_count <= SQLLEVEL_NAMES_MAX);
	levels->depth++;
	*sqllevels_top(levels) = (struct level){
		.kind = kind,
		.is_start = true,
		.names = levels->name_count,
	};
	return true;
}

struct level sqllevels_pop(struct sqllevels *levels)
{
	struct level closed = *sqllevels_top(levels);

	assert(levels->depth > 0);
	levels->depth--;
	assert(closed.names <= levels->name_count);
	levels->name_count = closed.names;
	return closed;
}

bool sqllevels_define(struct sqllevels *levels, const struct sqllex_token *name)
{
	if (levels->name_count >= SQLLEVEL_NAMES_MAX)
		return false;
	if (sqllex_name(name, levels->names[levels->name_count]) == 0)
		return false;
	levels->name_count++;
	return true;
}

bool sqllevels_defines(const struct sqllevels *levels,
		       const struct sqllex_token *name)
{
	char stored[SQLLEX_NAME_MAX + 1];

	if (sqllex_name(name, stored) == 0)
		return false;
	for (unsigned i = 0; i < levels->name_count; i++)
		if (strcmp(levels->names[i], stored) == 0)
			return true;
	return false;
}

static void push(struct walk *walk, enum level_kind kind)
{
	if (sqllevels_push(&walk->levels, kind))
		return;
	sqlcursor_blame(walk->cursor, ACCESS_UNKNOWN, REASON_TOO_LONG);
	sqlcursor_add_effects(walk->cursor, EFFECT_HIDDEN);
	/* Without a level of its own the rest cannot be told. */
	walk->cursor->lex.is_bad = true;
}

/* The parenthesis that follows a FROM item: a list of column aliases. */
static void open_aliases(struct walk *walk, struct level *level)
{
	if (level->from == FROM_ITEM && walk->before[0] != WORD_AS)
		walk_lose(walk);
	level->from = FROM_ALIASED;
	push(walk, LEVEL_TYPE);
}

/* Of a parenthesis that no word announced. */
static enum level_kind kind_of_group(const struct walk *walk)
{
	if (walk->before[0] == WORD_ON && walk->before[1] == WORD_DISTINCT)
		return LEVEL_DISTINCT;
	return LEVEL_GROUP;
}

void walk_open(struct walk *walk)
{
	struct level *level = walk_top(walk);
	bool is_item = level->from == FROM_WANT;

	if (walk->open_as != NOT_OPENING) {
		push(walk, (enum level_kind)walk->open_as);
		return;
	}
	if (level->kind == LEVEL_OPERATOR)
		walk_lose(walk);
	if (level->from == FROM_ITEM || level->from == FROM_ALIASED) {
		open_aliases(walk, level);
		return;
	}
	if (is_item)
		level->from = FROM_ITEM;
	push(walk, kind_of_group(walk));
	if (is_item)
		walk_top(walk)->from = FROM_WANT;
}

void walk_define(struct walk *walk, const struct sqllex_token *name)
{
	if (!sqllevels_define(&walk->levels, name))
		walk_lose(walk);
}

void walk_close(struct walk *walk, bool is_bracket)
{
	struct level closed;

	if (walk->levels.depth == 0) {
		walk_lose(walk);
		return;
	}
	closed = sqllevels_pop(&walk->levels);
	if ((closed.kind == LEVEL_INDEX) != is_bracket ||
	    closed.from == FROM_WANT || closed.with != WITH_NONE ||
	    (closed.kind == LEVEL_OPERATOR && !closed.has_operator))
		walk_lose(walk);
	if (closed.kind == LEVEL_BODY && !walk_top(walk)->is_recursive)
		walk_define(walk, &walk_top(walk)->with_name);
	walk->has_closed_call = closed.kind == LEVEL_CALL;
	walk->has_closed_prefix =
		closed.kind == LEVEL_OPERATOR || closed.kind == LEVEL_DISTINCT;
}

void walk_open_bracket(struct walk *walk)
{
	push(walk, LEVEL_INDEX);
}

void walk_init(struct walk *walk, struct sqlcursor *cursor)
{
	sqllevels_init(&walk->levels);
	walk->cursor = cursor;
	walk->open_as = NOT_OPENING;
	for (size_t i = 0; i < 3; i++)
		walk->before[i] = NO_WORD;
	walk->before_punct = '\0';
	walk->is_operand = false;
	walk->was_operand = false;
	walk->is_dotted = false;
	walk->has_closed_call = false;
	walk->has_closed_prefix = false;
}
