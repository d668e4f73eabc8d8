#ifndef PGWEIR_CONTROL_ADMIN_H
#define PGWEIR_CONTROL_ADMIN_H

/*
 * The console: clients of the database pgweir (or pgbouncer) and their
 * commands, in PgBouncer's words.  A console lives on the worker that its
 * client came to; what it lists is collected from all workers by mail.
 *
 *	admin = admin_new(&hooks, PACKAGE_VERSION);
 *	... proxy_hooks.console calls admin_take(admin, local, login) ...
 *	... each stats_period: admin_sample(admin, metrics, now) ...
 *	admin_stop(admin, process);  before proxy_free
 *	admin_free(admin);           after it
 */
#include "control/admin_job.h"

#include <stdint.h>

struct admin;
struct client_login;
struct local;
struct metrics;
struct process;

/* version: "1.0.0", shown by SHOW VERSION; copied, as are the hooks. */
struct admin *admin_new(const struct admin_hooks *hooks, const char *version);

/*
 * Takes a client that logged in at the console, and all that its login
 * holds.  Its worker's thread.
 */
void admin_take(struct admin *admin, struct local *local,
		const struct client_login *login);

/*
 * The configuration was read, or error says in one or more lines why the old
 * one stays (NULL: all is well).  Takes the ticket.  Main thread, until
 * admin_free.
 */
void admin_reloaded(struct admin_ticket *ticket, const char *error);

/*
 * Every stats_period: what the averages of SHOW STATS start from.  Main
 * thread; without it they are 0.
 */
void admin_sample(struct admin *admin, struct metrics *metrics,
		  uint64_t now_us);

/* Main thread: asks each worker to end its consoles. */
void admin_stop(struct admin *admin, struct process *process);

/* After the workers are gone. */
void admin_free(struct admin *admin); /* NULL is fine */

#endif
