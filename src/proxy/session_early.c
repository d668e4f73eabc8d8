/*
 * Reads of a transaction in front of its first write (transaction_reads =
 * until_write, docs/routing.md).
 *
 * At READ COMMITTED each statement sees a state of its own, so plain reads
 * leave nothing that a transaction needs: they may run in a block of their
 * own on a replica, and with the first statement that is anything else the
 * block is begun on the primary (session_begin).
 *
 * What would show that there are two blocks is no plain read here: a text,
 * a value, or a view or function named in it, that asks for the time of the
 * transaction; a portal that is to be read on; a cursor.
 */
#include "base/util.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/pgwire.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/sqltime.h"
#include "core/stmtmap.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/session_parts.h"

#include <string.h>
#include <strings.h>

/* Also by default, of the session, its role or its database. */
static bool is_read_committed(const struct session *session)
{
	const struct catalog *catalog = pool_catalog(session->pool);
	const char *set = settings_get(session->settings,
				       "default_transaction_isolation");

	if (set && strcasecmp(set, "read committed") != 0 &&
	    strcasecmp(set, "read uncommitted") != 0)
		return false;
	return catalog &&
	       (set || !catalog_is_role(catalog, HIDDEN_SNAPSHOTS,
					pool_server_user(session->pool)));
}

static bool is_wanted(const struct session *session)
{
	return session_can_split(session) &&
	       config_transaction_reads_of(local_config(session->local),
					   pool_config(session->pool),
					   pool_config_user(session->pool)) ==
		       TRANSACTION_READS_UNTIL_WRITE;
}

/* --- the unit's messages ----------------------------------------------------
 */

static bool is_timeless_name(const struct session *session, const char *name)
{
	const struct stmtmap_entry *entry = stmtmap_find(session->names, name);
	const char *text;
	size_t len;

	if (!entry)
		return false;
	text = stmt_query(entry->stmt, &len);
	return !sqltime_is_asked(text, len);
}

/* Values are texts or not; one that is "now" may become a time. */
static bool are_timeless_values(const struct pgwire_message *message,
				const struct pgwire_bind *bind)
{
	struct pgwire_values values;
	const char *value;
	size_t len;

	if (!pgwire_open_values(message->body + bind->rest,
				message->body_len - bind->rest, &values))
		return false;
	while (values.count > 0)
		if (!pgwire_next_value(&values, &value, &len) ||
		    (value && sqltime_is_asked(value, len)))
			return false;
	return true;
}

/* What a batch leaves open: one portal, bound and not run to its end. */
static bool is_plain_message(const struct session *session,
			     const struct pgwire_message *message,
			     bool *is_bound, unsigned *parses)
{
	struct pgwire_parse parse;
	struct pgwire_bind bind;

	switch (message->type) {
	case 'P':
		(*parses)++;
		return pgwire_read_parse(message, &parse) &&
		       !sqltime_is_asked(parse.query, parse.query_len);
	case 'B':
		if (*is_bound ||
		    pgwire_read_bind(message, &bind) != PGWIRE_OK ||
		    *bind.portal || !are_timeless_values(message, &bind))
			return false;
		*is_bound = true;
		/* One that this batch has prepared was looked at there. */
		return *parses > 0 || is_timeless_name(session, bind.statement);
	case 'E':
		if (!*is_bound || message->body_len != 5 ||
		    message->body[0] != '\0' ||
		    pgwire_u32(message->body + 1) != 0)
			return false;
		*is_bound = false;
		return true;
	case 'D': return true;
	case 'C': return message->body_len > 1 && message->body[0] == 'S';
	case 'S': return !*is_bound;
	default: return false;
	}
}

static bool is_plain_batch(const struct session *session, const uint8_t *data,
			   size_t len)
{
	struct pgwire_message message = { 0 };
	bool is_bound = false;
	unsigned parses = 0;

	for (size_t at = 0; at < len; at += message.total) {
		if (pgwire_read(data + at, len - at, &message) != PGWIRE_OK ||
		    !pgwire_is_complete(&message) ||
		    !is_plain_message(session, &message, &is_bound, &parses))
			return false;
	}
	return message.type == 'S';
}

static bool is_plain_query(const uint8_t *data, size_t len)
{
	struct pgwire_message message;
	const char *text;
	size_t text_len;

	return pgwire_read(data, len, &message) == PGWIRE_OK &&
	       message.type == 'Q' && pgwire_is_complete(&message) &&
	       pgwire_read_string(&message, &text, &text_len) &&
	       !sqltime_is_asked(text, text_len);
}

bool session_early_is_plain(const struct session *session)
{
	size_t len;
	const uint8_t *data;

	if (!route_is_plain_read(&session->scan.judged) ||
	    session->scan.judged.tells_time ||
	    session_fresh_is_catalog_old(session) || !is_wanted(session) ||
	    !is_read_committed(session))
		return false;
	data = stream_data(session->client, &len);
	return session->scan.at == 0
		       ? is_plain_query(data, len)
		       : is_plain_batch(session, data, session->scan.at);
}
