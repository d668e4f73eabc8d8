#ifndef PGWEIR_CORE_TICKET_H
#define PGWEIR_CORE_TICKET_H

/*
 * What a session has seen and must not lose sight of, as a bound on the WAL.
 *
 * Whatever was acknowledged at some moment lies in front of every flush
 * position of the primary that was asked for later.  So nothing has to be
 * asked when something is written: a moment is noted, and the next position
 * that anybody asks for turns it into a floor, below which no replica may
 * answer this session.
 */
#include "core/watermark.h"

#include <stdbool.h>
#include <stdint.h>

/* Embedded by the owner; all zeros: has seen nothing. */
struct ticket {
	uint64_t since_us; /* seen then, no position known yet; 0 nothing */
	uint64_t known_us; /* what was seen before lies below the floor */
	struct watermark floor; /* system 0: none */
};

/* Something was acknowledged at this moment (monotonic), or read. */
void ticket_note(struct ticket *ticket, uint64_t at_us);

/* Nothing older than this position shall be shown, wherever it comes from. */
void ticket_demand(struct ticket *ticket, struct watermark position);

/*
 * The first position of the primary's epoch: a floor of an older one becomes
 * this.  What of it has survived lies below; what has not is nowhere.
 */
void ticket_follow(struct ticket *ticket, struct watermark first);

/*
 * A flush position of the primary, in the answer to a question that was sent
 * at asked_us.  After a change of the epoch it replaces every older floor.
 */
void ticket_redeem(struct ticket *ticket, uint64_t asked_us,
		   struct watermark flushed);

/* No position is known yet for something that the session has seen. */
bool ticket_is_open(const struct ticket *ticket);

/* A server that has replayed this far shows all that the session has seen. */
bool ticket_allows(const struct ticket *ticket, struct watermark replayed);

#endif
