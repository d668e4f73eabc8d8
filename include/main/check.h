#ifndef PGWEIR_MAIN_CHECK_H
#define PGWEIR_MAIN_CHECK_H

/*
 * --check: asks every node of a configuration what it is, tries the logins,
 * and says what was found.
 */
#include "control/probe.h"

#include <stdbool.h>

struct buf;
struct config;

/*
 * Prints the findings to stdout as they are complete; false when something
 * would not work.  Takes some seconds when nodes do not answer.  Main
 * thread, without any other.
 */
bool check_run(const struct config *config);

/* One question and what came of it. */
struct check_inquiry {
	unsigned node;
	const struct config_database *line; /* NULL: about the node itself */
	const char *user;
	const char *dbname;
	struct probe_report report;
};

/*
 * Appends the findings on all inquiries, a line each, and returns how many
 * faults are among them.  Those about nodes come first, in order.  Pure.
 */
unsigned check_describe(struct buf *out, const struct config *config,
			const struct check_inquiry *inquiries, unsigned count);

#endif
