#ifndef PGWEIR_PROXY_SESSION_BLOCK_H
#define PGWEIR_PROXY_SESSION_BLOCK_H

/*
 * The inside of a session, of session_parts.h: its transaction block, where it
 * begins and may begin anew.
 */
#include "core/sqlbegin.h"
#include "core/sqlfacts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgwire_message;
struct session;
struct session_unit;

/* --- session_begin --- */

/*
 * A Query goes to the session's server: a BEGIN READ ONLY on a replica is
 * kept, and what follows it.  text NULL: not here whole.
 */
void session_begin_ran(struct session *session, const struct sqlclass *class,
		       const char *text, size_t len);
/* The same is bound by that message, and executed. */
void session_begin_bound(struct session *session, const struct sqlclass *class,
			 const char *text, size_t len,
			 const struct pgwire_message *message);
void session_begin_executes(struct session *session);
/* The oldest Execute has succeeded. */
void session_begin_executed(struct session *session);
/* Is there anything in such a statement for the above? */
bool session_begin_hears(const struct session *session,
			 const struct sqlclass *class);
/* A unit is answered with this status; it is skipped. */
void session_begin_answered(struct session *session,
			    const struct session_unit *unit, bool is_query,
			    char status);
void session_begin_skipped(struct session *session,
			   const struct session_unit *unit);
/* The transaction is over, or is never to be begun again. */
void session_begin_forget(struct session *session);
/* On a replica, in a transaction that could still move to the primary. */
bool session_begin_is_open(const struct session *session);
/*
 * The unit in the scan does not belong on the replica where the transaction
 * has begun, and what has run in it can be repeated.
 */
bool session_begin_is_misplaced(const struct session *session);
/* Lets go of that replica; the session is IDLE. */
void session_begin_leave(struct session *session);
/* It is to be begun again on the primary, and has not been. */
bool session_begin_is_due(const struct session *session);
/* On another server: begins the transaction there, in front of the unit. */
void session_begin_again(struct session *session);
/* The server has gone, or is let go of, before its BEGIN mattered. */
void session_begin_undo(struct session *session);

/* Its BEGIN waits for the first statement, and no server has heard of it. */
bool session_begin_is_deferred(const struct session *session);
/*
 * The BEGIN in the scan waits from here on, or the SET TRANSACTION goes with
 * it; false: it is too long for that.
 */
bool session_begin_defer(struct session *session, const struct sqlbegin *modes,
			 const char *text, size_t len);
/* When it is sent, whatever the client does; it may wait as long once more. */
uint64_t session_begin_end_us(const struct session *session);
void session_begin_wait_on(struct session *session);
/* Its first statement was cancelled while it waited for a server. */
void session_begin_fail(struct session *session);
/* No server has heard of it, and it has failed already. */
bool session_begin_has_failed(const struct session *session);
/* Without a server: status for a ReadyForQuery of ours. */
char session_begin_status(const struct session *session);
/*
 * With such a BEGIN: may the transaction begin on a replica with what is so
 * judged?  Then judged becomes what the transaction is.
 */
bool session_begin_may_leave(const struct session *session,
			     struct sqlclass *judged);

/* On a replica, in one that may write: in front of its first write. */
bool session_begin_is_early(const struct session *session);
/* Should its server be gone, it can be begun anew without a difference. */
bool session_begin_can_restart(const struct session *session);
/*
 * It has read on its replica, and the read in the scan must show more than
 * what that one had then.
 */
bool session_begin_is_outdated(const struct session *session);
/* ... lets go of that replica: as if nothing had been read. */
void session_begin_place_anew(struct session *session);

/* --- session_early --- */

/*
 * The unit in the scan may run on a replica in a transaction that may write:
 * plain reads, that leave no portal and do not ask when it began.
 */
bool session_early_is_plain(const struct session *session);

/* --- session_defer --- */

/*
 * What stands first in the in-buffer begins, shapes or ends a transaction that
 * no server need hear of yet: true, it is answered.
 */
bool session_defer_answers(struct session *session);

#endif
