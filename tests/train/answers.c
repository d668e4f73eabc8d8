/*
 * A server that only answers: it knows the first word of a statement, and
 * nothing of tables.  Asked by pgweir's monitor, it says which node it is;
 * asked for its catalog, it has none, so that clients read what all servers
 * have.
 */
#include "train.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum answer {
	ANSWER_ROW,
	ANSWER_MANY_ROWS,
	ANSWER_BEGIN,
	ANSWER_END,
	ANSWER_UPDATE,
	ANSWER_INSERT,
	ANSWER_SET,
	ANSWER_COPY_OUT,
	ANSWER_COPY_IN,
	ANSWER_ERROR,
	ANSWER_PROBE,
};

/* What a first word asks for; the tag that ends the answer. */
static const struct {
	const char *word;
	enum answer answer;
	const char *tag;
} answers[] = {
	{ "begin", ANSWER_BEGIN, "BEGIN" },
	{ "end", ANSWER_END, "COMMIT" },
	{ "commit", ANSWER_END, "COMMIT" },
	{ "rollback", ANSWER_END, "ROLLBACK" },
	{ "update", ANSWER_UPDATE, "UPDATE 1" },
	{ "insert", ANSWER_INSERT, "INSERT 0 1" },
	{ "delete", ANSWER_UPDATE, "DELETE 1" },
	{ "set", ANSWER_SET, "SET" },
	{ "reset", ANSWER_SET, "RESET" },
	{ "discard", ANSWER_SET, "DISCARD ALL" },
	{ "deallocate", ANSWER_SET, "DEALLOCATE" },
	{ "select * from large", ANSWER_MANY_ROWS, "SELECT 2000" },
	{ "copy large to", ANSWER_COPY_OUT, "COPY 2000" },
	{ "copy large from", ANSWER_COPY_IN, "COPY 2000" },
};
enum { ANSWERS = sizeof(answers) / sizeof(*answers) };

enum { STATEMENTS = 1024, LARGE_ROWS = 2000, LARGE_COLUMN = 100 };

struct backend {
	struct wire *wire;
	bool is_replica, is_skipping;
	char status;
	unsigned bound; /* the portal's statement, by its slot */
	struct {
		enum answer answer;
		const char *tag;
	} statements[STATEMENTS];
};

struct node {
	int listener;
	bool is_replica;
};

static atomic_uint_fast64_t counts[2];

uint64_t answers_count(bool is_replica)
{
	return atomic_load(&counts[is_replica]);
}

/* ---- messages ----------------------------------------------------------- */

static void send_ready(struct backend *backend)
{
	wire_message(backend->wire, 'Z', &backend->status, 1);
	(void)wire_flush(backend->wire);
}

static void send_tag(struct backend *backend, const char *tag)
{
	wire_message(backend->wire, 'C', tag, strlen(tag) + 1);
}

static void send_error(struct backend *backend)
{
	static const char fields[] =
		"SERROR\0VERROR\0C42703\0Mcolumn \"fails\" does not exist\0";

	wire_message(backend->wire, 'E', fields, sizeof(fields));
	if (backend->status == 'T')
		backend->status = 'E';
}

static size_t put16(char *out, int value)
{
	uint16_t wide = htons((uint16_t)value);

	memcpy(out, &wide, sizeof(wide));
	return sizeof(wide);
}

static void send_columns(struct backend *backend, int columns)
{
	/* Nothing of a table, type text, of any size, as text. */
	static const char type[] = "\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\0\0";
	char body[512];
	size_t len = put16(body, columns);

	for (int i = 0; i < columns; i++) {
		memcpy(body + len, "abalance", sizeof("abalance"));
		len += sizeof("abalance");
		memcpy(body + len, type, sizeof(type));
		len += sizeof(type);
	}
	wire_message(backend->wire, 'T', body, len);
}

/* A row of these texts; one that is missing is null. */
static void send_row(struct backend *backend, const char *const *values,
		     int columns)
{
	char body[512];
	size_t len = put16(body, columns);

	for (int i = 0; i < columns; i++) {
		size_t size = values[i] ? strlen(values[i]) : 0;
		uint32_t wide = values[i] ? htonl((uint32_t)size) : UINT32_MAX;

		memcpy(body + len, &wide, sizeof(wide));
		len += sizeof(wide);
		if (size)
			memcpy(body + len, values[i], size);
		len += size;
	}
	wire_message(backend->wire, 'D', body, len);
}

/* ---- answers ------------------------------------------------------------ */

static void answer_probe(struct backend *backend)
{
	static const char *const primary[] = {
		"f",  "0/3000000", "000000010000000000000003",
		NULL, "f",         "7000000000001"
	};
	static const char *const replica[] = {
		"t", "0/3000000", NULL, "1", "t", "7000000000001"
	};

	send_columns(backend, 6);
	send_row(backend, backend->is_replica ? replica : primary, 6);
	send_tag(backend, "SELECT 1");
}

static void send_large(struct backend *backend, bool is_copy)
{
	char text[LARGE_COLUMN + 1];
	const char *const values[] = { text };

	memset(text, 'x', LARGE_COLUMN);
	text[LARGE_COLUMN] = '\0';
	for (int i = 0; i < LARGE_ROWS; i++) {
		if (is_copy)
			wire_message(backend->wire, 'd', text, LARGE_COLUMN);
		else
			send_row(backend, values, 1);
	}
}

static void swallow_copy(struct backend *backend)
{
	struct message message = { .type = 'd' };

	wire_message(backend->wire, 'G', "\0\0", 3);
	(void)wire_flush(backend->wire);
	while (message.type == 'd' && wire_read(backend->wire, &message, true))
		continue;
}

/* All of the answer but a row's description and ReadyForQuery. */
static void answer_one(struct backend *backend, enum answer answer,
		       const char *tag)
{
	static const char *const value[] = { "4711" };

	switch (answer) {
	case ANSWER_ROW: send_row(backend, value, 1); break;
	case ANSWER_MANY_ROWS: send_large(backend, false); break;
	case ANSWER_BEGIN: backend->status = 'T'; break;
	case ANSWER_END: backend->status = 'I'; break;
	case ANSWER_COPY_OUT:
		wire_message(backend->wire, 'H', "\0\0", 3);
		send_large(backend, true);
		wire_message(backend->wire, 'c', "", 0);
		break;
	case ANSWER_COPY_IN: swallow_copy(backend); break;
	case ANSWER_ERROR: send_error(backend); return;
	case ANSWER_PROBE: answer_probe(backend); return;
	default: break;
	}
	send_tag(backend, tag);
}

static bool has_rows(enum answer answer)
{
	return answer == ANSWER_ROW || answer == ANSWER_MANY_ROWS;
}

static enum answer look(const char *text, const char **tag)
{
	while (*text == ' ' || *text == ';' || *text == '\n')
		text++;
	for (int i = 0; i < ANSWERS; i++)
		if (strncasecmp(text, answers[i].word,
				strlen(answers[i].word)) == 0) {
			*tag = answers[i].tag;
			return answers[i].answer;
		}
	*tag = "SELECT 1";
	if (strstr(text, "pg_proc"))
		return ANSWER_ERROR; /* the catalog: there is none */
	if (strstr(text, "pg_is_in_recovery"))
		return ANSWER_PROBE;
	return ANSWER_ROW;
}

/* One message of several statements is answered by each of them. */
static void on_query(struct backend *backend, const char *text)
{
	const char *tag, *next = text;
	enum answer answer;

	do {
		answer = look(next, &tag);
		if (has_rows(answer))
			send_columns(backend, 1);
		answer_one(backend, answer, tag);
		atomic_fetch_add(&counts[backend->is_replica], 1);
		next = strchr(next, ';');
	} while (answer < ANSWER_ERROR && next && *++next &&
		 strspn(next, " \n;") < strlen(next));
	send_ready(backend);
}

/* ---- the extended protocol ---------------------------------------------- */

/* Names of a training are few: that two of them meet is taken for nothing. */
static unsigned slot_of(const char *name)
{
	unsigned sum = 0;

	while (*name)
		sum = sum * 33 + (unsigned char)*name++;
	return sum % STATEMENTS;
}

static void on_parse(struct backend *backend, const char *name)
{
	const char *text = name + strlen(name) + 1;
	unsigned slot = slot_of(name);

	backend->statements[slot].answer =
		look(text, &backend->statements[slot].tag);
	wire_message(backend->wire, '1', "", 0);
}

static void on_describe(struct backend *backend, const char *body)
{
	unsigned slot = backend->bound;

	if (*body == 'S') {
		slot = slot_of(body + 1);
		wire_message(backend->wire, 't', "\0", 2);
	}
	if (has_rows(backend->statements[slot].answer))
		send_columns(backend, 1);
	else
		wire_message(backend->wire, 'n', "", 0);
}

static void on_execute(struct backend *backend)
{
	enum answer answer = backend->statements[backend->bound].answer;

	atomic_fetch_add(&counts[backend->is_replica], 1);
	answer_one(backend, answer, backend->statements[backend->bound].tag);
	backend->is_skipping = answer == ANSWER_ERROR;
}

static void on_extended(struct backend *backend, const struct message *message)
{
	const char *body = message->body;

	switch (message->type) {
	case 'P': on_parse(backend, body); break;
	case 'B':
		backend->bound = slot_of(body + strlen(body) + 1);
		wire_message(backend->wire, '2', "", 0);
		break;
	case 'D': on_describe(backend, body); break;
	case 'E': on_execute(backend); break;
	case 'C': wire_message(backend->wire, '3', "", 0); break;
	case 'H': (void)wire_flush(backend->wire); break;
	default: train_die("pgweir has sent a message that nobody knows");
	}
}

/* ---- connections -------------------------------------------------------- */

static void send_greeting(struct backend *backend)
{
	static const char *const parameters[] = {
		"application_name\0",
		"client_encoding\0UTF8",
		"DateStyle\0ISO, MDY",
		"default_transaction_read_only\0off",
		"in_hot_standby\0off",
		"integer_datetimes\0on",
		"IntervalStyle\0postgres",
		"is_superuser\0off",
		"server_encoding\0UTF8",
		"server_version\00015.8",
		"session_authorization\0app",
		"standard_conforming_strings\0on",
		"TimeZone\0Etc/UTC",
	};

	wire_message(backend->wire, 'R', "\0\0\0", 4);
	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++) {
		size_t name = strlen(parameters[i]) + 1;

		wire_message(backend->wire, 'S', parameters[i],
			     name + strlen(parameters[i] + name) + 1);
	}
	wire_message(backend->wire, 'K', "\0\0\0\1\0\0\0", 8);
	send_ready(backend);
}

/* Startup: anything but an encryption, which is refused. */
static bool greet(struct backend *backend)
{
	struct message message;
	uint32_t code;

	do {
		if (!wire_read(backend->wire, &message, false) ||
		    message.len < sizeof(code))
			return false;
		memcpy(&code, message.body, sizeof(code));
		code = ntohl(code);
		if (code >> 16 == 1234) {
			wire_put(backend->wire, "N", 1);
			(void)wire_flush(backend->wire);
		}
	} while (code >> 16 == 1234);
	send_greeting(backend);
	return true;
}

static void *backend_main(void *arg)
{
	struct backend *backend = arg;
	struct message message;

	if (greet(backend))
		while (wire_read(backend->wire, &message, true) &&
		       message.type != 'X') {
			if (message.type == 'Q') {
				on_query(backend, message.body);
			} else if (message.type == 'S') {
				backend->is_skipping = false;
				send_ready(backend);
			} else if (!backend->is_skipping) {
				on_extended(backend, &message);
			}
		}
	wire_free(backend->wire);
	free(backend);
	return NULL;
}

static void start(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, arg) != 0)
		train_die("no thread");
	(void)pthread_detach(thread);
}

static void *node_main(void *arg)
{
	struct node *node = arg;

	for (;;) {
		int fd = accept(node->listener, NULL, NULL);
		struct backend *backend = calloc(1, sizeof(*backend));

		if (fd < 0 || !backend)
			train_die("cannot accept");
		backend->wire = wire_new(fd);
		backend->is_replica = node->is_replica;
		backend->status = 'I';
		start(backend_main, backend);
	}
}

void answers_serve(int listener, bool is_replica)
{
	struct node *node = malloc(sizeof(*node));

	if (!node)
		train_die("no memory");
	node->listener = listener;
	node->is_replica = is_replica;
	start(node_main, node);
}
