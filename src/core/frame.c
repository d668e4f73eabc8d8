/*
 * Following messages by their headers alone.
 *
 * Whatever is cut is cut anywhere, inside a header too.  A length that no
 * message can have makes the frame lost for good: what follows is passed on
 * all the same, but nothing of ours is ever put into it.
 */
#include "core/frame.h"

#include "core/pgwire.h"

#include <assert.h>
#include <string.h>

/* The header is whole. */
static void open_message(struct frame *frame)
{
	struct pgwire_message message;

	frame->have = 0;
	if (pgwire_read(frame->header, sizeof(frame->header), &message) !=
	    PGWIRE_OK)
		frame->is_lost = true;
	else
		frame->left = message.body_len;
}

/* Takes one step, a header's bytes or a body's; returns how many. */
static size_t step(struct frame *frame, const uint8_t *data, size_t len)
{
	size_t part = sizeof(frame->header) - frame->have;

	if (frame->is_lost)
		return len;
	if (frame->left > 0) {
		part = len < frame->left ? len : frame->left;
		frame->left -= part;
		return part;
	}
	part = len < part ? len : part;
	memcpy(frame->header + frame->have, data, part);
	frame->have += (unsigned)part;
	if (frame->have == sizeof(frame->header))
		open_message(frame);
	return part;
}

void frame_pass(struct frame *frame, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		size_t part = step(frame, at, len);

		assert(part > 0 && part <= len);
		at += part;
		len -= part;
	}
}

size_t frame_rest(const struct frame *frame, const void *data, size_t len)
{
	struct frame copy = *frame;
	const uint8_t *at = data;
	size_t rest = 0;

	while (rest < len && !frame_is_between(&copy))
		rest += step(&copy, at + rest, len - rest);
	return rest;
}

bool frame_is_between(const struct frame *frame)
{
	return !frame->is_lost && frame->have == 0 && frame->left == 0;
}
