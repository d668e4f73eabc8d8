/*
 * Columns of a result, as one number (columns.h).
 *
 * PostgreSQL refuses to run a prepared statement when names, types or
 * modifiers of its columns have changed (tupdesc.c, equalTupleDescs).  Which
 * table a column comes from does not matter, nor does the format, which a
 * Describe of a statement cannot know yet.
 */
#include "core/columns.h"

#include "base/buf.h"
#include "base/util.h"

#include <stdbool.h>
#include <string.h>

/* Behind each name: table and number in it; type, size, modifier; format. */
enum { FIELD_TAIL = 18, TYPE_AT = 6, TYPE_LEN = 10 };

/* Of a statement that returns no rows. */
enum { NO_COLUMNS = 1 };

/* Appends what counts of one column, at *at; false when malformed. */
static bool take_column(struct buf *out, const struct pgwire_message *message,
			size_t *at)
{
	const uint8_t *name = message->body + *at;
	size_t left = message->body_len - *at;
	const uint8_t *end = memchr(name, '\0', left);
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end + 1 - name);
	if (left - len < FIELD_TAIL)
		return false;
	buf_append(out, name, len);
	buf_append(out, end + 1 + TYPE_AT, TYPE_LEN);
	*at += len + FIELD_TAIL;
	return true;
}

static uint64_t number_of(const struct buf *columns)
{
	uint64_t hash = util_hash(buf_head(columns), buf_len(columns));

	return hash > NO_COLUMNS ? hash : NO_COLUMNS + 1;
}

uint64_t columns_of(const struct pgwire_message *message)
{
	struct buf columns = BUF_INIT;
	size_t at = sizeof(uint16_t);
	unsigned left;
	uint64_t number;

	if (message->type == 'n')
		return NO_COLUMNS;
	if (message->type != 'T' || !pgwire_is_complete(message) ||
	    message->body_len < at)
		return 0;
	left = pgwire_u16(message->body);
	buf_append(&columns, message->body, at);
	while (left > 0 && take_column(&columns, message, &at))
		left--;
	number = left > 0 || at != message->body_len ? 0 : number_of(&columns);
	buf_free(&columns);
	return number;
}
