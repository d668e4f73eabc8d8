/*
 * Hubs: one per database and client encoding that somebody listens in.
 *
 * Whoever wants a channel holds a reference of it, counted by worker; the
 * first makes the hub LISTEN, the last UNLISTEN.  A hub that loses its
 * connection opens another, on whichever node is the primary then, listens to
 * everything again, and tells that something may have been missed.  Until
 * then requests fail at once; barriers hold nobody.  A hub without channels
 * goes after a while, or as soon as somebody wants its database alone.
 */
#include "proxy/hub.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/channels.h"
#include "core/config.h"
#include "core/dbddl.h"
#include "core/metrics.h"
#include "proxy/hub_mail.h"
#include "proxy/hub_parts.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/server.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t UNUSED_US = 10000000;

static void count_channels(const struct hub *hub, int change)
{
	metrics_gauge(hub->cell, GAUGE_LISTEN_CHANNELS, 0, 0, change);
}

/* --- life --- */

static void free_hub(struct hub *hub)
{
	hub_link_close(hub);
	wheel_unset(&hub->timer);
	(void)strmap_remove(hub->local->hubs, hub->key);
	count_channels(hub, -(int)strmap_count(hub->channels));
	strmap_free(hub->channels, free);
	metrics_close(hub->cell);
	hub_login_free(hub->login);
	free(hub->key);
	free(hub->database);
	free(hub->encoding);
	free(hub);
}

/* Nobody has listened for a while; or at all, and there is no connection. */
static bool is_over(const struct hub *hub)
{
	return hub_is_unused(hub) &&
	       (hub->state == HUB_DOWN ||
		local_now(hub->local) >= hub->unused_us + UNUSED_US);
}

static void on_timer(struct wheel_timer *timer)
{
	struct hub *hub = LIST_ENTRY(timer, struct hub, timer);

	if (is_over(hub))
		free_hub(hub);
	else if (hub->state == HUB_DOWN)
		hub_link_open(hub);
	else
		hub_link_check(hub);
}

static struct hub *hub_new(struct local *local, struct mail_hub *mail)
{
	struct hub *hub = xcalloc(1, sizeof(*hub));

	hub->local = local;
	hub->key = hub_key(mail->database, mail->encoding);
	hub->database = xstrdup(mail->database);
	hub->encoding = xstrdup(mail->encoding);
	hub->channels = strmap_new();
	hub->cell = metrics_open(
		local->process->metrics, METRICS_DATABASE,
		&(struct metrics_labels){ .database = hub->database });
	list_init(&hub->jobs);
	list_init(&hub->wants);
	list_init(&hub->waiting);
	list_init(&hub->passing);
	wheel_timer_init(&hub->timer, on_timer);
	(void)strmap_put(local->hubs, hub->key, hub);
	return hub;
}

/* --- mail --- */

static void hold_channels(struct hub *hub, const struct mail_hub *mail)
{
	unsigned workers = hub->local->process->worker_count;

	for (size_t i = 0; i < channels_count(mail->channels); i++) {
		const char *name = channels_at(mail->channels, i);
		struct hub_channel *channel = strmap_get(hub->channels, name);

		if (!channel) {
			channel =
				xcalloc(1, sizeof(*channel) +
						   workers * sizeof(unsigned));
			(void)strmap_put(hub->channels, name, channel);
			count_channels(hub, 1);
		}
		channel->references++;
		channel->by_worker[mail->worker]++;
	}
}

static void drop_channels(struct hub *hub, const struct mail_hub *mail)
{
	struct buf sql = BUF_INIT;

	for (size_t i = 0; i < channels_count(mail->channels); i++) {
		const char *name = channels_at(mail->channels, i);
		struct hub_channel *channel = strmap_get(hub->channels, name);

		if (!channel || channel->by_worker[mail->worker] == 0)
			continue;
		channel->by_worker[mail->worker]--;
		if (--channel->references > 0)
			continue;
		free(strmap_remove(hub->channels, name));
		count_channels(hub, -1);
		channels_unlisten(&sql, name);
	}
	/* While it opens, too: the LISTEN stands in front of it. */
	if (buf_len(&sql) > 0)
		hub_link_say(hub, &sql);
	if (hub_is_unused(hub))
		hub->unused_us = local_now(hub->local);
}

/* The newest credentials are the best. */
static void take_login(struct hub *hub, struct mail_hub *mail)
{
	if (hub->server)
		return;
	hub_login_free(hub->login);
	hub->login = mail->login;
	mail->login = NULL;
}

static void take_want(struct hub *hub, struct mail_hub *mail)
{
	bool is_first = !hub->login;

	take_login(hub, mail);
	hold_channels(hub, mail);
	hub_link_want(hub, mail);
	if (is_first)
		hub_link_open(hub);
	else if (hub->state == HUB_DOWN)
		hub_link_fail_wants(hub);
}

static void take(struct local *local, struct mail_hub *mail)
{
	char *key = hub_key(mail->database, mail->encoding);
	struct hub *hub = strmap_get(local->hubs, key);

	free(key);
	if (!hub && mail->mail.kind == MAIL_HUB_WANT)
		hub = hub_new(local, mail);
	if (!hub) {
		if (mail->mail.kind == MAIL_HUB_BARRIER)
			hub_tell_end(local, mail->worker, MAIL_HEARD_PAST,
				     mail->session, mail->serial, true);
		return;
	}
	switch (mail->mail.kind) {
	case MAIL_HUB_WANT: take_want(hub, mail); break;
	case MAIL_HUB_DROP: drop_channels(hub, mail); break;
	default: hub_link_barrier(hub, mail);
	}
}

bool hubs_take_mail(struct local *local, struct mail *mail)
{
	if (mail->kind != MAIL_HUB_WANT && mail->kind != MAIL_HUB_DROP &&
	    mail->kind != MAIL_HUB_BARRIER)
		return false;
	if (!local->is_stopped)
		take(local, (struct mail_hub *)mail);
	mail_hub_free((struct mail_hub *)mail);
	return true;
}

/* --- the world --- */

/* Its connection is to a node that is no longer the primary. */
static bool is_misplaced(const struct hub *hub)
{
	int node = hub_link_primary(hub);

	return hub->server && node >= 0 &&
	       strcmp(local_config(hub->local)->nodes[node].label,
		      hub->label) != 0;
}

void hubs_refresh(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->hubs, &at, NULL, &value)) {
		struct hub *hub = value;

		if (is_misplaced(hub))
			server_close(hub->server, METRICS_CLOSE_OTHER,
				     "the primary is another node");
	}
}

void hubs_leave(struct local *local, const struct dbddl_names *names)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->hubs, &at, NULL, &value)) {
		struct hub *hub = value;

		if (!hub_is_unused(hub) || !hub->login ||
		    !dbddl_has_name(names, hub->login->dbname))
			continue;
		free_hub(hub);
		at = 0;
	}
}

void hubs_free(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->hubs, &at, NULL, &value)) {
		free_hub(value);
		at = 0;
	}
}
