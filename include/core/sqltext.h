#ifndef PGWEIR_CORE_SQLTEXT_H
#define PGWEIR_CORE_SQLTEXT_H

/*
 * The shape of a statement as people read it: "select v from t where id = ?".
 */
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Appends the text of a shape (core/sqlshape), at most limit bytes and then
 * "...".  No literal is in a shape, so none is shown.
 */
void sqltext_write(const uint8_t *shape, size_t len, size_t limit,
		   struct buf *out);

#endif
