/*
 * Logging clients in (PostgreSQL docs, "Message Flow", "Start-up").
 *
 * Before a client has proved who it is nothing that it sent reaches a
 * server, and nothing that it is told depends on whether its user or its
 * database exists.  Bytes that came before a TLS handshake are never read
 * after it (CVE-2021-3935).
 */
#include "proxy/client.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "base/wheel.h"
#include "core/authanswer.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/replication.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/auth_link.h"
#include "proxy/client_ask.h"
#include "proxy/client_auth.h"
#include "proxy/headcount.h"
#include "proxy/local.h"
#include "proxy/orders.h"
#include "proxy/pool.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum client_state {
	CLIENT_STARTUP,  /* the next bytes are a startup packet */
	CLIENT_SECURING, /* TLS handshake */
	CLIENT_ASKING,   /* a server is asked who it is */
	CLIENT_AUTH,     /* the next message answers us */
	CLIENT_OVER
};

struct client {
	struct list link;
	struct local *local;
	struct stream *stream;
	struct wheel_timer timer;
	struct worker_task burial;
	enum client_state state;
	bool is_unix;
	bool is_owner;   /* of the program: may use the console */
	bool is_counted; /* against max_client_conn */
	bool has_asked_tls;
	bool has_asked_gss;
	char address[CLIENT_ADDRESS_ROOM];
	struct client_ask *ask;         /* NULL: nothing yet */
	struct client_auth *auth;       /* NULL: nothing was asked */
	struct auth_question *question; /* NULL: no server is asked */
	bool is_looked_up;              /* ... one was */
	uint64_t since_us;
};

static const struct client_hooks *hooks_now;

void client_set_hooks(const struct client_hooks *hooks)
{
	hooks_now = hooks;
}

void client_fail(struct stream *stream, const char *sqlstate,
		 const char *message, const char *hint)
{
	pgbuild_error(stream_out(stream),
		      &(struct pgbuild_error){ .severity = "FATAL",
					       .sqlstate = sqlstate,
					       .message = message,
					       .hint = hint });
	stream_close(stream, true);
}

/* --- ending --- */

static void bury(struct worker_task *task)
{
	struct client *client = LIST_ENTRY(task, struct client, burial);

	client_auth_free(client->auth);
	client_ask_release(client->ask);
	free(client);
}

/* The stream is gone, or somebody else's. */
static void finish(struct client *client)
{
	assert(client->state != CLIENT_OVER);
	client->state = CLIENT_OVER;
	client->stream = NULL;
	auth_link_forget(client->question);
	client->question = NULL;
	list_remove(&client->link);
	wheel_unset(&client->timer);
	if (client->is_counted)
		atomic_fetch_sub(&client->local->process->clients, 1);
	worker_free_later(client->local->worker, &client->burial);
}

/* The name of who asks, or of what for. */
static const char *or_unknown(const char *text)
{
	return text ? text : "?";
}

/* Who it is and where it comes from, in front of every line about it. */
static const char *name_of(const struct client *client, char *out, size_t room)
{
	const struct client_ask *ask = client->ask;

	(void)snprintf(out, room, "client %.64s/%.64s@%s",
		       or_unknown(ask ? ask->database : NULL),
		       or_unknown(ask ? ask->user : NULL), client->address);
	return out;
}

/*
 * The log may know more than a stranger: words are its own.  Without an error
 * it is not answered.
 */
static void reject_with(struct client *client, enum metrics_reject reason,
			const struct pgbuild_error *error, const char *words)
{
	char name[CLIENT_ADDRESS_ROOM + 160];
	uint64_t age_us = local_now(client->local) - client->since_us;

	metrics_count(client->local->cell, COUNTER_CLIENT_REJECTED, reason, 0,
		      1);
	if (local_settings(client->local)->log_pooler_errors)
		log_warning("%s closing because: %s (age=%us)",
			    name_of(client, name, sizeof(name)), words,
			    (unsigned)(age_us / 1000000));
	if (error)
		client_fail(client->stream, error->sqlstate, error->message,
			    error->hint);
	else
		stream_close(client->stream, true);
	finish(client);
}

static void reject(struct client *client, enum metrics_reject reason,
		   const char *sqlstate, const char *message, const char *hint)
{
	reject_with(client, reason,
		    &(struct pgbuild_error){ .sqlstate = sqlstate,
					     .message = message,
					     .hint = hint },
		    message);
}

static void log_attempt(const struct client *client)
{
	char name[CLIENT_ADDRESS_ROOM + 160];
	const struct tls *tls = stream_tls(client->stream);

	if (local_settings(client->local)->log_connections)
		log_info("%s login attempt: db=%s user=%s tls=%s",
			 name_of(client, name, sizeof(name)),
			 client->ask->database, client->ask->user,
			 tls ? tls_version(tls) : "no");
}

static void protocol_error(struct client *client, const char *message)
{
	reject(client, METRICS_REJECT_PROTO, "08P01", message, NULL);
}

/*
 * What speaks another protocol is not answered (PostgreSQL: COMMERROR), and
 * neither is a client that leaves in place of a login.
 */
static void startup_error(struct client *client, const uint8_t *data,
			  size_t len)
{
	if (pgwire_is_startup_size(data, len))
		protocol_error(client, "invalid startup packet layout");
	else
		reject_with(client, METRICS_REJECT_PROTO, NULL,
			    "invalid startup packet: is this a PostgreSQL "
			    "client?");
}

/* Left by itself: worth a line only for whoever debugs. */
static void hang_up(struct client *client, const char *why)
{
	log_debug("client %s: left during login (%s)", client->address, why);
	stream_close(client->stream, false);
	finish(client);
}

/* --- logged in --- */

static void learn_secrets(struct client *client, struct pool *pool)
{
	const char *password;
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];

	if (!client->auth)
		return;
	password = client_auth_password(client->auth);
	if (!password)
		password = client_auth_secret(client->auth);
	if (password)
		pool_learn_password(pool, password);
	if (client_auth_keys(client->auth, client_key, server_key))
		pool_learn_keys(pool, client_key, server_key);
	util_wipe(client_key, sizeof(client_key));
}

static void hand_over(struct client *client, struct pool *pool)
{
	struct client_login login = {
		.stream = client->stream,
		.pool = pool,
		.ask = client->ask,
		.address = client->address,
		.since_us = client->since_us,
		.is_admin = !pool && (client->is_owner ||
				      client_auth_is_admin(client->local,
							   client->ask->user)),
	};

	pgbuild_auth(stream_out(client->stream), 0, NULL, 0);
	/* A session takes its place over; the console needs none. */
	if (pool) {
		client->is_counted = false;
		login.replication = client->ask->replication;
		client->ask->replication = NULL;
	}
	finish(client);
	hooks_now->logged_in(client->local, &login);
}

static unsigned own_or(int own, int otherwise)
{
	int limit = own == CONFIG_UNSET ? otherwise : own;

	return limit > 0 ? (unsigned)limit : 0;
}

/* Counts the client in, or turns it away; the console has room for all. */
static bool enter(struct client *client, const struct pool *pool)
{
	const struct config_settings *settings = local_settings(client->local);
	const struct config_user *user = pool_config_user(pool);
	const struct headcount_limits limits = {
		.database = own_or(pool_config(pool)->max_db_client_connections,
				   settings->max_db_client_connections),
		.user = own_or(user ? user->max_user_client_connections
				    : CONFIG_UNSET,
			       settings->max_user_client_connections),
	};

	switch (headcount_enter(client->local->process->headcount,
				pool_headcount(pool), &limits)) {
	case HEADCOUNT_GRANTED: return true;
	case HEADCOUNT_DATABASE_FULL:
		reject(client, METRICS_REJECT_MAX_CONN, "53300",
		       "no more connections to this database allowed "
		       "(max_db_client_connections)",
		       NULL);
		return false;
	case HEADCOUNT_USER_FULL:
	default:
		reject(client, METRICS_REJECT_MAX_CONN, "53300",
		       "no more connections of this user allowed "
		       "(max_user_client_connections)",
		       NULL);
		return false;
	}
}

static void reject_database(struct client *client)
{
	char text[160];
	char words[160];

	(void)snprintf(text, sizeof(text), "database \"%.63s\" does not exist",
		       client->ask->database);
	(void)snprintf(words, sizeof(words), "no such database: %.63s",
		       client->ask->database);
	reject_with(client, METRICS_REJECT_NO_DATABASE,
		    &(struct pgbuild_error){
			    .sqlstate = "3D000",
			    .message = text,
			    .hint = "Databases are listed in the "
				    "configuration's section [databases]." },
		    words);
}

/*
 * Physical replication has no database, and its clients say "replication",
 * or their own name: without a line for that, any line means the same.
 */
static void find_cluster(struct client *client)
{
	const struct config *config = local_config(client->local);
	const struct config_database *line = config_sole_cluster(config);

	if (replication_kind(client->ask->replication) !=
		    REPLICATION_PHYSICAL ||
	    !line || config_find_database(config, client->ask->database))
		return;
	free(client->ask->database);
	client->ask->database = xstrdup(line->name);
}

static struct pool *join(struct client *client)
{
	if (!client->ask->replication)
		return pool_join(client->local, client->ask->database,
				 client->ask->user);
	find_cluster(client);
	return pool_join_guest(client->local, client->ask->database,
			       client->ask->user);
}

static void leave(const struct client *client, struct pool *pool)
{
	if (client->ask->replication)
		pool_leave_guest(pool);
	else
		pool_leave(pool);
}

static void accept_login(struct client *client)
{
	struct pool *pool = NULL;

	if (!client->ask->is_console) {
		pool = join(client);
		if (!pool) {
			reject_database(client);
			return;
		}
		if (!enter(client, pool)) {
			leave(client, pool);
			return;
		}
		client_ask_share(client->ask, client->local);
		learn_secrets(client, pool);
		metrics_observe(pool_totals(pool), HISTOGRAM_AUTH, 0,
				local_now(client->local) - client->since_us);
	}
	hand_over(client, pool);
}

/* Clients hear the same, whatever was asked and whoever is unknown. */
static void reject_login(struct client *client)
{
	char text[160];

	(void)snprintf(text, sizeof(text),
		       "password authentication failed for user \"%.63s\"",
		       client->ask->user);
	reject_with(
		client, METRICS_REJECT_AUTH,
		&(struct pgbuild_error){ .sqlstate = "28P01", .message = text },
		client->is_looked_up && !client_auth_is_known(client->auth)
			? "no such user"
			: client_auth_failure(client->auth));
}

static void take_auth_result(struct client *client,
			     enum client_auth_result result)
{
	switch (result) {
	case CLIENT_AUTH_MORE: break;
	case CLIENT_AUTH_DONE: accept_login(client); break;
	case CLIENT_AUTH_BAD:
		protocol_error(client, client_auth_error(client->auth));
		break;
	case CLIENT_AUTH_WRONG:
	default: reject_login(client); break;
	}
}

/* --- the startup packet --- */

static bool take_parameters(struct client *client,
			    const struct pgwire_startup *startup)
{
	struct client_refusal refusal;

	if (client_ask_read(&client->ask, client->local, startup,
			    client->address, &refusal))
		return true;
	reject(client, METRICS_REJECT_PROTO, refusal.sqlstate, refusal.message,
	       refusal.hint);
	return false;
}

static bool has_room(struct client *client)
{
	int limit = local_settings(client->local)->max_client_conn;
	unsigned clients =
		atomic_fetch_add(&client->local->process->clients, 1);

	client->is_counted = true;
	if (clients < (unsigned)limit || client->ask->is_console)
		return true;
	reject(client, METRICS_REJECT_MAX_CONN, "53300",
	       "no more connections allowed (max_client_conn)",
	       "Raise max_client_conn, or let clients disconnect when idle.");
	return false;
}

/* verify-full asks no more of clients than verify-ca, as in PgBouncer. */
static bool has_tls_as_demanded(struct client *client)
{
	enum config_sslmode mode =
		local_settings(client->local)->client_tls_sslmode;

	if (client->is_unix || mode < SSLMODE_REQUIRE ||
	    stream_tls(client->stream))
		return true;
	reject(client, METRICS_REJECT_TLS, "28000",
	       "TLS is required (client_tls_sslmode)",
	       "Connect with sslmode=require or stronger.");
	return false;
}

/* Who is in stays in: an operator disables a database for new clients. */
static bool is_enabled(struct client *client)
{
	const struct client_ask *ask = client->ask;
	char *why;

	if (ask->is_console || !orders_holds(client->local->process->orders,
					     ORDER_DISABLE, ask->database))
		return true;
	why = xasprintf("database \"%s\" is disabled", ask->database);
	reject(client, METRICS_REJECT_NO_DATABASE, "55000", why,
	       "An operator has disabled it on the console; ENABLE ends "
	       "that.");
	free(why);
	return false;
}

static void log_unknown(const struct client *client)
{
	char name[CLIENT_ADDRESS_ROOM + 160];

	if (!client_auth_is_known(client->auth) &&
	    local_settings(client->local)->log_connections)
		log_info("%s no such user: %s",
			 name_of(client, name, sizeof(name)),
			 client->ask->user);
}

static void put_question(struct client *client)
{
	log_unknown(client);
	take_auth_result(client, client_auth_begin(client->auth,
						   stream_out(client->stream)));
}

/* To the log, not to strangers: who is asked, and how, is not theirs. */
static void reject_lookup(struct client *client, const char *why)
{
	char words[200];

	(void)snprintf(words, sizeof(words), "auth_query failed: %s", why);
	reject_with(client, METRICS_REJECT_AUTH,
		    &(struct pgbuild_error){
			    .sqlstate = "08006",
			    .message = "users cannot be looked up at present" },
		    words);
}

static void on_data(struct client *client);

/* What it has sent meanwhile nobody has looked at. */
static void on_answered(void *arg, const struct authanswer *answer)
{
	struct client *client = arg;

	client->question = NULL;
	client->is_looked_up = true;
	client->state = CLIENT_AUTH;
	if (!answer->is_good) {
		reject_lookup(client, answer->why);
		return;
	}
	client_auth_learn(client->auth, answer->secret);
	put_question(client);
	on_data(client);
}

static void look_up(struct client *client)
{
	client->state = CLIENT_ASKING;
	client->question =
		auth_link_ask(client->local, client->ask->database,
			      client->ask->user, on_answered, client);
	if (!client->question)
		reject_lookup(client, "no server to ask");
}

static void begin_auth(struct client *client)
{
	const struct client_ask *ask = client->ask;

	client->state = CLIENT_AUTH;
	client->is_owner =
		client->is_unix && ask->is_console &&
		client_auth_is_owner(stream_fd(client->stream), ask->user);
	if (client->is_owner ||
	    client_auth_is_needless(client->local, ask->user,
				    ask->is_console)) {
		accept_login(client);
		return;
	}
	client->auth =
		client_auth_new(client->local, ask->user, ask->is_console);
	if (!ask->is_console &&
	    auth_link_is_due(client->local, ask->database, ask->user))
		look_up(client);
	else
		put_question(client);
}

static void take_login(struct client *client,
		       const struct pgwire_startup *startup)
{
	if (startup->major != 3) {
		reject(client, METRICS_REJECT_PROTO, "0A000",
		       "unsupported frontend protocol: only version 3 is "
		       "spoken here",
		       NULL);
		return;
	}
	if (client->local->is_refusing) {
		reject(client, METRICS_REJECT_SHUTDOWN, "57P01",
		       "pgweir is shutting down", NULL);
		return;
	}
	if (!take_parameters(client, startup))
		return;
	log_attempt(client);
	if (!has_room(client) || !has_tls_as_demanded(client) ||
	    !is_enabled(client))
		return;
	if (client->ask->is_negotiating)
		client_ask_negotiate(startup, stream_out(client->stream));
	stream_consume(client->stream, startup->total);
	begin_auth(client);
}

static void answer_tls(struct client *client)
{
	struct tls_context *context = client->local->snapshot->client_tls;
	struct tls *tls;

	if (client->has_asked_tls || stream_tls(client->stream)) {
		protocol_error(client, "SSLRequest came twice");
		return;
	}
	client->has_asked_tls = true;
	if (!context || client->is_unix) {
		stream_write(client->stream, "N", 1);
		return;
	}
	stream_write(client->stream, "S", 1);
	stream_flush(client->stream);
	tls = tls_new(context, stream_fd(client->stream), true, NULL);
	if (!tls) {
		hang_up(client, "TLS could not be set up");
		return;
	}
	client->state = CLIENT_SECURING;
	if (!stream_start_tls(client->stream, tls))
		protocol_error(client, "received unencrypted data after "
				       "SSLRequest");
}

static void answer_gss(struct client *client)
{
	if (client->has_asked_gss) {
		protocol_error(client, "GSSENCRequest came twice");
		return;
	}
	client->has_asked_gss = true;
	stream_write(client->stream, "N", 1);
}

static void take_cancel(struct client *client,
			const struct pgwire_startup *startup)
{
	struct stream *stream = client->stream;
	uint32_t key;

	if (startup->cancel_key_len != sizeof(key)) {
		hang_up(client, "cancel key of a length not issued here");
		return;
	}
	memcpy(&key, startup->cancel_key, sizeof(key));
	finish(client);
	hooks_now->cancel(client->local, stream, startup->cancel_pid, key);
}

/* False when the packet is not there yet, or the client is gone. */
static bool read_startup(struct client *client)
{
	struct pgwire_startup startup;
	size_t len;
	const uint8_t *data = stream_data(client->stream, &len);
	struct stream *stream = client->stream;

	switch (pgwire_read_startup(data, len, &startup)) {
	case PGWIRE_MORE: return false;
	case PGWIRE_OK: break;
	case PGWIRE_BAD:
	default: startup_error(client, data, len); return false;
	}
	switch (startup.kind) {
	case STARTUP_SSL:
		stream_consume(stream, startup.total);
		answer_tls(client);
		break;
	case STARTUP_GSSENC:
		stream_consume(stream, startup.total);
		answer_gss(client);
		break;
	case STARTUP_CANCEL: take_cancel(client, &startup); return false;
	case STARTUP_LOGIN:
	default: take_login(client, &startup); break;
	}
	return client->state != CLIENT_OVER;
}

static bool read_auth(struct client *client)
{
	struct pgwire_message message;
	enum client_auth_result result;
	size_t len;
	const uint8_t *data = stream_data(client->stream, &len);

	switch (pgwire_read(data, len, &message)) {
	case PGWIRE_MORE: return false;
	case PGWIRE_OK: break;
	case PGWIRE_BAD:
	default:
		protocol_error(client, "malformed message header");
		return false;
	}
	if (message.type != 'p' || message.body_len > PGWIRE_AUTH_MAX) {
		protocol_error(client, "expected a password response");
		return false;
	}
	if (!pgwire_is_complete(&message))
		return false;
	result = client_auth_step(client->auth, &message,
				  stream_out(client->stream));
	stream_consume(client->stream, message.total);
	take_auth_result(client, result);
	return client->state != CLIENT_OVER;
}

/* --- events --- */

static void on_data(struct client *client)
{
	bool goes_on = true;

	while (goes_on)
		goes_on = client->state == CLIENT_STARTUP
				  ? read_startup(client)
				  : client->state == CLIENT_AUTH &&
					    read_auth(client);
}

static void on_event(void *owner, enum stream_event event)
{
	struct client *client = owner;

	switch (event) {
	case STREAM_SECURED:
		client->state = CLIENT_STARTUP;
		local_count_tls(client->local, METRICS_SIDE_CLIENT,
				stream_tls(client->stream));
		break;
	case STREAM_DATA: on_data(client); break;
	case STREAM_CLOSED:
		hang_up(client, stream_error(client->stream));
		break;
	case STREAM_CONNECTED:
	case STREAM_DRAINED:
	default: break;
	}
}

static void on_timer(struct wheel_timer *timer)
{
	struct client *client = LIST_ENTRY(timer, struct client, timer);

	reject(client, METRICS_REJECT_TIMEOUT, "08006",
	       "login took too long (client_login_timeout)", NULL);
}

/* By hand: of all that is done for a connection this took longest. */
static void write_v4(char *out, const struct sockaddr_in *peer)
{
	const uint8_t *bytes = (const uint8_t *)&peer->sin_addr;

	for (int i = 0; i < 4; i++) {
		out += util_write_u64(out, bytes[i]);
		*out++ = i < 3 ? '.' : ':';
	}
	out += util_write_u64(out, ntohs(peer->sin_port));
	*out = '\0';
}

static void describe(struct client *client, const struct sockaddr_storage *peer)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
	char text[INET6_ADDRSTRLEN] = "?";

	if (client->is_unix) {
		(void)util_copy(client->address, sizeof(client->address),
				"unix");
	} else if (peer->ss_family == AF_INET) {
		write_v4(client->address, (const struct sockaddr_in *)peer);
	} else {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		(void)snprintf(client->address, sizeof(client->address),
			       "[%s]:%u", text, (unsigned)ntohs(v6->sin6_port));
	}
}

void client_accept(struct local *local, int fd, bool is_unix,
		   const struct sockaddr_storage *peer)
{
	struct client *client = xcalloc(1, sizeof(*client));
	struct stream_options options = local_stream_options(local);
	uint64_t limit_us = local_settings(local)->client_login_timeout_us;

	client->local = local;
	client->is_unix = is_unix;
	client->since_us = local_now(local);
	describe(client, peer);
	client->stream = stream_accept(
		local->worker, fd, &options,
		!is_unix && local_settings(local)->tcp_defer_accept, on_event,
		client);
	stream_set_unread_limit(client->stream,
				PGWIRE_AUTH_MAX + PGWIRE_STARTUP_MAX);
	list_append(&local->client_list, &client->link);
	worker_task_init(&client->burial, bury);
	wheel_timer_init(&client->timer, on_timer);
	if (limit_us > 0)
		wheel_set(worker_wheel(local->worker), &client->timer,
			  client->since_us + limit_us);
	metrics_count(local->cell, COUNTER_CLIENT_CONNECTIONS, 0, 0, 1);
}

void clients_refuse_all(struct local *local)
{
	LIST_FOREACH_SAFE (link, &local->client_list)
		reject(LIST_ENTRY(link, struct client, link),
		       METRICS_REJECT_SHUTDOWN, "57P01",
		       "pgweir is shutting down", NULL);
}
