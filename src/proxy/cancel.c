/*
 * Cancel requests (PostgreSQL docs, "Canceling Requests in Progress"): who
 * asks, which worker has the session that is meant, and the answer.
 *
 * The client's connection is kept open until all is over, as PostgreSQL
 * does, so that a driver that waits for its end knows that the cancel was
 * sent.  A key that fits no session is answered in the same way.
 */
#include "proxy/cancel.h"

#include "base/list.h"
#include "base/util.h"
#include "core/metrics.h"
#include "net/stream.h"
#include "proxy/errand.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/session_table.h"
#include "proxy/tunnel.h"

#include <stdlib.h>

struct asker {
	struct list link;
	struct local *local;
	struct stream *stream; /* NULL: it did not wait */
	uint64_t request;
};

/* Where the outcome of an errand goes. */
struct receipt {
	struct local *local;
	unsigned worker; /* who asked */
	uint64_t request;
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

static void on_done(void *arg)
{
	struct receipt *receipt = arg;

	report(receipt->local, receipt->worker, receipt->request);
	free(receipt);
}

static bool send_out(struct local *local, struct server *server,
		     unsigned worker, uint64_t request)
{
	struct receipt *receipt = xcalloc(1, sizeof(*receipt));

	*receipt = (struct receipt){ local, worker, request };
	if (errand_send(local, server, on_done, receipt))
		return true;
	free(receipt);
	return false;
}

static enum session_cancel find(struct local *local,
				const struct mail_cancel *cancel,
				struct server **server)
{
	*server = NULL;
	if (cancel->session > 0)
		*server = tunnel_cancel(local, cancel->session);
	if (*server)
		return CANCEL_SERVER;
	if (cancel->session > 0)
		return session_cancel(local, cancel->session, server);
	return session_find_cancel(local, cancel->pid, cancel->key, server);
}

static void serve(struct local *local, const struct mail_cancel *cancel)
{
	enum metrics_cancel outcome = METRICS_CANCEL_FAILED;
	struct server *server;

	switch (find(local, cancel, &server)) {
	case CANCEL_SERVER:
		if (send_out(local, server, cancel->worker, cancel->request))
			return;
		break;
	case CANCEL_UNKNOWN_KEY: outcome = METRICS_CANCEL_UNKNOWN_KEY; break;
	case CANCEL_NOT_RUNNING:
	default: outcome = METRICS_CANCEL_NOT_RUNNING; break;
	}
	metrics_count(local->cell, COUNTER_CANCEL_REQUESTS, outcome, 0, 1);
	report(local, cancel->worker, cancel->request);
}

/* Which worker has the session that the key is of. */
static unsigned find_worker(const struct local *local,
			    struct mail_cancel *cancel)
{
	struct keyring_owner owner;

	if (!keyring_find(local->process->keyring, cancel->pid, cancel->key,
			  &owner))
		return session_worker_of(cancel->pid,
					 local->process->worker_count);
	cancel->session = owner.session;
	return owner.worker;
}

void cancel_ask(struct local *local, struct stream *stream, uint32_t pid,
		uint32_t key)
{
	struct asker *asker = xcalloc(1, sizeof(*asker));
	struct mail_cancel *mail = xcalloc(1, sizeof(*mail));
	unsigned worker;

	asker->local = local;
	asker->stream = stream;
	asker->request = ++local->cancel_requests;
	list_append(&local->askers, &asker->link);
	stream_set_owner(stream, on_asker_event, asker);
	mail->mail.kind = MAIL_CANCEL;
	mail->pid = pid;
	mail->key = key;
	mail->worker = local->index;
	mail->request = asker->request;
	worker = find_worker(local, mail);
	if (worker == local->index) {
		serve(local, mail);
		free(mail);
		return;
	}
	worker_post(local->process->workers[worker], &mail->mail);
}

bool cancels_take_mail(struct local *local, struct mail *mail)
{
	const struct mail_cancel *cancel = (const struct mail_cancel *)mail;

	if (mail->kind == MAIL_CANCEL && local->is_stopped)
		(void)0;
	else if (mail->kind == MAIL_CANCEL)
		serve(local, cancel);
	else if (mail->kind == MAIL_CANCELLED)
		answer(local, cancel->request);
	else
		return false;
	free(mail);
	return true;
}

void cancels_free(struct local *local)
{
	errands_free(local);
	LIST_FOREACH_SAFE (link, &local->askers) {
		struct asker *asker = LIST_ENTRY(link, struct asker, link);

		list_remove(link);
		if (asker->stream)
			stream_close(asker->stream, false);
		free(asker);
	}
}
