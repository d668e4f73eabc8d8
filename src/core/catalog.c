/*
 * The snapshot of one database: sorted tables, filled once by a builder and
 * never changed after catalog_finish(), so that any thread may read without a
 * lock.  The only thing that moves is the reference count.
 *
 * A name may belong to several schemas; without a schema the worst of its
 * owners counts, the built-in ones included, since the search path of the
 * session is not known here.  What was not added is MISSING: the caller has
 * to take that for "maybe harmful".
 */
#include "core/catalog.h"

#include "base/util.h"
#include "core/catalog_builtin.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_FUNCTIONS, TABLE_RELATIONS, TABLE_HIDDEN, TABLES };
enum { FIRST_ROOM = 64 };

/* Hidden names share a table: what they are stands for their schema. */
static const char HIDDEN_SCHEMAS[][2] = {
	[HIDDEN_OPERATOR] = "o",     [HIDDEN_TYPE] = "t",
	[HIDDEN_ATTRIBUTE] = "a",    [HIDDEN_TIME] = "n",
	[HIDDEN_LEAVING] = "b",      [HIDDEN_SNAPSHOTS] = "s",
	[HIDDEN_ASYNCHRONOUS] = "y", [HIDDEN_LATE] = "l",
};

/* A name of one schema; both are NUL-terminated and owned. */
struct entry {
	char *schema;
	char *name;
	size_t name_len;
	uint32_t effects;
	uint8_t kind; /* enum catalog_function or catalog_relation */
};

struct table {
	struct entry *entries; /* sorted by name once finished */
	size_t count;
	size_t room;
};

/* The tables still unsorted, with doubles. */
struct catalog_builder {
	struct table tables[TABLES];
	bool is_uncertain;
	bool is_treacherous;
	bool hides_writes;
	bool reads_back;
};

/*
 * id tells catalogs apart for the caches of verdicts: a new one is a new
 * number, also when it says the same.
 */
struct catalog {
	struct table tables[TABLES];
	bool is_uncertain;
	bool is_treacherous;
	bool hides_writes;
	bool reads_back;
	uint64_t id;
	uint64_t as_of_us;
	uint64_t digest;
	atomic_uint references;
};

/* A name as it is looked for. */
struct sought {
	const char *schema;
	size_t schema_len;
	const char *name;
	size_t name_len;
};

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->entries[i].schema);
		free(table->entries[i].name);
	}
	free(table->entries);
}

static void table_add(struct table *table, const char *schema, const char *name,
		      uint8_t kind, uint32_t effects)
{
	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : FIRST_ROOM;
		table->entries = xrealloc(
			table->entries, table->room * sizeof(*table->entries));
	}
	table->entries[table->count++] = (struct entry){
		.schema = xstrdup(schema),
		.name = xstrdup(name),
		.name_len = strlen(name),
		.kind = kind,
		.effects = effects,
	};
}

/* Byte order, as memcmp; a prefix comes first. */
static int compare_names(const char *one, size_t one_len, const char *other,
			 size_t other_len)
{
	size_t len = one_len < other_len ? one_len : other_len;
	int order = len ? memcmp(one, other, len) : 0;

	if (order != 0 || one_len == other_len)
		return order;
	return one_len < other_len ? -1 : 1;
}

static int compare_entries(const void *one, const void *other)
{
	const struct entry *a = one;
	const struct entry *b = other;

	return compare_names(a->name, a->name_len, b->name, b->name_len);
}

/* Position of the first entry whose name is not less. */
static size_t table_lower_bound(const struct table *table, const char *name,
				size_t len)
{
	size_t low = 0;
	size_t high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *entry = &table->entries[middle];

		if (compare_names(entry->name, entry->name_len, name, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A name without a schema may be that of any. */
static bool entry_matches(const struct entry *entry,
			  const struct sought *sought)
{
	return sought->schema_len == 0 ||
	       (strlen(entry->schema) == sought->schema_len &&
		memcmp(entry->schema, sought->schema, sought->schema_len) == 0);
}

/* The worst entry of the name, its effects those of all; NULL: none. */
static const struct entry *table_find(const struct table *table,
				      const struct sought *sought,
				      uint32_t *effects)
{
	const struct entry *worst = NULL;
	size_t at = table_lower_bound(table, sought->name, sought->name_len);

	for (; at < table->count; at++) {
		const struct entry *entry = &table->entries[at];

		if (compare_names(entry->name, entry->name_len, sought->name,
				  sought->name_len) != 0)
			break;
		if (!entry_matches(entry, sought))
			continue;
		*effects |= entry->effects;
		if (!worst || entry->kind > worst->kind)
			worst = entry;
	}
	return worst;
}

/* Names are compared as they are stored: folded by the caller. */
static bool is_schema(const struct sought *sought, const char *schema)
{
	return sought->schema_len == strlen(schema) &&
	       memcmp(sought->schema, schema, sought->schema_len) == 0;
}

/* Only these schemas hold what every server brings along. */
static bool may_be_builtin(const struct sought *sought)
{
	return sought->schema_len == 0 || is_schema(sought, "pg_catalog") ||
	       is_schema(sought, "information_schema");
}

struct catalog_builder *catalog_builder_new(void)
{
	return xcalloc(1, sizeof(struct catalog_builder));
}

void catalog_builder_free(struct catalog_builder *builder)
{
	if (!builder)
		return;
	for (size_t i = 0; i < TABLES; i++)
		table_free(&builder->tables[i]);
	free(builder);
}

void catalog_add_function(struct catalog_builder *builder, const char *schema,
			  const char *name, enum catalog_function kind,
			  uint32_t effects)
{
	table_add(&builder->tables[TABLE_FUNCTIONS], schema, name,
		  (uint8_t)kind, effects);
}

void catalog_add_relation(struct catalog_builder *builder, const char *schema,
			  const char *name, enum catalog_relation kind)
{
	table_add(&builder->tables[TABLE_RELATIONS], schema, name,
		  (uint8_t)kind, 0);
}

void catalog_add_hidden(struct catalog_builder *builder,
			enum catalog_hidden what, const char *name)
{
	table_add(&builder->tables[TABLE_HIDDEN], HIDDEN_SCHEMAS[what], name, 0,
		  0);
}

void catalog_set_uncertain(struct catalog_builder *builder)
{
	builder->is_uncertain = true;
}

void catalog_set_treacherous(struct catalog_builder *builder)
{
	builder->is_treacherous = true;
}

void catalog_set_hidden_writes(struct catalog_builder *builder)
{
	builder->hides_writes = true;
}

void catalog_set_reading_back(struct catalog_builder *builder)
{
	builder->reads_back = true;
}

/* A sum: doubles may stand in any order. */
static uint64_t table_digest(const struct table *table, uint64_t seed)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct entry *entry = &table->entries[i];
		uint64_t parts[] = {
			seed,
			util_hash(entry->schema, strlen(entry->schema)),
			util_hash(entry->name, entry->name_len),
			entry->effects,
			entry->kind,
		};

		sum += util_hash(parts, sizeof(parts));
	}
	return sum;
}

/*
 * Takes the builder.  qsort is not stable, which does not matter: of doubles
 * the worst counts, wherever it stands.
 */
struct catalog *catalog_finish(struct catalog_builder *builder)
{
	static atomic_uint_fast64_t last_id;
	struct catalog *catalog = xcalloc(1, sizeof(*catalog));

	for (size_t i = 0; i < TABLES; i++) {
		struct table *table = &builder->tables[i];

		if (table->count > 0)
			qsort(table->entries, table->count,
			      sizeof(*table->entries), compare_entries);
		catalog->tables[i] = *table;
		catalog->digest += table_digest(table, i);
	}
	catalog->is_uncertain = builder->is_uncertain;
	catalog->is_treacherous = builder->is_treacherous;
	catalog->hides_writes = builder->hides_writes;
	catalog->reads_back = builder->reads_back;
	/* Never 0, which stands for no catalog. */
	catalog->id = atomic_fetch_add(&last_id, 1) + 1;
	atomic_init(&catalog->references, 1);
	free(builder);
	return catalog;
}

/* The count is the one part of a snapshot that is not constant. */
static atomic_uint *references_of(const struct catalog *catalog)
{
	return (atomic_uint *)&catalog->references;
}

struct catalog *catalog_hold(const struct catalog *catalog)
{
	if (catalog) {
		unsigned before = atomic_fetch_add(references_of(catalog), 1);

		assert(before > 0);
	}
	return (struct catalog *)catalog;
}

void catalog_release(const struct catalog *catalog)
{
	unsigned before;

	if (!catalog)
		return;
	before = atomic_fetch_sub(references_of(catalog), 1);
	assert(before > 0);
	if (before > 1)
		return;
	for (size_t i = 0; i < TABLES; i++) {
		struct table table = catalog->tables[i];

		table_free(&table);
	}
	free((struct catalog *)catalog);
}

void catalog_set_as_of(struct catalog *catalog, uint64_t as_of_us)
{
	catalog->as_of_us = as_of_us;
}

uint64_t catalog_as_of_us(const struct catalog *catalog)
{
	return catalog ? catalog->as_of_us : 0;
}

uint64_t catalog_id(const struct catalog *catalog)
{
	return catalog ? catalog->id : 0;
}

uint64_t catalog_digest(const struct catalog *catalog)
{
	return catalog->digest;
}

enum catalog_function catalog_find_function(const struct catalog *catalog,
					    const char *schema,
					    size_t schema_len, const char *name,
					    size_t name_len, uint32_t *effects)
{
	struct sought sought = { schema, schema_len, name, name_len };
	enum catalog_function kind = FUNCTION_MISSING;
	const struct entry *entry = NULL;
	uint32_t found = 0;

	if (may_be_builtin(&sought))
		kind = catalog_builtin_function(name, name_len, &found);
	if (catalog)
		entry = table_find(&catalog->tables[TABLE_FUNCTIONS], &sought,
				   &found);
	/* MISSING ranks above SAFE, but what is found is not missing. */
	if (entry && (kind == FUNCTION_MISSING || entry->kind > kind))
		kind = (enum catalog_function)entry->kind;
	if (effects)
		*effects = found;
	return kind;
}

/*
 * information_schema is never in a search path by itself, so that a table of
 * the user's called "tables" is not taken for its view.
 */
static enum catalog_relation find_system(const struct sought *sought)
{
	if (is_schema(sought, "information_schema"))
		return catalog_builtin_has_information(sought->name,
						       sought->name_len)
			       ? RELATION_SYSTEM
			       : RELATION_MISSING;
	if (sought->schema_len == 0 || is_schema(sought, "pg_catalog"))
		return catalog_builtin_relation(sought->name, sought->name_len);
	return RELATION_MISSING;
}

enum catalog_relation catalog_find_relation(const struct catalog *catalog,
					    const char *schema,
					    size_t schema_len, const char *name,
					    size_t name_len)
{
	struct sought sought = { schema, schema_len, name, name_len };
	enum catalog_relation kind = find_system(&sought);
	const struct entry *entry = NULL;
	uint32_t effects = 0;

	if (catalog)
		entry = table_find(&catalog->tables[TABLE_RELATIONS], &sought,
				   &effects);
	if (entry && (kind == RELATION_MISSING || entry->kind > kind))
		kind = (enum catalog_relation)entry->kind;
	return kind;
}

bool catalog_is_hidden(const struct catalog *catalog, enum catalog_hidden what,
		       const char *name, size_t name_len)
{
	struct sought sought = { HIDDEN_SCHEMAS[what], 1, name, name_len };
	uint32_t effects = 0;

	return catalog && catalog->tables[TABLE_HIDDEN].count > 0 &&
	       table_find(&catalog->tables[TABLE_HIDDEN], &sought, &effects);
}

bool catalog_is_role(const struct catalog *catalog, enum catalog_hidden what,
		     const char *role)
{
	return catalog_is_hidden(catalog, what, "", 0) ||
	       catalog_is_hidden(catalog, what, role, strlen(role));
}

bool catalog_is_treacherous(const struct catalog *catalog)
{
	return catalog && catalog->is_treacherous;
}

bool catalog_hides_writes(const struct catalog *catalog)
{
	return catalog && catalog->hides_writes;
}

bool catalog_reads_back(const struct catalog *catalog)
{
	return catalog && catalog->reads_back;
}

bool catalog_is_certain(const struct catalog *catalog)
{
	return catalog && !catalog->is_uncertain;
}

/*
 * Not when the database has a function of the same name: which of the two a
 * call means depends on its arguments.
 */
bool catalog_is_builtin(const struct catalog *catalog, const char *schema,
			size_t schema_len, const char *name, size_t name_len)
{
	struct sought sought = { schema, schema_len, name, name_len };
	uint32_t effects = 0;

	if (catalog &&
	    table_find(&catalog->tables[TABLE_FUNCTIONS], &sought, &effects))
		return false;
	return may_be_builtin(&sought) &&
	       catalog_builtin_function(name, name_len, &effects) !=
		       FUNCTION_MISSING;
}

size_t catalog_functions(const struct catalog *catalog)
{
	return catalog->tables[TABLE_FUNCTIONS].count;
}

size_t catalog_relations(const struct catalog *catalog)
{
	return catalog->tables[TABLE_RELATIONS].count;
}
