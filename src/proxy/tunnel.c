/*
 * Tunnels: replication connections, passed through one to one.
 *
 * A tunnel waits until its server may be opened, opens it with the client's
 * own startup packet, passes the greeting on, and from there moves bytes
 * between two streams.  It reads nothing but the headers of what the server
 * says, and these only so that a word of ours never lands inside a message.
 *
 * What is read from one end goes at once into the out-buffer of the other;
 * when that is full, the reading end pauses.  So a tunnel holds at most one
 * read and one full buffer in each direction.  When one end is gone, the
 * other one is sent what is still queued for it, and closed.
 *
 *   PLACING -> OPENING -> OPEN -> LEAVING -> ENDING
 *   (each -> CLOSED; OPEN -> ENDING; OPENING -> PLACING never: a login that
 *   failed is the client's to repeat)
 *
 * The process number announced is the backend's own, with a secret of ours.
 * Runs on its worker's thread.
 */
#include "proxy/tunnel.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/frame.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/replication.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/client.h"
#include "proxy/client_ask.h"
#include "proxy/headcount.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/pool_own.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/session_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tunnel_state {
	TUNNEL_PLACING, /* no server yet: asks again every now and then */
	TUNNEL_OPENING, /* the server is logging in */
	TUNNEL_OPEN,    /* bytes flow */
	TUNNEL_LEAVING, /* as soon as a message is over, it ends */
	TUNNEL_ENDING,  /* one end is gone, the other gets its last bytes */
	TUNNEL_CLOSED
};

enum {
	RETRY_US = 50000,
	/* So long the end that is left may take to read its last bytes. */
	ENDING_LIMIT_US = 60 * 1000000,
	/* ... and when pgweir itself wants to end. */
	LEAVING_LIMIT_US = 2 * 1000000
};

struct tunnel {
	struct list link;
	struct local *local;
	struct worker_task burial;
	struct wheel_timer timer;
	struct pool *pool;
	struct pool_own *own;
	struct replication_startup *asked;
	struct stream *client; /* NULL: gone */
	struct server *server; /* NULL: none, or gone */
	struct stream *stream; /* the server's, since it is open */
	struct frame frame;    /* of what the server says */
	enum tunnel_state state;
	bool is_listed; /* in the keyring */
	uint32_t pid;
	uint32_t secret;
	uint64_t id;
	uint64_t connected_us;
	uint64_t deadline_us; /* of PLACING, LEAVING and ENDING; 0: none */
	const char *why;      /* of LEAVING */
	struct local_flow client_flow;
	struct local_flow server_flow;
	char *user;
	char address[CLIENT_ADDRESS_ROOM];
};

static uint64_t now_of(const struct tunnel *tunnel)
{
	return local_now(tunnel->local);
}

static void wake_later(struct tunnel *tunnel)
{
	wheel_set(worker_wheel(tunnel->local->worker), &tunnel->timer,
		  now_of(tunnel) + RETRY_US);
}

static bool is_out_of_time(const struct tunnel *tunnel)
{
	return tunnel->deadline_us > 0 && now_of(tunnel) >= tunnel->deadline_us;
}

static void gauge(const struct tunnel *tunnel, enum metrics_client_state state,
		  int change)
{
	metrics_gauge(pool_gauges(tunnel->pool), GAUGE_CLIENT_CONNECTIONS,
		      state, 0, change);
}

static void gauge_open(const struct tunnel *tunnel, int change)
{
	metrics_gauge(pool_gauges(tunnel->pool), GAUGE_REPLICATION_CONNECTIONS,
		      replication_kind(tunnel->asked) == REPLICATION_LOGICAL
			      ? METRICS_REPLICATION_LOGICAL
			      : METRICS_REPLICATION_PHYSICAL,
		      0, change);
}

static void count_flows(struct tunnel *tunnel)
{
	if (tunnel->client)
		local_count_flow(pool_totals(tunnel->pool), METRICS_SIDE_CLIENT,
				 tunnel->client, &tunnel->client_flow);
	if (tunnel->stream)
		local_count_flow(pool_totals(tunnel->pool), METRICS_SIDE_SERVER,
				 tunnel->stream, &tunnel->server_flow);
}

/* --- ending --- */

static void bury(struct worker_task *task)
{
	struct tunnel *tunnel = LIST_ENTRY(task, struct tunnel, burial);

	pool_own_free(tunnel->own);
	replication_free(tunnel->asked);
	free(tunnel->user);
	free(tunnel);
}

static void set_state(struct tunnel *tunnel, enum tunnel_state state)
{
	bool was_open = tunnel->state >= TUNNEL_OPEN;
	bool is_open = state >= TUNNEL_OPEN && state < TUNNEL_CLOSED;

	assert(state > tunnel->state);
	gauge(tunnel, was_open ? METRICS_CLIENT_ACTIVE : METRICS_CLIENT_LOGIN,
	      -1);
	if (was_open)
		gauge_open(tunnel, -1);
	tunnel->state = state;
	if (state == TUNNEL_CLOSED)
		return;
	gauge(tunnel, is_open ? METRICS_CLIENT_ACTIVE : METRICS_CLIENT_LOGIN,
	      1);
	if (is_open)
		gauge_open(tunnel, 1);
}

static void log_end(const struct tunnel *tunnel, const char *why)
{
	if (local_settings(tunnel->local)->log_disconnections)
		log_info("client %s/%s@%s closing because: %s (age=%us, %s "
			 "replication)",
			 pool_database(tunnel->pool), tunnel->user,
			 tunnel->address, why,
			 (unsigned)((now_of(tunnel) - tunnel->connected_us) /
				    1000000),
			 replication_name(replication_kind(tunnel->asked)));
}

static void drop_client(struct tunnel *tunnel)
{
	struct stream *client = tunnel->client;

	if (!client)
		return;
	count_flows(tunnel);
	tunnel->client = NULL;
	stream_close(client, true);
}

/* gone, or failed, is told from inside. */
static void drop_server(struct tunnel *tunnel, enum metrics_close_reason reason,
			const char *why)
{
	count_flows(tunnel);
	tunnel->stream = NULL;
	if (tunnel->server)
		server_close(tunnel->server, reason, why);
	assert(!tunnel->server);
}

/* Everything that the tunnel held goes back. */
static void dissolve(struct tunnel *tunnel, enum metrics_close_reason reason,
		     const char *why)
{
	if (tunnel->state == TUNNEL_CLOSED)
		return;
	set_state(tunnel, TUNNEL_CLOSED);
	wheel_unset(&tunnel->timer);
	list_remove(&tunnel->link);
	if (tunnel->is_listed)
		keyring_remove(tunnel->local->process->keyring, tunnel->pid,
			       tunnel->secret);
	drop_client(tunnel);
	drop_server(tunnel, reason, why);
	atomic_fetch_sub(&tunnel->local->process->clients, 1);
	headcount_leave(tunnel->local->process->headcount,
			pool_headcount(tunnel->pool));
	pool_leave_guest(tunnel->pool);
	/* The server may still look at what pool_own holds in this turn. */
	worker_free_later(tunnel->local->worker, &tunnel->burial);
}

static void log_refusal(const struct tunnel *tunnel, const char *why)
{
	if (local_settings(tunnel->local)->log_pooler_errors)
		log_warning("client %s/%s@%s %s replication refused: %s",
			    pool_database(tunnel->pool), tunnel->user,
			    tunnel->address,
			    replication_name(replication_kind(tunnel->asked)),
			    why);
}

/* There is no server, and there will be none. */
static void refuse(struct tunnel *tunnel, const char *sqlstate,
		   const char *message)
{
	assert(tunnel->state < TUNNEL_OPEN);
	log_refusal(tunnel, message);
	count_flows(tunnel);
	client_fail(tunnel->client, sqlstate, message, NULL);
	tunnel->client = NULL;
	dissolve(tunnel, METRICS_CLOSE_OTHER, message);
}

static struct stream *survivor(const struct tunnel *tunnel)
{
	return tunnel->client ? tunnel->client : tunnel->stream;
}

static void end_if_sent(struct tunnel *tunnel)
{
	struct stream *left = survivor(tunnel);

	if (!left || !stream_is_open(left) || stream_out_len(left) == 0 ||
	    is_out_of_time(tunnel))
		dissolve(tunnel, METRICS_CLOSE_CLIENT_GONE,
			 "client close request");
	else
		wake_later(tunnel);
}

/* One end is gone: what the other one says is dropped from here. */
static void begin_ending(struct tunnel *tunnel)
{
	struct stream *left = survivor(tunnel);
	uint64_t limit_us = now_of(tunnel) + ENDING_LIMIT_US;
	size_t len;

	set_state(tunnel, TUNNEL_ENDING);
	if (tunnel->deadline_us == 0 || tunnel->deadline_us > limit_us)
		tunnel->deadline_us = limit_us;
	if (left) {
		(void)stream_data(left, &len);
		stream_consume(left, len);
		stream_pause(left, false);
		stream_flush(left);
	}
	end_if_sent(tunnel);
}

static void lose_client(struct tunnel *tunnel)
{
	if (tunnel->state < TUNNEL_ENDING)
		log_end(tunnel, stream_error(tunnel->client));
	drop_client(tunnel);
	if (tunnel->state < TUNNEL_OPEN || tunnel->state == TUNNEL_ENDING)
		dissolve(tunnel, METRICS_CLOSE_CLIENT_GONE,
			 "client close request");
	else
		begin_ending(tunnel);
}

/* --- leaving: the client is told --- */

static void say_goodbye(struct tunnel *tunnel)
{
	log_end(tunnel, tunnel->why);
	pgbuild_error(stream_out(tunnel->client),
		      &(struct pgbuild_error){ .severity = "FATAL",
					       .sqlstate = "57P01",
					       .message = tunnel->why });
	drop_server(tunnel, METRICS_CLOSE_SHUTDOWN, tunnel->why);
	/* It is gone by our own doing: on_gone has left the rest to us. */
	begin_ending(tunnel);
}

/* As soon as the message that is on its way is over. */
static void leave(struct tunnel *tunnel, const char *why)
{
	if (tunnel->state < TUNNEL_OPEN) {
		refuse(tunnel, "57P01", why);
		return;
	}
	if (tunnel->state != TUNNEL_LEAVING)
		tunnel->deadline_us = now_of(tunnel) + LEAVING_LIMIT_US;
	if (tunnel->state != TUNNEL_OPEN)
		return;
	set_state(tunnel, TUNNEL_LEAVING);
	tunnel->why = why;
	if (frame_is_between(&tunnel->frame))
		say_goodbye(tunnel);
	else
		wake_later(tunnel);
}

/* --- bytes --- */

static void forward(struct stream *from, struct stream *to, size_t len)
{
	const uint8_t *data;
	size_t here;

	data = stream_data(from, &here);
	assert(len <= here);
	if (len == 0)
		return;
	stream_forward(to, data, len);
	stream_consume(from, len);
	if (stream_len_is_high(stream_out_len(to)))
		stream_pause(from, true);
}

static void pass_to_client(struct tunnel *tunnel)
{
	size_t len;
	const uint8_t *data = stream_data(tunnel->stream, &len);

	if (tunnel->state == TUNNEL_LEAVING)
		len = frame_rest(&tunnel->frame, data, len);
	frame_pass(&tunnel->frame, data, len);
	forward(tunnel->stream, tunnel->client, len);
	count_flows(tunnel);
	if (tunnel->state == TUNNEL_LEAVING && frame_is_between(&tunnel->frame))
		say_goodbye(tunnel);
}

static void pass_to_server(struct tunnel *tunnel)
{
	size_t len;

	(void)stream_data(tunnel->client, &len);
	forward(tunnel->client, tunnel->stream, len);
	count_flows(tunnel);
}

static void discard(struct stream *stream)
{
	size_t len;

	(void)stream_data(stream, &len);
	stream_consume(stream, len);
}

static void take_client_event(struct tunnel *tunnel, enum stream_event event)
{
	if (event == STREAM_DATA) {
		pass_to_server(tunnel);
	} else if (event == STREAM_DRAINED) {
		stream_pause(tunnel->stream, false);
		pass_to_client(tunnel);
	}
}

/* What comes before the server is there waits unread. */
static void on_client_event(void *owner, enum stream_event event)
{
	struct tunnel *tunnel = owner;

	if (event == STREAM_CLOSED)
		lose_client(tunnel);
	else if (tunnel->state == TUNNEL_ENDING && event == STREAM_DATA)
		discard(tunnel->client);
	else if (tunnel->stream)
		take_client_event(tunnel, event);
}

static void take_server_event(struct tunnel *tunnel, enum stream_event event)
{
	if (event == STREAM_DATA) {
		pass_to_client(tunnel);
	} else if (event == STREAM_DRAINED) {
		stream_pause(tunnel->client, false);
		pass_to_server(tunnel);
	}
}

static void on_server_event(void *owner, enum stream_event event)
{
	struct tunnel *tunnel = owner;

	if (event == STREAM_CLOSED)
		server_close(tunnel->server, METRICS_CLOSE_PEER,
			     stream_error(tunnel->stream));
	else if (tunnel->state == TUNNEL_ENDING && event == STREAM_DATA)
		discard(tunnel->stream);
	else if (tunnel->client)
		take_server_event(tunnel, event);
}

/* --- what the server's life tells --- */

static void greet(struct tunnel *tunnel)
{
	struct buf *out = stream_out(tunnel->client);

	buf_move(out, pool_own_greeting(tunnel->own));
	pgbuild_key(out, tunnel->pid, &tunnel->secret, sizeof(tunnel->secret));
	pgbuild_ready(out, 'I');
}

static void on_opened(void *owner, struct server *server)
{
	struct tunnel *tunnel = owner;

	tunnel->stream = server_hand_over(server, on_server_event, tunnel);
	tunnel->pid = server_pid(server);
	tunnel->is_listed = true;
	tunnel->secret = keyring_add(
		tunnel->local->process->keyring, tunnel->pid,
		(struct keyring_owner){ .session = tunnel->id,
					.worker = tunnel->local->index });
	tunnel->deadline_us = 0;
	set_state(tunnel, TUNNEL_OPEN);
	pool_own_note_opened(tunnel->own);
	if (local_settings(tunnel->local)->log_connections)
		log_info("client %s/%s@%s %s replication from %s, backend "
			 "%u%s",
			 pool_database(tunnel->pool), tunnel->user,
			 tunnel->address,
			 replication_name(replication_kind(tunnel->asked)),
			 server_site(server)->label, tunnel->pid,
			 stream_tls(tunnel->client) ? ", TLS" : "");
	greet(tunnel);
	pass_to_client(tunnel);
	pass_to_server(tunnel);
}

static void on_failed(void *owner, struct server *server, const char *sqlstate,
		      const char *why)
{
	struct tunnel *tunnel = owner;
	const struct buf *words = server_last_words(server);
	char text[256];

	tunnel->server = NULL;
	/* Closed by ourselves, because the client has left. */
	if (tunnel->state == TUNNEL_CLOSED) {
		pool_own_note_closed(tunnel->own);
		return;
	}
	pool_own_note_failed(tunnel->own, sqlstate);
	if (buf_len(words) > 0) {
		log_refusal(tunnel, why);
		stream_write(tunnel->client, buf_head(words), buf_len(words));
		dissolve(tunnel, METRICS_CLOSE_OTHER, why);
		return;
	}
	(void)snprintf(text, sizeof(text), "server login failed: %.200s", why);
	refuse(tunnel, strlen(sqlstate) == 5 ? sqlstate : "08006", text);
}

static void on_gone(void *owner, struct server *server)
{
	struct tunnel *tunnel = owner;
	bool is_ours = !tunnel->stream;

	(void)server;
	if (!is_ours)
		count_flows(tunnel);
	tunnel->server = NULL;
	tunnel->stream = NULL;
	pool_own_note_closed(tunnel->own);
	/* Closed by ourselves: who did it goes on from there. */
	if (is_ours || tunnel->state == TUNNEL_CLOSED)
		return;
	if (tunnel->state == TUNNEL_ENDING) {
		end_if_sent(tunnel);
		return;
	}
	log_end(tunnel, "the server has closed the connection");
	begin_ending(tunnel);
}

static const struct server_pool_hooks server_hooks = {
	.opened = on_opened,
	.failed = on_failed,
	.gone = on_gone,
};

/* --- time --- */

static void place(struct tunnel *tunnel)
{
	struct pool_own_refusal refusal;

	tunnel->server = pool_own_open(tunnel->own, &refusal);
	if (tunnel->server) {
		wheel_unset(&tunnel->timer);
		set_state(tunnel, TUNNEL_OPENING);
	} else if (is_out_of_time(tunnel)) {
		refuse(tunnel, refusal.sqlstate, refusal.why);
	} else {
		wake_later(tunnel);
	}
}

static void on_timer(struct wheel_timer *timer)
{
	struct tunnel *tunnel = LIST_ENTRY(timer, struct tunnel, timer);

	switch (tunnel->state) {
	case TUNNEL_PLACING: place(tunnel); break;
	case TUNNEL_LEAVING:
		/* The message does not end: no word can be put behind it. */
		if (is_out_of_time(tunnel))
			dissolve(tunnel, METRICS_CLOSE_SHUTDOWN, tunnel->why);
		else
			wake_later(tunnel);
		break;
	case TUNNEL_ENDING: end_if_sent(tunnel); break;
	case TUNNEL_OPENING:
	case TUNNEL_OPEN:
	case TUNNEL_CLOSED:
	default: break;
	}
}

/* --- beginning --- */

static struct tunnel *tunnel_new(struct local *local,
				 const struct client_login *login)
{
	struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));
	uint64_t limit_us = local_settings(local)->client_login_timeout_us;

	tunnel->local = local;
	tunnel->client = login->stream;
	tunnel->pool = login->pool;
	tunnel->asked = login->replication;
	tunnel->user = xstrdup(login->ask->user);
	tunnel->connected_us = local_now(local);
	tunnel->id = session_foreign_id(++local->tunnels_begun);
	if (limit_us > 0)
		tunnel->deadline_us = login->since_us + limit_us;
	(void)util_copy(tunnel->address, sizeof(tunnel->address),
			login->address);
	tunnel->own = pool_own_new(tunnel->pool, tunnel->asked, &server_hooks,
				   tunnel);
	worker_task_init(&tunnel->burial, bury);
	wheel_timer_init(&tunnel->timer, on_timer);
	return tunnel;
}

void tunnel_start(struct local *local, const struct client_login *login)
{
	struct tunnel *tunnel = tunnel_new(local, login);

	list_append(&local->tunnels, &tunnel->link);
	gauge(tunnel, METRICS_CLIENT_LOGIN, 1);
	stream_set_owner(tunnel->client, on_client_event, tunnel);
	stream_set_unread_limit(tunnel->client, STREAM_UNREAD_LIMIT);
	place(tunnel);
}

/* --- from outside --- */

static struct tunnel *tunnel_of(struct list *link)
{
	return LIST_ENTRY(link, struct tunnel, link);
}

void tunnels_shutdown(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->tunnels)
		leave(tunnel_of(link),
		      "terminating connection: pgweir is shutting down");
}

void tunnels_free(struct local *local)
{
	tunnels_shutdown(local);
	LIST_FOREACH_SAFE (link, &local->tunnels)
		dissolve(tunnel_of(link), METRICS_CLOSE_SHUTDOWN,
			 "shutting down");
}

bool tunnel_kill(struct local *local, uint64_t id, const char *why)
{
	LIST_FOREACH_SAFE (link, &local->tunnels) {
		if (tunnel_of(link)->id != id)
			continue;
		leave(tunnel_of(link), why);
		return true;
	}
	return false;
}

void tunnels_kill(struct local *local, const char *database, const char *why)
{
	LIST_FOREACH_SAFE (link, &local->tunnels) {
		struct tunnel *tunnel = tunnel_of(link);

		if (!database ||
		    strcmp(pool_database(tunnel->pool), database) == 0)
			leave(tunnel, why);
	}
}

struct server *tunnel_cancel(struct local *local, uint64_t id)
{
	LIST_FOREACH (link, &local->tunnels) {
		struct tunnel *tunnel = tunnel_of(link);

		if (tunnel->id != id || !tunnel->stream)
			continue;
		server_begin_cancel(tunnel->server);
		return tunnel->server;
	}
	return NULL;
}

/* What it asked to be called. */
static const char *name_of(const struct tunnel *tunnel)
{
	const char *name = replication_get(tunnel->asked, "application_name");

	return name ? name : "";
}

static void describe(const struct tunnel *tunnel, struct session_info *info)
{
	const struct tls *tls =
		tunnel->client ? stream_tls(tunnel->client) : NULL;
	const struct server *server = tunnel->server;

	*info = (struct session_info){
		.id = tunnel->id,
		.pid = tunnel->pid,
		.database = pool_database(tunnel->pool),
		.user = pool_user(tunnel->pool),
		.state = tunnel->state < TUNNEL_OPEN ? "waiting_login"
						     : "active",
		.replication =
			replication_name(replication_kind(tunnel->asked)),
		.address = tunnel->address,
		.application_name = name_of(tunnel),
		.pinned = "",
		.tls = tls ? tls_version(tls) : "",
		.server = server ? server_site(server)->label : "",
		.server_pid = server ? server_pid(server) : 0,
		.connected_us = tunnel->connected_us,
		.request_us = tunnel->connected_us,
	};
}

void tunnels_visit(struct local *local,
		   void (*visit)(void *arg, const struct session_info *info),
		   void *arg)
{
	struct session_info info;

	LIST_FOREACH (link, &local->tunnels) {
		describe(tunnel_of(link), &info);
		visit(arg, &info);
	}
}

void tunnels_visit_servers(struct local *local,
			   void (*visit)(void *arg, struct server *server),
			   void *arg)
{
	LIST_FOREACH (link, &local->tunnels)
		if (tunnel_of(link)->server)
			visit(arg, tunnel_of(link)->server);
}
