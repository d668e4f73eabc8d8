#ifndef PGWEIR_CORE_PGBUILD_H
#define PGWEIR_CORE_PGBUILD_H

/*
 * Building protocol 3 messages at the end of a buffer.  Pure: nothing is
 * allocated but the buffer's own room.  Texts and data are copied; a message
 * must stay below 1 GB, which is the caller's to see to.  Formats: PostgreSQL
 * docs, "Message Formats".
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Begins a message and returns where it starts; pgbuild_end writes the
 * length word.  Offsets count from buf->head, which must not move between.
 */
size_t pgbuild_begin(struct buf *out, char type);
void pgbuild_end(struct buf *out, size_t start);

/* A message without a body, or with one that is at hand. */
void pgbuild_empty(struct buf *out, char type);
void pgbuild_message(struct buf *out, char type, const void *body, size_t len);

/* Header alone, for a body of len that is forwarded. */
void pgbuild_header(struct buf *out, char type, size_t body_len);

/* --- what a server says ------------------------------------------------ */

struct pgbuild_error {
	const char *severity; /* "FATAL", "ERROR", "NOTICE", "WARNING" */
	const char *sqlstate;
	const char *message;
	const char *detail;  /* NULL: none */
	const char *hint;    /* NULL: none */
	const char *routine; /* NULL: none */
};
void pgbuild_error(struct buf *out, const struct pgbuild_error *error);
void pgbuild_notice(struct buf *out, const struct pgbuild_error *notice);
void pgbuild_auth(struct buf *out, uint32_t code, const void *rest, size_t len);
void pgbuild_auth_sasl(struct buf *out, const char *mechanism);
void pgbuild_parameter_status(struct buf *out, const char *name,
			      const char *value);
void pgbuild_key(struct buf *out, uint32_t pid, const void *key, size_t len);
void pgbuild_notification(struct buf *out, uint32_t pid, const char *channel,
			  const char *payload);
void pgbuild_ready(struct buf *out, char status);
void pgbuild_command_complete(struct buf *out, const char *tag);
/*
 * NegotiateProtocolVersion; options is a list of count strings.  On the wire
 * the version has its major in the upper half, as PostgreSQL sends it and
 * libpq expects it, whatever the docs say.
 */
void pgbuild_negotiate(struct buf *out, uint32_t newest_minor,
		       const char *const *options, size_t count);
/* Text columns (RowDescription) and rows, for the console; count <= 65535. */
void pgbuild_row_description(struct buf *out, const char *const *names,
			     size_t count);
/* A NULL value is SQL NULL. */
void pgbuild_data_row(struct buf *out, const char *const *values, size_t count);

/* --- what a client says ------------------------------------------------ */

void pgbuild_ssl_request(struct buf *out);
void pgbuild_cancel(struct buf *out, uint32_t pid, const void *key, size_t len);
/* Startup; pairs name, value, name, value ..., count pairs. */
void pgbuild_startup(struct buf *out, const char *const *pairs, size_t count);
void pgbuild_password(struct buf *out, const char *password);
/* data NULL: no initial response, which is not an empty one. */
void pgbuild_sasl_initial(struct buf *out, const char *mechanism,
			  const void *data, size_t len);
void pgbuild_sasl_response(struct buf *out, const void *data, size_t len);
void pgbuild_query(struct buf *out, const char *sql, size_t len);
/* tail: query, its NUL, and the parameter types as on the wire. */
void pgbuild_parse(struct buf *out, const char *name, const void *tail,
		   size_t tail_len);
/* Close or Describe; kind 'S' or 'P'. */
void pgbuild_target(struct buf *out, char type, char kind, const char *name);

#endif
