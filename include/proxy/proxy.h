#ifndef PGWEIR_PROXY_PROXY_H
#define PGWEIR_PROXY_PROXY_H

/*
 * All the workers: the face that the main thread sees.  Everything here is
 * called by the main thread and goes to the workers by mail.
 */
#include "proxy/local.h"
#include "proxy/session.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct client_login;
struct evict;
struct listeners;
struct metrics;
struct proxy;
struct topology;

struct proxy_hooks {
	/* Any worker's thread, see struct process. */
	void (*want_catalog)(void *arg, const char *database,
			     const char *dbname);
	void (*node_trouble)(void *arg, const char *label);
	void (*ask_main)(void *arg, struct evict *evict);
	void (*hurry)(void *arg, unsigned node);
	/*
	 * A client of the console (database pgweir or pgbouncer) has logged
	 * in; its worker's thread.  Takes what the login holds.
	 */
	void (*console)(void *arg, struct local *local,
			const struct client_login *login);
	void *arg;
};

/* Takes the snapshot, topology and addresses, as proxy_post_snapshot. */
struct proxy *proxy_new(struct metrics *metrics, unsigned workers,
			const struct proxy_hooks *hooks,
			struct snapshot *snapshot,
			const struct topology *topology,
			const struct node_address *addresses);

/*
 * Before the start: the first worker accepts, and shares clients out among
 * all.  The listeners stay the caller's and must outlive the proxy.  False
 * when the system refuses.
 */
bool proxy_serve(struct proxy *proxy, struct listeners *listeners);

/* Stops accepting, soon, and before what is asked for after it. */
void proxy_close_door(struct proxy *proxy);

/* Starts the threads; false with errno. */
bool proxy_start(struct proxy *proxy);

/*
 * A new configuration; topology is of its generation and addresses has as
 * many entries as it has nodes.  References are shared out; addresses are
 * copied, the caller keeps its own.
 */
void proxy_post_snapshot(struct proxy *proxy, struct snapshot *snapshot,
			 const struct topology *topology,
			 const struct node_address *addresses);
void proxy_post_topology(struct proxy *proxy, const struct topology *topology);
void proxy_post_address(struct proxy *proxy, uint64_t generation, unsigned node,
			const struct node_address *address);
void proxy_post_catalog(struct proxy *proxy, const char *database,
			const char *dbname, struct catalog *catalog);

/* Begins to end; may be called again with a hastier mode. */
void proxy_shutdown(struct proxy *proxy, enum session_shutdown mode);

/* Nothing is left to wait for in that mode. */
bool proxy_is_quiet(const struct proxy *proxy);

/* Stops and joins the threads, frees everything. */
void proxy_free(struct proxy *proxy);

struct process *proxy_process(struct proxy *proxy);

#endif
