/*
 * Parameters that a session may set and of which the server tells every
 * change, however it came about, so that nothing has to be guessed (PostgreSQL
 * docs, "Message Flow", "Asynchronous Operations").  One table, for those who
 * read SQL and for those who read the server's reports.
 *
 * Reported as well, and not here: what no session can set, and what changes
 * for reasons of the server's own.  Any thread.
 */
#include "core/reported.h"

#include <string.h>
#include <strings.h>

static const char *const reported[] = {
	"application_name", "client_encoding", "DateStyle",
	"IntervalStyle",    "TimeZone",        "standard_conforming_strings",
};

bool reported_has(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(reported) / sizeof(*reported); i++)
		if (strlen(reported[i]) == len &&
		    strncasecmp(reported[i], name, len) == 0)
			return true;
	return false;
}
