/*
 * Units that end without a server: a batch of nothing but Close, Parse of what
 * is known good, and Sync is answered here, and a unit that was cancelled while
 * it waited in a queue is dropped up to its end.
 */
#include "base/buf.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/pool.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>

/* Its text is known good: from here on the name stands for it. */
static void answer_parse(struct session *session,
			 const struct pgwire_message *message)
{
	struct metrics_cell *totals = pool_totals(session->pool);
	struct stmtmap_entry *entry;
	struct pgwire_parse parse;
	struct stmt *stmt;
	size_t skip;

	if (!pgwire_read_parse(message, &parse))
		return;
	skip = strlen(parse.name) + 1;
	stmt = stmt_intern_in(session->scope, message->body + skip,
			      message->body_len - skip);
	entry = names_put(session, parse.name, stmt,
			  intake_judge(session, parse.query, parse.query_len));
	entry->is_settled = true;
	session->parsed_serial = entry->serial;
	stmt_release(stmt);
	metrics_count(totals, COUNTER_CLIENT_PARSES, 0, 0, 1);
	metrics_count(totals, COUNTER_PREPARED_HITS, 0, 0, 1);
	pgbuild_empty(stream_out(session->client), '1');
}

/*
 * Close and Parse of statements, then Sync: intake has looked at each of them,
 * and a Parse is known good.
 */
void unserved_answer(struct session *session)
{
	struct buf *out = stream_out(session->client);
	struct pgwire_message message;
	const char *name;
	uint8_t kind;
	size_t len;

	do {
		const uint8_t *data = stream_data(session->client, &len);

		if (pgwire_read(data, len, &message) != PGWIRE_OK)
			break;
		if (message.type == 'C' &&
		    pgwire_read_target(&message, &kind, &name)) {
			stmtmap_remove(session->names, name);
			pgbuild_empty(out, '3');
		}
		if (message.type == 'P')
			answer_parse(session, &message);
		if (message.type == 'S')
			pgbuild_ready(out, session_begin_status(session));
		stream_consume(session->client, message.total);
	} while (message.type != 'S');
	session->batch_serial = names_serial(session);
	session->scan = (struct session_scan){ 0 };
}

/* --- cancelled units --- */

bool unserved_discard(struct session *session)
{
	size_t len;

	(void)stream_data(session->client, &len);
	if (len > session->discard)
		len = session->discard;
	stream_consume(session->client, len);
	session->discard -= len;
	return session->discard == 0;
}

static bool ends_skipped_unit(uint8_t type)
{
	return type == 'Q' || type == 'F' || type == 'S';
}

/* The header of the next message to skip; false: not here, or no header. */
static bool begin_to_skip(struct session *session)
{
	struct pgwire_message message;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	switch (pgwire_read(data, len, &message)) {
	case PGWIRE_MORE: return false;
	case PGWIRE_OK: break;
	case PGWIRE_BAD:
	default:
		session_protocol_error(session, "invalid message length");
		return false;
	}
	session->discard = message.total;
	session->ends_unit = ends_skipped_unit(message.type);
	return true;
}

bool unserved_skip_more(struct session *session)
{
	if (session->discard == 0 && !begin_to_skip(session))
		return false;
	if (!unserved_discard(session))
		return false;
	session->is_skipping = !session->ends_unit;
	session->ends_unit = false;
	if (!session->is_skipping)
		pgbuild_ready(stream_out(session->client),
			      session_begin_status(session));
	return true;
}

void unserved_skip(struct session *session)
{
	session->scan = (struct session_scan){ 0 };
	session->is_skipping = true;
	while (session->is_skipping && unserved_skip_more(session))
		continue;
}
