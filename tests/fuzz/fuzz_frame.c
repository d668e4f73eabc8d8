/*
 * Bytes cut at random places: the frame sees the same messages as whole, and
 * what it calls the rest ends where a message ends.
 */
#include "core/frame.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In two pieces: the rest of a message, and what begins behind it. */
static void pass_part(struct frame *frame, const uint8_t *part, size_t size)
{
	size_t rest = frame_rest(frame, part, size);

	assert(rest <= size);
	assert(!frame_is_between(frame) || rest == 0);
	frame_pass(frame, part, rest);
	assert(rest == size || frame_is_between(frame));
	frame_pass(frame, part + rest, size - rest);
}

static void pass_parts(struct frame *frame, const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t part = 1 + data[at] % 23;

		if (part > size - at)
			part = size - at;
		pass_part(frame, data + at, part);
		at += part;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame whole = { 0 };
	struct frame parts = { 0 };

	frame_pass(&whole, data, size);
	pass_parts(&parts, data, size);
	assert(frame_is_between(&whole) == frame_is_between(&parts));
	assert(whole.is_lost == parts.is_lost);
	return 0;
}
