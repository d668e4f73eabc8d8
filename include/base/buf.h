#ifndef PGWEIR_BASE_BUF_H
#define PGWEIR_BASE_BUF_H

/*
 * A growing run of bytes with a consumed prefix:
 *
 *     data        data+head             data+tail        data+room
 *      |  consumed  |      live bytes      |     free        |
 *
 * head <= tail <= room.  An empty buffer owns no memory, so that ten thousand
 * idle connections hold none.  Blocks of the usual size are kept by the
 * thread that dropped them.  Not shared between threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUF_BLOCK = 8192 };

struct buf {
	uint8_t *data;
	size_t head;
	size_t tail;
	size_t room;
};

#define BUF_INIT ((struct buf){ 0 })

static inline size_t buf_len(const struct buf *buf)
{
	return buf->tail - buf->head;
}

/* First live byte; NULL while the buffer owns no memory. */
static inline uint8_t *buf_head(const struct buf *buf)
{
	return buf->data ? buf->data + buf->head : NULL;
}

/* At least want free bytes at the end; returns where they start. */
uint8_t *buf_reserve(struct buf *buf, size_t want);

/* Says that len of the reserved bytes have been written. */
void buf_commit(struct buf *buf, size_t len);

void buf_append(struct buf *buf, const void *data, size_t len);

/* Appends text without its closing NUL. */
void buf_append_text(struct buf *buf, const char *text);

/* Appends text with its closing NUL. */
void buf_append_cstring(struct buf *buf, const char *text);

void buf_append_u8(struct buf *buf, uint8_t value);

/* Network byte order. */
void buf_append_u16(struct buf *buf, uint16_t value);
void buf_append_u32(struct buf *buf, uint32_t value);

/*
 * The live bytes as a string: a NUL is put behind them that is not one of
 * them.  Never NULL; borrowed until the buffer changes.
 */
const char *buf_text(struct buf *buf) __attribute__((returns_nonnull));

/* Drops len live bytes from the front; gives memory back when empty. */
void buf_consume(struct buf *buf, size_t len);

/* Drops everything and the memory. */
void buf_free(struct buf *buf);
/* The same of what nobody may read behind us: wiped first. */
void buf_free_secret(struct buf *buf);

/* printf at the end, without the closing NUL. */
void buf_printf(struct buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Moves all of from behind the end of into; from ends empty. */
void buf_move(struct buf *into, struct buf *from);

/* Frees the blocks that this thread keeps; call before a thread ends. */
void buf_thread_cleanup(void);

#endif
