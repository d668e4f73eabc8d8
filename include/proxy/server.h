#ifndef PGWEIR_PROXY_SERVER_H
#define PGWEIR_PROXY_SERVER_H

/*
 * One connection to a PostgreSQL server: opens it, logs in, keeps the queue
 * of what it owes, deals its replies out, and cleans it after use until its
 * protocol and session state are proved.  Belongs to one worker at a time.
 *
 * Two parties are told what happens: the pool that owns it, and the session
 * that uses it.  Inside a hook anything may be called; memory goes at the
 * end of the loop turn.
 */
#include "core/login.h"
#include "core/metrics_rows.h"
#include "core/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct buf;
struct list;
struct local;
struct metrics_cell;
struct server;
struct settings;
struct stmt;
struct strmap;

enum server_state {
	SERVER_CONNECTING, /* TCP, then the answer to SSLRequest */
	SERVER_SECURING,   /* TLS handshake */
	SERVER_LOGIN,      /* up to the first ReadyForQuery */
	SERVER_IDLE,       /* clean, nobody's */
	SERVER_ACTIVE,     /* a session's */
	SERVER_CLEANING,   /* left by its session, not yet proved clean */
	SERVER_MOVING,     /* between two workers */
	SERVER_CLOSED
};

/* To the pool. */
struct server_pool_hooks {
	/* Logged in, idle. */
	void (*opened)(void *owner, struct server *server);
	/* Never got that far; sqlstate may be "". */
	void (*failed)(void *owner, struct server *server, const char *sqlstate,
		       const char *why);
	/* Clean again, idle. */
	void (*rested)(void *owner, struct server *server);
	/* Was logged in, is closed. */
	void (*gone)(void *owner, struct server *server);
};

/* What a worker's pool says about its servers; outlives them. */
struct server_site {
	struct local *local;
	unsigned node;        /* of the snapshot */
	bool is_replica;      /* as the topology said when last looked */
	const char *label;    /* "host:port" */
	const char *host;     /* name for TLS verification */
	const char *database; /* as clients know it */
	const char *dbname;   /* as the server knows it */
	const char *user;     /* on the server */
	struct login_credentials credentials;
	struct metrics_cell *totals;       /* METRICS_DATABASE */
	struct metrics_cell *pool_cell;    /* METRICS_POOL */
	struct metrics_cell *backend_cell; /* METRICS_BACKEND */
	struct metrics_cell *node_cell;    /* METRICS_NODE */
	const struct server_pool_hooks *hooks;
	void *owner;
};

/* To the session. */
struct server_user_hooks {
	/* Bytes for the client, in order; true when it should be slowed. */
	bool (*bytes)(void *user, const void *data, size_t len);
	/* A unit of the client's is answered: status 'I', 'T' or 'E'. */
	void (*ready)(void *user, char status);
	/* The settings that were asked for are in force. */
	void (*applied)(void *user);
	/* An entry of the client's was answered, or failed, or skipped. */
	void (*settled)(void *user, const struct track_entry *entry, bool ok);
	/* DEALLOCATE ALL, or DISCARD ALL, was done. */
	void (*deallocated)(void *user, bool is_discard_all);
	/* An error of the client's unit, for the counters. */
	void (*erred)(void *user, const char *sqlstate);
	/* The out-buffer towards the server is low again. */
	void (*drained)(void *user);
	/*
	 * The connection is gone; told says that the client got the server's
	 * own FATAL.  The server is detached already.
	 */
	void (*lost)(void *user, const char *sqlstate, const char *why,
		     bool told);
};

/* Kept with an entry that concerns a prepared statement. */
struct server_note {
	struct stmt *stmt; /* a reference */
	uint64_t serial;   /* of the client's name */
	bool is_sent;      /* the message went to the server */
	char name[];       /* the client's name, "" unnamed */
};

struct server_note *server_note_new(struct stmt *stmt, uint64_t serial,
				    bool is_sent, const char *name);

/*
 * Starts to open a connection; opened or failed follows, never from inside.
 * NULL with errno when the system has no socket left.
 */
struct server *server_open(const struct server_site *site,
			   const struct sockaddr_storage *address,
			   socklen_t address_len);

/* Closes at once; tells session and pool. */
void server_close(struct server *server, enum metrics_close_reason reason,
		  const char *why);

/*
 * Counts a server into (1) or out of (-1) the gauges of its site, so that a
 * site that changes its role can move its servers to the other label.
 */
void server_count(const struct server *server, int change);

enum server_state server_state(const struct server *server);
const char *server_state_name(enum server_state state);
const struct server_site *server_site(const struct server *server);
/* A link for the owner's lists. */
struct list *server_link(struct server *server);
struct server *server_of_link(struct list *link);
uint64_t server_opened_us(const struct server *server);
uint64_t server_idle_since_us(const struct server *server);
uint32_t server_pid(const struct server *server);
const char *server_tls_version(const struct server *server);
size_t server_statements(const struct server *server);
/* Values that the server reported by ParameterStatus. */
const struct strmap *server_parameters(const struct server *server);

/* --- use by a session ---------------------------------------------------- */

/* An idle server becomes a session's. */
void server_attach(struct server *server, const struct server_user_hooks *hooks,
		   void *user);

/*
 * The session lets go, whatever the state.  The server is cleaned (rest of
 * the batch, ROLLBACK, DISCARD ALL when it is dirty) and then rested is told,
 * from inside this call when there is nothing to clean.
 */
void server_detach(struct server *server);

/* The session state is no longer what settings say: DISCARD ALL after use. */
void server_mark_dirty(struct server *server);
bool server_is_dirty(const struct server *server);

/*
 * Brings the settings in front of what is sent next, in the same packet.
 * True when they are in force already, else applied follows.
 */
bool server_apply(struct server *server, const struct settings *settings);

/* Out-buffer, to build the next message in. */
struct buf *server_out(struct server *server);
/* Large runs; true when the client should be slowed until drained. */
bool server_forward(struct server *server, const void *data, size_t len);
bool server_is_full(const struct server *server);
/* Says whether the client keeps up with what it is sent. */
void server_slow(struct server *server, bool is_slow);

/*
 * Says that a message was (or with TRACK_LOCAL: need not be) sent.  Takes the
 * note.  May call bytes and settled.
 */
void server_owe(struct server *server, enum track_op op, unsigned flags,
		struct server_note *note);

/*
 * Bytes of a message follow that has begun: a server left in this state
 * cannot be cleaned.
 */
void server_set_mid_message(struct server *server, bool is_mid);

const struct track *server_track(const struct server *server);
/* Status of the last ReadyForQuery. */
char server_status(const struct server *server);
bool server_is_idle(const struct server *server);

/*
 * Makes sure that the statement is prepared: true when it is; otherwise a
 * Parse (and the Close of an old one) is put in front.
 */
bool server_has_statement(struct server *server, struct stmt *stmt);
void server_prepare(struct server *server, struct stmt *stmt);
/* The server's copy, if any, is closed first: a real Parse follows. */
void server_forget_statement(struct server *server, struct stmt *stmt);
/* A Parse of the client's puts it there. */
void server_note_statement(struct server *server, struct stmt *stmt);

/* Which client's unnamed statement the server has; 0: none that is known. */
uint64_t server_unnamed(const struct server *server);
void server_set_unnamed(struct server *server, uint64_t serial);

/* --- cancelling ----------------------------------------------------------- */

/*
 * A cancel request for this server is under way: until it is over, the
 * server is not given to anybody else.
 */
void server_begin_cancel(struct server *server);
void server_end_cancel(struct server *server);
void server_cancel_target(const struct server *server, uint32_t *pid,
			  const uint8_t **key, size_t *key_len,
			  const struct sockaddr_storage **address,
			  socklen_t *address_len);

/* --- moving ----------------------------------------------------------------
 */

/* An idle server with nothing left to send leaves its worker, or false. */
bool server_park(struct server *server);
/* On the new worker's thread. */
void server_adopt(struct server *server, const struct server_site *site);
/* A parked server that nobody can take. */
void server_free_parked(struct server *server);

#endif
