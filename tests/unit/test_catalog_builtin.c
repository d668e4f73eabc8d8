#include "core/catalog_builtin.h"

#include "core/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static enum catalog_function find(const struct catalog *catalog,
				  const char *schema, const char *name)
{
	return catalog_find_function(catalog, schema, strlen(schema), name,
				     strlen(name), NULL);
}

static uint32_t effects_of(const char *name)
{
	uint32_t effects = UINT32_MAX;

	catalog_find_function(NULL, NULL, 0, name, strlen(name), &effects);
	return effects;
}

static enum catalog_relation find_relation(const struct catalog *catalog,
					   const char *schema, const char *name)
{
	return catalog_find_relation(catalog, schema, strlen(schema), name,
				     strlen(name));
}

static void test_builtin_functions(void **state)
{
	static const char *const safe[] = {
		"abs",
		"xpath_exists",
		"_pg_expandarray",
		"now",
		"random",
		"clock_timestamp",
		"gen_random_uuid",
		"pg_sleep",
		"md5",
		"starts_with",
		"count",
		"uuidv7",
		"array_cat",
		"generate_series",
		"to_regclass",
		"pg_get_viewdef",
	};
	static const char *const primary[] = {
		"nextval",
		"currval",
		"set_config",
		"txid_current",
		"pg_is_in_recovery",
		"lo_create",
		"current_setting",
		"pg_stat_get_numscans",
		"pg_stat_get_anything",
		"ts_stat",
		"inet_server_addr",
		"pg_read_file",
		"pg_sequence_last_value",
		"pg_database_size",
		"pg_relation_size",
	};
	static const char *const never[] = {
		"pg_advisory_lock",
		"pg_try_advisory_xact_lock",
		"pg_promote",
		"pg_reload_conf",
		"pg_terminate_backend",
		"lo_export",
		"pg_drop_replication_slot",
		"pg_wal_replay_pause",
	};
	static const char *const missing[] = {
		"",           "ab",     "absx",
		"zzz",        "int4eq", "Abs",
		"pg_stat_ge", "\xff",   "pg_file_nothing",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
		assert_int_equal(find(NULL, "", safe[i]), FUNCTION_SAFE);
	for (size_t i = 0; i < sizeof(primary) / sizeof(primary[0]); i++)
		assert_int_equal(find(NULL, "", primary[i]), FUNCTION_PRIMARY);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(find(NULL, "pg_catalog", never[i]),
				 FUNCTION_NEVER_REPLICA);
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		assert_int_equal(find(NULL, "", missing[i]), FUNCTION_MISSING);
	assert_int_equal(find(NULL, "public", "abs"), FUNCTION_MISSING);
}

static void test_builtin_effects(void **state)
{
	(void)state;
	assert_int_equal(effects_of("nextval"), EFFECT_SEQUENCE);
	assert_int_equal(effects_of("setval"), EFFECT_SEQUENCE);
	assert_int_equal(effects_of("lastval"), EFFECT_SEQUENCE_READ);
	assert_int_equal(effects_of("set_config"), EFFECT_SET);
	assert_int_equal(effects_of("pg_advisory_lock"), EFFECT_ADVISORY);
	assert_int_equal(effects_of("pg_try_advisory_lock_shared"),
			 EFFECT_ADVISORY);
	assert_int_equal(effects_of("pg_advisory_xact_lock"), 0);
	assert_int_equal(effects_of("pg_advisory_unlock_all"),
			 EFFECT_UNLOCK | EFFECT_UNLOCK_ALL);
	assert_int_equal(effects_of("query_to_xml"), EFFECT_HIDDEN);
	assert_int_equal(effects_of("has_table_privilege"),
			 EFFECT_CATALOG_READ);
	assert_int_equal(effects_of("abs"), 0);
	assert_int_equal(effects_of("no_such"), 0);
}

static void test_builtin_relations(void **state)
{
	(void)state;
	assert_int_equal(find_relation(NULL, "", "pg_class"), RELATION_SYSTEM);
	assert_int_equal(find_relation(NULL, "pg_catalog", "pg_views"),
			 RELATION_SYSTEM);
	assert_int_equal(find_relation(NULL, "", "pg_stats"), RELATION_SYSTEM);
	assert_int_equal(find_relation(NULL, "", "pg_stat_activity"),
			 RELATION_NODE_LOCAL);
	assert_int_equal(find_relation(NULL, "", "pg_statio_all_tables"),
			 RELATION_NODE_LOCAL);
	assert_int_equal(find_relation(NULL, "", "pg_settings"),
			 RELATION_NODE_LOCAL);
	assert_int_equal(find_relation(NULL, "", "pg_sequences"),
			 RELATION_PRIMARY);
	assert_int_equal(find_relation(NULL, "information_schema", "tables"),
			 RELATION_SYSTEM);
	assert_int_equal(find_relation(NULL, "information_schema", "nothing"),
			 RELATION_MISSING);
	assert_int_equal(find_relation(NULL, "", "tables"), RELATION_MISSING);
	assert_int_equal(find_relation(NULL, "public", "pg_class"),
			 RELATION_MISSING);
	assert_int_equal(find_relation(NULL, "", "pg_nothing"),
			 RELATION_MISSING);
}

static void test_builtin_types_and_operators(void **state)
{
	(void)state;
	assert_true(catalog_builtin_has_type("integer", 7));
	assert_true(catalog_builtin_has_type("jsonb", 5));
	assert_false(catalog_builtin_has_type("json_", 5));
	assert_false(catalog_builtin_has_type("", 0));
	assert_true(catalog_builtin_has_operator("@>", 2));
	assert_true(catalog_builtin_has_operator("!=", 2));
	assert_false(catalog_builtin_has_operator("<&&>", 4));
	assert_true(catalog_builtin_has_operator("~~*", 2));
	assert_false(catalog_builtin_has_operator("~~~", 3));
}

/* The next quoted word of a line at *at, NULL when there is none. */
static const char *next_word(const char **at, size_t *len)
{
	const char *word = strchr(*at, '"');
	const char *end = word ? strchr(word + 1, '"') : NULL;

	if (!end)
		return NULL;
	*at = end + 1;
	*len = (size_t)(end - word - 1);
	return word + 1;
}

/* Binary searches: each list must be sorted, which only its source shows. */
static void test_lists_are_sorted(void **state)
{
	const char *folder = getenv("PGWEIR_SRCDIR");
	char before[64] = "";
	unsigned lists = 0;
	unsigned words = 0;
	char line[256];
	FILE *file;

	(void)state;
	(void)snprintf(line, sizeof(line), "%s/src/core/catalog_builtin.c",
		       folder ? folder : ".");
	file = fopen(line, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) &&
	       !strstr(line, "clang-format on")) {
		const char *at = line;
		const char *word;
		size_t len;

		if (strstr(line, "[] = {")) {
			before[0] = '\0';
			lists++;
			continue;
		}
		while (lists > 0 && (word = next_word(&at, &len)) != NULL) {
			char name[64];

			assert_true(len > 0 && len < sizeof(name));
			memcpy(name, word, len);
			name[len] = '\0';
			if (strcmp(before, name) >= 0)
				fail_msg("%s stands before %s", before, name);
			memcpy(before, name, sizeof(before));
			words++;
		}
	}
	(void)fclose(file);
	assert_int_equal(lists, 19);
	assert_true(words > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin_functions),
		cmocka_unit_test(test_builtin_effects),
		cmocka_unit_test(test_builtin_relations),
		cmocka_unit_test(test_builtin_types_and_operators),
		cmocka_unit_test(test_lists_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
