/*
 * Tokens: read strictly, and made by the server itself, since nobody knows
 * better what it has flushed at the moment when it is asked.
 *
 * Everything is qualified with pg_catalog: search_path is the client's.
 */
#include "core/token.h"

#include "base/buf.h"
#include "core/sqlreader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The digits at *text up to the colon; passes it. */
static bool take_number(const char **text, int base, size_t max,
			uint64_t *value)
{
	const char *digits =
		base == 16 ? "0123456789ABCDEFabcdef" : "0123456789";
	size_t len = strspn(*text, digits);

	if (len == 0 || len > max || (*text)[len] != ':')
		return false;
	*value = strtoull(*text, NULL, base);
	*text += len + 1;
	return *value != 0;
}

bool token_read(const char *text, struct watermark *position)
{
	uint64_t system;
	uint64_t timeline;

	*position = (struct watermark){ 0 };
	if (!take_number(&text, 10, 19, &system) ||
	    !take_number(&text, 16, 8, &timeline) ||
	    !watermark_parse_lsn(text, &position->lsn))
		return false;
	position->system = system;
	position->timeline = (uint32_t)timeline;
	return true;
}

void token_append_query(struct buf *sql, struct watermark known,
			bool is_asynchronous)
{
	const char *lsn = is_asynchronous
				  ? "pg_catalog.pg_current_wal_insert_lsn()"
				  : "pg_catalog.pg_current_wal_flush_lsn()";

	buf_printf(sql,
		   "SELECT pg_catalog.set_config('pgweir.lsn', '%" PRIu64
		   ":' OPERATOR(pg_catalog.||) CASE WHEN "
		   "pg_catalog.pg_is_in_recovery() THEN '%08" PRIX32
		   ":' OPERATOR(pg_catalog.||) "
		   "pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text ELSE "
		   "pg_catalog.left(pg_catalog.pg_walfile_name("
		   "pg_catalog.pg_current_wal_flush_lsn()), 8) "
		   "OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) "
		   "%s::pg_catalog.text END, false)",
		   known.system, known.timeline, lsn);
}

/* --- SET --------------------------------------------------------------------
 */

static bool take_punct(struct sqlreader *reader, char punct)
{
	if (reader->now.punct != punct)
		return false;
	sqlreader_advance(reader);
	return true;
}

static bool take_name(struct sqlreader *reader)
{
	return sqlreader_take(reader, "set") &&
	       (sqlreader_take(reader, "session") ||
		sqlreader_take(reader, "local") || true) &&
	       sqlreader_take(reader, "pgweir") && take_punct(reader, '.') &&
	       sqlreader_take(reader, "min_lsn");
}

/* ... and where the value begins. */
static bool take_equals(struct sqlreader *reader, const char **value)
{
	*value = reader->lex.at;
	return sqlreader_take_equals(reader);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the quotes around it; no token has one inside. */
static void copy_value(const char *text, const char *end,
		       char value[static TOKEN_VALUE_MAX + 1])
{
	size_t len;

	while (text < end && is_space(*text))
		text++;
	while (end > text && is_space(end[-1]))
		end--;
	if (end - text >= 2 && *text == '\'' && end[-1] == '\'') {
		text++;
		end--;
	}
	len = (size_t)(end - text);
	if (len > TOKEN_VALUE_MAX)
		len = TOKEN_VALUE_MAX;
	memcpy(value, text, len);
	value[len] = '\0';
}

enum token_setting token_read_setting(const char *sql, size_t len,
				      struct watermark *position,
				      char value[static TOKEN_VALUE_MAX + 1])
{
	struct sqlreader reader;
	const char *from;

	value[0] = '\0';
	sqllex_init(&reader.lex, sql, len, true, false);
	sqlreader_advance(&reader);
	if (!take_name(&reader) || !take_equals(&reader, &from) ||
	    (reader.now.kind != SQLLEX_LITERAL &&
	     reader.now.kind != SQLLEX_WORD) ||
	    sqlreader_take(&reader, "default"))
		return TOKEN_NONE;
	copy_value(from, reader.lex.at, value);
	sqlreader_advance(&reader);
	if (!sqlreader_is_over(&reader) || value[0] == '\0')
		return TOKEN_NONE;
	return token_read(value, position) ? TOKEN_GOOD : TOKEN_BAD;
}

/* Into a literal with the quotes of PL/pgSQL's RAISE and of DO. */
static void append_harmless(struct buf *sql, const char *value)
{
	for (; *value; value++) {
		bool is_plain = (*value >= '0' && *value <= '9') ||
				(*value >= 'a' && *value <= 'z') ||
				(*value >= 'A' && *value <= 'Z') ||
				strchr(" ._:/-+", *value) != NULL;

		buf_append_u8(sql, is_plain ? (uint8_t)*value : '?');
	}
}

void token_append_refusal(struct buf *sql, const char *value, bool is_foreign)
{
	buf_append_text(sql, "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = "
			     "''22023'', MESSAGE = ''invalid value for "
			     "parameter \"pgweir.min_lsn\": \"");
	append_harmless(sql, value);
	buf_append_text(sql, "\"'', HINT = ''");
	buf_append_text(sql, is_foreign
				     ? "It is a token of another cluster."
				     : "Use what SHOW pgweir.lsn has shown.");
	buf_append_text(sql, "''; END'");
}
