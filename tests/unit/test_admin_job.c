/*
 * Rows of a listing as the messages that go to the client.
 */
#include "control/admin_job.h"

#include "base/util.h"
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct admin_job *job_new(void)
{
	struct admin_job *job = xcalloc(1, sizeof(*job));

	job->sqlstate = "";
	job->now_us = 5000000;
	job->wall_us = 1700000000ULL * 1000000;
	return job;
}

/* The next message of the job; it must be whole. */
static struct pgwire_message next(const struct buf *out, size_t *at)
{
	struct pgwire_message message = { .body = (const uint8_t *)"" };

	assert_int_equal(
		pgwire_read(buf_head(out) + *at, buf_len(out) - *at, &message),
		PGWIRE_OK);
	assert_true(pgwire_is_complete(&message));
	*at += message.total;
	return message;
}

static unsigned u16_at(const struct pgwire_message *message, size_t at)
{
	assert_true(at + 2 <= message->body_len);
	return (unsigned)message->body[at] << 8 | message->body[at + 1];
}

/* Checks the value that begins at *at; NULL: SQL NULL. */
static void assert_value(const struct pgwire_message *message, size_t *at,
			 const char *expected)
{
	uint32_t len;

	assert_true(*at + 4 <= message->body_len);
	len = pgwire_u32(message->body + *at);
	*at += 4;
	if (!expected) {
		assert_int_equal(len, UINT32_MAX);
		return;
	}
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(message->body + *at, expected, len);
	*at += len;
}

static void test_columns(void **state)
{
	static const struct {
		const char *name;
		uint32_t oid;
		unsigned size;
	} expected[] = {
		{ "name", 25, 0xffff },
		{ "items", 23, 4 },
		{ "total", 20, 8 },
		{ "value", 1700, 0xffff },
	};
	struct buf out = BUF_INIT;
	struct pgwire_message message;
	size_t at = 0;

	(void)state;
	admin_write_columns(&out, "name items:i total:q value:n");
	message = next(&out, &at);
	assert_int_equal(message.type, 'T');
	assert_int_equal(u16_at(&message, 0), 4);
	at = 2;
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal((const char *)message.body + at,
				    expected[i].name);
		at += strlen(expected[i].name) + 1;
		assert_int_equal(pgwire_u32(message.body + at + 6),
				 expected[i].oid);
		assert_int_equal(u16_at(&message, at + 10), expected[i].size);
		at += 18;
	}
	assert_int_equal(at, message.body_len);
	buf_free(&out);
}

static void test_count(void **state)
{
	(void)state;
	assert_int_equal(admin_count_columns(""), 0);
	assert_int_equal(admin_count_columns("a"), 1);
	assert_int_equal(admin_count_columns("a:i b  c:q "), 3);
}

static void test_rows(void **state)
{
	struct admin_job *job = job_new();
	struct pgwire_message message;
	size_t at = 0;
	size_t value = 2;

	(void)state;
	admin_row_begin(job);
	admin_put_text(job, "one");
	admin_put_text(job, "");
	admin_put_text(job, NULL);
	admin_put_number(job, -42);
	admin_put_time(job, 4000000);
	admin_put_time(job, 0);
	admin_row_end(job);
	admin_row_begin(job);
	admin_row_end(job);

	message = next(&job->out, &at);
	assert_int_equal(message.type, 'D');
	assert_int_equal(u16_at(&message, 0), 6);
	assert_value(&message, &value, "one");
	assert_value(&message, &value, "");
	assert_value(&message, &value, NULL);
	assert_value(&message, &value, "-42");
	assert_value(&message, &value, "2023-11-14 22:13:19 UTC");
	assert_value(&message, &value, NULL);
	assert_int_equal(value, message.body_len);
	message = next(&job->out, &at);
	assert_int_equal(u16_at(&message, 0), 0);
	assert_int_equal(at, buf_len(&job->out));
	admin_job_free(job);
}

static void test_many_rows(void **state)
{
	enum { ROWS = 10000 };
	struct admin_job *job = job_new();
	size_t at = 0;

	(void)state;
	for (int i = 0; i < ROWS; i++) {
		admin_row_begin(job);
		admin_put_number(job, i);
		admin_put_text(job, "some text");
		admin_row_end(job);
	}
	for (int i = 0; i < ROWS; i++) {
		struct pgwire_message message = next(&job->out, &at);

		assert_int_equal(u16_at(&message, 0), 2);
	}
	assert_int_equal(at, buf_len(&job->out));
	admin_job_free(job);
}

static void test_fail(void **state)
{
	struct admin_job *job = job_new();

	(void)state;
	admin_job_fail(job, "42704", "look there", "no %s %d", "client", 7);
	admin_job_fail(job, "0A000", NULL, "another");
	assert_string_equal(job->sqlstate, "42704");
	assert_string_equal(job->error, "no client 7");
	assert_string_equal(job->hint, "look there");
	admin_job_free(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
