/*
 * What a server's answer to a Describe tells of a statement: its parameters
 * and whether it has columns, for all who use it (stmtmap.h), and what its
 * columns are there (columns.h).  And the words in which PostgreSQL refuses
 * one whose columns have changed.
 */
#include "base/buf.h"
#include "core/columns.h"
#include "core/pgbuild.h"
#include "core/stmtmap.h"
#include "proxy/server_parts.h"

void server_build_stale(struct buf *out)
{
	static const struct pgbuild_error words = {
		.severity = "ERROR",
		.sqlstate = "0A000",
		.message = "cached plan must not change result type",
		.routine = "RevalidateCachedQuery",
	};

	pgbuild_error(out, &words);
}

/* Of the statement that the Describe meant, not of a later one. */
static void note_columns(struct server *server,
			 const struct pgwire_message *message,
			 struct server_note *note)
{
	uint64_t batch = stmtset_batch(server->statements, note->stmt);

	note->columns = columns_of(message);
	if (batch == 0 || batch == note->batch)
		stmtset_set_columns(server->statements, note->stmt,
				    note->columns);
}

/* A Describe of ours: types of parameters, then columns or none. */
void server_described(struct server *server,
		      const struct pgwire_message *message,
		      struct server_note *note)
{
	struct buf *types = &server->described;

	if (message->type == 't' && pgwire_is_complete(message)) {
		buf_append(types, message->body, message->body_len);
		return;
	}
	if (message->type != 'E')
		note_columns(server, message, note);
	if (buf_len(types) > 0 && message->type != 'E')
		stmt_note_shape(note->stmt, buf_head(types), buf_len(types),
				message->type == 'T');
	buf_free(types);
}
