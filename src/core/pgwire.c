/*
 * Reading protocol 3: what a message is, what it may be, and where its parts
 * lie.  The format of each is in the PostgreSQL docs, chapter
 * "Frontend/Backend Protocol", section "Message Formats".
 *
 * Every pointer handed out lies inside the bytes handed in; nothing is copied
 * or kept.  A length is compared with what is there before it is used, and
 * the search for a closing NUL never leaves the body.  A body must end where
 * its last part ends: trailing bytes are refused, as the server refuses them.
 *
 * Refuses to know what a message means; that is track's and session's.  Any
 * thread.
 */
#include "core/pgwire.h"

#include <string.h>

enum {
	STARTUP_MIN = 8, /* length word and code */
	STARTUP_CODE_MAJOR = 1234,
	CODE_CANCEL = 80877102, /* 1234.5678 and so on */
	CODE_SSL = 80877103,
	CODE_GSSENC = 80877104,
	KEY_MIN = 4,
	KEY_MAX = 256
};

_Static_assert(CODE_CANCEL == (STARTUP_CODE_MAJOR << 16) + 5678,
	       "request codes are versions that no protocol has");

/* --- types --------------------------------------------------------------- */

enum { FROM_CLIENT = 1, IS_LARGE = 2, FROM_SERVER = 4 };

/* table: which side may send a type, and whether it may carry user data */
static const uint8_t types[UINT8_MAX + 1] = {
	['B'] = FROM_CLIENT | IS_LARGE,
	['C'] = FROM_CLIENT | FROM_SERVER,
	['D'] = FROM_CLIENT | FROM_SERVER,
	['E'] = FROM_CLIENT | FROM_SERVER,
	['F'] = FROM_CLIENT | IS_LARGE,
	['H'] = FROM_CLIENT | FROM_SERVER,
	['P'] = FROM_CLIENT | IS_LARGE,
	['Q'] = FROM_CLIENT | IS_LARGE,
	['S'] = FROM_CLIENT | FROM_SERVER,
	['X'] = FROM_CLIENT,
	['c'] = FROM_CLIENT | FROM_SERVER,
	['d'] = FROM_CLIENT | FROM_SERVER | IS_LARGE,
	['f'] = FROM_CLIENT,
	['1'] = FROM_SERVER, /* ParseComplete */
	['2'] = FROM_SERVER, /* BindComplete */
	['3'] = FROM_SERVER, /* CloseComplete */
	['A'] = FROM_SERVER, /* NotificationResponse */
	['G'] = FROM_SERVER, /* CopyInResponse */
	['I'] = FROM_SERVER, /* EmptyQueryResponse */
	['K'] = FROM_SERVER, /* BackendKeyData */
	['N'] = FROM_SERVER, /* NoticeResponse */
	['R'] = FROM_SERVER, /* Authentication */
	['T'] = FROM_SERVER, /* RowDescription */
	['V'] = FROM_SERVER, /* FunctionCallResponse */
	['W'] = FROM_SERVER, /* CopyBothResponse */
	['Z'] = FROM_SERVER, /* ReadyForQuery */
	['n'] = FROM_SERVER, /* NoData */
	['s'] = FROM_SERVER, /* PortalSuspended */
	['t'] = FROM_SERVER, /* ParameterDescription */
	['v'] = FROM_SERVER, /* NegotiateProtocolVersion */
};

bool pgwire_is_client_type(uint8_t type)
{
	return types[type] & FROM_CLIENT;
}

bool pgwire_is_client_length(uint8_t type, size_t body_len)
{
	/* The server's limits count the length word with the body. */
	size_t max = types[type] & IS_LARGE ? PGWIRE_LARGE_MAX - 1
					    : PGWIRE_SMALL_MAX;

	return body_len <= max - 4;
}

bool pgwire_is_server_type(uint8_t type)
{
	return types[type] & FROM_SERVER;
}

/* --- a walk through a body ------------------------------------------------ */

struct cursor {
	const uint8_t *at;
	size_t left;
};

/* The whole body, or nothing to read when it has not arrived. */
static struct cursor cursor_over(const struct pgwire_message *message)
{
	if (!pgwire_is_complete(message))
		return (struct cursor){ message->body, 0 };
	return (struct cursor){ message->body, message->body_len };
}

/* The NUL-terminated string that is next, or NULL; len may be NULL. */
static const char *take_string(struct cursor *cursor, size_t *len)
{
	const uint8_t *start = cursor->at;
	const uint8_t *nul;

	if (cursor->left == 0)
		return NULL;
	nul = memchr(start, '\0', cursor->left);
	if (!nul)
		return NULL;
	cursor->left -= (size_t)(nul - start) + 1;
	cursor->at = nul + 1;
	if (len)
		*len = (size_t)(nul - start);
	return (const char *)start;
}

static bool take_u16(struct cursor *cursor, uint16_t *value)
{
	if (cursor->left < 2)
		return false;
	*value = pgwire_u16(cursor->at);
	cursor->at += 2;
	cursor->left -= 2;
	return true;
}

static bool take_u32(struct cursor *cursor, uint32_t *value)
{
	if (cursor->left < 4)
		return false;
	*value = pgwire_u32(cursor->at);
	cursor->at += 4;
	cursor->left -= 4;
	return true;
}

/* --- the packet that opens a connection ------------------------------------
 */

static bool skip_pair(struct cursor *cursor)
{
	const char *name = take_string(cursor, NULL);

	return name && take_string(cursor, NULL);
}

/*
 * Pairs of strings, the name never empty, closed by a NUL that is the last
 * byte (PostgreSQL, postmaster.c ProcessStartupPacket).
 */
static bool are_parameters(const uint8_t *data, size_t len)
{
	struct cursor cursor = { data, len };

	while (cursor.left > 0 && *cursor.at != '\0')
		if (!skip_pair(&cursor))
			return false;
	return cursor.left == 1;
}

static enum pgwire_result read_login(const uint8_t *data,
				     struct pgwire_startup *startup)
{
	const uint8_t *parameters = data + STARTUP_MIN;
	size_t len = startup->total - STARTUP_MIN;

	startup->kind = STARTUP_LOGIN;
	startup->major = pgwire_u16(data + 4);
	startup->minor = pgwire_u16(data + 6);
	if (startup->major != 3)
		return PGWIRE_OK;
	if (!are_parameters(parameters, len))
		return PGWIRE_BAD;
	startup->parameters = (const char *)parameters;
	startup->parameters_len = len;
	return PGWIRE_OK;
}

static enum pgwire_result read_cancel(const uint8_t *data,
				      struct pgwire_startup *startup)
{
	size_t len = startup->total - STARTUP_MIN;

	if (len < 4 + KEY_MIN || len > 4 + KEY_MAX)
		return PGWIRE_BAD;
	startup->kind = STARTUP_CANCEL;
	startup->cancel_pid = pgwire_u32(data + STARTUP_MIN);
	startup->cancel_key = data + STARTUP_MIN + 4;
	startup->cancel_key_len = len - 4;
	return PGWIRE_OK;
}

static enum pgwire_result read_bare(enum pgwire_startup_kind kind,
				    struct pgwire_startup *startup)
{
	startup->kind = kind;
	return startup->total == STARTUP_MIN ? PGWIRE_OK : PGWIRE_BAD;
}

static enum pgwire_result read_by_code(const uint8_t *data,
				       struct pgwire_startup *startup)
{
	switch (pgwire_u32(data + 4)) {
	case CODE_SSL: return read_bare(STARTUP_SSL, startup);
	case CODE_GSSENC: return read_bare(STARTUP_GSSENC, startup);
	case CODE_CANCEL: return read_cancel(data, startup);
	default: return read_login(data, startup);
	}
}

bool pgwire_is_startup_size(const uint8_t *data, size_t len)
{
	/* No length up to the limit has a bit in its first two bytes. */
	if ((len > 0 && data[0] != 0) || (len > 1 && data[1] != 0))
		return false;
	return len < 4 || (pgwire_u32(data) >= STARTUP_MIN &&
			   pgwire_u32(data) <= PGWIRE_STARTUP_MAX);
}

enum pgwire_result pgwire_read_startup(const uint8_t *data, size_t len,
				       struct pgwire_startup *startup)
{
	struct pgwire_startup found = { .bytes = data };
	enum pgwire_result result;

	if (!pgwire_is_startup_size(data, len))
		return PGWIRE_BAD;
	if (len < 4)
		return PGWIRE_MORE;
	found.total = pgwire_u32(data);
	if (len < found.total)
		return PGWIRE_MORE;
	result = read_by_code(data, &found);
	if (result == PGWIRE_OK)
		*startup = found;
	return result;
}

bool pgwire_next_parameter(const struct pgwire_startup *startup, size_t *at,
			   const char **name, const char **value)
{
	const char *next;

	/* Checked when the packet was read: the last byte stands alone. */
	if (*at + 1 >= startup->parameters_len)
		return false;
	next = startup->parameters + *at;
	*name = next;
	next += strlen(next) + 1;
	*value = next;
	next += strlen(next) + 1;
	*at = (size_t)(next - startup->parameters);
	return true;
}

const char *pgwire_parameter(const struct pgwire_startup *startup,
			     const char *name)
{
	const char *found = NULL;
	const char *its_name;
	const char *value;
	size_t at = 0;

	while (pgwire_next_parameter(startup, &at, &its_name, &value))
		if (strcmp(its_name, name) == 0)
			found = value;
	return found;
}

/* --- what a client says --------------------------------------------------- */

bool pgwire_read_parse(const struct pgwire_message *message,
		       struct pgwire_parse *parse)
{
	struct cursor cursor = cursor_over(message);
	struct pgwire_parse found;

	found.name = take_string(&cursor, NULL);
	found.query = take_string(&cursor, &found.query_len);
	if (!found.name || !found.query || cursor.left < 2)
		return false;
	found.types = cursor.at;
	found.types_len = cursor.left;
	if (found.types_len != 2 + (size_t)4 * pgwire_u16(found.types))
		return false;
	*parse = found;
	return true;
}

bool pgwire_ends_in_terminate(const uint8_t *data, size_t len)
{
	static const uint8_t terminate[] = { 'X', 0, 0, 0, 4 };
	struct pgwire_message message;

	if (len < sizeof(terminate) ||
	    memcmp(data + len - sizeof(terminate), terminate,
		   sizeof(terminate)) != 0)
		return false;
	while (pgwire_read(data, len, &message) == PGWIRE_OK &&
	       message.type != 'X' && message.total < len) {
		data += message.total;
		len -= message.total;
	}
	return len == sizeof(terminate);
}

enum pgwire_result pgwire_read_bind(const struct pgwire_message *message,
				    struct pgwire_bind *bind)
{
	bool is_cut = message->body_here > PGWIRE_NAMES_MAX;
	struct cursor cursor = { message->body, is_cut ? PGWIRE_NAMES_MAX
						       : message->body_here };
	const char *portal = take_string(&cursor, NULL);
	const char *statement = portal ? take_string(&cursor, NULL) : NULL;

	if (!statement)
		return is_cut || pgwire_is_complete(message) ? PGWIRE_BAD
							     : PGWIRE_MORE;
	bind->portal = portal;
	bind->statement = statement;
	bind->rest = (size_t)(cursor.at - message->body);
	return PGWIRE_OK;
}

bool pgwire_open_values(const uint8_t *rest, size_t len,
			struct pgwire_values *values)
{
	struct cursor cursor = { rest, len };
	bool are_texts = true;
	uint16_t count;
	uint16_t format;

	if (!take_u16(&cursor, &count))
		return false;
	for (; count > 0; count--) {
		if (!take_u16(&cursor, &format))
			return false;
		are_texts = are_texts && format == 0;
	}
	if (!take_u16(&cursor, &count))
		return false;
	*values = (struct pgwire_values){ cursor.at, cursor.left, count,
					  are_texts };
	return true;
}

bool pgwire_next_value(struct pgwire_values *values, const char **at,
		       size_t *len)
{
	struct cursor cursor = { values->at, values->left };
	uint32_t its_len;

	assert(values->count > 0);
	if (!take_u32(&cursor, &its_len))
		return false;
	*at = NULL;
	*len = 0;
	if (its_len != UINT32_MAX) {
		if (its_len > cursor.left)
			return false;
		*at = (const char *)cursor.at;
		*len = its_len;
	}
	values->at = cursor.at + *len;
	values->left = cursor.left - *len;
	values->count--;
	return true;
}

unsigned pgwire_count_formats(const uint8_t *rest, size_t len)
{
	struct pgwire_values values;
	struct cursor cursor;
	const char *at;
	uint16_t count;

	if (!pgwire_open_values(rest, len, &values))
		return 0;
	while (values.count > 0)
		if (!pgwire_next_value(&values, &at, &len))
			return 0;
	cursor = (struct cursor){ values.at, values.left };
	return take_u16(&cursor, &count) ? count : 0;
}

bool pgwire_read_target(const struct pgwire_message *message, uint8_t *kind,
			const char **name)
{
	struct cursor cursor = cursor_over(message);
	uint8_t its_kind;
	const char *its_name;

	if (cursor.left < 2)
		return false;
	its_kind = *cursor.at;
	cursor.at++;
	cursor.left--;
	its_name = take_string(&cursor, NULL);
	if ((its_kind != 'S' && its_kind != 'P') || !its_name || cursor.left)
		return false;
	*kind = its_kind;
	*name = its_name;
	return true;
}

bool pgwire_read_string(const struct pgwire_message *message, const char **text,
			size_t *len)
{
	size_t all = message->body_len;

	if (!pgwire_is_complete(message) || all == 0 ||
	    memchr(message->body, '\0', all) != message->body + all - 1)
		return false;
	*text = (const char *)message->body;
	*len = all - 1;
	return true;
}

bool pgwire_read_sasl_initial(const struct pgwire_message *message,
			      const char **mechanism, const uint8_t **data,
			      size_t *len)
{
	struct cursor cursor = cursor_over(message);
	const char *its_mechanism = take_string(&cursor, NULL);
	uint32_t claimed;
	bool is_absent;

	if (!its_mechanism || !take_u32(&cursor, &claimed))
		return false;
	is_absent = claimed == UINT32_MAX;
	if (cursor.left != (is_absent ? 0 : claimed))
		return false;
	*mechanism = its_mechanism;
	*data = is_absent ? NULL : cursor.at;
	*len = cursor.left;
	return true;
}

/* --- what a server says --------------------------------------------------- */

bool pgwire_read_pair(const struct pgwire_message *message, const char **name,
		      const char **value)
{
	struct cursor cursor = cursor_over(message);
	const char *its_name = take_string(&cursor, NULL);
	const char *its_value = take_string(&cursor, NULL);

	if (!its_name || !its_value || cursor.left > 0)
		return false;
	*name = its_name;
	*value = its_value;
	return true;
}

bool pgwire_read_key(const struct pgwire_message *message, uint32_t *pid,
		     const uint8_t **key, size_t *key_len)
{
	struct cursor cursor = cursor_over(message);
	uint32_t its_pid;

	if (!take_u32(&cursor, &its_pid) || cursor.left < KEY_MIN ||
	    cursor.left > KEY_MAX)
		return false;
	*pid = its_pid;
	*key = cursor.at;
	*key_len = cursor.left;
	return true;
}

bool pgwire_read_auth(const struct pgwire_message *message, uint32_t *code,
		      const uint8_t **rest, size_t *rest_len)
{
	struct cursor cursor = cursor_over(message);

	if (!take_u32(&cursor, code))
		return false;
	*rest = cursor.at;
	*rest_len = cursor.left;
	return true;
}

/* Where the text of a field goes; NULL for fields of no interest. */
static const char **error_field(struct pgwire_error *error, uint8_t field)
{
	switch (field) {
	case 'V': return &error->severity;
	case 'C': return &error->sqlstate;
	case 'M': return &error->message;
	case 'D': return &error->detail;
	case 'H': return &error->hint;
	case 'R': return &error->routine;
	default: return NULL;
	}
}

bool pgwire_read_error(const struct pgwire_message *message,
		       struct pgwire_error *error)
{
	struct cursor cursor = cursor_over(message);
	const char *localized = "";

	*error = (struct pgwire_error){ "", "", "", "", "", "" };
	while (cursor.left > 0 && *cursor.at != '\0') {
		const char **field = error_field(error, *cursor.at);
		const char *text = (const char *)cursor.at + 1;

		/* The letter is part of what take_string steps over. */
		if (*cursor.at == 'S')
			field = &localized;
		if (!take_string(&cursor, NULL))
			return false;
		if (field)
			*field = text;
	}
	if (error->severity[0] == '\0')
		error->severity = localized;
	return pgwire_is_complete(message);
}

bool pgwire_read_notification(const struct pgwire_message *message,
			      struct pgwire_notification *notification)
{
	struct cursor cursor = cursor_over(message);

	if (!pgwire_is_complete(message) || cursor.left < 4)
		return false;
	notification->pid = pgwire_u32(cursor.at);
	cursor.at += 4;
	cursor.left -= 4;
	notification->channel = take_string(&cursor, NULL);
	notification->payload = take_string(&cursor, NULL);
	return notification->channel && notification->payload &&
	       cursor.left == 0;
}

char pgwire_read_ready(const struct pgwire_message *message)
{
	if (message->body_len != 1 || message->body_here != 1)
		return '\0';
	switch (message->body[0]) {
	case 'I':
	case 'T':
	case 'E': return (char)message->body[0];
	default: return '\0';
	}
}
