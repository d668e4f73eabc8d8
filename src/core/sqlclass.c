/*
 * The verdict on a text: its statements one after the other, each by its verb,
 * the worst winning.  What the verb table does not know is not understood, and
 * then anything may have happened: primary, with hidden effects.
 *
 * Queries go through sqlwalk; utilities are judged by their first words, the
 * rest being skipped.  Literals are never looked at, nor whether there is one
 * or many, so that the verdict belongs to the shape of the text.  A known write
 * is worse than something unknown: both mean primary, but only the first is
 * known to have changed data.
 */
#include "core/sqlclass.h"

#include "core/catalog.h"
#include "core/sqlcursor.h"
#include "core/sqlutility.h"
#include "core/sqlwalk.h"

#include <strings.h>

struct verb {
	enum sqlword word;
	enum sqlclass_access access;
	enum sqlclass_reason reason;
	enum sqlclass_command command;
	uint32_t effects;
	/* Judges from the token behind the verb on; NULL: skip the rest. */
	void (*judge)(struct sqlcursor *cursor);
};

static void judge_statement(struct sqlcursor *cursor);

/* ---- small steps ------------------------------------------------------- */

static void skip_statement(struct sqlcursor *cursor)
{
	while (!sqlcursor_is_over(cursor))
		sqlcursor_advance(cursor);
}

/* From "(" to behind its ")"; what stands between does not matter. */
static void skip_group(struct sqlcursor *cursor)
{
	size_t depth = 0;

	while (!sqlcursor_is_over(cursor)) {
		char punct = cursor->now.punct;

		sqlcursor_advance(cursor);
		if (punct == '(')
			depth++;
		else if (punct == ')' && --depth == 0)
			return;
	}
	sqlcursor_lose(cursor);
}

/* ---- queries ----------------------------------------------------------- */

/* SELECT, TABLE, VALUES, WITH: a read until something speaks against it. */
static void judge_query(struct sqlcursor *cursor)
{
	cursor->is_read = true;
	sqlcursor_blame(cursor, ACCESS_READ, REASON_NONE);
	sqlwalk_query(cursor);
}

/* The functions of a write still leave things behind in the session. */
static void judge_write(struct sqlcursor *cursor)
{
	cursor->is_read = false;
	cursor->verdict.may_draw = true;
	sqlwalk_query(cursor);
}

/* The words that a query may begin with. */
static bool is_query_word(enum sqlword word)
{
	return word == WORD_SELECT || word == WORD_VALUES ||
	       word == WORD_TABLE || word == WORD_WITH;
}

/* A parenthesis too: "(SELECT 1) UNION ...". */
static bool begins_query(const struct sqlcursor *cursor)
{
	return is_query_word(cursor->word) || cursor->now.punct == '(';
}

/* An option list, unless a query in parentheses begins here. */
static bool has_options(const struct sqlcursor *cursor)
{
	return cursor->now.punct == '(' && !is_query_word(cursor->ahead_word) &&
	       !sqlcursor_sees(cursor, '(');
}

/*
 * EXPLAIN is what it explains, executed or not: the plan of a write is asked
 * of the server that would execute it.
 */
static void judge_explain(struct sqlcursor *cursor)
{
	if (has_options(cursor)) {
		skip_group(cursor);
	} else {
		if (!sqlcursor_take_word(cursor, WORD_ANALYZE))
			(void)sqlcursor_take_word(cursor, WORD_ANALYSE);
		(void)sqlcursor_take_word(cursor, WORD_VERBOSE);
	}
	if (begins_query(cursor)) {
		judge_query(cursor);
		return;
	}
	switch (cursor->word) {
	case WORD_INSERT:
	case WORD_UPDATE:
	case WORD_DELETE:
	case WORD_MERGE:
	case WORD_CREATE:
	case WORD_REFRESH:
	case WORD_EXECUTE:
	case WORD_DECLARE: judge_statement(cursor); break;
	default: sqlcursor_lose(cursor);
	}
}

/* Into the table: from the client, or from a file or program there. */
static void judge_copy_from(struct sqlcursor *cursor)
{
	sqlcursor_blame(cursor, ACCESS_WRITE, REASON_COPY);
	cursor->verdict.may_draw = true;
	if (cursor->word == WORD_STDIN || cursor->word == WORD_STDOUT)
		sqlcursor_add_effects(cursor, EFFECT_COPY_IN);
}

/* Out of it: files and programs are those of the server that runs it. */
static void judge_copy_to(struct sqlcursor *cursor)
{
	/* The grammar takes STDIN here too, and means the client. */
	if (cursor->word == WORD_STDIN || cursor->word == WORD_STDOUT)
		sqlcursor_add_effects(cursor, EFFECT_COPY_OUT);
	else
		sqlcursor_blame(cursor, ACCESS_WRITE, REASON_COPY);
}

/* "t (a, b)" or "(SELECT ...)"; leaves the cursor on TO or FROM. */
static void judge_copy_source(struct sqlcursor *cursor)
{
	struct sqlname name;

	sqlcursor_blame(cursor, ACCESS_READ, REASON_NONE);
	if (cursor->now.punct == '(') {
		sqlwalk_group(cursor);
		return;
	}
	if (cursor->word == WORD_BINARY)
		sqlcursor_advance(cursor);
	if (!sqlcursor_is_name(&cursor->now)) {
		sqlcursor_lose(cursor);
		return;
	}
	name = sqlcursor_take_name(cursor);
	sqlcursor_advance(cursor);
	if (cursor->now.punct == '(')
		skip_group(cursor);
	if (cursor->word == WORD_TO)
		sqlcursor_judge_relation(cursor, &name);
}

static void judge_copy(struct sqlcursor *cursor)
{
	cursor->is_read = true;
	judge_copy_source(cursor);
	if (sqlcursor_take_word(cursor, WORD_FROM))
		judge_copy_from(cursor);
	else if (sqlcursor_take_word(cursor, WORD_TO))
		judge_copy_to(cursor);
	else
		sqlcursor_lose(cursor);
}

/* A cursor is what its query is; WITH HOLD outlives the transaction. */
static void judge_declare(struct sqlcursor *cursor)
{
	sqlcursor_advance(cursor); /* its name */
	while (!sqlcursor_is_over(cursor) && cursor->word != WORD_FOR) {
		/* WITHOUT HOLD has another word before. */
		if (cursor->word == WORD_WITH &&
		    cursor->ahead_word == WORD_HOLD) {
			sqlcursor_blame(cursor, ACCESS_WRITE, REASON_UTILITY);
			sqlcursor_add_effects(cursor, EFFECT_HOLD);
		}
		sqlcursor_advance(cursor);
	}
	if (sqlcursor_take_word(cursor, WORD_FOR) && begins_query(cursor))
		judge_query(cursor);
	else
		sqlcursor_lose(cursor);
}

/* ---- definitions ------------------------------------------------------- */

/*
 * A function body may be SQL itself (BEGIN ATOMIC ... END, PostgreSQL 14),
 * with semicolons that end no statement of ours.
 */
static void skip_function(struct sqlcursor *cursor)
{
	size_t depth = 0;

	while (cursor->now.kind != SQLLEX_END &&
	       cursor->now.kind != SQLLEX_BAD &&
	       (depth > 0 || cursor->now.punct != ';')) {
		if ((cursor->word == WORD_BEGIN &&
		     cursor->ahead_word == WORD_ATOMIC) ||
		    (depth > 0 && cursor->word == WORD_CASE))
			depth++;
		else if (depth > 0 && cursor->word == WORD_END)
			depth--;
		sqlcursor_advance(cursor);
	}
}

/* CREATE RULE ... DO (a; b) */
static void skip_rule(struct sqlcursor *cursor)
{
	while (!sqlcursor_is_over(cursor)) {
		if (cursor->now.punct != '(') {
			sqlcursor_advance(cursor);
			continue;
		}
		while (cursor->now.kind != SQLLEX_END &&
		       cursor->now.kind != SQLLEX_BAD &&
		       cursor->now.punct != ')')
			sqlcursor_advance(cursor);
	}
}

/* Temporary: the session's, while the catalog of others stays the same. */
static void mark_temp(struct sqlcursor *cursor)
{
	cursor->verdict.redefines = false;
	cursor->verdict.effects &= ~(uint32_t)EFFECT_DDL;
	sqlcursor_add_effects(cursor, EFFECT_TEMP);
}

/* Until the query of CREATE TABLE AS, whose functions are called now. */
/* A default or a check will read sequences back, whenever it is used. */
static void note_reading_back(struct sqlcursor *cursor)
{
	if (sqlcursor_sees(cursor, '(') &&
	    (sqlcursor_says(&cursor->now, "currval") ||
	     sqlcursor_says(&cursor->now, "lastval")))
		sqlcursor_add_effects(cursor, EFFECT_SEQUENCE_READ);
}

static void judge_create_relation(struct sqlcursor *cursor)
{
	while (!sqlcursor_is_over(cursor)) {
		note_reading_back(cursor);
		if (cursor->word == WORD_PG_TEMP && sqlcursor_sees(cursor, '.'))
			mark_temp(cursor);
		if (!sqlcursor_take_word(cursor, WORD_AS))
			sqlcursor_advance(cursor);
		else if (begins_query(cursor))
			judge_write(cursor);
		else if (cursor->word == WORD_EXECUTE)
			sqlcursor_add_effects(cursor, EFFECT_EXECUTE);
	}
}

/* Databases and roles are everybody's: core/dbddl reads such a text. */
static void note_global(struct sqlcursor *cursor)
{
	static const char *const objects[] = { "database", "role", "user",
					       "group" };

	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++)
		if (sqlcursor_says(&cursor->now, objects[i]))
			cursor->verdict.is_global = true;
}

/*
 * A table or an index that is new changes no text that is a read already; at
 * worst a replica refuses it.  A function, a view or a policy may.
 */
static void note_redefining(struct sqlcursor *cursor)
{
	static const char *const harmless[] = {
		"table",    "unlogged",   "index",        "unique",
		"sequence", "database",   "materialized", "role",
		"user",     "group",      "tablespace",   "publication",
		"server",   "statistics", "subscription", "trigger",
	};

	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (sqlcursor_says(&cursor->now, harmless[i]))
			return;
	cursor->verdict.redefines = true;
}

/* ALTER and DROP. */
static void judge_change(struct sqlcursor *cursor)
{
	note_global(cursor);
	for (; !sqlcursor_is_over(cursor); sqlcursor_advance(cursor))
		note_reading_back(cursor);
}

/*
 * What else may happen to a table is no matter of routing: its columns are
 * not known anyway, and a replica refuses what is not logged.
 */
static void judge_alter_table(struct sqlcursor *cursor)
{
	static const char *const words[] = { "row", "rename", "schema",
					     "inherit", "attach" };

	for (; !sqlcursor_is_over(cursor); sqlcursor_advance(cursor)) {
		note_reading_back(cursor);
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (sqlcursor_says(&cursor->now, words[i]))
				cursor->verdict.redefines = true;
	}
}

static void judge_alter(struct sqlcursor *cursor)
{
	if (sqlcursor_says(&cursor->now, "table")) {
		judge_alter_table(cursor);
		return;
	}
	note_redefining(cursor);
	judge_change(cursor);
}

/* GRANT and REVOKE ... ON DATABASE. */
static void judge_privileges(struct sqlcursor *cursor)
{
	while (!sqlcursor_is_over(cursor)) {
		bool is_on = sqlcursor_says(&cursor->now, "on");

		sqlcursor_advance(cursor);
		if (is_on)
			note_global(cursor);
	}
}

/* Which kind of CREATE decides where the statement ends. */
static void judge_create(struct sqlcursor *cursor)
{
	note_global(cursor);
	if (sqlcursor_take_word(cursor, WORD_OR))
		(void)sqlcursor_take_word(cursor, WORD_REPLACE);
	note_redefining(cursor);
	switch (cursor->word) {
	case WORD_LOCAL:
	case WORD_GLOBAL:
	case WORD_TEMP:
	case WORD_TEMPORARY:
		mark_temp(cursor);
		judge_create_relation(cursor);
		break;
	case WORD_FUNCTION:
	case WORD_PROCEDURE:
		if (cursor->ahead_word == WORD_PG_TEMP)
			mark_temp(cursor);
		skip_function(cursor);
		break;
	case WORD_RULE: skip_rule(cursor); break;
	default: judge_create_relation(cursor);
	}
}

/* ---- verbs ------------------------------------------------------------- */

#define VERB_WRITE ACCESS_WRITE, REASON_VERB
#define VERB_NONE  ACCESS_NONE, REASON_NONE
#define VERB_OTHER ACCESS_UNKNOWN, REASON_UTILITY
#define VERB_READ  ACCESS_READ, REASON_NONE

/* One row a verb; looked up by a walk through the table, on a miss only. */
static const struct verb verbs[] = {
	{ WORD_INSERT, VERB_WRITE, COMMAND_OTHER, 0, judge_write },
	{ WORD_UPDATE, VERB_WRITE, COMMAND_OTHER, 0, judge_write },
	{ WORD_DELETE, VERB_WRITE, COMMAND_OTHER, 0, judge_write },
	{ WORD_MERGE, VERB_WRITE, COMMAND_OTHER, 0, judge_write },
	{ WORD_COPY, VERB_NONE, COMMAND_OTHER, 0, judge_copy },
	{ WORD_EXPLAIN, VERB_NONE, COMMAND_OTHER, 0, judge_explain },

	{ WORD_BEGIN, VERB_NONE, COMMAND_BEGIN, 0, sqlutility_judge_modes },
	{ WORD_START, VERB_NONE, COMMAND_BEGIN, 0, sqlutility_judge_start },
	{ WORD_COMMIT, VERB_NONE, COMMAND_COMMIT, 0, sqlutility_judge_end },
	{ WORD_END, VERB_NONE, COMMAND_COMMIT, 0, sqlutility_judge_end },
	{ WORD_ROLLBACK, VERB_NONE, COMMAND_ROLLBACK, 0, sqlutility_judge_end },
	{ WORD_ABORT, VERB_NONE, COMMAND_ROLLBACK, 0, sqlutility_judge_end },
	{ WORD_SAVEPOINT, VERB_NONE, COMMAND_OTHER, 0, NULL },
	{ WORD_RELEASE, VERB_NONE, COMMAND_OTHER, 0, NULL },

	{ WORD_SET, VERB_NONE, COMMAND_OTHER, 0, sqlutility_judge_set },
	{ WORD_RESET, VERB_NONE, COMMAND_OTHER, 0, sqlutility_judge_reset },
	{ WORD_DISCARD, VERB_NONE, COMMAND_OTHER, 0, sqlutility_judge_discard },
	{ WORD_SHOW, VERB_OTHER, COMMAND_OTHER, 0, sqlutility_judge_show },

	{ WORD_PREPARE, VERB_NONE, COMMAND_OTHER, 0, sqlutility_judge_prepare },
	{ WORD_EXECUTE, VERB_OTHER, COMMAND_OTHER, EFFECT_EXECUTE, NULL },
	{ WORD_DEALLOCATE, VERB_NONE, COMMAND_OTHER, EFFECT_DEALLOCATE, NULL },
	{ WORD_DECLARE, VERB_NONE, COMMAND_OTHER, EFFECT_CURSOR,
	  judge_declare },
	{ WORD_FETCH, VERB_READ, COMMAND_OTHER, EFFECT_CURSOR, NULL },
	{ WORD_MOVE, VERB_READ, COMMAND_OTHER, EFFECT_CURSOR, NULL },
	{ WORD_CLOSE, VERB_NONE, COMMAND_OTHER, EFFECT_CURSOR,
	  sqlutility_judge_close },

	{ WORD_LISTEN, VERB_OTHER, COMMAND_OTHER, EFFECT_LISTEN, NULL },
	{ WORD_UNLISTEN, VERB_OTHER, COMMAND_OTHER, 0,
	  sqlutility_judge_unlisten },
	{ WORD_NOTIFY, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_LOAD, VERB_OTHER, COMMAND_OTHER, EFFECT_LOAD, NULL },
	{ WORD_DO, VERB_WRITE, COMMAND_OTHER, EFFECT_HIDDEN, NULL },
	{ WORD_CALL, VERB_WRITE, COMMAND_OTHER, EFFECT_HIDDEN, judge_write },

	{ WORD_CREATE, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, judge_create },
	{ WORD_ALTER, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, judge_alter },
	{ WORD_DROP, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, judge_change },
	{ WORD_GRANT, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, judge_privileges },
	{ WORD_REVOKE, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL,
	  judge_privileges },
	{ WORD_COMMENT, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, NULL },
	{ WORD_SECURITY, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, NULL },
	{ WORD_REASSIGN, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, NULL },
	{ WORD_IMPORT, VERB_WRITE, COMMAND_OTHER, EFFECT_DDL, NULL },
	{ WORD_TRUNCATE, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_REFRESH, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_LOCK, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_VACUUM, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_ANALYZE, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_ANALYSE, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_CLUSTER, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_REINDEX, VERB_WRITE, COMMAND_OTHER, 0, NULL },
	{ WORD_CHECKPOINT, VERB_WRITE, COMMAND_OTHER, 0, NULL },
};

static const struct verb *find_verb(enum sqlword word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].word == word)
			return &verbs[i];
	return NULL;
}

/* From its first token; the rest is skipped by the caller. */
static void judge_statement(struct sqlcursor *cursor)
{
	const struct verb *verb;

	if (begins_query(cursor)) {
		judge_query(cursor);
		return;
	}
	verb = find_verb(cursor->word);
	if (!verb) {
		sqlcursor_lose(cursor);
		return;
	}
	if (verb->access == ACCESS_READ)
		cursor->verdict.is_certain = false; /* a cursor of anything */
	sqlcursor_blame(cursor, verb->access, verb->reason);
	sqlcursor_add_effects(cursor, verb->effects);
	cursor->verdict.command = (uint8_t)verb->command;
	sqlcursor_advance(cursor);
	if (verb->judge)
		verb->judge(cursor);
}

/* ---- texts ------------------------------------------------------------- */

enum { SEARCHED_MAX = 256 * 1024 };

/* What only the whole statement can tell. */
struct span {
	const char *text;
	size_t len;
};

/*
 * UPDATE pg_settings is a SET (PostgreSQL docs, "pg_settings").  A long text
 * is not searched for it: the question whether it was one costs less.
 */
static bool sets_by_view(const struct span *span)
{
	static const char view[] = "pg_settings";
	const size_t view_len = sizeof(view) - 1;

	if (span->len > SEARCHED_MAX)
		return true;
	for (size_t i = 0; i + view_len <= span->len; i++)
		if (strncasecmp(span->text + i, view, view_len) == 0)
			return true;
	return false;
}

/* Once for all statements: it reads the whole text. */
static void note_hiding(struct sqlclass *text,
			const struct sqlclass_context *context,
			const struct span *span)
{
	if (text->access == ACCESS_WRITE &&
	    (catalog_hides_writes(context->catalog) || sets_by_view(span)))
		text->effects |= EFFECT_HIDDEN;
}

static void complete(struct sqlclass *verdict, const struct catalog *catalog)
{
	if (verdict->access == ACCESS_READ && catalog_is_treacherous(catalog)) {
		verdict->access = ACCESS_WRITE;
		verdict->reason = REASON_FUNCTION;
		verdict->effects |= EFFECT_HIDDEN;
	}
	if (verdict->access == ACCESS_READ &&
	    (verdict->effects & EFFECT_CATALOG_READ))
		verdict->reason = REASON_CATALOG;
	if (sqlcursor_rank(verdict->access) > sqlcursor_rank(ACCESS_READ))
		verdict->is_certain = false;
}

/* Adds a statement to the text: the worst access, with its reason. */
static void merge(struct sqlclass *text, const struct sqlclass *statement)
{
	if (sqlcursor_rank(statement->access) > sqlcursor_rank(text->access) ||
	    text->reason == REASON_NONE)
		text->reason = statement->reason;
	if (sqlcursor_rank(statement->access) > sqlcursor_rank(text->access))
		text->access = statement->access;
	text->is_certain &= statement->is_certain;
	text->effects |= statement->effects;
	text->is_global |= statement->is_global;
	text->shows_position |= statement->shows_position;
	text->tells_time |= statement->tells_time;
	text->redefines |= statement->redefines;
	text->may_draw |= statement->may_draw;
	if (text->statements == 0)
		text->command = statement->command;
	else if (text->command != COMMAND_OTHER ||
		 statement->command != COMMAND_OTHER)
		text->command = COMMAND_MIXED;
	if (text->statements < UINT16_MAX)
		text->statements++;
}

/* What comes next cannot be told, or would be too much to look at. */
static void give_up(struct sqlcursor *cursor)
{
	sqlcursor_add_effects(cursor, EFFECT_HIDDEN);
	cursor->verdict.may_draw = true;
	if (sqllex_is_exhausted(&cursor->lex))
		sqlcursor_blame(cursor, ACCESS_UNKNOWN, REASON_TOO_LONG);
	else
		sqlcursor_lose(cursor);
}

/* Which certainty a statement starts with. */
static bool may_be_certain(const struct sqlclass_context *context)
{
	return catalog_is_certain(context->catalog);
}

struct sqlclass sqlclass_judge(const char *sql, size_t len,
			       const struct sqlclass_context *context)
{
	struct sqlclass text = { .is_certain = may_be_certain(context) };
	const struct span span = { sql, len };
	struct sqlcursor cursor;

	sqlcursor_init(&cursor, sql, len, context);
	while (cursor.now.kind != SQLLEX_END) {
		if (cursor.now.punct == ';') {
			sqlcursor_advance(&cursor);
			continue;
		}
		cursor.verdict = (struct sqlclass){
			.is_certain = may_be_certain(context),
		};
		cursor.is_read = true;
		if (cursor.now.kind != SQLLEX_BAD)
			judge_statement(&cursor);
		skip_statement(&cursor);
		if (cursor.now.kind == SQLLEX_BAD)
			give_up(&cursor);
		complete(&cursor.verdict, context->catalog);
		merge(&text, &cursor.verdict);
		if (cursor.now.kind == SQLLEX_BAD)
			break;
	}
	note_hiding(&text, context, &span);
	return text;
}

struct sqlclass sqlclass_judge_prefix(const char *sql, size_t len)
{
	const struct sqlclass_context context = { NULL, true, true };
	struct sqlclass class = {
		.access = ACCESS_UNKNOWN,
		.reason = REASON_TOO_LONG,
		.statements = 1,
		.may_draw = true,
		.effects = EFFECT_HIDDEN,
	};
	const struct verb *verb;
	struct sqlcursor cursor;

	sqlcursor_init(&cursor, sql, len, &context);
	verb = find_verb(cursor.word);
	/* The first word is whole only if something follows it. */
	if (!verb || verb->access != ACCESS_WRITE ||
	    cursor.now.text + cursor.now.len == sql + len)
		return class;
	class.access = ACCESS_WRITE;
	class.reason = REASON_VERB;
	class.effects |= verb->effects;
	return class;
}

const char *sqlclass_reason_name(enum sqlclass_reason reason)
{
	static const char *const names[] = {
#define SQLCLASS_NAME(id, name) [REASON_##id] = (name),
		SQLCLASS_REASONS(SQLCLASS_NAME)
#undef SQLCLASS_NAME
	};

	return names[reason];
}
