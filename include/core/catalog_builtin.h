#ifndef PGWEIR_CORE_CATALOG_BUILTIN_H
#define PGWEIR_CORE_CATALOG_BUILTIN_H

/*
 * What every PostgreSQL brings along: the functions, relations, types and
 * operators of pg_catalog and information_schema, judged by hand.  Const
 * tables; any thread.  Names are as stored (lower case), without a NUL.
 */
#include "core/sqlfacts.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * FUNCTION_MISSING for names that are not built in, and for those that only
 * implement operators, types and indexes.  effects must not be NULL.
 */
enum catalog_function catalog_builtin_function(const char *name, size_t len,
					       uint32_t *effects);

/* Of pg_catalog; RELATION_MISSING when there is none of that name. */
enum catalog_relation catalog_builtin_relation(const char *name, size_t len);

/* Of information_schema. */
bool catalog_builtin_has_information(const char *name, size_t len);

/* Types of pg_catalog under all their names, each word of "double precision".
 */
bool catalog_builtin_has_type(const char *name, size_t len);

bool catalog_builtin_has_operator(const char *name, size_t len);

#endif
