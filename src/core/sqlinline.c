/*
 * Reads a text byte by byte, as strings and parameters are all that matters
 * in it.  Whatever could make a quote or a $ something else (comments, strings
 * with escapes, dollar quotes) is refused, and so is any function but
 * set_config(): what a parameter of another type is worth in a text of its
 * own need not be the same.
 */
#include "core/sqlinline.h"

#include "base/buf.h"
#include "core/pgwire.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { PARAMETERS_MAX = 16, VALUE_MAX = 1024 };

struct value {
	const char *text; /* NULL: it is that */
	size_t len;
};

struct values {
	struct value of[PARAMETERS_MAX];
	size_t count;
};

/* --- the Bind --- */

/* All of them texts, and none longer than what is worth writing. */
static bool read_values(const uint8_t *rest, size_t len, struct values *values)
{
	struct pgwire_values bound;

	if (!pgwire_open_values(rest, len, &bound) || !bound.are_texts ||
	    bound.count > PARAMETERS_MAX)
		return false;
	for (values->count = 0; bound.count > 0; values->count++) {
		struct value *value = &values->of[values->count];

		if (!pgwire_next_value(&bound, &value->text, &value->len) ||
		    value->len > VALUE_MAX ||
		    (value->text && memchr(value->text, '\0', value->len)))
			return false;
	}
	return true;
}

/* --- the text --- */

struct writer {
	const char *begin;
	const char *at;
	const char *end;
	struct buf out;
};

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' ||
	       (c & 0x80) != 0;
}

static bool follows_name(const struct writer *writer)
{
	return writer->at > writer->begin && is_name(writer->at[-1]);
}

/* A quoted piece as it stands; an escape string, or one left open: false. */
static bool copy_quoted(struct writer *writer)
{
	const char *from = writer->at;
	const char *last;

	if (*from == '\'' && follows_name(writer))
		return false;
	last = memchr(from + 1, *from, (size_t)(writer->end - from - 1));
	if (!last)
		return false;
	buf_append(&writer->out, from, (size_t)(last - from) + 1);
	writer->at = last + 1;
	return true;
}

static void write_value(struct buf *out, const struct value *value)
{
	if (!value->text) {
		buf_append_text(out, "NULL");
		return;
	}
	/* Right whatever standard_conforming_strings says. */
	buf_append_text(out,
			memchr(value->text, '\\', value->len) ? " E'" : "'");
	for (size_t i = 0; i < value->len; i++) {
		char c = value->text[i];

		if (c == '\'' || c == '\\')
			buf_append_u8(out, (uint8_t)c);
		buf_append_u8(out, (uint8_t)c);
	}
	buf_append_text(out, "'");
}

static bool write_parameter(struct writer *writer, const struct values *values)
{
	size_t number = 0;

	if (follows_name(writer))
		return false;
	for (writer->at++; writer->at < writer->end &&
			   isdigit((unsigned char)*writer->at) && number < 100;
	     writer->at++)
		number = number * 10 + (size_t)(*writer->at - '0');
	if (number == 0 || number > values->count)
		return false;
	write_value(&writer->out, &values->of[number - 1]);
	return true;
}

/* The word in front of a parenthesis. */
static bool is_call(const struct writer *writer)
{
	static const char name[] = "set_config";
	const size_t len = sizeof(name) - 1;
	const char *at = writer->at;

	while (at > writer->begin && isspace((unsigned char)at[-1]))
		at--;
	return (size_t)(at - writer->begin) > len &&
	       strncasecmp(at - len, name, len) == 0 && !is_name(at[-len - 1]);
}

static bool write_one(struct writer *writer, const struct values *values)
{
	const char *at = writer->at;

	switch (*at) {
	case '\'':
	case '"': return copy_quoted(writer);
	case '$': return write_parameter(writer, values);
	case '-':
	case '/':
	case '\\': return false;
	case '(':
		if (!is_call(writer))
			return false;
		break;
	default: break;
	}
	buf_append_u8(&writer->out, (uint8_t)*at);
	writer->at++;
	return true;
}

bool sqlinline_write(const char *sql, size_t len, const uint8_t *values,
		     size_t values_len, struct buf *out)
{
	struct writer writer = { sql, sql, sql + len, BUF_INIT };
	struct values read = { .count = 0 };
	bool is_done = read_values(values, values_len, &read) &&
		       memchr(sql, '\\', len) == NULL;

	while (is_done && writer.at < writer.end)
		is_done = write_one(&writer, &read);
	if (is_done)
		buf_move(out, &writer.out);
	buf_free(&writer.out);
	return is_done;
}
