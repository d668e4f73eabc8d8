/*
 * pgwire: each reader with whole, cut, padded and hostile bytes.  Bytes are
 * read from heap blocks of their exact size, so that a read beyond the end is
 * seen by the address sanitizer.
 */
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A body given as a literal, its closing NUL not counted. */
#define BODY(text) (text), sizeof(text) - 1

static uint8_t *block;
static struct pgwire_message message;

static int drop_block(void **state)
{
	(void)state;
	free(block);
	block = NULL;
	return 0;
}

/* A message of which only here bytes of the body have arrived. */
static const struct pgwire_message *cut(const char *body, size_t len,
					size_t here)
{
	free(block);
	block = malloc(PGWIRE_HEADER + here);
	assert_non_null(block);
	block[0] = 'x';
	block[1] = (uint8_t)((len + 4) >> 24);
	block[2] = (uint8_t)((len + 4) >> 16);
	block[3] = (uint8_t)((len + 4) >> 8);
	block[4] = (uint8_t)(len + 4);
	if (here > 0)
		memcpy(block + PGWIRE_HEADER, body, here);
	assert_int_equal(pgwire_read(block, PGWIRE_HEADER + here, &message),
			 PGWIRE_OK);
	assert_int_equal(message.body_len, len);
	assert_int_equal(message.body_here, here);
	return &message;
}

static const struct pgwire_message *whole(const char *body, size_t len)
{
	return cut(body, len, len);
}

/* --- headers ---------------------------------------------------------------
 */

static void header_is_awaited(void **state)
{
	const uint8_t data[5] = { 'Q', 0, 0, 0, 4 };
	struct pgwire_message read;

	(void)state;
	for (size_t len = 0; len < sizeof(data); len++)
		assert_int_equal(pgwire_read(data, len, &read), PGWIRE_MORE);
	assert_int_equal(pgwire_read(data, sizeof(data), &read), PGWIRE_OK);
	assert_int_equal(read.type, 'Q');
	assert_int_equal(read.total, 5);
	assert_int_equal(read.body_len, 0);
	assert_true(pgwire_is_complete(&read));
}

static enum pgwire_result read_word(uint32_t word)
{
	const uint8_t data[5] = { 'd', (uint8_t)(word >> 24),
				  (uint8_t)(word >> 16), (uint8_t)(word >> 8),
				  (uint8_t)word };
	struct pgwire_message read;
	enum pgwire_result result = pgwire_read(data, sizeof(data), &read);

	if (result == PGWIRE_OK) {
		assert_int_equal(read.total, (size_t)word + 1);
		assert_int_equal(read.body_len, word - 4);
		assert_int_equal(read.body_here, 0);
		assert_int_equal(pgwire_is_complete(&read), word == 4);
	}
	return result;
}

static void length_words_are_judged(void **state)
{
	(void)state;
	assert_int_equal(read_word(0), PGWIRE_BAD);
	assert_int_equal(read_word(3), PGWIRE_BAD);
	assert_int_equal(read_word(4), PGWIRE_OK);
	assert_int_equal(read_word(5), PGWIRE_OK);
	assert_int_equal(read_word(0x3fffffff), PGWIRE_OK);
	assert_int_equal(read_word(0x40000000), PGWIRE_BAD);
	assert_int_equal(read_word(0x7fffffff), PGWIRE_BAD);
	assert_int_equal(read_word(0x80000000), PGWIRE_BAD);
	assert_int_equal(read_word(0xffffffff), PGWIRE_BAD);
}

static void next_message_is_not_body(void **state)
{
	const uint8_t data[] = { 'Z', 0, 0, 0, 5, 'I', 'S', 0, 0 };
	struct pgwire_message read;

	(void)state;
	assert_int_equal(pgwire_read(data, sizeof(data), &read), PGWIRE_OK);
	assert_int_equal(read.body_here, 1);
	assert_int_equal(read.total, 6);
	assert_true(pgwire_is_complete(&read));
}

static void types_are_known(void **state)
{
	size_t from_client = 0;
	size_t from_server = 0;

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool is_ours = type && strchr("BCDEFHPQSXcdf", (int)type);
		bool is_theirs =
			type && strchr("RKSNEZTDCI123stnAGHWdcVv", (int)type);

		assert_int_equal(pgwire_is_client_type((uint8_t)type), is_ours);
		assert_int_equal(pgwire_is_server_type((uint8_t)type),
				 is_theirs);
		from_client += is_ours;
		from_server += is_theirs;
	}
	assert_int_equal(from_client, 13);
	assert_int_equal(from_server, 24);
}

static void lengths_follow_types(void **state)
{
	const char *large = "BFPQd";
	const char *small = "CDEHSXcf";

	(void)state;
	for (; *large; large++) {
		uint8_t type = (uint8_t)*large;

		assert_true(pgwire_is_client_length(type, 0));
		assert_true(pgwire_is_client_length(type, 0x3ffffffe - 4));
		assert_false(pgwire_is_client_length(type, 0x3ffffffe - 3));
	}
	for (; *small; small++) {
		uint8_t type = (uint8_t)*small;

		assert_true(pgwire_is_client_length(type, 0));
		assert_true(pgwire_is_client_length(type, 9996));
		assert_false(pgwire_is_client_length(type, 9997));
		assert_false(pgwire_is_client_length(type, SIZE_MAX));
	}
}

/* --- what a client says --------------------------------------------------- */

static bool parse_of(const char *body, size_t len, struct pgwire_parse *parse)
{
	return pgwire_read_parse(whole(body, len), parse);
}

static void parse_is_read(void **state)
{
	struct pgwire_parse parse;

	(void)state;
	assert_true(parse_of(BODY("s1\0select $1\0\0\2\0\0\0\x17\0\0\0\x19"),
			     &parse));
	assert_string_equal(parse.name, "s1");
	assert_string_equal(parse.query, "select $1");
	assert_int_equal(parse.query_len, 9);
	assert_int_equal(parse.types_len, 10);
	assert_memory_equal(parse.types, "\0\2\0\0\0\x17\0\0\0\x19", 10);
	assert_true(parse_of(BODY("\0\0\0\0"), &parse));
	assert_string_equal(parse.name, "");
	assert_int_equal(parse.query_len, 0);
	assert_int_equal(parse.types_len, 2);
}

static void bad_parse_is_refused(void **state)
{
	struct pgwire_parse parse;

	(void)state;
	assert_false(parse_of(BODY(""), &parse));
	assert_false(parse_of(BODY("s1"), &parse));
	assert_false(parse_of(BODY("s1\0select"), &parse));
	assert_false(parse_of(BODY("s1\0select\0"), &parse));
	assert_false(parse_of(BODY("s1\0select\0\0"), &parse));
	assert_false(parse_of(BODY("s1\0select\0\0\1\0\0\0"), &parse));
	assert_false(parse_of(BODY("s1\0select\0\0\1"), &parse));
	assert_false(parse_of(BODY("s1\0select\0\0\0x"), &parse));
	assert_false(parse_of(BODY("s1\0select\0\xff\xff\0\0\0\0"), &parse));
	/* A body that is not whole yet is no Parse yet. */
	assert_false(pgwire_read_parse(cut(BODY("s1\0sel\0\0\0"), 8), &parse));
}

static void bind_is_read_early(void **state)
{
	static const char body[] = "p\0stmt\0\0\0\0\0\0\0";
	size_t len = sizeof(body) - 1;
	struct pgwire_bind bind;

	(void)state;
	for (size_t here = 0; here < 7; here++)
		assert_int_equal(pgwire_read_bind(cut(body, len, here), &bind),
				 PGWIRE_MORE);
	for (size_t here = 7; here <= len; here++) {
		assert_int_equal(pgwire_read_bind(cut(body, len, here), &bind),
				 PGWIRE_OK);
		assert_string_equal(bind.portal, "p");
		assert_string_equal(bind.statement, "stmt");
		assert_int_equal(bind.rest, 7);
	}
	assert_int_equal(pgwire_read_bind(whole(BODY("p\0stmt")), &bind),
			 PGWIRE_BAD);
	assert_int_equal(pgwire_read_bind(whole(BODY("p")), &bind), PGWIRE_BAD);
	assert_int_equal(pgwire_read_bind(whole(BODY("")), &bind), PGWIRE_BAD);
}

/* Names of a Bind that end with the len-th byte of its body. */
static enum pgwire_result bind_names(size_t len, size_t total)
{
	struct pgwire_bind bind;
	char *body = calloc(1, total);
	enum pgwire_result result;

	assert_non_null(body);
	memset(body + 1, 'n', len - 2);
	result = pgwire_read_bind(cut(body, total + 1, total), &bind);
	free(body);
	return result;
}

static void bind_names_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(bind_names(PGWIRE_NAMES_MAX, PGWIRE_NAMES_MAX),
			 PGWIRE_OK);
	assert_int_equal(bind_names(PGWIRE_NAMES_MAX, PGWIRE_NAMES_MAX + 10),
			 PGWIRE_OK);
	assert_int_equal(bind_names(PGWIRE_NAMES_MAX + 1, PGWIRE_NAMES_MAX + 1),
			 PGWIRE_BAD);
}

/* Opened and walked; -1: cut, else how many of the values are no NULL. */
static int count_values(const char *rest, size_t len, bool *are_texts)
{
	struct pgwire_values values;
	/* A copy of its own, so that no byte behind it may be read. */
	uint8_t *copy = malloc(len + (len == 0));
	const char *at;
	size_t value_len;
	int found = 0;

	assert_non_null(copy);
	memcpy(copy, rest, len);
	if (!pgwire_open_values(copy, len, &values))
		found = -1;
	else
		*are_texts = values.are_texts;
	while (found >= 0 && values.count > 0) {
		if (!pgwire_next_value(&values, &at, &value_len))
			found = -1;
		else if (at)
			found += memchr(at, 'x', value_len) == at ? 1 : 100;
	}
	free(copy);
	return found;
}

static void values_are_read(void **state)
{
	/* two formats; "x", NULL, "xyz", ""; no formats of results */
	static const char rest[] = "\0\2\0\0\0\1\0\4\0\0\0\1x\xff\xff\xff\xff"
				   "\0\0\0\3xyz\0\0\0\0\0\0";
	static const char liars[][10] = { "\xff\xff\0\0\0\0\0\0",
					  "\0\0\xff\xff\0\0\0\1x",
					  "\0\0\0\1\x80\0\0\1x",
					  "\0\0\0\1\xff\xff\xff\xfex" };
	size_t whole_len = sizeof(rest) - 1;
	bool are_texts = true;

	(void)state;
	assert_int_equal(count_values(rest, whole_len, &are_texts), 102);
	assert_false(are_texts);
	/* What follows the last value is not looked at. */
	for (size_t len = 0; len < whole_len; len++)
		assert_int_equal(count_values(rest, len, &are_texts),
				 len < whole_len - 2 ? -1 : 102);
	assert_int_equal(count_values(BODY("\0\0\0\0"), &are_texts), 0);
	assert_int_equal(
		count_values(BODY("\0\1\0\0\0\1\0\0\0\1x"), &are_texts), 1);
	assert_true(are_texts);
	for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++)
		assert_int_equal(count_values(liars[i], 9, &are_texts), -1);
}

static bool may_be_startup(const char *data, size_t len)
{
	return pgwire_is_startup_size((const uint8_t *)data, len);
}

static void strangers_are_known(void **state)
{
	(void)state;
	assert_true(may_be_startup("", 0));
	assert_true(may_be_startup(BODY("\0\0\0")));
	assert_true(may_be_startup(BODY("\0\0\0\10")));
	assert_false(may_be_startup(BODY("\0\0\0\7")));
	assert_false(may_be_startup(BODY("X")));
	assert_false(may_be_startup(BODY("\0\1")));
	assert_false(may_be_startup(BODY("GET /")));
}

static bool is_farewell(const char *data, size_t len)
{
	return pgwire_ends_in_terminate((const uint8_t *)data, len);
}

static void farewell_is_seen(void **state)
{
	(void)state;
	assert_true(is_farewell(BODY("X\0\0\0\4")));
	assert_true(is_farewell(BODY("S\0\0\0\4X\0\0\0\4")));
	assert_true(is_farewell(BODY("Q\0\0\0\5\0X\0\0\0\4")));
	assert_false(is_farewell(BODY("")));
	assert_false(is_farewell(BODY("X\0\0\0")));
	assert_false(is_farewell(BODY("X\0\0\0\4S\0\0\0\4")));
	/* Data of a COPY, whole and cut, and what nobody can read. */
	assert_false(is_farewell(BODY("d\0\0\0\11X\0\0\0\4")));
	assert_false(is_farewell(BODY("d\0\0\0\77X\0\0\0\4")));
	assert_false(is_farewell(BODY("d\0\0\0\1X\0\0\0\4")));
	assert_false(is_farewell(BODY("X\0\0\0\4X\0\0\0\4")));
}

static void formats_are_counted(void **state)
{
	/* a value, and formats of two columns */
	static const char rest[] = "\0\0\0\1\0\0\0\1x\0\2\0\0\0\1";

	(void)state;
	assert_int_equal(
		pgwire_count_formats((const uint8_t *)rest, sizeof(rest) - 1),
		2);
	/* The count alone is enough; what is cut in front of it has none. */
	for (size_t len = 0; len < sizeof(rest) - 1; len++)
		assert_int_equal(
			pgwire_count_formats((const uint8_t *)rest, len),
			len < 11 ? 0 : 2);
}

static bool target_of(const char *body, size_t len, uint8_t *kind,
		      const char **name)
{
	return pgwire_read_target(whole(body, len), kind, name);
}

static void target_is_read(void **state)
{
	const char *name;
	uint8_t kind;

	(void)state;
	assert_true(target_of(BODY("Sname\0"), &kind, &name));
	assert_int_equal(kind, 'S');
	assert_string_equal(name, "name");
	assert_true(target_of(BODY("P\0"), &kind, &name));
	assert_int_equal(kind, 'P');
	assert_string_equal(name, "");
	assert_false(target_of(BODY(""), &kind, &name));
	assert_false(target_of(BODY("S"), &kind, &name));
	assert_false(target_of(BODY("Sname"), &kind, &name));
	assert_false(target_of(BODY("Sname\0x"), &kind, &name));
	assert_false(target_of(BODY("Xname\0"), &kind, &name));
	assert_false(pgwire_read_target(cut(BODY("Sname\0"), 3), &kind, &name));
}

static void string_is_read(void **state)
{
	const char *text;
	size_t len;

	(void)state;
	assert_true(pgwire_read_string(whole(BODY("select 1\0")), &text, &len));
	assert_string_equal(text, "select 1");
	assert_int_equal(len, 8);
	assert_true(pgwire_read_string(whole(BODY("\0")), &text, &len));
	assert_int_equal(len, 0);
	assert_false(pgwire_read_string(whole(BODY("")), &text, &len));
	assert_false(pgwire_read_string(whole(BODY("abc")), &text, &len));
	assert_false(pgwire_read_string(whole(BODY("a\0b\0")), &text, &len));
	assert_false(pgwire_read_string(whole(BODY("a\0\0")), &text, &len));
	assert_false(pgwire_read_string(cut(BODY("ab\0"), 2), &text, &len));
	assert_false(pgwire_read_string(cut(BODY("ab\0"), 0), &text, &len));
}

static bool sasl_of(const char *body, size_t body_len, const char **mechanism,
		    const uint8_t **data, size_t *len)
{
	return pgwire_read_sasl_initial(whole(body, body_len), mechanism, data,
					len);
}

static void sasl_is_read(void **state)
{
	const char *mechanism;
	const uint8_t *data;
	size_t len;

	(void)state;
	assert_true(
		sasl_of(BODY("SCRAM\0\0\0\0\3n,,"), &mechanism, &data, &len));
	assert_string_equal(mechanism, "SCRAM");
	assert_int_equal(len, 3);
	assert_memory_equal(data, "n,,", 3);
	assert_true(sasl_of(BODY("M\0\0\0\0\0"), &mechanism, &data, &len));
	assert_non_null(data);
	assert_int_equal(len, 0);
	assert_true(
		sasl_of(BODY("M\0\xff\xff\xff\xff"), &mechanism, &data, &len));
	assert_null(data);
	assert_int_equal(len, 0);
}

static void bad_sasl_is_refused(void **state)
{
	const char *mechanism;
	const uint8_t *data;
	size_t len;

	(void)state;
	assert_false(sasl_of(BODY(""), &mechanism, &data, &len));
	assert_false(sasl_of(BODY("M"), &mechanism, &data, &len));
	assert_false(sasl_of(BODY("M\0\0\0\0"), &mechanism, &data, &len));
	assert_false(sasl_of(BODY("M\0\0\0\0\4abc"), &mechanism, &data, &len));
	assert_false(sasl_of(BODY("M\0\0\0\0\2abc"), &mechanism, &data, &len));
	assert_false(
		sasl_of(BODY("M\0\xff\xff\xff\xffx"), &mechanism, &data, &len));
	assert_false(
		sasl_of(BODY("M\0\xff\xff\xff\xfe"), &mechanism, &data, &len));
	assert_false(
		sasl_of(BODY("M\0\x7f\xff\xff\xff"), &mechanism, &data, &len));
}

/* --- what a server says --------------------------------------------------- */

static void pair_is_read(void **state)
{
	const char *name;
	const char *value;

	(void)state;
	assert_true(pgwire_read_pair(whole(BODY("TimeZone\0UTC\0")), &name,
				     &value));
	assert_string_equal(name, "TimeZone");
	assert_string_equal(value, "UTC");
	assert_false(pgwire_read_pair(whole(BODY("a\0b")), &name, &value));
	assert_false(pgwire_read_pair(whole(BODY("a\0")), &name, &value));
	assert_false(pgwire_read_pair(whole(BODY("a")), &name, &value));
	assert_false(pgwire_read_pair(whole(BODY("")), &name, &value));
	assert_false(pgwire_read_pair(whole(BODY("a\0b\0\0")), &name, &value));
}

static bool key_of(size_t key_len)
{
	char body[4 + 300] = "\0\0\0\7";
	const uint8_t *key;
	uint32_t pid;
	size_t len;

	memset(body + 4, 'k', key_len);
	if (!pgwire_read_key(whole(body, 4 + key_len), &pid, &key, &len))
		return false;
	assert_int_equal(pid, 7);
	assert_int_equal(len, key_len);
	assert_memory_equal(key, body + 4, len);
	return true;
}

static void key_is_read(void **state)
{
	const uint8_t *key;
	uint32_t pid;
	size_t len;

	(void)state;
	assert_true(key_of(4));
	assert_true(key_of(32));
	assert_true(key_of(256));
	assert_false(key_of(257));
	assert_false(key_of(3));
	assert_false(key_of(0));
	assert_false(pgwire_read_key(whole(BODY("\0\0")), &pid, &key, &len));
}

static void notification_is_read(void **state)
{
	static const char body[] = "\1\2\3\4channel\0pay load\0";
	struct pgwire_notification heard;

	(void)state;
	assert_true(pgwire_read_notification(whole(body, sizeof(body) - 1),
					     &heard));
	assert_int_equal(heard.pid, 0x01020304);
	assert_string_equal(heard.channel, "channel");
	assert_string_equal(heard.payload, "pay load");
	assert_true(
		pgwire_read_notification(whole(BODY("\0\0\0\1c\0\0")), &heard));
	assert_string_equal(heard.payload, "");
	for (size_t len = 0; len < sizeof(body) - 1; len++)
		assert_false(
			pgwire_read_notification(whole(body, len), &heard));
	assert_false(pgwire_read_notification(whole(BODY("\0\0\0\1c\0p\0x")),
					      &heard));
}

static void auth_is_read(void **state)
{
	const uint8_t *rest;
	uint32_t code;
	size_t len;

	(void)state;
	assert_true(
		pgwire_read_auth(whole(BODY("\0\0\0\0")), &code, &rest, &len));
	assert_int_equal(code, 0);
	assert_int_equal(len, 0);
	assert_true(pgwire_read_auth(whole(BODY("\0\0\0\5salt")), &code, &rest,
				     &len));
	assert_int_equal(code, 5);
	assert_int_equal(len, 4);
	assert_memory_equal(rest, "salt", 4);
	assert_false(
		pgwire_read_auth(whole(BODY("\0\0\0")), &code, &rest, &len));
	assert_false(pgwire_read_auth(cut(BODY("\0\0\0\5salt"), 6), &code,
				      &rest, &len));
}

static void error_is_read(void **state)
{
	struct pgwire_error error;

	(void)state;
	assert_true(pgwire_read_error(
		whole(BODY("SFEHLER\0VERROR\0C42601\0Mbad\0Dwhy\0Hdo\0P7\0"
			   "Rscanner_yyerror\0\0")),
		&error));
	assert_string_equal(error.severity, "ERROR");
	assert_string_equal(error.sqlstate, "42601");
	assert_string_equal(error.message, "bad");
	assert_string_equal(error.detail, "why");
	assert_string_equal(error.hint, "do");
	assert_string_equal(error.routine, "scanner_yyerror");
	/* Before 9.6 there was no V; order is nobody's promise. */
	assert_true(pgwire_read_error(whole(BODY("Mbad\0SFATAL\0\0")), &error));
	assert_string_equal(error.severity, "FATAL");
	assert_string_equal(error.sqlstate, "");
	assert_true(pgwire_read_error(whole(BODY("VPANIC\0SX\0\0")), &error));
	assert_string_equal(error.severity, "PANIC");
}

static void error_may_lack_everything(void **state)
{
	struct pgwire_error error;

	(void)state;
	assert_true(pgwire_read_error(whole(BODY("")), &error));
	assert_true(pgwire_read_error(whole(BODY("\0")), &error));
	assert_string_equal(error.severity, "");
	assert_string_equal(error.sqlstate, "");
	assert_string_equal(error.message, "");
	assert_string_equal(error.detail, "");
	assert_string_equal(error.hint, "");
	assert_string_equal(error.routine, "");
	assert_true(pgwire_read_error(whole(BODY("Monly\0")), &error));
	assert_string_equal(error.message, "only");
	assert_true(pgwire_read_error(whole(BODY("M\0\0")), &error));
	assert_string_equal(error.message, "");
	assert_false(pgwire_read_error(whole(BODY("M")), &error));
	assert_false(pgwire_read_error(whole(BODY("Mbad")), &error));
	assert_false(pgwire_read_error(whole(BODY("Mbad\0C")), &error));
	assert_string_equal(error.sqlstate, "");
	assert_false(pgwire_read_error(cut(BODY("Mbad\0\0"), 5), &error));
	assert_string_equal(error.message, "");
}

static void ready_is_read(void **state)
{
	(void)state;
	assert_int_equal(pgwire_read_ready(whole(BODY("I"))), 'I');
	assert_int_equal(pgwire_read_ready(whole(BODY("T"))), 'T');
	assert_int_equal(pgwire_read_ready(whole(BODY("E"))), 'E');
	assert_int_equal(pgwire_read_ready(whole(BODY("X"))), 0);
	assert_int_equal(pgwire_read_ready(whole(BODY("\0"))), 0);
	assert_int_equal(pgwire_read_ready(whole(BODY(""))), 0);
	assert_int_equal(pgwire_read_ready(whole(BODY("II"))), 0);
	assert_int_equal(pgwire_read_ready(cut(BODY("I"), 0)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_awaited),
		cmocka_unit_test(length_words_are_judged),
		cmocka_unit_test(next_message_is_not_body),
		cmocka_unit_test(types_are_known),
		cmocka_unit_test(lengths_follow_types),
		cmocka_unit_test(parse_is_read),
		cmocka_unit_test(bad_parse_is_refused),
		cmocka_unit_test(bind_is_read_early),
		cmocka_unit_test(bind_names_are_bounded),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(formats_are_counted),
		cmocka_unit_test(farewell_is_seen),
		cmocka_unit_test(strangers_are_known),
		cmocka_unit_test(target_is_read),
		cmocka_unit_test(string_is_read),
		cmocka_unit_test(sasl_is_read),
		cmocka_unit_test(bad_sasl_is_refused),
		cmocka_unit_test(pair_is_read),
		cmocka_unit_test(key_is_read),
		cmocka_unit_test(notification_is_read),
		cmocka_unit_test(auth_is_read),
		cmocka_unit_test(error_is_read),
		cmocka_unit_test(error_may_lack_everything),
		cmocka_unit_test(ready_is_read),
	};

	return cmocka_run_group_tests_name("pgwire", tests, NULL, drop_block);
}
