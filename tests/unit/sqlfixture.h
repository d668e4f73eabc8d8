#ifndef PGWEIR_TESTS_SQLFIXTURE_H
#define PGWEIR_TESTS_SQLFIXTURE_H

/*
 * The database that the tests of the SQL rooms speak of, as a load of its
 * catalog would have it: a table t, its like s, an unlogged one u, a sequence
 * sq, a view vw_w over a function fw that writes, and so on.
 */
#include "core/catalog.h"

static inline void fixture_add_functions(struct catalog_builder *builder)
{
	static const char *const writers[] = { "fw",  "fw_swallow", "fw_branch",
					       "ff",  "bad_sum",    "att",
					       "opf", "chk" };
	static const char *const strangers[] = { "dblink", "dblink_exec",
						 "http_post" };

	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		catalog_add_function(builder, "public", writers[i],
				     FUNCTION_PRIMARY, EFFECT_HIDDEN);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		catalog_add_function(builder, "public", strangers[i],
				     FUNCTION_NEVER_REPLICA, EFFECT_HIDDEN);
	catalog_add_function(builder, "public", "st", FUNCTION_SAFE, 0);
	catalog_add_hidden(builder, HIDDEN_OPERATOR, "<&&>");
	catalog_add_hidden(builder, HIDDEN_TYPE, "mydomain");
	catalog_add_hidden(builder, HIDDEN_ATTRIBUTE, "att");
}

static inline struct catalog *fixture_new(void)
{
	static const char *const plain[] = { "t", "s", "v_plain", "mv",
					     "rows" };
	static const char *const unsafe[] = { "u",        "sq", "vw_w",
					      "v_nested", "ft", "rls" };
	struct catalog_builder *builder = catalog_builder_new();

	fixture_add_functions(builder);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		catalog_add_relation(builder, "public", plain[i],
				     RELATION_PLAIN);
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		catalog_add_relation(builder, "public", unsafe[i],
				     RELATION_PRIMARY);
	catalog_add_relation(builder, "Other", "Mixed", RELATION_PLAIN);
	return catalog_finish(builder);
}

#endif
