#ifndef PGWEIR_CONTROL_ADMIN_ACT_H
#define PGWEIR_CONTROL_ADMIN_ACT_H

/*
 * The commands of the console that do something, or say that they cannot.
 */
struct admin_job;

void admin_reload(struct admin_job *job);
void admin_shutdown(struct admin_job *job);
void admin_shutdown_clients(struct admin_job *job);
void admin_shutdown_servers(struct admin_job *job);
void admin_set(struct admin_job *job);
void admin_refuse(struct admin_job *job);
void admin_show_parameter(struct admin_job *job);

#endif
