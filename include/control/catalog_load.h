#ifndef PGWEIR_CONTROL_CATALOG_LOAD_H
#define PGWEIR_CONTROL_CATALOG_LOAD_H

/*
 * Loads the catalog snapshot of one database: connects, asks in two round
 * trips, disconnects.  libpq without blocking, on the
 * event loop of the main thread.
 */
#include "core/catalog.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct catalog_loader;

/*
 * Exactly one of catalog (with one reference, the caller's from now on) and
 * error (borrowed, one line, no secrets) is set.
 */
typedef void catalog_loaded_fn(void *arg, struct catalog *catalog,
			       const char *error);

/*
 * done is called once for each successful catalog_loader_start(), from the
 * event loop, never from inside the start.  It may start the next load; it must
 * not free the loader.
 */
struct catalog_loader *catalog_loader_new(struct event_base *base,
					  catalog_loaded_fn *done, void *arg);

/* A load that is under way ends without a call of done. */
void catalog_loader_free(struct catalog_loader *loader);

/*
 * conninfo is a keyword string of libpq; it must carry hostaddr or a socket's
 * directory, since libpq resolves names by a blocking call.  Copied.  own is
 * where the primary is asked for its own settings when conninfo leads to a
 * replica; NULL: the same.  False when a load is under way.
 */
bool catalog_loader_start(struct catalog_loader *loader, const char *conninfo,
			  const char *own, uint64_t timeout_us);

/* A load that is under way ends at once, without a call of done. */
void catalog_loader_stop(struct catalog_loader *loader);

bool catalog_loader_is_busy(const struct catalog_loader *loader);

#endif
