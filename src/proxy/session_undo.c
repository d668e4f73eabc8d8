/*
 * What units in flight have made of the client's names of prepared
 * statements, so that it can be taken back when they are to be done again
 * (proxy/session_replay): a name that a Parse has made is free again, one that
 * a Close or a Parse has taken away stands for what it stood for.
 *
 * What an error undoes while the units stay where they are is another matter
 * (names): there the server has answered.
 *
 * Invariant: the list is empty unless units are kept; what it has of a unit
 * stands behind what it has of older ones.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/pgwire.h"
#include "core/stmtmap.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a name stood for. */
struct change {
	struct list link;
	unsigned unit;               /* of those that are kept, from 1 on */
	struct stmtmap_entry before; /* its stmt is a reference; NULL: free */
	char name[];
};

static void drop(struct change *change)
{
	list_remove(&change->link);
	if (change->before.stmt)
		stmt_release(change->before.stmt);
	free(change);
}

static struct change *change_of(struct list *link)
{
	return LIST_ENTRY(link, struct change, link);
}

/*
 * The only unit that is kept begins with another unnamed statement: nothing
 * looks back at the one before.
 */
static bool begins_unnamed(const struct session *session)
{
	const uint8_t *data = buf_head(&session->replay);

	assert(data);
	return session->units_kept == 1 &&
	       (data[0] == 'Q' ||
		(data[0] == 'P' && data[PGWIRE_HEADER] == '\0'));
}

void session_undo_note(struct session *session, const char *name)
{
	const struct stmtmap_entry *before;
	struct change *change;
	size_t size = strlen(name) + 1;

	if (buf_len(&session->replay) == 0 ||
	    (size == 1 && begins_unnamed(session)))
		return;
	before = stmtmap_find(session->names, name);
	change = xcalloc(1, sizeof(*change) + size);
	memcpy(change->name, name, size);
	change->unit = session->units_kept;
	if (before) {
		change->before = *before;
		change->before.stmt = stmt_hold(before->stmt);
	}
	list_append(&session->undo, &change->link);
}

void session_undo_settle(struct session *session)
{
	LIST_FOREACH_SAFE (link, &session->undo) {
		struct change *change = change_of(link);

		if (--change->unit == 0)
			drop(change);
	}
}

void session_undo_forget(struct session *session)
{
	LIST_FOREACH_SAFE (link, &session->undo)
		drop(change_of(link));
}

/* Whatever made it what it was is answered, or is taken back as well. */
static void restore(struct session *session, const struct change *change)
{
	const struct stmtmap_entry *before = &change->before;
	struct stmtmap_entry *entry;
	bool is_second;

	if (!before->stmt) {
		stmtmap_remove(session->names, change->name);
		return;
	}
	entry = stmtmap_put(session->names, change->name, before->stmt);
	is_second = entry->is_second;
	*entry = *before;
	entry->is_second = is_second;
	entry->is_settled = true;
}

void session_undo_all(struct session *session)
{
	for (struct list *link = session->undo.prev; link != &session->undo;
	     link = link->prev)
		restore(session, change_of(link));
	session_undo_forget(session);
}
