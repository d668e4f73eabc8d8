#ifndef PGWEIR_PROXY_SESSION_H
#define PGWEIR_PROXY_SESSION_H

/*
 * A client that has logged in: takes its messages unit by unit, finds each a
 * server, deals the replies back, and gives the server back when its state
 * is proved idle and known.  Only this room ends sessions.
 */
#include <stdbool.h>
#include <stdint.h>

struct client_login;
struct local;
struct pool_hooks;
struct server;

/* What pools are to tell this room. */
const struct pool_hooks *sessions_pool_hooks(void);

/* Takes a logged-in client. */
void session_start(struct local *local, const struct client_login *login);

/*
 * Snapshot or topology are about to change, have changed: sessions that wait
 * leave their queues, and choose anew.
 */
void sessions_unqueue(struct local *local);
void sessions_requeue(struct local *local);

/* Shutting down. */
enum session_shutdown {
	SHUTDOWN_NONE,
	SHUTDOWN_CLIENTS, /* end each session when it is outside a transaction
			   */
	SHUTDOWN_SERVERS, /* no server is granted any more */
	SHUTDOWN_NOW
};
void sessions_shutdown(struct local *local, enum session_shutdown mode);

/* How many sessions hold a server. */
unsigned sessions_active(const struct local *local);

/* For the console; strings are borrowed for the call. */
struct session_info {
	uint64_t id;
	uint32_t pid; /* announced to the client */
	const char *database;
	const char *user;
	const char *replication; /* "none", "physical", "logical" */
	const char *state; /* "active", "idle", "waiting", "waiting_login" */
	const char *address;
	const char *application_name;
	const char *pinned; /* why it keeps its server, "" not */
	const char *tls;    /* "" plain */
	const char *server; /* label of the node it is on, "" none */
	uint32_t server_pid;
	uint64_t connected_us; /* monotonic */
	uint64_t request_us;   /* begin of the last unit */
	uint64_t wait_us;      /* waiting for a server so long, 0 not */
	uint64_t prepared;
	uint64_t channels; /* that it listens to without a server */
};
void sessions_visit(struct local *local,
		    void (*visit)(void *arg, const struct session_info *info),
		    void *arg);
/* Ends one, told why; false when there is none of that number. */
bool session_kill(struct local *local, uint64_t id, const char *why);
/* All of a database, as clients name it; NULL: of all. */
void sessions_kill(struct local *local, const char *database, const char *why);

/*
 * The session that announced this process number, when the key fits: NULL
 * otherwise, and *server NULL when nothing of it runs.  One that waits in a
 * queue is answered 57014 at once.  A server comes with a cancel counted
 * (server_begin_cancel): the caller ends it.
 */
enum session_cancel {
	CANCEL_SERVER, /* *server runs something of it */
	CANCEL_UNKNOWN_KEY,
	CANCEL_NOT_RUNNING
};
enum session_cancel session_find_cancel(struct local *local, uint32_t pid,
					uint32_t key, struct server **server);
/* The same for a session that is known already (proxy/keyring). */
enum session_cancel session_cancel(struct local *local, uint64_t id,
				   struct server **server);

/* Positions are newer: those who wait for them look again. */
void sessions_refresh(struct local *local);

#endif
