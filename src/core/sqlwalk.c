/*
 * A walk over the tokens of one query, without building a tree.  It follows
 * the grammar just closely enough to be certain of three things: which names
 * are called (a name before a parenthesis that cannot be anything else), which
 * stand where a relation is read, and which words are keywords where they
 * stand.  Whatever does not fit is "not understood", which means primary; so
 * every doubt here costs load and never correctness.
 *
 * Words after AS or a dot are names whatever they are.  A FROM belongs to a
 * clause only in a level that has begun as a query.  Time is linear, depth is
 * bounded, nothing is allocated, there is no recursion.
 */
#include "core/sqlwalk.h"

#include "core/sqllevel.h"
#include "core/sqlplace.h"
#include "core/sqlwith.h"

#include <assert.h>

/* ---- names ------------------------------------------------------------- */

/* A dotted name is a name whatever its last word is: remember that. */
static struct sqlname take_name(struct walk *walk)
{
	struct sqlname name = sqlcursor_take_name(walk->cursor);

	walk->is_dotted = name.schema.kind != SQLLEX_END;
	return name;
}

/* A function call, the parenthesis being next. */
static void walk_call(struct walk *walk, const struct sqlname *name)
{
	assert(walk_opens_next(walk));
	if (walk_top(walk)->kind == LEVEL_OPERATOR)
		walk_lose(walk);
	sqlcursor_judge_function(walk->cursor, name);
	walk->open_as = LEVEL_CALL;
}

/* A name in an expression: call, "type 'literal'", column. */
static void walk_value(struct walk *walk)
{
	enum sqlword word = walk->cursor->word;
	enum level_kind kind = walk_top(walk)->kind;
	struct sqlname name;

	if (walk_opens_next(walk) && sqlplace_is_passing(walk))
		return;
	name = take_name(walk);
	if (walk_opens_next(walk)) {
		walk_call(walk, &name);
		return;
	}
	sqlcursor_judge_value(walk->cursor, &name);
	/* "type 'literal'", "AS x(a type)", XMLTABLE(... COLUMNS a type) */
	if ((word == NO_WORD && walk->cursor->ahead.kind == SQLLEX_LITERAL) ||
	    ((kind == LEVEL_TYPE || kind == LEVEL_SPECIAL) && walk->is_operand))
		sqlcursor_judge_type(walk->cursor, &name);
}

/* A type's name, with its modifiers: those are no arguments of a call. */
static void walk_type(struct walk *walk)
{
	struct sqlname name;

	if (!sqlcursor_is_name(&walk->cursor->now)) {
		walk_lose(walk);
		return;
	}
	name = take_name(walk);
	sqlcursor_judge_type(walk->cursor, &name);
	walk_open_as(walk, LEVEL_TYPE);
	/* A type may be called IS; "character varying" goes on as a keyword. */
	if (sqlword_freedom(walk->cursor->word) != NAME_COLUMN)
		walk->cursor->word = NO_WORD;
}

/* What stands after AS: a label, an alias, or the type of a CAST. */
static void walk_label(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->kind == LEVEL_CAST) {
		walk_type(walk);
		return;
	}
	if (level->from == FROM_ITEM)
		level->from = FROM_ALIASED;
	else
		walk_open_as(walk, LEVEL_TYPE);
}

/* Where a relation must come: "t", "f(x)", "(", LATERAL, ONLY, ROWS FROM. */
static void walk_item(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	struct level *level = walk_top(walk);
	struct sqlname name;

	if (cursor->word == WORD_ROWS && cursor->ahead_word == WORD_FROM) {
		sqlcursor_advance(cursor);
		return;
	}
	level->from = FROM_ITEM;
	name = take_name(walk);
	if (walk_opens_next(walk))
		walk_call(walk, &name);
	else if (name.schema.kind != SQLLEX_END ||
		 !sqllevels_defines(&walk->levels, &name.name))
		sqlcursor_judge_relation(cursor, &name);
}

/* A name that is no keyword here. */
static void walk_name(struct walk *walk)
{
	struct level *level = walk_top(walk);

	switch (level->from) {
	case FROM_WANT: walk_item(walk); break;
	case FROM_ITEM: level->from = FROM_ALIASED; break;
	case FROM_ALIASED: walk_lose(walk); break;
	default: walk_value(walk);
	}
}

/* ---- keywords ---------------------------------------------------------- */

/* A clause begins: the list of FROM items is over. */
static void end_from(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->from == FROM_WANT)
		walk_lose(walk);
	level->from = FROM_NONE;
	level->is_grouping = false;
}

/* SELECT, VALUES or TABLE: from here on FROM is a clause. */
static void begin_query(struct walk *walk)
{
	struct level *level = walk_top(walk);

	/* "((SELECT" inherits the wish for a relation, and fulfils it. */
	if (level->from != FROM_NONE && !level->is_start)
		walk_lose(walk);
	level->from = FROM_NONE;
	level->is_query = true;
	level->is_grouping = false;
}

/*
 * FROM: of a query, of EXTRACT and its like, or of IS DISTINCT FROM.  Nothing
 * else may be taken for the last, or relations would go unseen.
 */
static void walk_from(struct walk *walk)
{
	struct level *level = walk_top(walk);
	bool is_distinct =
		walk->before[0] == WORD_DISTINCT &&
		(walk->before[1] == WORD_IS ||
		 (walk->before[1] == WORD_NOT && walk->before[2] == WORD_IS));

	if (is_distinct || level->kind == LEVEL_SPECIAL)
		return;
	if (!level->is_query || level->from != FROM_NONE)
		walk_lose(walk);
	level->from = FROM_WANT;
}

/* FOR UPDATE and its like; FOR of SUBSTRING, COLLATION FOR, FOR READ ONLY. */
static void walk_for(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;

	switch (cursor->ahead_word) {
	case WORD_UPDATE:
	case WORD_NO:
	case WORD_SHARE:
	case WORD_KEY:
		sqlcursor_blame(cursor, ACCESS_WRITE, REASON_LOCKING);
		break;
	case WORD_READ: break;
	default:
		if (walk_top(walk)->kind != LEVEL_SPECIAL &&
		    walk->before[0] != WORD_COLLATION)
			walk_lose(walk);
		return;
	}
	end_from(walk);
}

/* INTO makes a table, except behind INSERT and MERGE. */
static void walk_into(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	uint32_t effects = EFFECT_DDL;

	end_from(walk);
	if (!cursor->is_read || walk_top(walk)->is_write)
		return;
	switch (cursor->ahead_word) {
	case WORD_TEMP:
	case WORD_TEMPORARY:
	case WORD_LOCAL:
	case WORD_GLOBAL:
	case WORD_PG_TEMP: effects = EFFECT_TEMP; break;
	default: break;
	}
	sqlcursor_blame(cursor, ACCESS_WRITE, REASON_INTO);
	sqlcursor_add_effects(cursor, effects);
}

/* WITH opens a list of names only at the beginning of a level. */
static void walk_with(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	struct level *level = walk_top(walk);

	switch (cursor->ahead_word) {
	case WORD_TIME: /* timestamp with time zone */
	case WORD_ORDINALITY:
	case WORD_TIES:
	case WORD_UNIQUE: /* IS JSON WITH UNIQUE KEYS */
		sqlcursor_advance(cursor);
		return;
	default: break;
	}
	if (!level->is_start)
		walk_lose(walk);
	level->from = FROM_NONE;
	level->with = WITH_NAME;
	level->is_recursive = false;
}

/* ON and USING: expressions until the next item. */
static void walk_join_condition(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->from == FROM_WANT)
		walk_lose(walk);
	if (level->from != FROM_NONE)
		level->from = FROM_EXPRESSION;
}

/* Reserved words that mean nothing here by themselves. */
static void walk_other_reserved(struct walk *walk)
{
	struct level *level = walk_top(walk);

	switch (walk->cursor->word) {
	case WORD_CAST: walk_open_as(walk, LEVEL_CAST); break;
	case WORD_AS:
	case WORD_LATERAL:
	case WORD_ONLY: return;
	default: break;
	}
	if (level->from == FROM_WANT)
		level->from = FROM_ITEM; /* FROM current_date */
	else if (level->from == FROM_ITEM || level->from == FROM_ALIASED)
		walk_lose(walk);
}

/* A reserved word: nothing but a keyword, and most end the FROM list. */
static void walk_reserved(struct walk *walk)
{
	switch (walk->cursor->word) {
	case WORD_SELECT: begin_query(walk); break;
	case WORD_TABLE:
		begin_query(walk);
		walk_top(walk)->from = FROM_WANT;
		break;
	case WORD_FROM: walk_from(walk); break;
	case WORD_FOR: walk_for(walk); break;
	case WORD_INTO: walk_into(walk); break;
	case WORD_WITH: walk_with(walk); break;
	case WORD_ON:
	case WORD_USING: walk_join_condition(walk); break;
	case WORD_GROUP:
		end_from(walk);
		walk_top(walk)->is_grouping =
			walk->cursor->ahead_word == WORD_BY;
		if (walk->before[0] == WORD_WITHIN)
			walk_open_as(walk, LEVEL_CALL);
		break;
	case WORD_WHERE:
	case WORD_HAVING:
	case WORD_WINDOW:
	case WORD_ORDER:
	case WORD_LIMIT:
	case WORD_OFFSET:
	case WORD_FETCH:
	case WORD_UNION:
	case WORD_INTERSECT:
	case WORD_EXCEPT: end_from(walk); break;
	default: walk_other_reserved(walk);
	}
}

/* Words that may name a column or a table, but never a function. */
static void walk_column_word(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (!walk_opens_next(walk)) {
		walk_name(walk);
		return;
	}
	switch (walk->cursor->word) {
	case WORD_VALUES: begin_query(walk); return;
	case WORD_EXTRACT:
	case WORD_SUBSTRING:
	case WORD_TRIM:
	case WORD_OVERLAY:
	case WORD_XMLTABLE: walk_open_as(walk, LEVEL_SPECIAL); break;
	default: walk_open_as(walk, LEVEL_CALL);
	}
	if (level->from == FROM_WANT)
		level->from = FROM_ITEM;
	else if (level->from == FROM_ITEM || level->from == FROM_ALIASED)
		walk_lose(walk);
}

/*
 * "left(x, 1)" is a call, "a LIKE (b)" is none: sqlplace tells by what stands
 * before.  Where it could be an operator, only a function that is known counts
 * as called.
 */
static void walk_type_call(struct walk *walk)
{
	bool is_operator = sqlplace_is_infix(walk);
	struct sqlname name = take_name(walk);

	if (walk_top(walk)->from == FROM_WANT)
		walk_top(walk)->from = FROM_ITEM;
	if (!is_operator || !sqlcursor_is_unknown_function(walk->cursor, &name))
		walk_call(walk, &name);
}

/* JOIN without a left side is no query that we know. */
static void walk_join(struct walk *walk, struct level *level)
{
	if (level->from == FROM_NONE || level->from == FROM_WANT)
		walk_lose(walk);
	level->from = FROM_WANT;
}

/* Words that may name a function or a type, but never a table. */
static void walk_type_word(struct walk *walk)
{
	struct level *level = walk_top(walk);

	switch (walk->cursor->word) {
	case WORD_JOIN:
		if (!sqlplace_is_join(walk))
			break;
		walk_join(walk, level);
		return;
	case WORD_TABLESAMPLE:
		if (level->from != FROM_ITEM && level->from != FROM_ALIASED)
			walk_lose(walk);
		level->from = FROM_EXPRESSION;
		return;
	default: break;
	}
	if (walk_opens_next(walk))
		walk_type_call(walk);
	else if (level->from == FROM_WANT)
		level->from = FROM_ITEM; /* FROM current_schema */
}

/* A word that may be any name, a function's too. */
static void walk_free_word(struct walk *walk)
{
	struct level *level = walk_top(walk);
	bool is_value =
		level->from == FROM_NONE || level->from == FROM_EXPRESSION;

	if (is_value && walk_opens_next(walk) && sqlplace_is_clause(walk))
		return;
	walk->open_as = NOT_OPENING;
	walk_name(walk);
}

/* ---- token by token ---------------------------------------------------- */

/* By the category of the grammar, as PostgreSQL's own parser decides. */
static void walk_keyword(struct walk *walk)
{
	switch (sqlword_freedom(walk->cursor->word)) {
	case NAME_RESERVED: walk_reserved(walk); break;
	case NAME_COLUMN: walk_column_word(walk); break;
	case NAME_TYPE: walk_type_word(walk); break;
	case NAME_FREE: walk_free_word(walk); break;
	}
}

/* "(INSERT ..." is a WITH body, or nothing that we know. */
static void check_inner_verb(struct walk *walk)
{
	switch (walk->cursor->word) {
	case WORD_INSERT:
	case WORD_UPDATE:
	case WORD_DELETE:
	case WORD_MERGE:
		walk->cursor->verdict.may_draw = true;
		sqlcursor_blame(walk->cursor, ACCESS_WRITE, REASON_DML_CTE);
		walk_top(walk)->is_write = true;
		break;
	default: break;
	}
}

/* A word or name: which of all it can be depends on where it stands. */
static void walk_any_name(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	struct level *level = walk_top(walk);

	if (level->with != WITH_NONE && sqlwith_take_name(walk))
		return;
	if (walk->before[0] == WORD_AS) {
		/* A label, not the keyword that it looks like. */
		cursor->word = NO_WORD;
		walk_label(walk);
		return;
	}
	if (level->is_start && walk->levels.depth > 0)
		check_inner_verb(walk);
	if (cursor->word == NO_WORD)
		walk_name(walk);
	else
		walk_keyword(walk);
}

/* "(row).name", "array[1].name", "(row).*" */
static void walk_dot(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;
	struct sqlname name;

	if (!sqlcursor_is_name(&cursor->ahead))
		return;
	name.schema = cursor->now;
	sqlcursor_advance(cursor);
	name.name = cursor->now;
	walk->is_dotted = true;
	sqlcursor_judge_value(cursor, &name);
	if (walk_opens_next(walk))
		walk_lose(walk);
}

/* In a FROM list a comma brings the next item; elsewhere it means nothing. */
static void walk_comma(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->from == FROM_WANT)
		walk_lose(walk);
	else if (level->from != FROM_NONE)
		level->from = FROM_WANT;
}

/* A parenthesis that WITH announced is not one of its list. */
static void walk_punct(struct walk *walk)
{
	struct level *level = walk_top(walk);

	if (level->with != WITH_NONE && walk->open_as == NOT_OPENING)
		sqlwith_take_punct(walk);
	switch (walk->cursor->now.punct) {
	case '(':
		walk_open(walk);
		walk->open_as = NOT_OPENING;
		break;
	case '[': walk_open_bracket(walk); break;
	case ')': walk_close(walk, false); break;
	case ']': walk_close(walk, true); break;
	case ',': walk_comma(walk); break;
	case '.': walk_dot(walk); break;
	default: break;
	}
}

/* Operators, casts and literals have no place among FROM items. */
static void check_no_item(struct walk *walk)
{
	enum level_from from = walk_top(walk)->from;

	if (from != FROM_NONE && from != FROM_EXPRESSION)
		walk_lose(walk);
}

/* A database may have operators of its own: the cursor judges those. */
static void walk_operator(struct walk *walk)
{
	const struct sqllex_token *token = &walk->cursor->now;

	/* "FROM t *" means with its children. */
	if (walk_top(walk)->from != FROM_ITEM || token->len != 1 ||
	    token->text[0] != '*')
		check_no_item(walk);
	walk_top(walk)->has_operator = true;
	sqlcursor_judge_operator(walk->cursor);
}

/* "::" and the type behind it. */
static void walk_cast(struct walk *walk)
{
	struct sqlcursor *cursor = walk->cursor;

	check_no_item(walk);
	if (cursor->ahead_word == WORD_SETOF)
		sqlcursor_advance(cursor);
	if (!sqlcursor_is_name(&cursor->ahead)) {
		walk_lose(walk);
		return;
	}
	sqlcursor_advance(cursor);
	walk_type(walk);
}

/* Whether an infix word may follow this token, and so no call. */
static bool ends_operand(const struct walk *walk, enum sqlword word)
{
	const struct sqllex_token *token = &walk->cursor->now;
	enum sqlword_freedom freedom = sqlword_freedom(word);

	if (token->punct == ')')
		return !walk->has_closed_prefix;
	if (sqlcursor_is_name(token))
		return word == NO_WORD || freedom == NAME_COLUMN;
	return token->punct == ']' || token->kind == SQLLEX_LITERAL;
}

/* What the next token may want to know about this one. */
static void remember(struct walk *walk)
{
	const struct sqlcursor *cursor = walk->cursor;
	enum sqlword word = walk->is_dotted ? NO_WORD : cursor->word;

	walk->before[2] = walk->before[1];
	walk->before[1] = walk->before[0];
	walk->before[0] = word;
	walk->before_punct = cursor->now.punct;
	walk->was_operand = walk->is_operand;
	walk->is_operand = ends_operand(walk, word);
}

/* One token; those that it takes along are passed here too. */
static void walk_token(struct walk *walk)
{
	struct level *level = walk_top(walk);

	walk->is_dotted = false;
	switch (walk->cursor->now.kind) {
	case SQLLEX_WORD:
	case SQLLEX_NAME:
	case SQLLEX_UNICODE: walk_any_name(walk); break;
	case SQLLEX_PUNCT: walk_punct(walk); break;
	case SQLLEX_OPERATOR: walk_operator(walk); break;
	case SQLLEX_CAST: walk_cast(walk); break;
	case SQLLEX_LITERAL: check_no_item(walk); break;
	default: break;
	}
	level->is_start = false;
	if (walk->cursor->now.punct != ')')
		walk->has_closed_call = false;
	remember(walk);
}

/* All tokens up to the end of the statement, or of the first group. */
static void walk_tokens(struct sqlcursor *cursor, bool is_group)
{
	struct walk walk;

	walk_init(&walk, cursor);
	while (!sqlcursor_is_over(cursor)) {
		walk_token(&walk);
		sqlcursor_advance(cursor);
		if (is_group && walk.levels.depth == 0)
			break;
	}
	if (walk.levels.depth > 0 || walk_top(&walk)->from == FROM_WANT ||
	    walk_top(&walk)->with != WITH_NONE)
		walk_lose(&walk);
}

void sqlwalk_query(struct sqlcursor *cursor)
{
	walk_tokens(cursor, false);
}

/* For the parenthesis that a utility statement has its query in. */
void sqlwalk_group(struct sqlcursor *cursor)
{
	walk_tokens(cursor, true);
}
