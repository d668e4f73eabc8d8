#ifndef PGWEIR_PROXY_KEYRING_H
#define PGWEIR_PROXY_KEYRING_H

/*
 * The cancel keys of sessions whose process number says nothing about which
 * worker has them: those that announce their server's own, and those that
 * have moved.
 */
#include <stdbool.h>
#include <stdint.h>

struct keyring;

struct keyring *keyring_new(void);
/* All sessions have left. */
void keyring_free(struct keyring *keyring);

/* Whose a key is. */
struct keyring_owner {
	uint64_t session;
	unsigned worker;
};

/*
 * Draws a secret that nobody else has together with that process number, and
 * enters the pair.  Any thread.
 */
uint32_t keyring_add(struct keyring *keyring, uint32_t pid,
		     struct keyring_owner owner);
/* Enters a pair that is in use, or says who has it now.  Any thread. */
void keyring_put(struct keyring *keyring, uint32_t pid, uint32_t secret,
		 struct keyring_owner owner);
/* Takes out what was entered.  Any thread. */
void keyring_remove(struct keyring *keyring, uint32_t pid, uint32_t secret);
/* False: nobody's.  Any thread. */
bool keyring_find(struct keyring *keyring, uint32_t pid, uint32_t secret,
		  struct keyring_owner *owner);

#endif
