/*
 * As whom a node is asked by pgweir itself: by the monitor for its role and
 * its lag, and by the reader of catalogs.
 *
 * Refuses to guess passwords: only one that the configuration has in plain
 * text is used.  Pure; main thread.
 */
#include "control/monitor_login.h"

#include "core/config.h"
#include "core/passwd.h"
#include "core/users.h"

#include <stddef.h>

/* The nodes of a [databases] line are numbers in config->nodes. */
static bool line_has_node(const struct config_database *line, unsigned node)
{
	/* Without monitor_user: the first line's user who can log in there. */
	for (unsigned i = 0; i < line->node_count; i++)
		if (line->nodes[i] == node)
			return true;
	return false;
}

static bool is_set(const char *text)
{
	return text && *text;
}

/*
 * Only a password in plain text helps a client of the server: a SCRAM verifier
 * or an MD5 hash of auth_file proves nothing there.
 */
const char *monitor_password_of(const char *password, const char *user,
				const struct users *users)
{
	const char *secret;

	if (is_set(password))
		return password;
	secret = users_find(users, user);
	return passwd_kind_of(secret) == PASSWD_PLAIN ? secret : NULL;
}

/* Of the same cluster: some line has both the node and one of this line's. */
static bool is_beside(const struct config *config,
		      const struct config_database *line, unsigned node)
{
	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *other = &config->databases[i];

		if (!line_has_node(other, node))
			continue;
		for (unsigned j = 0; j < line->node_count; j++)
			if (line_has_node(other, line->nodes[j]))
				return true;
	}
	return false;
}

/*
 * He is there to log in and look around, and his connections are nobody's
 * pool: only if pgweir can log in as him, though.
 */
static const char *find_auth_user(const struct config *config,
				  const struct users *users, unsigned node)
{
	const char *usual = config->settings.auth_user;

	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];
		const char *user =
			is_set(line->auth_user) ? line->auth_user : usual;

		if (is_set(user) &&
		    monitor_password_of(NULL, user, users) != NULL &&
		    is_beside(config, line, node))
			return user;
	}
	return NULL;
}

static const struct config_database *find_line(const struct config *config,
					       unsigned node)
{
	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];

		if (is_set(line->user) && line_has_node(line, node))
			return line;
	}
	return NULL;
}

/* The first of those who may be asked for. */
static void choose_user(const struct config *config, const struct users *users,
			unsigned node, struct monitor_login *login)
{
	const struct config_database *line;
	const char *user = config->settings.monitor_user;

	if (!is_set(user))
		user = find_auth_user(config, users, node);
	login->is_ours = is_set(user);
	if (login->is_ours) {
		login->user = user;
		return;
	}
	line = find_line(config, node);
	if (!line)
		return;
	login->user = line->user;
	login->password = line->password;
}

struct monitor_login monitor_login_with(const struct config *config,
					const struct users *users,
					unsigned node)
{
	const struct config_settings *settings = &config->settings;
	struct monitor_login login = { "postgres", NULL, "postgres", false };

	if (is_set(settings->monitor_dbname))
		login.dbname = settings->monitor_dbname;
	choose_user(config, users, node, &login);
	if (is_set(settings->monitor_password))
		login.password = settings->monitor_password;
	login.password = monitor_password_of(login.password, login.user, users);
	return login;
}

struct monitor_login monitor_login_of(const struct config *config,
				      unsigned node)
{
	return monitor_login_with(config, NULL, node);
}
