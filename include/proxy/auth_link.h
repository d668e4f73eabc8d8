#ifndef PGWEIR_PROXY_AUTH_LINK_H
#define PGWEIR_PROXY_AUTH_LINK_H

/*
 * auth_query: secrets of users who are not in auth_file, asked of a server as
 * auth_user when one of them logs in.  Each worker has a connection of its
 * own for each database that is asked, as long as there are questions.
 */
#include <stdbool.h>

struct auth_question;
struct authanswer;
struct dbddl_names;
struct local;

/* Does this login need an answer?  The database is the client's. */
bool auth_link_is_due(const struct local *local, const char *database,
		      const char *user);

/*
 * Asks for a user's secret.  answered is called once, later, with an answer
 * that is valid during the call, unless auth_link_forget comes first.  NULL
 * when nobody can be asked now.
 */
struct auth_question *auth_link_ask(
	struct local *local, const char *database, const char *user,
	void (*answered)(void *arg, const struct authanswer *answer),
	void *arg);

/* The client has left.  NULL is fine. */
void auth_link_forget(struct auth_question *question);

/* Leaves databases of these names on the server: they shall be empty. */
void auth_links_leave(struct local *local, const struct dbddl_names *names);

/* The worker stops. */
void auth_links_free(struct local *local);

#endif
