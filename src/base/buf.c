/*
 * Byte buffers.  See the drawing in the header for the invariant.
 *
 * Blocks of BUF_BLOCK bytes are recycled through a small stack per thread:
 * a proxied transaction takes and returns two of them, and the general
 * allocator is too slow for that.  Larger blocks go straight back to it.
 *
 * A buffer belongs to one thread at a time; it may move together with its
 * owner, since a block does not remember where it came from.
 */
#include "base/buf.h"

#include "base/util.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_BLOCKS = 64 };

static _Thread_local uint8_t *kept[KEPT_BLOCKS];
static _Thread_local unsigned kept_count;

static uint8_t *block_take(size_t room)
{
	if (room == BUF_BLOCK && kept_count > 0)
		return kept[--kept_count];
	return xmalloc(room);
}

static void block_give(uint8_t *block, size_t room)
{
	if (room == BUF_BLOCK && kept_count < KEPT_BLOCKS)
		kept[kept_count++] = block;
	else
		free(block);
}

static size_t room_for(size_t need)
{
	size_t room = BUF_BLOCK;

	while (room < need)
		room *= 2;
	return room;
}

static void buf_grow(struct buf *buf, size_t room)
{
	size_t len = buf_len(buf);
	uint8_t *block = block_take(room);

	if (buf->data) {
		memcpy(block, buf->data + buf->head, len);
		block_give(buf->data, buf->room);
	}
	buf->data = block;
	buf->head = 0;
	buf->tail = len;
	buf->room = room;
}

uint8_t *buf_reserve(struct buf *buf, size_t want)
{
	size_t len = buf_len(buf);

	if (buf->room - buf->tail >= want && buf->data)
		return buf->data + buf->tail;
	/* Moving is cheap only while the live part is the smaller one. */
	if (buf->data && buf->room - len >= want && len <= buf->head) {
		memmove(buf->data, buf->data + buf->head, len);
		buf->head = 0;
		buf->tail = len;
	} else {
		buf_grow(buf, room_for(len + want));
	}
	assert(buf->room - buf->tail >= want);
	return buf->data + buf->tail;
}

void buf_commit(struct buf *buf, size_t len)
{
	assert(len <= buf->room - buf->tail);
	buf->tail += len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	if (len == 0)
		return;
	assert(data);
	memcpy(buf_reserve(buf, len), data, len);
	buf->tail += len;
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_cstring(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text) + 1);
}

void buf_append_u8(struct buf *buf, uint8_t value)
{
	buf_append(buf, &value, 1);
}

void buf_append_u16(struct buf *buf, uint16_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	buf_append(buf, bytes, sizeof(bytes));
}

void buf_append_u32(struct buf *buf, uint32_t value)
{
	uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
			     (uint8_t)(value >> 8), (uint8_t)value };

	buf_append(buf, bytes, sizeof(bytes));
}

const char *buf_text(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return (const char *)buf_head(buf);
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf_len(buf));
	buf->head += len;
	if (buf->head == buf->tail)
		buf_free(buf);
}

void buf_free(struct buf *buf)
{
	if (buf->data)
		block_give(buf->data, buf->room);
	*buf = BUF_INIT;
}

void buf_free_secret(struct buf *buf)
{
	util_wipe(buf_head(buf), buf_len(buf));
	buf_free(buf);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_list again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len > 0) {
		size_t need = (size_t)len + 1;

		(void)vsnprintf((char *)buf_reserve(buf, need), need, format,
				again);
		buf->tail += (size_t)len;
	}
	va_end(again);
}

void buf_move(struct buf *into, struct buf *from)
{
	if (buf_len(into) == 0) {
		buf_free(into);
		*into = *from;
		*from = BUF_INIT;
		return;
	}
	buf_append(into, buf_head(from), buf_len(from));
	buf_free(from);
}

void buf_thread_cleanup(void)
{
	while (kept_count > 0)
		free(kept[--kept_count]);
}
