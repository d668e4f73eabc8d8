/*
 * Sessions that go to another worker, because theirs has no core left.
 *
 * Only a session that holds nothing of its worker moves: no server, no place
 * in a queue, no byte under way.  It is chosen (session_move_some) and goes at
 * the end of a turn, at once or when its next transaction is over; if that
 * takes long, it stays.  The process number that its client knows it by stays
 * the same, so its cancel key is entered into the keyring.
 *
 * On the way it belongs to the mail that carries it.
 */
#include "proxy/session_move.h"

#include "base/log.h"
#include "base/util.h"
#include "core/metrics.h"
#include "net/stream.h"
#include "proxy/headcount.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/pool.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdlib.h>

/* How long a session that was chosen may take to be done. */
enum { PATIENCE_US = 300000 };

static struct session *session_of(struct list *link)
{
	return LIST_ENTRY(link, struct session, link);
}

/* --- may it go? --- */

/* Nothing of a unit is here, half sent, or owed. */
static bool is_between_units(const struct session *session)
{
	size_t unread;

	(void)stream_data(session->client, &unread);
	return unread == 0 && session->units_count == 0 && session->left == 0 &&
	       session->discard == 0 && !session->is_mid_unit &&
	       !session->is_skipping && !session->is_moving &&
	       !session->is_hoarding && session->scan.at == 0 &&
	       !session->scan.is_judged && buf_len(&session->replay) == 0 &&
	       list_is_empty(&session->moves);
}

/* On one server only, which may still give it back (session_sequence). */
static bool has_drawn_values(const struct session *session)
{
	return session->draw_turn != 0 && !session->has_drawn_elsewhere;
}

/* Its state is all in itself. */
static bool is_alone(const struct session *session)
{
	return !session->server && !session->home && !session->is_homeless &&
	       session->waiting_node < 0 && session->pins == 0 &&
	       !session->changing && !session->told && !session->inspect &&
	       !session->ddl && !session->begin && !session->ear &&
	       !session->reset && !session->is_becoming &&
	       !has_drawn_values(session) &&
	       !list_is_linked(&session->behind_link) &&
	       session->fresh_since_us == 0 &&
	       buf_len(&session->said_at_home) == 0 && !session->has_server_pid;
}

static bool may_move(const struct session *session)
{
	return session->state == SESSION_IDLE &&
	       session->mode != POOL_MODE_SESSION && is_alone(session) &&
	       is_between_units(session) && stream_is_open(session->client) &&
	       stream_out_len(session->client) == 0;
}

/* --- leaving --- */

static void leave(struct session *session, unsigned worker)
{
	struct local *local = session->local;
	struct mail_session *mail = xcalloc(1, sizeof(*mail));

	session_count_bytes(session);
	metrics_gauge(pool_gauges(session->pool), GAUGE_CLIENT_CONNECTIONS,
		      METRICS_CLIENT_IDLE, 0, -1);
	wheel_unset(&session->timer);
	list_remove(&session->rest.link);
	list_remove(&session->link);
	session_table_remove(local->sessions, session);
	stream_park(session->client);
	mail->mail.kind = MAIL_SESSION;
	mail->session = session;
	mail->generation = local_config(local)->generation;
	mail->database = xstrdup(pool_database(session->pool));
	mail->user = xstrdup(pool_user(session->pool));
	pool_leave(session->pool);
	session->pool = NULL;
	session->local = NULL;
	session->move.until_us = 0;
	worker_post(local->process->workers[worker], &mail->mail);
}

/* The end of a turn: what was answered is with the kernel by now. */
static void go(struct worker_task *task)
{
	struct session *session = LIST_ENTRY(task, struct session, move.task);
	bool is_chosen = session->move.until_us > local_now(session->local);

	if (session->state != SESSION_CLOSED && is_chosen && may_move(session))
		leave(session, session->move.to);
}

void session_move_init(struct session *session)
{
	worker_task_init(&session->move.task, go);
}

void session_move_if_chosen(struct session *session)
{
	if (session->move.until_us != 0)
		worker_flush_later(session->local->worker, &session->move.task);
}

static bool is_busy(const struct session *session, uint64_t since_us)
{
	return session->request_us >= since_us &&
	       session->state != SESSION_LOGIN;
}

static unsigned count_busy(const struct local *local, uint64_t since_us)
{
	unsigned count = 0;

	LIST_FOREACH (link, &local->session_list)
		count += is_busy(session_of(link), since_us);
	return count;
}

unsigned sessions_move_some(struct local *local, uint64_t since_us,
			    unsigned share, unsigned worker)
{
	unsigned most = count_busy(local, since_us) * share / 1000;
	unsigned count = 0;

	assert(worker != local->index);
	LIST_FOREACH (link, &local->session_list) {
		struct session *session = session_of(link);

		if (count == most)
			break;
		if (!is_busy(session, since_us))
			continue;
		session->move.to = worker;
		session->move.until_us = local_now(local) + PATIENCE_US;
		session_move_if_chosen(session);
		count++;
	}
	return count;
}

/* --- arriving --- */

/* Nobody is there to serve it any more. */
static void abandon(struct process *process, struct mail_session *mail)
{
	struct session *session = mail->session;

	if (session->is_on_keyring)
		keyring_remove(process->keyring, session->pid, session->secret);
	atomic_fetch_sub(&process->clients, 1);
	headcount_leave_named(process->headcount, mail->database, mail->user);
	session_bury(&session->burial);
}

/* Its client knows it by the number that it was told first. */
static void enter_table(struct local *local, struct session *session)
{
	uint32_t pid = session->pid;

	session_table_add(local->sessions, session,
			  local->process->worker_count, local->index);
	session->pid = pid;
	quota_waiter_init(&session->waiter, local->index, session->id);
	keyring_put(local->process->keyring, pid, session->secret,
		    (struct keyring_owner){ .session = session->id,
					    .worker = local->index });
	session->is_on_keyring = true;
}

/*
 * Nodes have other numbers in another configuration: whichever replica comes
 * next must show what was read before.
 */
static void forget_replica(struct session *session)
{
	if (session->read_us != 0)
		ticket_note(&session->ticket, session->read_us);
	session->read_us = 0;
	session->replica = -1;
	session->shift = 0;
}

static void settle_down(struct local *local, struct session *session)
{
	enter_table(local, session);
	list_append(&local->session_list, &session->link);
	metrics_gauge(pool_gauges(session->pool), GAUGE_CLIENT_CONNECTIONS,
		      METRICS_CLIENT_IDLE, 0, 1);
	log_noise("client %s: moved to worker %u", session->address,
		  local->index);
	if (local->is_ending_sessions)
		session_fail(session, "57P01",
			     "terminating connection: pgweir is shutting down",
			     NULL);
	else
		session_renew_limit(session);
}

static void arrive(struct local *local, struct mail_session *mail)
{
	struct session *session = mail->session;

	session->local = local;
	stream_adopt(session->client, local->worker, session->steps->event,
		     session);
	session->pool = pool_join(local, mail->database, mail->user);
	if (mail->generation != local_config(local)->generation)
		forget_replica(session);
	if (session->pool) {
		settle_down(local, session);
		return;
	}
	client_fail(session->client, "3D000",
		    "the database is no longer configured", NULL);
	abandon(local->process, mail);
}

void session_take_mail(struct local *local, struct mail_session *mail)
{
	if (local->is_stopped) {
		stream_free_parked(mail->session->client);
		abandon(local->process, mail);
	} else {
		arrive(local, mail);
	}
	free(mail->database);
	free(mail->user);
}
