#ifndef PGWEIR_CORE_COLUMNS_H
#define PGWEIR_CORE_COLUMNS_H

/*
 * What a statement's columns are, as one number: equal for those that
 * PostgreSQL takes for the same result type.  Any thread.
 */
#include "core/pgwire.h"

#include <stdint.h>

/*
 * Of a RowDescription ('T') or NoData ('n'), which is here whole; never 0 but
 * for one that is malformed, or for another message.
 */
uint64_t columns_of(const struct pgwire_message *message);

#endif
