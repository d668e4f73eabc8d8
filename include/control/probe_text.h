#ifndef PGWEIR_CONTROL_PROBE_TEXT_H
#define PGWEIR_CONTROL_PROBE_TEXT_H

/*
 * The questions of a probe and the meaning of their answers, without a
 * connection.  Any thread.
 */
#include "core/watermark.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_facts {
	bool is_primary;
	bool is_receiving;         /* a replica: its WAL receiver runs */
	bool is_limited;           /* the role may not see all of this */
	struct watermark position; /* flushed (primary), replayed (replica) */
	uint32_t version;          /* 150018 */
};

enum probe_kind {
	PROBE_FULL,
	PROBE_LIMITED, /* for a role that may not call pg_control_*() */
	PROBE_QUICK    /* role and position alone */
};

const char *probe_question(enum probe_kind kind);

/*
 * Fills in what a quick question does not ask, from an earlier full answer.
 * False: the role or the timeline has changed, ask for all of it.
 */
bool probe_complete(struct probe_facts *quick, const struct probe_facts *known);

/*
 * Shortens libpq's message to what matters, in one line, and finds the
 * SQLSTATE in it ("" when it has none).  For tests and other libpq users
 * with PQERRORS_VERBOSE.
 */
void probe_explain(const char *message, char *reason, size_t room,
		   char sqlstate[6]);

/* Reads one row of the question's answer; false when it makes no sense. */
struct probe_row {
	const char *is_replica;   /* "t" or "f" */
	const char *lsn;          /* "" unknown */
	const char *wal_file;     /* a primary's */
	const char *timeline;     /* a replica's, "" unknown */
	const char *is_receiving; /* "t" or "f" */
	const char *system;       /* "" unknown */
};
bool probe_read_row(const struct probe_row *row, struct probe_facts *facts);

/* The answer to any of the questions; false when it makes no sense. */
bool probe_read_result(const PGresult *result, struct probe_facts *facts);

#endif
