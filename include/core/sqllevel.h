#ifndef PGWEIR_CORE_SQLLEVEL_H
#define PGWEIR_CORE_SQLLEVEL_H

/*
 * The nesting of a query under walk: one level for each open parenthesis or
 * bracket, with its place in the FROM and WITH grammar, and the WITH names
 * that can be seen from it.  Bounded; no allocation.
 */
#include "core/sqlcursor.h"

enum { SQLLEVEL_MAX = 160, SQLLEVEL_NAMES_MAX = 32 };

enum level_kind {
	LEVEL_GROUP,    /* expression, subquery, joined tables */
	LEVEL_CALL,     /* arguments; what a call is followed by */
	LEVEL_SPECIAL,  /* EXTRACT(x FROM y) and its like */
	LEVEL_CAST,     /* CAST(x AS type) */
	LEVEL_TYPE,     /* type modifiers, column aliases */
	LEVEL_COLUMNS,  /* of a WITH name */
	LEVEL_BODY,     /* of a WITH name */
	LEVEL_SETS,     /* GROUPING SETS */
	LEVEL_OPERATOR, /* OPERATOR(schema.+) */
	LEVEL_DISTINCT, /* DISTINCT ON (...) */
	LEVEL_INDEX     /* [ ] */
};

enum level_from {
	FROM_NONE,
	FROM_WANT,      /* a relation, a function or a parenthesis must come */
	FROM_ITEM,      /* it came: an alias may */
	FROM_ALIASED,   /* column aliases may */
	FROM_EXPRESSION /* ON, TABLESAMPLE: a comma or JOIN brings the next */
};

enum level_with {
	WITH_NONE,
	WITH_NAME,   /* a name must come */
	WITH_NAMED,  /* ( or AS */
	WITH_BODY,   /* [NOT MATERIALIZED] ( */
	WITH_DONE,   /* a comma or the main verb */
	WITH_SEARCH, /* SEARCH ... SET name */
	WITH_CYCLE   /* CYCLE ... USING name */
};

struct level {
	enum level_kind kind;
	enum level_from from;
	enum level_with with;
	bool is_start;    /* nothing seen yet */
	bool is_query;    /* SELECT, VALUES or TABLE seen: FROM is a clause */
	bool is_grouping; /* in GROUP BY */
	bool is_write;    /* INSERT, UPDATE, DELETE, MERGE */
	bool is_recursive;
	bool has_operator;             /* LEVEL_OPERATOR */
	unsigned names;                /* WITH names seen from outside */
	struct sqllex_token with_name; /* of the one being defined */
};

struct sqllevels {
	struct level stack[SQLLEVEL_MAX];
	unsigned depth; /* index of the innermost */
	char names[SQLLEVEL_NAMES_MAX][SQLLEX_NAME_MAX + 1];
	unsigned name_count;
};

enum { NOT_OPENING = -1 };

/* One walk: the cursor, the levels, what the last tokens were. */
struct walk {
	struct sqlcursor *cursor;
	struct sqllevels levels;
	int open_as;            /* enum level_kind of the next parenthesis */
	enum sqlword before[3]; /* keywords passed, the latest first */
	char before_punct;      /* punctuation passed, or NUL */
	bool is_operand;        /* the token before ends an operand */
	bool was_operand;       /* the one before that does */
	bool is_dotted;         /* the name just taken has a dot */
	bool has_closed_call;   /* it is the parenthesis of a call */
	bool has_closed_prefix; /* ... of what an operand follows */
};

void sqllevels_init(struct sqllevels *levels);

static inline struct level *sqllevels_top(struct sqllevels *levels)
{
	return &levels->stack[levels->depth];
}

/* False when too deep. */
bool sqllevels_push(struct sqllevels *levels, enum level_kind kind);

/*
 * Closes the innermost level and forgets the names defined in it; must not be
 * the outermost.
 */
struct level sqllevels_pop(struct sqllevels *levels);

/* Defines a WITH name for what follows; false when there are too many. */
bool sqllevels_define(struct sqllevels *levels,
		      const struct sqllex_token *name);

bool sqllevels_defines(const struct sqllevels *levels,
		       const struct sqllex_token *name);

/* The innermost level of a walk. */
static inline struct level *walk_top(struct walk *walk)
{
	return sqllevels_top(&walk->levels);
}

/* The statement is not understood. */
static inline void walk_lose(struct walk *walk)
{
	sqlcursor_lose(walk->cursor);
}

static inline bool walk_opens_next(const struct walk *walk)
{
	return sqlcursor_sees(walk->cursor, '(');
}

/* What the next parenthesis will be, if one is next. */
static inline void walk_open_as(struct walk *walk, enum level_kind kind)
{
	if (walk_opens_next(walk))
		walk->open_as = (int)kind;
}

void walk_init(struct walk *walk, struct sqlcursor *cursor);

/* The cursor stands on an opening or closing parenthesis or bracket. */
void walk_open(struct walk *walk);
void walk_open_bracket(struct walk *walk);
void walk_close(struct walk *walk, bool is_bracket);

/* Defines a WITH name; one too many is not understood. */
void walk_define(struct walk *walk, const struct sqllex_token *name);

#endif
