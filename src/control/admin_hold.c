/*
 * PAUSE, RESUME, KILL, RECONNECT, WAIT_CLOSE, DISABLE, ENABLE: PgBouncer's
 * words, and what they do there.
 *
 * An order is entered first, for all threads; then the job goes round the
 * workers, each of which does its part.  A command that ends when servers
 * have gone counts them in its rounds, and goes round again until none is
 * left.  Twice, for one may go from worker to worker in a mail meanwhile.
 *
 * Orders outlive the console that has given them, and a reload.
 */
#include "control/admin_hold.h"

#include "base/log.h"
#include "control/admin_job.h"
#include "core/config.h"
#include "proxy/local.h"
#include "proxy/orders.h"
#include "proxy/pool_change.h"
#include "proxy/pool_order.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

#include <stddef.h>
#include <string.h>

enum { QUIET_ROUNDS = 2 };

/* NULL: all of them. */
static const char *database_of(const struct admin_job *job)
{
	return *job->argument ? job->argument : NULL;
}

static struct orders *orders_of(const struct admin_job *job)
{
	return job->process->orders;
}

/* There is such a database, or all are meant; else the job has failed. */
static bool is_there(struct admin_job *job)
{
	const char *database = database_of(job);
	bool is_console = database && (strcmp(database, "pgbouncer") == 0 ||
				       strcmp(database, "pgweir") == 0);

	if (is_console)
		admin_job_fail(job, "42809", NULL, "cannot %s admin db: %s",
			       job->command->words, database);
	else if (database &&
		 !config_find_database(local_config(job->local), database))
		admin_job_fail(job, "3D000", "SHOW DATABASES lists them.",
			       "no such database: %s", database);
	return !*job->sqlstate;
}

static void tell(const struct admin_job *job)
{
	log_info("console: %s %s", job->command->words, job->argument);
}

/* True while the command has to go round again. */
static bool is_left(struct admin_job *job)
{
	job->quiet_rounds = job->busy > 0 ? 0 : job->quiet_rounds + 1;
	job->busy = 0;
	return job->quiet_rounds < QUIET_ROUNDS;
}

/* --- PAUSE --- */

bool admin_begin_pause(struct admin_job *job)
{
	if (!is_there(job))
		return false;
	if (orders_give(orders_of(job), ORDER_PAUSE, database_of(job))) {
		tell(job);
		return true;
	}
	admin_job_fail(job, "55000", "RESUME ends it.",
		       database_of(job) ? "database %s is already paused"
					: "already suspended/paused",
		       job->argument);
	return false;
}

void admin_pause(struct admin_job *job)
{
	job->busy += pools_hold(job->local, database_of(job));
}

/* Somebody else may take it back meanwhile. */
bool admin_pauses(struct admin_job *job)
{
	bool is_given =
		orders_is_given(orders_of(job), ORDER_PAUSE, database_of(job));

	if (!is_given)
		admin_job_fail(job, "57014", NULL,
			       "PAUSE was ended by RESUME before all servers "
			       "were released");
	return is_given && is_left(job);
}

/* --- RESUME --- */

bool admin_begin_resume(struct admin_job *job)
{
	if (!is_there(job))
		return false;
	if (orders_revoke(orders_of(job), ORDER_PAUSE, database_of(job))) {
		tell(job);
		return true;
	}
	admin_job_fail(job, "55000", "SHOW STATE and SHOW DATABASES tell.",
		       database_of(job) ? "database %s is not paused"
					: "pooler is not paused/suspended",
		       job->argument);
	return false;
}

void admin_resume(struct admin_job *job)
{
	pools_feed(job->local);
}

/* --- KILL --- */

/* It stays paused, so that nobody comes back before RESUME. */
bool admin_begin_kill(struct admin_job *job)
{
	if (!is_there(job))
		return false;
	(void)orders_give(orders_of(job), ORDER_PAUSE, database_of(job));
	tell(job);
	return true;
}

void admin_kill(struct admin_job *job)
{
	static const char why[] =
		"terminating connection due to administrator command";

	sessions_kill(job->local, database_of(job), why);
	tunnels_kill(job->local, database_of(job), why);
	pools_cut(job->local, database_of(job));
}

/* --- RECONNECT, WAIT_CLOSE --- */

bool admin_begin_reconnect(struct admin_job *job)
{
	if (!is_there(job))
		return false;
	tell(job);
	return true;
}

void admin_reconnect(struct admin_job *job)
{
	pools_reconnect(job->local, database_of(job));
}

void admin_wait_close(struct admin_job *job)
{
	job->busy += pools_count_leaving(job->local, database_of(job));
}

bool admin_waits_for_close(struct admin_job *job)
{
	return is_left(job);
}

/* --- DISABLE, ENABLE --- */

void admin_disable(struct admin_job *job)
{
	if (!is_there(job))
		return;
	(void)orders_give(orders_of(job), ORDER_DISABLE, job->argument);
	tell(job);
}

void admin_enable(struct admin_job *job)
{
	if (!is_there(job))
		return;
	(void)orders_revoke(orders_of(job), ORDER_DISABLE, job->argument);
	tell(job);
}
