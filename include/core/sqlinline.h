#ifndef PGWEIR_CORE_SQLINLINE_H
#define PGWEIR_CORE_SQLINLINE_H

/*
 * A text that calls set_config() and nothing else, with the values of its
 * parameters in their places: the simple Query that does what an Execute has
 * done.  Any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * values: what stands in a Bind behind its names.  False: it is none of these,
 * or cannot be written so; out is as it was.
 */
bool sqlinline_write(const char *sql, size_t len, const uint8_t *values,
		     size_t values_len, struct buf *out);

#endif
