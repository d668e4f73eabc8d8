#ifndef PGWEIR_CORE_CONFIG_BUILD_H
#define PGWEIR_CORE_CONFIG_BUILD_H

/*
 * Makes the values of a configuration from a file: sections, rows of the
 * option table, names, nodes, and what must hold between options.
 */
#include "core/config_data.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* A file (text NULL), or a text under a name. */
struct config_source {
	const char *path;
	const char *text;
	size_t len;
};

/*
 * Fills config, all of it zero, from the source.  False when there is a
 * fault; every one is appended to error.  What is odd but possible is
 * appended to warnings.  Databases and users come out sorted by name.
 * config_clear is due either way.
 */
bool config_build(struct config *config, const struct config_source *source,
		  struct buf *error, struct buf *warnings);

/*
 * What must hold between options, of a config that a key was changed in.
 * False when it does not: each fault is appended to error.
 */
bool config_judge(struct config *config, struct buf *error,
		  struct buf *warnings);

/* Wipes and frees everything that config holds. */
void config_clear(struct config *config);

#endif
