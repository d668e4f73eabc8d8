#ifndef PGWEIR_CONTROL_MONITOR_LOGIN_H
#define PGWEIR_CONTROL_MONITOR_LOGIN_H

/* As whom a node is asked by pgweir itself. */
#include <stdbool.h>

struct config;
struct users;

/*
 * Who asks: monitor_user, else an auth_user of the node's cluster whose plain
 * password is known, else the user of the first database line on the node that
 * has one, else "postgres"; and his password, NULL: none given.
 */
struct monitor_login {
	const char *user;
	const char *password;
	const char *dbname;
	bool is_ours; /* there to look around: monitor_user, auth_user */
};
struct monitor_login monitor_login_of(const struct config *config,
				      unsigned node);

/* The same with passwords from the auth_file (NULL: none), borrowed. */
struct monitor_login monitor_login_with(const struct config *config,
					const struct users *users,
					unsigned node);

/*
 * The password that a user needs at a server: the one of his line, else the
 * one of users (may be NULL) if that is a plain one, else NULL.
 */
const char *monitor_password_of(const char *password, const char *user,
				const struct users *users);

#endif
