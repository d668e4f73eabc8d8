/*
 * pgweir: a connection-pooling proxy for PostgreSQL that splits reads from
 * writes.  Chooses between running and what only prints something; owns
 * nothing afterwards.
 *
 * Exit status: 0 all is well, 1 it could not run, 2 wrong usage.
 */
#include "base/buf.h"
#include "control/monitor_check.h"
#include "core/config.h"
#include "core/config_text.h"
#include "main/command_line.h"
#include "main/house.h"
#include "main/load.h"
#include "proxy/local.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static void print(FILE *file, struct buf *text)
{
	if (fputs(buf_text(text), file) == EOF)
		(void)fputs("pgweir: cannot write this\n", stderr);
	buf_free(text);
}

/* Help and the like. */
static int tell(enum command command)
{
	struct buf out = BUF_INIT;

	if (command == COMMAND_HELP)
		command_line_help(&out);
	else if (command == COMMAND_HELP_CONFIG)
		config_text_help(&out);
	else
		buf_printf(&out, "pgweir %s\n", PGWEIR_VERSION);
	print(stdout, &out);
	return EXIT_SUCCESS;
}

/* The file is good; what of the nodes? */
static int check(struct snapshot *snapshot, struct buf *found)
{
	bool is_good =
		monitor_check_once(snapshot->config, snapshot->users, found);

	buf_printf(found, "%s: %s\n", snapshot->config->path,
		   is_good ? "all is well" : "not all is well, see above");
	print(stdout, found);
	snapshot_release(snapshot);
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The house takes the snapshot, also when it cannot open. */
static int run(const struct command_line *line, struct snapshot *snapshot,
	       struct buf *warnings)
{
	struct buf error = BUF_INIT;
	struct house *house =
		house_open(line, PGWEIR_VERSION, snapshot, warnings, &error);

	buf_free(warnings);
	if (!house) {
		load_log_lines(LEVEL_ERROR, "", &error);
		buf_free(&error);
		return EXIT_FAILURE;
	}
	house_run(house);
	house_close(house);
	return EXIT_SUCCESS;
}

/* Generation 1; every reload counts on from there. */
static int work(const struct command_line *line)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct snapshot *snapshot =
		load_snapshot(line->file, 1, &error, &warnings);
	int status = EXIT_FAILURE;

	if (!snapshot) {
		print(stderr, &error);
		buf_free(&warnings);
	} else if (line->command == COMMAND_CHECK) {
		status = check(snapshot, &warnings);
	} else {
		status = run(line, snapshot, &warnings);
	}
	return status;
}

int main(int argc, char *argv[])
{
	struct command_line line;
	struct buf error = BUF_INIT;
	int status;

	if (!command_line_parse(&line, argc, argv, &error)) {
		print(stderr, &error);
		return EXIT_USAGE;
	}
	if (line.command == COMMAND_RUN || line.command == COMMAND_CHECK)
		status = work(&line);
	else
		status = tell(line.command);
	buf_free(&error);
	libevent_global_shutdown();
	buf_thread_cleanup();
	return status;
}
