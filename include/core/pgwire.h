#ifndef PGWEIR_CORE_PGWIRE_H
#define PGWEIR_CORE_PGWIRE_H

/*
 * Reading PostgreSQL's frontend/backend protocol 3 (PostgreSQL docs,
 * chapter "Frontend/Backend Protocol", "Message Formats").  Pure: bytes in,
 * facts out, nothing copied, every length checked before it is used.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgwire_result { PGWIRE_OK, PGWIRE_MORE, PGWIRE_BAD };

enum {
	PGWIRE_HEADER = 5,            /* type byte and length word */
	PGWIRE_NAMES_MAX = 1 << 17,   /* both names of a Bind together */
	PGWIRE_STARTUP_MAX = 10000,   /* as the server's own limit */
	PGWIRE_AUTH_MAX = 65535,      /* password and SASL messages */
	PGWIRE_SMALL_MAX = 10000,     /* messages that carry no user data */
	PGWIRE_LARGE_MAX = 0x3fffffff /* all others: 1 GB - 1 */
};

/* A message whose header is known; its body may not be here yet. */
struct pgwire_message {
	uint8_t type;
	size_t total;        /* header and body, in bytes */
	const uint8_t *body; /* what there is of it */
	size_t body_len;     /* total - PGWIRE_HEADER */
	size_t body_here;    /* bytes of the body that have arrived */
};

static inline bool pgwire_is_complete(const struct pgwire_message *message)
{
	return message->body_here == message->body_len;
}

/* Numbers in network byte order. */
static inline uint16_t pgwire_u16(const uint8_t *at)
{
	return (uint16_t)((unsigned)at[0] << 8 | at[1]);
}

static inline uint32_t pgwire_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	       (uint32_t)at[2] << 8 | at[3];
}

/*
 * Reads a header; BAD when the length word is below 4 or above 1 GB.  Here,
 * since every message of either side passes through it.
 */
static inline enum pgwire_result pgwire_read(const uint8_t *data, size_t len,
					     struct pgwire_message *message)
{
	uint32_t word;
	size_t here;

	if (len < PGWIRE_HEADER)
		return PGWIRE_MORE;
	assert(data);
	word = pgwire_u32(data + 1);
	if (word < 4 || word > PGWIRE_LARGE_MAX)
		return PGWIRE_BAD;
	here = len - PGWIRE_HEADER;
	message->type = data[0];
	message->total = (size_t)word + 1;
	message->body = data + PGWIRE_HEADER;
	message->body_len = (size_t)word - 4;
	message->body_here =
		here < message->body_len ? here : message->body_len;
	return PGWIRE_OK;
}

/*
 * Is this type one that a client may send once it is logged in, and is the
 * length within the server's limit for the type (PostgreSQL 15, postgres.c
 * SocketBackend)?
 */
bool pgwire_is_client_type(uint8_t type);
bool pgwire_is_client_length(uint8_t type, size_t body_len);

/* Is this type one that a server may send at all? */
bool pgwire_is_server_type(uint8_t type);

/* The packet that opens a connection. */
enum pgwire_startup_kind {
	STARTUP_LOGIN,
	STARTUP_SSL,
	STARTUP_GSSENC,
	STARTUP_CANCEL
};

struct pgwire_startup {
	enum pgwire_startup_kind kind;
	const uint8_t *bytes; /* the packet as it came */
	size_t total;         /* bytes of it */
	uint16_t major;       /* of a login */
	uint16_t minor;
	const char *parameters; /* name\0value\0 ... \0, checked */
	size_t parameters_len;  /* 0 unless major is 3 */
	uint32_t cancel_pid;
	const uint8_t *cancel_key;
	size_t cancel_key_len; /* 4, or up to 256 in protocol 3.2 */
};

/*
 * MORE until the packet is whole; BAD as soon as it cannot become one (HTTP,
 * TLS and other strangers at their first bytes).  A login of another major
 * version than 3 is OK, so that the caller can refuse it by name; nothing but
 * its version has been read.  *startup is set only when OK, and its pointers
 * lie in data.
 */
enum pgwire_result pgwire_read_startup(const uint8_t *data, size_t len,
				       struct pgwire_startup *startup);

/* Whether the length in front may be that of a startup packet, as far as it
 * is there: what else comes is no client of PostgreSQL. */
bool pgwire_is_startup_size(const uint8_t *data, size_t len);

/*
 * Walks the parameters of a login: start with *at = 0; false at the end.
 * Both strings are NUL-terminated inside the packet.
 */
bool pgwire_next_parameter(const struct pgwire_startup *startup, size_t *at,
			   const char **name, const char **value);

/* The value of a parameter (the last one, as the server reads it), or NULL. */
const char *pgwire_parameter(const struct pgwire_startup *startup,
			     const char *name);

/* Bodies, complete unless said otherwise; false when malformed. */
struct pgwire_parse {
	const char *name;
	const char *query;
	size_t query_len;
	const uint8_t *types; /* count word and OIDs, as on the wire */
	size_t types_len;
};
bool pgwire_read_parse(const struct pgwire_message *message,
		       struct pgwire_parse *parse);

/* Whole messages, the last of which is a Terminate, and no other. */
bool pgwire_ends_in_terminate(const uint8_t *data, size_t len);

/*
 * The names of a Bind; works on an incomplete body as soon as both names
 * have arrived.  rest is the offset in the body behind the second name.  BAD
 * also when they do not end within PGWIRE_NAMES_MAX bytes: what waits for
 * them must be bounded.  What follows is for the server to judge.
 */
struct pgwire_bind {
	const char *portal;
	const char *statement;
	size_t rest;
};
enum pgwire_result pgwire_read_bind(const struct pgwire_message *message,
				    struct pgwire_bind *bind);

/*
 * The values of a Bind: rest is what follows its names, whole.  Open reads
 * the formats and the number of values; false when these are cut.  Next may
 * be asked while count is not 0: one value, which lies in rest, *at NULL for
 * NULL; false when it is cut.  What the values mean, the server judges.
 */
struct pgwire_values {
	const uint8_t *at;
	size_t left;
	unsigned count; /* that are still to come */
	bool are_texts; /* no format but text is named */
};
bool pgwire_open_values(const uint8_t *rest, size_t len,
			struct pgwire_values *values);
bool pgwire_next_value(struct pgwire_values *values, const char **at,
		       size_t *len);

/* For how many columns the same rest names formats; 0 also when it is cut. */
unsigned pgwire_count_formats(const uint8_t *rest, size_t len);

/* Describe and Close: 'S' or 'P', and a name. */
bool pgwire_read_target(const struct pgwire_message *message, uint8_t *kind,
			const char **name);

/* A body that is one NUL-terminated string (Query, PasswordMessage). */
bool pgwire_read_string(const struct pgwire_message *message, const char **text,
			size_t *len);

/* ParameterStatus: two strings. */
bool pgwire_read_pair(const struct pgwire_message *message, const char **name,
		      const char **value);

/* BackendKeyData: process and key (4 to 256 bytes). */
bool pgwire_read_key(const struct pgwire_message *message, uint32_t *pid,
		     const uint8_t **key, size_t *key_len);

/* Authentication: the code, and what follows it. */
bool pgwire_read_auth(const struct pgwire_message *message, uint32_t *code,
		      const uint8_t **rest, size_t *rest_len);

/* SASLInitialResponse: mechanism and data (NULL when the length is -1). */
bool pgwire_read_sasl_initial(const struct pgwire_message *message,
			      const char **mechanism, const uint8_t **data,
			      size_t *len);

/*
 * ErrorResponse and NoticeResponse.  Any field may be missing (CVE-2026-6666
 * of another pooler): those are "" here, never NULL; false only when a field
 * has no end.
 */
struct pgwire_error {
	const char *severity; /* V, else S */
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *routine;
};
bool pgwire_read_error(const struct pgwire_message *message,
		       struct pgwire_error *error);

/* NotificationResponse. */
struct pgwire_notification {
	uint32_t pid;
	const char *channel;
	const char *payload;
};
bool pgwire_read_notification(const struct pgwire_message *message,
			      struct pgwire_notification *notification);

/* ReadyForQuery: 'I', 'T' or 'E'; 0 when malformed. */
char pgwire_read_ready(const struct pgwire_message *message);

#endif
