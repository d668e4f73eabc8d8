/*
 * Building protocol 3 messages (PostgreSQL docs, "Message Formats").
 *
 * Each message is appended whole to the end of a buffer, so that whatever is
 * in the buffer is a sequence of whole messages, in the order in which they
 * will be sent.  Messages of a few parts go through pgbuild_begin and
 * pgbuild_end; those whose length is known beforehand write their header
 * first.
 *
 * Refuses to judge what it is given: which message is due is the caller's.
 * Any thread; a buffer belongs to one at a time.
 */
#include "core/pgbuild.h"

#include <assert.h>
#include <string.h>

enum {
	HEADER = 5,
	MESSAGE_MAX = 0x3fffffff,
	PROTOCOL_3 = 3 << 16,
	CODE_CANCEL = 80877102,
	CODE_SSL = 80877103,
	AUTH_SASL = 10,
	TYPE_TEXT = 25 /* the OID of pg_catalog.text */
};

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
	return at + 4;
}

size_t pgbuild_begin(struct buf *out, char type)
{
	size_t start = buf_len(out);

	buf_append_u8(out, (uint8_t)type);
	buf_append_u32(out, 0);
	return start;
}

void pgbuild_end(struct buf *out, size_t start)
{
	size_t len = buf_len(out) - start;

	assert(len >= HEADER && len <= MESSAGE_MAX);
	(void)put_u32(buf_head(out) + start + 1, (uint32_t)(len - 1));
}

void pgbuild_header(struct buf *out, char type, size_t body_len)
{
	uint8_t *at = buf_reserve(out, HEADER);

	assert(body_len <= MESSAGE_MAX - HEADER);
	*at++ = (uint8_t)type;
	(void)put_u32(at, (uint32_t)body_len + 4);
	buf_commit(out, HEADER);
}

void pgbuild_message(struct buf *out, char type, const void *body, size_t len)
{
	pgbuild_header(out, type, len);
	buf_append(out, body, len);
}

void pgbuild_empty(struct buf *out, char type)
{
	pgbuild_header(out, type, 0);
}

/* A message whose body is one string. */
static void build_string(struct buf *out, char type, const char *text)
{
	pgbuild_message(out, type, text, strlen(text) + 1);
}

/* --- what a server says ------------------------------------------------ */

static void error_field(struct buf *out, char field, const char *text)
{
	if (!text)
		return;
	buf_append_u8(out, (uint8_t)field);
	buf_append_cstring(out, text);
}

/* The order of the fields is that of PostgreSQL's send_message_to_frontend. */
static void build_report(struct buf *out, char type,
			 const struct pgbuild_error *report)
{
	size_t start = pgbuild_begin(out, type);

	error_field(out, 'S', report->severity);
	error_field(out, 'V', report->severity);
	error_field(out, 'C', report->sqlstate);
	error_field(out, 'M', report->message);
	error_field(out, 'D', report->detail);
	error_field(out, 'H', report->hint);
	error_field(out, 'R', report->routine);
	buf_append_u8(out, 0);
	pgbuild_end(out, start);
}

void pgbuild_error(struct buf *out, const struct pgbuild_error *error)
{
	build_report(out, 'E', error);
}

void pgbuild_notice(struct buf *out, const struct pgbuild_error *notice)
{
	build_report(out, 'N', notice);
}

void pgbuild_auth(struct buf *out, uint32_t code, const void *rest, size_t len)
{
	pgbuild_header(out, 'R', 4 + len);
	buf_append_u32(out, code);
	buf_append(out, rest, len);
}

void pgbuild_auth_sasl(struct buf *out, const char *mechanism)
{
	size_t start = pgbuild_begin(out, 'R');

	buf_append_u32(out, AUTH_SASL);
	buf_append_cstring(out, mechanism);
	buf_append_u8(out, 0); /* end of the list */
	pgbuild_end(out, start);
}

void pgbuild_parameter_status(struct buf *out, const char *name,
			      const char *value)
{
	size_t start = pgbuild_begin(out, 'S');

	buf_append_cstring(out, name);
	buf_append_cstring(out, value);
	pgbuild_end(out, start);
}

void pgbuild_key(struct buf *out, uint32_t pid, const void *key, size_t len)
{
	pgbuild_header(out, 'K', 4 + len);
	buf_append_u32(out, pid);
	buf_append(out, key, len);
}

void pgbuild_notification(struct buf *out, uint32_t pid, const char *channel,
			  const char *payload)
{
	size_t start = pgbuild_begin(out, 'A');

	buf_append_u32(out, pid);
	buf_append_cstring(out, channel);
	buf_append_cstring(out, payload);
	pgbuild_end(out, start);
}

void pgbuild_ready(struct buf *out, char status)
{
	pgbuild_message(out, 'Z', &status, 1);
}

void pgbuild_command_complete(struct buf *out, const char *tag)
{
	build_string(out, 'C', tag);
}

void pgbuild_negotiate(struct buf *out, uint32_t newest_minor,
		       const char *const *options, size_t count)
{
	size_t start = pgbuild_begin(out, 'v');

	assert(newest_minor <= UINT16_MAX && count <= MESSAGE_MAX);
	buf_append_u32(out, PROTOCOL_3 | newest_minor);
	buf_append_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		buf_append_cstring(out, options[i]);
	pgbuild_end(out, start);
}

void pgbuild_row_description(struct buf *out, const char *const *names,
			     size_t count)
{
	size_t start = pgbuild_begin(out, 'T');

	assert(count <= UINT16_MAX);
	buf_append_u16(out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		buf_append_cstring(out, names[i]);
		buf_append_u32(out, 0); /* of no table */
		buf_append_u16(out, 0); /* nor a column of it */
		buf_append_u32(out, TYPE_TEXT);
		buf_append_u16(out, UINT16_MAX); /* length -1: varies */
		buf_append_u32(out, UINT32_MAX); /* modifier -1: none */
		buf_append_u16(out, 0);          /* as text */
	}
	pgbuild_end(out, start);
}

void pgbuild_data_row(struct buf *out, const char *const *values, size_t count)
{
	size_t start = pgbuild_begin(out, 'D');

	assert(count <= UINT16_MAX);
	buf_append_u16(out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		size_t len = values[i] ? strlen(values[i]) : 0;

		/* -1 instead of a length: NULL. */
		buf_append_u32(out, values[i] ? (uint32_t)len : UINT32_MAX);
		buf_append(out, values[i], len);
	}
	pgbuild_end(out, start);
}

/* --- what a client says ------------------------------------------------ */

void pgbuild_ssl_request(struct buf *out)
{
	buf_append_u32(out, 8);
	buf_append_u32(out, CODE_SSL);
}

void pgbuild_cancel(struct buf *out, uint32_t pid, const void *key, size_t len)
{
	assert(len <= UINT16_MAX);
	buf_append_u32(out, (uint32_t)len + 12);
	buf_append_u32(out, CODE_CANCEL);
	buf_append_u32(out, pid);
	buf_append(out, key, len);
}

void pgbuild_startup(struct buf *out, const char *const *pairs, size_t count)
{
	size_t start = buf_len(out);
	size_t len;

	buf_append_u32(out, 0);
	buf_append_u32(out, PROTOCOL_3);
	for (size_t i = 0; i < 2 * count; i++)
		buf_append_cstring(out, pairs[i]);
	buf_append_u8(out, 0);
	len = buf_len(out) - start;
	assert(len <= MESSAGE_MAX);
	(void)put_u32(buf_head(out) + start, (uint32_t)len);
}

void pgbuild_password(struct buf *out, const char *password)
{
	build_string(out, 'p', password);
}

void pgbuild_sasl_initial(struct buf *out, const char *mechanism,
			  const void *data, size_t len)
{
	size_t start = pgbuild_begin(out, 'p');

	assert(len <= MESSAGE_MAX);
	buf_append_cstring(out, mechanism);
	buf_append_u32(out, data ? (uint32_t)len : UINT32_MAX);
	buf_append(out, data, data ? len : 0);
	pgbuild_end(out, start);
}

void pgbuild_sasl_response(struct buf *out, const void *data, size_t len)
{
	pgbuild_message(out, 'p', data, len);
}

void pgbuild_query(struct buf *out, const char *sql, size_t len)
{
	pgbuild_header(out, 'Q', len + 1);
	buf_append(out, sql, len);
	buf_append_u8(out, 0);
}

void pgbuild_parse(struct buf *out, const char *name, const void *tail,
		   size_t tail_len)
{
	size_t name_len = strlen(name) + 1;

	pgbuild_header(out, 'P', name_len + tail_len);
	buf_append(out, name, name_len);
	buf_append(out, tail, tail_len);
}

void pgbuild_target(struct buf *out, char type, char kind, const char *name)
{
	size_t name_len = strlen(name) + 1;

	pgbuild_header(out, type, 1 + name_len);
	buf_append_u8(out, (uint8_t)kind);
	buf_append(out, name, name_len);
}
