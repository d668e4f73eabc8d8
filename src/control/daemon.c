/*
 * Everything that has to do with being a process: going into the background,
 * giving up root, the pid file, the limit of open files, signals and
 * systemd.
 *
 * The pid file is locked (flock) rather than judged by the number in it: a
 * number may belong to somebody else after a restart of the machine, a lock
 * ends with its process.  systemd is told by one datagram, as sd_notify(3)
 * describes the protocol, without its library.
 *
 * Main thread.
 */
#include "control/daemon.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- background --------------------------------------------------------- */

/* In the process that was called: one byte, or the end of the pipe. */
static int wait_for_verdict(int fd)
{
	char byte;
	ssize_t got;

	do
		got = read(fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	return got == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * The caller's process stays until the daemon can serve, or has failed: "pgweir
 * -d && psql ..." must work.  The pipe's end is the failure, so that no death
 * of the child goes unnoticed.  No thread may run yet: only the thread that
 * calls fork() lives on in the child.
 */
bool daemon_detach(int *verdict)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid < 0) {
		(void)close(ends[0]);
		(void)close(ends[1]);
		return false;
	}
	if (pid > 0) {
		(void)close(ends[1]);
		_exit(wait_for_verdict(ends[0]));
	}
	(void)close(ends[0]);
	(void)setsid();
	*verdict = ends[1];
	return true;
}

/*
 * Terminal and pipes are given back only now: until here faults were to be seen
 * there.
 */
void daemon_ready(int verdict)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);

	assert(verdict >= 0);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	if (null > STDERR_FILENO)
		(void)close(null);
	if (write(verdict, "", 1) != 1)
		log_debug("daemon: nobody waits for the start any more");
	(void)close(verdict);
}

/* ---- user --------------------------------------------------------------- */

struct account {
	uid_t uid;
	gid_t gid;
};

/*
 * getpwnam_r wants room for all strings of the entry; NSS modules can have long
 * ones, and a second try with more would be one more path to test.
 */
static bool find_account(const char *user, struct account *account)
{
	struct passwd entry;
	struct passwd *found = NULL;
	size_t room = 65536;
	char *text = xmalloc(room);
	bool is_found = getpwnam_r(user, &entry, text, room, &found) == 0 &&
			found != NULL;

	if (is_found) {
		account->uid = entry.pw_uid;
		account->gid = entry.pw_gid;
	}
	free(text);
	return is_found;
}

/* Groups before the user: he may not change them any more. */
static bool change_account(const char *user, const struct account *account)
{
	return initgroups(user, account->gid) == 0 &&
	       setgid(account->gid) == 0 && setuid(account->uid) == 0;
}

/* Already that user is fine: a unit with User= and a file with user= agree. */
bool daemon_become(const char *user, struct buf *error)
{
	struct account account;

	if (!find_account(user, &account)) {
		buf_printf(error,
			   "user %s: there is no such user on this "
			   "machine\n",
			   user);
		return false;
	}
	if (geteuid() == account.uid)
		return true;
	if (geteuid() != 0) {
		buf_printf(error,
			   "user %s: only root can become another user, "
			   "start as root or leave it out\n",
			   user);
		return false;
	}
	if (change_account(user, &account))
		return true;
	buf_printf(error, "user %s: cannot become this user: %s\n", user,
		   strerrordesc_np(errno));
	return false;
}

/*
 * Called as root, before it is given up.  lchown: a link that somebody has put
 * there must not give away what it points to.
 */
void daemon_give_file(const char *path, const char *user)
{
	struct account account;

	if (geteuid() == 0 && find_account(user, &account) &&
	    lchown(path, account.uid, account.gid) != 0 && errno != ENOENT)
		log_warning("daemon: cannot give %s to %s (%s), it will not "
			    "be removed at the end",
			    path, user, strerrordesc_np(errno));
}

/* ---- limits ------------------------------------------------------------- */

/* Soft limits are low for the sake of select(), which nobody here uses. */
uint64_t daemon_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = before;
	}
	return limit.rlim_cur;
}

/* ---- pid file ----------------------------------------------------------- */

struct pidfile {
	char *path;
	int fd;
};

static struct pidfile *pidfile_refuse(const char *path, int fd, const char *why,
				      struct buf *error)
{
	buf_printf(error, "pidfile %s: %s\n", path, why);
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/*
 * Whether the open file is still the one of that name: its last owner may
 * have removed it between our open and our lock.
 */
static bool is_same_file(int fd, const char *path)
{
	struct stat ours;
	struct stat named;

	return fstat(fd, &ours) == 0 && stat(path, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* In place, not by a new file: the lock is on this one. */
static bool write_pid(int fd)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	assert(len > 0 && (size_t)len < sizeof(text));
	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len;
}

struct pidfile *pidfile_take(const char *path, struct buf *error)
{
	struct pidfile *pidfile;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd < 0)
		return pidfile_refuse(path, fd, strerrordesc_np(errno), error);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_same_file(fd, path))
		return pidfile_refuse(path, fd,
				      "another pgweir runs with this file, "
				      "stop it first or name another file",
				      error);
	if (!write_pid(fd))
		return pidfile_refuse(path, fd, strerrordesc_np(errno), error);
	pidfile = xcalloc(1, sizeof(*pidfile));
	pidfile->path = xstrdup(path);
	pidfile->fd = fd;
	return pidfile;
}

/* Removed while it is locked, so that a successor's file is never hit. */
void pidfile_drop(struct pidfile *pidfile)
{
	if (!pidfile)
		return;
	if (is_same_file(pidfile->fd, pidfile->path) &&
	    unlink(pidfile->path) != 0)
		log_warning("pidfile %s: cannot be removed (%s)", pidfile->path,
			    strerrordesc_np(errno));
	(void)close(pidfile->fd);
	free(pidfile->path);
	free(pidfile);
}

/* ---- signals ------------------------------------------------------------ */

static const int numbers[] = { SIGHUP,  SIGTERM, SIGINT,
			       SIGQUIT, SIGUSR1, SIGUSR2 };

enum { SIGNALS = sizeof(numbers) / sizeof(numbers[0]) };

struct daemon_signals {
	daemon_signal_fn *callback;
	void *arg;
	struct event *events[SIGNALS];
};

/* In the loop, not in a signal handler: anything may be called. */
static void on_signal(evutil_socket_t number, short what, void *arg)
{
	const struct daemon_signals *signals = arg;

	(void)what;
	signals->callback(signals->arg, number);
}

/*
 * SIGPIPE is ignored for the whole process: a peer that has gone is seen by the
 * result of the write.
 */
struct daemon_signals *daemon_signals_new(struct event_base *base,
					  daemon_signal_fn *callback, void *arg)
{
	struct daemon_signals *signals = xcalloc(1, sizeof(*signals));
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	signals->callback = callback;
	signals->arg = arg;
	(void)sigaction(SIGPIPE, &ignore, NULL);
	for (int i = 0; i < SIGNALS; i++) {
		signals->events[i] =
			evsignal_new(base, numbers[i], on_signal, signals);
		if (signals->events[i] &&
		    event_add(signals->events[i], NULL) == 0)
			continue;
		daemon_signals_free(signals);
		return NULL;
	}
	return signals;
}

void daemon_signals_free(struct daemon_signals *signals)
{
	if (!signals)
		return;
	for (int i = 0; i < SIGNALS; i++)
		if (signals->events[i])
			event_free(signals->events[i]);
	free(signals);
}

/* ---- systemd ------------------------------------------------------------ */

void daemon_notify_text(struct buf *out, enum daemon_state state,
			const char *status, uint64_t now_us)
{
	switch (state) {
	case DAEMON_READY:
		/* The child of -d is not the process systemd has started. */
		buf_printf(out, "READY=1\nMAINPID=%ld\n", (long)getpid());
		break;
	case DAEMON_RELOADING:
		/* Type=notify-reload wants the time as well. */
		buf_printf(out, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
			   (unsigned long long)now_us);
		break;
	case DAEMON_STOPPING: buf_printf(out, "STOPPING=1\n"); break;
	case DAEMON_STATUS: break;
	}
	if (status)
		buf_printf(out, "STATUS=%.*s\n", (int)strcspn(status, "\n"),
			   status);
}

/*
 * MSG_DONTWAIT: a manager that hangs must not hang us.  A name that begins with
 * @ is abstract (unix(7)): the NUL in its place, its length exact.
 */
bool daemon_notify_send(const char *path, const struct buf *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	socklen_t size =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	bool is_sent;
	int saved;
	int fd;

	if (len == 0 || len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_sent = sendto(fd, buf_head(text), buf_len(text),
			 MSG_NOSIGNAL | MSG_DONTWAIT,
			 (struct sockaddr *)&address, size) >= 0;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return is_sent;
}

void daemon_notify(enum daemon_state state, const char *status)
{
	const char *path = secure_getenv("NOTIFY_SOCKET");
	struct buf text = BUF_INIT;

	if (!path)
		return;
	daemon_notify_text(&text, state, status, util_now_us());
	if (!daemon_notify_send(path, &text))
		log_debug("daemon: cannot tell systemd at %s (%s)", path,
			  strerrordesc_np(errno));
	buf_free(&text);
}
