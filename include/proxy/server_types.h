#ifndef PGWEIR_PROXY_SERVER_TYPES_H
#define PGWEIR_PROXY_SERVER_TYPES_H

/*
 * The words in which servers, pools and sessions speak to each other.
 */
#include "base/buf.h"
#include "core/login.h"
#include "core/metrics_rows.h"
#include "core/replication.h"
#include "core/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct list;
struct local;
struct metrics_cell;
struct pgwire_message;
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

/* A connection of one client's alone, which is never anybody else's. */
struct server_own {
	const struct replication_startup *asked; /* in its startup packet */
	struct buf greeting; /* what the server says at login, for the client */
};

/* What a worker's pool says about its servers; outlives them. */
struct server_site {
	struct local *local;
	unsigned node;             /* of the snapshot */
	bool is_replica;           /* as the topology said when last looked */
	bool is_quiet;             /* a failed login is no news */
	const char *label;         /* "host:port" */
	const char *host;          /* name for TLS verification */
	const char *database;      /* as clients know it */
	const char *dbname;        /* as the server knows it */
	const char *user;          /* on the server */
	const char *connect_query; /* run on each new one; NULL: none */
	struct login_credentials credentials;
	struct metrics_cell *totals;       /* METRICS_DATABASE */
	struct metrics_cell *pool_cell;    /* METRICS_POOL */
	struct metrics_cell *backend_cell; /* METRICS_BACKEND */
	struct metrics_cell *node_cell;    /* METRICS_NODE */
	struct server_own *own;            /* NULL: a pooled server */
	const struct server_pool_hooks *hooks;
	void *owner;
};

/* How a connection was lost; borrowed for the call. */
struct server_loss {
	const char *sqlstate; /* "" unknown */
	const char *why;
	const void *words; /* the server's own FATAL, as it came */
	size_t words_len;  /* 0: it said nothing */
	bool is_replica;
	uint64_t sent; /* bytes that have left for it; UINT64_MAX unknown */
};

/* To the session. */
struct server_user_hooks {
	/* Bytes for the client, in order; true when it should be slowed. */
	bool (*bytes)(void *user, const void *data, size_t len);
	/* A unit of the client's is answered: status 'I', 'T' or 'E'. */
	void (*ready)(void *user, char status);
	/*
	 * Something of ours is answered: settings that were asked for are in
	 * force, or what stood behind the last unit is out of the way.
	 */
	void (*applied)(void *user);
	/* A row of what server_ask has asked, whole. */
	void (*row)(void *user, const struct pgwire_message *message);
	/* ... and its end; false: it has failed. */
	void (*asked)(void *user, bool ok);
	/*
	 * A ReadyForQuery of the client's is about to be passed on.  True: the
	 * session says it itself, later.
	 */
	bool (*holds)(void *user, char status);
	/* A NotificationResponse, whole; nothing of it is passed on. */
	void (*notified)(void *user, const struct pgwire_message *message);
	/* An entry of the client's was answered, or failed, or skipped. */
	void (*settled)(void *user, const struct track_entry *entry, bool ok);
	/* Nothing is owed any more, the last was ours; NULL: not told. */
	void (*cleared)(void *user);
	/* PREPARE, or DEALLOCATE of one name, was done. */
	void (*named)(void *user, bool is_prepare);
	/* DEALLOCATE ALL, or DISCARD ALL, was done. */
	void (*deallocated)(void *user, bool is_discard_all);
	/* DISCARD SEQUENCES was done; NULL: not told. */
	void (*undrawn)(void *user);
	/*
	 * The server reports a parameter's new value; is_ours: because of the
	 * settings that it was told aloud.  True: the client shall hear of it.
	 */
	bool (*reported)(void *user, const char *name, const char *value,
			 bool is_ours);
	/* An error of the client's unit, for the counters. */
	void (*erred)(void *user, const char *sqlstate);
	/* The out-buffer towards the server is low again. */
	void (*drained)(void *user);
	/*
	 * An error is about to be passed on.  True: the session has let go of
	 * the server and has the unit done elsewhere; the client hears nothing.
	 */
	bool (*spares)(void *user, const char *sqlstate);
	/* The client's name of a statement, for an error that names it. */
	const char *(*name_of)(void *user, uint64_t id);
	/*
	 * The node seems dead.  True: what is under way can be done elsewhere,
	 * so that losing the connection is better than to wait; NULL: never.
	 */
	bool (*may_lose)(void *user);
	/* The connection is gone; the server is detached already. */
	void (*lost)(void *user, const struct server_loss *loss);
};

/* Who owns the unnamed statement of a server. */
enum {
	/* Somebody's, nobody knows whose: it must be closed before use. */
	SERVER_UNNAMED_UNKNOWN = 1
};

/* Kept with an entry that concerns a prepared statement. */
struct server_note {
	struct stmt *stmt; /* a reference */
	uint64_t serial;   /* of the client's name */
	bool is_sent;      /* the message went to the server */
	bool was_there;    /* its Parse replaces the same, if it is read */
	bool is_second;    /* of a Close: the statement has an older name */
	uint64_t batch;    /* of the server's, that it was sent in */
	uint64_t epoch;    /* of the statement's database then */
	size_t query_at;   /* of a PREPARE (stmtmap.h); else 0 */
	uint64_t columns;  /* of a Describe: its answer (columns.h) */
	bool is_stale;     /* of a Bind that nothing is there for on purpose */
	char name[];       /* the client's name, "" unnamed */
};

/*
 * A Parse or Close of the unnamed statement has no note, or one with the
 * statement that it replaces when that is in flight, too.
 */
bool server_changes_unnamed(const struct track_entry *entry);
struct server_note *server_note_new(struct stmt *stmt, uint64_t serial,
				    bool is_sent, const char *name);
void server_note_free(struct server_note *note); /* NULL is fine */

#endif
