/*
 * The log.  A line is formatted on the caller's stack, made printable, and
 * written by one write() under a mutex, so that lines of two threads never
 * mix and a re-opened file never tears one.
 *
 * The level is a relaxed atomic: a change may be seen a moment late.
 */
#include "base/log.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048 };

static const char *const level_names[] = {
#define LOG_NAME(id, name) name,
	LOG_LEVELS(LOG_NAME)
#undef LOG_NAME
};

static const int level_priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
					LOG_DEBUG, LOG_DEBUG };

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "daemon", LOG_DAEMON },     { "auth", LOG_AUTH },
	{ "authpriv", LOG_AUTHPRIV }, { "user", LOG_USER },
	{ "local0", LOG_LOCAL0 },     { "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 },     { "local3", LOG_LOCAL3 },
	{ "local4", LOG_LOCAL4 },     { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 },     { "local7", LOG_LOCAL7 },
};

static _Atomic int level_now = LEVEL_INFO;

static struct {
	pthread_mutex_t mutex;
	int fd;
	bool quiet;
	char *ident;
} shared = { PTHREAD_MUTEX_INITIALIZER, -1, false, NULL };

/* NULL, or a word that the table of options would refuse: daemon. */
static int facility_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof(facilities) / sizeof(*facilities);
	     i++)
		if (strcasecmp(facilities[i].name, name) == 0)
			return facilities[i].facility;
	return LOG_DAEMON;
}

/* openlog keeps the pointer, so the ident lives in shared. */
static void syslog_switch(const struct log_target *target)
{
	char *old = shared.ident;

	if (old)
		closelog();
	shared.ident = target->syslog ? xstrdup(target->syslog) : NULL;
	if (shared.ident)
		openlog(shared.ident, LOG_PID | LOG_NDELAY,
			facility_of(target->facility));
	free(old);
}

bool log_open(const struct log_target *target)
{
	int fd = -1;
	int old;

	if (target->file && *target->file) {
		fd = open(target->file,
			  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (fd < 0)
			return false;
	}
	(void)pthread_mutex_lock(&shared.mutex);
	old = shared.fd;
	shared.fd = fd;
	shared.quiet = target->quiet;
	syslog_switch(target);
	(void)pthread_mutex_unlock(&shared.mutex);
	if (old >= 0)
		(void)close(old);
	return true;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
	return (int)level <=
	       atomic_load_explicit(&level_now, memory_order_relaxed);
}

/*
 * Control characters could forge lines or drive a terminal; those above
 * U+007F are two bytes of UTF-8.
 */
static bool is_control(const char *text)
{
	unsigned char first = (unsigned char)text[0];
	unsigned char second = (unsigned char)text[1];

	if (first == 0xc2)
		return second >= 0x80 && second < 0xa0;
	return first < 0x20 || first == 0x7f;
}

static void make_printable(char *text)
{
	for (; *text; text++) {
		if (!is_control(text))
			continue;
		if ((unsigned char)*text == 0xc2)
			*text++ = '?';
		*text = '?';
	}
}

static size_t format_head(char *line, size_t room, enum log_level level)
{
	uint64_t wall = util_wall_us();
	time_t seconds = (time_t)(wall / 1000000U);
	struct tm parts;
	size_t len;

	(void)localtime_r(&seconds, &parts);
	len = strftime(line, room, "%Y-%m-%d %H:%M:%S", &parts);
	return len + (size_t)snprintf(line + len, room - len, ".%03u [%d] %s ",
				      (unsigned)(wall / 1000U % 1000U),
				      (int)getpid(), level_names[level]);
}

/*
 * One write: with O_APPEND lines of several processes do not mix either.  A
 * file that fails (a full disk) makes us speak on the terminal again.
 */
static void write_line(enum log_level level, const char *line, size_t len,
		       const char *text)
{
	(void)pthread_mutex_lock(&shared.mutex);
	if (shared.fd >= 0 && write(shared.fd, line, len) < 0)
		shared.quiet = false;
	if (!shared.quiet && write(STDERR_FILENO, line, len) < 0)
		shared.quiet = true;
	if (shared.ident)
		syslog(level_priorities[level], "%s", text);
	(void)pthread_mutex_unlock(&shared.mutex);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	int saved_errno = errno;
	va_list args;
	size_t head;
	size_t len;

	if (!log_is_on(level))
		return;
	head = format_head(line, sizeof(line), level);
	va_start(args, format);
	(void)vsnprintf(line + head, sizeof(line) - head - 1, format, args);
	va_end(args);
	make_printable(line + head);
	len = head + strlen(line + head);
	line[len] = '\n';
	line[len + 1] = '\0';
	write_line(level, line, len + 1, line + head);
	errno = saved_errno;
}
