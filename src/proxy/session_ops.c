/*
 * What is done to sessions from outside: queues are left when the world
 * changes, the console lists and kills, cancel requests look for what runs,
 * and a shutdown ends them one by one.
 */
#include "proxy/session.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/track.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"
#include "proxy/session_table.h"

#include <string.h>

static struct session *session_of(struct list *link)
{
	return LIST_ENTRY(link, struct session, link);
}

static bool is_queued(const struct session *session)
{
	return session->state == SESSION_WAITING ||
	       (session->state == SESSION_LOGIN && !session->server);
}

void sessions_unqueue(struct local *local)
{
	LIST_FOREACH (link, &local->session_list)
		session_leave_queue(session_of(link));
}

void sessions_requeue(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->session_list) {
		struct session *session = session_of(link);

		session->mode = pool_config(session->pool)
					? session->mode
					: POOL_MODE_TRANSACTION;
		if (is_queued(session))
			session_try_again(session);
	}
}

void sessions_refresh(struct local *local)
{
	struct list waiting;
	struct list *link;

	local->is_hurrying = false;
	list_init(&waiting);
	list_move_all(&waiting, &local->behind);
	while ((link = list_first(&waiting)) != NULL) {
		struct session *session =
			LIST_ENTRY(link, struct session, behind_link);

		list_remove(link);
		session_try_again(session);
	}
}

/* --- shutting down --- */

static void end_idle(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->session_list) {
		struct session *session = session_of(link);

		if (session->state == SESSION_IDLE ||
		    session->state == SESSION_LOGIN)
			session_fail(session, "57P01",
				     "terminating connection: pgweir is "
				     "shutting down",
				     NULL);
	}
}

void sessions_shutdown(struct local *local, enum session_shutdown mode)
{
	local->is_refusing = true;
	if (mode == SHUTDOWN_SERVERS)
		local->is_granting_stopped = true;
	if (mode == SHUTDOWN_CLIENTS)
		local->is_ending_sessions = true;
	if (mode == SHUTDOWN_CLIENTS)
		end_idle(local);
	if (mode != SHUTDOWN_NOW)
		return;
	LIST_FOREACH_SAFE (link, &local->session_list)
		session_fail(session_of(link), "57P01",
			     "terminating connection: pgweir is shutting down",
			     NULL);
}

unsigned sessions_active(const struct local *local)
{
	unsigned active = 0;

	LIST_FOREACH (link, &local->session_list)
		active += session_of(link)->server || session_of(link)->home;
	return active;
}

/* --- the console --- */

static const char *pinned_by(uint32_t pins)
{
	static const struct {
		uint32_t effect;
		const char *name;
	} names[] = {
		{ EFFECT_TEMP, "temporary table" },
		{ EFFECT_SET, "SET" },
		{ EFFECT_LISTEN, "LISTEN" },
		{ EFFECT_ADVISORY, "advisory lock" },
		{ EFFECT_PREPARE, "PREPARE" },
		{ EFFECT_HOLD, "cursor WITH HOLD" },
		{ EFFECT_LOAD, "LOAD" },
		{ EFFECT_SEQUENCE, "sequence" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (pins & names[i].effect)
			return names[i].name;
	return "";
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void describe(const struct session *session, struct session_info *info)
{
	const struct tls *tls = stream_tls(session->client);
	const struct server *server = session->server;

	*info = (struct session_info){
		.id = session->id,
		.pid = session->pid,
		.database = pool_database(session->pool),
		.user = pool_user(session->pool),
		.state = session_state_name(session),
		.replication = "none",
		.address = session->address,
		.application_name = or_empty(
			settings_get(session->settings, "application_name")),
		.pinned = pinned_by(session->pins),
		.tls = tls ? tls_version(tls) : "",
		.server = server ? server_site(server)->label : "",
		.server_pid = server ? server_pid(server) : 0,
		.connected_us = session->connected_us,
		.request_us = session->request_us,
		.prepared = stmtmap_count(session->names),
		.channels = session_listen_count(session),
	};
	if (session->wait_since_us)
		info->wait_us =
			local_now(session->local) - session->wait_since_us;
}

void sessions_visit(struct local *local,
		    void (*visit)(void *arg, const struct session_info *info),
		    void *arg)
{
	struct session_info info;

	LIST_FOREACH (link, &local->session_list) {
		describe(session_of(link), &info);
		visit(arg, &info);
	}
}

bool session_kill(struct local *local, uint64_t id, const char *why)
{
	struct session *session = session_table_find(local->sessions, id);

	if (!session)
		return false;
	session_fail(session, "57P01", why, NULL);
	return true;
}

void sessions_kill(struct local *local, const char *database, const char *why)
{
	LIST_FOREACH_SAFE (link, &local->session_list) {
		struct session *session = session_of(link);

		if (!database ||
		    strcmp(pool_database(session->pool), database) == 0)
			session_fail(session, "57P01", why, NULL);
	}
}

/* --- cancelling --- */

/* The unit that waits in the queue: a Query, or a batch up to its Sync. */
static void drop_waiting_unit(struct session *session)
{
	session_leave_queue(session);
	if (session_begin_is_due(session))
		session_begin_fail(session);
	session->is_mid_unit = false;
	session->unit = (struct session_unit){ 0 };
	pgbuild_error(stream_out(session->client),
		      &(struct pgbuild_error){
			      .severity = "ERROR",
			      .sqlstate = "57014",
			      .message = "canceling statement due to user "
					 "request" });
	session_set_state(session, SESSION_IDLE);
	session->wait_since_us = 0;
	session_doubt_forget(session);
	session_renew_limit(session);
	unserved_skip(session);
	/* What stands behind it waits no longer. */
	if (session->state == SESSION_IDLE)
		session_try_again(session);
}

static enum session_cancel cancel(struct session *session,
				  struct server **server)
{
	/* Else it is a BEGIN, which was answered. */
	if (session->state == SESSION_WAITING) {
		if (session->scan.is_judged || session->is_mid_unit)
			drop_waiting_unit(session);
		return CANCEL_NOT_RUNNING;
	}
	if (!session->server || !session_has_pending(session))
		if (!session->server || !session->is_mid_unit)
			return CANCEL_NOT_RUNNING;
	*server = session->server;
	server_begin_cancel(*server);
	return CANCEL_SERVER;
}

enum session_cancel session_find_cancel(struct local *local, uint32_t pid,
					uint32_t key, struct server **server)
{
	struct session *session = session_table_find_pid(
		local->sessions, pid, local->process->worker_count);

	*server = NULL;
	if (!session || session->has_server_pid ||
	    !util_equal_secret(&session->secret, &key, sizeof(key)))
		return CANCEL_UNKNOWN_KEY;
	return cancel(session, server);
}

enum session_cancel session_cancel(struct local *local, uint64_t id,
				   struct server **server)
{
	struct session *session = session_table_find(local->sessions, id);

	*server = NULL;
	return session ? cancel(session, server) : CANCEL_UNKNOWN_KEY;
}
