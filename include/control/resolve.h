#ifndef PGWEIR_CONTROL_RESOLVE_H
#define PGWEIR_CONTROL_RESOLVE_H

/*
 * Addresses of the configuration's nodes.  Names are looked up by one helper
 * thread, as the system does it (getaddrinfo: hosts file, nsswitch, DNS), so
 * that no other thread ever waits for a name server.
 */
#include <stdbool.h>
#include <sys/socket.h>

struct config;
struct event_base;
struct resolve;

/*
 * A node has an address, its first or another one.  Called on the main
 * thread; inside resolve_new and resolve_reload for numeric addresses and
 * Unix sockets, from the event loop for names.  The address holds the
 * node's port.
 */
typedef void resolve_fn(void *arg, unsigned node,
			const struct sockaddr_storage *address, socklen_t len);

struct resolve *resolve_new(struct event_base *base,
			    const struct config *config, resolve_fn *callback,
			    void *arg);

/*
 * Numbers of nodes are those of the new config from here on; called back for
 * every node that has an address.  Hosts that stay keep what is known.
 */
void resolve_reload(struct resolve *resolve, const struct config *config);

/* A look-up that hangs is left to its thread; nobody is called any more. */
void resolve_free(struct resolve *resolve);

/* The address in use, borrowed until the loop runs on; NULL: none known. */
const struct sockaddr_storage *resolve_address(const struct resolve *resolve,
					       unsigned node, socklen_t *len);

/* True while a first look-up may still bring an address at any moment. */
bool resolve_is_pending(const struct resolve *resolve, unsigned node);

/*
 * The address in use did not answer: goes on to the next one (and calls
 * back) and returns true; false when all were tried since the last success.
 */
bool resolve_next(struct resolve *resolve, unsigned node);

/* The address in use answered. */
void resolve_worked(struct resolve *resolve, unsigned node);

/* Names that are known, and look-ups under way, for the metrics. */
unsigned resolve_count_names(const struct resolve *resolve);
unsigned resolve_count_pending(const struct resolve *resolve);

#endif
