/*
 * Tickets: moments that become positions.
 *
 * Times are compared strictly: a question sent in the same microsecond as the
 * acknowledgement may have come first.  Positions of two epochs are never
 * compared; when the epoch changes, what the new primary has flushed includes
 * all of the old one that has survived.
 */
#include "core/ticket.h"

void ticket_note(struct ticket *ticket, uint64_t at_us)
{
	if (at_us >= ticket->known_us && at_us > ticket->since_us)
		ticket->since_us = at_us;
}

/* Of an older timeline: the floor, on the newer one, holds what survived. */
void ticket_demand(struct ticket *ticket, struct watermark position)
{
	bool is_newer = position.system != ticket->floor.system ||
			position.timeline > ticket->floor.timeline;

	if (is_newer || (position.timeline == ticket->floor.timeline &&
			 position.lsn > ticket->floor.lsn))
		ticket->floor = position;
}

/* Of a timeline that has been left: its primary is none any more. */
static bool is_older(struct watermark flushed, struct watermark floor)
{
	return flushed.system == floor.system &&
	       flushed.timeline < floor.timeline;
}

void ticket_follow(struct ticket *ticket, struct watermark first)
{
	if (first.system == 0 || ticket->floor.system == 0 ||
	    is_older(first, ticket->floor) ||
	    watermark_same_epoch(ticket->floor, first))
		return;
	ticket->floor = first;
}

void ticket_redeem(struct ticket *ticket, uint64_t asked_us,
		   struct watermark flushed)
{
	bool is_same = watermark_same_epoch(ticket->floor, flushed);
	bool has_floor = ticket->floor.system != 0;

	if (flushed.system == 0 || is_older(flushed, ticket->floor))
		return;
	if (has_floor && !is_same)
		ticket->floor = flushed;
	if (ticket->since_us == 0 || asked_us <= ticket->since_us)
		return;
	ticket->since_us = 0;
	ticket->known_us = asked_us;
	if (!has_floor || !is_same || flushed.lsn > ticket->floor.lsn)
		ticket->floor = flushed;
}

bool ticket_is_open(const struct ticket *ticket)
{
	return ticket->since_us != 0;
}

bool ticket_allows(const struct ticket *ticket, struct watermark replayed)
{
	if (ticket->since_us != 0)
		return false;
	return ticket->floor.system == 0 ||
	       watermark_reached(replayed, ticket->floor);
}
