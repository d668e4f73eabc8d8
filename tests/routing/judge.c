/*
 * Judges texts as pgweir does, for tests/routing/differential.  Read from
 * standard input, each with its length in front:
 *
 *     C 0            the catalog is loaded anew; answers "loaded"
 *     J 12 <text>    pgweir's verdict: access, reason, certainty, whether
 *                    the class of unit may leave the primary, whether it
 *                    may change the catalog
 *     P 12 <text>    libpg_query's parse tree as JSON, or "-"
 *
 * Every answer is one line.
 */
#include "control/catalog_rows.h"
#include "core/catalog.h"
#include "core/route.h"
#include "core/sqlclass.h"

#include <libpq-fe.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const accesses[] = { "none", "read", "write", "unknown" };

static void load_part(PGconn *connection, struct catalog_rows *rows,
		      enum catalog_rows_part part)
{
	PGresult *result;

	if (!PQsendQuery(connection, catalog_rows_query(part))) {
		(void)fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	while ((result = PQgetResult(connection))) {
		if (!catalog_rows_add(rows, result)) {
			(void)fprintf(stderr, "%s",
				      PQresultErrorMessage(result));
			exit(1);
		}
		PQclear(result);
	}
}

static struct catalog *load(PGconn *connection)
{
	struct catalog_rows *rows = catalog_rows_new();

	load_part(connection, rows, CATALOG_ROWS_COMMON);
	load_part(connection, rows, CATALOG_ROWS_OWN);
	return catalog_rows_finish(rows);
}

/* Whether a session without any state would send it to a replica. */
static bool may_leave(const struct sqlclass *judged)
{
	const struct route_input input = {
		.judged = *judged,
		.is_split = true,
		.has_replica = true,
		.freshness = ROUTE_FRESH,
	};

	return route_decide(&input).target == ROUTE_REPLICA;
}

static void judge(const char *text, size_t len, const struct catalog *catalog)
{
	const struct sqlclass_context context = { catalog, true, true };
	struct sqlclass judged = sqlclass_judge(text, len, &context);

	(void)printf("%s %s %d %d %d\n", accesses[judged.access],
		     sqlclass_reason_name((enum sqlclass_reason)judged.reason),
		     judged.is_certain, may_leave(&judged),
		     (judged.effects & (EFFECT_DDL | EFFECT_HIDDEN)) != 0);
}

static void parse(const char *text)
{
	PgQueryParseResult result = pg_query_parse(text);

	(void)printf("%s\n", result.error ? "-" : result.parse_tree);
	pg_query_free_parse_result(result);
}

static char *read_text(size_t len)
{
	char *text = malloc(len + 1);

	if (!text || fread(text, 1, len, stdin) != len)
		exit(1);
	text[len] = '\0';
	return text;
}

int main(int count, char **arguments)
{
	struct catalog *catalog = NULL;
	PGconn *connection;
	size_t len;
	char what;

	if (count != 2) {
		(void)fprintf(stderr, "usage: judge CONNINFO\n");
		return 2;
	}
	connection = PQconnectdb(arguments[1]);
	if (PQstatus(connection) != CONNECTION_OK) {
		(void)fprintf(stderr, "%s", PQerrorMessage(connection));
		return 1;
	}
	while (scanf("%c %zu", &what, &len) == 2 && getchar() == '\n') {
		char *text = read_text(len);

		if (what == 'C') {
			catalog_release(catalog);
			catalog = load(connection);
			(void)printf("loaded\n");
		} else if (what == 'J') {
			judge(text, len, catalog);
		} else {
			parse(text);
		}
		(void)fflush(stdout);
		free(text);
	}
	catalog_release(catalog);
	PQfinish(connection);
	return 0;
}
