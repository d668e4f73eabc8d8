#ifndef PGWEIR_CONTROL_CATALOG_QUERY_H
#define PGWEIR_CONTROL_CATALOG_QUERY_H

/*
 * What is asked of servers for a catalog snapshot: constant texts, each of
 * several statements.  control/catalog_rows knows what their results mean.
 */

/* What the primary and all replicas hold alike. */
const char *catalog_query_common(void);

/* The primary's own configuration. */
const char *catalog_query_own(void);

#endif
