/*
 * Guests: statements that a server has under a client's own name, because a
 * text names them (EXECUTE, DEALLOCATE), or because PREPARE has made them.
 *
 * All others go by names of ours and are shared.  A guest is there for the
 * session that holds the server; before anybody else gets it, all guests are
 * closed (server_host).  Here stands which there are.
 *
 * Invariant: whatever the server may have under a client's own name stands in
 * the map.  A guest counts from the answer to its Parse on, and within the
 * batch that brings it; else it is closed before the name is used again (to
 * close what is not there is no error).
 */
#include "proxy/server_guests.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/stmtmap.h"
#include "proxy/server_parts.h"

#include <stdlib.h>

static void free_guest(void *value)
{
	struct guest *guest = value;

	if (guest->stmt)
		stmt_release(guest->stmt);
	free(guest);
}

struct guest *server_find_guest(const struct server *server, const char *name)
{
	return server->guests ? strmap_get(server->guests, name) : NULL;
}

bool server_has_guests(const struct server *server)
{
	return server->guests && strmap_count(server->guests) > 0;
}

void server_forget_guests(struct server *server)
{
	strmap_free(server->guests, free_guest);
	server->guests = NULL;
}

void server_forget_guest(struct server *server, const char *name)
{
	struct guest *guest =
		server->guests ? strmap_remove(server->guests, name) : NULL;

	if (guest)
		free_guest(guest);
}

struct guest *server_put_guest(struct server *server, const char *name,
			       struct stmt *stmt, bool is_sql)
{
	struct guest *guest = xcalloc(1, sizeof(*guest));
	struct guest *before;

	if (!server->guests)
		server->guests = strmap_new();
	guest->stmt = stmt ? stmt_hold(stmt) : NULL;
	guest->is_sql = is_sql;
	guest->batch = server->batches + 1;
	guest->serial = server->guest_serial;
	before = strmap_put(server->guests, name, guest);
	if (before)
		free_guest(before);
	return guest;
}

void server_note_guest(struct server *server, const char *name,
		       struct stmt *stmt, bool is_sql)
{
	server_put_guest(server, name, stmt, is_sql)->is_sure = true;
}

void server_settle_guest(struct server *server, const struct server_note *note,
			 bool ok)
{
	struct guest *guest = server_find_guest(server, note->name);

	if (ok && guest && guest->serial == note->serial)
		guest->is_sure = true;
	/* Its Close was read over. */
	if (!ok && !guest)
		server_put_guest(server, note->name, NULL, false)->batch = 0;
}
