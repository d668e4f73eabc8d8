/*
 * Two sets made from the input, one as options of a startup packet, one pair
 * by pair; then the statements that lead from each to the other.  Those must
 * be of balanced quotes in both readings of a backslash, so that no value can
 * end its constant.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Steps over a constant; is_escaped: a backslash takes the next byte along. */
static const char *skip_constant(const char *at, bool is_escaped)
{
	for (at++; *at; at++) {
		bool is_escape = *at == '\\' && is_escaped && at[1];
		bool is_doubled = *at == '\'' && at[1] == '\'';

		if (is_escape || is_doubled)
			at++;
		else if (*at == '\'')
			return at;
	}
	abort();
}

/* Outside of constants there is nothing but the words that we write. */
static size_t count_statements(const char *sql, bool is_plain_escaped)
{
	size_t count = 0;

	for (const char *at = sql; *at; at++) {
		must((unsigned char)*at < 0x80);
		if (*at == 'E' && at[1] == '\'')
			at = skip_constant(at + 1, true);
		else if (*at == '\'')
			at = skip_constant(at, is_plain_escaped);
		else if (*at == ';')
			count++;
		else
			must(strchr("\"$_.,() ", *at) ||
			     (*at >= '0' && *at <= '9') ||
			     (*at >= 'A' && *at <= 'Z') ||
			     (*at >= 'a' && *at <= 'z'));
	}
	return count;
}

static void check_difference(const struct settings *from,
			     const struct settings *to)
{
	struct buf sql = BUF_INIT;
	const char *text;
	size_t count;

	settings_difference(from, to, &sql);
	must((from == to) == (buf_len(&sql) == 0));
	buf_append_u8(&sql, 0);
	text = (const char *)buf_head(&sql);
	must(strlen(text) + 1 == buf_len(&sql));
	count = count_statements(text, false);
	must(count == count_statements(text, true));
	must(count <= settings_count(from) + 2 * settings_count(to) + 2);
	buf_free(&sql);
}

/* Lines "name=value"; names that are none must change nothing. */
static const struct settings *from_lines(char *text)
{
	const struct settings *set = settings_hold(settings_empty());
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n"));) {
		char *value = strchr(line, '=');
		const struct settings *more;

		if (value)
			*value++ = '\0';
		more = settings_with(set, line, value);
		must(settings_is_name(line) || more == set);
		settings_release(set);
		set = more;
	}
	return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct settings *one = settings_hold(settings_empty());
	const struct settings *two;
	char *text = xstrndup((const char *)data, size);
	const char *why = NULL;

	if (!settings_add_options(&one, text, &why))
		must(why && one == settings_empty());
	two = from_lines(text);
	check_difference(one, two);
	check_difference(two, one);
	check_difference(settings_empty(), two);
	check_difference(two, settings_empty());
	settings_release(one);
	settings_release(two);
	must(settings_interned() == 0);
	free(text);
	return 0;
}
