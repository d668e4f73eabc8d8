#ifndef PGWEIR_CONTROL_DAEMON_H
#define PGWEIR_CONTROL_DAEMON_H

/*
 * The process as the system sees it: background, user, pid file, limits,
 * signals, and word to systemd.  Main thread; most of it before any other
 * thread exists.
 */
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct event_base;

/*
 * Goes on in a child in the background.  The process that was called waits
 * until the child says daemon_ready or ends, and exits with 0 or 1; it never
 * returns from here.  *verdict is for daemon_ready.  False with errno when
 * the system refuses.  Before the event base and all threads.
 */
bool daemon_detach(int *verdict);

/* Tells who waits that all is well, and lets go of the terminal. */
void daemon_ready(int verdict);

/*
 * Becomes this user with his groups, for good.  Nothing to do when it is
 * him already.  False with a line in error.
 */
bool daemon_become(const char *user, struct buf *error);

/* Gives a file to a user before we become him, so that he can replace it. */
void daemon_give_file(const char *path, const char *user);

/*
 * Raises the limit of open files as far as it goes; returns what holds now.
 */
uint64_t daemon_raise_files(void);

/*
 * Writes our pid to a file and holds a lock on it as long as we live.  NULL
 * with a line in error when a living process holds it, or it cannot be
 * written.
 */
struct pidfile;
struct pidfile *pidfile_take(const char *path, struct buf *error);
void pidfile_drop(struct pidfile *pidfile); /* removes it; NULL is fine */

/*
 * Unix signals as events: HUP, TERM, INT, QUIT, USR1 and USR2 go to the
 * callback from the loop; PIPE is ignored from here on.  NULL with errno.
 */
struct daemon_signals;
typedef void daemon_signal_fn(void *arg, int number);

struct daemon_signals *daemon_signals_new(struct event_base *base,
					  daemon_signal_fn *callback,
					  void *arg);
void daemon_signals_free(struct daemon_signals *signals); /* NULL is fine */

/* sd_notify(3), by one datagram to NOTIFY_SOCKET; nothing without it. */
enum daemon_state {
	DAEMON_READY,
	DAEMON_RELOADING,
	DAEMON_STOPPING,
	DAEMON_STATUS /* just the status */
};

/* status may be NULL. */
void daemon_notify(enum daemon_state state, const char *status);

/* The datagram's text; now_us is the monotonic clock's. */
void daemon_notify_text(struct buf *out, enum daemon_state state,
			const char *status, uint64_t now_us);

/* Sends to the socket at path ("@..." abstract); false with errno. */
bool daemon_notify_send(const char *path, const struct buf *text);

#endif
