#ifndef PGWEIR_CONTROL_ADMIN_NODES_H
#define PGWEIR_CONTROL_ADMIN_NODES_H

/*
 * SHOW NODES: what the monitor knows of each node, and what all workers have
 * to do with it.
 */
struct admin_job;

void admin_gather_nodes(struct admin_job *job);
void admin_show_nodes(struct admin_job *job);

#endif
