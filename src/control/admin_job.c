/*
 * Jobs and their rows.
 *
 * Rows are built as the messages that the console will send, so that a
 * listing of ten thousand clients is one buffer from the first worker to the
 * last.  The types are what PgBouncer says they are: clients that compute
 * with a column get a number.
 */
#include "control/admin_job.h"

#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void admin_job_fail(struct admin_job *job, const char *sqlstate,
		    const char *hint, const char *format, ...)
{
	va_list args;

	if (*job->sqlstate)
		return;
	va_start(args, format);
	if (vasprintf(&job->error, format, args) < 0)
		abort();
	va_end(args);
	job->sqlstate = sqlstate;
	job->hint = hint;
}

void admin_job_free(struct admin_job *job)
{
	if (job->gathered)
		job->drop(job->gathered);
	buf_free(&job->out);
	free(job->text);
	free(job->error);
	free(job);
}

/* --- columns -----------------------------------------------------------------
 */

/* The next word of the text, and its type; false at the end. */
static bool next_column(const char **columns, const char **name, size_t *len,
			char *type)
{
	const char *at = *columns + strspn(*columns, " ");
	size_t size = strcspn(at, " ");

	if (size == 0)
		return false;
	*name = at;
	*columns = at + size;
	*len = strcspn(at, ": ");
	*type = 's';
	if (*len < size)
		*type = at[*len + 1];
	return true;
}

unsigned admin_count_columns(const char *columns)
{
	const char *name;
	size_t len;
	char type;
	unsigned count = 0;

	while (next_column(&columns, &name, &len, &type))
		count++;
	return count;
}

/* Numbers of pg_type, and the size of a value there. */
static const struct {
	char letter;
	uint32_t oid;
	uint16_t size;
} types[] = {
	{ 's', 25, UINT16_MAX },
	{ 'i', 23, 4 },
	{ 'q', 20, 8 },
	{ 'n', 1700, UINT16_MAX },
};

static void write_column(struct buf *out, const char *name, size_t len,
			 char type)
{
	size_t i = 0;

	while (types[i].letter != type) {
		i++;
		assert(i < sizeof(types) / sizeof(*types));
	}
	buf_append(out, name, len);
	buf_append_u8(out, 0);
	buf_append_u32(out, 0); /* of no table */
	buf_append_u16(out, 0); /* nor a column of it */
	buf_append_u32(out, types[i].oid);
	buf_append_u16(out, types[i].size);
	buf_append_u32(out, UINT32_MAX); /* no modifier */
	buf_append_u16(out, 0);          /* as text */
}

void admin_write_columns(struct buf *out, const char *columns)
{
	size_t start = pgbuild_begin(out, 'T');
	const char *name;
	size_t len;
	char type;

	buf_append_u16(out, (uint16_t)admin_count_columns(columns));
	while (next_column(&columns, &name, &len, &type))
		write_column(out, name, len, type);
	pgbuild_end(out, start);
}

/* --- rows
 * ---------------------------------------------------------------------- */

void admin_row_begin(struct admin_job *job)
{
	job->row = pgbuild_begin(&job->out, 'D');
	job->values = 0;
	buf_append_u16(&job->out, 0); /* how many: admin_row_end */
}

void admin_put_text(struct admin_job *job, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	buf_append_u32(&job->out, value ? (uint32_t)len : UINT32_MAX);
	if (len > 0)
		buf_append(&job->out, value, len);
	job->values++;
}

void admin_put_number(struct admin_job *job, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	admin_put_text(job, text);
}

void admin_put_time(struct admin_job *job, uint64_t at_us)
{
	char text[32];
	struct tm parts;
	time_t seconds;

	if (at_us == 0) {
		admin_put_text(job, NULL);
		return;
	}
	seconds = (time_t)((job->wall_us - (job->now_us - at_us)) / 1000000);
	(void)gmtime_r(&seconds, &parts);
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
	admin_put_text(job, text);
}

void admin_row_end(struct admin_job *job)
{
	uint8_t *count = buf_head(&job->out) + job->row + PGWIRE_HEADER;

	assert(job->values <= UINT16_MAX);
	count[0] = (uint8_t)(job->values >> 8);
	count[1] = (uint8_t)job->values;
	pgbuild_end(&job->out, job->row);
}
