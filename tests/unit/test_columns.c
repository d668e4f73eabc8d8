/*
 * columns: what changes the number and what does not, and bytes that are cut
 * or wrong anywhere.
 */
#include "core/columns.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct column {
	const char *name;
	uint32_t table;
	uint16_t number;
	uint32_t type;
	uint16_t size;
	uint32_t modifier;
	uint16_t format;
};

static void put_column(struct buf *out, const struct column *column)
{
	buf_append_cstring(out, column->name);
	buf_append_u32(out, column->table);
	buf_append_u16(out, column->number);
	buf_append_u32(out, column->type);
	buf_append_u16(out, column->size);
	buf_append_u32(out, column->modifier);
	buf_append_u16(out, column->format);
}

static uint64_t number_of(uint8_t type, const struct buf *body)
{
	const struct pgwire_message message = {
		.type = type,
		.total = PGWIRE_HEADER + buf_len(body),
		.body = buf_head(body),
		.body_len = buf_len(body),
		.body_here = buf_len(body),
	};

	return columns_of(&message);
}

static uint64_t number_of_two(const struct column *one,
			      const struct column *two)
{
	struct buf body = BUF_INIT;
	uint64_t number;

	buf_append_u16(&body, 2);
	put_column(&body, one);
	put_column(&body, two);
	number = number_of('T', &body);
	buf_free(&body);
	return number;
}

static const struct column plain = { "a", 16384, 1, 23, 4, 0xffffffff, 0 };

static void what_matters(void **state)
{
	const struct column others[] = {
		{ "b", 16384, 1, 23, 4, 0xffffffff, 0 },
		{ "a", 16384, 1, 20, 4, 0xffffffff, 0 },
		{ "a", 16384, 1, 23, 8, 0xffffffff, 0 },
		{ "a", 16384, 1, 23, 4, 5, 0 },
	};
	uint64_t number = number_of_two(&plain, &plain);

	(void)state;
	assert_true(number != 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		assert_true(number_of_two(&plain, &others[i]) != number);
		assert_true(number_of_two(&others[i], &plain) !=
			    number_of_two(&plain, &others[i]));
	}
}

static void what_does_not(void **state)
{
	const struct column moved = { "a", 0, 7, 23, 4, 0xffffffff, 1 };

	(void)state;
	assert_true(number_of_two(&plain, &moved) ==
		    number_of_two(&plain, &plain));
}

static void none_is_something(void **state)
{
	struct buf body = BUF_INIT;
	uint64_t none;

	(void)state;
	none = number_of('n', &body);
	assert_true(none != 0);
	buf_append_u16(&body, 0);
	assert_true(number_of('T', &body) != 0);
	assert_true(number_of('T', &body) != none);
	assert_true(number_of('C', &body) == 0);
	buf_free(&body);
}

static void malformed_is_nothing(void **state)
{
	struct buf body = BUF_INIT;
	size_t whole;

	(void)state;
	buf_append_u16(&body, 2);
	put_column(&body, &plain);
	put_column(&body, &plain);
	whole = buf_len(&body);
	for (size_t len = 0; len < whole; len++) {
		struct buf cut = BUF_INIT;

		buf_append(&cut, buf_head(&body), len);
		assert_true(number_of('T', &cut) == 0);
		buf_free(&cut);
	}
	assert_true(number_of('T', &body) != 0);
	buf_append_u8(&body, 0);
	assert_true(number_of('T', &body) == 0);
	buf_free(&body);
}

static void what_is_not_here_is_nothing(void **state)
{
	static const uint8_t bytes[2];
	const struct pgwire_message message = {
		.type = 'T',
		.total = PGWIRE_HEADER + 4,
		.body = bytes,
		.body_len = 4,
		.body_here = 2,
	};

	(void)state;
	assert_true(columns_of(&message) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_matters),
		cmocka_unit_test(what_does_not),
		cmocka_unit_test(none_is_something),
		cmocka_unit_test(malformed_is_nothing),
		cmocka_unit_test(what_is_not_here_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
