/*
 * How a client is greeted (PostgreSQL docs, "Message Flow", "Start-up"): the
 * ParameterStatus messages that a server would send to a session with these
 * settings, BackendKeyData and ReadyForQuery.
 *
 * The first client of a kind is greeted with what a server shows once its
 * settings are in force there, so that values are spelled as PostgreSQL
 * spells them and bad ones are refused as PostgreSQL refuses them.  Only when
 * that would mean to wait behind busy servers, a client whose greeting can be
 * told without one is not kept waiting.
 *
 * In session pooling a client is greeted by the server that it is going to
 * keep, with that server's own process number, and waits for it.
 */
#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/client_ask.h"
#include "proxy/keyring.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* PostgreSQL's NAMEDATALEN less the NUL. */
enum { NAME_BYTES = 63 };

/*
 * As the server shows the name of an application: cut to the length of a
 * name, not within a character of UTF-8, and printable ASCII (PostgreSQL
 * docs, "application_name").
 */
static char *spell_application(const char *name)
{
	char *shown = xstrdup(name);
	size_t len = strlen(shown);

	if (len > NAME_BYTES) {
		len = NAME_BYTES;
		while (len > 0 && ((unsigned char)shown[len] & 0xc0) == 0x80)
			len--;
		shown[len] = '\0';
	}
	for (char *c = shown; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return shown;
}

/* A greeting as it was kept, with this client's own values. */
static void append_own(struct session *session, const struct buf *kept,
		       const char *encoding)
{
	const char *name = settings_get(session->settings, "application_name");
	char *application = name ? spell_application(name) : NULL;
	struct buf *out = stream_out(session->client);
	const uint8_t *data = buf_head(kept);
	const uint8_t *same = data; /* from here to data all is as kept */
	const uint8_t *end = data + buf_len(kept);
	struct pgwire_message message;
	const char *key;
	const char *value;

	while (pgwire_read(data, (size_t)(end - data), &message) == PGWIRE_OK &&
	       pgwire_read_pair(&message, &key, &value)) {
		const char *own = NULL;

		if (encoding && strcmp(key, "client_encoding") == 0)
			own = encoding;
		if (application && strcmp(key, "application_name") == 0)
			own = application;
		if (own) {
			buf_append(out, same, (size_t)(data - same));
			pgbuild_parameter_status(out, key, own);
			same = data + message.total;
		}
		data += message.total;
	}
	buf_append(out, same, (size_t)(data - same));
	free(application);
}

/* The name of an application differs often and changes nothing else. */
static const struct settings *kind_of(const struct session *session)
{
	bool is_named =
		settings_get(session->settings, "application_name") != NULL;

	return settings_with(session->settings, "application_name",
			     is_named ? "" : NULL);
}

/* Somebody who asked the same was greeted so, and it is as it was then. */
static bool append_same(struct session *session, const struct client_ask *ask)
{
	if (!ask->greeting ||
	    ask->greeting_age != pool_welcome_age(session->pool))
		return false;
	buf_append(stream_out(session->client), ask->greeting,
		   ask->greeting_len);
	return true;
}

static void keep_greeting(struct client_ask *ask, const uint8_t *bytes,
			  size_t len, uint64_t age)
{
	if (!ask->is_shared)
		return;
	ask->greeting = xrealloc(ask->greeting, len);
	memcpy(ask->greeting, bytes, len);
	ask->greeting_len = len;
	ask->greeting_age = age;
}

static bool append_welcome(struct session *session, struct client_ask *ask)
{
	const struct settings *key = kind_of(session);
	const struct buf *out = stream_out(session->client);
	uint64_t age = pool_welcome_age(session->pool);
	size_t before = buf_len(out);
	struct buf kept = BUF_INIT;
	bool is_known = pool_welcome(session->pool, key, &kept);

	settings_release(key);
	if (is_known) {
		append_own(session, &kept, NULL);
		keep_greeting(ask, buf_head(out) + before,
			      buf_len(out) - before, age);
	}
	buf_free(&kept);
	return is_known;
}

/* The parameters are in the out-buffer already. */
static void send_rest(struct session *session)
{
	struct buf *out = stream_out(session->client);
	uint8_t key[4];

	memcpy(key, &session->secret, sizeof(key));
	pgbuild_key(out, session->pid, key, sizeof(key));
	pgbuild_ready(out, 'I');
	session_set_state(session, SESSION_IDLE);
}

bool session_greet_known(struct session *session, struct client_ask *ask)
{
	if (session->mode == POOL_MODE_SESSION)
		return false;
	if (!append_same(session, ask) && !append_welcome(session, ask))
		return false;
	send_rest(session);
	return true;
}

/*
 * Settings that a server reports in a spelling of its own; all others do not
 * show in a greeting (PostgreSQL docs, "Asynchronous Operations").
 */
static const char *const spelled[] = {
	"datestyle",
	"intervalstyle",
	"timezone",
	"standard_conforming_strings",
	"default_transaction_read_only",
	"integer_datetimes",
	"session_authorization",
	"role",
};

static bool has_spelled(const struct settings *settings)
{
	for (size_t i = 0; i < sizeof(spelled) / sizeof(*spelled); i++)
		if (settings_get(settings, spelled[i]))
			return true;
	return false;
}

/* The server's spelling of the encodings that clients really ask for. */
static const char *spell_encoding(const char *name)
{
	static const struct {
		const char *asked;
		const char *shown;
	} names[] = {
		{ "utf8", "UTF8" },           { "utf-8", "UTF8" },
		{ "unicode", "UTF8" },        { "latin1", "LATIN1" },
		{ "sql_ascii", "SQL_ASCII" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i].asked, name) == 0)
			return names[i].shown;
	return NULL;
}

/* What a client that asks for no encoding would get. */
static bool has_usual_encoding(const struct session *session)
{
	const struct strmap *shown = server_parameters(session->server);
	const char *client = strmap_get(shown, "client_encoding");
	const char *server = strmap_get(shown, "server_encoding");

	return client && server && strcmp(client, server) == 0;
}

/*
 * In session pooling the server is the session's own, and its number as well
 * (PostgreSQL docs, "pg_backend_pid()", "pg_blocking_pids()").
 */
static void adopt_pid(struct session *session)
{
	struct process *process = session->local->process;
	uint32_t pid = server_pid(session->server);

	if (session->mode != POOL_MODE_SESSION || pid == 0)
		return;
	session->pid = pid;
	session->secret = keyring_add(
		process->keyring, pid,
		(struct keyring_owner){ .session = session->id,
					.worker = session->local->index });
	session->has_server_pid = true;
}

void session_greet_shown(struct session *session)
{
	const struct settings *key = kind_of(session);
	struct buf shown = BUF_INIT;

	pool_make_welcome(session->pool, key, session->server,
			  !has_spelled(key) && has_usual_encoding(session),
			  &shown);
	settings_release(key);
	append_own(session, &shown, NULL);
	buf_free(&shown);
	adopt_pid(session);
	send_rest(session);
}

bool session_greet_likely(struct session *session)
{
	const char *asked = settings_get(session->settings, "client_encoding");
	const char *encoding = asked ? spell_encoding(asked) : NULL;
	struct buf plain = BUF_INIT;

	if (session->mode == POOL_MODE_SESSION ||
	    has_spelled(session->settings) || (asked && !encoding) ||
	    !pool_welcome(session->pool, NULL, &plain))
		return false;
	append_own(session, &plain, encoding);
	buf_free(&plain);
	send_rest(session);
	return true;
}
