#ifndef PGWEIR_CONTROL_ADMIN_ROUTES_H
#define PGWEIR_CONTROL_ADMIN_ROUTES_H

/*
 * SHOW ROUTES [<count>]: the shapes of statements by how often they were
 * answered.  Each worker adds what it has counted; the rows are written when
 * all have.
 */
struct admin_job;

void admin_gather_routes(struct admin_job *job);
void admin_show_routes(struct admin_job *job);

#endif
