/*
 * The questions about a server's session state, and their answers.
 *
 * Rows come as (kind, name, value): kind "s" is a setting, "p" a pin by its
 * name in the table of parts.  Everything is qualified with pg_catalog, since
 * search_path is one of the things that are asked about.
 *
 * pg_settings shows neither role, session_authorization nor the settings that
 * have only been made up (PostgreSQL docs, "Customized Options"), so these
 * are asked for by name.  Any thread.
 */
#include "core/inspect.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/pgwire.h"
#include "core/reported.h"
#include "core/settings.h"
#include "core/sqlfacts.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

enum {
	NAME_MAX_LEN = 200,
	/* More of them cost the server more than all settings do. */
	NAMED_MAX = 40,
	NAMES_MAX = 400,
	COLUMNS = 3
};

#define IS " OPERATOR(pg_catalog.=) "

/* Parts that find a pin; the effect's ends are what may have removed it. */
static const struct part {
	unsigned part;
	uint32_t pin;
	uint32_t begins; /* effects after which it may be there */
	uint32_t ends;   /* ... after which it may be gone */
	const char *name;
	const char *where;
} parts[] = {
	{ INSPECT_TEMP, EFFECT_TEMP, EFFECT_TEMP,
	  EFFECT_DDL | EFFECT_DISCARD | EFFECT_DISCARD_ALL, "temp",
	  "FROM pg_catalog.pg_depend WHERE refclassid" IS "2615 AND refobjid" IS
	  "pg_catalog.pg_my_temp_schema()" },
	{ INSPECT_LOCKS, EFFECT_ADVISORY, EFFECT_ADVISORY,
	  EFFECT_UNLOCK | EFFECT_UNLOCK_ALL | EFFECT_DISCARD_ALL, "lock",
	  "FROM pg_catalog.pg_locks WHERE locktype" IS "'advisory' AND pid" IS
	  "pg_catalog.pg_backend_pid()" },
	{ INSPECT_CURSORS, EFFECT_HOLD, EFFECT_HOLD,
	  EFFECT_CURSOR | EFFECT_CLOSE_ALL | EFFECT_DISCARD_ALL, "hold",
	  "FROM pg_catalog.pg_cursors WHERE is_holdable" },
	{ INSPECT_STATEMENTS, EFFECT_PREPARE, EFFECT_PREPARE,
	  EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL, "prepare",
	  "FROM pg_catalog.pg_prepared_statements WHERE from_sql" },
	{ INSPECT_CHANNELS, EFFECT_LISTEN, EFFECT_LISTEN,
	  EFFECT_UNLISTEN_ALL | EFFECT_DISCARD_ALL, "listen",
	  "FROM pg_catalog.pg_listening_channels()" },
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

uint32_t inspect_pins_of(unsigned asked)
{
	uint32_t pins = 0;

	if (asked & (INSPECT_NAMED | INSPECT_SETTINGS))
		pins |= EFFECT_SET;
	for (size_t i = 0; i < PARTS; i++)
		if (asked & parts[i].part)
			pins |= parts[i].pin;
	return pins;
}

/* EXECUTE runs what nobody has looked at. */
unsigned inspect_parts(uint32_t effects, uint32_t pins)
{
	const uint32_t anything = EFFECT_HIDDEN | EFFECT_EXECUTE;
	unsigned asked = 0;

	if (effects == 0)
		return 0;
	if (effects & EFFECT_SET)
		asked |= INSPECT_NAMED;
	if (effects & (anything | EFFECT_RESET_ALL | EFFECT_DISCARD_ALL))
		asked |= INSPECT_SETTINGS;
	for (size_t i = 0; i < PARTS; i++) {
		const struct part *part = &parts[i];

		if ((effects & (part->begins | anything)) ||
		    ((pins & part->pin) && (effects & part->ends)))
			asked |= part->part;
	}
	return asked;
}

/* --- names that a text may set ------------------------------------------- */

/* Quotes may stand around each part of a name. */
static bool is_name_char(uint8_t c)
{
	return c == '"' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '.';
}

/* Words that stand for the name of a setting in some form of SET. */
static const struct {
	const char *word;
	const char *name;
} aliases[] = {
	{ "zone", "timezone" },
	{ "names", "client_encoding" },
	{ "option", "xmloption" },
	{ "schema", "search_path" },
	{ "authorization", "session_authorization" },
	{ "characteristics", "default_transaction_isolation" },
	{ "characteristics", "default_transaction_read_only" },
	{ "characteristics", "default_transaction_deferrable" },
};

static void add_name(struct strmap *names, const char *name)
{
	(void)strmap_put(names, name, names);
}

/* False when the word makes names useless. */
static bool add_word(struct strmap *names, const char *word)
{
	if (strcmp(word, "reset") == 0 || strcmp(word, "default") == 0)
		return false;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		if (strcmp(word, aliases[i].word) == 0)
			add_name(names, aliases[i].name);
	if (strmap_count(names) < NAMES_MAX && settings_is_name(word))
		add_name(names, word);
	return true;
}

/* The next word that is short enough for a name; false: there is none. */
static bool next_word(const uint8_t *text, size_t len, size_t *at,
		      char word[static NAME_MAX_LEN + 2])
{
	while (*at < len) {
		size_t used = 0;

		for (; *at < len && is_name_char(text[*at]); (*at)++)
			if (text[*at] != '"' && used <= NAME_MAX_LEN)
				word[used++] = util_fold((char)text[*at]);
		(*at)++;
		if (used == 0 || used > NAME_MAX_LEN)
			continue;
		word[used] = '\0';
		return true;
	}
	return false;
}

bool inspect_collect(struct strmap *names, const void *text, size_t len)
{
	char word[NAME_MAX_LEN + 2];
	size_t at = 0;
	bool is_enough = true;

	while (next_word(text, len, &at, word))
		is_enough = add_word(names, word) && is_enough;
	return is_enough && strmap_count(names) <= NAMED_MAX;
}

static unsigned reading_of_name(const char *name)
{
	const char *parsing;

	for (size_t i = 0; (parsing = settings_parsing_name(i)) != NULL; i++)
		if (strcmp(parsing, name) == 0)
			return reported_has(name, strlen(name))
				       ? INSPECT_READING_TOLD
				       : INSPECT_READING_UNSEEN;
	return 0;
}

unsigned inspect_reading(const void *text, size_t len)
{
	char word[NAME_MAX_LEN + 2];
	unsigned found = 0;
	size_t at = 0;

	/* A name may be computed, or written in escapes. */
	if (!inspect_is_named(text, len) ||
	    (len > 0 && memchr(text, '\\', len)))
		return INSPECT_READING_UNSEEN;
	while (next_word(text, len, &at, word)) {
		found |= reading_of_name(word);
		for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
			if (strcmp(word, aliases[i].word) == 0)
				found |= reading_of_name(aliases[i].name);
	}
	return found;
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
		at++;
	return at;
}

/* Behind one character, perhaps after space; NULL: there is another one. */
static const char *skip_char(const char *at, const char *end, char c)
{
	at = skip_space(at, end);
	return at < end && *at == c ? at + 1 : NULL;
}

/* Behind 'text' or $1 and the comma; NULL: something else. */
static const char *skip_constant(const char *at, const char *end)
{
	at = skip_space(at, end);
	if (at < end && *at == '$') {
		for (at++; at < end && *at >= '0' && *at <= '9'; at++)
			continue;
	} else if (at < end && *at == '\'') {
		at = memchr(at + 1, '\'', (size_t)(end - at - 1));
		if (!at)
			return NULL;
		at++;
	}
	return skip_char(at, end, ',');
}

/* Behind set_config, perhaps quoted: ( 'name' , or ( $1 , */
static const char *skip_name(const char *at, const char *end)
{
	if (at < end && *at == '"')
		at++;
	at = skip_char(at, end, '(');
	return at ? skip_constant(at, end) : NULL;
}

/* ... 'value', true ) */
static bool is_local_call(const char *at, const char *end)
{
	at = skip_name(at, end);
	if (at)
		at = skip_constant(at, end);
	if (!at)
		return false;
	at = skip_space(at, end);
	if (end - at < 4 || strncasecmp(at, "true", 4) != 0)
		return false;
	return skip_char(at + 4, end, ')') != NULL;
}

static const char call[] = "set_config";
enum { CALL_LEN = sizeof(call) - 1 };

bool inspect_is_local(const void *text, size_t len)
{
	const char *at = text;
	const char *end = at + len;

	for (; end - at >= 3; at++) {
		if (strncasecmp(at, "set", 3) != 0)
			continue;
		if (end - at < CALL_LEN || strncasecmp(at, call, CALL_LEN) != 0)
			return false;
		if (!is_local_call(at + CALL_LEN, end))
			return false;
	}
	return true;
}

bool inspect_is_named(const void *text, size_t len)
{
	const char *at = text;
	const char *end = at + len;

	for (; end - at >= CALL_LEN; at++)
		if (strncasecmp(at, call, CALL_LEN) == 0 &&
		    !skip_name(at + CALL_LEN, end))
			return false;
	return true;
}

/* --- the query ------------------------------------------------------------ */

static void append_name(struct buf *sql, const char *name)
{
	buf_append_text(sql, ",'");
	buf_append_text(sql, name);
	buf_append_text(sql, "'");
}

static bool is_custom(const char *name)
{
	return strchr(name, '.') != NULL;
}

/* Their current values; names that do not exist have none. */
static void append_named(struct buf *sql, bool is_all,
			 const struct strmap *names,
			 const struct settings *known)
{
	const char *name;
	const char *value;
	void *ignored;
	size_t at = 0;

	buf_append_text(
		sql, "SELECT 's', n, v FROM (SELECT n, "
		     "pg_catalog.current_setting(n, true) AS v FROM "
		     "pg_catalog.unnest(ARRAY['role','session_authorization'");
	while (strmap_next(names, &at, &name, &ignored))
		if (!is_all || is_custom(name))
			append_name(sql, name);
	for (size_t i = 0; settings_at(known, i, &name, &value); i++)
		if (is_all && is_custom(name))
			append_name(sql, name);
	buf_append_text(sql,
			"]::pg_catalog.text[]) AS n) AS x WHERE v IS NOT NULL");
}

void inspect_query(struct buf *sql, unsigned asked, const struct strmap *names,
		   const struct settings *known)
{
	bool is_all = (asked & INSPECT_SETTINGS) != 0;
	const char *glue = "";

	buf_append_text(sql, "/* pgweir */ ");
	if (asked & (INSPECT_NAMED | INSPECT_SETTINGS)) {
		append_named(sql, is_all, names, known);
		glue = " UNION ALL ";
	}
	if (is_all)
		buf_append_text(sql,
				" UNION ALL SELECT 's', name, setting FROM "
				"pg_catalog.pg_settings WHERE source" IS
				"'session'");
	for (size_t i = 0; i < PARTS; i++) {
		if (!(asked & parts[i].part))
			continue;
		buf_printf(sql,
			   "%sSELECT 'p', '%s', '' WHERE EXISTS (SELECT %s)",
			   glue, parts[i].name, parts[i].where);
		glue = " UNION ALL ";
	}
}

/* --- the answer ------------------------------------------------------------
 */

/* One column of a DataRow, in place. */
struct column {
	const uint8_t *data;
	size_t len;
};

static bool read_columns(const uint8_t *body, size_t len,
			 struct column columns[static COLUMNS])
{
	size_t at = 2;

	if (len < 2 || pgwire_u16(body) != COLUMNS)
		return false;
	for (size_t i = 0; i < COLUMNS; i++) {
		uint32_t size;

		if (len - at < 4)
			return false;
		size = pgwire_u32(body + at);
		at += 4;
		if (size > len - at)
			return false;
		columns[i] = (struct column){ body + at, size };
		at += size;
	}
	return at == len;
}

static bool is_text(const struct column *column, const char *text)
{
	return column->len == strlen(text) &&
	       memcmp(column->data, text, column->len) == 0;
}

/* What the login left as it was is not set. */
static bool is_unset(const char *name, const char *value, const char *login)
{
	return (strcmp(name, "role") == 0 && strcmp(value, "none") == 0) ||
	       (strcmp(name, "session_authorization") == 0 &&
		strcmp(value, login) == 0);
}

/*
 * A made-up name under the prefix of a library: loading that library later,
 * for another client, would warn of it.
 */
static bool spoils(const char *name)
{
	static const char prefix[] = "plpgsql.";
	static const char *const known[] = {
		"variable_conflict", "print_strict_params", "check_asserts",
		"extra_warnings",    "extra_errors",
	};

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(name + sizeof(prefix) - 1, known[i]) == 0)
			return false;
	return true;
}

static void take_setting(struct inspect_result *result, const char *login,
			 const char *name, const char *value)
{
	const struct settings *before = result->settings;

	result->is_spoiling |= spoils(name);
	result->settings = settings_with(
		before, name, is_unset(name, value, login) ? NULL : value);
	settings_release(before);
}

static bool take_pin(struct inspect_result *result, const struct column *name)
{
	for (size_t i = 0; i < PARTS; i++) {
		if (!is_text(name, parts[i].name))
			continue;
		result->pins |= parts[i].pin;
		return true;
	}
	return false;
}

bool inspect_take_row(struct inspect_result *result, const char *login,
		      const void *body, size_t len)
{
	struct column columns[COLUMNS];
	struct buf text = BUF_INIT;
	const char *name;

	if (!read_columns(body, len, columns))
		return false;
	if (is_text(&columns[0], "p"))
		return take_pin(result, &columns[1]);
	if (!is_text(&columns[0], "s"))
		return false;
	buf_append(&text, columns[1].data, columns[1].len);
	buf_append_u8(&text, 0);
	buf_append(&text, columns[2].data, columns[2].len);
	buf_append_u8(&text, 0);
	name = (const char *)buf_head(&text);
	assert(name);
	take_setting(result, login, name, name + columns[1].len + 1);
	buf_free(&text);
	return true;
}

/* What was made up once is never unset again, but empty. */
static bool is_reset(const char *name, const char *value)
{
	return !value || (*value == '\0' && is_custom(name));
}

const struct settings *inspect_restore(const struct settings *found,
				       const struct settings *startup)
{
	const struct settings *made = settings_hold(found);
	const char *name;
	const char *value;

	for (size_t i = 0; settings_at(startup, i, &name, &value); i++) {
		const struct settings *before = made;

		if (!is_reset(name, settings_get(found, name)))
			continue;
		made = settings_with(before, name, value);
		settings_release(before);
	}
	return made;
}
