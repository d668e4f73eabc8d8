/*
 * The routing decision.  The order of the questions is the order of the
 * defences: what binds the session first, then what the unit is, then how
 * fresh its answer must be, then whether a replica is there.
 *
 * Unknown means primary: a wrong primary costs load, a wrong replica costs
 * correctness.
 */
#include "core/route.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static struct route_decision decide(enum route_target target,
				    enum metrics_route_reason reason)
{
	return (struct route_decision){ target, reason };
}

/* BEGIN READ ONLY, at any level but SERIALIZABLE: no such thing there. */
bool route_is_read_only_begin(const struct sqlclass *judged)
{
	return judged->command == COMMAND_BEGIN && judged->statements == 1 &&
	       (judged->effects & EFFECT_READ_ONLY) &&
	       !(judged->effects & (EFFECT_READ_WRITE | EFFECT_SERIALIZABLE));
}

/* The reason for which a unit belongs on the primary whatever the nodes. */
static enum metrics_route_reason primary_reason(const struct sqlclass *judged)
{
	switch ((enum sqlclass_reason)judged->reason) {
	case REASON_FUNCTION:
	case REASON_FUNCTION_UNKNOWN: return ROUTE_REASON_UNSAFE_FN;
	case REASON_TOO_LONG: return ROUTE_REASON_TOO_LONG;
	case REASON_NO_CATALOG:
	case REASON_RELATION:
	case REASON_RELATION_UNKNOWN:
	case REASON_NODE_LOCAL:
	case REASON_CATALOG: return ROUTE_REASON_CATALOG;
	case REASON_NONE:
	case REASON_VERB:
	case REASON_LOCKING:
	case REASON_DML_CTE:
	case REASON_INTO:
	case REASON_UTILITY:
	case REASON_COPY:
	case REASON_LEX:
	default: break;
	}
	return judged->access == ACCESS_WRITE ? ROUTE_REASON_WRITE
					      : ROUTE_REASON_UNKNOWN;
}

/* State that a session needs at its next write, which is on the primary. */
enum {
	STAYING = EFFECT_TEMP | EFFECT_SET | EFFECT_LISTEN | EFFECT_ADVISORY |
		  EFFECT_PREPARE | EFFECT_HOLD | EFFECT_LOAD |
		  EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL | EFFECT_SET_REPORTED
};

static bool may_leave(const struct sqlclass *judged)
{
	if (judged->effects & STAYING)
		return false;
	if (route_is_read_only_begin(judged))
		return true;
	return judged->access == ACCESS_READ &&
	       judged->command == COMMAND_OTHER;
}

bool route_leaves_replica(const struct sqlclass *judged)
{
	/* A SET can follow the transaction wherever it ends. */
	const uint32_t leaving = (STAYING | EFFECT_TWO_PHASE) &
				 ~(uint32_t)(EFFECT_SET | EFFECT_SET_REPORTED |
					     EFFECT_DEALLOCATE);

	if (judged->effects & leaving)
		return true;
	if ((judged->command == COMMAND_SET_TRANSACTION ||
	     judged->command == COMMAND_BEGIN) &&
	    (judged->effects & (EFFECT_READ_WRITE | EFFECT_SERIALIZABLE)))
		return true;
	return judged->access == ACCESS_WRITE ||
	       judged->access == ACCESS_UNKNOWN || judged->hint == HINT_PRIMARY;
}

bool route_is_plain_read(const struct sqlclass *judged)
{
	return judged->access == ACCESS_READ &&
	       judged->command == COMMAND_OTHER &&
	       (judged->effects & ~(uint32_t)EFFECT_CATALOG_READ) == 0;
}

static bool wrote_lately(const struct route_input *input)
{
	return input->last_write_us != 0 && input->window_us > 0 &&
	       input->now_us - input->last_write_us < input->window_us;
}

/* A hint speaks for one statement, the setting for all of a session's. */
static bool is_wanted_there(const struct route_input *input)
{
	return input->judged.hint == HINT_PRIMARY ||
	       (input->prefers_primary && input->judged.hint != HINT_REPLICA);
}

struct route_decision route_decide(const struct route_input *input)
{
	if (input->is_pinned)
		return decide(ROUTE_STAY, ROUTE_REASON_PINNED);
	if (input->is_in_transaction)
		return decide(ROUTE_STAY, ROUTE_REASON_IN_TXN);
	if (!input->is_split)
		return decide(ROUTE_PRIMARY, ROUTE_REASON_SPLIT_OFF);
	if (!may_leave(&input->judged))
		return decide(ROUTE_PRIMARY, primary_reason(&input->judged));
	if (input->is_catalog_old && input->judged.access == ACCESS_READ)
		return decide(ROUTE_PRIMARY, ROUTE_REASON_CATALOG);
	if (is_wanted_there(input))
		return decide(ROUTE_PRIMARY, ROUTE_REASON_HINT);
	if (input->is_state_unsafe)
		return decide(ROUTE_PRIMARY, ROUTE_REASON_SESSION_STATE);
	if (wrote_lately(input))
		return decide(ROUTE_PRIMARY, ROUTE_REASON_RECENT_WRITE);
	if (!input->has_replica || input->avoids_replicas)
		return decide(ROUTE_PRIMARY, input->is_replica_lagging
						     ? ROUTE_REASON_REPLICA_LAG
						     : ROUTE_REASON_NO_REPLICA);
	if (input->freshness == ROUTE_STALE)
		return decide(ROUTE_PRIMARY, ROUTE_REASON_RECENT_WRITE);
	if (input->freshness == ROUTE_UNSURE)
		return decide(ROUTE_WAIT, ROUTE_REASON_RECENT_WRITE);
	return decide(ROUTE_REPLICA, route_is_read_only_begin(&input->judged)
					     ? ROUTE_REASON_READ_ONLY_TXN
					     : ROUTE_REASON_AUTOCOMMIT_READ);
}

/* "sjis", "SJIS" and "Shift-JIS" are the same to PostgreSQL. */
static bool same_encoding(const char *one, const char *other)
{
	for (;;) {
		while (*one && !isalnum((unsigned char)*one))
			one++;
		if (tolower((unsigned char)*one) != *other)
			return false;
		if (!*one)
			return true;
		one++;
		other++;
	}
}

bool route_is_safe_encoding(const char *encoding)
{
	static const char *const unsafe[] = {
		"big5",         "gb18030", "gbk",        "johab",
		"shiftjis2004", "sjis",    "shiftjis",   "uhc",
		"mskanji",      "win932",  "windows932", "win936",
		"windows936",   "win949",  "windows949", "win950",
		"windows950",
	};

	for (size_t i = 0; i < sizeof(unsafe) / sizeof(*unsafe); i++)
		if (same_encoding(encoding, unsafe[i]))
			return false;
	return true;
}
