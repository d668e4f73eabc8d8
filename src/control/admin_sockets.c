/*
 * Clients and servers, a row each.
 *
 * ptr and link are names here, not addresses: a server is "node/pid", so that
 * a client's link can be looked up among the servers' ptr.  A client's number
 * is the one of its session with its worker's in it.
 */
#include "control/admin_sockets.h"

#include "base/strmap.h"
#include "base/util.h"
#include "control/admin_job.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which rows, and in which form. */
struct view {
	struct admin_job *job;
	const char *prefix; /* of a state */
	bool only_active;
	bool has_debug; /* seven columns of buffers instead of our own two */
};

/* What is the same for clients and servers. */
struct row {
	const char *type;
	const char *user;
	const char *database;
	const char *replication;
	const char *state;
	const char *address;
	unsigned port;
	uint64_t connected_us;
	uint64_t request_us;
	uint64_t wait_us;
	char ptr[160];
	char link[160];
	unsigned pid;
	const char *tls;
	const char *application_name;
	uint64_t prepared;
	uint64_t id;
	const char *node;
	const char *more; /* role of a server, what pins a client */
	uint64_t channels;
};

/* What PgBouncer's buffers are has no counterpart: zeros. */
static void put_rest(const struct view *view, const struct row *row)
{
	enum { DEBUG_COLUMNS = 7 };
	struct admin_job *job = view->job;

	if (!view->has_debug) {
		admin_put_text(job, row->node);
		admin_put_text(job, row->more);
		if (*row->type == 'C')
			admin_put_number(job, (int64_t)row->channels);
		return;
	}
	for (int i = 0; i < DEBUG_COLUMNS; i++)
		admin_put_number(job, 0);
}

static void put_times(struct admin_job *job, const struct row *row)
{
	admin_put_time(job, row->connected_us);
	admin_put_time(job, row->request_us);
	admin_put_number(job, (int64_t)(row->wait_us / 1000000));
	admin_put_number(job, (int64_t)(row->wait_us % 1000000));
	admin_put_number(job, 0); /* close_needed */
}

/* In the order of the columns in the table of commands. */
static void put_row(const struct view *view, const struct row *row)
{
	struct admin_job *job = view->job;
	char state[32];

	if (view->only_active && strcmp(row->state, "active") != 0)
		return;
	(void)snprintf(state, sizeof(state), "%s%s", view->prefix, row->state);
	admin_row_begin(job);
	admin_put_text(job, row->type);
	admin_put_text(job, row->user);
	admin_put_text(job, row->database);
	admin_put_text(job, row->replication);
	admin_put_text(job, state);
	admin_put_text(job, row->address);
	admin_put_number(job, row->port);
	admin_put_text(job, ""); /* our own end is not looked at */
	admin_put_number(job, 0);
	put_times(job, row);
	admin_put_text(job, row->ptr);
	admin_put_text(job, row->link);
	admin_put_number(job, row->pid);
	admin_put_text(job, row->tls);
	admin_put_text(job, row->application_name);
	admin_put_number(job, (int64_t)row->prepared);
	admin_put_number(job, (int64_t)row->id);
	put_rest(view, row);
	admin_row_end(job);
}

/* --- clients ---------------------------------------------------------------
 */

/* "127.0.0.1:50123", "[::1]:50123" or "unix" */
static unsigned split_address(const char *text, char *host, size_t room)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	bool is_v6 = text[0] == '[' && len >= 2;
	uint64_t port = 0;

	(void)snprintf(host, room, "%.*s", (int)(is_v6 ? len - 2 : len),
		       is_v6 ? text + 1 : text);
	if (colon)
		(void)util_parse_u64(colon + 1, UINT16_MAX, &port);
	return (unsigned)port;
}

/* The same for a server's ptr and its client's link. */
static void name_server(char *out, size_t room, const char *node, unsigned pid)
{
	(void)snprintf(out, room, "%s/%u", node, pid);
}

static void put_client(void *arg, const struct session_info *info)
{
	const struct view *view = arg;
	const struct local *local = view->job->local;
	char host[64];
	struct row row = {
		.type = "C",
		.user = info->user,
		.database = info->database,
		.state = info->state,
		.replication = info->replication,
		.address = host,
		.port = split_address(info->address, host, sizeof(host)),
		.connected_us = info->connected_us,
		.request_us = info->request_us,
		.wait_us = info->wait_us,
		.tls = info->tls,
		.application_name = info->application_name,
		.prepared = info->prepared,
		.id = info->id * local->process->worker_count + local->index,
		.node = info->server,
		.more = info->pinned,
		.channels = info->channels,
	};

	(void)snprintf(row.ptr, sizeof(row.ptr), "client/%llu",
		       (unsigned long long)row.id);
	if (*info->server)
		name_server(row.link, sizeof(row.link), info->server,
			    info->server_pid);
	put_row(view, &row);
}

/* The visitors take a plain pointer, so the view is copied. */
static void visit_clients(const struct view *view)
{
	struct view copy = *view;

	sessions_visit(view->job->local, put_client, &copy);
	tunnels_visit(view->job->local, put_client, &copy);
}

/* --- servers ---------------------------------------------------------------
 */

/* PgBouncer's words. */
static const char *state_name(enum server_state state)
{
	switch (state) {
	case SERVER_IDLE: return "idle";
	case SERVER_ACTIVE: return "active";
	case SERVER_CLEANING: return "tested";
	case SERVER_CONNECTING:
	case SERVER_SECURING:
	case SERVER_LOGIN: return "new";
	case SERVER_MOVING:
	case SERVER_CLOSED:
	default: return server_state_name(state);
	}
}

/* Where it is connected to; returns the port, 0 for a Unix socket. */
static unsigned server_address(const struct server *server, char *out,
			       size_t room)
{
	const struct sockaddr_storage *address;
	const struct sockaddr_in *v4;
	const struct sockaddr_in6 *v6;
	const uint8_t *key;
	size_t key_len;
	socklen_t len;
	uint32_t pid;

	server_cancel_target(server, &pid, &key, &key_len, &address, &len);
	v4 = (const void *)address;
	v6 = (const void *)address;
	(void)snprintf(out, room, "unix");
	if (address->ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)room);
		return ntohs(v4->sin_port);
	}
	if (address->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)room);
		return ntohs(v6->sin6_port);
	}
	return 0;
}

/* As the server has reported it (ParameterStatus). */
static const char *parameter_of(const struct server *server, const char *name)
{
	const char *value = strmap_get(server_parameters(server), name);

	return value ? value : "";
}

static const char *replication_of(const struct server_site *site)
{
	return replication_name(site->own ? replication_kind(site->own->asked)
					  : REPLICATION_NONE);
}

static void put_server(void *arg, struct server *server)
{
	const struct view *view = arg;
	const struct server_site *site = server_site(server);
	char host[INET6_ADDRSTRLEN];
	struct row row = {
		.type = "S",
		.user = site->user,
		.database = site->database,
		.replication = replication_of(site),
		.state = state_name(server_state(server)),
		.address = host,
		.port = server_address(server, host, sizeof(host)),
		.connected_us = server_opened_us(server),
		.request_us = server_idle_since_us(server),
		.pid = server_pid(server),
		.tls = server_tls_version(server),
		.application_name = parameter_of(server, "application_name"),
		.prepared = server_statements(server),
		.node = site->label,
		.more = site->is_replica ? "replica" : "primary",
	};

	name_server(row.ptr, sizeof(row.ptr), site->label, row.pid);
	put_row(view, &row);
}

static void visit_pool(void *arg, const struct pool *pool)
{
	for (unsigned i = 0; i < pool_node_count(pool); i++)
		pool_node_visit(pool_node_at(pool, i), put_server, arg);
}

static void visit_servers(const struct view *view)
{
	struct view copy = *view;

	pools_visit(view->job->local, visit_pool, &copy);
	tunnels_visit_servers(view->job->local, put_server, &copy);
}

/* --- commands --------------------------------------------------------------
 */

void admin_show_clients(struct admin_job *job)
{
	visit_clients(&(struct view){ .job = job, .prefix = "" });
}

void admin_show_servers(struct admin_job *job)
{
	visit_servers(&(struct view){ .job = job, .prefix = "" });
}

/* PgBouncer tells the two kinds apart by the prefix of the state. */
static void show_both(struct admin_job *job, bool only_active)
{
	struct view view = {
		.job = job,
		.prefix = "cl_",
		.only_active = only_active,
		.has_debug = true,
	};

	visit_clients(&view);
	view.prefix = "sv_";
	visit_servers(&view);
}

void admin_show_sockets(struct admin_job *job)
{
	show_both(job, false);
}

void admin_show_active_sockets(struct admin_job *job)
{
	show_both(job, true);
}

/* The number has the worker's in it: number % workers. */
bool admin_client_worker(const struct admin_job *job, unsigned workers,
			 unsigned *worker)
{
	uint64_t id;

	if (!util_parse_u64(job->argument, UINT64_MAX, &id))
		return false;
	*worker = (unsigned)(id % workers);
	return true;
}

void admin_kill_client(struct admin_job *job)
{
	static const char killed[] =
		"terminating connection due to administrator command";
	unsigned workers = job->local->process->worker_count;
	uint64_t id = 0;

	if (!util_parse_u64(job->argument, UINT64_MAX, &id) ||
	    (!session_kill(job->local, id / workers, killed) &&
	     !tunnel_kill(job->local, id / workers, killed)))
		admin_job_fail(job, "42704",
			       "SHOW CLIENTS lists the numbers in its column "
			       "\"id\".",
			       "client not found");
}
