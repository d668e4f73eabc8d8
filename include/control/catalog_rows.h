#ifndef PGWEIR_CONTROL_CATALOG_ROWS_H
#define PGWEIR_CONTROL_CATALOG_ROWS_H

/*
 * What is asked of a server for its catalog snapshot, and what the answers
 * mean.  One text of several statements, so that a load costs one round trip.
 */
#include "core/catalog.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct catalog_rows;

/* The text to send. */
const char *catalog_rows_query(void);

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
