/*
 * What a word is where it stands.  PostgreSQL lets most keywords be names, so
 * that "over (" is a clause behind a call and a call of a function anywhere
 * else; its grammar tells them apart by what stands before, and so does this.
 *
 * Only words before a parenthesis are in question: a call that is taken for a
 * clause would go unseen, and that must not be.  Each rule here was held
 * against the server's grammar by tests/unit/test_sqloracle.c.
 */
#include "core/sqlplace.h"

/* "a ILIKE (b)" is no call, "ilike(a, b)" is: what stands before tells. */
bool sqlplace_is_infix(const struct walk *walk)
{
	return walk->cursor->word == WORD_ILIKE &&
	       (walk->is_operand ||
		(walk->before[0] == WORD_NOT && walk->was_operand));
}

/* A join, unless an operand must come: then it is the name of a function. */
bool sqlplace_is_join(const struct walk *walk)
{
	return !walk_opens_next(walk) || walk->is_operand ||
	       sqlword_freedom(walk->before[0]) == NAME_TYPE;
}

/*
 * XMLTABLE and XMLEXISTS: "PASSING (x)", "PASSING BY REF (x)".  A name behind
 * an operand is no call, and BY has a keyword before it anywhere else.
 */
bool sqlplace_is_passing(struct walk *walk)
{
	const struct sqllex_token *word = &walk->cursor->now;
	enum level_kind kind = walk_top(walk)->kind;

	if (kind != LEVEL_SPECIAL && kind != LEVEL_CALL)
		return false;
	if (sqlcursor_says(word, "passing"))
		return walk->is_operand;
	return walk->before[0] == WORD_BY && walk->before[1] == NO_WORD &&
	       (sqlcursor_says(word, "ref") || sqlcursor_says(word, "value"));
}

/* Where an item of GROUP BY or GROUPING SETS begins. */
static bool begins_grouping(struct walk *walk)
{
	const struct level *level = walk_top(walk);

	if (!level->is_grouping && level->kind != LEVEL_SETS)
		return false;
	return walk->before_punct == ',' || walk->before[0] == WORD_BY ||
	       walk->before[0] == WORD_ALL ||
	       walk->before[0] == WORD_DISTINCT ||
	       (level->kind == LEVEL_SETS && level->is_start);
}

/* Free words that are something else than a name before a parenthesis. */
bool sqlplace_is_clause(struct walk *walk)
{
	enum sqlword before = walk->before[0];

	switch (walk->cursor->word) {
	case WORD_OVER:
	case WORD_FILTER:
	case WORD_REPEATABLE:
		walk_open_as(walk, LEVEL_CALL);
		return walk->has_closed_call;
	case WORD_BY:
		return before == WORD_GROUP || before == WORD_ORDER ||
		       before == WORD_PARTITION;
	case WORD_ZONE: return before == WORD_TIME;
	case WORD_VARYING:
		walk_open_as(walk, LEVEL_TYPE);
		return before == WORD_CHARACTER || before == WORD_CHAR ||
		       before == WORD_NCHAR || before == WORD_BIT;
	case WORD_SETS:
		walk_open_as(walk, LEVEL_SETS);
		return before == WORD_GROUPING;
	case WORD_CUBE:
	case WORD_ROLLUP:
		walk_open_as(walk, LEVEL_GROUP);
		return begins_grouping(walk);
	case WORD_OPERATOR: walk_open_as(walk, LEVEL_OPERATOR); return true;
	default: return false;
	}
}
