#ifndef PGWEIR_PROXY_SERVER_USE_H
#define PGWEIR_PROXY_SERVER_USE_H

/*
 * What a session does with the server that it holds.
 */
#include "proxy/server_guests.h"
#include "proxy/server_types.h"

struct stmt_shape;

/*
 * The session looks at its server in another way: it stands aside, idle, or
 * is taken up again.
 */
void server_set_hooks(struct server *server,
		      const struct server_user_hooks *hooks);

/* The session state is no longer what settings say: DISCARD ALL after use. */
void server_mark_dirty(struct server *server);
/* No command undoes its state: it is closed after use. */
void server_mark_spent(struct server *server);
/* Whoever comes next takes the session state as it is. */
void server_mark_clean(struct server *server);
/* The client has changed its settings, on this server, to these. */
void server_note_settings(struct server *server,
			  const struct settings *settings);

/*
 * Brings the settings in front of what is sent next, in the same packet.
 * True when they are in force already, else applied follows.
 */
bool server_apply(struct server *server, const struct settings *settings);
/* The same, but what it changes is reported to the session. */
bool server_apply_aloud(struct server *server, const struct settings *settings);

/*
 * Sends statements on our own account: row is told of each row of theirs (of
 * moderate size), asked at their end.  They may fail.
 */
void server_ask(struct server *server, const struct buf *sql);
/* A query of ours that cannot fail, unheard, in front of what comes next. */
void server_tell(struct server *server, const struct buf *sql);
/*
 * A BEGIN that cannot fail, and what was set behind it, unheard, in front of
 * what comes next.  The server counts as in the block at once.
 */
/* will_fail: its last statement does, and is meant to. */
void server_begin_block(struct server *server, const struct buf *sql,
			bool will_fail);

/* --- what sequences have given: currval() and lastval() --- */

/*
 * The session with this number draws from a sequence.  The result is one
 * number for as long as nobody else does so, and never comes again.
 */
uint64_t server_note_draw(struct server *server, uint64_t session);
/* Of the last session that drew; 0: nobody since the server was clean. */
uint64_t server_draw_turn(const struct server *server);
/* To be called before server_apply, which sends it: DISCARD SEQUENCES. */
void server_forget_draws(struct server *server);

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
/* All bytes for it so far, sent or not; 0 over TLS. */
uint64_t server_queued(const struct server *server);

/*
 * True when the statement is prepared, or will be by a Parse of the batch
 * under way, which would take whatever relies on it down with itself.  What
 * was prepared before the last DDL is stale, and does not count, unless the
 * transaction may have failed: then nothing can be prepared any more.
 */
bool server_has_statement(struct server *server, struct stmt *stmt);
/*
 * Puts a Parse of ours in front of what needs the statement.  flags: 0, or
 * TRACK_QUIET.
 */
void server_prepare(struct server *server, struct stmt *stmt);
void server_prepare_as(struct server *server, struct stmt *stmt,
		       unsigned flags);
/*
 * Its Parse stands in a batch of ours in front of this one, which cannot do
 * without it either.
 */
void server_rely_on(struct server *server, const struct stmt *stmt);
/* Behind its Parse: the server shall tell what it is like, once. */
void server_describe_new(struct server *server, struct stmt *stmt);
/*
 * The server shall tell what the statement's columns are there; what it has
 * told (columns.h), 0 nothing yet.
 */
void server_describe(struct server *server, struct stmt *stmt);
uint64_t server_columns(const struct server *server, const struct stmt *stmt);
/*
 * A Parse follows that brings the statement: closes what the server may have
 * under its name, and makes room.  Its note is for the caller to make; true:
 * was_there, as far as known.
 */
bool server_expect_statement(struct server *server, struct stmt *stmt);
/* A Parse of it may have been sent, and nothing has closed it since. */
bool server_may_have(const struct server *server, const struct stmt *stmt);
/* As server_has_statement(), and not stale in a failed transaction either. */
bool server_has_fresh(struct server *server, const struct stmt *stmt);
/* When its Parse was sent last, in us of local_now(); 0: it is not there. */
uint64_t server_sent_us(const struct server *server, const struct stmt *stmt);
/* What is prepared next takes the place of another one. */
bool server_is_full_of_names(const struct server *server);
/*
 * Parse under a name that nobody uses: its answer is the client's, and takes
 * the note.  What the server has is not touched.
 */
void server_try_parse(struct server *server, const struct stmt *stmt,
		      struct server_note *note);
/* Number of the batch under way. */
uint64_t server_batch(const struct server *server);
/* Says in the note of a Parse when it is sent. */
void server_date_note(const struct server *server, struct server_note *note);

/* --- statements under a client's own name (server_guests, server_host) --- */

/*
 * They make sure of what stands under the name, and say whether they had to
 * send something: nothing; anything; this very statement, whose text is with
 * is_sql that of a PREPARE.  flags: 0, or TRACK_QUIET.
 */
bool server_lack_guest(struct server *server, const char *name);
bool server_need_guest(struct server *server, const char *name);
/* One that does nothing but has these parameters (stmt_shape). */
void server_stand_in(struct server *server, const char *name,
		     const struct stmt_shape *shape);
bool server_host_guest(struct server *server, const char *name,
		       struct stmt *stmt, bool is_sql, unsigned flags);
/* Would it have to send something? */
bool server_has_guest(const struct server *server, const char *name,
		      const struct stmt *stmt, bool is_sql);
/* As server_rely_on(). */
void server_rely_on_guest(struct server *server, const char *name);
/*
 * Runs one statement in the client's batch, as a part of it: it is skipped
 * with the batch, and fails it.
 */
void server_insert(struct server *server, const struct buf *sql);
void server_insert_as(struct server *server, const char *sql, size_t len,
		      unsigned flags);
/* Closes all of them, with a Sync behind; false: there were none. */
bool server_dismiss_guests(struct server *server);
/* Ends a batch that was all ours. */
void server_send_sync(struct server *server);
/*
 * Closes what is shared, and what is nobody's: whoever needs it has it
 * prepared again.
 */
void server_close_statements(struct server *server);
void server_close_statement(struct server *server, const char *server_name);
/*
 * The client's oldest name of a statement, if a Close of it is under way: what
 * stands in front of that knew the statement by it.  NULL: none.
 */
const char *server_closed_name(const struct server *server, uint64_t id);
/* The error now told of: a plan was made before DDL (plancache.c). */
bool server_has_stale_plan(const struct server *server);
/* A Query of ours waits for its answer. */
bool server_has_question(const struct server *server);

/* Which client's unnamed statement the server has; 0: none. */
uint64_t server_unnamed(const struct server *server);
void server_set_unnamed(struct server *server, uint64_t serial);

/* --- cancelling --- */

/*
 * A cancel request for this server is under way: until it is over, the
 * server is not given to anybody else.
 */
void server_begin_cancel(struct server *server);
void server_cancel_target(const struct server *server, uint32_t *pid,
			  const uint8_t **key, size_t *key_len,
			  const struct sockaddr_storage **address,
			  socklen_t *address_len);

#endif
