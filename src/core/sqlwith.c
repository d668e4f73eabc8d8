/*
 * The list of a WITH clause, from its first name to the main verb:
 *
 *     WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (query)
 *         [SEARCH ... SET name] [CYCLE ... USING name] [, ...] verb
 *
 * A name is defined for what comes after its query, or, when RECURSIVE, from
 * its query on; before that it is the relation of the same name.  Queries are
 * levels of their own, walked like any other.
 */
#include "core/sqlwith.h"

#include <assert.h>

static void walk_with_name(struct walk *walk, struct level *level)
{
	struct sqlcursor *cursor = walk->cursor;
	bool names_next = sqlcursor_is_name(&cursor->ahead) &&
			  cursor->ahead_word != WORD_AS;

	if (cursor->word == WORD_RECURSIVE && names_next) {
		level->is_recursive = true;
		return;
	}
	level->with = WITH_NAMED;
	level->with_name = cursor->now;
	walk_open_as(walk, LEVEL_COLUMNS);
}

static void walk_with_body(struct walk *walk, struct level *level)
{
	if (walk->cursor->word != WORD_NOT &&
	    walk->cursor->word != WORD_MATERIALIZED) {
		walk_lose(walk);
		return;
	}
	if (!walk_opens_next(walk))
		return;
	walk->open_as = LEVEL_BODY;
	level->with = WITH_DONE;
}

static void walk_with_named(struct walk *walk, struct level *level)
{
	if (walk->cursor->word != WORD_AS) {
		walk_lose(walk);
		return;
	}
	level->with = WITH_BODY;
	if (level->is_recursive)
		walk_define(walk, &level->with_name);
	if (!walk_opens_next(walk))
		return;
	walk->open_as = LEVEL_BODY;
	level->with = WITH_DONE;
}

/*
 * The main verb, or what comes between it and the bodies; false when the word
 * is to be walked like any other.
 */
static bool walk_main_verb(struct walk *walk, struct level *level)
{
	struct sqlcursor *cursor = walk->cursor;

	level->with = WITH_NONE;
	switch (cursor->word) {
	case WORD_SEARCH: level->with = WITH_SEARCH; break;
	case WORD_CYCLE: level->with = WITH_CYCLE; break;
	case WORD_SELECT:
	case WORD_TABLE:
	case WORD_VALUES: return false;
	case WORD_INSERT:
	case WORD_UPDATE:
	case WORD_DELETE:
	case WORD_MERGE:
		level->is_write = true;
		cursor->verdict.may_draw = true;
		sqlcursor_blame(cursor, ACCESS_WRITE,
				walk->levels.depth == 0 ? REASON_VERB
							: REASON_DML_CTE);
		break;
	default: walk_lose(walk);
	}
	return true;
}

/* "CYCLE a SET b TO type 'x' DEFAULT type 'y'": the types of the marks. */
static void walk_mark(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	struct sqlname name;

	if (cursor->ahead.kind != SQLLEX_LITERAL &&
	    !sqlcursor_sees(cursor, '.') && !walk_opens_next(walk))
		return;
	name = sqlcursor_take_name(cursor);
	sqlcursor_judge_type(cursor, &name);
}

bool sqlwith_take_name(struct walk *walk)
{
	struct level *level = walk_top(walk);
	struct sqlcursor *cursor = walk->cursor;
	enum sqlword last = level->with == WITH_SEARCH ? WORD_SET : WORD_USING;

	assert(level->with != WITH_NONE);
	switch (level->with) {
	case WITH_NAME: walk_with_name(walk, level); break;
	case WITH_NAMED: walk_with_named(walk, level); break;
	case WITH_BODY: walk_with_body(walk, level); break;
	case WITH_SEARCH:
	case WITH_CYCLE:
		if (cursor->word != last) {
			walk_mark(walk);
			break;
		}
		level->with = WITH_DONE;
		if (!sqlcursor_is_name(&cursor->ahead))
			walk_lose(walk);
		sqlcursor_advance(cursor);
		break;
	default: return walk_main_verb(walk, level);
	}
	return true;
}

void sqlwith_take_punct(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->with == WITH_DONE) {
		level->with = WITH_NONE;
		if (walk->cursor->now.punct == ',')
			level->with = WITH_NAME;
		else if (walk->cursor->now.punct != '(')
			walk_lose(walk);
	} else if (level->with != WITH_SEARCH && level->with != WITH_CYCLE) {
		walk_lose(walk);
	}
}
