#ifndef PGWEIR_CONTROL_CATALOG_ROWS_H
#define PGWEIR_CONTROL_CATALOG_ROWS_H

/*
 * What is asked of a server for its catalog snapshot, and what the answers
 * mean.  A part is one text of several statements, one round trip.
 */
#include "core/catalog.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct catalog_rows;

enum catalog_rows_part {
	CATALOG_ROWS_COMMON, /* what the primary and all replicas hold alike */
	CATALOG_ROWS_OWN     /* of the primary's own configuration */
};

/* The text to send for a part; the answers are taken in in this order. */
const char *catalog_rows_query(enum catalog_rows_part part);

struct catalog_rows *catalog_rows_new(void);
void catalog_rows_free(struct catalog_rows *rows);

/* Takes in the next result, in order; false when it is not what was asked. */
bool catalog_rows_add(struct catalog_rows *rows, const PGresult *result);

/*
 * The snapshot, with one reference, and the end of rows; NULL (and rows lives)
 * while results are missing.
 */
struct catalog *catalog_rows_finish(struct catalog_rows *rows);

#endif
