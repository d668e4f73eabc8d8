#ifndef PGWEIR_PROXY_SESSION_PARTS_H
#define PGWEIR_PROXY_SESSION_PARTS_H

/*
 * The inside of struct session, for the rooms that a session is made of:
 * intake (what unit comes next), relay (passing its messages on), session
 * (servers, waiting).
 */
#include "base/buf.h"
#include "base/list.h"
#include "base/wheel.h"
#include "core/config.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/sqlfacts.h"
#include "core/stmtmap.h"
#include "core/ticket.h"
#include "net/stream.h"
#include "net/worker.h"
#include "proxy/client.h"
#include "proxy/local.h"
#include "proxy/quota.h"
#include "proxy/server.h"
#include "proxy/session_block.h"

#include <stdbool.h>
#include <stdint.h>

struct client_ask;
struct ear;
struct server;
struct pgwire_message;
struct session_begin;
struct pgwire_parse;
struct session;
struct session_inspect;
struct session_refill;
struct session_reset;
struct stmtscope;
struct session_ddl;
struct track_entry;

enum session_state {
	SESSION_LOGIN,   /* no welcome sent yet */
	SESSION_IDLE,    /* holds no server, awaits a unit */
	SESSION_WAITING, /* a unit is here and waits for a server */
	SESSION_ACTIVE,  /* holds a server */
	SESSION_CLOSED
};

/* What it is doing, as far as limits of time go. */
enum session_timed {
	SESSION_TIMED_REST,
	SESSION_TIMED_WAIT,  /* for a server */
	SESSION_TIMED_WORK,  /* for an answer */
	SESSION_TIMED_YIELD, /* keeps a server that others may want */
	SESSION_TIMED_TRANSACTION
};

enum {
	SESSION_JUDGED = 8, /* classes remembered from scan to relay */
	/* A unit is held back this long, at most, to be judged whole. */
	SESSION_HOLD_BYTES = 4 * 1024 * 1024,
	/*
	 * A message up to here is passed on whole or not at all: a client
	 * that dies within it costs no server.
	 */
	SESSION_WHOLE_BYTES = 64 * 1024
};

/* Its unnamed portal, when a BEGIN was answered here (relay_portal). */
enum session_portal {
	SESSION_PORTAL_OWN,    /* is what the server has */
	SESSION_PORTAL_BEGUN,  /* is the BEGIN's, which no server has */
	SESSION_PORTAL_BOUND,  /* is bound in the batch under way */
	SESSION_PORTAL_COVERED /* was, if that Bind has not failed */
};

/* What must be known of a unit when its ReadyForQuery comes. */
struct session_unit {
	struct sqlclass judged;
	uint64_t since_us;
	unsigned begun;   /* statements that session_begin has put down */
	bool is_refilled; /* what it resets is set again in it */
	bool is_query;    /* no batch */
};

/* A Parse of the unit that stands first, for when it is relayed. */
struct session_parsed {
	struct sqlclass judged;
	uint64_t name; /* its hash */
};

/* The judgement of the unit that stands first in the in-buffer. */
struct session_scan {
	size_t at; /* bytes of it looked at */
	struct sqlclass judged;
	unsigned parses;      /* Parse messages seen: session->parsed */
	unsigned binds;       /* Bind messages seen */
	unsigned named_binds; /* ... of a name */
	bool is_judged;
	bool is_local;  /* nothing in it needs a server */
	bool has_names; /* prepares or closes a name */
};

/* To another worker, as soon as it can. */
struct session_move {
	struct worker_task task;
	uint64_t until_us; /* chosen, and may go until then; 0: is not */
	unsigned to;
};

/* What the rooms below ask of the rooms above; session.c says who does it. */
struct session_steps {
	/* Takes what the client has sent, as far as it goes. */
	void (*pump)(struct session *session);
	/* Gives the server back if nothing keeps it. */
	void (*release_if_done)(struct session *session);
	/* The unit that waits is judged and placed anew. */
	void (*try_again)(struct session *session);
	/* Something of ours on the server is answered. */
	void (*applied)(void *user);
	/* The client's stream tells. */
	void (*event)(void *owner, enum stream_event event);
	/* Its BEGIN has waited long enough: a server is told. */
	void (*begin_now)(struct session *session);
	/* It has ended: everything that it held goes back. */
	void (*dissolve)(struct session *session);
};

/* What ties it to its worker or a server keeps it there: session_move asks. */
struct session {
	const struct session_steps *steps;
	struct local *local;
	struct list link;
	struct stream *client;
	struct worker_task burial;
	struct worker_task rest; /* goes on in the next turn */
	struct session_move move;
	struct wheel_timer timer;
	uint64_t id;
	uint64_t connected_us;
	struct local_flow counted;

	struct pool *pool;
	const struct settings *settings;
	const struct settings *startup;  /* as it logged in; RESET goes there */
	const struct settings *changing; /* in this transaction, or NULL */
	const struct settings *told;   /* what it was before a RESET, or NULL */
	struct session_reset *reset;   /* DISCARD ALL is under way, or NULL */
	struct session_refill *refill; /* a RESET that was bound, or NULL */
	struct session_inspect *inspect; /* NULL: nothing to look at */

	/* the server it is on */
	struct server *server;
	struct server *home;     /* its own, while it is on a borrowed one */
	struct buf said_at_home; /* meanwhile, for the client */
	struct quota_waiter waiter;
	uint64_t wait_since_us;

	/* the unit that is being passed on */
	size_t left;    /* bytes of the current message still to come */
	size_t discard; /* bytes of a stray message still to drop */
	struct session_scan scan;
	struct session_parsed
		*parsed; /* SESSION_JUDGED; NULL until one comes */
	struct session_unit unit;
	uint64_t draw_turn;      /* of its server, when it last drew; 0 never */
	struct session_ddl *ddl; /* databases or roles under way, or NULL */
	struct session_begin *begin; /* of its transaction on a replica */

	/* units whose ReadyForQuery is to come, oldest first: a ring */
	struct session_unit *units;

	/* what is in flight and may be repeated if its server fails it */
	struct buf replay;
	uint64_t replay_end; /* of the client's bytes, as stream_taken() */
	struct buf held;     /* of its answers, for the client */
	struct list undo;    /* what it has made of names, oldest first */
	unsigned units_kept; /* of what is kept */
	uint64_t sent_mark;  /* bytes of its server's that stand before it */

	/* the unit was on the primary when that went: is it gone? */
	uint64_t doubt_us;      /* asked since; 0: is not */
	struct buf doubt_words; /* the server's last, if it is not */
	unsigned doubt_node;    /* index in the pool */

	struct ear *ear; /* what it listens to; NULL: to nothing */

	/* prepared statements */
	struct stmtmap *names;
	struct stmtscope *scope; /* where its texts mean the same */
	uint32_t unseen;         /* effects that may have changed that */
	struct list moves;       /* of names, by SQL in flight */
	/* Of the Describe that stands next; NULL: it tells of none. */
	struct server_note *portal_note;

	struct stmt *unnamed_before; /* the Parses in flight, or NULL */
	uint64_t unnamed_serial;     /* of the one that was too long to keep */
	uint64_t unnamed_epoch;      /* of the newest Parse passed on */
	uint64_t parsed_serial;      /* of the last Parse that succeeded */
	uint64_t batch_serial;       /* the last before the unit under way */
	uint64_t serial;

	/* what it has seen, and how much of it reads must show */
	struct ticket ticket;
	struct list behind_link; /* waiting for a replica to show it */
	uint64_t fresh_since_us; /* since when; 0: has not waited */
	uint64_t read_us;        /* its last read on a replica */
	enum config_consistency consistency;
	int replica;                 /* where that was; -1 nowhere */
	uint64_t replica_generation; /* of the pool, whose index it is */
	uint64_t settled_us;         /* ... or was asked to leave, last */
	unsigned shift;   /* one more than that of the one it is moving to */
	unsigned avoided; /* one more than that of one that failed the unit */

	/* the transaction */
	uint64_t transaction_us; /* begin; 0 none */
	uint64_t last_write_us;
	uint64_t request_us;

	/* small ones, of the parts above */
	enum session_state state;
	enum session_timed timed_for; /* what its timer was set for */
	enum session_portal portal;
	enum config_pool_mode mode;
	unsigned relayed_parses;
	bool is_relaying;   /* what is answered meanwhile needs no server */
	bool is_unit_whole; /* its end is relayed, an answer will come */
	uint32_t slot;
	uint32_t pid;    /* announced to the client */
	uint32_t secret; /* and with it its cancel key */
	unsigned units_first;
	unsigned units_count;
	unsigned units_room;      /* a power of two */
	unsigned unnamed_changes; /* Parse and Close, in flight */
	unsigned closes;          /* of known names, in flight */
	unsigned node;    /* index in the pool, of the server or the queue */
	int waiting_node; /* in whose queue it stands; -1 none */
	enum route_target target; /* of the unit, and why */
	enum metrics_route_reason reason;
	uint32_t pins;        /* bits of enum sqlclass_effect */
	bool is_homeless;     /* home was lost while it was away */
	bool has_server_pid;  /* its number is its server's own */
	bool is_on_keyring;   /* it has moved: its number is no guide */
	bool is_state_unsafe; /* settings under which texts mislead */
	bool is_refused;      /* replicas have 0A000 for all that it asks */
	bool prefers_primary; /* SET pgweir.route = 'primary' */
	bool is_plain_backslash;
	bool is_safe_encoding;
	bool avoids_replicas;
	bool has_changed_unnamed; /* the last of these answered was done */
	bool is_unnamed_there;    /* on the server: unnamed_before */
	bool is_hoarding;         /* the client's unread limit is raised */
	bool is_mid_unit;
	bool has_bound;        /* ... and has run something */
	bool is_moving;        /* to the primary, as soon as nothing is owed */
	bool is_replay_bound;  /* it may only be repeated for a stale plan */
	bool is_replay_stale;  /* ... for a stale plan */
	bool is_asking;        /* asked for columns, in front of a Bind */
	bool is_replay_redo;   /* ... if it was certainly not done */
	bool is_replay_told;   /* of the first the client has heard something */
	bool is_replay_part;   /* it ends with a Flush */
	bool is_flushing;      /* ... which was sent, and not answered */
	bool is_doubt_refusal; /* a standby has refused it */
	bool has_repeated;     /* the unit: not once more */
	bool is_plan_stale;    /* it is repeated as its names lead now */
	bool is_settling; /* names change: it waits until nothing is owed */
	bool is_skipping; /* a cancelled unit, up to its end */
	bool ends_unit;   /* ... with this message */
	bool is_writing;  /* has a unit that may have written */
	bool has_drawn_elsewhere; /* from sequences, in another turn */
	bool has_asked_draws;     /* for what they gave, later on */
	bool has_erred;           /* the transaction, or the unit */
	bool is_changing_catalog; /* has a unit of DDL */
	bool is_hiding;           /* ... that nobody can see through */
	bool is_redefining;       /* ... that makes another thing of a name */
	bool has_touched;         /* the transaction: data, read or written */
	bool is_asynchronous;     /* ... has named synchronous_commit */
	bool is_becoming;         /* somebody else: its unit waits for that */
	bool is_restoring; /* back to the startup packet's settings, aloud */
	char address[];    /* of the client: "127.0.0.1:50123", "unix" */
};

static inline bool session_has_pending(const struct session *session)
{
	return session->units_count > 0;
}

/* A unit in flight, the oldest being 0. */
static inline const struct session_unit *session_unit_at(
	const struct session *session, unsigned index)
{
	return &session->units[(session->units_first + index) &
			       (session->units_room - 1)];
}

static inline uint64_t session_now(const struct session *session)
{
	return local_now(session->local);
}

/* Of the server that it is on, as a label of metrics. */
static inline unsigned session_role(const struct session *session)
{
	return server_site(session->server)->is_replica ? METRICS_ROLE_REPLICA
							: METRICS_ROLE_PRIMARY;
}

static inline bool session_is_in_transaction(const struct session *session)
{
	return session->server && server_status(session->server) != 'I';
}

/* --- session_leave --- */

void session_dissolve(struct session *session);
/* Frees it; a worker's task. */
void session_bury(struct worker_task *task);

/* --- session_life --- */

void session_set_state(struct session *session, enum session_state state);
const char *session_state_name(const struct session *session);
/* Ends it with a FATAL; closes the client's stream. */
void session_fail(struct session *session, const char *sqlstate,
		  const char *message, const char *hint);
/* Ends it without a word; flush sends what is queued for the client. */
void session_end(struct session *session, bool flush, const char *why);
void session_protocol_error(struct session *session, const char *why);
/* Adds what has flowed since the last call to the counters. */
void session_count_bytes(struct session *session);
/* One more for its database. */
void session_count_total(const struct session *session,
			 enum metrics_counter counter);
void session_count_waiting(const struct session *session, int change);
void session_leave_queue(struct session *session);

/* --- session_move --- */

void session_move_init(struct session *session);
/* It has let go of its server: if it is to go elsewhere, it may now. */
void session_move_if_chosen(struct session *session);

/* --- session_limits --- */

/*
 * Has this turn of the worker taken so long that others have waited enough?
 * Then the pump stops, and goes on by itself in the next turn.  Asked for
 * every message, with its length; looks at the clock now and then.
 */
bool session_is_tired(struct session *session, size_t bytes);

/* Arms the time limit that fits what the session is doing now. */
void session_renew_limit(struct session *session);
/* Its timer has fired: tells the client, and ends the session or goes on. */
void session_out_of_time(struct wheel_timer *timer);

/* --- session_greet --- */

/*
 * Greets a client of a known kind; false when a server must be asked.  The
 * greeting stays with what the client asked for.
 */
bool session_greet_known(struct session *session, struct client_ask *ask);
/* Greets a client of a kind that can be told without a server, or false. */
bool session_greet_likely(struct session *session);
/* Greets with what the session's server shows, and remembers it. */
void session_greet_shown(struct session *session);

/* --- session_settings --- */

/* What the settings mean for the reading of statements. */
void session_judge_settings(struct session *session);
/* The same at login, found out once for all who ask the same. */
void session_judge_ask(struct session *session, struct client_ask *ask);
/*
 * The server reports a value: it counts when the transaction is over.  True:
 * the client shall hear of it.
 */
bool session_note_reported(struct session *session, const char *name,
			   const char *value, bool is_ours);
/*
 * The server is let go of in the middle of a transaction, or of answers: what
 * it has reported is not in force, and may be there.
 */
void session_leave_settings(struct session *session);
/* These (a reference, taken) are the settings from here on. */
void session_take_settings(struct session *session,
			   const struct settings *settings);
/* The server gets what the client has after a RESET; false: not yet. */
bool session_restore_settings(struct session *session);
/* ... and has them: the values before the RESET matter no more. */
void session_forget_told(struct session *session);
/* The transaction is over: what was reported is in force. */
void session_adopt_settings(struct session *session);
/* RESET ALL or DISCARD ALL was done. */
void session_reset_settings(struct session *session);
/* RESET ALL, and the startup packet's values are in force again. */
void session_refilled_settings(struct session *session);
/* Remembers what the client has been told so far, if nothing is yet. */
void session_keep_told(struct session *session);

/* --- session_refill --- */

/*
 * A Query goes to the server: appends what has to stand behind its text, or
 * false; with that it is passed on.
 */
bool session_refill_query(struct session *session,
			  const struct sqlclass *judged,
			  const struct pgwire_message *message,
			  struct buf *tail);
/* The same of any text, to be put behind it elsewhere. */
bool session_refill_text(const struct session *session,
			 const struct sqlclass *judged, const char *text,
			 size_t len, struct buf *sql);
void session_refill_pass(struct session *session,
			 const struct pgwire_message *message,
			 struct buf *tail);
/* A Bind of that text is sent. */
void session_refill_bound(struct session *session,
			  const struct sqlclass *judged, const char *text,
			  size_t len, const char *portal);
/* It is the Execute of that; once it is sent, what has to stand behind it. */
bool session_refill_is_due(const struct session *session,
			   const struct pgwire_message *execute);
void session_refill_insert(struct session *session);
/* The unit is over. */
void session_refill_forget(struct session *session);

/* --- session_reset --- */

/* It is DISCARD ALL, and others are in flight. */
bool session_reset_must_wait(const struct session *session,
			     const struct sqlclass *judged);
/* Such a statement goes to the server, perhaps. */
void session_reset_sent(struct session *session, const struct sqlclass *judged);
/* It is not alone in its batch. */
void session_reset_spoiled(struct session *session);
/* Its unit is over. */
void session_reset_done(struct session *session, char status);
/* The next ReadyForQuery is that of such a statement, and kept back. */
bool session_reset_is_sent(const struct session *session);
/* The client awaits a ReadyForQuery that is ours to send. */
bool session_reset_is_owing(const struct session *session);
/* Sends it, when all is done. */
void session_reset_pay(struct session *session);
void session_reset_forget(struct session *session);

/* --- session_inspect --- */

/* May a unit of these effects leave something behind? */
bool session_inspect_is_suspect(uint32_t effects);
/* Such a unit goes to the server. */
void session_inspect_sent(struct session *session, uint32_t effects);
/* Its text, or something else that names what it sets; NULL: unknown. */
void session_inspect_text(struct session *session, uint32_t effects,
			  const void *text, size_t len);
/* A pin that ends only with the session, or DISCARD ALL. */
void session_inspect_stick(struct session *session, uint32_t pin);
/* What was stuck is gone. */
bool session_inspect_is_portable(const struct session *session, uint32_t pin);
void session_inspect_unstick(struct session *session, uint32_t pin);
/* A unit is over. */
void session_inspect_ended(struct session *session,
			   const struct sqlclass *judged);
/* Is something that these effects may have left behind not known yet? */
bool session_inspect_is_due(const struct session *session, uint32_t effects);
/* ... of settings, or of what may have changed them? */
bool session_inspect_is_open(const struct session *session);
/* What these effects left behind is known to be gone. */
void session_inspect_reset(struct session *session, uint32_t effects);
/* On an idle server: looks if there is need; true: the answer is to come. */
bool session_inspect_begin(struct session *session);
/* A row of the answer. */
void session_inspect_take(struct session *session,
			  const struct pgwire_message *row);
bool session_inspect_is_looking(const struct session *session);
/* The answer is over; ok: without an error. */
void session_inspect_end(struct session *session, bool ok);
/*
 * Settings of the startup packet may have to be restored first: what comes
 * behind a RESET has to wait.
 */
bool session_inspect_holds(const struct session *session);
/* Drops all that is remembered. */
void session_inspect_forget(struct session *session);

/* --- session_effects --- */

/* A Query, a Bind (entry NULL: of a name unknown) goes to the server. */
void session_effects_of_query(struct session *session,
			      const struct sqlclass *judged,
			      const struct pgwire_message *message);
void session_effects_of_bind(struct session *session,
			     const struct stmtmap_entry *entry,
			     const struct pgwire_message *message);
/* --- session_fresh --- */

/* May reads of this session leave the primary at all? */
bool session_can_split(const struct session *session);

/* Which level its settings, or the configuration, ask for. */
void session_judge_consistency(struct session *session);
/* A unit is answered; is_over: and no transaction open. */
void session_fresh_note(struct session *session, const struct sqlclass *judged,
			bool is_over);
/* Which replica may answer, and whether one may. */
void session_fresh_look(struct session *session, struct route_input *input,
			int *replica);
/* Waits until one may, or session_fresh_end_us() has come. */
void session_fresh_wait(struct session *session);
uint64_t session_fresh_end_us(const struct session *session);
/* Waits no more. */
void session_fresh_leave(struct session *session);

/* Is the position of another cluster than the one that is known here? */
bool session_fresh_is_foreign(const struct session *session,
			      struct watermark position);

/* Are its commits acknowledged before they are flushed? */
bool session_fresh_is_asynchronous(const struct session *session);

/* Whether names may mean something else since the catalog was read. */
bool session_fresh_is_catalog_old(const struct session *session);

/* --- session_token --- */

/* The unit in the scan shows a token, and waits until nothing is in flight. */
bool session_token_must_wait(const struct session *session);
/* ... begins: its server is told to make one. */
void session_token_begin(struct session *session);
/* A Bind that shows one is sent, of a batch that was not looked at before. */
void session_token_insert(struct session *session);
/*
 * The unit in the scan sets what is no token: true, another one stands there
 * now, which fails.
 */
bool session_token_refuses(struct session *session);

/* --- session_units --- */

/* The oldest unit is answered with this status; it is skipped. */
void session_note_unit(struct session *session, char status);
void session_drop_unit(struct session *session);
/* A unit under way may drop names of prepared statements. */
bool session_is_dropping_names(const struct session *session);
/* The catalog may have changed: its owner loads it again. */
void session_want_catalog(const struct session *session);

/* --- session_sequence --- */

/* The unit that stands in the scan asks for what sequences gave it. */
void session_sequence_wants(struct session *session, int node);
/* Before its settings are applied: what others have drawn goes. */
void session_sequence_attached(struct session *session);
/* DISCARD SEQUENCES or ALL was done. */
void session_sequence_forget(struct session *session);
/*
 * It keeps its server for what others who wait for one are worth more than,
 * and does nothing with it now.
 */
bool session_may_yield(const struct session *session);
/* ... after so long without a word of its client. */
uint64_t session_yield_after_us(const struct session *session);
/* ... and keeps it no longer. */
void session_yield(struct session *session);
/* A statement is about to be sent. */
void session_sequence_sent(struct session *session,
			   const struct sqlclass *class);

/* --- session_ddl --- */

/*
 * A statement about databases or roles is about to be sent to the session's
 * server.  False: it has to wait, the session is pumped when it may pass.
 */
bool session_ddl_may_pass(struct session *session, const char *sql, size_t len);
/* With session->ddl: a unit is answered, or skipped (status 0). */
void session_ddl_note_unit(struct session *session, char status);
/* With session->ddl: the session ends. */
void session_ddl_leave(struct session *session);

/* --- session_undo --- */

/* The unit under way is about to change what the name stands for. */
void session_undo_note(struct session *session, const char *name);
/* The oldest unit that is kept is answered: its changes hold. */
void session_undo_settle(struct session *session);
/* All changes hold; are taken back, the last one first. */
void session_undo_forget(struct session *session);
void session_undo_all(struct session *session);

/* --- session_replay --- */

/* The unit that stands in the scan goes out now: kept if it may be repeated. */
void session_replay_keep(struct session *session);
/*
 * Bytes of an answer: true, they are held for as long as it may be repeated;
 * else they go to the client, and what was held has gone before them.
 */
bool session_replay_holds(struct session *session, const void *data,
			  size_t len);
/* The client has heard of the oldest unit, which is not repeated then. */
void session_replay_tell(struct session *session);
/* The oldest unit is answered, and all of that has gone to the client. */
void session_replay_answered(struct session *session);
/* Nothing is repeated; what is held goes to the client. */
void session_replay_forget(struct session *session);
/* Nothing of what is kept has reached the client, all may be repeated. */
bool session_replay_can(const struct session *session);
/* The same, whatever has become of it on a server that was lost. */
bool session_replay_can_lose(const struct session *session);
/* Is it the replica's fault, and not the statement's? */
bool session_replay_is_fault(const struct session *session,
			     const char *sqlstate);
/* After such an error: a shape that replicas always refuse stays away. */
void session_replay_learn(struct session *session, const char *sqlstate);
/* A replica could not serve the unit: another one shall, then none. */
void session_replay_avoid(struct session *session);
/* Without a server: puts it all back. */
void session_replay_rewind(struct session *session);

/* --- session_doubt --- */

enum session_doubt {
	DOUBT_NONE, /* the unit may go */
	DOUBT_OPEN, /* not known yet: behind, tried again with what is new */
	DOUBT_ENDED /* its server had meant it alone; the session has ended */
};

/* Before the server is let go: may what is in flight have been committed? */
bool session_doubt_is_unknown(const struct session *session,
			      const struct server_loss *loss);
/*
 * What was in flight was certainly not done: true, its caller rewinds it and
 * lets it find a server again, which session_doubt_look will hold up until it
 * is known whether its primary is gone.  The session has let go of the server.
 */
bool session_doubt_lost(struct session *session,
			const struct server_loss *loss);
/* The same for an error, while the session has its server. */
bool session_doubt_refused(struct session *session, const char *sqlstate);
/* A unit that stands in the scan wants a server: may it have one? */
enum session_doubt session_doubt_look(struct session *session);
void session_doubt_forget(struct session *session);

/* --- session_home --- */

/* In session pooling, on the server that is its own. */
bool session_is_at_home(const struct session *session);
/* Nothing is under way there, and no state of it is needed elsewhere. */
bool session_may_leave_home(const struct session *session);
/* The server stands aside; the session is IDLE, without one. */
void session_leave_home(struct session *session);
/* Without a server: back to its own.  False: it was lost, the session ends. */
bool session_go_home(struct session *session);
/* At the end of an answer: ends a session whose own server was lost. */
bool session_is_evicted(struct session *session);

/* --- session_listen --- */

/* A statement goes to the server now. */
void session_listen_note(struct session *session, const struct sqlclass *class);
/* May the next unit begin, or is something under way behind the last? */
bool session_listen_may_begin(const struct session *session);
/* The unit in the scan begins: what has to happen in front of it. */
void session_listen_begin(struct session *session);
/* ... is under way. */
bool session_listen_holds_unit(const struct session *session);
/* A ReadyForQuery is here: true when it waits until tend has let it go. */
bool session_listen_holds(struct session *session, char status);
/*
 * The server is idle, the session has nothing in flight: does what is due.
 * True when the server is needed for that.
 */
bool session_listen_tend(struct session *session);
/* It is this room that looks at the channels of the session's server. */
static inline bool session_listen_decides(const struct session *session)
{
	return session->ear && (session->pins & EFFECT_LISTEN);
}
/* It is doing that now. */
bool session_listen_is_busy(const struct session *session);
/* What the server tells: server_types.h. */
void session_listen_row(struct session *session,
			const struct pgwire_message *message);
void session_listen_asked(struct session *session, bool ok);
void session_listen_notified(struct session *session,
			     const struct pgwire_message *message);
/* DISCARD ALL was done. */
void session_listen_forget(struct session *session);
/* The session ends. */
void session_listen_end(struct session *session);
/* Channels that come from a hub. */
size_t session_listen_count(const struct session *session);

/* --- session_place --- */

/* A server for the unit that stands in the scan; false: wait. */
bool session_find_server(struct session *session);
/* Takes a server of that node, or queues; true when it is here. */
bool session_take(struct session *session, int node);
/*
 * The server is the session's from here; its settings go in front.  A login
 * that needs none is over at once, and its server given back.
 */
void session_attach(struct session *session, struct server *server);
/*
 * The unit goes on on the primary: what it has prepared is prepared there
 * again by whoever uses it.  True when the pump may go on.
 */
bool session_move(struct session *session);
/* A BEGIN that has waited for a statement goes to a server without one. */
void session_begin_now(struct session *session);

/* --- session_served --- */

/* What the server tells the session that holds it. */
extern const struct server_user_hooks session_server_hooks;

/* Something of ours is answered: settings are in force, a login can end. */
void session_on_applied(void *user);
/* In a transaction block, failed or not, on the server that it holds. */
/* Must its server stay its own between transactions? */
bool session_is_keeping(const struct session *session);
/* Gives the server back when nothing holds it; renews the time limit. */
void session_release_if_done(struct session *session);

/* --- session --- */

/* What the client's stream tells. */
void session_on_event(void *owner, enum stream_event event);
/* Moves the session on as far as it gets. */
void session_pump(struct session *session);
/* The unit that waits is judged and placed anew. */
void session_try_again(struct session *session);

/* --- intake --- */

enum intake_result {
	INTAKE_MORE,  /* more bytes are needed */
	INTAKE_UNIT,  /* scan.judged says what comes */
	INTAKE_LOCAL, /* a batch that needs no server stands there whole */
	INTAKE_STRAY, /* a message that means nothing now: session.discard */
	INTAKE_END,   /* the client takes its leave */
	INTAKE_BAD    /* protocol violation: *why says which */
};

/* Looks at the next unit; consumes nothing. */
enum intake_result intake_look(struct session *session, const char **why);

/* How the session's settings make a text be read. */
struct sqlclass_context intake_context(const struct session *session);

/* The class of a statement text under the session's settings. */
struct sqlclass intake_judge(const struct session *session, const char *sql,
			     size_t len);

/* --- relay --- */

enum relay_result {
	RELAY_MORE, /* all that is here was passed on */
	RELAY_UNIT, /* a unit has ended; there may be more */
	RELAY_HOLD, /* wait until nothing is in flight */
	RELAY_MOVE, /* what comes does not belong on this replica */
	RELAY_FULL, /* the server does not keep up */
	RELAY_END,  /* the client takes its leave */
	RELAY_BAD   /* protocol violation: *why says which */
};

/* Passes messages of the unit under way to the server. */
enum relay_result relay_run(struct session *session, const char **why);

/*
 * A part of a batch up to its Flush, of nothing that runs, is answered: it
 * ends here, and what follows is a unit of its own.
 */
void relay_end_part(struct session *session);

/* Nothing is in flight: nor is a change of the unnamed statement. */
void relay_forget_changes(struct session *session);

/* What became of a message that concerns a name. */
void relay_settled(struct session *session, const struct track_entry *entry,
		   bool ok);

/* --- unserved --- */

/* Answers a batch of Close and Sync, which stands there whole. */
void unserved_answer(struct session *session);
/* Drops what is here of a message that means nothing; false: more of it. */
bool unserved_discard(struct session *session);
/* Drops a unit that was cancelled while it waited; answers ReadyForQuery. */
void unserved_skip(struct session *session);
/* Goes on with that; false when more bytes are needed. */
bool unserved_skip_more(struct session *session);

#endif
