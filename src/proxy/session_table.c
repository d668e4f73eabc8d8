/*
 * Numbers for sessions.  A slot is used again with the next generation; free
 * slots form a queue, and half of the table stays free, so that a client's
 * number does not soon become another's: some pools of drivers tell their
 * connections apart by it.
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
	uint32_t taken;
	uint32_t first_free; /* was freed longest ago */
	uint32_t last_free;
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

/* New slots go in front of those that were used before. */
static void grow(struct session_table *table)
{
	uint32_t old = table->room;
	uint32_t room = old ? old * 2 : FIRST_ROOM;

	assert(room < (1U << SLOT_BITS));
	table->slots = xrealloc(table->slots, room * sizeof(*table->slots));
	for (uint32_t i = old; i < room; i++)
		table->slots[i] = (struct slot){ .next_free = i + 1 };
	if (old == 0)
		table->last_free = room - 1;
	else
		table->slots[room - 1].next_free = table->first_free;
	table->first_free = old;
	table->room = room;
}

void session_table_add(struct session_table *table, struct session *session,
		       unsigned workers, unsigned worker)
{
	struct slot *slot;
	uint32_t index;

	if (table->taken >= table->room / 2)
		grow(table);
	index = table->first_free;
	slot = &table->slots[index];
	table->first_free = slot->next_free;
	table->taken++;
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
	table->slots[table->last_free].next_free = session->slot;
	table->last_free = session->slot;
	table->taken--;
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
