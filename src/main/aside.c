/*
 * Databases that somebody wants for himself (proxy/evict): the catalog loader
 * breaks its loads there off, the monitor closes its connections, and both
 * wait until the statement is done.  What is known of a database that is gone
 * then is forgotten.
 *
 * Also PAUSE and RESUME as signals give them, which wait for nothing.
 *
 * Main thread.
 */
#include "main/aside.h"

#include "base/log.h"
#include "base/util.h"
#include "control/monitor.h"
#include "core/dbddl.h"
#include "main/catalogs.h"
#include "main/house_parts.h"
#include "proxy/changes.h"
#include "proxy/evict.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/orders.h"
#include "proxy/pool_change.h"
#include "proxy/pool_order.h"

/* --- PAUSE and RESUME by signal ------------------------------------------ */

static void visit_workers(const struct house *house,
			  void (*visit)(struct local *local, void *arg))
{
	const struct process *process = proxy_process(house->proxy);

	for (unsigned i = 0; i < process->worker_count; i++) {
		struct mail_visit *mail = xcalloc(1, sizeof(*mail));

		mail->mail.kind = MAIL_VISIT;
		mail->visit = visit;
		worker_post(process->workers[i], &mail->mail);
	}
}

static void hold(struct local *local, void *arg)
{
	(void)arg;
	if (!local->is_stopped)
		(void)pools_hold(local, NULL);
}

static void feed(struct local *local, void *arg)
{
	(void)arg;
	if (!local->is_stopped)
		pools_feed(local);
}

void aside_pause(struct house *house)
{
	if (!house->proxy)
		return;
	if (!orders_give(proxy_process(house->proxy)->orders, ORDER_PAUSE,
			 NULL)) {
		log_info("SIGUSR1: all is paused already");
		return;
	}
	log_info("SIGUSR1: PAUSE, clients wait until SIGUSR2 or RESUME");
	visit_workers(house, hold);
}

void aside_resume(struct house *house)
{
	if (!house->proxy)
		return;
	if (!orders_revoke(proxy_process(house->proxy)->orders, ORDER_PAUSE,
			   NULL)) {
		log_info("SIGUSR2: nothing is paused");
		return;
	}
	log_info("SIGUSR2: RESUME");
	visit_workers(house, feed);
}

/* --- databases that are wanted ------------------------------------------- */

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
