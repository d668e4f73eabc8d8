/*
 * The life of a session: its states, and how it ends.
 *
 * A session ends in two ways only: told why (session_fail) or because its
 * client has left (session_end).  What it held is given back by the room that
 * knows all others (session_leave).
 */
#include "base/buf.h"
#include "base/log.h"
#include "core/metrics.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned moves; /* bits of the states that may follow */
	enum metrics_client_state shown;
} states[] = {
#define TO(state) (1U << SESSION_##state)
	[SESSION_LOGIN] = { "waiting_login", TO(IDLE) | TO(CLOSED),
			    METRICS_CLIENT_LOGIN },
	[SESSION_IDLE] = { "idle", TO(WAITING) | TO(ACTIVE) | TO(CLOSED),
			   METRICS_CLIENT_IDLE },
	[SESSION_WAITING] = { "waiting", TO(ACTIVE) | TO(IDLE) | TO(CLOSED),
			      METRICS_CLIENT_WAITING },
	[SESSION_ACTIVE] = { "active", TO(IDLE) | TO(CLOSED),
			     METRICS_CLIENT_ACTIVE },
	[SESSION_CLOSED] = { "closed", 0, METRICS_CLIENT_IDLE },
#undef TO
};

void session_set_state(struct session *session, enum session_state state)
{
	struct metrics_cell *cell = pool_gauges(session->pool);

	if (session->state == state)
		return;
	assert(states[session->state].moves & (1U << state));
	metrics_gauge(cell, GAUGE_CLIENT_CONNECTIONS,
		      states[session->state].shown, 0, -1);
	session->state = state;
	if (state != SESSION_CLOSED)
		metrics_gauge(cell, GAUGE_CLIENT_CONNECTIONS,
			      states[state].shown, 0, 1);
}

/* --- waiting --- */

/* By the role of the node in whose queue it stands. */
void session_count_waiting(const struct session *session, int change)
{
	const struct pool_node *node =
		pool_node_at(session->pool, (unsigned)session->waiting_node);

	metrics_gauge(pool_gauges(session->pool), GAUGE_POOL_WAITING,
		      pool_node_is_replica(node) ? METRICS_ROLE_REPLICA
						 : METRICS_ROLE_PRIMARY,
		      0, change);
}

void session_leave_queue(struct session *session)
{
	session_fresh_leave(session);
	if (session->waiting_node < 0)
		return;
	/* False: a grant is on its way; it will find nobody. */
	(void)pool_stop_waiting(session->pool, (unsigned)session->waiting_node,
				&session->waiter);
	session_count_waiting(session, -1);
	session->waiting_node = -1;
}

void session_count_total(const struct session *session,
			 enum metrics_counter counter)
{
	metrics_count(pool_totals(session->pool), counter, 0, 0, 1);
}

void session_count_bytes(struct session *session)
{
	local_count_flow(pool_totals(session->pool), METRICS_SIDE_CLIENT,
			 session->client, &session->counted);
}

/* --- ending --- */

/* Where PgBouncer's words in the log are not those that clients hear. */
static const char *words_of(const char *why)
{
	static const char *const words[][2] = {
		{ "query_timeout", "query timeout" },
		{ "idle_transaction_timeout", "idle transaction timeout" },
		{ "transaction_timeout", "transaction timeout" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(why, words[i][0]) == 0)
			return words[i][1];
	return why;
}

static void log_end(const struct session *session, const char *why)
{
	if (local_settings(session->local)->log_disconnections)
		log_info("client %s/%s@%s closing because: %s (age=%us)",
			 pool_database(session->pool), pool_user(session->pool),
			 session->address, words_of(why),
			 (unsigned)((session_now(session) -
				     session->connected_us) /
				    1000000));
}

/* With a last word; closes the stream. */
void session_fail(struct session *session, const char *sqlstate,
		  const char *message, const char *hint)
{
	if (session->state == SESSION_CLOSED)
		return;
	log_end(session, message);
	session_count_bytes(session);
	client_fail(session->client, sqlstate, message, hint);
	session->steps->dissolve(session);
}

void session_end(struct session *session, bool flush, const char *why)
{
	if (session->state == SESSION_CLOSED)
		return;
	log_end(session, why);
	session_count_bytes(session);
	stream_close(session->client, flush);
	session->steps->dissolve(session);
}

void session_protocol_error(struct session *session, const char *why)
{
	log_warning("client %s/%s@%s protocol violation: %s",
		    pool_database(session->pool), pool_user(session->pool),
		    session->address, why);
	metrics_count(session->local->cell, COUNTER_CLIENT_REJECTED,
		      METRICS_REJECT_PROTO, 0, 1);
	session_fail(session, "08P01", why, NULL);
}

const char *session_state_name(const struct session *session)
{
	return states[session->state].name;
}
