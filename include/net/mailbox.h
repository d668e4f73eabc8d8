#ifndef PGWEIR_NET_MAILBOX_H
#define PGWEIR_NET_MAILBOX_H

/*
 * The only way from one thread into another: append an item, wake the
 * reader by an eventfd.  Items are delivered in order, on the reader's loop.
 */
#include "base/list.h"

#include <stdbool.h>

struct event_base;
struct mailbox;

/* Embedded as the first member of whatever is sent. */
struct mail {
	struct list link;
	int kind;
};

/*
 * deliver runs on the thread of base and owns each item from then on.  The
 * mailbox belongs to that thread.  NULL with errno when the system has no
 * descriptor left.
 */
struct mailbox *mailbox_new(struct event_base *base,
			    void (*deliver)(void *arg, struct mail *mail),
			    void *arg);

/* Delivers what is still queued, then frees.  No poster may be left. */
void mailbox_free(struct mailbox *mailbox);

/* Hands an item over; any thread.  Wakes the reader only when it sleeps. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

#endif
