/*
 * The command line, in the letters of pgbouncer(1) where it has them.
 * getopt_long(3) does the reading; the messages are our own, since its own
 * go to stderr and tell nothing of what to do instead.
 *
 * Refuses to look at any file.  Help and version win over everything else,
 * as people expect who add --help to a line that does not work.
 */
#include "main/command_line.h"

#include "base/buf.h"

#include <getopt.h>
#include <string.h>

enum { LONG_CHECK = 256, LONG_HELP_CONFIG };

static const char short_options[] = ":dvqu:hVR";

static const struct option long_options[] = {
	{ "daemon", no_argument, NULL, 'd' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "reboot", no_argument, NULL, 'R' },
	{ "check", no_argument, NULL, LONG_CHECK },
	{ "help-config", no_argument, NULL, LONG_HELP_CONFIG },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
	"pgweir: pools connections to PostgreSQL, sends writes to the primary\n"
	"and reads to its replicas.\n"
	"\n"
	"Usage: pgweir [-d] [-v] [-q] [-u USER] [--check] FILE.ini\n"
	"\n"
	"  -d, --daemon       run in the background (the file needs a "
	"pidfile)\n"
	"  -v, --verbose      say more; twice: everything\n"
	"  -q, --quiet        say nothing on the terminal\n"
	"  -u, --user USER    become this user after the ports are open\n"
	"      --check        read the file, ask every node, say what was "
	"found\n"
	"  -h, --help         show this\n"
	"      --help-config  show every key of the file\n"
	"  -V, --version      show the version\n"
	"\n"
	"Signals: HUP reads the file anew; TERM ends when all clients have\n"
	"finished, INT when all servers are given back, QUIT at once; a "
	"second\n"
	"one hurries.\n"
	"Exit status: 0 all is well, 1 it could not run, 2 wrong usage.\n";

void command_line_help(struct buf *out)
{
	buf_append(out, help_text, sizeof(help_text) - 1);
}

/* A line of the error; false for the caller to return. */
static bool refuse(struct buf *error, const char *what, const char *word)
{
	buf_printf(error, "pgweir: %s%s (see pgweir --help)\n", what, word);
	return false;
}

/* The word that getopt has stumbled over: a letter, or a long option. */
static bool refuse_option(struct buf *error, const char *what, char *const *at)
{
	char letter[] = { '-', (char)optopt, '\0' };

	/* optopt is 0 for a long one, and no letter for one with a value. */
	if (optopt > 0 && optopt < LONG_CHECK && strncmp(at[-1], "--", 2) != 0)
		return refuse(error, what, letter);
	return refuse(error, what, at[-1]);
}

static bool refuse_reboot(struct buf *error)
{
	buf_printf(error, "pgweir: -R (online restart) is not supported: "
			  "stop the old one with SIGTERM, which lets its "
			  "clients finish, and start the new one\n");
	return false;
}

/* Only the first of help and version counts. */
static void set_command(struct command_line *line, enum command command)
{
	if (line->command == COMMAND_RUN || line->command == COMMAND_CHECK)
		line->command = command;
}

/* One option that getopt knows; false: not to be borne. */
static bool take_option(struct command_line *line, int option,
			struct buf *error)
{
	switch (option) {
	case 'd': line->is_daemon = true; return true;
	case 'v': line->verbose++; return true;
	case 'q': line->is_quiet = true; return true;
	case 'u': line->user = optarg; return true;
	case 'h': set_command(line, COMMAND_HELP); return true;
	case 'V': set_command(line, COMMAND_VERSION); return true;
	case LONG_CHECK: set_command(line, COMMAND_CHECK); return true;
	case LONG_HELP_CONFIG:
		set_command(line, COMMAND_HELP_CONFIG);
		return true;
	default: return refuse_reboot(error);
	}
}

/*
 * Options and the file in any order, as GNU programs have it; "--" ends the
 * options.
 */
static bool take_options(struct command_line *line, int argc,
			 char *const argv[], struct buf *error)
{
	int option;

	optind = 0; /* GNU: start over, also after an earlier call */
	opterr = 0;
	for (;;) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread */
		option = getopt_long(argc, argv, short_options, long_options,
				     NULL);
		if (option < 0)
			return true;
		if (option == '?')
			return refuse_option(error, "there is no option ",
					     argv + optind);
		if (option == ':')
			return refuse_option(error, "a value must follow ",
					     argv + optind);
		if (!take_option(line, option, error))
			return false;
	}
}

static bool wants_no_file(const struct command_line *line)
{
	return line->command != COMMAND_RUN && line->command != COMMAND_CHECK;
}

/* A fault does not matter where help was asked for: "pgweir -x --help". */
bool command_line_parse(struct command_line *line, int argc, char *const argv[],
			struct buf *error)
{
	*line = (struct command_line){ .command = COMMAND_RUN };
	if (!take_options(line, argc, argv, error))
		return wants_no_file(line);
	if (wants_no_file(line))
		return true;
	if (optind >= argc)
		return refuse(error, "name a configuration file", "");
	line->file = argv[optind];
	if (optind + 1 < argc)
		return refuse(error, "one file is enough, what is ",
			      argv[optind + 1]);
	if (line->is_daemon && line->command == COMMAND_CHECK)
		return refuse(error, "--check and -d exclude each other", "");
	return true;
}
