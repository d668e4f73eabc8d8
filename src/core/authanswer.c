/*
 * The words of auth_query.
 *
 * The user's name is a parameter, never a part of the text.  Whoever can
 * write the table that is asked decides who may log in, so the answer is
 * trusted for that alone: it is about the user that was asked for, or it is
 * none.  Pure; any thread.
 */
#include "core/authanswer.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A second row would be one too many: it is asked for to be noticed. */
enum { ROWS_ASKED = 2, COLUMNS = 2 };

static void write_bind(struct buf *out, const char *user)
{
	size_t len = strlen(user);
	size_t start = pgbuild_begin(out, 'B');

	buf_append_u8(out, 0);  /* the unnamed portal ... */
	buf_append_u8(out, 0);  /* ... of the unnamed statement */
	buf_append_u16(out, 0); /* text */
	buf_append_u16(out, 1);
	buf_append_u32(out, (uint32_t)len);
	buf_append(out, user, len);
	buf_append_u16(out, 0); /* text, too */
	pgbuild_end(out, start);
}

void authanswer_ask(struct buf *out, const char *sql, const char *user)
{
	size_t start = pgbuild_begin(out, 'P');

	buf_append_u8(out, 0);
	buf_append(out, sql, strlen(sql) + 1);
	buf_append_u16(out, 0); /* no types: the server finds them */
	pgbuild_end(out, start);
	write_bind(out, user);
	start = pgbuild_begin(out, 'E');
	buf_append_u8(out, 0);
	buf_append_u32(out, ROWS_ASKED);
	pgbuild_end(out, start);
	pgbuild_empty(out, 'S');
}

/* The first fault is the one that is told. */
static void refuse(struct authanswer *answer, const char *why)
{
	if (answer->is_good)
		(void)snprintf(answer->why, sizeof(answer->why), "%s", why);
	answer->is_good = false;
}

static bool open_row(const struct pgwire_message *message,
		     struct pgwire_values *values)
{
	const uint8_t *body = message->body;

	if (message->body_len < 2)
		return false;
	*values = (struct pgwire_values){
		.at = body + 2,
		.left = message->body_len - 2,
		.count = (unsigned)body[0] << 8 | body[1],
	};
	return true;
}

static void take_secret(struct authanswer *answer, const char *secret,
			size_t len)
{
	if (!secret) {
		answer->secret = xstrdup("");
		return;
	}
	if (len > AUTHANSWER_SECRET_MAX || memchr(secret, 0, len)) {
		refuse(answer, "the secret is none: too long, or not a text");
		return;
	}
	answer->secret = xmalloc(len + 1);
	memcpy(answer->secret, secret, len);
	answer->secret[len] = '\0';
}

static void take_row(struct authanswer *answer,
		     const struct pgwire_message *message, const char *user)
{
	struct pgwire_values values;
	const char *name;
	const char *secret;
	size_t name_len;
	size_t len;

	if (!open_row(message, &values)) {
		refuse(answer, "malformed row");
		return;
	}
	if (values.count != COLUMNS) {
		refuse(answer, "a row must have two columns: name, secret");
		return;
	}
	if (!pgwire_next_value(&values, &name, &name_len) ||
	    !pgwire_next_value(&values, &secret, &len)) {
		refuse(answer, "malformed row");
		return;
	}
	if (!name || name_len != strlen(user) ||
	    memcmp(name, user, name_len) != 0)
		refuse(answer, "the row is about another user");
	else
		take_secret(answer, secret, len);
}

static void take_error(struct authanswer *answer,
		       const struct pgwire_message *message)
{
	struct pgwire_error error;

	refuse(answer, pgwire_read_error(message, &error) ? error.message
							  : "malformed error");
}

void authanswer_read(const void *data, size_t len, const char *user,
		     struct authanswer *answer)
{
	const uint8_t *at = data;
	const uint8_t *end = at + len;
	struct pgwire_message message;
	unsigned rows = 0;

	*answer = (struct authanswer){ .is_good = true };
	while (at < end) {
		if (pgwire_read(at, (size_t)(end - at), &message) !=
			    PGWIRE_OK ||
		    !pgwire_is_complete(&message)) {
			refuse(answer, "malformed answer");
			break;
		}
		if (message.type == 'E')
			take_error(answer, &message);
		else if (message.type == 'D' && rows++ > 0)
			refuse(answer, "more than one row");
		else if (message.type == 'D')
			take_row(answer, &message, user);
		at += message.total;
	}
	if (!answer->is_good)
		authanswer_clear(answer);
}

void authanswer_clear(struct authanswer *answer)
{
	util_free_secret(answer->secret);
	answer->secret = NULL;
}
