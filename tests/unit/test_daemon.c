/*
 * The process: word to systemd, pid files, users, signals.  Works in a
 * scratch directory of its own; forks where two processes matter.
 */
#include "base/buf.h"
#include "base/util.h"
#include "control/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/test-daemon.XXXXXX";

static const char *text_of(struct buf *buf)
{
	buf_append_u8(buf, 0);
	return (const char *)buf_head(buf);
}

static char *in_scratch(const char *name)
{
	return xasprintf("%s/%s", scratch, name);
}

/* ---- systemd ------------------------------------------------------------ */

static void check_text(enum daemon_state state, const char *status,
		       const char *expected)
{
	struct buf out = BUF_INIT;

	daemon_notify_text(&out, state, status, 42);
	assert_string_equal(text_of(&out), expected);
	buf_free(&out);
}

static void test_notify_text(void **state)
{
	char *ready =
		xasprintf("READY=1\nMAINPID=%ld\nSTATUS=up\n", (long)getpid());

	(void)state;
	check_text(DAEMON_READY, "up", ready);
	check_text(DAEMON_RELOADING, NULL, "RELOADING=1\nMONOTONIC_USEC=42\n");
	check_text(DAEMON_STOPPING, NULL, "STOPPING=1\n");
	check_text(DAEMON_STATUS, "7 clients", "STATUS=7 clients\n");
	check_text(DAEMON_STATUS, NULL, "");
	/* A line break would begin another assignment. */
	check_text(DAEMON_STATUS, "one\nREADY=1", "STATUS=one\n");
	free(ready);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && len < sizeof(address.sun_path));
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(
		bind(fd, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		0);
	return fd;
}

static void check_received(int fd, const char *expected)
{
	char got[256] = "";
	ssize_t len = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_int_equal(len, (ssize_t)strlen(expected));
	assert_string_equal(got, expected);
	assert_int_equal(close(fd), 0);
}

static void test_notify(void **state)
{
	char *path = in_scratch("notify");
	char *abstract = xasprintf("@pgweir-test-daemon-%ld", (long)getpid());
	int fd = listen_at(path);

	(void)state;
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	daemon_notify(DAEMON_STOPPING, "bye");
	check_received(fd, "STOPPING=1\nSTATUS=bye\n");
	fd = listen_at(abstract);
	assert_int_equal(setenv("NOTIFY_SOCKET", abstract, 1), 0);
	daemon_notify(DAEMON_STATUS, "hidden");
	check_received(fd, "STATUS=hidden\n");
	/* Nobody there, nobody wanted: no harm. */
	assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent", 1), 0);
	daemon_notify(DAEMON_READY, NULL);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	daemon_notify(DAEMON_READY, NULL);
	free(path);
	free(abstract);
}

static void test_notify_bad_path(void **state)
{
	struct buf text = BUF_INIT;
	char path[300];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	buf_append(&text, "X=1\n", 4);
	assert_false(daemon_notify_send(path, &text));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_false(daemon_notify_send("", &text));
	assert_false(daemon_notify_send("/nonexistent", &text));
	assert_int_equal(errno, ENOENT);
	buf_free(&text);
}

/* ---- pid file ----------------------------------------------------------- */

static void check_file(const char *path, const char *expected)
{
	char got[64] = "";
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	(void)fread(got, 1, sizeof(got) - 1, file);
	assert_string_equal(got, expected);
	assert_int_equal(fclose(file), 0);
}

static void test_pidfile(void **state)
{
	char *path = in_scratch("one.pid");
	char *expected = xasprintf("%ld\n", (long)getpid());
	struct buf error = BUF_INIT;
	struct pidfile *pidfile = pidfile_take(path, &error);

	(void)state;
	assert_non_null(pidfile);
	check_file(path, expected);
	/* A second one is refused and leaves the first as it is. */
	assert_null(pidfile_take(path, &error));
	assert_non_null(strstr(text_of(&error), "one.pid: another pgweir"));
	check_file(path, expected);
	pidfile_drop(pidfile);
	assert_int_equal(access(path, F_OK), -1);
	buf_free(&error);
	free(expected);
	free(path);
}

/* What a crash left behind, and a longer text, is replaced. */
static void test_pidfile_stale(void **state)
{
	char *path = in_scratch("stale.pid");
	char *expected = xasprintf("%ld\n", (long)getpid());
	struct buf error = BUF_INIT;
	FILE *file = fopen(path, "we");
	struct pidfile *pidfile;

	(void)state;
	assert_non_null(file);
	assert_true(fputs("1\nand much more than a number\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	pidfile = pidfile_take(path, &error);
	assert_non_null(pidfile);
	check_file(path, expected);
	pidfile_drop(pidfile);
	free(expected);
	free(path);
}

/* Somebody has put another file in its place: it is not ours to remove. */
static void test_pidfile_replaced(void **state)
{
	char *path = in_scratch("replaced.pid");
	struct buf error = BUF_INIT;
	struct pidfile *pidfile = pidfile_take(path, &error);
	FILE *file;

	(void)state;
	assert_non_null(pidfile);
	assert_int_equal(unlink(path), 0);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	pidfile_drop(pidfile);
	assert_int_equal(access(path, F_OK), 0);
	pidfile_drop(NULL);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_pidfile_nowhere(void **state)
{
	struct buf error = BUF_INIT;

	(void)state;
	assert_null(pidfile_take("/nonexistent/x.pid", &error));
	assert_string_equal(text_of(&error),
			    "pidfile /nonexistent/x.pid: No such file or "
			    "directory\n");
	buf_free(&error);
}

/* ---- user and limits ---------------------------------------------------- */

static void test_become(void **state)
{
	struct passwd *own = getpwuid(geteuid());
	struct buf error = BUF_INIT;

	(void)state;
	assert_false(daemon_become("no such user", &error));
	assert_non_null(strstr(text_of(&error), "no such user"));
	buf_free(&error);
	if (own)
		assert_true(daemon_become(own->pw_name, &error));
	assert_int_equal(buf_len(&error), 0);
	if (geteuid() != 0)
		assert_false(daemon_become("root", &error));
	buf_free(&error);
}

/* In a child, since there is no way back. */
static void test_become_and_stay(void **state)
{
	struct stat about;
	char *path;
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0 || !getpwnam("nobody"))
		skip();
	path = in_scratch("given");
	assert_int_equal(close(open(path, O_CREAT | O_CLOEXEC, 0600)), 0);
	daemon_give_file(path, "nobody");
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_uid, getpwnam("nobody")->pw_uid);
	pid = fork();
	if (pid == 0) {
		struct buf error = BUF_INIT;

		if (!daemon_become("nobody", &error) ||
		    geteuid() != about.st_uid || getuid() != about.st_uid ||
		    setuid(0) == 0 || daemon_become("root", &error))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_files(void **state)
{
	uint64_t limit = daemon_raise_files();

	(void)state;
	assert_true(limit > 0);
	assert_true(limit == daemon_raise_files());
}

/* ---- background --------------------------------------------------------- */

/* A child that goes into the background; *grandchild is its pid. */
static int run_detached(bool is_good, pid_t *grandchild)
{
	int ends[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int verdict = -1;
		pid_t self;

		if (!daemon_detach(&verdict))
			_exit(3);
		self = getsid(0) == getpid() ? getpid() : -1;
		if (write(ends[1], &self, sizeof(self)) != sizeof(self))
			_exit(4);
		if (is_good)
			daemon_ready(verdict);
		_exit(5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(read(ends[0], grandchild, sizeof(*grandchild)),
			 sizeof(*grandchild));
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	assert_true(*grandchild != pid);
	return WEXITSTATUS(status);
}

static void test_detach(void **state)
{
	pid_t grandchild;

	(void)state;
	assert_int_equal(run_detached(true, &grandchild), 0);
	assert_true(grandchild > 0); /* leads a session of its own */
	assert_int_equal(run_detached(false, &grandchild), 1);
}

/* ---- signals ------------------------------------------------------------ */

struct heard {
	struct event_base *base;
	int numbers[16];
	int count;
};

static void on_signal(void *arg, int number)
{
	struct heard *heard = arg;

	heard->numbers[heard->count++] = number;
	assert_int_equal(event_base_loopbreak(heard->base), 0);
}

static void test_signals(void **state)
{
	static const int numbers[] = { SIGHUP,  SIGTERM, SIGINT,
				       SIGQUIT, SIGUSR1, SIGUSR2 };
	struct heard heard = { .base = event_base_new() };
	struct daemon_signals *signals =
		daemon_signals_new(heard.base, on_signal, &heard);

	(void)state;
	assert_non_null(signals);
	assert_int_equal(raise(SIGPIPE), 0); /* survived */
	for (int i = 0; i < 6; i++) {
		assert_int_equal(raise(numbers[i]), 0);
		assert_true(event_base_dispatch(heard.base) >= 0);
		assert_int_equal(heard.count, i + 1);
		assert_int_equal(heard.numbers[i], numbers[i]);
	}
	daemon_signals_free(signals);
	daemon_signals_free(NULL);
	event_base_free(heard.base);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
	char *path = in_scratch("notify");

	(void)state;
	(void)unlink(path);
	free(path);
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_text),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_notify_bad_path),
		cmocka_unit_test(test_pidfile),
		cmocka_unit_test(test_pidfile_stale),
		cmocka_unit_test(test_pidfile_replaced),
		cmocka_unit_test(test_pidfile_nowhere),
		cmocka_unit_test(test_become),
		cmocka_unit_test(test_become_and_stay),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
