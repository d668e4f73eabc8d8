#ifndef PGWEIR_CONTROL_LOOKUP_H
#define PGWEIR_CONTROL_LOOKUP_H

/*
 * getaddrinfo in a thread of its own: questions go in, answers come out on
 * the event loop.  One look-up at a time, in order.
 */
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LOOKUP_ADDRESSES = 16 };

struct lookup_address {
	struct sockaddr_storage address; /* with the port */
	socklen_t len;
};

struct lookup_answer {
	uint64_t id;
	int error; /* EAI_..., 0 none */
	unsigned count;
	struct lookup_address addresses[LOOKUP_ADDRESSES];
};

struct event_base;
struct lookup;

/*
 * answered is called on the thread of base.  NULL when the system gives no
 * thread or descriptor.
 */
struct lookup *lookup_new(struct event_base *base,
			  void (*answered)(void *arg,
					   const struct lookup_answer *answer),
			  void *arg);

/* Returns at once; a look-up that hangs ends with its thread, unheard. */
void lookup_free(struct lookup *lookup);

/* Asks for the addresses of host; the answer carries id. */
void lookup_ask(struct lookup *lookup, uint64_t id, const char *host,
		uint16_t port);

/* Blocking: for the helper thread, and with numeric_only for anyone. */
void lookup_now(const char *host, uint16_t port, bool numeric_only,
		struct lookup_answer *answer);

#endif
