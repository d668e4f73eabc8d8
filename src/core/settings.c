/*
 * Sets of run-time settings, interned: what a client wants and what a server
 * has are compared by pointer.
 *
 * A set's identity is its bytes, name NUL value NUL and so on in the order of
 * names.  A set is immutable; changing one makes a draft of the new bytes
 * and looks whether they are known.  Any thread.
 *
 * Refuses to know which settings exist or what they mean; only those that end
 * with a transaction are turned away.  Text in and out is settings_text's.
 */
#include "core/settings.h"

#include "base/util.h"
#include "core/intern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	const char *name; /* both in the set's bytes */
	const char *value;
};

struct settings {
	struct intern_item item;
	size_t count;
	struct setting *rows; /* by name */
	char *bytes;          /* rows and bytes lie behind the struct */
	const struct settings *parsing; /* NULL: the set itself */
};

/* A set as it is being written: base with one name replaced. */
struct draft {
	struct settings *settings;
	char *end; /* of the bytes so far */
};

static struct intern_table sets = INTERN_TABLE_INIT;
static struct settings nothing;

static struct settings *settings_of(struct intern_item *item)
{
	return (struct settings *)(void *)((char *)item -
					   offsetof(struct settings, item));
}

/* --- names ---------------------------------------------------------------- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word_char(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '$';
}

bool settings_is_name(const char *name)
{
	for (;; name++) {
		if (!is_letter(*name))
			return false;
		while (is_word_char(*name))
			name++;
		if (*name != '.')
			return *name == '\0';
	}
}

/* Compares a folded name with one that need not be. */
static int compare_names(const char *folded, const char *name)
{
	while (*folded && *folded == util_fold(*name)) {
		folded++;
		name++;
	}
	return (unsigned char)*folded - (unsigned char)util_fold(*name);
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (compare_names(*list, name) == 0)
			return true;
	return false;
}

/* Their values end with the transaction, so that nobody inherits them. */
static bool is_of_transaction(const char *name)
{
	static const char *const list[] = { "transaction_deferrable",
					    "transaction_isolation",
					    "transaction_read_only", NULL };

	return is_one_of(name, list);
}

/*
 * What PostgreSQL looks at when it turns a text into a parse tree, in which
 * names are resolved and literals of unknown type converted already: lexer,
 * path, role (for "$user"), and the input functions of dates, money, arrays
 * and XML (PostgreSQL docs, "Client Connection Defaults", "Version and
 * Platform Compatibility").
 */
static const char *const of_parsing[] = {
	"array_nulls",
	"backslash_quote",
	"client_encoding",
	"datestyle",
	"intervalstyle",
	"lc_monetary",
	"role",
	"search_path",
	"session_authorization",
	"standard_conforming_strings",
	"timezone",
	"timezone_abbreviations",
	"transform_null_equals",
	"xmloption",
	NULL,
};

static bool is_of_parsing(const char *name)
{
	return is_one_of(name, of_parsing);
}

const char *settings_parsing_name(size_t index)
{
	return of_parsing[index];
}

/* --- references ------------------------------------------------------------
 */

const struct settings *settings_empty(void)
{
	return &nothing;
}

const struct settings *settings_hold(const struct settings *settings)
{
	assert(settings);
	if (settings != &nothing)
		intern_hold((struct intern_item *)&settings->item);
	return settings;
}

/* A subset has none of its own: this goes one step down at most. */
static void free_set(struct settings *settings)
{
	if (settings->parsing)
		settings_release(settings->parsing);
	free(settings);
}

void settings_release(const struct settings *settings)
{
	struct settings *dropped = (struct settings *)settings;

	assert(settings);
	if (dropped == &nothing || !intern_drop(&sets, &dropped->item))
		return;
	free_set(dropped);
}

size_t settings_interned(void)
{
	return intern_count(&sets);
}

/* --- making -----------------------------------------------------------------
 */

static struct draft draft_begin(size_t most_rows, size_t most_bytes)
{
	struct settings *settings =
		xmalloc(sizeof(*settings) + most_rows * sizeof(struct setting) +
			most_bytes);

	settings->count = 0;
	settings->parsing = NULL;
	settings->item.group = 0;
	settings->rows = (struct setting *)(void *)(settings + 1);
	settings->bytes = (char *)(settings->rows + most_rows);
	return (struct draft){ settings, settings->bytes };
}

static void draft_add(struct draft *draft, const char *name, const char *value)
{
	struct setting *row = &draft->settings->rows[draft->settings->count++];
	size_t value_size = strlen(value) + 1;

	row->name = draft->end;
	for (; *name; name++)
		*draft->end++ = util_fold(*name);
	*draft->end++ = '\0';
	row->value = draft->end;
	memcpy(draft->end, value, value_size);
	draft->end += value_size;
}

static const struct settings *draft_end(const struct draft *draft);

/* The rows that matter to parsing as a set; NULL: all of them do. */
static const struct settings *parsing_of(const struct settings *settings)
{
	struct draft draft = draft_begin(settings->count, settings->item.len);

	for (size_t i = 0; i < settings->count; i++)
		if (is_of_parsing(settings->rows[i].name))
			draft_add(&draft, settings->rows[i].name,
				  settings->rows[i].value);
	if (draft.settings->count < settings->count)
		return draft_end(&draft);
	free(draft.settings);
	return NULL;
}

/* The known set of these bytes, or the draft itself from now on. */
static const struct settings *draft_end(const struct draft *draft)
{
	struct settings *settings = draft->settings;
	struct intern_item *kept;

	if (settings->count == 0) {
		free(settings);
		return &nothing;
	}
	settings->item.data = settings->bytes;
	settings->item.len = (size_t)(draft->end - settings->bytes);
	kept = intern_find(&sets, settings->bytes, settings->item.len);
	if (!kept) {
		settings->parsing = parsing_of(settings);
		kept = intern_add(&sets, &settings->item);
	}
	if (kept != &settings->item)
		free_set(settings);
	return settings_of(kept);
}

/* The first row whose name is not below the given one. */
static size_t find_row(const struct settings *settings, const char *name,
		       bool *is_there)
{
	size_t low = 0;
	size_t high = settings->count;

	*is_there = false;
	while (low < high && !*is_there) {
		size_t middle = low + (high - low) / 2;
		int order = compare_names(settings->rows[middle].name, name);

		*is_there = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return *is_there ? high : low;
}

static const struct setting *row_of(const struct settings *settings,
				    const char *name)
{
	bool is_there;
	size_t at = find_row(settings, name, &is_there);

	return is_there ? &settings->rows[at] : NULL;
}

static const struct settings *make(const struct settings *base,
				   const char *name, const char *value)
{
	const struct setting *rows = base->rows;
	bool is_there;
	size_t place = find_row(base, name, &is_there);
	size_t behind = is_there ? place + 1 : place;
	size_t more = value ? strlen(name) + strlen(value) + 2 : 0;
	struct draft draft =
		draft_begin(base->count + 1, base->item.len + more);

	for (size_t i = 0; i < place; i++)
		draft_add(&draft, rows[i].name, rows[i].value);
	if (value)
		draft_add(&draft, name, value);
	for (size_t i = behind; i < base->count; i++)
		draft_add(&draft, rows[i].name, rows[i].value);
	return draft_end(&draft);
}

const struct settings *settings_with(const struct settings *base,
				     const char *name, const char *value)
{
	const char *old = settings_get(base, name);
	bool is_same = value ? old && strcmp(old, value) == 0 : !old;

	if (is_same || !settings_is_name(name) || is_of_transaction(name))
		return settings_hold(base);
	return make(base, name, value);
}

const char *settings_get(const struct settings *settings, const char *name)
{
	const struct setting *row = row_of(settings, name);

	return row ? row->value : NULL;
}

const struct settings *settings_parsing(const struct settings *settings)
{
	return settings->parsing ? settings->parsing : settings;
}

size_t settings_count(const struct settings *settings)
{
	return settings->count;
}

bool settings_at(const struct settings *settings, size_t index,
		 const char **name, const char **value)
{
	if (index >= settings->count)
		return false;
	*name = settings->rows[index].name;
	*value = settings->rows[index].value;
	return true;
}
