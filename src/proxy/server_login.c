/*
 * Opening a session at a server: SSLRequest, startup packet, authentication,
 * up to the first ReadyForQuery (PostgreSQL docs, "Message Flow").
 *
 * Runs on the worker's thread, on bytes of a stranger: whatever does not fit
 * fails this one connection with a text that says what to look at.  Nothing
 * of a client reaches the server here except its user and database names: a
 * client's settings are applied later, as that user, with SET.  A connection
 * of one client's own is the exception: all of its startup packet goes on, and
 * what the server says at login is kept for it.
 */
#include "proxy/server_parts.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/login.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/topology.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/local.h"
#include "proxy/notifiers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum server_step fail(struct server *server, const char *sqlstate,
			     const char *why)
{
	server_set_failure(server, sqlstate, why);
	return SERVER_STEP_FAILED;
}

/* A client's own connection: its whole startup packet goes on. */
static void send_own_startup(const struct server *server)
{
	size_t count;
	const char *const *asked =
		replication_pairs(server->site->own->asked, &count);
	const char **pairs = xcalloc(2 * (count + 2), sizeof(*pairs));

	pairs[0] = "user";
	pairs[1] = server->site->user;
	pairs[2] = "database";
	pairs[3] = server->site->dbname;
	for (size_t i = 0; i < 2 * count; i++)
		pairs[4 + i] = asked[i];
	pgbuild_startup(stream_out(server->stream), pairs, count + 2);
	free(pairs);
}

static void send_startup(struct server *server)
{
	const char *const pairs[] = { "user", server->site->user, "database",
				      server->site->dbname };

	if (server->site->own)
		send_own_startup(server);
	else
		pgbuild_startup(stream_out(server->stream), pairs, 2);
	server->login = login_new(&server->site->credentials);
}

static bool wants_tls(const struct server *server)
{
	return server->site->local->snapshot->server_tls &&
	       server->address.ss_family != AF_UNIX;
}

static bool needs_tls(const struct server *server)
{
	return local_settings(server->site->local)->server_tls_sslmode >=
	       SSLMODE_REQUIRE;
}

enum server_step server_login_begin(struct server *server)
{
	if (wants_tls(server)) {
		pgbuild_ssl_request(stream_out(server->stream));
		server->is_asking_tls = true;
	} else {
		send_startup(server);
	}
	return SERVER_STEP_MORE;
}

void server_login_secured(struct server *server)
{
	send_startup(server);
}

static enum server_step start_tls(struct server *server)
{
	struct tls *tls =
		tls_new(server->site->local->snapshot->server_tls,
			stream_fd(server->stream), false, server->site->host);

	if (!tls)
		return fail(server, "", "TLS could not be set up");
	if (!stream_start_tls(server->stream, tls))
		return fail(server, "",
			    "the server sent bytes in front of "
			    "the TLS handshake");
	return SERVER_STEP_DONE;
}

/* The single byte that answers SSLRequest. */
static enum server_step read_tls_answer(struct server *server)
{
	size_t len;
	const uint8_t *data = stream_data(server->stream, &len);
	uint8_t answer;

	if (len == 0)
		return SERVER_STEP_MORE;
	answer = data[0];
	stream_consume(server->stream, 1);
	server->is_asking_tls = false;
	if (answer == 'S')
		return start_tls(server);
	if (answer != 'N')
		return fail(server, "08P01",
			    "no answer to SSLRequest: is "
			    "this a PostgreSQL server?");
	if (needs_tls(server))
		return fail(server, "08001",
			    "the server has no TLS and server_tls_sslmode "
			    "demands it");
	send_startup(server);
	return SERVER_STEP_MORE;
}

static enum server_step take_auth(struct server *server,
				  const struct pgwire_message *message)
{
	struct buf *out = stream_out(server->stream);

	switch (login_step(server->login, message, out)) {
	case LOGIN_MORE: return SERVER_STEP_MORE;
	case LOGIN_ACCEPTED: server->settings_due = 1; return SERVER_STEP_MORE;
	case LOGIN_REFUSED:
	default: return fail(server, "28000", login_error(server->login));
	}
}

static enum server_step take_error(struct server *server,
				   const struct pgwire_message *message)
{
	struct pgwire_error error;

	if (!pgwire_read_error(message, &error))
		return fail(server, "08P01", "malformed error during login");
	if (server->site->own)
		pgbuild_message(&server->last_words, 'E', message->body,
				message->body_len);
	return fail(server, error.sqlstate, error.message);
}

static enum server_step take_parameter(struct server *server,
				       const struct pgwire_message *message)
{
	const char *name;
	const char *value;

	if (!pgwire_read_pair(message, &name, &value))
		return fail(server, "08P01", "malformed ParameterStatus");
	server_note_parameter(server, name, value);
	return SERVER_STEP_MORE;
}

static enum server_step take_key(struct server *server,
				 const struct pgwire_message *message)
{
	const uint8_t *key;
	size_t len;

	if (!pgwire_read_key(message, &server->pid, &key, &len) ||
	    len > SERVER_KEY_MAX)
		return fail(server, "08P01", "malformed BackendKeyData");
	memcpy(server->key, key, len);
	server->key_len = len;
	server->notifier = notifiers_key(server->site->label, server->pid);
	return SERVER_STEP_MORE;
}

/* What a client of its own is to hear, word for word; false: too much. */
static bool keep_greeting(const struct server *server,
			  const struct pgwire_message *message)
{
	struct server_own *own = server->site->own;

	if (!own || (message->type != 'N' && message->type != 'S'))
		return true;
	pgbuild_message(&own->greeting, (char)message->type, message->body,
			message->body_len);
	return buf_len(&own->greeting) <= SERVER_TEXT_MAX / 16;
}

/*
 * A standby, where the primary is believed to be: it was demoted.  Since
 * version 14 it says so.
 */
static bool is_demoted(const struct server *server)
{
	const struct topology *topology = server->site->local->topology;
	const char *standby = strmap_get(server->parameters, "in_hot_standby");
	unsigned node = server->site->node;

	return !server->site->own && topology && node < topology->count &&
	       topology->nodes[node].role == ROLE_PRIMARY && standby &&
	       strcmp(standby, "on") == 0;
}

/* The first thing that happens in the session, and part of the login. */
static enum server_step run_connect_query(struct server *server)
{
	const char *query = server->site->connect_query;

	pgbuild_query(stream_out(server->stream), query, strlen(query));
	server->has_query_run = true;
	return SERVER_STEP_MORE;
}

static enum server_step take_first_ready(struct server *server,
					 const struct pgwire_message *message)
{
	server->status = pgwire_read_ready(message);
	if (server->status != 'I')
		return fail(server, server->has_query_run ? "55000" : "08P01",
			    "not idle after login");
	if (is_demoted(server))
		return fail(server, "", "it was the primary and is a standby");
	if (server->site->connect_query && !server->has_query_run)
		return run_connect_query(server);
	return SERVER_STEP_DONE;
}

static enum server_step take_query_error(struct server *server,
					 const struct pgwire_message *message)
{
	struct pgwire_error error;
	char text[256];

	if (!pgwire_read_error(message, &error))
		return fail(server, "08P01", "malformed error in login");
	(void)snprintf(text, sizeof(text), "connect_query failed: %.200s",
		       error.message);
	return fail(server, "55000", text);
}

/* What connect_query answers is for nobody. */
static enum server_step take_query_answer(struct server *server,
					  const struct pgwire_message *message)
{
	switch (message->type) {
	case 'E': return take_query_error(server, message);
	case 'S': return take_parameter(server, message);
	case 'Z': return take_first_ready(server, message);
	case 'A':
	case 'C':
	case 'D':
	case 'I':
	case 'N':
	case 'T': return SERVER_STEP_MORE;
	default:
		return fail(server, "55000",
			    "connect_query failed: it must be answered by "
			    "rows alone");
	}
}

/* settings_due means "authenticated" until the login is over. */
static enum server_step take_message(struct server *server,
				     const struct pgwire_message *message)
{
	if (!keep_greeting(server, message))
		return fail(server, "08P01", "endless greeting in login");
	if (server->has_query_run)
		return take_query_answer(server, message);
	if (message->type == 'E')
		return take_error(server, message);
	if (message->type == 'N' || message->type == 'v')
		return SERVER_STEP_MORE;
	if (server->settings_due == 0)
		return message->type == 'R' ? take_auth(server, message)
					    : fail(server, "08P01",
						   "unexpected message before "
						   "authentication");
	switch (message->type) {
	case 'S': return take_parameter(server, message);
	case 'K': return take_key(server, message);
	case 'Z': return take_first_ready(server, message);
	default: return fail(server, "08P01", "unexpected message in login");
	}
}

static void finish(struct server *server)
{
	login_free(server->login);
	server->login = NULL;
	server->settings_due = 0;
}

static enum server_step read_message(struct server *server)
{
	struct pgwire_message message;
	enum server_step step;
	size_t len;
	const uint8_t *data = stream_data(server->stream, &len);

	switch (pgwire_read(data, len, &message)) {
	case PGWIRE_MORE: return SERVER_STEP_MORE;
	case PGWIRE_OK: break;
	case PGWIRE_BAD:
	default: return fail(server, "08P01", "not a PostgreSQL server");
	}
	if (message.body_len > SERVER_HELD_MAX)
		return fail(server, "08P01", "oversized message in login");
	if (!pgwire_is_complete(&message))
		return SERVER_STEP_MORE;
	step = take_message(server, &message);
	stream_consume(server->stream, message.total);
	if (step == SERVER_STEP_DONE)
		finish(server);
	return step;
}

enum server_step server_login_read(struct server *server)
{
	enum server_step step = SERVER_STEP_MORE;
	size_t before;
	size_t after;

	if (server->is_asking_tls)
		return read_tls_answer(server);
	do {
		(void)stream_data(server->stream, &before);
		step = read_message(server);
		(void)stream_data(server->stream, &after);
	} while (step == SERVER_STEP_MORE && after > 0 && after < before);
	return step;
}
