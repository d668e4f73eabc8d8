#ifndef PGWEIR_CONTROL_ADMIN_COMMAND_H
#define PGWEIR_CONTROL_ADMIN_COMMAND_H

/*
 * The commands of the console: one table of what there is, who may use it
 * and what answers it; and reading a command's text.  Pure.
 */
#include "control/admin_job.h"

#include <stdbool.h>

/* Rows of the table; NULL behind the last. */
const struct admin_command *admin_command_at(unsigned index);

struct admin_parsed {
	const struct admin_command *command; /* NULL: an empty text */
	char argument[ADMIN_ARGUMENT_ROOM];
	char value[ADMIN_ARGUMENT_ROOM];
	const char *text;     /* ADMIN_ARGUMENT_TEXT: the rest, borrowed */
	const char *sqlstate; /* of the error */
	char error[256];
	char hint[128];
};

/*
 * Reads a command as a client sent it, in any case, with or without its
 * semicolon.  False when it is none, or not for this user.
 */
bool admin_parse(const char *text, bool is_admin, struct admin_parsed *parsed);

/* The tag of CommandComplete: the first word; writes room bytes at most. */
void admin_command_tag(const struct admin_command *command, char *out,
		       size_t room);

#endif
