#ifndef PGWEIR_MAIN_LOAD_H
#define PGWEIR_MAIN_LOAD_H

/*
 * From a path to everything that a configuration needs: the file itself, the
 * auth_file, certificates and keys.  All or nothing.
 */
#include "base/log.h"

#include <stdint.h>

struct buf;
struct snapshot;

/*
 * Reads it all (blocking; main thread).  NULL when anything is wrong: every
 * fault is a line in error.  Oddities that do no harm are lines in warnings.
 * The result carries one reference.
 */
struct snapshot *load_snapshot(const char *path, uint64_t generation,
			       struct buf *error, struct buf *warnings);

/*
 * The snapshot with one key changed; what the key does not concern (users,
 * TLS) is shared.  As above.
 */
struct snapshot *load_changed(const struct snapshot *snapshot, const char *key,
			      const char *value, struct buf *error,
			      struct buf *warnings);

/* Each line of the text becomes one of the log, after the prefix. */
void load_log_lines(enum log_level level, const char *prefix,
		    const struct buf *text);

#endif
