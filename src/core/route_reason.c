/*
 * The names of reasons, for the log, the console and the counts of shapes.
 *
 * A room of its own, as counting stands below deciding (core/route) and needs
 * the names as well.  Pure; any thread.
 */
#include "core/route_reason.h"

const char *route_reason_name(enum metrics_route_reason reason)
{
	static const char *const names[] = {
#define ROUTE_NAME(id, name) name,
		ROUTE_REASONS(ROUTE_NAME)
#undef ROUTE_NAME
	};

	return reason < ROUTE_REASON_COUNT ? names[reason] : "?";
}
