#ifndef PGWEIR_CORE_WATERMARK_H
#define PGWEIR_CORE_WATERMARK_H

/*
 * A position in the WAL is a pair (epoch, LSN); the numbers of two epochs
 * are never compared.  An epoch is the system identifier and the timeline.
 */
#include <stdbool.h>
#include <stdint.h>

struct watermark {
	uint64_t system; /* system identifier; 0: no position known */
	uint32_t timeline;
	uint64_t lsn;
};

/* True when both are known and of one epoch, so that they may be compared. */
bool watermark_same_epoch(struct watermark a, struct watermark b);

/* True only when both are of one epoch and at has reached bound. */
bool watermark_reached(struct watermark at, struct watermark bound);

/* Bytes from behind to ahead; 0 when not comparable or already there. */
uint64_t watermark_distance(struct watermark behind, struct watermark ahead);

/* Parses PostgreSQL's "16/B374D848"; false on anything else. */
bool watermark_parse_lsn(const char *text, uint64_t *lsn);

/* Timeline of a WAL file name "00000002000000160000003B"; 0 when malformed. */
uint32_t watermark_file_timeline(const char *name);

#endif
