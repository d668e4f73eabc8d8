/*
 * Every reader of pgwire over the same bytes: as the packet that opens a
 * connection, and as a stream of messages that are cut where the input ends.
 * What a reader hands out must lie within what it was given; each is checked
 * by touching it, under the address sanitizer.
 */
#include "core/pgwire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(const void *data, size_t len)
{
	const uint8_t *bytes = data;

	if (len > 0)
		sink = bytes[0] ^ bytes[len - 1];
}

/* A string with its NUL. */
static void touch_text(const char *text)
{
	touch(text, strlen(text) + 1);
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void read_startup(const uint8_t *data, size_t size)
{
	struct pgwire_startup startup;
	const char *name;
	const char *value;
	size_t at = 0;
	size_t seen = 1;

	if (pgwire_read_startup(data, size, &startup) != PGWIRE_OK)
		return;
	must(startup.total >= 8 && startup.total <= size);
	if (startup.kind == STARTUP_CANCEL) {
		touch(startup.cancel_key, startup.cancel_key_len);
		must(startup.cancel_key_len + 12 == startup.total);
	}
	while (pgwire_next_parameter(&startup, &at, &name, &value)) {
		touch_text(name);
		touch_text(value);
		must(*name != '\0');
		must(pgwire_parameter(&startup, name) != NULL);
		seen += strlen(name) + strlen(value) + 2;
	}
	must(startup.parameters_len == 0 || startup.parameters_len == seen);
}

static void read_values(const uint8_t *rest, size_t len)
{
	struct pgwire_values values;
	const char *at;
	size_t its_len;

	if (!pgwire_open_values(rest, len, &values))
		return;
	while (values.count > 0 && pgwire_next_value(&values, &at, &its_len)) {
		must(at || its_len == 0);
		touch(at, its_len);
		must(values.at + values.left == rest + len);
	}
}

static void read_statement(const struct pgwire_message *message)
{
	struct pgwire_parse parse;
	struct pgwire_bind bind;
	const char *text;
	uint8_t kind;

	if (pgwire_read_parse(message, &parse)) {
		touch_text(parse.name);
		must(strlen(parse.query) == parse.query_len);
		touch(parse.types, parse.types_len);
		must(strlen(parse.name) + parse.query_len + 2 +
			     parse.types_len ==
		     message->body_len);
	}
	if (pgwire_read_bind(message, &bind) == PGWIRE_OK) {
		must(strlen(bind.portal) + strlen(bind.statement) + 2 ==
		     bind.rest);
		must(bind.rest <= message->body_here);
		read_values(message->body + bind.rest,
			    message->body_here - bind.rest);
	}
	if (pgwire_read_target(message, &kind, &text))
		must(strlen(text) + 2 == message->body_len);
}

static void read_login(const struct pgwire_message *message)
{
	const uint8_t *bytes;
	const char *text;
	uint32_t number;
	size_t len;

	if (pgwire_read_sasl_initial(message, &text, &bytes, &len)) {
		touch(bytes, len);
		must(strlen(text) + 5 + len == message->body_len);
		must(bytes || len == 0);
	}
	if (pgwire_read_key(message, &number, &bytes, &len)) {
		touch(bytes, len);
		must(len == message->body_len - 4);
	}
	if (pgwire_read_auth(message, &number, &bytes, &len)) {
		touch(bytes, len);
		must(len == message->body_len - 4);
	}
}

static void read_report(const struct pgwire_message *message)
{
	struct pgwire_error error;
	const char *name;
	const char *value;
	size_t len;

	(void)pgwire_read_error(message, &error);
	touch_text(error.severity);
	touch_text(error.sqlstate);
	touch_text(error.message);
	touch_text(error.detail);
	touch_text(error.hint);
	touch_text(error.routine);
	if (pgwire_read_pair(message, &name, &value))
		must(strlen(name) + strlen(value) + 2 == message->body_len);
	if (pgwire_read_string(message, &name, &len))
		must(strlen(name) == len && len + 1 == message->body_len);
	if (pgwire_read_ready(message))
		must(message->body_len == 1);
}

static void read_messages(const uint8_t *data, size_t size)
{
	struct pgwire_message message;

	while (pgwire_read(data, size, &message) == PGWIRE_OK) {
		must(message.total == message.body_len + PGWIRE_HEADER);
		must(message.body_here <= message.body_len);
		must(message.body_here <= size - PGWIRE_HEADER);
		touch(message.body, message.body_here);
		(void)pgwire_is_client_type(message.type);
		(void)pgwire_is_client_length(message.type, message.body_len);
		(void)pgwire_is_server_type(message.type);
		read_statement(&message);
		read_login(&message);
		read_report(&message);
		if (!pgwire_is_complete(&message))
			return;
		data += message.total;
		size -= message.total;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_startup(data, size);
	read_messages(data, size);
	return 0;
}
