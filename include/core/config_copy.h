#ifndef PGWEIR_CORE_CONFIG_COPY_H
#define PGWEIR_CORE_CONFIG_COPY_H

/* A configuration twice, so that one of the two can be changed. */
#include "core/config_data.h"

/*
 * Fills copy, all of it zero, with the values of config and memory of its
 * own; config_clear is due.
 */
void config_copy(struct config *copy, const struct config *config);

#endif
