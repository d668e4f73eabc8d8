#ifndef PGWEIR_PROXY_SESSION_TABLE_H
#define PGWEIR_PROXY_SESSION_TABLE_H

/*
 * The sessions of one worker by number.  A number names slot and generation,
 * so that one that was sent to another thread finds its session or nobody,
 * never another.  The process number that a client is told names worker and
 * slot, unless it is its server's; with its secret it is the client's cancel
 * key.
 */
#include <stdint.h>

struct session;
struct session_table;

struct session_table *session_table_new(void);
void session_table_free(struct session_table *table);

/* Gives the session its id, slot and pid. */
void session_table_add(struct session_table *table, struct session *session,
		       unsigned workers, unsigned worker);
void session_table_remove(struct session_table *table, struct session *session);

/*
 * A number for something that is listed among sessions and is none: no
 * session ever has it.  serial counts these, from 1.
 */
uint64_t session_foreign_id(uint64_t serial);

/* NULL when it is gone. */
struct session *session_table_find(const struct session_table *table,
				   uint64_t id);
struct session *session_table_find_pid(const struct session_table *table,
				       uint32_t pid, unsigned workers);
/* Which worker a process number belongs to. */
unsigned session_worker_of(uint32_t pid, unsigned workers);

#endif
