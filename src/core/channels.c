/*
 * Sets of channel names, and the SQL that goes with them.
 *
 * A set keeps the order in which its members came, as PostgreSQL does: that is
 * what pg_listening_channels() shows.  Names and payloads come from clients:
 * both are always quoted, names as identifiers, payloads as E'' literals, which
 * mean the same under any settings.  Pure; one thread at a time.
 */
#include "core/channels.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/pgwire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct channels {
	char **names; /* in the order of their coming */
	size_t count;
	size_t room;
	struct strmap *map; /* name -> the same in names */
};

struct channels *channels_new(void)
{
	struct channels *channels = xcalloc(1, sizeof(*channels));

	channels->map = strmap_new();
	return channels;
}

void channels_free(struct channels *channels)
{
	if (!channels)
		return;
	strmap_free(channels->map, free);
	free(channels->names);
	free(channels);
}

bool channels_add(struct channels *channels, const char *name)
{
	char *copy;

	if (channels_has(channels, name))
		return false;
	if (channels->count == channels->room) {
		channels->room = channels->room ? channels->room * 2 : 4;
		channels->names =
			xrealloc(channels->names,
				 channels->room * sizeof(*channels->names));
	}
	copy = xstrdup(name);
	channels->names[channels->count++] = copy;
	(void)strmap_put(channels->map, name, copy);
	return true;
}

bool channels_remove(struct channels *channels, const char *name)
{
	char *kept = strmap_remove(channels->map, name);
	size_t at = 0;

	if (!kept)
		return false;
	while (channels->names[at] != kept)
		at++;
	assert(at < channels->count);
	channels->count--;
	memmove(channels->names + at, channels->names + at + 1,
		(channels->count - at) * sizeof(*channels->names));
	free(kept);
	return true;
}

bool channels_has(const struct channels *channels, const char *name)
{
	return strmap_get(channels->map, name) != NULL;
}

size_t channels_count(const struct channels *channels)
{
	return channels->count;
}

const char *channels_at(const struct channels *channels, size_t index)
{
	assert(index < channels->count);
	return channels->names[index];
}

struct channels *channels_minus(const struct channels *more,
				const struct channels *less)
{
	struct channels *rest = channels_new();

	for (size_t i = 0; i < more->count; i++)
		if (!less || !channels_has(less, more->names[i]))
			(void)channels_add(rest, more->names[i]);
	return rest;
}

/* --- texts --- */

/* Between quotes, which are doubled inside. */
static void append_quoted(struct buf *sql, const char *text, const char *twice)
{
	for (; *text; text++) {
		if (strchr(twice, *text))
			buf_append_u8(sql, (uint8_t)*text);
		buf_append_u8(sql, (uint8_t)*text);
	}
}

static void append_name(struct buf *sql, const char *name)
{
	buf_append_text(sql, "\"");
	append_quoted(sql, name, "\"");
	buf_append_text(sql, "\"");
}

void channels_listen(struct buf *sql, const char *name)
{
	buf_append_text(sql, "LISTEN ");
	append_name(sql, name);
	buf_append_text(sql, ";");
}

void channels_unlisten(struct buf *sql, const char *name)
{
	buf_append_text(sql, "UNLISTEN ");
	append_name(sql, name);
	buf_append_text(sql, ";");
}

void channels_notify(struct buf *sql, const char *name, const char *payload)
{
	buf_append_text(sql, "NOTIFY ");
	append_name(sql, name);
	buf_append_text(sql, ",E'");
	append_quoted(sql, payload, "'\\");
	buf_append_text(sql, "';");
}

char *channels_read_row(const struct pgwire_message *message)
{
	const uint8_t *body = message->body;
	uint32_t len;

	if (message->body_here < message->body_len || message->body_len < 6 ||
	    (body[0] == 0 && body[1] == 0))
		return NULL;
	len = pgwire_u32(body + 2);
	if (len > message->body_len - 6)
		return NULL; /* also SQL NULL, whose length is -1 */
	if (memchr(body + 6, '\0', len))
		return NULL;
	return xstrndup((const char *)body + 6, len);
}
