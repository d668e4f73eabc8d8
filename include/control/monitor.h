#ifndef PGWEIR_CONTROL_MONITOR_H
#define PGWEIR_CONTROL_MONITOR_H

/*
 * Knows of every node of the configuration what it is, whether it lives and
 * how far it is behind, and says so by snapshots.  Main thread.
 */
#include "core/topology.h"

#include <stdbool.h>

struct buf;
struct config;
struct event_base;
struct metrics;
struct monitor;
struct resolve;
struct users;

/*
 * A fresh snapshot for the generation of the config in use; the callee owns
 * the reference.  From the event loop only, whenever something that decides
 * routing changed, else about once an interval.
 */
typedef void monitor_fn(void *arg, struct topology *taken);

/*
 * Starts probing.  Names are taken from resolve (which the caller keeps for
 * as long and reloads first).  metrics may be NULL.
 */
struct monitor *monitor_new(struct event_base *base,
			    const struct config *config,
			    struct resolve *resolve, struct metrics *metrics,
			    monitor_fn *callback, void *arg);

/*
 * The auth_file, where the password of a line's user may stand (a reference
 * is taken; NULL: none).  Call before monitor_reload, or on its own.
 */
void monitor_set_users(struct monitor *monitor, const struct users *users);

/* Nodes that stay keep what is known of them; the others are asked at once. */
void monitor_reload(struct monitor *monitor, const struct config *config);

/*
 * Evidence of trouble (a lost server connection, 25006 from the believed
 * primary): asks this node now rather than at its next turn.  Costs little
 * when called often.
 */
void monitor_poke(struct monitor *monitor, unsigned node);

/*
 * Who says that somebody wants a database for himself just now: the monitor
 * stays away from it, and with that from its node.
 */
void monitor_set_shut(struct monitor *monitor,
		      bool (*is_shut)(void *arg, const char *dbname),
		      void *arg);
/* Leaves databases that are shut by now. */
void monitor_step_aside(struct monitor *monitor);
/*
 * Somebody waits for a newer position of this primary and its replicas: they
 * are asked at once, or right after the question that is under way.
 */
void monitor_hurry(struct monitor *monitor, unsigned node);

/* The newest snapshot, borrowed until the loop runs on. */
const struct topology *monitor_topology(const struct monitor *monitor);

void monitor_free(struct monitor *monitor);

#endif
