/*
 * Bytes cut at random places: the frame sees the same messages as whole, and
 * what it calls the rest ends where a message ends.
 */
#include "core/frame.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame whole = { 0 };
	struct frame parts = { 0 };
	size_t at = 0;

	frame_pass(&whole, data, size);
	while (at < size) {
		size_t part = 1 + data[at] % 23;
		size_t rest;

		if (part > size - at)
			part = size - at;
		rest = frame_rest(&parts, data + at, part);
		assert(rest <= part);
		assert(!frame_is_between(&parts) || rest == 0);
		frame_pass(&parts, data + at, rest);
		assert(rest == part || frame_is_between(&parts));
		frame_pass(&parts, data + at + rest, part - rest);
		at += part;
	}
	assert(frame_is_between(&whole) == frame_is_between(&parts));
	assert(whole.is_lost == parts.is_lost);
	return 0;
}
