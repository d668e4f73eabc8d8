/*
 * Numbers for sessions.  A slot is used again with the next generation; free
 * slots form a stack, so that the table is as large as the greatest number
 * of sessions that there were at once.
 */
#include "proxy/session_table.h"

#include "base/util.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>

/*
 * Numbers that no process has: a client that takes one for a server's does no
 * harm with it, and it is told from the real one of a session pool.
 */
enum { FIRST_ROOM = 64, SLOT_BITS = 24, FIRST_PID = 1 << 30 };

struct slot {
	struct session *session; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct session_table {
	struct slot *slots;
	uint32_t room;
	uint32_t first_free; /* room: none */
};

struct session_table *session_table_new(void)
{
	return xcalloc(1, sizeof(struct session_table));
}

void session_table_free(struct session_table *table)
{
	free(table->slots);
	free(table);
}

static void grow(struct session_table *table)
{
	uint32_t room = table->room ? table->room * 2 : FIRST_ROOM;

	assert(room < (1U << SLOT_BITS));
	table->slots = xrealloc(table->slots, room * sizeof(*table->slots));
	for (uint32_t i = table->room; i < room; i++)
		table->slots[i] = (struct slot){ .next_free = i + 1 };
	table->first_free = table->room;
	table->room = room;
}

void session_table_add(struct session_table *table, struct session *session,
		       unsigned workers, unsigned worker)
{
	struct slot *slot;
	uint32_t index;

	if (table->first_free == table->room)
		grow(table);
	index = table->first_free;
	slot = &table->slots[index];
	table->first_free = slot->next_free;
	slot->session = session;
	slot->generation++;
	session->slot = index;
	session->id = ((uint64_t)slot->generation << SLOT_BITS) + index;
	/* At most 64 workers: it is positive, as PostgreSQL's are. */
	session->pid = FIRST_PID + index * workers + worker;
}

/* Of a slot that the table never grows to. */
uint64_t session_foreign_id(uint64_t serial)
{
	return (serial << SLOT_BITS) + ((1U << SLOT_BITS) - 1);
}

void session_table_remove(struct session_table *table, struct session *session)
{
	struct slot *slot = &table->slots[session->slot];

	assert(slot->session == session);
	slot->session = NULL;
	slot->next_free = table->first_free;
	table->first_free = session->slot;
}

static struct session *at_slot(const struct session_table *table,
			       uint32_t index)
{
	return index < table->room ? table->slots[index].session : NULL;
}

struct session *session_table_find(const struct session_table *table,
				   uint64_t id)
{
	struct session *session =
		at_slot(table, (uint32_t)(id & ((1U << SLOT_BITS) - 1)));

	return session && session->id == id ? session : NULL;
}

struct session *session_table_find_pid(const struct session_table *table,
				       uint32_t pid, unsigned workers)
{
	return pid < FIRST_PID ? NULL
			       : at_slot(table, (pid - FIRST_PID) / workers);
}

unsigned session_worker_of(uint32_t pid, unsigned workers)
{
	return pid < FIRST_PID ? 0 : (pid - FIRST_PID) % workers;
}
