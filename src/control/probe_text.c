/*
 * What a probe asks a server and how its answers are read: the texts of the
 * questions, rows, and the errors of libpq.  No connection here.
 */
#include "control/probe_text.h"

#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/*
 * One query for primary and replica, since which one it is shows in the answer
 * only.  OFFSET 0 keeps the planner from pulling the subquery up: r must be one
 * value for the whole row even when the server is promoted meanwhile.  All
 * names are qualified: the role's search_path is not ours.
 */
#define IN_RECOVERY \
	" FROM (SELECT pg_catalog.pg_is_in_recovery() OFFSET 0) AS s(r)"
#define POSITION                                                \
	"SELECT r,"                                             \
	" CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn()" \
	" ELSE pg_catalog.pg_current_wal_flush_lsn() END,"      \
	" CASE WHEN NOT r THEN"                                 \
	" pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,"
/*
 * A role without pg_read_all_stats sees the row of the WAL receiver, but of its
 * columns the pid alone: then its being there counts.
 */
#define RECEIVING                                               \
	" CASE WHEN r THEN EXISTS (SELECT FROM"                 \
	" pg_catalog.pg_stat_wal_receiver w"                    \
	" WHERE coalesce(w.status, 'streaming') = 'streaming')" \
	" ELSE false END,"

/*
 * A replica's timeline: what it receives, which only pg_read_all_stats may
 * see, else what the control file has, which follows a promotion late.
 */
static const char question_full[] = POSITION
	" CASE WHEN r THEN coalesce("
	"(SELECT w.received_tli FROM pg_catalog.pg_stat_wal_receiver w),"
	" greatest((SELECT c.timeline_id FROM"
	" pg_catalog.pg_control_checkpoint() c),"
	" (SELECT c.min_recovery_end_timeline FROM"
	" pg_catalog.pg_control_recovery() c))) END," RECEIVING
	" (SELECT c.system_identifier FROM pg_catalog.pg_control_system() "
	"c)" IN_RECOVERY;

/* For a role that may not call pg_control_*(). */
static const char question_limited[] = POSITION
	" (SELECT w.received_tli FROM"
	" pg_catalog.pg_stat_wal_receiver w)," RECEIVING " NULL" IN_RECOVERY;

/* Where it stands and nothing else: what the rest costs is not worth it. */
static const char question_quick[] = POSITION " NULL, NULL, NULL" IN_RECOVERY;

const char *probe_question(enum probe_kind kind)
{
	static const char *const questions[] = {
		[PROBE_FULL] = question_full,
		[PROBE_LIMITED] = question_limited,
		[PROBE_QUICK] = question_quick,
	};

	return questions[kind];
}

/* ---- texts -------------------------------------------------------------- */

/* Five digits or capitals, and the colon of PQERRORS_VERBOSE behind them. */
static bool is_sqlstate(const char *text)
{
	for (int i = 0; i < 5; i++)
		if (!isdigit((unsigned char)text[i]) &&
		    !isupper((unsigned char)text[i]))
			return false;
	return text[5] == ':';
}

/* Past "FATAL:  " (in any language) and the SQLSTATE, which is kept. */
static const char *skip_severity(const char *text, char sqlstate[6])
{
	const char *code = strstr(text, ":  ");

	sqlstate[0] = '\0';
	if (!code)
		return text;
	code += 3;
	if (!is_sqlstate(code))
		return code;
	memcpy(sqlstate, code, 5);
	sqlstate[5] = '\0';
	return code[6] == ' ' ? code + 7 : code + 6;
}

/*
 * libpq's texts are for terminals: several lines, "FATAL:", a hint.  A log line
 * wants the cause alone, in lower case behind our own words.
 */
void probe_explain(const char *message, char *reason, size_t room,
		   char sqlstate[6])
{
	static const char failed[] = " failed: ";
	const char *start = message;
	const char *hit = strstr(message, failed);
	size_t len;

	/* Each address tried has a line; the first tells enough. */
	if (hit)
		start = hit + sizeof(failed) - 1;
	start = skip_severity(start, sqlstate);
	len = strcspn(start, "\n");
	if (len == 0) {
		start = "no reason given";
		len = strlen(start);
	}
	if (len >= room)
		len = room - 1;
	memcpy(reason, start, len);
	reason[len] = '\0';
	if (len > 1 && isupper((unsigned char)reason[0]) &&
	    islower((unsigned char)reason[1]))
		reason[0] = (char)tolower((unsigned char)reason[0]);
}

/*
 * Without the system identifier all servers count as one system: the
 * operator who lists them says so, and timelines still tell them apart.
 */
static bool read_system(const char *text, struct probe_facts *facts)
{
	facts->is_limited = *text == '\0';
	if (facts->is_limited) {
		facts->position.system = 1;
		return true;
	}
	return util_parse_u64(text, UINT64_MAX, &facts->position.system);
}

/*
 * A primary's timeline is in the name of its WAL file, which every role may
 * see; a replica's is what it receives.  Unknown is 0, which equals no other.
 */
static bool read_timeline(const struct probe_row *row,
			  struct probe_facts *facts)
{
	uint64_t timeline = 0;

	if (facts->is_primary) {
		facts->position.timeline =
			watermark_file_timeline(row->wal_file);
		return facts->position.timeline != 0;
	}
	if (*row->timeline == '\0')
		return true;
	if (!util_parse_u64(row->timeline, UINT32_MAX, &timeline))
		return false;
	facts->position.timeline = (uint32_t)timeline;
	return true;
}

bool probe_read_row(const struct probe_row *row, struct probe_facts *facts)
{
	*facts = (struct probe_facts){ 0 };
	if (strcmp(row->is_replica, "f") == 0)
		facts->is_primary = true;
	else if (strcmp(row->is_replica, "t") != 0)
		return false;
	facts->is_receiving = strcmp(row->is_receiving, "t") == 0;
	/* A replica that has replayed nothing yet has no position. */
	if (*row->lsn && !watermark_parse_lsn(row->lsn, &facts->position.lsn))
		return false;
	return read_system(row->system, facts) && read_timeline(row, facts);
}

/* Six columns in the order of the question, all as text. */
bool probe_read_result(const PGresult *result, struct probe_facts *facts)
{
	struct probe_row row;

	if (PQntuples(result) != 1 || PQnfields(result) != 6)
		return false;
	row = (struct probe_row){
		.is_replica = PQgetvalue(result, 0, 0),
		.lsn = PQgetvalue(result, 0, 1),
		.wal_file = PQgetvalue(result, 0, 2),
		.timeline = PQgetvalue(result, 0, 3),
		.is_receiving = PQgetvalue(result, 0, 4),
		.system = PQgetvalue(result, 0, 5),
	};
	return probe_read_row(&row, facts);
}

/* A promoted or demoted server has to be asked everything. */
bool probe_complete(struct probe_facts *quick, const struct probe_facts *known)
{
	if (quick->is_primary != known->is_primary ||
	    (quick->is_primary &&
	     quick->position.timeline != known->position.timeline))
		return false;
	quick->is_receiving = known->is_receiving;
	quick->is_limited = known->is_limited;
	quick->position.system = known->position.system;
	quick->position.timeline = known->position.timeline;
	return true;
}
