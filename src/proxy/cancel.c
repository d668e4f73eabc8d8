/*
 * Cancel requests (PostgreSQL docs, "Canceling Requests in Progress").
 *
 * A server signals the backend before it closes the connection that carried
 * the request, and a backend that is idle by then ignores the signal.  So the
 * server connection that the request aimed at is given to nobody else until
 * that close was seen (server_begin_cancel, server_end_cancel): a cancel
 * never hits another client's statement.
 *
 * Two small objects: an asker is the client's connection that waits for the
 * outcome; an errand is our own connection to the node.
 */
#include "proxy/cancel.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "base/wheel.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/session_table.h"

#include <stdlib.h>

struct asker {
	struct list link;
	struct local *local;
	struct stream *stream; /* NULL: it did not wait */
	uint64_t request;
};

struct errand {
	struct list link;
	struct local *local;
	struct stream *stream;
	struct server *server;
	struct wheel_timer timer;
	unsigned worker; /* who asked */
	uint64_t request;
	bool is_sent;
};

/* --- the one who asks --- */

static void on_asker_event(void *owner, enum stream_event event)
{
	struct asker *asker = owner;

	if (event == STREAM_CLOSED) {
		stream_close(asker->stream, false);
		asker->stream = NULL;
	}
}

static void answer(struct local *local, uint64_t request)
{
	LIST_FOREACH_SAFE (link, &local->askers) {
		struct asker *asker = LIST_ENTRY(link, struct asker, link);

		if (asker->request != request)
			continue;
		list_remove(link);
		if (asker->stream)
			stream_close(asker->stream, true);
		free(asker);
	}
}

static void report(struct local *local, unsigned worker, uint64_t request)
{
	struct mail_cancel *mail;

	if (worker == local->index) {
		answer(local, request);
		return;
	}
	mail = xcalloc(1, sizeof(*mail));
	mail->mail.kind = MAIL_CANCELLED;
	mail->request = request;
	worker_post(local->process->workers[worker], &mail->mail);
}

/* --- the errand --- */

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
	report(local, errand->worker, errand->request);
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

/* Takes the cancel that is counted on the server. */
static bool send_errand(struct local *local, struct server *server,
			unsigned worker, uint64_t request)
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
	errand->worker = worker;
	errand->request = request;
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

static void serve(struct local *local, uint32_t pid, uint32_t key,
		  unsigned worker, uint64_t request)
{
	enum metrics_cancel outcome = METRICS_CANCEL_FAILED;
	struct server *server;

	switch (session_find_cancel(local, pid, key, &server)) {
	case CANCEL_SERVER:
		if (send_errand(local, server, worker, request))
			return;
		break;
	case CANCEL_UNKNOWN_KEY: outcome = METRICS_CANCEL_UNKNOWN_KEY; break;
	case CANCEL_NOT_RUNNING:
	default: outcome = METRICS_CANCEL_NOT_RUNNING; break;
	}
	metrics_count(local->cell, COUNTER_CANCEL_REQUESTS, outcome, 0, 1);
	report(local, worker, request);
}

void cancel_ask(struct local *local, struct stream *stream, uint32_t pid,
		uint32_t key)
{
	unsigned worker = session_worker_of(pid, local->process->worker_count);
	struct asker *asker = xcalloc(1, sizeof(*asker));
	struct mail_cancel *mail;

	asker->local = local;
	asker->stream = stream;
	asker->request = ++local->cancel_requests;
	list_append(&local->askers, &asker->link);
	stream_set_owner(stream, on_asker_event, asker);
	if (worker == local->index) {
		serve(local, pid, key, worker, asker->request);
		return;
	}
	mail = xcalloc(1, sizeof(*mail));
	mail->mail.kind = MAIL_CANCEL;
	mail->pid = pid;
	mail->key = key;
	mail->worker = local->index;
	mail->request = asker->request;
	worker_post(local->process->workers[worker], &mail->mail);
}

bool cancels_take_mail(struct local *local, struct mail *mail)
{
	const struct mail_cancel *cancel = (const struct mail_cancel *)mail;

	if (mail->kind == MAIL_CANCEL && local->is_stopped)
		(void)0;
	else if (mail->kind == MAIL_CANCEL)
		serve(local, cancel->pid, cancel->key, cancel->worker,
		      cancel->request);
	else if (mail->kind == MAIL_CANCELLED)
		answer(local, cancel->request);
	else
		return false;
	free(mail);
	return true;
}

void cancels_free(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->errands)
		finish(LIST_ENTRY(link, struct errand, link));
	LIST_FOREACH_SAFE (link, &local->askers) {
		struct asker *asker = LIST_ENTRY(link, struct asker, link);

		list_remove(link);
		if (asker->stream)
			stream_close(asker->stream, false);
		free(asker);
	}
}
