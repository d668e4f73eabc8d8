#ifndef PGWEIR_CONTROL_ADMIN_EXPLAIN_H
#define PGWEIR_CONTROL_ADMIN_EXPLAIN_H

/*
 * EXPLAIN ROUTE [ON <db>] <statement>: one row, the job's text being what
 * stands behind ROUTE.
 */
struct admin_job;

void admin_explain_route(struct admin_job *job);

#endif
