/*
 * A small reader of the few statements that concern whole databases and
 * roles (PostgreSQL docs, "SQL Commands": CREATE, ALTER and DROP DATABASE,
 * ... ROLE, USER, GROUP, GRANT ... ON DATABASE).
 *
 * It follows the grammar as far as names and the options that name a
 * database stand in it, and gives a statement up at the first token that
 * does not fit.  To find too little costs an error that PostgreSQL words, to
 * find too much a connection.  No state, no allocation; any thread.
 */
#include "core/dbddl.h"

#include "base/util.h"

#include <assert.h>
#include <string.h>

struct reader {
	struct sqllex lex;
	struct sqllex_token now;
	const char *before; /* where the token's blanks began */
};

static void advance(struct reader *reader)
{
	reader->before = reader->lex.at;
	sqllex_next(&reader->lex, &reader->now);
}

static bool is_over(const struct reader *reader)
{
	return reader->now.kind == SQLLEX_END ||
	       reader->now.kind == SQLLEX_BAD || reader->now.punct == ';';
}

static bool is_word(const struct reader *reader, const char *word)
{
	return sqllex_is_word(&reader->now, word);
}

static bool take_word(struct reader *reader, const char *word)
{
	if (!is_word(reader, word))
		return false;
	advance(reader);
	return true;
}

/* Both or none: each alone may be a name. */
static bool take_words(struct reader *reader, const char *one, const char *two)
{
	struct reader start = *reader;

	if (take_word(reader, one) && take_word(reader, two))
		return true;
	*reader = start;
	return false;
}

static bool take_operator(struct reader *reader, const char *operator)
{
	if (reader->now.kind != SQLLEX_OPERATOR ||
	    reader->now.len != strlen(operator) ||
	    memcmp(reader->now.text, operator, reader->now.len) != 0)
		return false;
	advance(reader);
	return true;
}

/* ---- names -------------------------------------------------------------- */

/* Room for one name; what does not fit is cut off as the server does it. */
struct name {
	size_t len;
	bool is_full;
	char text[SQLLEX_NAME_MAX + 1];
};

/* A whole character or nothing: names are cut between characters. */
static void put_character(struct name *name, const char *bytes, size_t len)
{
	if (name->len + len > SQLLEX_NAME_MAX)
		name->is_full = true;
	if (name->is_full)
		return;
	memcpy(name->text + name->len, bytes, len);
	name->len += len;
	name->text[name->len] = '\0';
}

/* Bytes of the UTF-8 character that begins here, as far as it is here. */
static size_t character_len(const char *text, size_t len)
{
	unsigned char first = (unsigned char)*text;
	size_t size = 1;

	if (first >= 0xf0)
		size = 4;
	else if (first >= 0xe0)
		size = 3;
	else if (first >= 0xc0)
		size = 2;
	return size < len ? size : len;
}

static void put_text(struct name *name, const struct sqllex_token *token)
{
	size_t at = 0;

	while (at < token->len) {
		const char *from = token->text + at;
		size_t size = character_len(from, token->len - at);
		char byte = *from;

		if (token->kind == SQLLEX_WORD && byte >= 'A' && byte <= 'Z')
			byte = (char)(byte + ('a' - 'A'));
		put_character(name, size > 1 ? from : &byte, size);
		at += size;
		if (token->kind == SQLLEX_NAME && byte == '"')
			at++;
	}
}

/* So many hexadecimal digits; false when they are not all there. */
static bool read_hex(const char *text, size_t len, size_t digits,
		     uint32_t *value)
{
	*value = 0;
	if (len < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		static const char all[] = "0123456789abcdef";
		char folded = (char)(text[i] | 0x20);
		const char *digit = text[i] ? strchr(all, folded) : NULL;

		if (!digit || (folded != text[i] && text[i] < 'A'))
			return false;
		*value = *value * 16 + (uint32_t)(digit - all);
	}
	return true;
}

static bool put_code(struct name *name, uint32_t code)
{
	char bytes[4];
	size_t size = 1;

	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return false;
	if (code >= 0x80)
		size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = size; i-- > 1; code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3f));
	bytes[0] = (char)(size == 1 ? code : (0xf00 >> size | code) & 0xff);
	put_character(name, bytes, size);
	return true;
}

/* Behind the escape character: XXXX, or + and six digits. */
static bool read_code(const char *text, size_t len, uint32_t *code,
		      size_t *used)
{
	bool is_long = len > 0 && *text == '+';

	*used = is_long ? 7 : 4;
	return read_hex(text + is_long, len - is_long, is_long ? 6 : 4, code);
}

/* An escape sequence; two that are halves of a surrogate pair are one. */
static bool put_escape(struct name *name, const char *text, size_t len,
		       char escape, size_t *used)
{
	uint32_t code;
	uint32_t low;
	size_t more;

	if (len > 0 && *text == escape) {
		*used = 1;
		put_character(name, text, 1);
		return true;
	}
	if (!read_code(text, len, &code, used))
		return false;
	if (code < 0xd800 || code >= 0xdc00)
		return put_code(name, code);
	text += *used;
	len -= *used;
	if (len == 0 || *text != escape ||
	    !read_code(text + 1, len - 1, &low, &more) || low < 0xdc00 ||
	    low >= 0xe000)
		return false;
	*used += more + 1;
	return put_code(name, 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff));
}

static bool put_unicode(struct name *name, const struct sqllex_token *token,
			char escape)
{
	size_t at = 0;

	while (at < token->len) {
		const char *from = token->text + at;
		size_t size = character_len(from, token->len - at);
		size_t used = 0;

		if (*from == escape) {
			if (!put_escape(name, from + 1, token->len - at - 1,
					escape, &used))
				return false;
			at += used + 1;
			continue;
		}
		put_character(name, from, size);
		at += size + (*from == '"');
	}
	return true;
}

/* The constant that now stands on, if it is a plain '...'. */
static bool find_string(const struct reader *reader, const char **text,
			size_t *len)
{
	const char *at = reader->before;
	const char *end;

	if (reader->now.kind != SQLLEX_LITERAL)
		return false;
	while (at < reader->lex.at && strchr(" \t\r\n\f\v", *at))
		at++;
	end = at < reader->lex.at
		      ? memchr(at + 1, '\'', (size_t)(reader->lex.at - at - 1))
		      : NULL;
	if (!end || *at != '\'' || end + 1 != reader->lex.at ||
	    memchr(at, '\\', (size_t)(end - at)))
		return false;
	*text = at + 1;
	*len = (size_t)(end - at - 1);
	return true;
}

/* UESCAPE 'c' behind a U& name; false when it makes no sense. */
static bool take_uescape(struct reader *reader, char *escape)
{
	const char *text;
	size_t len;

	*escape = '\\';
	if (!take_word(reader, "uescape"))
		return true;
	/* The escape character may be anything but a backslash there. */
	if (!find_string(reader, &text, &len) || len != 1)
		return false;
	*escape = *text;
	advance(reader);
	return true;
}

static bool take_unicode(struct reader *reader, struct name *name)
{
	struct sqllex_token token = reader->now;
	char escape;

	advance(reader);
	return take_uescape(reader, &escape) &&
	       put_unicode(name, &token, escape) && name->len > 0;
}

static bool take_name(struct reader *reader, struct name *name)
{
	*name = (struct name){ 0 };
	switch (reader->now.kind) {
	case SQLLEX_UNICODE: return take_unicode(reader, name);
	case SQLLEX_WORD:
	case SQLLEX_NAME:
		put_text(name, &reader->now);
		advance(reader);
		return true;
	default: return false;
	}
}

/* An option's value may also be a string. */
static bool take_value(struct reader *reader, struct name *name)
{
	const char *text;
	size_t len;

	if (!find_string(reader, &text, &len))
		return take_name(reader, name);
	*name = (struct name){ 0 };
	for (size_t at = 0; at < len;) {
		size_t size = character_len(text + at, len - at);

		put_character(name, text + at, size);
		at += size;
	}
	advance(reader);
	return name->len > 0;
}

/* ---- sets --------------------------------------------------------------- */

bool dbddl_has_name(const struct dbddl_names *names, const char *name)
{
	if (names->is_all)
		return true;
	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->names[i], name) == 0)
			return true;
	return false;
}

static void add_name(struct dbddl_names *names, const char *name)
{
	assert(names->count <= DBDDL_NAMES_MAX);
	if (dbddl_has_name(names, name))
		return;
	if (names->count == DBDDL_NAMES_MAX)
		names->is_all = true;
	else
		(void)util_copy(names->names[names->count++],
				sizeof(names->names[0]), name);
}

static void add_names(struct dbddl_names *names, const struct dbddl_names *more)
{
	names->is_all |= more->is_all;
	for (unsigned i = 0; i < more->count; i++)
		add_name(names, more->names[i]);
}

/* To close everybody's servers would be too much: the rest is left out. */
static void add_empty(struct dbddl_names *names, const struct dbddl_names *more)
{
	for (unsigned i = 0; i < more->count; i++)
		if (names->count < DBDDL_NAMES_MAX)
			add_name(names, more->names[i]);
}

void dbddl_merge(struct dbddl *ddl, const struct dbddl *more)
{
	ddl->is_alone =
		more->is_alone && (ddl->is_alone || dbddl_is_nothing(ddl));
	add_empty(&ddl->empty, &more->empty);
	add_names(&ddl->databases, &more->databases);
	add_names(&ddl->roles, &more->roles);
	add_names(&ddl->gone, &more->gone);
	ddl->is_reload |= more->is_reload;
}

static bool is_nobody(const struct dbddl_names *names)
{
	return names->count == 0 && !names->is_all;
}

bool dbddl_is_nothing(const struct dbddl *ddl)
{
	return is_nobody(&ddl->empty) && is_nobody(&ddl->databases) &&
	       is_nobody(&ddl->roles) && is_nobody(&ddl->gone) &&
	       !ddl->is_reload;
}

bool dbddl_concerns(const struct dbddl *ddl, const char *dbname,
		    const char *user)
{
	return dbddl_has_name(&ddl->databases, dbname) ||
	       dbddl_has_name(&ddl->roles, user);
}

/* ---- databases ---------------------------------------------------------- */

static bool skip_value(struct reader *reader)
{
	if (!take_operator(reader, "-"))
		(void)take_operator(reader, "+");
	if (is_over(reader))
		return false;
	advance(reader);
	return true;
}

/* [WITH] name [=] value ...: which database is copied. */
static bool read_template(struct reader *reader, struct name *template)
{
	(void)take_word(reader, "with");
	while (!is_over(reader)) {
		bool is_template = is_word(reader, "template");

		if (take_words(reader, "connection", "limit"))
			is_template = false;
		else
			advance(reader);
		(void)take_operator(reader, "=");
		if (!is_template || is_word(reader, "default")) {
			if (!skip_value(reader))
				return false;
		} else if (!take_value(reader, template)) {
			return false;
		}
	}
	return true;
}

static void read_create_database(struct reader *reader, struct dbddl *ddl)
{
	struct name template = { .text = "template1" };
	struct name name;

	if (!take_name(reader, &name) || !read_template(reader, &template))
		return;
	add_name(&ddl->empty, template.text);
	add_name(&ddl->databases, name.text);
	add_name(&ddl->gone, name.text);
	ddl->is_alone = true;
}

static void read_drop_database(struct reader *reader, struct dbddl *ddl)
{
	struct name name;

	(void)take_words(reader, "if", "exists");
	if (!take_name(reader, &name))
		return;
	add_name(&ddl->empty, name.text);
	add_name(&ddl->databases, name.text);
	add_name(&ddl->gone, name.text);
	ddl->is_alone = true;
}

/* RENAME and SET TABLESPACE want it for themselves, all else does not. */
static void read_alter_database(struct reader *reader, struct dbddl *ddl)
{
	struct name name;
	struct name to;

	if (!take_name(reader, &name))
		return;
	add_name(&ddl->databases, name.text);
	if (take_words(reader, "rename", "to") && take_name(reader, &to)) {
		add_name(&ddl->empty, name.text);
		add_name(&ddl->databases, to.text);
		add_name(&ddl->gone, name.text);
		add_name(&ddl->gone, to.text);
	} else if (take_words(reader, "set", "tablespace")) {
		add_name(&ddl->empty, name.text);
		ddl->is_alone = true;
	}
}

/* ---- roles -------------------------------------------------------------- */

/* Who that is only the session knows. */
static bool is_someone(const struct reader *reader)
{
	return is_word(reader, "current_user") ||
	       is_word(reader, "current_role") ||
	       is_word(reader, "session_user");
}

static bool read_role(struct reader *reader, struct dbddl_names *roles)
{
	struct name name;

	if (is_someone(reader)) {
		advance(reader);
		roles->is_all = true;
		return true;
	}
	if (!take_name(reader, &name))
		return false;
	add_name(roles, name.text);
	return true;
}

static void read_names(struct reader *reader, struct dbddl_names *names)
{
	while (read_role(reader, names)) {
		if (reader->now.punct != ',')
			return;
		advance(reader);
	}
}

static void read_drop_role(struct reader *reader, struct dbddl *ddl)
{
	(void)take_words(reader, "if", "exists");
	read_names(reader, &ddl->roles);
}

static void read_create_role(struct reader *reader, struct dbddl *ddl)
{
	(void)read_role(reader, &ddl->roles);
}

static void read_alter_all(struct reader *reader, struct dbddl *ddl)
{
	struct name name;

	if (take_words(reader, "in", "database") && take_name(reader, &name))
		add_name(&ddl->databases, name.text);
	else
		ddl->roles.is_all = true;
}

static void read_alter_role(struct reader *reader, struct dbddl *ddl)
{
	if (take_word(reader, "all")) {
		read_alter_all(reader, ddl);
		return;
	}
	if (read_role(reader, &ddl->roles) &&
	    take_words(reader, "rename", "to"))
		(void)read_role(reader, &ddl->roles);
}

/* ---- statements --------------------------------------------------------- */

/* What new sessions may do: CONNECT and TEMPORARY of databases. */
static void read_privileges(struct reader *reader, struct dbddl *ddl)
{
	while (!is_over(reader)) {
		if (take_words(reader, "on", "database")) {
			read_names(reader, &ddl->databases);
			return;
		}
		advance(reader);
	}
}

static const struct {
	const char *verb;
	const char *object;
	void (*read)(struct reader *reader, struct dbddl *ddl);
} statements[] = {
	{ "create", "database", read_create_database },
	{ "alter", "database", read_alter_database },
	{ "drop", "database", read_drop_database },
	{ "create", "role", read_create_role },
	{ "create", "user", read_create_role },
	{ "create", "group", read_create_role },
	{ "alter", "role", read_alter_role },
	{ "alter", "user", read_alter_role },
	{ "alter", "group", read_alter_role },
	{ "drop", "role", read_drop_role },
	{ "drop", "user", read_drop_role },
	{ "drop", "group", read_drop_role },
};

static void read_statement(struct reader *reader, struct dbddl *ddl)
{
	if (take_word(reader, "grant") || take_word(reader, "revoke")) {
		read_privileges(reader, ddl);
		return;
	}
	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++) {
		if (!take_words(reader, statements[i].verb,
				statements[i].object))
			continue;
		/* USER MAPPING is of a foreign server. */
		if (!is_word(reader, "mapping"))
			statements[i].read(reader, ddl);
		return;
	}
}

/* The files are read again: new sessions begin with other defaults. */
static void skip_rest(struct reader *reader, struct dbddl *ddl)
{
	for (; !is_over(reader); advance(reader))
		ddl->is_reload |= is_word(reader, "pg_reload_conf");
}

void dbddl_read(struct dbddl *ddl, const char *sql, size_t len,
		const struct sqlclass_context *context)
{
	struct reader reader = { 0 };

	sqllex_init(&reader.lex, sql, len, context->plain_backslash,
		    context->is_safe_encoding);
	advance(&reader);
	while (reader.now.kind != SQLLEX_END && reader.now.kind != SQLLEX_BAD) {
		struct dbddl one = { 0 };

		read_statement(&reader, &one);
		if (!dbddl_is_nothing(&one))
			dbddl_merge(ddl, &one);
		skip_rest(&reader, ddl);
		if (reader.now.punct == ';')
			advance(&reader);
	}
}
