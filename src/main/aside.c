/*
 * Databases that somebody wants for himself (proxy/evict): the catalog loader
 * breaks its loads there off, the monitor closes its connections, and both
 * wait until the statement is done.  What is known of a database that is gone
 * then is forgotten.
 *
 * Main thread.
 */
#include "main/aside.h"

#include "base/util.h"
#include "control/monitor.h"
#include "core/dbddl.h"
#include "main/catalogs.h"
#include "main/house_parts.h"
#include "proxy/changes.h"
#include "proxy/evict.h"

/* At the end rooms are gone already, and nobody waits for it any more. */
void aside_take(struct house *house, struct evict *evict)
{
	const struct dbddl *ddl = evict_ddl(evict);

	if (!house->proxy) {
		evict_drop(evict);
		return;
	}
	if (evict_is_done(evict))
		catalogs_forget(house->catalogs, &ddl->gone);
	else
		catalogs_empty(house->catalogs, &ddl->empty);
	monitor_step_aside(house->monitor);
	evict_confirm(evict);
}

/* No proxy yet: nobody has shut anything. */
bool aside_is_shut(void *house, const char *dbname)
{
	const struct house *here = house;

	return here->proxy &&
	       changes_is_shut(proxy_process(here->proxy)->changes, dbname,
			       util_now_us());
}
