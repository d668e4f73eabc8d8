#ifndef PGWEIR_PROXY_SERVER_PARTS_H
#define PGWEIR_PROXY_SERVER_PARTS_H

/*
 * The inside of struct server, for the rooms that server is made of: login
 * (up to the first ReadyForQuery), replies (dealing out what comes after it)
 * and server itself (life, cleaning, moving).  Nobody else includes this.
 */
#include "base/buf.h"
#include "base/list.h"
#include "base/wheel.h"
#include "core/pgwire.h"
#include "net/worker.h"
#include "proxy/local.h"
#include "proxy/server_types.h"

enum {
	SERVER_KEY_MAX = 256,
	/* Errors and notices are held whole up to this size. */
	SERVER_TEXT_MAX = 16 * 1024 * 1024,
	SERVER_HELD_MAX = 64 * 1024
};

struct server {
	const struct server_site *site;
	struct stream *stream;
	struct list link;
	enum server_state state;
	struct worker_task burial;
	struct wheel_timer timer; /* connecting and cleaning */

	/* login */
	struct login *login;
	bool is_asking_tls; /* the next byte answers SSLRequest */
	bool has_query_run; /* connect_query was sent ... */
	bool is_query_due;  /* ... and has to be once more */
	uint32_t pid;
	uint64_t notifier; /* the key of notifiers.h */
	uint8_t key[SERVER_KEY_MAX];
	size_t key_len;
	struct sockaddr_storage address;
	socklen_t address_len;
	char failure_state[6]; /* SQLSTATE of the last error, "" none */
	bool is_plan_stale;    /* ... that is what it said */
	struct buf last_words; /* a FATAL, as it came */
	char *failure;         /* and its text */

	/* what is known of its session */
	struct strmap *parameters;
	struct buf parameter_names; /* each with its NUL, as they came */
	const struct settings *settings;
	struct stmtset *statements;
	struct strmap *guests; /* under clients' own names; NULL none */
	uint64_t guest_serial;
	uint64_t batches; /* begun; numbers them */
	uint64_t unnamed; /* serial of the client's statement, 0 none */
	char status;      /* of the last ReadyForQuery */
	bool is_dirty;
	bool is_spent;       /* nothing but a new connection undoes its state */
	bool is_drawn_stale; /* what it drew is to be forgotten next */

	/* replies */
	struct track *track;
	struct buf withheld;   /* an error that a later one stands for */
	struct buf described;  /* what a Describe of ours has been told */
	size_t passing;        /* bytes of the current body still to come */
	bool is_passing_on;    /* ... and they are for the client */
	uint8_t run_type;      /* of rows or COPY data that flow; 0 none */
	unsigned settings_due; /* queries of ours that are not answered yet */
	bool is_aloud;         /* ... and the client is told what changes */
	bool has_ask_failed;   /* what is being answered by errors */
	bool is_clean_due; /* something of ours was answered: go on cleaning */
	bool is_mid_message; /* of the client's, towards the server */
	bool is_slowing;     /* the client was told to slow down */

	const struct server_user_hooks *hooks; /* NULL: nobody uses it */
	void *user;
	unsigned cancels; /* under way for this server */
	bool is_buried;   /* closed; only a cancel still names it */

	struct local_flow counted;
	/* who drew from sequences last since it was clean, 0 nobody */
	uint64_t drawer;
	uint64_t draw_turn; /* one number while nobody else draws */
	uint64_t begun_us;
	uint64_t opened_us;
	uint64_t idle_since_us;
};

/* --- server_login --- */

enum server_step {
	SERVER_STEP_MORE,  /* await more */
	SERVER_STEP_DONE,  /* logged in: the first ReadyForQuery is here */
	SERVER_STEP_FAILED /* failure says why */
};

/* Connected: asks for TLS or sends the startup packet. */
enum server_step server_login_begin(struct server *server);
/* The TLS handshake is done. */
void server_login_secured(struct server *server);
/* Bytes have come. */
enum server_step server_login_read(struct server *server);

/* --- replies --- */

/*
 * Deals out what has arrived; false when the server broke the protocol
 * (failure says how).  The server may be closed or somebody else's after it.
 */
bool server_replies_read(struct server *server);

/* After an entry was pushed: local replies and skipped entries at the head. */
void server_replies_settle(struct server *server);

/* --- described --- */

/* One message of the answer to a Describe with a note. */
void server_described(struct server *server,
		      const struct pgwire_message *message,
		      struct server_note *note);
/* The error of a Bind whose statement has other columns than it had. */
void server_build_stale(struct buf *out);

/* --- guests --- */

struct guest {
	struct stmt *stmt; /* NULL: something, for the name's sake */
	bool is_sql;       /* its text is that of a PREPARE */
	bool is_sure;      /* it was answered, and not closed since */
	uint64_t batch;    /* that brings it: there, for the rest of that */
	uint64_t serial;   /* of what was sent last for it */
};

/* NULL: there is none of that name. */
struct guest *server_find_guest(const struct server *server, const char *name);
/* One that the batch under way brings; replaces what had the name. */
struct guest *server_put_guest(struct server *server, const char *name,
			       struct stmt *stmt, bool is_sql);

/* All are gone. */
void server_forget_guests(struct server *server);
/* What was sent for one is answered, or failed, or was read over. */
void server_settle_guest(struct server *server, const struct server_note *note,
			 bool ok);

/* Keeps the text of an error for whoever is told; any earlier one goes. */
void server_set_failure(struct server *server, const char *sqlstate,
			const char *text);

/* Takes a ParameterStatus body into the known parameters. */
void server_note_parameter(struct server *server, const char *name,
			   const char *value);

#endif
