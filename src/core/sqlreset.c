/*
 * Reads the few forms that reset (PostgreSQL docs, RESET, SET, DISCARD).
 *
 * No literal stands in any of them, so that neither encoding nor the setting
 * standard_conforming_strings matter; anything unexpected is no reset.
 */
#include "core/sqlreset.h"

#include "core/sqlreader.h"

#include <string.h>

/* name.name, as it is stored; false when it is none. */
static bool take_name(struct sqlreader *reader,
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
		sqlreader_advance(reader);
		if (reader->now.punct != '.')
			break;
		name[used++] = '.';
		sqlreader_advance(reader);
	}
	name[used] = '\0';
	return true;
}

static enum sqlreset_kind one(struct sqlreader *reader, bool is_good)
{
	return is_good && sqlreader_is_over(reader) ? SQLRESET_ONE
						    : SQLRESET_NONE;
}

static enum sqlreset_kind named(struct sqlreader *reader, char *name,
				const char *known)
{
	memcpy(name, known, strlen(known) + 1);
	return one(reader, true);
}

static enum sqlreset_kind read_reset(struct sqlreader *reader, char *name)
{
	if (sqlreader_take(reader, "all"))
		return sqlreader_is_over(reader) ? SQLRESET_ALL : SQLRESET_NONE;
	if (sqlreader_is_word(reader, "time")) {
		sqlreader_advance(reader);
		return sqlreader_take(reader, "zone")
			       ? named(reader, name, "timezone")
			       : SQLRESET_NONE;
	}
	if (sqlreader_is_word(reader, "session")) {
		sqlreader_advance(reader);
		return sqlreader_take(reader, "authorization")
			       ? named(reader, name, "session_authorization")
			       : SQLRESET_NONE;
	}
	return one(reader, take_name(reader, name));
}

/* SET [SESSION] name TO DEFAULT; SET TIME ZONE LOCAL. */
static enum sqlreset_kind read_set(struct sqlreader *reader, char *name)
{
	(void)sqlreader_take(reader, "session");
	if (sqlreader_take(reader, "time"))
		return sqlreader_take(reader, "zone") &&
				       (sqlreader_take(reader, "local") ||
					sqlreader_take(reader, "default"))
			       ? named(reader, name, "timezone")
			       : SQLRESET_NONE;
	if (sqlreader_take(reader, "names"))
		return sqlreader_is_over(reader) ||
				       sqlreader_take(reader, "default")
			       ? named(reader, name, "client_encoding")
			       : SQLRESET_NONE;
	if (!take_name(reader, name) || !sqlreader_take_equals(reader))
		return SQLRESET_NONE;
	return one(reader, sqlreader_take(reader, "default"));
}

enum sqlreset_kind sqlreset_read(const char *sql, size_t len,
				 char name[static SQLRESET_NAME_MAX + 1])
{
	struct sqlreader reader;

	name[0] = '\0';
	sqllex_init(&reader.lex, sql, len, true, false);
	sqlreader_advance(&reader);
	while (reader.now.punct == ';')
		sqlreader_advance(&reader);
	if (sqlreader_take(&reader, "reset"))
		return read_reset(&reader, name);
	if (sqlreader_take(&reader, "set"))
		return read_set(&reader, name);
	if (sqlreader_take(&reader, "discard") &&
	    sqlreader_take(&reader, "all") && sqlreader_is_over(&reader))
		return SQLRESET_ALL;
	return SQLRESET_NONE;
}
