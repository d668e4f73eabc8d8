/*
 * Guests come and go: what is sent so that a server has a statement under a
 * client's own name, or has it no more.  All of it is entered as ours.
 */
#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/stmtmap.h"
#include "proxy/server_parts.h"
#include "proxy/server_use.h"

#include <stdlib.h>

/* What runs PREPARE for a client's name: closed in the same breath. */
#define HOST_NAME "pgweir_host"

static bool is_there(const struct server *server, const struct guest *guest)
{
	return guest &&
	       (guest->is_sure || guest->batch == server_batch(server));
}

/* --- what is sent ----------------------------------------------------------
 */

static void owe(struct server *server, enum track_op op, unsigned flags,
		const char *name)
{
	server_owe(server, op, TRACK_OURS | flags,
		   server_note_new(NULL, 0, false, name));
}

/* Whose answer says that the guest is there. */
static void owe_guest(struct server *server, enum track_op op, unsigned flags,
		      const char *name)
{
	server_owe(server, op, TRACK_OURS | flags,
		   server_note_new(NULL, ++server->guest_serial, false, name));
}

static void send_close(struct server *server, const char *name)
{
	pgbuild_target(server_out(server), 'C', 'S', name);
	owe(server, TRACK_CLOSE, 0, name);
}

bool server_need_guest(struct server *server, const char *name)
{
	if (is_there(server, server_find_guest(server, name)))
		return false;
	(void)server_lack_guest(server, name);
	pgbuild_parse(server_out(server), name, "\0\0\0", 3);
	owe_guest(server, TRACK_PARSE, 0, name);
	(void)server_put_guest(server, name, NULL, false);
	return true;
}

/* Under no name it is nobody's. */
void server_stand_in(struct server *server, const char *name,
		     const struct stmt_shape *shape)
{
	struct buf *out = server_out(server);
	size_t start;

	if (*name)
		send_close(server, name);
	start = pgbuild_begin(out, 'P');
	buf_append_cstring(out, name);
	buf_append_cstring(out, "");
	buf_append(out, shape->types, shape->len);
	pgbuild_end(out, start);
	owe_guest(server, TRACK_PARSE, 0, name);
	if (*name)
		(void)server_put_guest(server, name, NULL, false);
	else
		server_set_unnamed(server, SERVER_UNNAMED_UNKNOWN);
}

/* A statement without parameters, once; its portal has the same name. */
static void send_command(struct server *server, const char *text, size_t len,
			 unsigned flags, const char *name)
{
	struct buf *out = server_out(server);
	size_t start;

	/* One that failed has stayed. */
	pgbuild_target(out, 'C', 'S', HOST_NAME);
	owe(server, TRACK_CLOSE, flags, name);
	start = pgbuild_begin(out, 'P');
	buf_append_cstring(out, HOST_NAME);
	buf_append(out, text, len);
	buf_append(out, "\0\0\0", 3);
	pgbuild_end(out, start);
	owe(server, TRACK_PARSE, flags, name);
	start = pgbuild_begin(out, 'B');
	buf_append_cstring(out, HOST_NAME);
	buf_append_cstring(out, HOST_NAME);
	buf_append(out, "\0\0\0\0\0\0", 6);
	pgbuild_end(out, start);
	owe(server, TRACK_BIND, flags, name);
	start = pgbuild_begin(out, 'E');
	buf_append_cstring(out, HOST_NAME);
	buf_append_u32(out, 0);
	pgbuild_end(out, start);
	owe_guest(server, TRACK_EXECUTE, flags, name);
	pgbuild_target(out, 'C', 'P', HOST_NAME);
	owe(server, TRACK_CLOSE, flags, name);
	pgbuild_target(out, 'C', 'S', HOST_NAME);
	owe(server, TRACK_CLOSE, flags, name);
}

void server_insert(struct server *server, const struct buf *sql)
{
	send_command(server, (const char *)buf_head(sql), buf_len(sql), 0, "");
}

void server_insert_as(struct server *server, const char *sql, size_t len,
		      unsigned flags)
{
	send_command(server, sql, len, flags, "");
}

/* What PREPARE has made is PostgreSQL's own to plan anew. */
bool server_has_guest(const struct server *server, const char *name,
		      const struct stmt *stmt, bool is_sql)
{
	const struct guest *guest = server_find_guest(server, name);

	return is_there(server, guest) && guest->is_sql == is_sql &&
	       (is_sql || guest->stmt == stmt);
}

void server_rely_on_guest(struct server *server, const char *name)
{
	struct guest *guest = server_find_guest(server, name);

	if (guest && !guest->is_sure)
		guest->batch = server_batch(server);
}

bool server_host_guest(struct server *server, const char *name,
		       struct stmt *stmt, bool is_sql, unsigned flags)
{
	const void *tail;
	const char *text;
	size_t len;

	if (server_has_guest(server, name, stmt, is_sql))
		return false;
	(void)server_lack_guest(server, name);
	if (is_sql) {
		text = stmt_query(stmt, &len);
		send_command(server, text, len, flags, name);
	} else {
		tail = stmt_tail(stmt, &len);
		pgbuild_parse(server_out(server), name, tail, len);
		owe_guest(server, TRACK_PARSE, flags, name);
	}
	(void)server_put_guest(server, name, stmt, is_sql);
	return true;
}

void server_send_sync(struct server *server)
{
	pgbuild_empty(server_out(server), 'S');
	server_owe(server, TRACK_SYNC, TRACK_OURS, NULL);
}

static void send_last_close(struct server *server, const char *name)
{
	pgbuild_target(server_out(server), 'C', 'S', name);
	server_owe(server, TRACK_CLOSE, TRACK_OURS,
		   server_note_new(NULL, 0, true, ""));
}

bool server_dismiss_guests(struct server *server)
{
	const char *name;
	void *ignored;
	size_t at = 0;

	if (!server_has_guests(server))
		return false;
	/* One that failed has stayed. */
	server_note_guest(server, HOST_NAME, NULL, false);
	while (strmap_next(server->guests, &at, &name, &ignored))
		send_last_close(server, name);
	server_forget_guests(server);
	server_send_sync(server);
	return true;
}

/* A guest that is there for its name alone; NULL: none. */
static const char *find_empty(const struct server *server)
{
	const char *name;
	void *guest;
	size_t at = 0;

	while (server->guests &&
	       strmap_next(server->guests, &at, &name, &guest))
		if (!((const struct guest *)guest)->stmt)
			return name;
	return NULL;
}

static void close_empty(struct server *server)
{
	const char *name;

	while ((name = find_empty(server)) != NULL) {
		char *copy = xstrdup(name);

		(void)server_lack_guest(server, copy);
		free(copy);
	}
}

void server_close_statements(struct server *server)
{
	struct stmt *stmt;

	close_empty(server);

	while ((stmt = stmtset_take(server->statements)) != NULL) {
		send_last_close(server, stmt_server_name(stmt));
		stmt_release(stmt);
	}
}

void server_close_statement(struct server *server, const char *server_name)
{
	struct stmt *stmt = stmtset_find(server->statements, server_name);

	if (!stmt)
		return;
	send_last_close(server, server_name);
	stmtset_remove(server->statements, stmt);
}
