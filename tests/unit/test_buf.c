/*
 * Byte buffers, also against a plain model under random operations.
 */
#include "base/buf.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int tear_down(void **state)
{
	(void)state;
	buf_thread_cleanup();
	return 0;
}

static void expect_bytes(const struct buf *buf, const void *bytes, size_t len)
{
	assert_int_equal(buf_len(buf), len);
	if (len > 0)
		assert_memory_equal(buf_head(buf), bytes, len);
	assert_true(buf->head <= buf->tail && buf->tail <= buf->room);
}

static void test_empty_owns_nothing(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	assert_null(buf_head(&buf));
	buf_append(&buf, "", 0);
	assert_null(buf.data);
	buf_append(&buf, "abc", 3);
	assert_int_equal(buf.room, BUF_BLOCK);
	buf_consume(&buf, 1);
	expect_bytes(&buf, "bc", 2);
	buf_consume(&buf, 2);
	assert_null(buf.data);
	assert_int_equal(buf_len(&buf), 0);
	buf_consume(&buf, 0);
	buf_free(&buf);
}

/* Who is given the block next finds nothing in it. */
static void test_secrets_are_wiped(void **state)
{
	struct buf buf = BUF_INIT;
	const uint8_t *first;

	(void)state;
	buf_free_secret(&buf);
	assert_null(buf.data);
	buf_append(&buf, "password", 8);
	first = buf.data;
	buf_free_secret(&buf);
	assert_null(buf.data);
	buf_append(&buf, "x", 1);
	assert_ptr_equal(buf.data, first);
	assert_memory_equal(first, "x\0\0\0\0\0\0\0", 8);
	buf_free(&buf);
}

static void test_blocks_are_reused(void **state)
{
	struct buf buf = BUF_INIT;
	const uint8_t *first;

	(void)state;
	buf_append(&buf, "a", 1);
	first = buf.data;
	buf_free(&buf);
	buf_append(&buf, "b", 1);
	assert_ptr_equal(buf.data, first);
	buf_free(&buf);
}

/* More blocks than the thread keeps: the rest goes back, none is lost. */
static void test_many_blocks(void **state)
{
	enum { MANY = 200 };
	struct buf *bufs = xcalloc(MANY, sizeof(*bufs));

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			buf_append_u32(&bufs[i], (uint32_t)i);
		for (int i = 0; i < MANY; i++) {
			uint8_t want[4] = { 0, 0, 0, (uint8_t)i };

			expect_bytes(&bufs[i], want, 4);
			buf_free(&bufs[i]);
		}
	}
	free(bufs);
}

static void test_numbers_are_in_network_order(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_append_u8(&buf, 0x01);
	buf_append_u16(&buf, 0x0203);
	buf_append_u32(&buf, 0x04050607);
	buf_append_cstring(&buf, "x");
	expect_bytes(&buf, "\1\2\3\4\5\6\7x", 9);
	buf_free(&buf);
}

/* Asked twice, of an empty buffer, and with no byte to spare. */
static void test_text(void **state)
{
	struct buf buf = BUF_INIT;
	size_t room;

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf_len(&buf), 0);
	buf_printf(&buf, "n=%d", 7);
	assert_string_equal(buf_text(&buf), "n=7");
	assert_string_equal(buf_text(&buf), "n=7");
	assert_int_equal(buf_len(&buf), 3);
	room = buf.room;
	while (buf_len(&buf) < room)
		buf_append_u8(&buf, 'x');
	assert_int_equal(strlen(buf_text(&buf)), room);
	buf_free(&buf);
}

static void test_reserve_and_commit(void **state)
{
	struct buf buf = BUF_INIT;
	uint8_t *area = buf_reserve(&buf, 100000);

	(void)state;
	assert_true(buf.room >= 100000);
	memset(area, 'r', 100000);
	buf_commit(&buf, 99999);
	assert_int_equal(buf_len(&buf), 99999);
	assert_int_equal(buf_head(&buf)[99998], 'r');
	/* What is reserved twice is the same place. */
	area = buf_reserve(&buf, 1);
	assert_ptr_equal(buf_reserve(&buf, 1), area);
	buf_free(&buf);
}

/* A queue that never empties must not grow for ever. */
static void test_room_is_bounded_in_a_queue(void **state)
{
	struct buf buf = BUF_INIT;
	uint8_t block[1000];

	(void)state;
	memset(block, 'q', sizeof(block));
	buf_append(&buf, block, sizeof(block));
	for (int i = 0; i < 10000; i++) {
		buf_append(&buf, block, sizeof(block));
		buf_consume(&buf, sizeof(block));
	}
	assert_int_equal(buf_len(&buf), sizeof(block));
	assert_int_equal(buf.room, BUF_BLOCK);
	buf_free(&buf);
}

static void test_printf(void **state)
{
	struct buf buf = BUF_INIT;
	char *longer = xmalloc(20001);

	(void)state;
	buf_printf(&buf, "%s", "");
	assert_int_equal(buf_len(&buf), 0);
	buf_printf(&buf, "%s=%d", "n", 7);
	buf_printf(&buf, ";");
	expect_bytes(&buf, "n=7;", 4);
	memset(longer, 'y', 20000);
	longer[20000] = '\0';
	buf_printf(&buf, "%s", longer);
	assert_int_equal(buf_len(&buf), 20004);
	assert_memory_equal(buf_head(&buf) + 4, longer, 20000);
	free(longer);
	buf_free(&buf);
}

static void test_move(void **state)
{
	struct buf into = BUF_INIT;
	struct buf from = BUF_INIT;
	const uint8_t *block;

	(void)state;
	buf_move(&into, &from);
	assert_int_equal(buf_len(&into), 0);
	/* Into an empty one the block itself goes over. */
	buf_append(&from, "one", 3);
	block = from.data;
	buf_move(&into, &from);
	assert_ptr_equal(into.data, block);
	assert_null(from.data);
	buf_append(&from, "two", 3);
	buf_move(&into, &from);
	expect_bytes(&into, "onetwo", 6);
	assert_null(from.data);
	buf_move(&into, &from);
	expect_bytes(&into, "onetwo", 6);
	buf_free(&into);
}

struct model {
	uint8_t *bytes;
	size_t head;
	size_t tail;
};

enum { STEPS = 3000, STEP_MOST = 20000 };

static void step(struct buf *buf, struct model *model, unsigned seed)
{
	size_t len = (size_t)rand() % (rand() % 4 ? 200 : STEP_MOST);

	if (seed % 5 < 3) {
		for (size_t i = 0; i < len; i++)
			model->bytes[model->tail + i] = (uint8_t)rand();
		if (seed % 2)
			buf_append(buf, model->bytes + model->tail, len);
		else {
			memcpy(buf_reserve(buf, len),
			       model->bytes + model->tail, len);
			buf_commit(buf, len);
		}
		model->tail += len;
	} else {
		size_t live = model->tail - model->head;

		len = len < live ? len : live;
		buf_consume(buf, len);
		model->head += len;
	}
}

static void test_against_a_model(void **state)
{
	struct model model = { xmalloc((size_t)STEPS * STEP_MOST), 0, 0 };
	struct buf buf = BUF_INIT;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < STEPS; i++) {
		step(&buf, &model, (unsigned)rand());
		expect_bytes(&buf, model.bytes + model.head,
			     model.tail - model.head);
	}
	assert_true(model.head > 0);
	buf_free(&buf);
	free(model.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_owns_nothing),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_blocks_are_reused),
		cmocka_unit_test(test_many_blocks),
		cmocka_unit_test(test_numbers_are_in_network_order),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_room_is_bounded_in_a_queue),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
