/*
 * Names of statements in error texts.
 *
 * PostgreSQL quotes a statement's name as "name"; ours are pgweir_ and a
 * number in hexadecimal (core/stmtmap).  Whatever only looks like one and
 * belongs to nobody stays as it is.
 */
#include "core/reword.h"

#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED_PREFIX "\"pgweir_"

enum { PREFIX_LEN = sizeof(QUOTED_PREFIX) - 1, DIGITS_MAX = 16 };

static const char *find(const char *text, size_t len)
{
	return memmem(text, len, QUOTED_PREFIX, PREFIX_LEN);
}

bool reword_is_needed(const void *body, size_t len)
{
	return find(body, len) != NULL;
}

/* The number behind the prefix; 0 when it is none of our names. */
static size_t read_id(const char *digits, size_t len, uint64_t *id)
{
	char text[DIGITS_MAX + 1];
	size_t count = 0;
	char *end;

	while (count < len && count < DIGITS_MAX && digits[count] != '"') {
		text[count] = digits[count];
		count++;
	}
	text[count] = '\0';
	if (count == 0 || count == len || digits[count] != '"')
		return 0;
	*id = strtoull(text, &end, 16);
	return end == text + count ? count : 0;
}

void reword_error(struct buf *out, const void *body, size_t len,
		  const char *(*name_of)(void *arg, uint64_t id), void *arg)
{
	const char *at = body;
	const char *end = at + len;
	const char *found;

	while ((found = find(at, (size_t)(end - at))) != NULL) {
		const char *digits = found + PREFIX_LEN;
		const char *name = NULL;
		uint64_t id = 0;
		size_t count = read_id(digits, (size_t)(end - digits), &id);

		if (count > 0)
			name = name_of(arg, id);
		assert(digits + count <= end);
		/* Up to and with the quote that opens the name. */
		buf_append(out, at, (size_t)(found + 1 - at));
		if (name)
			buf_append(out, name, strlen(name));
		else
			buf_append(out, found + 1,
				   (size_t)(digits + count - found - 1));
		at = digits + count;
	}
	buf_append(out, at, (size_t)(end - at));
}
