/*
 * Cancel keys by process number and secret, under one mutex for the process:
 * a session is entered once and taken out once, and looked up only when a
 * cancel request comes.
 *
 * Servers of different nodes may have the same process number, so the pair
 * is what must be unique; all 32 bits of the secret are random.  The map
 * hashes with a key of its own, so that the time of a look-up tells nothing
 * about the secrets that are in it.  Knows no sessions, only their numbers.
 */
#include "proxy/keyring.h"

#include "base/strmap.h"
#include "base/util.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct keyring {
	struct {
		pthread_mutex_t mutex;
		struct strmap *owners; /* struct key -> struct keyring_owner */
	} shared;
};

struct key {
	uint32_t pid;
	uint32_t secret;
};

struct keyring *keyring_new(void)
{
	struct keyring *keyring = xcalloc(1, sizeof(*keyring));

	(void)pthread_mutex_init(&keyring->shared.mutex, NULL);
	keyring->shared.owners = strmap_new();
	return keyring;
}

void keyring_free(struct keyring *keyring)
{
	assert(strmap_count(keyring->shared.owners) == 0);
	strmap_free(keyring->shared.owners, NULL);
	(void)pthread_mutex_destroy(&keyring->shared.mutex);
	free(keyring);
}

uint32_t keyring_add(struct keyring *keyring, uint32_t pid,
		     struct keyring_owner owner)
{
	struct keyring_owner *entry = xmalloc(sizeof(*entry));
	struct strmap *owners = keyring->shared.owners;
	struct key key = { .pid = pid };

	*entry = owner;
	(void)pthread_mutex_lock(&keyring->shared.mutex);
	do
		util_random(&key.secret, sizeof(key.secret));
	while (strmap_get_bytes(owners, &key, sizeof(key)));
	(void)strmap_put_bytes(owners, &key, sizeof(key), entry);
	(void)pthread_mutex_unlock(&keyring->shared.mutex);
	return key.secret;
}

void keyring_put(struct keyring *keyring, uint32_t pid, uint32_t secret,
		 struct keyring_owner owner)
{
	struct keyring_owner *entry = xmalloc(sizeof(*entry));
	const struct key key = { pid, secret };

	*entry = owner;
	(void)pthread_mutex_lock(&keyring->shared.mutex);
	free(strmap_put_bytes(keyring->shared.owners, &key, sizeof(key),
			      entry));
	(void)pthread_mutex_unlock(&keyring->shared.mutex);
}

void keyring_remove(struct keyring *keyring, uint32_t pid, uint32_t secret)
{
	const struct key key = { pid, secret };

	(void)pthread_mutex_lock(&keyring->shared.mutex);
	free(strmap_remove_bytes(keyring->shared.owners, &key, sizeof(key)));
	(void)pthread_mutex_unlock(&keyring->shared.mutex);
}

bool keyring_find(struct keyring *keyring, uint32_t pid, uint32_t secret,
		  struct keyring_owner *owner)
{
	const struct key key = { pid, secret };
	const struct keyring_owner *entry;

	(void)pthread_mutex_lock(&keyring->shared.mutex);
	entry = strmap_get_bytes(keyring->shared.owners, &key, sizeof(key));
	if (entry)
		*owner = *entry;
	(void)pthread_mutex_unlock(&keyring->shared.mutex);
	return entry != NULL;
}
