#ifndef PGWEIR_CORE_FRAME_H
#define PGWEIR_CORE_FRAME_H

/*
 * Where messages of protocol 3 begin and end in a stream of bytes that is
 * passed on unread: so that a word of our own can be put between two of them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
	uint8_t header[5];
	unsigned have; /* bytes of the header seen */
	size_t left;   /* bytes of the body to come */
	bool is_lost;  /* these are no messages */
};

/* These bytes came next; cut anywhere. */
void frame_pass(struct frame *frame, const void *data, size_t len);

/*
 * How many of the next len bytes belong to the message that is under way; 0
 * between two messages, len when all do or when the frame is lost.
 */
size_t frame_rest(const struct frame *frame, const void *data, size_t len);

/* True between two messages; never again once lost. */
bool frame_is_between(const struct frame *frame);

#endif
