/*
 * Greetings, shared by all workers under one mutex: they are looked up once
 * in the life of a connection.
 *
 * The settings are interned, so their address is part of the key for as long
 * as the entry holds its reference.  Strangers choose settings: past the
 * limit everything is forgotten and learned again.
 */
#include "proxy/welcome.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/settings.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { WELCOMES_MAX = 4096 };

struct welcome {
	const struct settings *settings;
	struct buf messages;
};

struct welcomes {
	_Atomic uint64_t age; /* changed under the mutex, read without */
	struct {
		pthread_mutex_t mutex;
		struct strmap *map;
	} shared;
};

struct welcomes *welcomes_new(void)
{
	struct welcomes *welcomes = xcalloc(1, sizeof(*welcomes));

	(void)pthread_mutex_init(&welcomes->shared.mutex, NULL);
	welcomes->shared.map = strmap_new();
	return welcomes;
}

static void free_welcome(void *value)
{
	struct welcome *welcome = value;

	if (welcome->settings)
		settings_release(welcome->settings);
	buf_free(&welcome->messages);
	free(welcome);
}

void welcomes_free(struct welcomes *welcomes)
{
	strmap_free(welcomes->shared.map, free_welcome);
	(void)pthread_mutex_destroy(&welcomes->shared.mutex);
	free(welcomes);
}

/* Lengths make it unambiguous: names are chosen by strangers. */
static char *key_of(const char *database, const char *user,
		    const struct settings *settings)
{
	size_t database_len = strlen(database);
	size_t user_len = strlen(user);
	char *key =
		xmalloc(2 * (size_t)UTIL_DIGITS + database_len + user_len + 3);
	size_t at = util_write_u64(key, (uintptr_t)settings);

	key[at++] = ' ';
	at += util_write_u64(key + at, database_len);
	key[at++] = ':';
	memcpy(key + at, database, database_len);
	at += database_len;
	memcpy(key + at, user, user_len);
	key[at + user_len] = '\0';
	return key;
}

bool welcomes_find(struct welcomes *welcomes, const char *database,
		   const char *user, const struct settings *settings,
		   struct buf *out)
{
	char *key = key_of(database, user, settings);
	const struct welcome *welcome;

	(void)pthread_mutex_lock(&welcomes->shared.mutex);
	welcome = strmap_get(welcomes->shared.map, key);
	if (welcome)
		buf_append(out, buf_head(&welcome->messages),
			   buf_len(&welcome->messages));
	(void)pthread_mutex_unlock(&welcomes->shared.mutex);
	free(key);
	return welcome != NULL;
}

uint64_t welcomes_age(const struct welcomes *welcomes)
{
	return atomic_load_explicit(&welcomes->age, memory_order_acquire);
}

/* Something is not as it was. */
static void grow_older(struct welcomes *welcomes)
{
	(void)atomic_fetch_add(&welcomes->age, 1);
}

/* The mutex is held. */
static void forget_all(struct welcomes *welcomes)
{
	grow_older(welcomes);
	strmap_free(welcomes->shared.map, free_welcome);
	welcomes->shared.map = strmap_new();
}

void welcomes_put(struct welcomes *welcomes, const char *database,
		  const char *user, const struct settings *settings,
		  struct buf *messages)
{
	struct welcome *welcome = xcalloc(1, sizeof(*welcome));
	char *key = key_of(database, user, settings);
	struct welcome *old;

	welcome->settings = settings ? settings_hold(settings) : NULL;
	buf_move(&welcome->messages, messages);
	assert(buf_len(messages) == 0);
	(void)pthread_mutex_lock(&welcomes->shared.mutex);
	if (strmap_count(welcomes->shared.map) >= WELCOMES_MAX)
		forget_all(welcomes);
	old = strmap_put(welcomes->shared.map, key, welcome);
	if (old)
		grow_older(welcomes);
	(void)pthread_mutex_unlock(&welcomes->shared.mutex);
	if (old)
		free_welcome(old);
	free(key);
}

/* The mutex is held; NULL when there is none. */
static char *find_of(const struct welcomes *welcomes, const char *database)
{
	char *head = xasprintf("%zu:%s", strlen(database), database);
	char *found = NULL;
	const char *key;
	size_t at = 0;

	while (!found && strmap_next(welcomes->shared.map, &at, &key, NULL))
		if (strncmp(strchr(key, ' ') + 1, head, strlen(head)) == 0)
			found = xstrdup(key);
	free(head);
	return found;
}

void welcomes_forget(struct welcomes *welcomes, const char *database)
{
	char *key;

	(void)pthread_mutex_lock(&welcomes->shared.mutex);
	grow_older(welcomes);
	while ((key = find_of(welcomes, database)) != NULL) {
		free_welcome(strmap_remove(welcomes->shared.map, key));
		free(key);
	}
	(void)pthread_mutex_unlock(&welcomes->shared.mutex);
}

void welcomes_clear(struct welcomes *welcomes)
{
	(void)pthread_mutex_lock(&welcomes->shared.mutex);
	forget_all(welcomes);
	(void)pthread_mutex_unlock(&welcomes->shared.mutex);
}
