#ifndef PGWEIR_PROXY_POOL_PARTS_H
#define PGWEIR_PROXY_POOL_PARTS_H

/*
 * The inside of pools, for the rooms that they are made of: pool (who, what,
 * where), pool_node (servers and waiters on one node) and pool_own (servers
 * of one client alone).
 */
#include "base/buf.h"
#include "base/list.h"
#include "base/wheel.h"
#include "core/replicas.h"
#include "net/worker.h"
#include "proxy/pool_view.h"
#include "proxy/quota.h"
#include "proxy/server_types.h"

struct config_database;
struct config_user;
struct local;
struct quota;
struct settings;

struct pool_node {
	struct pool *pool;
	struct server_site site;
	char *label;
	char *host;
	struct quota *quota;
	struct quota_limits limits; /* as configured now */
	unsigned reserve;           /* servers beyond limits.pool ... */
	uint64_t reserve_wait_us;   /* ... for who waited so long; 0: none */
	struct list idle;           /* most recently used first */
	struct list busy;           /* all others */
	unsigned idle_count;
	unsigned busy_count;
	bool is_retired;   /* no longer in the configuration */
	bool is_draining;  /* shutting down */
	bool was_up;       /* as the topology said when last looked */
	unsigned failures; /* connection attempts in a row */
	uint64_t retry_us; /* no attempt before; 0: any time */
	/* Refused the last login: a database or role is not there (yet). */
	bool is_lacking;
	struct replicas_load load; /* of reads, while it is a replica */
	uint64_t reads;            /* sent there */
	struct worker_task feed;
	struct wheel_timer upkeep;
	struct list retired_link;
};

struct pool {
	struct local *local;
	char *key;
	char *database; /* as the client knows it */
	char *user;
	char *dbname;
	char *server_user;
	char *secret; /* to log in with; NULL none */
	bool has_keys;
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
	const struct config_database *config;  /* of the snapshot */
	const struct config_user *config_user; /* the same; NULL: no line */
	const struct catalog *catalog;         /* local's */
	uint64_t generation; /* of the configuration that it follows */
	uint64_t renewed_us; /* servers begun before are old */
	uint64_t changed_us; /* a replica must have all that was before */
	uint64_t floor;      /* of the accounts of replicas (core/replicas) */
	struct headcount_place *headcount;
	uint64_t missing_us; /* without a primary since; 0: has one */
	unsigned sessions;
	unsigned guests; /* clients with a server of their own */
	unsigned node_count;
	struct pool_node **nodes;
	struct list retired; /* nodes that await their last server */
	struct metrics_cell *totals;
	struct metrics_cell *cell;
	struct worker_task farewell; /* frees an unused pool */
};

/* --- pool_node --- */

struct pool_node *pool_node_new(struct pool *pool, const char *label,
				const char *host);
/* Without servers and waiters. */
void pool_node_free(struct pool_node *node);
/* Takes what the topology says of it now. */
void pool_node_refresh(struct pool_node *node, unsigned index);
/*
 * If it is a replica that is down, takes back what can be done elsewhere:
 * nobody knows when one that hangs would answer.  Sessions may be called.
 */
void pool_node_forsake(struct pool_node *node);
void pool_node_retire(struct pool_node *node);
void pool_node_drain(struct pool_node *node);
bool pool_node_is_empty(const struct pool_node *node);
/* Gives servers to waiters, opens what may be opened; at the turn's end. */
void pool_node_feed_later(struct pool_node *node);
/* Closes the idle server that was used least recently. */
void pool_node_evict(struct pool_node *node);
/* A server came from another worker. */
void pool_node_adopt(struct pool_node *node, struct server *server,
		     uint64_t session);
struct server *pool_node_take_idle(struct pool_node *node);
/* MAIL_FEED, MAIL_FEED_ALL or MAIL_EVICT (proxy/mail). */
void pool_node_post(const struct pool_node *node, unsigned worker, int kind,
		    const char *pool_key);
/* A place under a limit that pools share is free: all who wait may look. */
void pool_node_tell_freed(const struct pool_node *node);
/* Why a connection did not come about, for the counters. */
enum metrics_connect_error pool_node_classify(const char *sqlstate);

#endif
