#ifndef PGWEIR_CONTROL_MONITOR_CHECK_H
#define PGWEIR_CONTROL_MONITOR_CHECK_H

/*
 * The probing half of pgweir --check: asks every node once and tries the
 * logins of the [databases] lines.
 */
#include <stdbool.h>

struct buf;
struct config;
struct users;

/*
 * Blocks until every node has answered or run into monitor_timeout, with an
 * event loop of its own, and appends what was found to out, a line each.
 * Passwords of forced users come from the line, else (plain ones) from users,
 * which may be NULL.  True when every node was reached and said what it is,
 * every database has a primary and every login that can be tried works.
 */
bool monitor_check_once(const struct config *config, const struct users *users,
			struct buf *out);

#endif
