#ifndef PGWEIR_PROXY_LOCAL_H
#define PGWEIR_PROXY_LOCAL_H

/*
 * What all the proxy rooms of one worker share: its snapshots of the outside
 * world, its caches and its tables.  Belongs to the worker's thread; other
 * threads send mail.
 */
#include "core/config.h"
#include "core/metrics_rows.h"
#include "core/topology.h"
#include "net/mailbox.h"
#include "net/stream.h"
#include "net/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct catalog;
struct changes;
struct dbddl_names;
struct evict;
struct headcount;
struct keyring;
struct local;
struct metrics;
struct metrics_cell;
struct notifiers;
struct orders;
struct quotas;
struct recur;
struct server;
struct shapes;
struct strmap;
struct tls;
struct tls_context;
struct users;
struct welcomes;

/* One configuration with what was read for it; immutable, any thread. */
struct snapshot {
	_Atomic unsigned refs;
	const struct config *config;
	const struct users *users;      /* NULL: no auth_file */
	struct tls_context *client_tls; /* NULL: off */
	struct tls_context *server_tls;
};

/* Takes its arguments' references. */
struct snapshot *snapshot_new(const struct config *config,
			      const struct users *users,
			      struct tls_context *client_tls,
			      struct tls_context *server_tls);
struct snapshot *snapshot_hold(struct snapshot *snapshot);
void snapshot_release(struct snapshot *snapshot); /* NULL is fine */

/* Where a node is, resolved by the main thread. */
struct node_address {
	bool is_known;
	socklen_t len;
	struct sockaddr_storage address;
};

/* How a pool tells sessions; one set for the process. */
struct pool_hooks {
	/* The session's turn: false when it is gone or no longer waits. */
	bool (*granted)(struct local *local, uint64_t session,
			struct server *server);
	/* No server can be had for what it waits for. */
	void (*refused)(struct local *local, uint64_t session,
			const char *sqlstate, const char *why);
};

/* What the process has once, for all workers. */
struct process {
	unsigned worker_count;
	struct worker *workers[64];
	struct {
		_Atomic unsigned load; /* see core/balance */
		_Atomic uint64_t turn_us;
	} loads[64];
	struct metrics *metrics;
	struct quotas *quotas;
	struct headcount *headcount; /* of sessions */
	struct keyring *keyring;     /* of those with a real number */
	const struct pool_hooks *pool_hooks;
	struct welcomes *welcomes;
	struct changes *changes;
	struct orders *orders;
	struct notifiers *notifiers;
	char token_channel[32];   /* of the hubs */
	_Atomic unsigned clients; /* logged in or logging in, for the limit */
	_Atomic uint64_t serials; /* blocks given out, see names */
	/* The database asked for is unknown to the catalog loader yet. */
	void (*want_catalog)(void *arg, const char *database,
			     const char *dbname);
	/*
	 * The main thread shall do its part and then confirm, or drop, what
	 * it is given (proxy/evict.h).  Any thread.
	 */
	void (*ask_main)(void *arg, struct evict *evict);
	/* Evidence of trouble on a node: look at once.  Any thread. */
	void (*node_trouble)(void *arg, const char *label);
	_Atomic uint64_t written_us; /* when a write was last acknowledged */
	/* A newer position of this primary (of the snapshot) is waited for. */
	void (*hurry)(void *arg, unsigned node);
	void *arg;
};

enum { LOCAL_SHAPES = 4096 };

struct local {
	struct worker *worker;
	unsigned index;
	struct process *process;
	struct snapshot *snapshot;
	const struct topology *topology; /* same generation, or NULL */
	struct node_address *addresses;  /* by node of the snapshot */
	struct strmap *catalogs;         /* "database\nreal name" -> catalog */
	struct shapes *shapes;
	struct recur *recur;
	struct metrics_cell *cell; /* METRICS_WORKER */
	struct strmap *pools;      /* "user\ndatabase" -> pool */
	struct strmap *asks;       /* startup packets seen: client_ask */
	struct session_table *sessions;
	uint64_t changes_seen;     /* taken in, of the process's changes */
	struct strmap *hubs;       /* listener connections that live here */
	struct strmap *auth_links; /* connections for auth_query */
	struct strmap *ears; /* "hub\nchannel" -> sessions of this worker */
	bool is_refusing;    /* shutting down: no new clients */
	bool is_granting_stopped; /* ... and no server for a new unit */
	bool is_ending_sessions;  /* ... and sessions end when idle */
	bool is_stopped;          /* the worker's last turn is over */
	struct list client_list;  /* logging in */
	struct list session_list;
	struct list behind;  /* sessions that wait for fresher replicas */
	bool is_hurrying;    /* ... and the monitor knows */
	struct list tunnels; /* replication connections */
	struct list askers;  /* cancel requests that await their outcome */
	struct list errands; /* ... and those under way to a node */
	size_t steps;        /* of sessions, counted for session_is_tired() */
	uint64_t cancel_requests;
	uint64_t tunnels_begun;
};

static inline const struct config *local_config(const struct local *local)
{
	return local->snapshot->config;
}

static inline const struct config_settings *local_settings(
	const struct local *local)
{
	return &local->snapshot->config->settings;
}

static inline uint64_t local_now(const struct local *local)
{
	return worker_now(local->worker);
}

/* Socket options of the configuration. */
struct stream_options local_stream_options(const struct local *local);

/* Bytes of a stream that are in the counters already. */
struct local_flow {
	uint64_t in;
	uint64_t out;
};

/* Adds what has flowed since the last call to a METRICS_DATABASE cell. */
void local_count_flow(struct metrics_cell *totals, enum metrics_side side,
		      const struct stream *stream, struct local_flow *counted);

/* Counts a handshake that is done. */
void local_count_tls(const struct local *local, enum metrics_side side,
		     const struct tls *tls);

/* Replaces the snapshot, topology and addresses; takes what it is given. */
void local_set_snapshot(struct local *local, struct snapshot *snapshot,
			const struct topology *topology,
			struct node_address *addresses);
/* Takes the reference; ignored when of another generation. */
void local_set_topology(struct local *local, const struct topology *topology);
void local_set_address(struct local *local, uint64_t generation, unsigned node,
		       const struct node_address *address);

/* The catalog of a database, or NULL; borrowed. */
const struct catalog *local_catalog(const struct local *local,
				    const char *database, const char *dbname);
/* Takes the reference. */
void local_set_catalog(struct local *local, const char *database,
		       const char *dbname, struct catalog *catalog);

/* Those of databases of these names on the server. */
void local_forget_catalogs(struct local *local,
			   const struct dbddl_names *names);

struct local *local_new(struct process *process, unsigned index);
/* Pools and sessions are gone already. */
void local_free(struct local *local);

#endif
