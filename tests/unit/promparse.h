#ifndef PGWEIR_TESTS_PROMPARSE_H
#define PGWEIR_TESTS_PROMPARSE_H

/*
 * A small strict parser of Prometheus' text format for tests: every line is
 * judged, and each sample must follow the TYPE of its own metric, with no
 * series twice.
 */
#include "base/buf.h"
#include "base/strmap.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

struct promparse {
	struct strmap *samples; /* "name{labels}" to the text of its value */
	struct strmap *types;   /* name to "counter", ... */
};

static inline const char *promparse_name(const char *at)
{
	assert_true(isalpha(*at) || *at == '_');
	while (isalnum(*at) || *at == '_' || *at == ':')
		at++;
	return at;
}

/* Just past the closing quote of a label's value. */
static inline const char *promparse_string(const char *at)
{
	assert_int_equal(*at, '"');
	for (at++; *at != '"'; at++) {
		assert_true(*at != '\0' && *at != '\n');
		if (*at == '\\') {
			at++;
			assert_true(*at == 'n' || *at == '"' || *at == '\\');
		}
	}
	return at + 1;
}

static inline const char *promparse_labels(const char *at)
{
	do {
		at = promparse_name(at + 1);
		assert_int_equal(*at, '=');
		at = promparse_string(at + 1);
	} while (*at == ',');
	assert_int_equal(*at, '}');
	return at + 1;
}

/* The metric that a sample belongs to: a histogram's has suffixes. */
static inline const char *promparse_base(struct promparse *page, char *name)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count" };

	if (strmap_get(page->types, name))
		return name;
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(name);
		size_t end = strlen(suffixes[i]);

		if (len > end && strcmp(name + len - end, suffixes[i]) == 0) {
			name[len - end] = '\0';
			assert_string_equal(strmap_get(page->types, name),
					    "histogram");
			return name;
		}
	}
	fail_msg("sample without TYPE: %s", name);
	return NULL;
}

static inline void promparse_sample(struct promparse *page, const char *line,
				    const char *last_type)
{
	const char *end = promparse_name(line);
	char *name = strndup(line, (size_t)(end - line));
	char *after;
	char *value;

	if (*end == '{')
		end = promparse_labels(end);
	assert_int_equal(*end, ' ');
	(void)strtod(end + 1, &after);
	assert_true(after > end + 1);
	assert_int_equal(*after, '\n');
	assert_string_equal(promparse_base(page, name), last_type);
	value = strndup(end + 1, (size_t)(after - end - 1));
	assert_null(strmap_put_bytes(page->samples, line, (size_t)(end - line),
				     value));
	free(name);
}

/* Text must be NUL-terminated; free with promparse_free. */
static inline struct promparse promparse_read(const char *text)
{
	struct promparse page = { strmap_new(), strmap_new() };
	char help[128] = "";
	char type[128] = "";
	char word[16];

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		if (sscanf(line, "# HELP %127s", help) == 1)
			continue;
		if (sscanf(line, "# TYPE %127s %15s", type, word) == 2) {
			assert_string_equal(type, help);
			assert_null(strmap_put(page.types, type, strdup(word)));
			continue;
		}
		promparse_sample(&page, line, type);
	}
	return page;
}

static inline void promparse_free(struct promparse *page)
{
	strmap_free(page->samples, free);
	strmap_free(page->types, free);
}

/* The value of a series, or NULL. */
static inline const char *promparse_get(const struct promparse *page,
					const char *series)
{
	return strmap_get(page->samples, series);
}

#endif
