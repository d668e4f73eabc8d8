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
#include "base/strmap.h"
#include "base/util.h"
#include "core/channels.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/ears.h"
#include "proxy/hub_mail.h"
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

enum {
	HUB_LIMIT_US = 3 * 1000 * 1000, /* for a hub's answer */
	RETRY_US = 1000 * 1000,
	DEAF_RETRY_US = 15 * 1000 * 1000
};

static const uint32_t concerning =
	EFFECT_LISTEN | EFFECT_UNLISTEN_ALL | EFFECT_HIDDEN | EFFECT_EXECUTE;

static bool is_pooling(const struct session *session)
{
	return session->mode != POOL_MODE_SESSION;
}

/* The server itself listens for the session. */
static bool is_native(const struct session *session)
{
	return (session->pins & EFFECT_LISTEN) != 0;
}

/* May the statement look at, or change, what the session listens to? */
static bool concerns_channels(struct sqlclass class)
{
	return (class.effects & concerning) || class.reason == REASON_LEX ||
	       class.reason == REASON_TOO_LONG;
}

static void set_timer(struct ear *ear, uint64_t span_us)
{
	struct local *local = ear->session->local;

	wheel_set(worker_wheel(local->worker), &ear->timer,
		  local_now(local) + span_us);
}

static void ask(struct session *session, struct buf *sql)
{
	server_ask(session->server, sql);
	buf_free(sql);
}

static const char *database_of(const struct ear *ear)
{
	return pool_database(ear->session->pool);
}

static struct hub_name hub_of(const struct ear *ear)
{
	return (struct hub_name){ database_of(ear), ear->encoding };
}

static void remove_all(struct ear *ear, const struct channels *channels)
{
	for (size_t i = 0; i < channels_count(channels); i++)
		ear_remove(ear, channels_at(channels, i));
	if (ear->hub)
		hub_drop(ear->session->local, hub_of(ear), channels);
}

static void empty(struct channels **channels)
{
	channels_free(*channels);
	*channels = channels_new();
}

/* --- the end of it --- */

/* All is said that comes before the ReadyForQuery; and that itself. */
static void say_ready(struct ear *ear)
{
	ear_flush(ear);
	if (ear->is_holding)
		pgbuild_ready(stream_out(ear->session->client), 'I');
	ear->is_holding = false;
}

static void rest(struct ear *ear)
{
	struct session *session = ear->session;

	ear->step = EAR_REST;
	wheel_unset(&ear->timer);
	say_ready(ear);
	if (is_native(session))
		set_timer(ear, ear->is_deaf ? DEAF_RETRY_US : RETRY_US);
	session_release_if_done(session);
	session_pump(session);
}

/* The hub has it all: the server need not listen. */
static void leave(struct ear *ear)
{
	struct buf sql = BUF_INIT;

	say_ready(ear);
	if (!is_native(ear->session)) {
		rest(ear);
		return;
	}
	ear->step = EAR_LEAVING;
	buf_printf(&sql, "UNLISTEN *;");
	ask(ear->session, &sql);
}

static void left(struct ear *ear, bool ok)
{
	if (ok) {
		ear->session->pins &= ~(uint32_t)EFFECT_LISTEN;
		ear->is_shown = false;
	}
	rest(ear);
}

/* Until it has told all that was sent before. */
static void await_hub(struct ear *ear, enum ear_step step)
{
	const struct session *session = ear->session;

	ear->step = step;
	assert(!ear->is_deaf);
	hub_barrier(session->local, hub_of(ear), session->id, ++ear->serial);
	set_timer(ear, HUB_LIMIT_US);
}

static void pass_barrier(struct ear *ear)
{
	if (ear_count(ear) == 0 || ear->is_deaf) {
		leave(ear);
		return;
	}
	await_hub(ear, EAR_BARRIER);
}

/* --- lifting --- */

static void stay_native(struct ear *ear)
{
	struct buf sql = BUF_INIT;

	ear->step = EAR_CLEARING;
	ear->is_doubtful = true;
	channels_unlisten(&sql,
			  hub_token_channel(ear->session->local->process));
	ask(ear->session, &sql);
}

/* No hub: what came behind the token is the server's to tell after all. */
static void give_up(struct ear *ear)
{
	log_debug("client %s db=%s: no listener, it keeps its server",
		  ear->session->address, database_of(ear));
	remove_all(ear, ear->added);
	empty(&ear->added);
	ear->serial++;
	stay_native(ear);
}

static void lift_if_told(struct ear *ear)
{
	if (!ear->is_token_here || !ear->is_token_there)
		return;
	ear_merge(ear);
	empty(&ear->added);
	leave(ear);
}

static void choose_hub(struct ear *ear)
{
	const char *encoding = strmap_get(
		server_parameters(ear->session->server), "client_encoding");

	if (ear->hub)
		return;
	ear->encoding = xstrdup(encoding ? encoding : "UTF8");
	ear->hub = hub_key(database_of(ear), ear->encoding);
}

static void lift(struct ear *ear)
{
	struct session *session = ear->session;

	choose_hub(ear);
	ear->is_token_here = false;
	ear->is_token_there = false;
	ear->step = EAR_TOKEN;
	hub_want(session->local, hub_of(ear), server_site(session->server),
		 ear->added, session->id, ++ear->serial);
	set_timer(ear, HUB_LIMIT_US);
}

static void list_channels(struct ear *ear)
{
	struct buf sql = BUF_INIT;

	ear->step = EAR_LISTING;
	empty(&ear->found);
	buf_printf(&sql, "SELECT pg_catalog.pg_listening_channels();");
	channels_listen(&sql, hub_token_channel(ear->session->local->process));
	ask(ear->session, &sql);
}

static void take_list(struct ear *ear)
{
	struct channels *gone;

	ear->is_doubtful = false;
	channels_free(ear->added);
	ear->added = channels_minus(ear->found, ear->heard);
	/* A server that was not shown them says nothing about them. */
	if (ear->is_shown) {
		gone = channels_minus(ear->heard, ear->found);
		remove_all(ear, gone);
		channels_free(gone);
	}
	if (channels_count(ear->added) == 0) {
		pass_barrier(ear);
	} else if (channels_count(ear->added) + ear_count(ear) >
		   EAR_CHANNELS_MAX) {
		empty(&ear->added);
		stay_native(ear);
	} else {
		lift(ear);
	}
}

/* --- in front of a unit --- */

/* In front of a unit: the server listens to what the session hears. */
static void show(struct ear *ear)
{
	struct session *session = ear->session;
	struct sqlclass class = session->scan.judged;
	struct buf sql = BUF_INIT;

	if (is_native(session) || server_site(session->server)->is_replica ||
	    (class.command == COMMAND_OTHER && !concerns_channels(class)))
		return;
	for (size_t i = 0; i < ear_count(ear); i++)
		channels_listen(&sql, channels_at(ear->heard, i));
	session->pins |= EFFECT_LISTEN;
	ear->is_showing = true;
	ask(session, &sql);
}

/* The client has been told nothing of the unit yet. */
static void go_ahead(struct ear *ear)
{
	struct session *session = ear->session;

	ear->step = EAR_REST;
	wheel_unset(&ear->timer);
	ear_flush(ear);
	show(ear);
	session_pump(session);
}

/* --- what others tell --- */

void session_listen_row(struct session *session,
			const struct pgwire_message *message)
{
	struct ear *ear = session->ear;
	char *name;

	if (!ear || ear->step != EAR_LISTING)
		return;
	name = channels_read_row(message);
	if (name &&
	    strcmp(name, hub_token_channel(session->local->process)) != 0)
		(void)channels_add(ear->found, name);
	free(name);
}

void session_listen_asked(struct session *session, bool ok)
{
	struct ear *ear = session->ear;

	if (!ear)
		return;
	if (ear->is_showing) {
		ear->is_showing = false;
		ear->is_shown = ok;
		return;
	}
	switch (ear->step) {
	case EAR_LISTING:
		if (ok)
			take_list(ear);
		else
			rest(ear);
		break;
	case EAR_CLEARING: rest(ear); break;
	case EAR_LEAVING: left(ear, ok); break;
	case EAR_REST:
	case EAR_AHEAD:
	case EAR_TOKEN:
	case EAR_BARRIER:
	default: break;
	}
}

static bool is_own_token(const struct ear *ear, const char *payload)
{
	const struct session *session = ear->session;
	char token[HUB_TOKEN_ROOM];

	hub_token_write(token, session->local->index, session->id, ear->serial);
	return strcmp(token, payload) == 0;
}

/*
 * Does the server listen for this client?  Perhaps by a function, as long as
 * nobody has looked; never for whoever had the server before.
 */
static bool may_listen(const struct session *session)
{
	if (!is_pooling(session) || is_native(session) || session->inspect)
		return true;
	for (unsigned i = 0; i < session->units_count; i++)
		if (session_unit_at(session, i)->judged.effects & concerning)
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
		if (ear->step != EAR_TOKEN || !is_own_token(ear, heard.payload))
			return;
		ear->is_token_here = true;
		ear->native_mark = buf_len(&ear->native);
		lift_if_told(ear);
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

static void take_token(struct ear *ear, bool ok)
{
	if (ear->step != EAR_TOKEN)
		return;
	if (!ok) {
		give_up(ear);
		return;
	}
	ear->queue_mark = buf_len(&ear->queue);
	for (size_t i = 0; i < channels_count(ear->added); i++)
		ear_add(ear, channels_at(ear->added, i));
	ear->is_token_there = true;
	lift_if_told(ear);
}

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
		take_token(session->ear, mail->ok);
	else if (session->ear->step == EAR_BARRIER)
		leave(session->ear);
	else if (session->ear->step == EAR_AHEAD)
		go_ahead(session->ear);
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

/* From here on nobody waits for the hub until it says something. */
static void stop_waiting(struct ear *ear)
{
	enum ear_step step = ear->step;

	ear->is_deaf = true;
	log_warning("client %s db=%s: the listener does not answer",
		    ear->session->address, database_of(ear));
	if (step == EAR_TOKEN)
		give_up(ear);
	else if (step == EAR_AHEAD)
		go_ahead(ear);
	else
		leave(ear);
}

static void try_again(struct ear *ear)
{
	struct session *session = ear->session;

	if (ear_is_open(ear) && is_native(session) &&
	    server_is_idle(session->server))
		list_channels(ear);
	else
		set_timer(ear, RETRY_US);
}

static void on_timer(struct wheel_timer *timer)
{
	struct ear *ear = LIST_ENTRY(timer, struct ear, timer);

	switch (ear->step) {
	case EAR_TOKEN:
	case EAR_BARRIER:
	case EAR_AHEAD: stop_waiting(ear); break;
	case EAR_REST: try_again(ear); break;
	case EAR_LISTING:
	case EAR_CLEARING:
	case EAR_LEAVING:
	default: break;
	}
}

void session_listen_note(struct session *session, struct sqlclass class)
{
	if (!is_pooling(session))
		return;
	if (!session->ear && (class.effects & EFFECT_LISTEN)) {
		session->ear = ear_new(session);
		wheel_timer_init(&session->ear->timer, on_timer);
	}
	if (session->ear && concerns_channels(class))
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
	       (class.effects & EFFECT_DISCARD_ALL) || concerns_channels(class);
}

void session_listen_begin(struct session *session)
{
	struct ear *ear = session->ear;

	if (!ear || ear_count(ear) == 0 || session_is_in_transaction(session))
		return;
	if (ear->is_deaf)
		show(ear);
	else if (needs_news(session->scan.judged))
		await_hub(ear, EAR_AHEAD);
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
	    (!is_native(session) && ear_count(ear) == 0))
		return false;
	ear->is_holding = true;
	return true;
}

/* Behind a unit, the server idle: what has to be done first. */
static void begin_steps(struct ear *ear)
{
	struct session *session = ear->session;

	/* A replica listens to nothing, whatever it was told. */
	if (is_native(session) && server_site(session->server)->is_replica)
		session->pins &= ~(uint32_t)EFFECT_LISTEN;
	if (is_native(session) && ear->is_doubtful)
		list_channels(ear);
	else
		pass_barrier(ear);
}

bool session_listen_decides(const struct session *session)
{
	return session->ear && is_native(session);
}

bool session_listen_is_busy(const struct session *session)
{
	return session->ear && session->ear->step != EAR_REST;
}

bool session_listen_tend(struct session *session)
{
	struct ear *ear;

	/* Found by the look at the server: nobody has seen it coming. */
	if (is_native(session) && is_pooling(session) && !session->ear)
		session_listen_note(
			session, (struct sqlclass){ .effects = EFFECT_LISTEN });
	ear = session->ear;
	if (!ear)
		return false;
	assert(ear->step == EAR_REST);
	if (ear->is_holding ||
	    (is_native(session) && !wheel_is_set(&ear->timer))) {
		begin_steps(ear);
		return true;
	}
	if (ear_is_open(ear))
		ear_flush(ear);
	if (ear_count(ear) == 0 && !is_native(session)) {
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
	remove_all(ear, channels);
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
		remove_all(ear, ear->added);
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
