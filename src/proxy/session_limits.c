/*
 * How long a session may do what it does: idle, wait for a server, run a
 * query, be in a transaction, idle in one.
 *
 * One timer serves all: it stands at the first of the ends that apply now,
 * and is set anew when the session begins something else.  Not each time: one
 * that fires though the session does something else by then only sets it
 * anew (timed_for).
 */
#include "base/util.h"
#include "core/pgbuild.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <stddef.h>
#include <string.h>

/* How often a session looks whether others wait for the server it keeps. */
enum { LOOK_US = 100000 };

/* What a turn may take, and after how many steps the clock is looked at. */
enum { TURN_US = 5000, STEPS = 32, STEP_BYTES = 1024 };

static const uint64_t never_us = UINT64_MAX;

/* A limit of 0 is none. */
static uint64_t after(uint64_t since_us, uint64_t limit_us)
{
	if (limit_us == 0 || limit_us == CONFIG_UNSET_US)
		return never_us;
	return since_us + limit_us;
}

static uint64_t earlier(uint64_t one_us, uint64_t other_us)
{
	return one_us < other_us ? one_us : other_us;
}

static uint64_t user_limit(const struct session *session, size_t offset,
			   uint64_t otherwise_us)
{
	const struct config_user *user = pool_config_user(session->pool);
	uint64_t limit_us = CONFIG_UNSET_US;

	if (user)
		memcpy(&limit_us, (const char *)user + offset,
		       sizeof(limit_us));
	return limit_us == CONFIG_UNSET_US ? otherwise_us : limit_us;
}

#define USER_LIMIT(session, key)                                    \
	user_limit(session, offsetof(struct config_user, key##_us), \
		   local_settings((session)->local)->key##_us)

/* --- waiting --- */

static uint64_t end_of_wait(const struct session *session)
{
	if (!pool_config(session->pool))
		return never_us;
	return after(session->wait_since_us,
		     config_query_wait_us_of(local_config(session->local),
					     pool_config(session->pool),
					     pool_config_user(session->pool)));
}

/* To those who wait for an answer, a queue is a part of the query. */
static uint64_t end_of_query(const struct session *session)
{
	return after(session->wait_since_us,
		     USER_LIMIT(session, query_timeout));
}

/*
 * There is no primary, and it waits for one; the time before that was another
 * wait, which has its own limit.
 */
static uint64_t end_of_failover(const struct session *session)
{
	uint64_t since_us = pool_primary_missing_us(session->pool);

	if (since_us == 0 || session->waiting_node >= 0 ||
	    session->fresh_since_us != 0)
		return never_us;
	if (since_us < session->wait_since_us)
		since_us = session->wait_since_us;
	return after(since_us,
		     local_settings(session->local)->failover_timeout_us);
}

/* Once: when it is over it has been sent.  A login is not spoken to. */
static uint64_t time_of_notice(const struct session *session)
{
	uint64_t due_us =
		after(session->wait_since_us,
		      local_settings(session->local)->query_wait_notify_us);

	return session->state == SESSION_WAITING &&
			       due_us > session_now(session)
		       ? due_us
		       : never_us;
}

/* It waits for replicas to show what it has seen. */
static uint64_t end_of_freshening(const struct session *session)
{
	return session->fresh_since_us != 0 && session->waiting_node < 0
		       ? session_fresh_end_us(session)
		       : never_us;
}

static void tell_wait(struct session *session)
{
	bool has_primary = pool_primary_missing_us(session->pool) == 0;

	pgbuild_notice(
		stream_out(session->client),
		&(struct pgbuild_error){
			.severity = "NOTICE",
			.sqlstate = "00000",
			.message = has_primary ? "no server connection is free "
						 "yet, the query waits in the "
						 "queue"
					       : "there is no primary, the "
						 "query waits for one" });
	session_renew_limit(session);
}

static void out_of_patience(struct session *session)
{
	if (session_now(session) >= end_of_query(session)) {
		session_fail(session, "57014", "query_timeout", NULL);
		return;
	}
	if (session_now(session) >= end_of_freshening(session)) {
		session->steps->try_again(session);
		return;
	}
	if (session_now(session) >= end_of_failover(session)) {
		session_fail(session, "57P03", "failover_timeout",
			     "There is no primary. Nothing of the statement "
			     "was run.");
		return;
	}
	if (session->state == SESSION_WAITING &&
	    session_now(session) < end_of_wait(session)) {
		tell_wait(session);
		return;
	}
	/* The server that it has will do. */
	if (session->home) {
		session->avoids_replicas = true;
		session->steps->try_again(session);
		return;
	}
	session_fail(session, "53300", "query_wait_timeout",
		     "No server connection became free in time. Raise the "
		     "pool's size, or look for sessions that hold "
		     "their servers long.");
}

/* --- working --- */

static bool is_at_work(const struct session *session)
{
	return session_has_pending(session) || session->is_mid_unit;
}

/* A statement on its own is a transaction too, as in PostgreSQL 17. */
static uint64_t end_of_transaction(const struct session *session)
{
	uint64_t since_us = session->transaction_us;

	if (since_us == 0 && session->units_count > 0)
		since_us = session->units[session->units_first].since_us;
	if (since_us == 0)
		since_us = session->request_us;
	return after(since_us, USER_LIMIT(session, transaction_timeout));
}

/* In a transaction that no server has heard of. */
static uint64_t end_of_deferral(const struct session *session)
{
	return earlier(
		earlier(after(session_now(session),
			      USER_LIMIT(session, idle_transaction_timeout)),
			end_of_transaction(session)),
		session_begin_end_us(session));
}

static uint64_t end_of_work(const struct session *session)
{
	uint64_t now_us = session_now(session);

	if (is_at_work(session))
		return earlier(
			after(now_us, USER_LIMIT(session, query_timeout)),
			end_of_transaction(session));
	if (session_may_yield(session))
		return now_us + session_yield_after_us(session);
	if (session_is_in_transaction(session))
		return earlier(
			after(now_us,
			      USER_LIMIT(session, idle_transaction_timeout)),
			end_of_transaction(session));
	return never_us;
}

/* What it keeps its server for is not worth that others wait for one. */
static bool yields(struct session *session)
{
	if (!session_may_yield(session))
		return false;
	if (pool_waiting(session->pool, session->node) == 0) {
		wheel_set(worker_wheel(session->local->worker), &session->timer,
			  session_now(session) + LOOK_US);
		return true;
	}
	session_yield(session);
	session->steps->release_if_done(session);
	return true;
}

static void out_of_work(struct session *session)
{
	if (session_now(session) >= end_of_transaction(session))
		session_fail(session, "25P04", "transaction_timeout", NULL);
	else if (is_at_work(session))
		session_fail(session, "57014", "query_timeout", NULL);
	else
		session_fail(session, "25P03", "idle_transaction_timeout",
			     NULL);
}

static void out_of_deferral(struct session *session)
{
	if (session_now(session) >= end_of_transaction(session))
		session_fail(session, "25P04", "transaction_timeout", NULL);
	else if (session_now(session) >= session_begin_end_us(session))
		session->steps->begin_now(session);
	else
		session_fail(session, "25P03", "idle_transaction_timeout",
			     NULL);
}

/* --- both --- */

/* What the session does, as far as its limits go. */
static enum session_timed timed_now(const struct session *session)
{
	switch (session->state) {
	case SESSION_LOGIN:
	case SESSION_WAITING: return SESSION_TIMED_WAIT;
	case SESSION_ACTIVE:
		if (is_at_work(session))
			return SESSION_TIMED_WORK;
		return session_may_yield(session) ? SESSION_TIMED_YIELD
						  : SESSION_TIMED_TRANSACTION;
	case SESSION_IDLE:
	case SESSION_CLOSED:
	default: return SESSION_TIMED_REST;
	}
}

static uint64_t end_of_state(const struct session *session)
{
	switch (session->state) {
	case SESSION_LOGIN:
	case SESSION_WAITING:
		return earlier(earlier(earlier(end_of_wait(session),
					       end_of_query(session)),
				       time_of_notice(session)),
			       earlier(end_of_freshening(session),
				       end_of_failover(session)));
	case SESSION_IDLE:
		if (session_begin_is_deferred(session))
			return end_of_deferral(session);
		return after(session_now(session),
			     USER_LIMIT(session, client_idle_timeout));
	case SESSION_ACTIVE: return end_of_work(session);
	case SESSION_CLOSED:
	default: return never_us;
	}
}

/* As most are configured: what it does, or does not do, has no limit. */
static bool is_unlimited(const struct session *session)
{
	const struct config_settings *settings = local_settings(session->local);

	if (pool_config_user(session->pool))
		return false;
	if (session->state == SESSION_IDLE)
		return settings->client_idle_timeout_us == 0 &&
		       !session_begin_is_deferred(session);
	return session->state == SESSION_ACTIVE && session->pins == 0 &&
	       (settings->query_timeout_us | settings->transaction_timeout_us |
		settings->idle_transaction_timeout_us) == 0;
}

static void renew(struct session *session)
{
	uint64_t end_us = end_of_state(session);

	session->timed_for = timed_now(session);
	if (end_us == never_us)
		wheel_unset(&session->timer);
	else
		wheel_set(worker_wheel(session->local->worker), &session->timer,
			  end_us);
}

void session_renew_limit(struct session *session)
{
	if (!is_unlimited(session)) {
		renew(session);
		return;
	}
	if (wheel_is_set(&session->timer))
		wheel_unset(&session->timer);
}

void session_out_of_time(struct wheel_timer *timer)
{
	struct session *session = LIST_ENTRY(timer, struct session, timer);

	if (session->state == SESSION_CLOSED)
		return;
	if (session->timed_for != timed_now(session)) {
		session_renew_limit(session);
		return;
	}
	switch (session->timed_for) {
	case SESSION_TIMED_WAIT: out_of_patience(session); break;
	case SESSION_TIMED_YIELD:
		if (!yields(session))
			session_renew_limit(session);
		break;
	case SESSION_TIMED_WORK:
	case SESSION_TIMED_TRANSACTION: out_of_work(session); break;
	case SESSION_TIMED_REST:
	default:
		if (session_begin_is_deferred(session))
			out_of_deferral(session);
		else
			session_fail(session, "57P05", "client_idle_timeout",
				     NULL);
		break;
	}
}

bool session_is_tired(struct session *session, size_t bytes)
{
	struct local *local = session->local;

	local->steps += 1 + bytes / STEP_BYTES;
	if (local->steps < STEPS)
		return false;
	local->steps = 0;
	if (util_now_us() - local_now(local) < TURN_US)
		return false;
	worker_go_on_later(local->worker, &session->rest);
	return true;
}
