#ifndef PGWEIR_PROXY_POOL_H
#define PGWEIR_PROXY_POOL_H

/*
 * The servers of one (database, user), on every node of the database, as one
 * worker sees them.  Idle servers are this worker's own; limits and the queue
 * of waiters are exact over all workers (proxy/quota).
 */
#include "core/login.h"
#include "core/settings.h"
#include "proxy/pool_replica.h"
#include "proxy/pool_view.h"
#include "proxy/quota.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct catalog;
struct config_database;
struct config_user;
struct headcount_place;
struct local;
struct mail;
struct pool;
struct pool_node;
struct topology_node;
struct server;

/*
 * The pool of a client's (database, user), made when missing; NULL when no
 * line of the configuration serves the database.  Counts a session in.
 */
struct pool *pool_join(struct local *local, const char *database,
		       const char *user);
void pool_leave(struct pool *pool);
/*
 * The same for a client that never uses the pool's servers but has one of
 * its own (proxy/pool_own): no catalog is loaded and no server kept for it.
 */
struct pool *pool_join_guest(struct local *local, const char *database,
			     const char *user);
void pool_leave_guest(struct pool *pool);

/*
 * What to log in at servers with, beside what the configuration says: keys
 * or password that a client's own login has proved.
 */
void pool_learn_keys(struct pool *pool, const uint8_t *client_key,
		     const uint8_t *server_key);
void pool_learn_password(struct pool *pool, const char *password);

/* --- facts --- */

const char *pool_database(const struct pool *pool);
const char *pool_dbname(const struct pool *pool);
const char *pool_user(const struct pool *pool); /* the client's */
/* The one that its servers log in as. */
const char *pool_server_user(const struct pool *pool);
/* Lines of the configuration now; NULL once the database is gone. */
const struct config_database *pool_config(const struct pool *pool);
const struct config_user *pool_config_user(const struct pool *pool);
/* Where its clients are counted. */
const struct headcount_place *pool_headcount(const struct pool *pool);
struct metrics_cell *pool_totals(const struct pool *pool);
struct metrics_cell *pool_gauges(const struct pool *pool);

/* Borrowed until the next mail; NULL: not loaded. */
const struct catalog *pool_catalog(const struct pool *pool);
/* After local_set_catalog. */
void pools_refresh_catalogs(struct local *local);

unsigned pool_node_count(const struct pool *pool);
struct pool_node *pool_node_at(const struct pool *pool, unsigned index);
/* Index of the primary among the pool's nodes, or -1. */
int pool_primary(const struct pool *pool);
/* ... and its number in the configuration, or -1. */
int pool_primary_id(const struct pool *pool);
/* Since when there is none (monotonic); 0: there is one. */
uint64_t pool_primary_missing_us(const struct pool *pool);
/* What was last seen of them, borrowed until the next mail; or NULL. */
const struct topology_node *pool_primary_seen(const struct pool *pool);
const struct topology_node *pool_node_seen(const struct pool *pool,
					   unsigned index);

/* How many sessions, of all workers, wait for a server of the node. */
unsigned pool_waiting(const struct pool *pool, unsigned index);

/* Changes when nodes may have got other indexes. */
uint64_t pool_generation(const struct pool *pool);

/* --- taking and giving --- */

/*
 * An idle server, at once, when nobody has been waiting longer; else NULL,
 * and the waiter stands in the queue until granted or refused is called or
 * pool_stop_waiting.
 */
struct server *pool_take(struct pool *pool, unsigned index,
			 struct quota_waiter *waiter);

/*
 * Of the idle servers of this worker the one where the last draw from a
 * sequence had this number is the next to be taken.
 */
void pool_favour(struct pool *pool, unsigned index, uint64_t draw_turn);

/* False when a grant is already on its way. */
bool pool_stop_waiting(struct pool *pool, unsigned index,
		       struct quota_waiter *waiter);

/* --- welcome --- */

/*
 * Appends the ParameterStatus messages that clients with these settings are
 * greeted with; false when no server has shown them yet.  settings NULL:
 * those of a plain client.
 */
bool pool_welcome(const struct pool *pool, const struct settings *settings,
		  struct buf *out);
/* Another value: what pool_welcome told before may not hold any more. */
uint64_t pool_welcome_age(const struct pool *pool);
/*
 * Appends them from what the server reports now, and remembers them; with
 * is_plain also as those of a client that sets nothing which is reported.
 */
void pool_make_welcome(const struct pool *pool, const struct settings *settings,
		       const struct server *server, bool is_plain,
		       struct buf *out);

/* --- the outside world changes --- */

/* After local's snapshot or topology was replaced. */
void pools_refresh(struct local *local);

/* Mail for pools; true when it was one and is taken. */
bool pools_take_mail(struct local *local, struct mail *mail);

/*
 * Shutting down: idle servers are closed now, others as soon as they rest.
 */
void pools_drain(struct local *local);

/* All sessions are gone: closes and frees everything. */
void pools_free(struct local *local);

/* Walks the pools, for the console. */
void pools_visit(struct local *local,
		 void (*visit)(void *arg, const struct pool *pool), void *arg);

#endif
