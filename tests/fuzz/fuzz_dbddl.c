/*
 * Any text: names come out whole, and what is something was called global.
 */
#include "core/dbddl.h"
#include "core/sqlclass.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dbddl_names *names)
{
	if (names->count > DBDDL_NAMES_MAX)
		abort();
	for (unsigned i = 0; i < names->count; i++)
		if (strnlen(names->names[i], SQLLEX_NAME_MAX + 1) >
		    SQLLEX_NAME_MAX)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sqlclass_context context = { NULL, true, true };
	struct dbddl ddl = { 0 };

	dbddl_read(&ddl, (const char *)data, size, &context);
	check(&ddl.empty);
	check(&ddl.databases);
	check(&ddl.roles);
	check(&ddl.gone);
	if (ddl.empty.is_all)
		abort();
	return 0;
}
