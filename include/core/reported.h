#ifndef PGWEIR_CORE_REPORTED_H
#define PGWEIR_CORE_REPORTED_H

/* Settings of which the server tells every change.  Any thread. */
#include <stdbool.h>
#include <stddef.h>

/* In any case; the text needs no end. */
bool reported_has(const char *name, size_t len);

#endif
