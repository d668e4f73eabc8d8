#ifndef PGWEIR_CONTROL_CONSOLE_H
#define PGWEIR_CONTROL_CONSOLE_H

/*
 * The protocol of one client of the console: simple queries, and the
 * extended protocol for commands without parameters and results as text.
 * Belongs to the worker that the client came to.
 */
#include "base/list.h"

#include <stdint.h>

struct admin_job;
struct client_login;
struct console;
struct local;

struct console_hooks {
	/*
	 * Takes the job and has it answered by console_answer, from inside or
	 * later; nothing more is read until then.
	 */
	void (*start)(void *arg, struct console *console,
		      struct admin_job *job);
	void *arg;
};

/*
 * Greets the client and serves it until it leaves; takes what login holds.
 * It is on the list as long as it lives, under a number that no other
 * console of the list ever had.  hooks must outlive it.
 */
struct console *console_new(struct local *local,
			    const struct client_login *login,
			    const struct console_hooks *hooks,
			    struct list *consoles, uint64_t id);

/* Sends what the job has collected, or its error.  Takes the job. */
void console_answer(struct console *console, struct admin_job *job);

/* Ends it with a FATAL. */
void console_end(struct console *console, const char *sqlstate,
		 const char *why);

/* The console of this number on the list, or NULL. */
struct console *console_find(struct list *consoles, uint64_t id);
struct console *console_first(struct list *consoles);

#endif
