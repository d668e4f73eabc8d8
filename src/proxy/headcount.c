/*
 * Clients per database and per user, under one mutex for the process: they
 * are counted once when they log in and once when they leave.
 *
 * Names are chosen by strangers, but only who has proved to be a user of a
 * database that exists is counted, and a name of which nobody is left is
 * forgotten.  Refuses to know what a limit is called or how a client is told.
 */
#include "proxy/headcount.h"

#include "base/strmap.h"
#include "base/util.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct headcount {
	struct {
		pthread_mutex_t mutex;
		struct strmap *databases; /* name -> number of clients */
		struct strmap *users;
	} shared;
};

struct headcount *headcount_new(void)
{
	struct headcount *headcount = xcalloc(1, sizeof(*headcount));

	(void)pthread_mutex_init(&headcount->shared.mutex, NULL);
	headcount->shared.databases = strmap_new();
	headcount->shared.users = strmap_new();
	return headcount;
}

void headcount_free(struct headcount *headcount)
{
	assert(strmap_count(headcount->shared.databases) == 0);
	assert(strmap_count(headcount->shared.users) == 0);
	strmap_free(headcount->shared.databases, NULL);
	strmap_free(headcount->shared.users, NULL);
	(void)pthread_mutex_destroy(&headcount->shared.mutex);
	free(headcount);
}

/* The mutex is held, here and in the next two. */
static bool is_full(const struct strmap *map, const char *name, unsigned limit)
{
	const unsigned *count = strmap_get(map, name);

	return limit > 0 && count && *count >= limit;
}

static void add(struct strmap *map, const char *name)
{
	unsigned *count = strmap_get(map, name);

	if (!count) {
		count = xcalloc(1, sizeof(*count));
		(void)strmap_put(map, name, count);
	}
	++*count;
}

static void subtract(struct strmap *map, const char *name)
{
	unsigned *count = strmap_get(map, name);

	assert(count && *count > 0);
	if (--*count > 0)
		return;
	(void)strmap_remove(map, name);
	free(count);
}

enum headcount_answer headcount_enter(struct headcount *headcount,
				      const char *database, const char *user,
				      const struct headcount_limits *limits)
{
	enum headcount_answer answer = HEADCOUNT_GRANTED;

	(void)pthread_mutex_lock(&headcount->shared.mutex);
	if (is_full(headcount->shared.databases, database, limits->database)) {
		answer = HEADCOUNT_DATABASE_FULL;
	} else if (is_full(headcount->shared.users, user, limits->user)) {
		answer = HEADCOUNT_USER_FULL;
	} else {
		add(headcount->shared.databases, database);
		add(headcount->shared.users, user);
	}
	(void)pthread_mutex_unlock(&headcount->shared.mutex);
	return answer;
}

void headcount_leave(struct headcount *headcount, const char *database,
		     const char *user)
{
	(void)pthread_mutex_lock(&headcount->shared.mutex);
	subtract(headcount->shared.databases, database);
	subtract(headcount->shared.users, user);
	(void)pthread_mutex_unlock(&headcount->shared.mutex);
}
