/*
 * Any bytes through the judge, and through the cache of shapes, which lives on
 * from input to input: the class that it remembers from another text of the
 * same shape must be the one that this text gets by itself.
 */
#include "core/shapes.h"

#include "core/catalog.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sqlclass_context context = {
	.plain_backslash = true,
	.is_safe_encoding = true,
};
static struct shapes *shapes;

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static void set_up(void)
{
	struct catalog_builder *builder = catalog_builder_new();

	catalog_add_function(builder, "public", "fw", FUNCTION_PRIMARY,
			     EFFECT_HIDDEN);
	catalog_add_function(builder, "public", "st", FUNCTION_SAFE, 0);
	catalog_add_relation(builder, "public", "t", RELATION_PLAIN);
	catalog_add_relation(builder, "public", "u", RELATION_PRIMARY);
	catalog_add_hidden(builder, HIDDEN_TYPE, "dom");
	context.catalog = catalog_finish(builder);
	shapes = shapes_new(50000);
}

static void check_same(const struct sqlclass *one, const struct sqlclass *other)
{
	check(one->access == other->access);
	check(one->reason == other->reason);
	check(one->command == other->command);
	check(one->is_certain == other->is_certain);
	check(one->statements == other->statements);
	check(one->effects == other->effects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *sql = malloc(size ? size : 1);
	struct sqlclass judged;
	struct sqlclass cached;

	if (!shapes)
		set_up();
	if (size > 0)
		memcpy(sql, data, size);
	judged = sqlclass_judge(sql, size, &context);
	cached = shapes_classify(shapes, sql, size, &context);
	check_same(&judged, &cached);
	check(sqlclass_reason_name((enum sqlclass_reason)judged.reason) !=
	      NULL);
	check(!judged.is_certain || judged.access <= ACCESS_READ);
	/* A cut text is never better known than a write or unknown. */
	cached = sqlclass_judge_prefix(sql, size);
	check(cached.access == ACCESS_WRITE || cached.access == ACCESS_UNKNOWN);
	free(sql);
	return 0;
}
