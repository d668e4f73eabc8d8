/*
 * The verdict held against PostgreSQL's own grammar (libpg_query): whatever it
 * parses and we call a read must be one.  Besides the rows of sqlcases.tsv,
 * thousands of statements are made from them by taking tokens out, putting
 * others in and grafting one row on another, always the same ones.
 */
#include "sqlcases.h"
#include "sqlfixture.h"

#include <pg_query.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { MUTANTS = 60000, TOKENS_MAX = 400, NAMES_MAX = 64, ROWS_MAX = 1000 };

struct oracle {
	struct catalog *catalog;
	struct sqlclass_context context;
	char *rows[ROWS_MAX];
	size_t row_count;
	unsigned parsed;
	unsigned reads;
};

/* What a tree must not hold when the text is called a read. */
static const char *const forbidden[] = {
	"InsertStmt",  "UpdateStmt",     "DeleteStmt",        "MergeStmt",
	"intoClause",  "IntoClause",     "lockingClause",     "CreateStmt",
	"DoStmt",      "CallStmt",       "CreateTableAsStmt", "ExecuteStmt",
	"PrepareStmt", "NotifyStmt",     "ListenStmt",        "VacuumStmt",
	"LockStmt",    "is_from",        "is_program",        "LoadStmt",
	"ViewStmt",    "CheckPointStmt", "TruncateStmt",      "DropStmt",
};

/* What a tree holds, and which effects tell so. */
static const struct {
	const char *node;
	uint32_t effects; /* any of them */
} telling[] = {
	{ "VariableSetStmt", EFFECT_SET | EFFECT_SET_LOCAL | EFFECT_RESET_ALL |
				     EFFECT_SET_REPORTED },
	{ "ListenStmt", EFFECT_LISTEN },
	{ "UnlistenStmt", EFFECT_LISTEN | EFFECT_UNLISTEN_ALL },
	{ "DeallocateStmt", EFFECT_DEALLOCATE },
	{ "DeclareCursorStmt", EFFECT_CURSOR },
	{ "FetchStmt", EFFECT_CURSOR },
	{ "ClosePortalStmt", EFFECT_CURSOR },
	{ "LoadStmt", EFFECT_LOAD },
	{ "DoStmt", EFFECT_HIDDEN },
	{ "CallStmt", EFFECT_HIDDEN },
	{ "DiscardStmt", EFFECT_DISCARD | EFFECT_DISCARD_ALL },
};

/* The field or node as a key of the tree, not as text of a literal. */
static const char *find_key(const char *tree, const char *key)
{
	char quoted[64];
	const char *at = tree;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	while ((at = strstr(at, quoted)) != NULL) {
		if (at > tree && (at[-1] == '{' || at[-1] == ','))
			return at + strlen(quoted);
		at++;
	}
	return NULL;
}

/* Copies a JSON string; returns what stands behind it. */
static const char *copy_string(const char *json, char *out, size_t room)
{
	size_t len = 0;

	for (json++; *json && *json != '"'; json++) {
		if (*json == '\\')
			json++;
		if (len + 1 < room)
			out[len++] = *json;
	}
	out[len] = '\0';
	return json;
}

static void check_function(const struct oracle *oracle, const char *names,
			   const char *sql)
{
	const char *end = strchr(names, ']');
	char schema[256] = "";
	char name[256] = "";
	const char *at = names;

	while (end && (at = strstr(at, "\"sval\":")) != NULL && at < end) {
		memcpy(schema, name, sizeof(schema));
		at = copy_string(at + strlen("\"sval\":"), name, sizeof(name));
	}
	if (catalog_find_function(oracle->catalog, schema, strlen(schema), name,
				  strlen(name), NULL) != FUNCTION_SAFE)
		fail_msg("calls %s.%s: %s", schema, name, sql);
}

static void check_functions(const struct oracle *oracle, const char *tree,
			    const char *sql)
{
	const char *at = tree;

	while ((at = find_key(at, "funcname")) != NULL)
		check_function(oracle, at, sql);
}

static bool is_with_name(const char *tree, const char *name)
{
	const char *at = tree;
	char with_name[256];

	while ((at = find_key(at, "ctename")) != NULL) {
		copy_string(at, with_name, sizeof(with_name));
		if (strcmp(with_name, name) == 0)
			return true;
	}
	return false;
}

static void check_relations(const struct oracle *oracle, const char *tree,
			    const char *sql)
{
	const char *at = tree;

	while ((at = find_key(at, "RangeVar")) != NULL) {
		const char *end = strstr(at, "\"relpersistence\"");
		const char *schema_at = find_key(at, "schemaname");
		const char *name_at = find_key(at, "relname");
		enum catalog_relation kind;
		char schema[256] = "";
		char name[256] = "";

		if (!name_at || !end)
			continue;
		copy_string(name_at, name, sizeof(name));
		if (schema_at && schema_at < end)
			copy_string(schema_at, schema, sizeof(schema));
		else if (is_with_name(tree, name))
			continue;
		kind = catalog_find_relation(oracle->catalog, schema,
					     strlen(schema), name,
					     strlen(name));
		if (kind != RELATION_PLAIN && kind != RELATION_SYSTEM)
			fail_msg("reads %s.%s: %s", schema, name, sql);
	}
}

static void check_read(const struct oracle *oracle, const char *tree,
		       const char *sql)
{
	for (size_t i = 0; i < SQLCASE_COUNT(forbidden); i++)
		if (find_key(tree, forbidden[i]))
			fail_msg("a read with %s: %s", forbidden[i], sql);
	check_functions(oracle, tree, sql);
}

static void check_effects(const struct sqlclass *class, const char *tree,
			  const char *sql)
{
	if (class->effects & EFFECT_HIDDEN)
		return; /* anything may be left behind */
	if (find_key(tree, "CreateFunctionStmt"))
		return; /* what it holds is not done now */
	for (size_t i = 0; i < SQLCASE_COUNT(telling); i++)
		if (find_key(tree, telling[i].node) &&
		    !(class->effects & telling[i].effects))
			fail_msg("%s unseen: %s", telling[i].node, sql);
	if (find_key(tree, "VariableSetStmt") && class->access > ACCESS_READ &&
	    class->statements == 1 &&
	    !(class->effects & (EFFECT_SET | EFFECT_SET_LOCAL |
				EFFECT_RESET_ALL | EFFECT_SET_REPORTED)))
		fail_msg("setting unseen: %s", sql);
}

static unsigned count_statements(const char *tree)
{
	const char *at = tree;
	unsigned count = 0;

	while ((at = find_key(at, "stmt")) != NULL)
		count++;
	return count;
}

static void check_text(struct oracle *oracle, const char *sql)
{
	PgQueryParseResult result = pg_query_parse(sql);
	struct sqlclass class =
		sqlclass_judge(sql, strlen(sql), &oracle->context);

	if (!result.error) {
		oracle->parsed++;
		if (class.access == ACCESS_READ ||
		    class.access == ACCESS_NONE) {
			oracle->reads += class.access == ACCESS_READ;
			check_read(oracle, result.parse_tree, sql);
			if (class.access == ACCESS_READ &&
			    !find_key(result.parse_tree, "ConstraintsSetStmt"))
				check_relations(oracle, result.parse_tree, sql);
			if (class.statements !=
			    count_statements(result.parse_tree))
				fail_msg("counted %u: %s", class.statements,
					 sql);
		}
		check_effects(&class, result.parse_tree, sql);
	}
	pg_query_free_parse_result(result);
}

static int set_up(void **state)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	struct sqlcase row = { 0 };
	FILE *file = sqlcases_open();

	oracle->catalog = fixture_new();
	oracle->context = (struct sqlclass_context){
		.catalog = oracle->catalog,
		.plain_backslash = true,
		.is_safe_encoding = true,
	};
	while (sqlcases_next(file, &row) && oracle->row_count < ROWS_MAX)
		oracle->rows[oracle->row_count++] = strdup(row.sql);
	(void)fclose(file);
	*state = oracle;
	return 0;
}

static int tear_down(void **state)
{
	struct oracle *oracle = *state;

	for (size_t i = 0; i < oracle->row_count; i++)
		free(oracle->rows[i]);
	catalog_release(oracle->catalog);
	free(oracle);
	return 0;
}

static void test_rows(void **state)
{
	struct oracle *oracle = *state;

	for (size_t i = 0; i < oracle->row_count; i++)
		check_text(oracle, oracle->rows[i]);
	/* Most rows are right SQL of version 15, about a third are reads. */
	assert_true(oracle->parsed > oracle->row_count * 3 / 4);
	assert_true(oracle->reads > oracle->row_count / 5);
}

/* ---- mutants ----------------------------------------------------------- */

static uint32_t draw(uint64_t *seed, size_t limit)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((*seed >> 33) % limit);
}

struct tokens {
	const char *words[TOKENS_MAX];
	size_t lens[TOKENS_MAX];
	size_t count;
};

/* Cuts a text at blanks and around punctuation. */
static void cut(struct tokens *tokens, const char *sql)
{
	tokens->count = 0;
	while (*sql && tokens->count < TOKENS_MAX / 2) {
		size_t len = strcspn(sql, " ()[],;.");

		if (len == 0 && *sql != ' ')
			len = 1;
		if (len > 0) {
			tokens->words[tokens->count] = sql;
			tokens->lens[tokens->count++] = len;
		}
		sql += len;
		sql += strspn(sql, " ");
	}
}

static void insert(struct tokens *tokens, size_t at, const char *word,
		   size_t len)
{
	memmove(tokens->words + at + 1, tokens->words + at,
		(tokens->count - at) * sizeof(tokens->words[0]));
	memmove(tokens->lens + at + 1, tokens->lens + at,
		(tokens->count - at) * sizeof(tokens->lens[0]));
	tokens->words[at] = word;
	tokens->lens[at] = len;
	tokens->count++;
}

static void take_out(struct tokens *tokens, size_t at)
{
	tokens->count--;
	memmove(tokens->words + at, tokens->words + at + 1,
		(tokens->count - at) * sizeof(tokens->words[0]));
	memmove(tokens->lens + at, tokens->lens + at + 1,
		(tokens->count - at) * sizeof(tokens->lens[0]));
}

/* Words at which the walk could stumble. */
static const char *const stones[] = {
	"u",
	"fw(1)",
	"(SELECT fw(1))",
	"(SELECT x FROM u)",
	", u",
	"FROM u",
	"FROM",
	"AS",
	"distinct",
	"is",
	"not",
	"for",
	"FOR UPDATE",
	"update",
	"into",
	"INTO x",
	"WITH",
	"with y as (select 1)",
	"table",
	"TABLE u",
	"UNION",
	"UNION TABLE u",
	"over",
	"filter",
	"by",
	"sets",
	"cube",
	"(fw(1))",
	"JOIN u ON true",
	"left",
	"right",
	"join",
	"on",
	"using",
	"values",
	"lateral",
	"only",
	"rows",
	"operator",
	"OPERATOR(pg_catalog.+)",
	"a.b",
	"x",
	"(a, b)",
	"::",
	"::int",
	"'x'",
	"1",
	"$1",
	"*",
	",",
	"(",
	")",
	"[1]",
	".",
	"delete",
	"recursive",
	"materialized",
	"time zone",
	"extract(year from u.x)",
	"as from",
	"as u",
	"t AS fw",
	"group by",
	"order by",
	"window w as",
	"limit",
	"offset",
	"fetch first 1 rows only",
	"tablesample system(1)",
	"escape",
	"between",
	"collate",
	"array",
	"row",
	"interval",
};

static void mutate(const struct oracle *oracle, struct tokens *tokens,
		   struct tokens *other, uint64_t *seed)
{
	size_t at = draw(seed, tokens->count + 1);
	size_t pick;

	switch (draw(seed, 5)) {
	case 0:
		if (at < tokens->count)
			take_out(tokens, at);
		break;
	case 1:
		pick = draw(seed, SQLCASE_COUNT(stones));
		insert(tokens, at, stones[pick], strlen(stones[pick]));
		break;
	case 2:
		pick = draw(seed, SQLCASE_COUNT(stones));
		if (at < tokens->count) {
			tokens->words[at] = stones[pick];
			tokens->lens[at] = strlen(stones[pick]);
		}
		break;
	case 3:
		if (at + 1 < tokens->count)
			insert(tokens, draw(seed, tokens->count),
			       tokens->words[at], tokens->lens[at]);
		break;
	default:
		cut(other, oracle->rows[draw(seed, oracle->row_count)]);
		pick = other->count ? draw(seed, other->count) : 0;
		for (size_t i = pick; i < other->count && i < pick + 6; i++)
			insert(tokens, at++, other->words[i], other->lens[i]);
	}
}

static void test_mutants(void **state)
{
	static struct tokens tokens;
	static struct tokens other;
	static char text[64 * 1024];
	struct oracle *oracle = *state;
	uint64_t seed = 20240229;

	oracle->parsed = oracle->reads = 0;
	for (unsigned i = 0; i < MUTANTS; i++) {
		size_t len = 0;

		cut(&tokens, oracle->rows[i % oracle->row_count]);
		for (uint32_t n = 1 + draw(&seed, 3); n > 0; n--)
			mutate(oracle, &tokens, &other, &seed);
		for (size_t t = 0; t < tokens.count; t++) {
			memcpy(text + len, tokens.words[t], tokens.lens[t]);
			len += tokens.lens[t];
			text[len++] = ' ';
		}
		text[len] = '\0';
		check_text(oracle, text);
	}
	/* The mutants must be worth the name. */
	assert_true(oracle->parsed > MUTANTS / 10);
	assert_true(oracle->reads > MUTANTS / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_mutants),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
