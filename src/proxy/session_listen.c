/*
 * LISTEN without a server of one's own.
 *
 * The server that a session is on says what it listens to; this room only
 * moves that to the hub of the database and back, so that names, rollbacks,
 * savepoints, functions and errors are PostgreSQL's own:
 *
 *   lifting   Behind a unit that may have changed channels the server is
 *             asked what it listens to.  What is new there is wanted from
 *             the hub, with a token that both hear: up to it the server's
 *             notifications count, from there the hub's.  Then the server
 *             listens to nothing, and may be anybody's.
 *   showing   In front of a transaction block, or a statement that may look
 *             at or change channels, the server is made to listen to what
 *             the session hears from the hub.  What it then tells of those
 *             channels is dropped.
 *
 * The ReadyForQuery behind which this is done is held back meanwhile, and
 * behind any other until the hub has caught up, since PostgreSQL tells of
 * what was sent before a transaction's end in front of it.  If a hub cannot
 * be had, the session keeps its server, as a pin, and tries again.
 */
#include "proxy/session_listen.h"

#include "base/buf.h"
#include "base/log.h"
#include "core/channels.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/ears.h"
#include "proxy/hub_mail.h"
#include "proxy/lift.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/notifiers.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool is_pooling(const struct session *session)
{
	return session->mode != POOL_MODE_SESSION;
}

/* --- what the server tells --- */

void session_listen_row(struct session *session,
			const struct pgwire_message *message)
{
	if (session->ear)
		lift_take_row(session->ear, message);
}

void session_listen_asked(struct session *session, bool ok)
{
	if (session->ear)
		lift_take_answer(session->ear, ok);
}

/*
 * Does the server listen for this client?  Perhaps by a function, as long as
 * nobody has looked; never for whoever had the server before.
 */
static bool may_listen(const struct session *session)
{
	if (!is_pooling(session) || lift_is_native(session) || session->inspect)
		return true;
	for (unsigned i = 0; i < session->units_count; i++)
		if (lift_concerns(session_unit_at(session, i)->judged))
			return true;
	return false;
}

void session_listen_notified(struct session *session,
			     const struct pgwire_message *message)
{
	struct ear *ear = session->ear;
	struct pgwire_notification heard;

	if (!pgwire_read_notification(message, &heard))
		return;
	if (!may_listen(session))
		return;
	if (ear && strcmp(heard.channel,
			  hub_token_channel(session->local->process)) == 0) {
		lift_take_token_here(ear, heard.payload);
		return;
	}
	heard.pid =
		notifiers_find(session->local->process->notifiers,
			       server_site(session->server)->label, heard.pid);
	if (ear && ear_keep(ear, &heard))
		return;
	pgbuild_notification(stream_out(session->client), heard.pid,
			     heard.channel, heard.payload);
	if (stream_len_is_high(stream_out_len(session->client)))
		server_slow(session->server, true);
}

/* --- what hubs tell --- */

static void take_end(struct local *local, const struct mail_heard_end *mail)
{
	struct session *session =
		session_table_find(local->sessions, mail->session);

	if (!session || !session->ear)
		return;
	session->ear->is_deaf = false;
	if (session->ear->serial != mail->serial)
		return;
	if (mail->mail.kind == MAIL_HEARD_TOKEN)
		lift_take_token(session->ear, mail->ok);
	else
		lift_take_barrier(session->ear);
}

/* The names of the channels, as many as fit. */
static void list_names(const struct ear *ear, struct buf *names)
{
	for (size_t i = 0; i < ear_count(ear) && buf_len(names) < 1000; i++)
		buf_printf(names, "%s%s", i > 0 ? ", " : "",
			   channels_at(ear->heard, i));
}

static void warn(struct ear *ear)
{
	struct buf message = BUF_INIT;
	struct buf names = BUF_INIT;

	list_names(ear, &names);
	pgbuild_notice(&message,
		       &(struct pgbuild_error){
			       .severity = "WARNING",
			       .sqlstate = "01000",
			       .message =
				       "notifications may have been missed: "
				       "the connection that listens was lost "
				       "and is back",
			       .detail = buf_text(&names),
			       .hint = "The detail names the channels." });
	ear_take(ear, &message);
	buf_free(&names);
	buf_free(&message);
}

static void take_gap(struct local *local, const struct mail_heard_gap *mail)
{
	LIST_FOREACH_SAFE (link, &local->session_list) {
		struct ear *ear = LIST_ENTRY(link, struct session, link)->ear;

		if (ear && ear->hub && strcmp(ear->hub, mail->hub) == 0 &&
		    ear_count(ear) > 0)
			warn(ear);
	}
}

bool session_listen_take_mail(struct local *local, struct mail *mail)
{
	switch (mail->kind) {
	case MAIL_HEARD:
		ears_hear(local, (struct mail_heard *)mail);
		mail_heard_free((struct mail_heard *)mail);
		return true;
	case MAIL_HEARD_TOKEN:
	case MAIL_HEARD_PAST:
		take_end(local, (struct mail_heard_end *)mail);
		free(mail);
		return true;
	case MAIL_HEARD_GAP:
		take_gap(local, (struct mail_heard_gap *)mail);
		free(((struct mail_heard_gap *)mail)->hub);
		free(mail);
		return true;
	default: return false;
	}
}

/* --- what the session does --- */

void session_listen_note(struct session *session, const struct sqlclass *class)
{
	if (!is_pooling(session))
		return;
	if (!session->ear && (class->effects & EFFECT_LISTEN)) {
		session->ear = ear_new(session);
		wheel_timer_init(&session->ear->timer, lift_out_of_time);
	}
	if (session->ear && lift_concerns(*class))
		session->ear->is_doubtful = true;
}

bool session_listen_may_begin(const struct session *session)
{
	const struct ear *ear = session->ear;

	if (!ear)
		return true;
	if (ear->step != EAR_REST || ear->is_holding)
		return false;
	/* One by one: a ReadyForQuery that is held holds nothing else up. */
	return ear_count(ear) == 0 || !session_has_pending(session);
}

/*
 * What was sent before is told before: a transaction would hold it up, and a
 * channel that is left would lose it.  It is also known whose it is, once this
 * client's own may follow from the same server.
 */
static bool needs_news(struct sqlclass class)
{
	return class.access > ACCESS_READ || class.command != COMMAND_OTHER ||
	       (class.effects & EFFECT_DISCARD_ALL) || lift_concerns(class);
}

void session_listen_begin(struct session *session)
{
	struct ear *ear = session->ear;

	if (!ear || ear_count(ear) == 0 || session_is_in_transaction(session))
		return;
	if (ear->is_deaf)
		lift_show(ear);
	else if (needs_news(session->scan.judged))
		lift_await_news(ear);
	else
		lift_ask_for_news(ear);
}

bool session_listen_holds_unit(const struct session *session)
{
	return session->ear && session->ear->step == EAR_AHEAD;
}

bool session_listen_holds(struct session *session, char status)
{
	struct ear *ear = session->ear;

	if (!ear || status != 'I' || session->units_count != 1 ||
	    session->is_mid_unit || ear->step != EAR_REST ||
	    (!lift_is_native(session) && ear_count(ear) == 0))
		return false;
	ear->is_holding = true;
	return true;
}

bool session_listen_is_busy(const struct session *session)
{
	return session->ear && session->ear->step != EAR_REST;
}

bool session_listen_tend(struct session *session)
{
	struct ear *ear;

	/* Found by the look at the server: nobody has seen it coming. */
	if (lift_is_native(session) && is_pooling(session) && !session->ear)
		session_listen_note(
			session,
			&(struct sqlclass){ .effects = EFFECT_LISTEN });
	ear = session->ear;
	if (!ear)
		return false;
	assert(ear->step == EAR_REST);
	if (ear->is_holding ||
	    (lift_is_native(session) && !wheel_is_set(&ear->timer))) {
		lift_begin(ear);
		return true;
	}
	if (ear_is_open(ear))
		ear_flush(ear);
	if (ear_count(ear) == 0 && !lift_is_native(session)) {
		session->ear = NULL;
		ear_free(ear);
	}
	return false;
}

void session_listen_forget(struct session *session)
{
	struct ear *ear = session->ear;
	struct channels *channels;

	if (!ear)
		return;
	channels = channels_minus(ear->heard, NULL);
	lift_remove_all(ear, channels);
	channels_free(channels);
	ear->is_doubtful = false;
	ear->is_shown = false;
}

void session_listen_end(struct session *session)
{
	struct ear *ear = session->ear;

	if (!ear)
		return;
	/* What is on its way is not heard yet, or is both. */
	if (ear->step == EAR_TOKEN) {
		lift_remove_all(ear, ear->added);
		ear->serial++;
	}
	session_listen_forget(session);
	session->ear = NULL;
	ear_free(ear);
}

size_t session_listen_count(const struct session *session)
{
	return session->ear ? ear_count(session->ear) : 0;
}
