#ifndef PGWEIR_PROXY_NOTIFIERS_H
#define PGWEIR_PROXY_NOTIFIERS_H

/*
 * Whose notifications a backend sends: the process number that its client was
 * told at login, which the client compares with that of a notification.  One
 * table for the process, without a lock, that forgets when two backends meet
 * in one place: then the backend's own number is as good as any.
 */
#include <stdint.h>

struct notifiers;

struct notifiers *notifiers_new(void);
void notifiers_free(struct notifiers *notifiers);

/* What notifiers_set() knows a backend of a node by, to be kept. */
uint64_t notifiers_key(const char *node, uint32_t backend);

/* From here on that backend works for that client.  Any thread. */
void notifiers_set(struct notifiers *notifiers, uint64_t key, uint32_t client);

/* The client's number, or backend when it is not known.  Any thread. */
uint32_t notifiers_find(const struct notifiers *notifiers, const char *node,
			uint32_t backend);

#endif
