#ifndef PGWEIR_PROXY_HEADCOUNT_H
#define PGWEIR_PROXY_HEADCOUNT_H

/*
 * How many clients are logged in, per database and per user, over all
 * workers: for max_db_client_connections and max_user_client_connections.
 */
#include <stdbool.h>

struct headcount;
struct headcount_place;

struct headcount *headcount_new(void);
/* Everybody has left. */
void headcount_free(struct headcount *headcount);

/* 0: none. */
struct headcount_limits {
	unsigned database;
	unsigned user;
};

enum headcount_answer {
	HEADCOUNT_GRANTED, /* the client is counted now */
	HEADCOUNT_DATABASE_FULL,
	HEADCOUNT_USER_FULL
};

/* Where clients of a database and a user are counted.  Any thread. */
struct headcount_place *headcount_open(struct headcount *headcount,
				       const char *database, const char *user);
/* Nobody else, on whatever thread, had a place of its database then. */
bool headcount_is_first(const struct headcount_place *place);
/* Clients that were counted there may still be about. */
void headcount_close(struct headcount *headcount,
		     struct headcount_place *place);

/* Any thread; exact over all of them. */
enum headcount_answer headcount_enter(struct headcount *headcount,
				      const struct headcount_place *place,
				      const struct headcount_limits *limits);

/* A client that headcount_enter has counted is gone.  Any thread. */
void headcount_leave(struct headcount *headcount,
		     const struct headcount_place *place);
/* The same, of one whose place is closed. */
void headcount_leave_named(struct headcount *headcount, const char *database,
			   const char *user);

#endif
