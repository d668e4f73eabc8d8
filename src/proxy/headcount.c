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

/* Of a database, or of a user; there while somebody counts or is counted. */
struct tally {
	char *name;
	unsigned clients;
	unsigned places;
};

struct headcount_place {
	bool is_first;
	struct tally *database;
	struct tally *user;
};

struct headcount {
	struct {
		pthread_mutex_t mutex;
		struct strmap *databases; /* name -> tally */
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

static void lock(struct headcount *headcount)
{
	(void)pthread_mutex_lock(&headcount->shared.mutex);
}

static void unlock(struct headcount *headcount)
{
	(void)pthread_mutex_unlock(&headcount->shared.mutex);
}

/* The mutex is held, here and in the next two. */
static struct tally *tally_open(struct strmap *map, const char *name)
{
	struct tally *tally = strmap_get(map, name);

	if (!tally) {
		tally = xcalloc(1, sizeof(*tally));
		tally->name = xstrdup(name);
		(void)strmap_put(map, name, tally);
	}
	tally->places++;
	return tally;
}

static void drop_if_unused(struct strmap *map, struct tally *tally)
{
	if (tally->clients > 0 || tally->places > 0)
		return;
	(void)strmap_remove(map, tally->name);
	free(tally->name);
	free(tally);
}

static void subtract(struct strmap *map, const char *name)
{
	struct tally *tally = strmap_get(map, name);

	assert(tally && tally->clients > 0);
	tally->clients--;
	drop_if_unused(map, tally);
}

struct headcount_place *headcount_open(struct headcount *headcount,
				       const char *database, const char *user)
{
	struct headcount_place *place = xcalloc(1, sizeof(*place));

	lock(headcount);
	place->database = tally_open(headcount->shared.databases, database);
	place->user = tally_open(headcount->shared.users, user);
	place->is_first = place->database->places == 1;
	unlock(headcount);
	return place;
}

bool headcount_is_first(const struct headcount_place *place)
{
	return place->is_first;
}

void headcount_close(struct headcount *headcount, struct headcount_place *place)
{
	lock(headcount);
	place->database->places--;
	drop_if_unused(headcount->shared.databases, place->database);
	place->user->places--;
	drop_if_unused(headcount->shared.users, place->user);
	unlock(headcount);
	free(place);
}

static bool is_full(const struct tally *tally, unsigned limit)
{
	return limit > 0 && tally->clients >= limit;
}

enum headcount_answer headcount_enter(struct headcount *headcount,
				      const struct headcount_place *place,
				      const struct headcount_limits *limits)
{
	enum headcount_answer answer = HEADCOUNT_GRANTED;

	lock(headcount);
	if (is_full(place->database, limits->database)) {
		answer = HEADCOUNT_DATABASE_FULL;
	} else if (is_full(place->user, limits->user)) {
		answer = HEADCOUNT_USER_FULL;
	} else {
		place->database->clients++;
		place->user->clients++;
	}
	unlock(headcount);
	return answer;
}

void headcount_leave(struct headcount *headcount,
		     const struct headcount_place *place)
{
	lock(headcount);
	assert(place->database->clients > 0 && place->user->clients > 0);
	place->database->clients--;
	place->user->clients--;
	unlock(headcount);
}

void headcount_leave_named(struct headcount *headcount, const char *database,
			   const char *user)
{
	lock(headcount);
	subtract(headcount->shared.databases, database);
	subtract(headcount->shared.users, user);
	unlock(headcount);
}
