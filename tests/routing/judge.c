/*
 * Judges texts as pgweir does, for tests/routing/differential: the catalog of
 * a database is loaded over libpq, then each text from standard input, its
 * length in front ("12\nSELECT 1 + 1"), is answered by one line of access,
 * reason and certainty.
 */
#include "base/buf.h"
#include "control/catalog_rows.h"
#include "core/catalog.h"
#include "core/sqlclass.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const accesses[] = { "none", "read", "write", "unknown" };

static struct catalog *load(const char *conninfo)
{
	struct catalog_rows *rows = catalog_rows_new();
	PGconn *connection = PQconnectdb(conninfo);
	PGresult *result;

	if (PQstatus(connection) != CONNECTION_OK ||
	    !PQsendQuery(connection, catalog_rows_query())) {
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	while ((result = PQgetResult(connection))) {
		if (!catalog_rows_add(rows, result)) {
			fprintf(stderr, "%s", PQresultErrorMessage(result));
			exit(1);
		}
		PQclear(result);
	}
	PQfinish(connection);
	return catalog_rows_finish(rows);
}

/* False at the end of the input. */
static bool answer(const struct sqlclass_context *context)
{
	struct sqlclass class;
	size_t len;
	char *text;

	if (scanf("%zu", &len) != 1 || getchar() != '\n')
		return false;
	text = malloc(len + 1);
	if (!text || fread(text, 1, len, stdin) != len)
		exit(1);
	class = sqlclass_judge(text, len, context);
	printf("%s %s %d\n", accesses[class.access],
	       sqlclass_reason_name((enum sqlclass_reason) class.reason),
	       class.is_certain);
	fflush(stdout);
	free(text);
	return true;
}

int main(int count, char **arguments)
{
	struct sqlclass_context context = { NULL, true, true };

	if (count != 2) {
		fprintf(stderr, "usage: judge CONNINFO\n");
		return 2;
	}
	context.catalog = load(arguments[1]);
	if (!context.catalog)
		return 1;
	while (answer(&context))
		;
	catalog_release(context.catalog);
	return 0;
}
