#ifndef PGWEIR_PROXY_SESSION_NAMES_H
#define PGWEIR_PROXY_SESSION_NAMES_H

/*
 * The rooms of a session that know what its names of prepared statements
 * stand for, here and on a server.  For the rooms of a session alone, like
 * session_parts.h, and on its thread.
 */
#include "core/pgwire.h"
#include "proxy/session_parts.h"

/* --- names --- */

/* The number of the last use of a name; of a new one. */
uint64_t names_serial(const struct session *session);
uint64_t names_next_serial(struct session *session);
/*
 * A batch in flight defines or closes the name, unless it fails first: what
 * uses the name in a later batch has to wait and see.
 */
bool names_is_unsure(const struct session *session, const char *name);
/* The name stands for the statement from here on. */
struct stmtmap_entry *names_put(struct session *session, const char *name,
				struct stmt *stmt, struct sqlclass judged);
/* In front of a Parse of the unnamed statement: how to undo it. */
struct server_note *names_keep_unnamed(struct session *session);

/*
 * The transaction has failed, and nothing in flight ends it: until somebody
 * does, nothing can be prepared, and nothing runs.
 */
bool names_have_failed(const struct session *session);

/* A client's own names must not reach a statement of ours. */
bool names_looks_like_ours(const char *name);
/* The statement of a Parse, with a reference. */
struct stmt *names_intern(struct session *session,
			  const struct pgwire_message *message,
			  const struct pgwire_parse *parse, uint32_t effects);
/* The statement of a name, as it is under the settings of now. */
struct stmt *names_stmt_now(struct session *session,
			    struct stmtmap_entry *entry);
/* The batch in the scan only closes names and prepares what is known good. */
bool names_are_known(const struct session *session);

/* --- reread --- */

/* How a Parse finds the settings of then around it. */
enum reread_way {
	REREAD_PLAIN, /* does not: those of now */
	REREAD_ALONE, /* in a batch of ours */
	REREAD_SET_BACK,
	REREAD_SAVEPOINT
};

struct reread {
	enum reread_way way;
	unsigned flags; /* for the Parse: 0, or TRACK_QUIET */
	const struct settings *then;
};

/* The settings of then are known, and can be had on the server now. */
bool reread_can(const struct session *session, const struct stmt *stmt);
/* They may be others than those of now. */
bool reread_is_due(const struct session *session, const struct stmt *stmt);
/* What brings the statement stands between the two; flags as of the Parse. */
struct reread reread_begin(struct session *session, const struct stmt *stmt,
			   unsigned flags);
void reread_end(struct session *session, const struct reread *reread);
/* server_prepare() in this way. */
void reread_prepare(struct session *session, struct stmt *stmt);

/* --- materialise --- */

/* May a text of these effects use names of prepared statements? */
bool materialise_is_needed(uint32_t effects);
/*
 * The text goes to the server next: brings what it uses in front.  Replaces
 * what using statements means for the session by what these may leave
 * behind.  False: it has to wait until nothing is in flight.
 */
bool materialise_text(struct session *session, const char *sql, size_t len,
		      uint32_t *effects);
/* The same for one that is only prepared. */
bool materialise_parse(struct session *session, const char *sql, size_t len);
/*
 * A name is about to be used by the protocol: true, it was made by PREPARE, or
 * its text names statements, and it is there under its own name.
 */
bool materialise_name(struct session *session, const char *name,
		      struct stmtmap_entry *entry);
/* The server has done a PREPARE, or a DEALLOCATE. */
void materialise_moved(struct session *session, bool is_prepare);
/* The unit is over: what it has not done it will not do. */
void materialise_drop_moves(struct session *session);

/* --- relay_shared --- */

/*
 * A Parse of the unnamed statement: true, it is answered, and the server has
 * the statement by its number; what is needed for that has been sent.  False:
 * nothing has happened, it is to be passed on.
 */
bool relay_shared_parse(struct session *session, struct stmt *stmt,
			struct sqlclass class);

/* --- relay_names --- */

/*
 * A Parse whose names are sure: true, the message is to be passed on as it
 * is; else what is needed of it has been sent.
 */
bool relay_names_parse(struct session *session,
		       const struct pgwire_message *message,
		       const struct pgwire_parse *parse, struct sqlclass class);
/*
 * Makes sure that what the name stands for is on the server; NULL when the
 * client has no such name.  The result is the name to use there.
 */
const char *relay_names_there(struct session *session, const char *name,
			      bool is_described,
			      const struct stmtmap_entry **found);
/*
 * It is not there, and whether it can be brought depends on what is in flight:
 * a transaction that may have failed.
 */
bool relay_names_must_wait(struct session *session, const char *name);
/*
 * For the Bind of an entry (NULL: none): errors shall use this name, where the
 * statement has an older one, or the name may stand for what is read by other
 * settings before the error is here.
 */
struct server_note *relay_names_note(const struct session *session,
				     const struct stmtmap_entry *entry,
				     const char *name);
/* The client closes the name: true, its message is to be passed on. */
bool relay_names_close(struct session *session, const char *name);

/* --- relay_portal --- */

/* The unnamed portal, if it is that of a BEGIN answered here. */
enum relay_portal {
	RELAY_PORTAL_THERE,   /* the message may go to the server */
	RELAY_PORTAL_WAIT,    /* not before all is answered */
	RELAY_PORTAL_ANSWERED /* something else has gone in its place */
};

/* A block was begun here; is_bound: by an Execute of that portal. */
void relay_portal_begun(struct session *session, bool is_bound);
/* A Bind of such a statement to that portal is sent. */
void relay_portal_bound(struct session *session, const char *portal,
			const struct sqlclass *class);
/* A Describe or Execute of that portal has come. */
enum relay_portal relay_portal_look(struct session *session,
				    const struct pgwire_message *message,
				    const char *portal);
void relay_portal_end_unit(struct session *session);

/* --- relay_told --- */

enum relay_told {
	RELAY_TOLD_HOLDS, /* bind it */
	RELAY_TOLD_WAIT,  /* the server was asked, or will be */
	RELAY_TOLD_BROKEN /* its columns are others than the client knows */
};

/* May the client still read the statement's rows as it was told? */
enum relay_told relay_told_check(struct session *session,
				 const struct pgwire_message *message,
				 const struct pgwire_bind *bind);
/* For a Bind that shall fail for that. */
struct server_note *relay_told_stale(void);
/* For the client's Describe of a statement; may be NULL. */
struct server_note *relay_told_note(struct session *session, const char *name,
				    const struct stmtmap_entry *entry);
/* A Bind is passed on: of whose columns will its portal's Describe tell? */
void relay_told_bound(struct session *session,
		      const struct pgwire_message *message,
		      const struct pgwire_bind *bind,
		      const struct stmtmap_entry *entry);
/* For that Describe, which follows at once; may be NULL. */
struct server_note *relay_told_take_portal(struct session *session);
void relay_told_forget(struct session *session);
/* False when the answered entry is no Describe. */
bool relay_told_settled(struct session *session,
			const struct track_entry *described);

/* --- session_scope --- */

/* How texts are read may have changed: whose statements are its own? */
void session_rescope(struct session *session);
/* One for what nobody else may share; a reference of the caller's. */
struct stmtscope *session_scope_alone(const struct session *session);
/* May such a unit change how the next ones are read? */
bool session_scope_hears(const struct session *session,
			 const struct sqlclass *judged);
/* Its text goes to the server, or what names what it sets; NULL: unknown. */
void session_scope_sent(struct session *session, const struct sqlclass *judged,
			const void *text, size_t len);
/*
 * Something is answered, and the server is in this state; is_open: what has
 * been set may still be looked up.
 */
void session_scope_settle(struct session *session, char status, bool is_open);
#endif
