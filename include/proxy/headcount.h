#ifndef PGWEIR_PROXY_HEADCOUNT_H
#define PGWEIR_PROXY_HEADCOUNT_H

/*
 * How many clients are logged in, per database and per user, over all
 * workers: for max_db_client_connections and max_user_client_connections.
 */
struct headcount;

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

/* Any thread; exact over all of them. */
enum headcount_answer headcount_enter(struct headcount *headcount,
				      const char *database, const char *user,
				      const struct headcount_limits *limits);

/* A client that headcount_enter has counted is gone.  Any thread. */
void headcount_leave(struct headcount *headcount, const char *database,
		     const char *user);

#endif
