/*
 * The machinery of options: one reader, one printer and one comparison per
 * type, for whatever table of rows is given.
 *
 * Refuses to know any option by name.  Every text comes from a file that
 * people write, so it is judged here and the answer says what would be right;
 * the value of a secret is in no message.  Invariant: a field holds either its
 * default or a value within the limits of its row.  Pure; any thread may read
 * tables, a struct belongs to who fills it.
 */
#include "core/option.h"

#include "base/buf.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	ECHO_MAX = 40,     /* bytes of a bad value that a message repeats */
	NEAR_DISTANCE = 4, /* edits that still look like a slip */
	MODE_MAX = 07777
};

/* Longest time that is taken for meant: some 30 years. */
#define TIME_MAX_US INT64_C(1000000000000000)
#define SECOND_US   1000000U

/* Letter case does not count; a NULL word ends the table. */
struct suffix {
	const char *word;
	uint64_t factor;
};

static const struct suffix time_suffixes[] = {
	{ "us", 1 },
	{ "ms", 1000 },
	{ "s", SECOND_US },
	{ "min", UINT64_C(60) * SECOND_US },
	{ "h", UINT64_C(3600) * SECOND_US },
	{ "d", UINT64_C(86400) * SECOND_US },
	{ NULL, 0 },
};

static const struct suffix size_suffixes[] = {
	{ "B", 1 },
	{ "kB", UINT64_C(1) << 10 },
	{ "MB", UINT64_C(1) << 20 },
	{ "GB", UINT64_C(1) << 30 },
	{ NULL, 0 },
};

/* What people write; it is printed as 0 or 1. */
static const struct option_choice bool_words[] = {
	{ "0", 0, NULL },     { "1", 1, NULL },    { "no", 0, NULL },
	{ "yes", 1, NULL },   { "off", 0, NULL },  { "on", 1, NULL },
	{ "false", 0, NULL }, { "true", 1, NULL }, { NULL, 0, NULL },
};

/* Rows without a field (aliases, dead keys) have size 0. */
bool option_is_text(const struct option *option)
{
	return option->size > 0 &&
	       (option->type == OPTION_STRING ||
		option->type == OPTION_SECRET || option->type == OPTION_LIST);
}

/* Rows of aliases and of dead keys have no field: nobody may ask for it. */
static void *field_of(const struct option *option, void *base)
{
	assert(option->size > 0);
	return (char *)base + option->offset;
}

static const void *field_in(const struct option *option, const void *base)
{
	assert(option->size > 0);
	return (const char *)base + option->offset;
}

/* The string itself stays the field's; NULL when unset. */
static char *text_of(const struct option *option, const void *base)
{
	char *text = NULL;

	assert(option_is_text(option) && option->size == sizeof(text));
	memcpy(&text, field_in(option, base), sizeof(text));
	return text;
}

/* A number as it lies in its field: bool, int or 64 bits. */
static int64_t number_of(const struct option *option, const void *base)
{
	const void *field = field_in(option, base);
	int64_t wide = 0;
	int narrow = 0;
	bool flag = false;

	switch (option->size) {
	case sizeof(flag): memcpy(&flag, field, sizeof(flag)); return flag;
	case sizeof(narrow):
		memcpy(&narrow, field, sizeof(narrow));
		return narrow;
	default: memcpy(&wide, field, sizeof(wide)); return wide;
	}
}

/* The counterpart; -1 becomes UINT64_MAX in a field of 64 bits. */
static void store_number(const struct option *option, void *base, int64_t value)
{
	void *field = field_of(option, base);
	int narrow = (int)value;
	bool flag = value != 0;

	assert(option->size == sizeof(flag) || option->size == sizeof(narrow) ||
	       option->size == sizeof(value));
	switch (option->size) {
	case sizeof(flag): memcpy(field, &flag, sizeof(flag)); break;
	case sizeof(narrow): memcpy(field, &narrow, sizeof(narrow)); break;
	default: memcpy(field, &value, sizeof(value)); break;
	}
}

/* The old string may be a secret: it is wiped before it goes. */
static void store_text(const struct option *option, void *base,
		       const char *text)
{
	char *fresh = text ? xstrdup(text) : NULL;
	char *old = text_of(option, base);

	if (old)
		util_wipe(old, strlen(old));
	free(old);
	memcpy(field_of(option, base), &fresh, sizeof(fresh));
}

/* The upper limit: the row's, else what the type can hold. */
static int64_t widest(const struct option *option)
{
	if (option->max != 0)
		return option->max;
	switch (option->type) {
	case OPTION_TIME: return TIME_MAX_US;
	case OPTION_MODE: return MODE_MAX;
	case OPTION_SIZE: return INT64_MAX;
	default: return INT32_MAX;
	}
}

/* Words that are refused are not offered. */
static void describe_words(const struct option_choice *choices, struct buf *out)
{
	const char *before = "";

	for (; choices->word; choices++) {
		if (choices->refused)
			continue;
		buf_printf(out, "%s%s", before, choices->word);
		before = ", ";
	}
}

/* Seconds, with no more digits behind the point than are needed. */
static void format_time(uint64_t time_us, struct buf *out)
{
	unsigned rest = (unsigned)(time_us % SECOND_US);
	char digits[16];
	size_t len;

	buf_printf(out, "%" PRIu64, time_us / SECOND_US);
	if (rest == 0)
		return;
	(void)snprintf(digits, sizeof(digits), ".%06u", rest);
	for (len = strlen(digits); len > 1 && digits[len - 1] == '0'; len--)
		digits[len - 1] = '\0';
	buf_append(out, digits, len);
}

/* Every number in the form in which it is read back. */
static void format_number(const struct option *option, int64_t value,
			  struct buf *out)
{
	if (option->type == OPTION_TIME)
		format_time((uint64_t)value, out);
	else if (option->type == OPTION_MODE)
		buf_printf(out, "%04o", (unsigned)value);
	else
		buf_printf(out, "%" PRId64, value);
}

void option_describe_range(const struct option *option, struct buf *out)
{
	bool is_text = option->type == OPTION_STRING ||
		       option->type == OPTION_SECRET ||
		       option->type == OPTION_LIST;

	if (option->type == OPTION_BOOL) {
		buf_printf(out, "0 or 1 (no, yes, off, on, false, true)");
		return;
	}
	if (option->choices) {
		describe_words(option->choices, out);
		if (is_text || option->type == OPTION_CHOICE)
			return;
		buf_printf(out, " or ");
	}
	if (is_text || option->type == OPTION_CHOICE)
		return;
	format_number(option, option->min, out);
	buf_printf(out, " to ");
	format_number(option, widest(option), out);
}

void option_describe_least(const struct option *option, struct buf *out)
{
	format_number(option, option->min, out);
	buf_printf(out, " or more");
}

const char *option_unit(const struct option *option)
{
	if (option->unit)
		return option->unit;
	switch (option->type) {
	case OPTION_TIME: return "seconds";
	case OPTION_SIZE: return "bytes";
	case OPTION_MODE: return "octal";
	default: return "";
	}
}

/* Always false, so that a reader can end with it. */
static bool refuse(const struct option *option, const char *text,
		   const char *fault, struct buf *why)
{
	const char *unit = option_unit(option);

	buf_printf(why, "\"%.*s%s\" %s; give ", ECHO_MAX, text,
		   strlen(text) > ECHO_MAX ? "..." : "", fault);
	option_describe_range(option, why);
	if (*unit)
		buf_printf(why, " (%s)", unit);
	return false;
}

static const struct option_choice *find_word(
	const struct option_choice *choices, const char *text)
{
	for (; choices && choices->word; choices++)
		if (strcasecmp(choices->word, text) == 0)
			return choices;
	return NULL;
}

/* One word of a list, whatever its letters' case. */
static bool parse_word(const struct option *option, const char *text,
		       void *base, struct buf *why)
{
	const struct option_choice *words =
		option->type == OPTION_BOOL ? bool_words : option->choices;
	const struct option_choice *word = find_word(words, text);

	if (!word)
		return refuse(option, text, "is not a known word", why);
	if (word->refused)
		return refuse(option, text, word->refused, why);
	store_number(option, base, word->value);
	return true;
}

/* Blanks, then a suffix of the table or nothing; its factor, 0 when bad. */
static uint64_t parse_suffix(const struct suffix *table, const char *text,
			     uint64_t usual)
{
	while (*text == ' ' || *text == '\t')
		text++;
	if (!*text)
		return usual;
	for (; table->word; table++)
		if (strcasecmp(table->word, text) == 0)
			return table->factor;
	return 0;
}

/* value * factor, or no more than INT64_MAX. */
static int64_t multiply(uint64_t value, uint64_t factor)
{
	if (value > (uint64_t)INT64_MAX / factor)
		return INT64_MAX;
	return (int64_t)(value * factor);
}

/* Decimal digits; false when there is none.  Overflow stays at the top. */
static bool parse_digits(const char **at, uint64_t *value)
{
	const char *start = *at;

	*value = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		if (*value > (uint64_t)INT64_MAX / 10 - 1)
			*value = (uint64_t)INT64_MAX / 10 - 1;
		*value = *value * 10 + (unsigned)(**at - '0');
	}
	return *at > start;
}

/*
 * The part behind the point, in units of factor, rounded up: a wait of a
 * nanosecond must not become 0, which means "off".
 */
static bool parse_fraction(const char **at, uint64_t factor, uint64_t *part)
{
	const uint64_t scale = UINT64_C(1000000000000);
	uint64_t weight = scale / 10;
	uint64_t nines = 0;
	bool is_rest = false;
	const char *start = *at;

	for (; **at >= '0' && **at <= '9'; (*at)++) {
		uint64_t digit = (uint64_t)(**at - '0');

		is_rest |= weight == 0 && digit > 0;
		nines += digit * weight;
		weight /= 10;
	}
	/* factor is at most a day; the product of both needs 128 bits. */
	*part = (uint64_t)(((unsigned __int128)nines * factor + scale - 1 +
			    (nines == 0 && is_rest)) /
			   scale);
	return *at > start;
}

/* A number with a suffix, times with a fraction; in the smallest unit. */
static bool parse_scaled(const struct option *option, const char *text,
			 int64_t *value)
{
	bool is_time = option->type == OPTION_TIME;
	const struct suffix *table = is_time ? time_suffixes : size_suffixes;
	const char *at = text;
	const char *fraction = NULL;
	uint64_t whole = 0;
	uint64_t part = 0;
	uint64_t factor;
	bool has_digits = parse_digits(&at, &whole);

	if (is_time && *at == '.') {
		fraction = ++at;
		has_digits |= *at >= '0' && *at <= '9';
		while (*at >= '0' && *at <= '9')
			at++;
	}
	factor = parse_suffix(table, at, is_time ? SECOND_US : 1);
	if (!has_digits || factor == 0)
		return false;
	if (fraction)
		(void)parse_fraction(&fraction, factor, &part);
	*value = multiply(whole, factor);
	if (*value <= INT64_MAX - (int64_t)part)
		*value += (int64_t)part;
	return true;
}

/*
 * A whole number in this base.  strtoll would take blanks and a plus, and
 * stays at its end of the range when the text is beyond it: the limits of the
 * row then refuse it.
 */
static bool parse_plain(const char *text, int base, int64_t *value)
{
	char *end = NULL;

	if (*text < '0' && *text != '-')
		return false;
	errno = 0;
	*value = strtoll(text, &end, base);
	return end != text && *end == '\0';
}

/* A word for a number ("auto"), or the number within its limits. */
static bool parse_number(const struct option *option, const char *text,
			 void *base, struct buf *why)
{
	const struct option_choice *word = find_word(option->choices, text);
	int64_t value = 0;
	bool is_read;

	if (word) {
		store_number(option, base, word->value);
		return true;
	}
	if (option->type == OPTION_TIME || option->type == OPTION_SIZE)
		is_read = parse_scaled(option, text, &value);
	else
		is_read = parse_plain(
			text, option->type == OPTION_MODE ? 8 : 10, &value);
	if (!is_read)
		return refuse(option, text, "is not a number", why);
	if (value < option->min || value > widest(option))
		return refuse(option, text, "is out of its limits", why);
	store_number(option, base, value);
	return true;
}

/* Any text, unless the row lists the words that are possible. */
static bool parse_text(const struct option *option, const char *text,
		       void *base, struct buf *why)
{
	if (option->choices && !find_word(option->choices, text))
		return refuse(option, text, "is not a known word", why);
	store_text(option, base, text);
	return true;
}

/* A key without a field takes anything: it has no effect. */
bool option_parse(const struct option *option, const char *text, void *base,
		  struct buf *why)
{
	if (option->size == 0)
		return true;
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_SECRET:
	case OPTION_LIST: return parse_text(option, text, base, why);
	case OPTION_BOOL:
	case OPTION_CHOICE: return parse_word(option, text, base, why);
	default: return parse_number(option, text, base, why);
	}
}

/* What stands for "the wider scope's value holds". */
static void set_unset(const struct option *option, void *base)
{
	if (option_is_text(option))
		store_text(option, base, NULL);
	else
		store_number(option, base,
			     option->type == OPTION_CHOICE ? 0 : -1);
}

void option_set_default(const struct option *option, void *base)
{
	struct buf why = BUF_INIT;
	bool is_valid;

	if (option->size == 0)
		return;
	if (!option->fallback) {
		set_unset(option, base);
		return;
	}
	is_valid = option_parse(option, option->fallback, base, &why);
	assert(is_valid && "a default of the table is outside its own limits");
	(void)is_valid;
	buf_free(&why);
}

void option_table_set_defaults(const struct option_table *table, void *base)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at)))
		option_set_default(option, base);
}

/* The word for this value; false when there is none. */
static bool format_choice(const struct option *option, int64_t value,
			  struct buf *out)
{
	for (const struct option_choice *choice = option->choices;
	     choice && choice->word; choice++) {
		if (choice->value != value)
			continue;
		buf_printf(out, "%s", choice->word);
		return true;
	}
	return false;
}

/* "Unset" is printed as nothing. */
static bool is_unset(const struct option *option, int64_t value)
{
	return !option->fallback &&
	       value == (option->type == OPTION_CHOICE ? 0 : -1);
}

void option_format(const struct option *option, const void *base,
		   struct buf *out)
{
	const char *text;
	int64_t value;

	if (option->size == 0) {
		buf_printf(out, "%s", option->fallback ? option->fallback : "");
		return;
	}
	if (option_is_text(option)) {
		text = text_of(option, base);
		if (text && *text && option->type == OPTION_SECRET)
			text = "****";
		buf_printf(out, "%s", text ? text : "");
		return;
	}
	value = number_of(option, base);
	if (format_choice(option, value, out) || is_unset(option, value))
		return;
	format_number(option, value, out);
}

/* Unset and empty are different: one means the wider scope's value. */
bool option_is_equal(const struct option *option, const void *one,
		     const void *other)
{
	const char *left;
	const char *right;

	if (option->size == 0)
		return true;
	if (!option_is_text(option))
		return number_of(option, one) == number_of(option, other);
	left = text_of(option, one);
	right = text_of(option, other);
	if (!left || !right)
		return left == right;
	return strcmp(left, right) == 0;
}

/* Not by store_text: what is there belongs to the other struct. */
void option_table_own(const struct option_table *table, void *base)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at))) {
		const char *text;
		char *own;

		if (!option_is_text(option))
			continue;
		text = text_of(option, base);
		own = text ? xstrdup(text) : NULL;
		memcpy(field_of(option, base), &own, sizeof(own));
	}
}

/* Strings alone own memory; numbers may stay as they are. */
void option_table_clear(const struct option_table *table, void *base)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at)))
		if (option_is_text(option))
			store_text(option, base, NULL);
}

const struct option *option_next(const struct option_table *table, unsigned *at)
{
	unsigned index = *at;

	/* A position counts the rows of all groups, one after the other. */
	for (unsigned i = 0; i < table->group_count; i++) {
		if (index < table->groups[i].count) {
			(*at)++;
			return &table->groups[i].rows[index];
		}
		index -= table->groups[i].count;
	}
	return NULL;
}

const struct option *option_find(const struct option_table *table,
				 const char *name, bool follow)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at)))
		if (strcmp(option->name, name) == 0)
			break;
	if (option && follow && option->state == OPTION_ALIAS)
		return option_find(table, option->note, false);
	return option;
}

const char *option_nearest(const struct option_table *table, const char *name)
{
	/* The longer the word, the more slips it may have. */
	unsigned limit = (unsigned)strlen(name) / 3 + 2;
	const struct option *option;
	const char *nearest = NULL;
	unsigned at = 0;

	if (limit > NEAR_DISTANCE)
		limit = NEAR_DISTANCE;
	while ((option = option_next(table, &at))) {
		unsigned distance = util_distance(name, option->name, limit);

		if (distance < limit) {
			limit = distance;
			nearest = option->name;
		}
	}
	return nearest;
}
