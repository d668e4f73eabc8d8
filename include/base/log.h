#ifndef PGWEIR_BASE_LOG_H
#define PGWEIR_BASE_LOG_H

/*
 * One line per event, to stderr, a file and syslog.  A line says subject,
 * cause and consequence.  Bytes from outside are made printable here, once,
 * for every line; secrets are the caller's business: never pass one.
 */
#include <stdbool.h>

/* Table: enum and names together. */
#define LOG_LEVELS(X)         \
	X(ERROR, "ERROR")     \
	X(WARNING, "WARNING") \
	X(INFO, "LOG")        \
	X(DEBUG, "DEBUG")     \
	X(NOISE, "NOISE")

enum log_level {
#define LOG_ENUM(id, name) LEVEL_##id,
	LOG_LEVELS(LOG_ENUM)
#undef LOG_ENUM
};

struct log_target {
	const char *file;     /* NULL or "": no file */
	bool quiet;           /* nothing to stderr */
	const char *syslog;   /* ident, NULL: no syslog */
	const char *facility; /* "daemon", "local0", ...; NULL: daemon */
};

/*
 * Opens (or, called again, re-opens) the targets; on failure the old ones
 * stay in use and false comes back with errno set.  Main thread.
 */
bool log_open(const struct log_target *target);

/* Most detailed level that is written (default LEVEL_INFO).  Any thread. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* Any thread; lines never mix. */
void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LEVEL_INFO, __VA_ARGS__)

/* Arguments are not evaluated unless the level is on. */
#define log_debug(...) \
	(log_is_on(LEVEL_DEBUG) ? log_write(LEVEL_DEBUG, __VA_ARGS__) : (void)0)
#define log_noise(...) \
	(log_is_on(LEVEL_NOISE) ? log_write(LEVEL_NOISE, __VA_ARGS__) : (void)0)

#endif
