/*
 * Commands that act.  What they change belongs to the main thread, so they
 * ask it through the hooks of main; RELOAD is answered when it is done, with
 * what it found.
 */
#include "control/admin_act.h"

#include "base/log.h"
#include "control/admin_job.h"
#include "core/pgbuild.h"
#include "proxy/session.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

void admin_reload(struct admin_job *job)
{
	log_info("console: RELOAD");
	job->is_late = true;
}

static void ask_shutdown(struct admin_job *job, enum session_shutdown mode)
{
	log_info("console: %s", job->command->words);
	job->desk->hooks.shutdown(job->desk->hooks.arg, (int)mode);
}

void admin_shutdown(struct admin_job *job)
{
	ask_shutdown(job, SHUTDOWN_NOW);
}

void admin_shutdown_clients(struct admin_job *job)
{
	ask_shutdown(job, SHUTDOWN_CLIENTS);
}

void admin_shutdown_servers(struct admin_job *job)
{
	ask_shutdown(job, SHUTDOWN_SERVERS);
}

void admin_refuse(struct admin_job *job)
{
	admin_job_fail(job, "0A000", NULL,
		       "%s is not supported by this version of pgweir",
		       job->command->words);
}

/* --- parameters ------------------------------------------------------------
 */

/*
 * What drivers ask and set at the start of every session, wherever it is.
 * table:
 */
static const struct {
	const char *name;
	const char *value;
} parameters[] = {
	{ "application_name", "" },
	{ "client_encoding", "UTF8" },
	{ "datestyle", "ISO" },
	{ "default_transaction_isolation", "read committed" },
	{ "extra_float_digits", "2" },
	{ "standard_conforming_strings", "on" },
	{ "timezone", "GMT" },
};

static const char *find_parameter(const char *name)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++)
		if (strcasecmp(name, parameters[i].name) == 0)
			return parameters[i].value;
	return NULL;
}

void admin_show_parameter(struct admin_job *job)
{
	admin_row_begin(job);
	admin_put_text(job, find_parameter(job->command->columns));
	admin_row_end(job);
}

void admin_set(struct admin_job *job)
{
	if (find_parameter(job->argument)) {
		pgbuild_notice(&job->out, &(struct pgbuild_error){
						  .severity = "NOTICE",
						  .sqlstate = "00000",
						  .message = "SET ignored" });
		return;
	}
	if (job->is_admin)
		job->is_late = true;
	else
		admin_job_fail(job, "42501",
			       "This command is for those in admin_users.",
			       "permission denied for SET %s", job->argument);
}
