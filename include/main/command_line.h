#ifndef PGWEIR_MAIN_COMMAND_LINE_H
#define PGWEIR_MAIN_COMMAND_LINE_H

/*
 * The words that the program is started with.  Pure: decides nothing but
 * what they mean.
 */
#include <stdbool.h>

struct buf;

enum command {
	COMMAND_RUN,
	COMMAND_CHECK,
	COMMAND_HELP,
	COMMAND_HELP_CONFIG,
	COMMAND_VERSION
};

/* Strings are borrowed from argv. */
struct command_line {
	enum command command;
	bool is_daemon;
	bool is_quiet;
	unsigned verbose; /* how many -v */
	const char *user; /* NULL: none */
	const char *file; /* NULL for help and version alone */
};

/*
 * Reads argv as main() has it; options may follow the file.  False, and a
 * line that says what is wrong in error, when it makes no sense.  Main
 * thread.
 */
bool command_line_parse(struct command_line *line, int argc, char *const argv[],
			struct buf *error);

/* --help. */
void command_line_help(struct buf *out);

#endif
