/*
 * From rows of the system catalog to a snapshot: which user functions may run
 * on a replica, which relations may be read there, and where functions hide
 * that no text shows (operators, domains, casts, row security).
 *
 * Functions are judged by their declared volatility; the declaration is not
 * trusted where they use something that a volatile function would.  Whatever
 * uses something unsafe is unsafe itself, all the way up
 * (control/catalog_graph): views, policies, bodies, defaults of arguments,
 * types, operators, aggregates, parent tables.
 *
 * Only names cross into the snapshot; object ids stay here.  Main thread.
 */
#include "control/catalog_rows.h"

#include "base/util.h"
#include "control/catalog_graph.h"
#include "control/catalog_query.h"
#include "core/catalog_builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS = 10, ID_MAX = 16, FIRST_ROOM = 64 };

/* Volatile, but harmless: they only draw random numbers. */
static const char *const harmless_names[] = {
	"gen_random_bytes",   "gen_salt",         "uuid_generate_v1",
	"uuid_generate_v1mc", "uuid_generate_v4",
};

/* Make values of any type, which no text has to name. */
static const char *const populating_names[] = {
	"json_populate_record",  "json_populate_recordset",
	"jsonb_populate_record", "jsonb_populate_recordset",
	"pg_input_error_info",   "pg_input_is_valid",
};
/* The object that stands for what they make. */
static const char POPULATE[] = "populate";

/* One of the user's, as the graph knows it by a letter and its id. */
struct object {
	char id[ID_MAX];
	char *schema;
	char *name;
	enum catalog_function kind; /* of a function, by itself */
	/* A function like an attribute, a cast that no text has to show. */
	bool is_unseen;
};

struct objects {
	struct object *all;
	size_t count;
	size_t room;
};

struct catalog_rows {
	struct catalog_builder *builder;
	struct catalog_graph *graph;
	struct objects functions;
	struct objects relations;
	struct objects types;
	struct objects operators;
	unsigned results;
};

const char *catalog_rows_query(enum catalog_rows_part part)
{
	return part == CATALOG_ROWS_COMMON ? catalog_query_common()
					   : catalog_query_own();
}

struct catalog_rows *catalog_rows_new(void)
{
	struct catalog_rows *rows = xcalloc(1, sizeof(*rows));

	rows->builder = catalog_builder_new();
	rows->graph = catalog_graph_new();
	return rows;
}

static void free_objects(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		free(objects->all[i].schema);
		free(objects->all[i].name);
	}
	free(objects->all);
}

void catalog_rows_free(struct catalog_rows *rows)
{
	if (!rows)
		return;
	catalog_builder_free(rows->builder);
	catalog_graph_free(rows->graph);
	free_objects(&rows->functions);
	free_objects(&rows->relations);
	free_objects(&rows->types);
	free_objects(&rows->operators);
	free(rows);
}

/* Names are copied. */
static struct object *add_object(struct objects *objects, const char *id,
				 const char *schema, const char *name)
{
	struct object *object;

	if (objects->count == objects->room) {
		objects->room = objects->room ? objects->room * 2 : FIRST_ROOM;
		objects->all = xrealloc(objects->all,
					objects->room * sizeof(*objects->all));
	}
	object = &objects->all[objects->count++];
	*object = (struct object){
		.schema = xstrdup(schema),
		.name = xstrdup(name),
	};
	(void)util_copy(object->id, sizeof(object->id), id);
	return object;
}

/* What the graph calls an object. */
struct key {
	char text[ID_MAX + 1];
};

static struct key key_of(char letter, const char *id)
{
	struct key key;

	(void)snprintf(key.text, sizeof(key.text), "%c%s", letter, id);
	return key;
}

/* Whether what is as bad as this must stay on the primary. */
static bool is_unsafe(enum catalog_relation level)
{
	return level >= RELATION_MISSING;
}

static bool is_true(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column)[0] == 't';
}

static bool is_among(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

#define IS_AMONG(names, name) \
	is_among(names, sizeof(names) / sizeof((names)[0]), name)

/* ---- taking rows in ----------------------------------------------------- */

enum {
	FUNCTION_ID,
	FUNCTION_SCHEMA,
	FUNCTION_NAME,
	FUNCTION_LANGUAGE,
	FUNCTION_VOLATILITY,
	FUNCTION_IS_TRUSTED, /* its language, or compiled */
	FUNCTION_IS_OPAQUE,  /* it runs what no body shows */
	FUNCTION_IS_ATTRIBUTE,
	FUNCTION_LEAVES, /* something behind in the session, perhaps */
	FUNCTION_TELLS_TIME,
	FUNCTION_COLUMNS
};

/* C and untrusted languages can do anything outside the database. */
static enum catalog_function judge_function(const PGresult *result, int row)
{
	const char *name = PQgetvalue(result, row, FUNCTION_NAME);
	const char *language = PQgetvalue(result, row, FUNCTION_LANGUAGE);
	bool is_volatile = *PQgetvalue(result, row, FUNCTION_VOLATILITY) == 'v';
	bool is_compiled = strcmp(language, "c") == 0;
	bool is_trusted = is_true(result, row, FUNCTION_IS_TRUSTED);

	if (is_compiled && IS_AMONG(harmless_names, name))
		return FUNCTION_SAFE;
	if (is_volatile && (is_compiled || !is_trusted))
		return FUNCTION_NEVER_REPLICA;
	if (is_volatile || !is_trusted ||
	    is_true(result, row, FUNCTION_IS_OPAQUE))
		return FUNCTION_PRIMARY;
	return FUNCTION_SAFE;
}

static void add_functions(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *id = PQgetvalue(result, row, FUNCTION_ID);
		struct key key = key_of('f', id);
		unsigned traits = 0;
		struct object *object =
			add_object(&rows->functions, id,
				   PQgetvalue(result, row, FUNCTION_SCHEMA),
				   PQgetvalue(result, row, FUNCTION_NAME));

		object->kind = judge_function(result, row);
		object->is_unseen = is_true(result, row, FUNCTION_IS_ATTRIBUTE);
		if (is_true(result, row, FUNCTION_LEAVES))
			traits |= TRAIT_LEAVES;
		if (is_true(result, row, FUNCTION_TELLS_TIME))
			traits |= TRAIT_TIME;
		catalog_graph_mark(rows->graph, key.text,
				   object->kind == FUNCTION_SAFE
					   ? RELATION_PLAIN
					   : RELATION_PRIMARY,
				   traits);
	}
}

enum { RELATION_ID, RELATION_SCHEMA, RELATION_NAME, RELATION_IS_UNSAFE };

static void add_relations(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *id = PQgetvalue(result, row, RELATION_ID);
		struct key key = key_of('r', id);

		(void)add_object(&rows->relations, id,
				 PQgetvalue(result, row, RELATION_SCHEMA),
				 PQgetvalue(result, row, RELATION_NAME));
		if (is_true(result, row, RELATION_IS_UNSAFE))
			catalog_graph_mark(rows->graph, key.text,
					   RELATION_PRIMARY, 0);
	}
}

enum { TYPE_ID, TYPE_NAME, TYPE_IS_UNSEEN, TYPE_COLUMNS };

static void add_types(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct object *object = add_object(
			&rows->types, PQgetvalue(result, row, TYPE_ID), "",
			PQgetvalue(result, row, TYPE_NAME));

		object->is_unseen = is_true(result, row, TYPE_IS_UNSEEN);
	}
}

/* now(), transaction_timestamp(), age() with one argument. */
static bool tells_time(const char *key)
{
	static const char *const keys[] = { "f1299", "f2647", "f1386",
					    "f2059" };

	return IS_AMONG(keys, key);
}

/* What is known of a built-in function, by its name. */
static void mark_function(struct catalog_rows *rows, const char *key,
			  const char *name, const char *volatility)
{
	uint32_t effects;
	enum catalog_function kind =
		catalog_builtin_function(name, strlen(name), &effects);
	unsigned traits = tells_time(key) ? TRAIT_TIME : 0;
	bool is_bad = kind != FUNCTION_SAFE;

	/* The table leaves out what only implements operators. */
	if (kind == FUNCTION_MISSING)
		is_bad = *volatility == 'v';
	if (effects & ~(uint32_t)EFFECT_CATALOG_READ)
		traits |= TRAIT_LEAVES;
	catalog_graph_mark(rows->graph, key,
			   is_bad ? RELATION_PRIMARY : RELATION_PLAIN, traits);
	if (IS_AMONG(populating_names, name))
		catalog_graph_add_use(rows->graph, key, POPULATE);
}

static void mark_relation(struct catalog_rows *rows, const char *key,
			  const char *schema, const char *name)
{
	catalog_graph_mark(rows->graph, key,
			   catalog_find_relation(NULL, schema, strlen(schema),
						 name, strlen(name)),
			   0);
}

enum {
	OPERATOR_ID,
	OPERATOR_NAME,
	OPERATOR_FUNCTION,
	OPERATOR_FUNCTION_NAME,
	OPERATOR_VOLATILITY,
	OPERATOR_COLUMNS
};

/* Functions of the user's have been marked before: those count. */
static void add_operators(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *id = PQgetvalue(result, row, OPERATOR_ID);
		const char *function =
			PQgetvalue(result, row, OPERATOR_FUNCTION);
		const char *name =
			PQgetvalue(result, row, OPERATOR_FUNCTION_NAME);
		struct key above = key_of('o', id);
		struct key below = key_of('f', function);

		(void)add_object(&rows->operators, id, "",
				 PQgetvalue(result, row, OPERATOR_NAME));
		catalog_graph_add_use(rows->graph, above.text, below.text);
		if (*name)
			mark_function(
				rows, below.text, name,
				PQgetvalue(result, row, OPERATOR_VOLATILITY));
	}
}

enum { USE_OF, USE_BELOW, USE_SCHEMA, USE_NAME, USE_VOLATILITY, USE_COLUMNS };

/* Of what is built in there is a name. */
static void add_uses(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *below = PQgetvalue(result, row, USE_BELOW);
		const char *name = PQgetvalue(result, row, USE_NAME);

		catalog_graph_add_use(rows->graph,
				      PQgetvalue(result, row, USE_OF), below);
		if (*name == '\0')
			continue;
		if (*below == 'f')
			mark_function(rows, below, name,
				      PQgetvalue(result, row, USE_VOLATILITY));
		else
			mark_relation(rows, below,
				      PQgetvalue(result, row, USE_SCHEMA),
				      name);
	}
}

static void add_reading_back(struct catalog_rows *rows, const PGresult *result)
{
	if (PQntuples(result) > 0)
		catalog_set_reading_back(rows->builder);
}

static void add_triggers(struct catalog_rows *rows, const PGresult *result)
{
	if (PQntuples(result) > 0)
		catalog_set_hidden_writes(rows->builder);
}

/* "name=value", of two names that matter; the role's, or everybody's. */
static void add_defaults(struct catalog_rows *rows, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *role = PQgetvalue(result, row, 0);
		const char *line = PQgetvalue(result, row, 1);

		if (strcmp(line, "late") == 0)
			catalog_add_hidden(rows->builder, HIDDEN_LATE, "");
		if (strcasecmp(line, "synchronous_commit=off") == 0)
			catalog_add_hidden(rows->builder, HIDDEN_ASYNCHRONOUS,
					   role);
		if (strncasecmp(line, "default_transaction_isolation=", 30) ==
			    0 &&
		    strcasecmp(line + 30, "read committed") != 0 &&
		    strcasecmp(line + 30, "read uncommitted") != 0)
			catalog_add_hidden(rows->builder, HIDDEN_SNAPSHOTS,
					   role);
	}
}

/* ---- the snapshot ------------------------------------------------------- */

static void tell_time(struct catalog_rows *rows, const char *name,
		      unsigned traits)
{
	if (traits & TRAIT_TIME)
		catalog_add_hidden(rows->builder, HIDDEN_TIME, name);
}

static void finish_function(struct catalog_rows *rows,
			    const struct object *object)
{
	struct key key = key_of('f', object->id);
	unsigned traits = catalog_graph_traits(rows->graph, key.text);
	enum catalog_function kind = object->kind;

	if (kind == FUNCTION_SAFE &&
	    is_unsafe(catalog_graph_level(rows->graph, key.text)))
		kind = FUNCTION_PRIMARY;
	catalog_add_function(rows->builder, object->schema, object->name, kind,
			     traits & TRAIT_LEAVES ? EFFECT_HIDDEN : 0);
	if (kind != FUNCTION_SAFE && object->is_unseen)
		catalog_add_hidden(rows->builder, HIDDEN_ATTRIBUTE,
				   object->name);
	tell_time(rows, object->name, traits);
}

static void finish_relation(struct catalog_rows *rows,
			    const struct object *object)
{
	struct key key = key_of('r', object->id);
	unsigned traits = catalog_graph_traits(rows->graph, key.text);

	catalog_add_relation(rows->builder, object->schema, object->name,
			     catalog_graph_level(rows->graph, key.text));
	if (traits & TRAIT_LEAVES)
		catalog_add_hidden(rows->builder, HIDDEN_LEAVING, object->name);
	tell_time(rows, object->name, traits);
}

/*
 * A user's type is named in a text that casts to it; a cast to a built-in
 * type may come unseen, or only from types that nobody uses.
 */
static void finish_type(struct catalog_rows *rows, const struct object *object)
{
	bool is_bad = false;
	unsigned traits = 0;

	for (const char *letter = "dck"; *letter; letter++) {
		struct key key = key_of(*letter, object->id);

		is_bad |= is_unsafe(catalog_graph_level(rows->graph, key.text));
		traits |= catalog_graph_traits(rows->graph, key.text);
	}
	tell_time(rows, object->name, traits);
	if (!is_bad)
		return;
	if (object->is_unseen)
		catalog_set_treacherous(rows->builder);
	if (catalog_builtin_has_type(object->name, strlen(object->name)))
		catalog_set_uncertain(rows->builder);
	else
		catalog_add_hidden(rows->builder, HIDDEN_TYPE, object->name);
}

/* Operators that the grammar uses by itself: IN, LIKE, BETWEEN, CASE ... */
static bool is_implied(const char *name)
{
	static const char *const implied[] = { "=",  "<>",  "<",   "<=",
					       ">",  ">=",  "~",   "!~",
					       "~~", "!~~", "~~*", "!~~*" };

	return IS_AMONG(implied, name);
}

static void finish_operator(struct catalog_rows *rows,
			    const struct object *object)
{
	struct key key = key_of('o', object->id);

	tell_time(rows, object->name,
		  catalog_graph_traits(rows->graph, key.text));
	if (!is_unsafe(catalog_graph_level(rows->graph, key.text)))
		return;
	catalog_add_hidden(rows->builder, HIDDEN_OPERATOR, object->name);
	if (is_implied(object->name))
		catalog_set_treacherous(rows->builder);
}

static void finish_populating(struct catalog_rows *rows)
{
	size_t count = sizeof(populating_names) / sizeof(*populating_names);

	if (!is_unsafe(catalog_graph_level(rows->graph, POPULATE)))
		return;
	for (size_t i = 0; i < count; i++)
		catalog_add_function(rows->builder, "pg_catalog",
				     populating_names[i], FUNCTION_PRIMARY,
				     EFFECT_HIDDEN);
}

static void finish_all(struct catalog_rows *rows, const struct objects *objects,
		       void (*finish)(struct catalog_rows *rows,
				      const struct object *object))
{
	for (size_t i = 0; i < objects->count; i++)
		finish(rows, &objects->all[i]);
}

/* What the next result must look like, and who takes it. */
struct step {
	int columns;
	void (*add)(struct catalog_rows *rows, const PGresult *result);
};

static const struct step steps[RESULTS] = {
	{ 1, NULL },
	{ FUNCTION_COLUMNS, add_functions },
	{ RELATION_IS_UNSAFE + 1, add_relations },
	{ TYPE_COLUMNS, add_types },
	{ OPERATOR_COLUMNS, add_operators },
	{ USE_COLUMNS, add_uses },
	{ 1, add_triggers },
	{ 1, add_reading_back },
	{ 2, add_defaults },
	{ 2, add_defaults },
};

bool catalog_rows_add(struct catalog_rows *rows, const PGresult *result)
{
	const struct step *step;

	if (rows->results == RESULTS ||
	    PQresultStatus(result) != PGRES_TUPLES_OK)
		return false;
	step = &steps[rows->results++];
	if (PQnfields(result) != step->columns)
		return false;
	if (step->add)
		step->add(rows, result);
	return true;
}

struct catalog *catalog_rows_finish(struct catalog_rows *rows)
{
	struct catalog *catalog;

	if (rows->results < RESULTS)
		return NULL;
	catalog_graph_settle(rows->graph);
	finish_all(rows, &rows->functions, finish_function);
	finish_all(rows, &rows->relations, finish_relation);
	finish_all(rows, &rows->types, finish_type);
	finish_all(rows, &rows->operators, finish_operator);
	finish_populating(rows);
	catalog = catalog_finish(rows->builder);
	rows->builder = NULL;
	catalog_rows_free(rows);
	return catalog;
}
