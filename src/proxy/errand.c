/*
 * Our own cancel requests to nodes (PostgreSQL docs, "Canceling Requests in
 * Progress").
 *
 * A server signals the backend before it closes the connection that carried
 * the request, and a backend that is idle by then ignores the signal.  So the
 * server connection that the request aims at is given to nobody else until
 * that close was seen (server_begin_cancel, server_end_cancel): a cancel
 * never hits another client's statement, however the race falls.
 */
#include "proxy/errand.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "base/wheel.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/server.h"

#include <stdlib.h>

struct errand {
	struct list link;
	struct local *local;
	struct stream *stream;
	struct server *server;
	struct wheel_timer timer;
	void (*done)(void *arg); /* NULL: nobody asked */
	void *arg;
	bool is_sent;
};

static void finish(struct errand *errand)
{
	struct local *local = errand->local;

	metrics_count(local->cell, COUNTER_CANCEL_REQUESTS,
		      errand->is_sent ? METRICS_CANCEL_FORWARDED
				      : METRICS_CANCEL_FAILED,
		      0, 1);
	list_remove(&errand->link);
	wheel_unset(&errand->timer);
	stream_close(errand->stream, false);
	server_end_cancel(errand->server);
	if (errand->done)
		errand->done(errand->arg);
	free(errand);
}

static void send_request(struct errand *errand)
{
	const struct sockaddr_storage *address;
	const uint8_t *key;
	socklen_t address_len;
	size_t key_len;
	uint32_t pid;

	server_cancel_target(errand->server, &pid, &key, &key_len, &address,
			     &address_len);
	pgbuild_cancel(stream_out(errand->stream), pid, key, key_len);
	errand->is_sent = true;
}

static void on_errand_event(void *owner, enum stream_event event)
{
	struct errand *errand = owner;

	if (event == STREAM_CONNECTED)
		send_request(errand);
	else if (event == STREAM_CLOSED)
		finish(errand);
}

static void on_errand_timer(struct wheel_timer *timer)
{
	struct errand *errand = LIST_ENTRY(timer, struct errand, timer);

	log_warning("cancel request: no answer within cancel_wait_timeout, "
		    "its server connection is closed");
	server_close(errand->server, METRICS_CLOSE_TIMEOUT,
		     "a cancel request for it was not answered");
	finish(errand);
}

bool errand_send(struct local *local, struct server *server,
		 void (*done)(void *arg), void *arg)
{
	const struct stream_options options = local_stream_options(local);
	uint64_t limit_us = local_settings(local)->cancel_wait_timeout_us;
	const struct sockaddr_storage *address;
	struct errand *errand = xcalloc(1, sizeof(*errand));
	const uint8_t *key;
	socklen_t address_len;
	size_t key_len;
	uint32_t pid;

	server_cancel_target(server, &pid, &key, &key_len, &address,
			     &address_len);
	errand->local = local;
	errand->server = server;
	errand->done = done;
	errand->arg = arg;
	wheel_timer_init(&errand->timer, on_errand_timer);
	errand->stream = stream_connect(local->worker, address, address_len,
					&options, on_errand_event, errand);
	if (!errand->stream) {
		server_end_cancel(server);
		free(errand);
		return false;
	}
	list_append(&local->errands, &errand->link);
	if (limit_us > 0)
		wheel_set(worker_wheel(local->worker), &errand->timer,
			  local_now(local) + limit_us);
	return true;
}

void errands_free(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->errands)
		finish(LIST_ENTRY(link, struct errand, link));
}
