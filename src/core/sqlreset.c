/*
 * Reads the few forms that reset (PostgreSQL docs, RESET, SET, DISCARD).
 *
 * No literal stands in any of them, so that neither encoding nor the setting
 * standard_conforming_strings matter; anything unexpected is no reset.
 */
#include "core/sqlreset.h"

#include "core/sqllex.h"

#include <string.h>

struct reader {
	struct sqllex lex;
	struct sqllex_token now;
};

static void advance(struct reader *reader)
{
	sqllex_next(&reader->lex, &reader->now);
}

static bool is_word(const struct reader *reader, const char *word)
{
	return sqllex_is_word(&reader->now, word);
}

static bool take(struct reader *reader, const char *word)
{
	if (!is_word(reader, word))
		return false;
	advance(reader);
	return true;
}

static bool is_over(struct reader *reader)
{
	while (reader->now.punct == ';')
		advance(reader);
	return reader->now.kind == SQLLEX_END;
}

/* name.name, as it is stored; false when it is none. */
static bool take_name(struct reader *reader,
		      char name[static SQLRESET_NAME_MAX + 1])
{
	char part[SQLLEX_NAME_MAX + 1];
	size_t used = 0;

	for (;;) {
		size_t len = sqllex_name(&reader->now, part);

		if (len == 0 || used + len + 1 > SQLRESET_NAME_MAX)
			return false;
		memcpy(name + used, part, len);
		used += len;
		advance(reader);
		if (reader->now.punct != '.')
			break;
		name[used++] = '.';
		advance(reader);
	}
	name[used] = '\0';
	return true;
}

static enum sqlreset_kind one(struct reader *reader, bool is_good)
{
	return is_good && is_over(reader) ? SQLRESET_ONE : SQLRESET_NONE;
}

static enum sqlreset_kind named(struct reader *reader, char *name,
				const char *known)
{
	memcpy(name, known, strlen(known) + 1);
	return one(reader, true);
}

static enum sqlreset_kind read_reset(struct reader *reader, char *name)
{
	if (take(reader, "all"))
		return is_over(reader) ? SQLRESET_ALL : SQLRESET_NONE;
	if (is_word(reader, "time")) {
		advance(reader);
		return take(reader, "zone") ? named(reader, name, "timezone")
					    : SQLRESET_NONE;
	}
	if (is_word(reader, "session")) {
		advance(reader);
		return take(reader, "authorization")
			       ? named(reader, name, "session_authorization")
			       : SQLRESET_NONE;
	}
	return one(reader, take_name(reader, name));
}

/* SET [SESSION] name TO DEFAULT; SET TIME ZONE LOCAL. */
static enum sqlreset_kind read_set(struct reader *reader, char *name)
{
	(void)take(reader, "session");
	if (take(reader, "time"))
		return take(reader, "zone") && (take(reader, "local") ||
						take(reader, "default"))
			       ? named(reader, name, "timezone")
			       : SQLRESET_NONE;
	if (take(reader, "names"))
		return is_over(reader) || take(reader, "default")
			       ? named(reader, name, "client_encoding")
			       : SQLRESET_NONE;
	if (!take_name(reader, name))
		return SQLRESET_NONE;
	if (reader->now.kind == SQLLEX_OPERATOR && reader->now.len == 1 &&
	    *reader->now.text == '=')
		advance(reader);
	else if (!take(reader, "to"))
		return SQLRESET_NONE;
	return one(reader, take(reader, "default"));
}

enum sqlreset_kind sqlreset_read(const char *sql, size_t len,
				 char name[static SQLRESET_NAME_MAX + 1])
{
	struct reader reader;

	name[0] = '\0';
	sqllex_init(&reader.lex, sql, len, true, false);
	advance(&reader);
	while (reader.now.punct == ';')
		advance(&reader);
	if (take(&reader, "reset"))
		return read_reset(&reader, name);
	if (take(&reader, "set"))
		return read_set(&reader, name);
	if (take(&reader, "discard") && take(&reader, "all") &&
	    is_over(&reader))
		return SQLRESET_ALL;
	return SQLRESET_NONE;
}
