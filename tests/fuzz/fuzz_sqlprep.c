/*
 * Any bytes through the walk over a text's uses of prepared statements: what
 * it points at stands in the text, names are names, it comes to an end and
 * says the same again; and what it finds was told by the class before.
 */
#include "core/sqlclass.h"
#include "core/sqlprep.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static bool is_inside(const char *part, size_t len, const char *sql,
		      size_t size)
{
	return part >= sql && len <= size && (size_t)(part - sql) <= size - len;
}

static void check_use(const struct sqlprep_use *use, const char *sql,
		      size_t size)
{
	size_t len = strlen(use->name);

	check(len <= SQLLEX_NAME_MAX);
	check((len == 0) == (use->kind == SQLPREP_LIST));
	if (use->kind != SQLPREP_PREPARE)
		return;
	check(is_inside(use->text, use->len, sql, size));
	check(is_inside(use->query, use->query_len, use->text, use->len));
}

struct found {
	size_t count;
	bool has_named;
	bool is_lost;
};

static struct found walk(const char *sql, size_t size,
			 const struct sqlclass_context *context)
{
	struct found found = { 0 };
	struct sqlprep prep;
	struct sqlprep_use use;

	sqlprep_init(&prep, sql, size, context);
	while (sqlprep_next(&prep, &use)) {
		check_use(&use, sql, size);
		check(++found.count <= size);
		found.has_named |= use.kind != SQLPREP_LIST;
	}
	check(!sqlprep_next(&prep, &use));
	found.is_lost = sqlprep_is_lost(&prep);
	return found;
}

static void try_context(const char *sql, size_t size,
			const struct sqlclass_context *context)
{
	const uint32_t using =
		EFFECT_PREPARE | EFFECT_EXECUTE | EFFECT_DEALLOCATE;
	struct sqlclass class = sqlclass_judge(sql, size, context);
	struct found one = walk(sql, size, context);
	struct found again = walk(sql, size, context);

	check(one.count == again.count);
	check(one.is_lost == again.is_lost);
	/* Who does not ask because of the class would miss it. */
	check(!one.has_named || class.access == ACCESS_UNKNOWN ||
	      (class.effects & using));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sqlclass_context context = { .is_safe_encoding = true };
	char *sql = malloc(size ? size : 1);

	if (size > 0)
		memcpy(sql, data, size);
	try_context(sql, size, &context);
	context.plain_backslash = true;
	try_context(sql, size, &context);
	context.is_safe_encoding = false;
	try_context(sql, size, &context);
	free(sql);
	return 0;
}
