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

static enum catalog_relation find_relation(const struct catalog *catalog,
					   const char *schema, const char *name)
{
	return catalog_find_relation(catalog, schema, strlen(schema), name,
				     strlen(name));
}

static struct catalog *make(void)
{
	struct catalog_builder *builder = catalog_builder_new();

	catalog_add_function(builder, "public", "writer", FUNCTION_PRIMARY,
			     EFFECT_HIDDEN);
	catalog_add_function(builder, "app", "both", FUNCTION_SAFE, 0);
	catalog_add_function(builder, "public", "both", FUNCTION_PRIMARY,
			     EFFECT_HIDDEN);
	catalog_add_function(builder, "zoo", "both", FUNCTION_SAFE, 0);
	catalog_add_function(builder, "app", "lower", FUNCTION_NEVER_REPLICA,
			     EFFECT_HIDDEN);
	catalog_add_function(builder, "app", "upper", FUNCTION_SAFE, 0);
	catalog_add_relation(builder, "public", "t", RELATION_PLAIN);
	catalog_add_relation(builder, "app", "t", RELATION_PRIMARY);
	catalog_add_relation(builder, "app", "pg_class", RELATION_PRIMARY);
	catalog_add_relation(builder, "app", "pg_locks", RELATION_PLAIN);
	catalog_add_hidden(builder, HIDDEN_OPERATOR, "<->");
	catalog_add_hidden(builder, HIDDEN_TYPE, "dom");
	catalog_add_hidden(builder, HIDDEN_ATTRIBUTE, "att");
	return catalog_finish(builder);
}

static void test_snapshot_functions(void **state)
{
	struct catalog *catalog = make();
	uint32_t effects = 0;

	(void)state;
	assert_int_equal(find(catalog, "", "writer"), FUNCTION_PRIMARY);
	assert_int_equal(find(catalog, "app", "writer"), FUNCTION_MISSING);
	assert_int_equal(find(catalog, "", "both"), FUNCTION_PRIMARY);
	assert_int_equal(find(catalog, "app", "both"), FUNCTION_SAFE);
	assert_int_equal(find(catalog, "zoo", "both"), FUNCTION_SAFE);
	/* The worst of built-in and user's. */
	assert_int_equal(find(catalog, "", "lower"), FUNCTION_NEVER_REPLICA);
	assert_int_equal(find(catalog, "pg_catalog", "lower"), FUNCTION_SAFE);
	assert_int_equal(find(catalog, "", "upper"), FUNCTION_SAFE);
	assert_int_equal(find(catalog, "", "nextval"), FUNCTION_PRIMARY);
	/* Effects of all that may be meant. */
	catalog_find_function(catalog, NULL, 0, "both", 4, &effects);
	assert_int_equal(effects, EFFECT_HIDDEN);
	assert_int_equal(catalog_functions(catalog), 6);
	assert_true(catalog_is_builtin(catalog, NULL, 0, "abs", 3));
	assert_false(catalog_is_builtin(catalog, NULL, 0, "lower", 5));
	assert_true(catalog_is_builtin(NULL, NULL, 0, "lower", 5));
	assert_false(catalog_is_builtin(catalog, "app", 3, "abs", 3));
	assert_false(catalog_is_builtin(catalog, NULL, 0, "nobody", 6));
	catalog_release(catalog);
}

static void test_snapshot_relations(void **state)
{
	struct catalog *catalog = make();

	(void)state;
	assert_int_equal(find_relation(catalog, "", "t"), RELATION_PRIMARY);
	assert_int_equal(find_relation(catalog, "public", "t"), RELATION_PLAIN);
	assert_int_equal(find_relation(catalog, "nowhere", "t"),
			 RELATION_MISSING);
	assert_int_equal(find_relation(catalog, "", "pg_class"),
			 RELATION_PRIMARY);
	assert_int_equal(find_relation(catalog, "pg_catalog", "pg_class"),
			 RELATION_SYSTEM);
	assert_int_equal(find_relation(catalog, "", "pg_locks"),
			 RELATION_NODE_LOCAL);
	assert_int_equal(find_relation(catalog, "", "T"), RELATION_MISSING);
	assert_int_equal(find_relation(NULL, "", "t"), RELATION_MISSING);
	assert_int_equal(catalog_relations(catalog), 4);
	catalog_release(catalog);
}

static void test_hidden_names(void **state)
{
	struct catalog *catalog = make();
	struct catalog *empty = catalog_finish(catalog_builder_new());

	(void)state;
	assert_true(catalog_is_hidden(catalog, HIDDEN_OPERATOR, "<->", 3));
	assert_true(catalog_is_hidden(catalog, HIDDEN_TYPE, "dom", 3));
	assert_true(catalog_is_hidden(catalog, HIDDEN_ATTRIBUTE, "att", 3));
	assert_false(catalog_is_hidden(catalog, HIDDEN_ATTRIBUTE, "dom", 3));
	assert_false(catalog_is_hidden(catalog, HIDDEN_TYPE, "", 0));
	assert_false(catalog_is_hidden(empty, HIDDEN_TYPE, "dom", 3));
	assert_false(catalog_is_hidden(NULL, HIDDEN_TYPE, "dom", 3));
	catalog_release(catalog);
	catalog_release(empty);
}

static void test_identity_and_certainty(void **state)
{
	struct catalog_builder *builder = catalog_builder_new();
	struct catalog *one = make();
	struct catalog *other;

	(void)state;
	catalog_set_uncertain(builder);
	other = catalog_finish(builder);
	assert_int_equal(catalog_id(NULL), 0);
	assert_int_not_equal(catalog_id(one), 0);
	assert_int_not_equal(catalog_id(one), catalog_id(other));
	assert_true(catalog_is_certain(one));
	assert_false(catalog_is_certain(other));
	assert_false(catalog_is_certain(NULL));
	catalog_release(one);
	catalog_release(other);
}

static void test_references(void **state)
{
	struct catalog *catalog = make();
	struct catalog *same = catalog_hold(catalog);

	(void)state;
	assert_ptr_equal(catalog, same);
	catalog_release(catalog);
	assert_int_equal(find(same, "", "writer"), FUNCTION_PRIMARY);
	catalog_release(same);
	assert_null(catalog_hold(NULL));
	catalog_release(NULL);
}

static void test_builder_is_dropped(void **state)
{
	struct catalog_builder *builder = catalog_builder_new();

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		catalog_add_function(builder, "s", "f", FUNCTION_SAFE, 0);
	catalog_builder_free(builder);
	catalog_builder_free(NULL);
}

static void test_many_names(void **state)
{
	struct catalog_builder *builder = catalog_builder_new();
	struct catalog *catalog;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "f%u", (i * 7919) % 5000);
		catalog_add_function(builder, "s", name,
				     i % 2 ? FUNCTION_SAFE : FUNCTION_PRIMARY,
				     0);
	}
	catalog = catalog_finish(builder);
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "f%u", (i * 7919) % 5000);
		assert_int_equal(find(catalog, "", name),
				 i % 2 ? FUNCTION_SAFE : FUNCTION_PRIMARY);
	}
	assert_int_equal(find(catalog, "", "f5000"), FUNCTION_MISSING);
	catalog_release(catalog);
}

/* A load that finds the same again must be known for it. */
static struct catalog *of_two(const char *one, const char *other, int kind)
{
	struct catalog_builder *builder = catalog_builder_new();

	catalog_add_function(builder, "s", one, FUNCTION_SAFE, 0);
	catalog_add_function(builder, "s", other, (enum catalog_function)kind,
			     0);
	return catalog_finish(builder);
}

static void test_digest_is_of_the_content(void **state)
{
	struct catalog *one = of_two("f", "g", FUNCTION_SAFE);
	struct catalog *turned = of_two("g", "f", FUNCTION_SAFE);
	struct catalog *renamed = of_two("f", "h", FUNCTION_SAFE);
	struct catalog *harmful = of_two("f", "g", FUNCTION_PRIMARY);

	(void)state;
	assert_int_equal(catalog_digest(one), catalog_digest(turned));
	assert_int_not_equal(catalog_digest(one), catalog_digest(renamed));
	assert_int_not_equal(catalog_digest(one), catalog_digest(harmful));
	catalog_release(one);
	catalog_release(turned);
	catalog_release(renamed);
	catalog_release(harmful);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot_functions),
		cmocka_unit_test(test_snapshot_relations),
		cmocka_unit_test(test_hidden_names),
		cmocka_unit_test(test_identity_and_certainty),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_builder_is_dropped),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_digest_is_of_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
