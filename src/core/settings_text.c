/*
 * Settings as text: what a startup packet's "options" says, and the
 * statements that make a server's settings those of a client.
 *
 * A client's value must mean on the server what it means in a startup packet.
 * SET "name" TO 'value' does that, takes no snapshot and is cheaper than
 * set_config(), save for three kinds that must go through the function:
 *  - variables that hold a list of names, where SET would take the whole text
 *    as one name (GUC_LIST_QUOTE; extensions cannot have such);
 *  - names that the lexer would cut at 63 bytes;
 *  - values with bytes outside of ASCII: the server would read them in the
 *    encoding of the client it had before, so they are sent in hexadecimal
 *    with the encoding that they are in.
 * What is left is ASCII without surprises in every encoding, and a backslash
 * is written so that standard_conforming_strings does not matter.
 *
 * Any thread.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/settings.h"

#include <stdlib.h>
#include <string.h>

enum { IDENTIFIER_MAX = 63 }; /* PostgreSQL's NAMEDATALEN less the NUL */

/* --- what options say --------------------------------------------------------
 */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Copies the next word to out, backslashes resolved; false at the end
 * (PostgreSQL, postinit.c pg_split_opts).
 */
static bool next_word(const char **from, char *out)
{
	const char *at = *from;

	while (is_space(*at))
		at++;
	if (*at == '\0')
		return false;
	for (; *at && !is_space(*at); at++) {
		if (*at == '\\' && at[1] == '\0')
			continue;
		if (*at == '\\')
			at++;
		*out++ = *at;
	}
	*out = '\0';
	*from = at;
	return true;
}

/* Adds "name=value", which is cut in two; NULL, or why not. */
static const char *assign(const struct settings **into, char *assignment)
{
	const struct settings *old = *into;
	char *equals = strchr(assignment, '=');

	if (!equals)
		return "an option needs a value: name=value";
	*equals = '\0';
	for (char *c = assignment; *c; c++)
		if (*c == '-')
			*c = '_';
	if (!settings_is_name(assignment))
		return "an option names something that is not a setting";
	*into = settings_with(old, assignment, equals + 1);
	settings_release(old);
	return NULL;
}

/* Adds what one word says, or two: "-c" may stand apart from its argument. */
static const char *add_switch(const struct settings **into, char *word,
			      const char **following)
{
	if (word[0] != '-' || (word[1] != '-' && word[1] != 'c'))
		return "only -c name=value and --name=value are understood";
	if (word[1] == '-' || word[2])
		return assign(into, word + 2);
	if (!next_word(following, word))
		return "the option -c needs name=value";
	return assign(into, word);
}

bool settings_add_options(const struct settings **into, const char *options,
			  const char **why)
{
	const struct settings *made = settings_hold(*into);
	char *word = xmalloc(strlen(options) + 1);
	const char *refusal = NULL;

	while (!refusal && next_word(&options, word))
		refusal = add_switch(&made, word, &options);
	free(word);
	if (refusal) {
		settings_release(made);
		*why = refusal;
		return false;
	}
	settings_release(*into);
	*into = made;
	return true;
}

/* --- what a server is told
 * ----------------------------------------------------- */

/* "a"."b": quoted, since a name may be a keyword. */
static void append_name(struct buf *sql, const char *name)
{
	buf_append_u8(sql, '"');
	for (; *name; name++) {
		if (*name == '.')
			buf_append_text(sql, "\".\"");
		else
			buf_append_u8(sql, (uint8_t)*name);
	}
	buf_append_u8(sql, '"');
}

/* A string constant of ASCII text. */
static void append_literal(struct buf *sql, const char *text)
{
	size_t len = strlen(text);
	uint8_t *start = buf_reserve(sql, 2 * len + 3);
	uint8_t *at = start;

	if (strchr(text, '\\'))
		*at++ = 'E';
	*at++ = '\'';
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			*at++ = (uint8_t)*text;
		*at++ = (uint8_t)*text;
	}
	*at++ = '\'';
	buf_commit(sql, (size_t)(at - start));
}

static void append_hex(struct buf *sql, const char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		buf_append_u8(sql, (uint8_t)digits[byte >> 4]);
		buf_append_u8(sql, (uint8_t)digits[byte & 15]);
	}
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Text whose bytes are in an encoding (NULL: in the database's own). */
static void append_encoded(struct buf *sql, const char *text,
			   const char *encoding)
{
	buf_append_text(sql, "pg_catalog.convert_from(pg_catalog.decode('");
	append_hex(sql, text);
	buf_append_text(sql, "','hex'),");
	if (encoding && is_ascii(encoding))
		append_literal(sql, encoding);
	else
		buf_append_text(sql, "pg_catalog.getdatabaseencoding()");
	buf_append_text(sql, ")");
}

static bool is_too_long(const char *name)
{
	size_t len = 0;

	for (; *name; name++) {
		len = *name == '.' ? 0 : len + 1;
		if (len > IDENTIFIER_MAX)
			return true;
	}
	return false;
}

/* Those of pg_dump's variable_is_guc_list_quote that a session may set. */
static bool is_quoted_list(const char *name)
{
	return strcmp(name, "search_path") == 0 ||
	       strcmp(name, "temp_tablespaces") == 0 ||
	       strcmp(name, "local_preload_libraries") == 0 ||
	       strcmp(name, "session_preload_libraries") == 0;
}

static void append_value(struct buf *sql, const char *value,
			 const char *encoding)
{
	if (!value)
		buf_append_text(sql, "NULL");
	else if (is_ascii(value))
		append_literal(sql, value);
	else
		append_encoded(sql, value, encoding);
}

/* A value of NULL: the server's own default. */
static void append_call(struct buf *sql, const char *name, const char *value,
			const char *encoding, bool is_local)
{
	buf_append_text(sql, "pg_catalog.set_config(");
	append_literal(sql, name);
	buf_append_text(sql, ",");
	append_value(sql, value, encoding);
	buf_append_text(sql, is_local ? ",true)" : ",false)");
}

static void append_select(struct buf *sql, const char *name, const char *value,
			  const char *encoding)
{
	buf_append_text(sql, "SELECT ");
	append_call(sql, name, value, encoding, false);
	buf_append_text(sql, ";");
}

static void append_reset(struct buf *sql, const char *name)
{
	if (is_too_long(name)) {
		append_select(sql, name, NULL, NULL);
		return;
	}
	buf_append_text(sql, "RESET ");
	append_name(sql, name);
	buf_append_text(sql, ";");
}

static void append_set(struct buf *sql, const char *name, const char *value,
		       const char *encoding)
{
	if (is_quoted_list(name) || is_too_long(name) || !is_ascii(value)) {
		append_select(sql, name, value, encoding);
		return;
	}
	buf_append_text(sql, "SET ");
	append_name(sql, name);
	buf_append_text(sql, " TO ");
	append_literal(sql, value);
	buf_append_text(sql, ";");
}

/* Setting the first one undoes the second, hence the order. */
static const char *const identities[] = { "session_authorization", "role" };
enum { IDENTITIES = sizeof(identities) / sizeof(identities[0]) };

static bool is_identity(const char *name)
{
	return strcmp(name, identities[0]) == 0 ||
	       strcmp(name, identities[1]) == 0;
}

/*
 * A value of DateStyle may leave half of the old one standing ("DMY"), so
 * that what it meant depends on what was there; start from the default.
 */
static bool is_partial(const char *name)
{
	return strcmp(name, "datestyle") == 0;
}

static void reset_others(const struct settings *from, const struct settings *to,
			 struct buf *sql)
{
	const char *name;
	const char *value;

	for (size_t i = 0; settings_at(from, i, &name, &value); i++) {
		const char *wanted = settings_get(to, name);
		bool is_changed = !wanted || strcmp(wanted, value) != 0;

		if (is_identity(name) || !is_changed)
			continue;
		if (!wanted || is_partial(name))
			append_reset(sql, name);
	}
}

static void set_others(const struct settings *from, const struct settings *to,
		       struct buf *sql)
{
	const char *encoding = settings_get(to, "client_encoding");
	const char *name;
	const char *value;

	for (size_t i = 0; settings_at(to, i, &name, &value); i++) {
		const char *present = settings_get(from, name);
		bool is_same = present && strcmp(present, value) == 0;

		if (!is_identity(name) && !is_same)
			append_set(sql, name, value, encoding);
	}
}

/*
 * Identities go first and come back last, so that everything between is
 * done with the rights of the login.
 */
void settings_difference(const struct settings *from, const struct settings *to,
			 struct buf *sql)
{
	const char *encoding = settings_get(to, "client_encoding");

	if (from == to)
		return;
	for (size_t i = IDENTITIES; i-- > 0;)
		if (settings_get(from, identities[i]))
			append_reset(sql, identities[i]);
	reset_others(from, to, sql);
	set_others(from, to, sql);
	for (size_t i = 0; i < IDENTITIES; i++) {
		const char *value = settings_get(to, identities[i]);

		if (value)
			append_set(sql, identities[i], value, encoding);
	}
}

/* --- for the rest of a transaction ---------------------------------------- */

static void append_local(struct buf *sql, const char *name, const char *value,
			 const char *encoding)
{
	buf_append_text(sql, buf_len(sql) == 0 ? "SELECT " : ",");
	append_call(sql, name, value, encoding, true);
}

void settings_localize(const struct settings *from, const struct settings *to,
		       struct buf *sql)
{
	const char *encoding = settings_get(to, "client_encoding");
	const char *name;

	for (size_t i = 0; (name = settings_parsing_name(i)) != NULL; i++) {
		const char *present = from ? settings_get(from, name) : NULL;
		const char *wanted = settings_get(to, name);
		bool is_same = wanted ? present && strcmp(wanted, present) == 0
				      : from && !present;

		if (is_identity(name) || is_same)
			continue;
		if (wanted && is_partial(name))
			append_local(sql, name, NULL, NULL);
		append_local(sql, name, wanted, encoding);
	}
}
