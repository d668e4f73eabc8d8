/*
 * Tokens of a session: SHOW pgweir.lsn and SET pgweir.min_lsn (core/token,
 * docs/routing.md).
 *
 * Both are settings that the client has made up, as far as servers know, and
 * SHOW and SET are run by them in whatever protocol.  In front of a SHOW the
 * server is told to put its own position there, in the same packet.  What SET
 * has left is the session's like any other setting, and becomes a floor of
 * its ticket; a text that sets no token is exchanged for one that fails as
 * PostgreSQL would fail it.
 */
#include "base/buf.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/settings.h"
#include "core/ticket.h"
#include "core/token.h"
#include "core/topology.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_parts.h"

#include <string.h>
#include <strings.h>

/* --- SHOW --------------------------------------------------------------------
 */

bool session_token_must_wait(const struct session *session)
{
	return session->scan.judged.shows_position &&
	       session_has_pending(session);
}

/* What makes a token; false: not known how, or it would not be run. */
static bool make(const struct session *session, struct buf *sql)
{
	const struct topology_node *seen =
		pool_node_seen(session->pool, session->node);

	if (!seen || seen->position.system == 0 ||
	    server_status(session->server) == 'E')
		return false;
	token_append_query(sql, seen->position,
			   session_fresh_is_asynchronous(session));
	return true;
}

void session_token_begin(struct session *session)
{
	struct buf sql = BUF_INIT;

	if (!session->scan.judged.shows_position ||
	    session_has_pending(session) || !make(session, &sql))
		return;
	server_tell(session->server, &sql);
	buf_free(&sql);
}

void session_token_insert(struct session *session)
{
	struct buf sql = BUF_INIT;

	if (session->scan.judged.shows_position || !make(session, &sql))
		return;
	server_insert(session->server, &sql);
	buf_free(&sql);
}

/* --- SET ---------------------------------------------------------------------
 */

/* The text of the first message, a Query or a Parse, and what is in front. */
static const char *text_of(const struct pgwire_message *message,
			   const char **name, size_t *len)
{
	struct pgwire_parse parse;
	const char *text;

	*name = NULL;
	if (!pgwire_is_complete(message))
		return NULL;
	if (message->type == 'Q')
		return pgwire_read_string(message, &text, len) ? text : NULL;
	if (message->type != 'P' || !pgwire_read_parse(message, &parse))
		return NULL;
	*name = parse.name;
	*len = parse.query_len;
	return parse.query;
}

/* The message with the text exchanged stands in the in-buffer instead. */
static void exchange(struct session *session,
		     const struct pgwire_message *message, const char *name,
		     struct buf *text)
{
	struct buf whole = BUF_INIT;

	buf_append_u8(text, 0);
	if (name) {
		buf_append(text, "\0\0", 2);
		pgbuild_parse(&whole, name, buf_head(text), buf_len(text));
	} else {
		pgbuild_query(&whole, (const char *)buf_head(text),
			      buf_len(text) - 1);
	}
	stream_consume(session->client, message->total);
	stream_unread(session->client, buf_head(&whole), buf_len(&whole));
	session->scan = (struct session_scan){ 0 };
	buf_free(&whole);
}

bool session_token_refuses(struct session *session)
{
	const uint32_t setting = EFFECT_SET | EFFECT_SET_LOCAL;
	char value[TOKEN_VALUE_MAX + 1];
	struct pgwire_message message;
	struct watermark position;
	struct buf refusal = BUF_INIT;
	enum token_setting kind;
	const char *text;
	const char *name;
	size_t len;
	const uint8_t *data;

	if (!(session->scan.judged.effects & setting))
		return false;
	data = stream_data(session->client, &len);
	if (pgwire_read(data, len, &message) != PGWIRE_OK)
		return false;
	text = text_of(&message, &name, &len);
	kind = text ? token_read_setting(text, len, &position, value)
		    : TOKEN_NONE;
	if (kind == TOKEN_NONE ||
	    (kind == TOKEN_GOOD &&
	     !session_fresh_is_foreign(session, position)))
		return false;
	token_append_refusal(&refusal, value, kind == TOKEN_GOOD);
	exchange(session, &message, name, &refusal);
	buf_free(&refusal);
	return true;
}
