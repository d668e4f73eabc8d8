/*
 * The steps between a server that listens and a hub that does (ears.h).
 *
 * Each sends one thing and waits for its answer; session_listen says when to
 * begin, and the last step ends in the session's pump.  While steps are under
 * way the session sends no unit.  Whatever fails or takes too long leaves the
 * session where it listens already: on its server, as a pin.
 */
#include "proxy/lift.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/channels.h"
#include "core/pgbuild.h"
#include "net/stream.h"
#include "proxy/ears.h"
#include "proxy/hub_mail.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t concerning =
	EFFECT_LISTEN | EFFECT_UNLISTEN_ALL | EFFECT_HIDDEN | EFFECT_EXECUTE;

enum {
	HUB_LIMIT_US = 3 * 1000 * 1000, /* for a hub's answer */
	RETRY_US = 1000 * 1000,
	DEAF_RETRY_US = 15 * 1000 * 1000
};

bool lift_concerns(struct sqlclass class)
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

void lift_remove_all(struct ear *ear, const struct channels *channels)
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
		ear_tell_late(ear);
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
	if (lift_is_native(session))
		set_timer(ear, ear->is_deaf ? DEAF_RETRY_US : RETRY_US);
	session->steps->release_if_done(session);
	session->steps->pump(session);
}

/* The hub has it all: the server need not listen. */
static void leave(struct ear *ear)
{
	struct buf sql = BUF_INIT;

	say_ready(ear);
	if (!lift_is_native(ear->session)) {
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

static void ask_hub(struct ear *ear)
{
	const struct session *session = ear->session;

	assert(!ear->is_deaf);
	hub_barrier(session->local, hub_of(ear), session->id, ++ear->serial);
}

/* Until it has told all that was sent before. */
static void await_hub(struct ear *ear, enum ear_step step)
{
	ear->step = step;
	set_timer(ear, HUB_LIMIT_US);
}

/* What was asked for together with the unit may have been answered. */
static void pass_barrier(struct ear *ear)
{
	enum ear_news news = ear->news;

	ear->news = EAR_NEWS_NONE;
	if (ear_count(ear) == 0 || ear->is_deaf || news == EAR_NEWS_HERE) {
		leave(ear);
		return;
	}
	if (news == EAR_NEWS_NONE)
		ask_hub(ear);
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
	lift_remove_all(ear, ear->added);
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
		lift_remove_all(ear, gone);
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

void lift_show(struct ear *ear)
{
	struct session *session = ear->session;
	struct sqlclass class = session->scan.judged;
	struct buf sql = BUF_INIT;

	if (lift_is_native(session) ||
	    server_site(session->server)->is_replica ||
	    (class.command == COMMAND_OTHER && !lift_concerns(class)))
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
	lift_show(ear);
	session->steps->pump(session);
}

void lift_take_row(struct ear *ear, const struct pgwire_message *message)
{
	const struct session *session = ear->session;
	char *name;

	if (ear->step != EAR_LISTING)
		return;
	name = channels_read_row(message);
	if (name &&
	    strcmp(name, hub_token_channel(session->local->process)) != 0)
		(void)channels_add(ear->found, name);
	free(name);
}

void lift_take_answer(struct ear *ear, bool ok)
{
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

void lift_take_token_here(struct ear *ear, const char *payload)
{
	if (ear->step != EAR_TOKEN || !is_own_token(ear, payload))
		return;
	ear->is_token_here = true;
	ear->native_mark = buf_len(&ear->native);
	lift_if_told(ear);
}

void lift_take_token(struct ear *ear, bool ok)
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

void lift_take_barrier(struct ear *ear)
{
	if (ear->step == EAR_BARRIER)
		leave(ear);
	else if (ear->step == EAR_AHEAD)
		go_ahead(ear);
	else if (ear->news == EAR_NEWS_ASKED)
		ear->news = EAR_NEWS_HERE;
}

void lift_await_news(struct ear *ear)
{
	ask_hub(ear);
	ear->news = EAR_NEWS_NONE;
	await_hub(ear, EAR_AHEAD);
}

void lift_ask_for_news(struct ear *ear)
{
	ask_hub(ear);
	ear->news = EAR_NEWS_ASKED;
}

void lift_begin(struct ear *ear)
{
	struct session *session = ear->session;

	/* A replica listens to nothing, whatever it was told. */
	if (lift_is_native(session) && server_site(session->server)->is_replica)
		session->pins &= ~(uint32_t)EFFECT_LISTEN;
	if (lift_is_native(session) && ear->is_doubtful)
		list_channels(ear);
	else
		pass_barrier(ear);
}

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

	if (ear_is_open(ear) && lift_is_native(session) &&
	    server_is_idle(session->server))
		list_channels(ear);
	else
		set_timer(ear, RETRY_US);
}

void lift_out_of_time(struct wheel_timer *timer)
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
