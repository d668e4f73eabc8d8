/*
 * Looks for the words that stand for the time of the transaction: now(),
 * CURRENT_DATE and the like, and 'today' in a literal, of which nobody knows
 * whether it becomes a date.
 *
 * A word counts wherever it stands, in comments and names as well: what is
 * taken for such a question only stays on the primary.
 */
#include "core/sqltime.h"

#include <string.h>
#include <strings.h>

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

static bool is_among(const char *word, size_t len)
{
	static const char *const words[] = {
		"now",
		"today",
		"tomorrow",
		"yesterday",
		"current_date",
		"current_time",
		"localtime",
		"current_timestamp",
		"localtimestamp",
		"transaction_timestamp",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == len &&
		    strncasecmp(words[i], word, len) == 0)
			return true;
	return false;
}

/* age(x) is counted from the current date; as a column it is not. */
static bool is_age(const char *word, size_t len, const char *end)
{
	const char *at = word + len;

	if (len != 3 || strncasecmp(word, "age", 3) != 0)
		return false;
	if (at < end && *at == '"')
		at++;
	while (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
		at++;
	/* A comment in between is too odd to be looked through. */
	return at < end && (*at == '(' || *at == '/' || *at == '-');
}

bool sqltime_is_asked(const char *text, size_t len)
{
	const char *end = text + len;

	for (const char *at = text; at < end;) {
		const char *word = at;

		while (at < end && is_word_char(*at))
			at++;
		if (is_among(word, (size_t)(at - word)) ||
		    is_age(word, (size_t)(at - word), end))
			return true;
		while (at < end && !is_word_char(*at))
			at++;
	}
	return false;
}
