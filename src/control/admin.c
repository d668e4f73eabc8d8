/*
 * Consoles and the way of their commands.
 *
 * A command that one worker can answer is answered at once.  One that needs
 * all of them goes from worker to worker as a mail that carries the job, and
 * in the end home, where the console is looked up by its number: its client
 * may have left meanwhile.  A worker that has stopped lets the job go.
 *
 * Each worker touches its own seat alone; the desk never changes.
 */
#include "control/admin.h"

#include "base/list.h"
#include "base/util.h"
#include "control/admin_sockets.h"
#include "control/console.h"
#include "control/rates.h"
#include "proxy/client.h"
#include "proxy/local.h"
#include "proxy/mail.h"

#include <stdlib.h>
#include <string.h>

enum { SEATS = sizeof(((struct process *)0)->workers) / sizeof(void *) };

/* Between two rounds of a command that waits. */
enum { ROUND_US = 20000 };

/* The consoles of one worker. */
struct seat {
	struct list consoles;
	struct list waiting; /* jobs, for their next round */
	uint64_t last_id;
	bool is_closed;
};

struct admin {
	struct admin_desk desk;
	struct console_hooks hooks;
	bool is_stopped; /* the main thread's */
	struct seat seats[SEATS];
};

struct admin_ticket {
	struct admin_job *job;
};

/* --- the way of a job ------------------------------------------------------
 */

static void post(const struct process *process, unsigned worker,
		 void (*visit)(struct local *local, void *arg), void *arg)
{
	struct mail_visit *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = MAIL_VISIT;
	mail->visit = visit;
	mail->arg = arg;
	worker_post(process->workers[worker], &mail->mail);
}

static void visit_worker(struct local *local, void *arg);
static void come_home(struct local *local, void *arg);

/* To the next worker, or home. */
static void send_on(struct admin_job *job)
{
	if (job->next < job->end && !*job->sqlstate)
		post(job->process, job->next, visit_worker, job);
	else
		post(job->process, job->worker, come_home, job);
}

static void visit_worker(struct local *local, void *arg)
{
	struct admin_job *job = arg;

	if (local->is_stopped) {
		admin_job_free(job);
		return;
	}
	job->local = local;
	job->command->run(job);
	job->next++;
	send_on(job);
}

/* --- home ------------------------------------------------------------------
 */

static void go_again(struct wheel_timer *timer)
{
	struct admin_job *job = LIST_ENTRY(timer, struct admin_job, again);

	list_remove(&job->waiting);
	job->next = 0;
	send_on(job);
}

/* What it waits for is not there yet: nobody would say when it is. */
static void wait_for_round(struct local *local, struct admin_job *job)
{
	struct seat *seat = &job->admin->seats[local->index];

	wheel_timer_init(&job->again, go_again);
	wheel_set(worker_wheel(local->worker), &job->again,
		  local_now(local) + ROUND_US);
	list_append(&seat->waiting, &job->waiting);
}

/* On the worker that asked: the console may have left. */
static void come_home(struct local *local, void *arg)
{
	struct admin_job *job = arg;
	struct console *console = console_find(
		&job->admin->seats[local->index].consoles, job->console);
	const struct admin_command *command = job->command;

	job->local = local;
	if (!console) {
		admin_job_free(job);
		return;
	}
	if (command->goes_on && !*job->sqlstate && command->goes_on(job)) {
		wait_for_round(local, job);
		return;
	}
	if (command->finish && !*job->sqlstate)
		command->finish(job);
	console_answer(console, job);
}

/* At the end: nobody is told any more. */
static void drop_waiting(struct seat *seat)
{
	struct list *link;

	while ((link = list_first(&seat->waiting)) != NULL) {
		struct admin_job *job =
			LIST_ENTRY(link, struct admin_job, waiting);

		list_remove(link);
		wheel_unset(&job->again);
		admin_job_free(job);
	}
}

/* The answer comes by admin_reloaded, from the main thread. */
static void ask_main(struct admin_job *job)
{
	const struct admin_hooks *hooks = &job->desk->hooks;
	struct admin_ticket *ticket = xcalloc(1, sizeof(*ticket));

	ticket->job = job;
	if (job->command->argument == ADMIN_ARGUMENT_SET)
		hooks->set(hooks->arg, ticket, job->argument, job->value);
	else
		hooks->reload(hooks->arg, ticket);
}

static void run_here(struct console *console, struct admin_job *job)
{
	job->command->run(job);
	if (job->is_late)
		ask_main(job);
	else
		console_answer(console, job);
}

/* A console has read a command: the hook of console_hooks. */
static void start(void *arg, struct console *console, struct admin_job *job)
{
	struct admin *admin = arg;
	unsigned workers = job->process->worker_count;

	job->admin = admin;
	job->desk = &admin->desk;
	if (job->command->begin && !job->command->begin(job)) {
		console_answer(console, job);
		return;
	}
	switch (job->command->reach) {
	case ADMIN_ALL:
		job->end = workers;
		send_on(job);
		break;
	case ADMIN_CLIENT:
		if (!admin_client_worker(job, workers, &job->next)) {
			admin_job_fail(job, "22023", NULL,
				       "not the number of a client: \"%s\"",
				       job->argument);
			console_answer(console, job);
			break;
		}
		job->end = job->next + 1;
		send_on(job);
		break;
	case ADMIN_HERE:
	default: run_here(console, job); break;
	}
}

/* One line of a few: an error of many lines goes into the log anyway. */
static void fail_reload(struct admin_job *job, const char *error)
{
	size_t len = strlen(error);

	while (len > 0 && error[len - 1] == '\n')
		len--;
	admin_job_fail(job, "F0000", "The configuration in force stays.",
		       "%s failed: %.*s", job->command->words, (int)len, error);
}

void admin_reloaded(struct admin_ticket *ticket, const char *error)
{
	struct admin_job *job = ticket->job;

	free(ticket);
	if (job->admin->is_stopped) {
		admin_job_free(job);
		return;
	}
	if (error)
		fail_reload(job, error);
	post(job->process, job->worker, come_home, job);
}

/* --- consoles --------------------------------------------------------------
 */

void admin_take(struct admin *admin, struct local *local,
		const struct client_login *login)
{
	struct seat *seat = &admin->seats[local->index];

	if (!seat->is_closed) {
		(void)console_new(local, login, &admin->hooks, &seat->consoles,
				  ++seat->last_id);
		return;
	}
	client_fail(login->stream, "57P01", "pgweir is shutting down", NULL);
}

/* On each worker, at the end; who logs in later is sent away. */
static void close_seat(struct local *local, void *arg)
{
	struct admin *admin = arg;
	struct seat *seat = &admin->seats[local->index];
	struct console *console;

	seat->is_closed = true;
	drop_waiting(seat);
	while ((console = console_first(&seat->consoles)))
		console_end(console, "57P01",
			    "terminating connection due to administrator "
			    "command");
}

void admin_stop(struct admin *admin, struct process *process)
{
	admin->is_stopped = true;
	for (unsigned i = 0; i < process->worker_count; i++)
		post(process, i, close_seat, admin);
}

/* --- life ------------------------------------------------------------------
 */

struct admin *admin_new(const struct admin_hooks *hooks, const char *version)
{
	struct admin *admin = xcalloc(1, sizeof(*admin));

	admin->desk.hooks = *hooks;
	admin->desk.rates = rates_new(util_now_us());
	admin->desk.version = xstrdup(version);
	admin->hooks = (struct console_hooks){ start, admin };
	for (unsigned i = 0; i < SEATS; i++)
		list_init(&admin->seats[i].consoles);
	for (unsigned i = 0; i < SEATS; i++)
		list_init(&admin->seats[i].waiting);
	return admin;
}

void admin_sample(struct admin *admin, struct metrics *metrics, uint64_t now_us)
{
	rates_sample(admin->desk.rates, metrics, now_us);
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	rates_free(admin->desk.rates);
	free(admin->desk.version);
	free(admin);
}
