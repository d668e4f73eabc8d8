#ifndef PGWEIR_MAIN_CATALOGS_H
#define PGWEIR_MAIN_CATALOGS_H

/*
 * Which catalogs are wanted, when each is loaded, and from where.  Loads are
 * few at a time, repeated every catalog_refresh, and tried again less and
 * less often while they fail.  Main thread.
 */
#include "core/topology.h"

#include <stdbool.h>

struct buf;
struct catalog;
struct catalogs;
struct config;
struct config_database;
struct dbddl_names;
struct event_base;
struct node_address;
struct users;

/* Called from the event loop. */
struct catalogs_hooks {
	/* What is known of the nodes; borrowed for the call. */
	const struct topology *(*topology)(void *arg);
	/* Where the nodes are; as many as the config has nodes. */
	const struct node_address *(*addresses)(void *arg);
	/* The auth_file, NULL: none; borrowed for the call. */
	const struct users *(*users)(void *arg);
	/*
	 * How far this primary and its replicas are is waited for; NULL:
	 * nobody can be asked.
	 */
	void (*hurry)(void *arg, unsigned node);
	/* No connection to this database for now; NULL: never asked. */
	bool (*is_shut)(void *arg, const char *dbname);
	/* A fresh catalog; the reference is the callee's. */
	void (*loaded)(void *arg, const char *database, const char *dbname,
		       struct catalog *catalog);
	void *arg;
};

/* Keeps a reference of the config. */
struct catalogs *catalogs_new(struct event_base *base,
			      const struct catalogs_hooks *hooks,
			      const struct config *config);

/*
 * A pool of this line of [databases] came into being, or somebody has seen a
 * sign that what is known is old (DDL, an undefined function); dbname is its
 * name on the server.  What is known already is loaded anew soon, however
 * often that is said.
 */
void catalogs_want(struct catalogs *catalogs, const char *database,
		   const char *dbname);

/*
 * The databases that the configuration names, ahead of their first clients:
 * call at the start and after catalogs_reload().  Known ones are left alone.
 */
void catalogs_want_named(struct catalogs *catalogs);

/*
 * News of the nodes: who waits for one looks again, and all is loaded anew when
 * another node is the primary.  Cheap when called often.
 */
void catalogs_look(struct catalogs *catalogs, const struct topology *topology);

/* Loads under way from these databases are broken off, and come later. */
void catalogs_empty(struct catalogs *catalogs, const struct dbddl_names *names);

/* These are gone or others now: they are loaded when they are wanted. */
void catalogs_forget(struct catalogs *catalogs,
		     const struct dbddl_names *names);

/* Forgets what the config has no more; looks at the rest anew. */
void catalogs_reload(struct catalogs *catalogs, const struct config *config);

void catalogs_free(struct catalogs *catalogs); /* NULL is fine */

/*
 * True when statements of this line have to be understood: they are split, or
 * what they leave behind matters to the next client of a server.
 */
bool catalogs_is_needed(const struct config *config,
			const struct config_database *line);

#endif
