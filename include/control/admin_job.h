#ifndef PGWEIR_CONTROL_ADMIN_JOB_H
#define PGWEIR_CONTROL_ADMIN_JOB_H

/*
 * One command of a console under way: what was asked, by whom, and what has
 * been collected.  It belongs to one thread at a time, and goes from worker
 * to worker by mail, so nothing in it is locked.
 */
#include "base/buf.h"
#include "base/list.h"
#include "base/wheel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin;
struct admin_ticket;
struct local;
struct process;
struct rates;

/* What the main thread does for a console; any worker's thread calls. */
struct admin_hooks {
	/*
	 * RELOAD: read the configuration again on the main thread, then call
	 * admin_reloaded with the ticket, exactly once.
	 */
	void (*reload)(void *arg, struct admin_ticket *ticket);
	/*
	 * SET: one key of the configuration; the ticket as above.  The words
	 * are borrowed.
	 */
	void (*set)(void *arg, struct admin_ticket *ticket, const char *key,
		    const char *value);
	/* SHUTDOWN; mode is an enum session_shutdown. */
	void (*shutdown)(void *arg, int mode);
	void *arg;
};

/* What all commands may look at; any thread. */
struct admin_desk {
	struct admin_hooks hooks;
	struct rates *rates;
	char *version;
};

struct admin_job;

enum admin_argument {
	ADMIN_ARGUMENT_NONE,
	ADMIN_ARGUMENT_MAYBE,
	ADMIN_ARGUMENT_ONE,
	ADMIN_ARGUMENT_SET, /* name = value, name TO value */
	ADMIN_ARGUMENT_TEXT /* whatever stands behind the words */
};

/* Which workers must be visited. */
enum admin_reach {
	ADMIN_HERE,  /* the console's own can answer */
	ADMIN_ALL,   /* each in turn */
	ADMIN_CLIENT /* the one that the argument's client is on */
};

/* A row of the table in control/admin_command. */
struct admin_command {
	const char *words; /* "SHOW CLIENTS" */
	enum admin_argument argument;
	const char *shown; /* the argument in the help, NULL none */
	bool is_admin;     /* not for stats_users */
	enum admin_reach reach;
	const char *columns; /* admin_write_columns; NULL: no rows */
	/*
	 * Before the first worker, where the console is; false: it has failed.
	 * NULL: nothing.
	 */
	bool (*begin)(struct admin_job *job);
	void (*run)(struct admin_job *job);
	/* Behind the last worker, where the console is; NULL: nothing. */
	void (*finish)(struct admin_job *job);
	/* True: a moment later all workers again.  NULL: one round. */
	bool (*goes_on)(struct admin_job *job);
	const char *help; /* NULL: not listed */
};

enum { ADMIN_ARGUMENT_ROOM = 128 };

struct admin_job {
	struct admin *admin;
	struct admin_desk *desk;
	const struct admin_command *command;
	char argument[ADMIN_ARGUMENT_ROOM]; /* unquoted, "" none */
	char value[ADMIN_ARGUMENT_ROOM];    /* of SET */
	char *text;                         /* ADMIN_ARGUMENT_TEXT, or NULL */
	void *gathered; /* by run, from worker to worker; NULL nothing */
	void (*drop)(void *gathered);
	bool is_admin;
	struct process *process;
	struct local *local; /* of the worker that it is on */
	uint64_t now_us;     /* monotonic and wall clock, of the asking */
	uint64_t wall_us;
	unsigned worker;  /* who asked */
	uint64_t console; /* and its number there */
	unsigned next;    /* worker to visit next ... */
	unsigned end;     /* ... up to this one, exclusive */

	struct buf out;  /* DataRow and NoticeResponse messages */
	size_t row;      /* where the open row begins */
	unsigned values; /* that it has so far */
	bool is_late;    /* answered when admin_reloaded says so */

	unsigned busy;         /* found in this round, what it waits for */
	unsigned quiet_rounds; /* in a row, without any */
	struct wheel_timer again;
	struct list waiting; /* of its console's worker, until then */

	const char *sqlstate; /* of the error; "": none */
	char *error;
	const char *hint; /* NULL: none */
};

/* The first error counts; the text is made with printf. */
void admin_job_fail(struct admin_job *job, const char *sqlstate,
		    const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Frees what it holds and itself. */
void admin_job_free(struct admin_job *job);

/* --- rows ---------------------------------------------------------------- */

/*
 * Columns are described by one text, "database user cl_active:i": names with
 * the letter of a type, i integer, q bigint, n numeric, none: text.
 */
unsigned admin_count_columns(const char *columns);
void admin_write_columns(struct buf *out, const char *columns);

void admin_row_begin(struct admin_job *job);
void admin_put_text(struct admin_job *job, const char *value); /* NULL: NULL */
void admin_put_number(struct admin_job *job, int64_t value);
/* Monotonic microseconds as a moment, "2026-01-31 12:00:00 UTC"; 0: NULL. */
void admin_put_time(struct admin_job *job, uint64_t at_us);
void admin_row_end(struct admin_job *job);

#endif
