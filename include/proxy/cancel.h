#ifndef PGWEIR_PROXY_CANCEL_H
#define PGWEIR_PROXY_CANCEL_H

/*
 * Cancel requests: from the client that sends one, over the worker of the
 * session that it names, to the node that runs its statement.
 */
#include <stdbool.h>
#include <stdint.h>

struct local;
struct mail;
struct stream;

/* Takes the stream of a client that asks; it is closed when all is over. */
void cancel_ask(struct local *local, struct stream *stream, uint32_t pid,
		uint32_t key);

/* Mail for this room; true when it was one and is taken. */
bool cancels_take_mail(struct local *local, struct mail *mail);

/* Ends whatever is under way; the worker stops. */
void cancels_free(struct local *local);

#endif
