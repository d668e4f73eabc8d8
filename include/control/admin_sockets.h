#ifndef PGWEIR_CONTROL_ADMIN_SOCKETS_H
#define PGWEIR_CONTROL_ADMIN_SOCKETS_H

/*
 * What each worker must be asked for: its clients and its servers.  Called
 * once on every worker, in turn; each appends its rows.
 */
#include <stdbool.h>

struct admin_job;

void admin_show_clients(struct admin_job *job);
void admin_show_servers(struct admin_job *job);
void admin_show_sockets(struct admin_job *job);
void admin_show_active_sockets(struct admin_job *job);

/* KILL_CLIENT: its number says which worker it is on. */
void admin_kill_client(struct admin_job *job);
/* Reads the number; false when the argument is none of a worker. */
bool admin_client_worker(const struct admin_job *job, unsigned workers,
			 unsigned *worker);

#endif
