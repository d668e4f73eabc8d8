/*
 * train PROGRAM: lets a pgweir that counts its branches serve clients for a
 * second or two, in front of a primary and a replica that only answer.  No
 * PostgreSQL is needed, and nothing is left but the counts, which PROGRAM
 * writes beside its objects when it ends.
 *
 * Exit status 1, and a line that says why, when something was not as it is in
 * a pooler's day: then the counts are worth nothing.
 */
#include "train.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 20000,
	PAUSE_MS = 20,
	LEAST_STATEMENTS = 1000,
	LONGEST_S = 300
};

static const char split[] = "split", single[] = "single";
static char folder[] = "/tmp/pgweir-train.XXXXXX";
static char ini[sizeof(folder) + 16], log_path[sizeof(folder) + 16];

static void write_ini(uint16_t port, uint16_t primary, uint16_t replica)
{
	FILE *file;

	if (!mkdtemp(folder))
		train_die("no folder under /tmp");
	(void)snprintf(ini, sizeof(ini), "%s/train.ini", folder);
	(void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
	file = fopen(ini, "w");
	if (!file)
		train_die(ini);
	(void)fprintf(
		file,
		"[databases]\n"
		"%s = host=127.0.0.1:%u,127.0.0.1:%u\n"
		"%s = host=127.0.0.1:%u\n"
		"[pgweir]\n"
		"listen_addr = 127.0.0.1\nlisten_port = %u\n"
		"unix_socket_dir =\nauth_type = trust\nworkers = 2\n"
		"stats_port = 0\nlog_connections = 0\nlog_disconnections = 0\n",
		split, (unsigned)primary, (unsigned)replica, single,
		(unsigned)primary, (unsigned)port);
	if (fclose(file) != 0)
		train_die(ini);
}

/* What pgweir had to say, for whoever wonders why this has failed. */
static void show_log(void)
{
	char line[512];
	FILE *file = fopen(log_path, "r");

	while (file && fgets(line, sizeof(line), file))
		(void)fputs(line, stderr);
	if (file)
		(void)fclose(file);
}

static void clean(void)
{
	(void)unlink(ini);
	(void)unlink(log_path);
	(void)rmdir(folder);
}

static pid_t start(const char *program)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		train_die("no process");
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
	(void)execl(program, program, ini, (char *)NULL);
	_exit(127);
}

static void rest(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
}

/* Until reads reach the replica: the monitor and the catalog are there. */
static bool is_split(uint16_t port)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
		uint64_t before = answers_count(true);
		int served = 0;

		/* The monitor asks there as well, but not so often. */
		while (served < 5 && clients_are_served(port, split))
			served++;
		if (answers_count(true) >= before + 5)
			return true;
		rest();
	}
	return false;
}

/* Whether it went when it was told to, as it should. */
static bool stop(pid_t pid)
{
	int status = 0;

	(void)kill(pid, SIGTERM);
	for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		rest();
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return false;
}

/* Threads of the nodes are left behind: _exit, not return. */
int main(int argc, char **argv)
{
	uint16_t primary, replica, port;
	uint64_t reads, others;
	bool is_good;
	pid_t pid;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: train PROGRAM\n");
		return 2;
	}
	(void)alarm(LONGEST_S); /* and what was started ends with it */
	answers_serve(wire_listen(&primary), false);
	answers_serve(wire_listen(&replica), true);
	(void)close(wire_listen(&port));
	write_ini(port, primary, replica);
	pid = start(argv[1]);
	is_good = is_split(port);
	if (is_good) {
		clients_play(port, split);
		clients_play(port, single);
	}
	is_good = stop(pid) && is_good;
	reads = answers_count(true);
	others = answers_count(false);
	is_good = is_good && reads > LEAST_STATEMENTS &&
		  others > LEAST_STATEMENTS;
	if (!is_good)
		show_log();
	clean();
	if (is_good) {
		(void)printf("train: %llu statements on the primary, %llu on"
			     " the replica\n",
			     (unsigned long long)others,
			     (unsigned long long)reads);
		(void)fflush(stdout);
		_exit(0);
	}
	errno = 0;
	train_die("pgweir has not served as it should");
}
