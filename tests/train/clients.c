/*
 * Clients as they are in a pooler's day: point reads and short transactions in
 * all three protocols, from few clients and from many; logins; large results
 * and COPY.  Nothing else, on purpose: what has not run at all is moved out of
 * the way of what has, and settings, errors or DISCARD can afford the detour.
 */
#include "train.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum protocol { SIMPLE, EXTENDED, PREPARED, PROTOCOLS };

enum {
	FEW = 8,
	MANY = 60,
	READS = 300,
	TRANSACTIONS = 60,
	LOGINS = 25,
	TEXT_MAX = 200
};

struct client {
	struct wire *wire;
	const char *database;
	uint64_t prepared; /* bit n: statement n is */
	enum protocol protocol;
	unsigned random;
	int rounds;
	uint16_t port;
};

/*
 * pgbench's own transaction; the read is what its -S plays, of a table that
 * pgweir knows without a catalog.
 */
static const char *const texts[] = {
	"BEGIN;",
	"UPDATE pgbench_accounts SET abalance = abalance + 17 WHERE aid = %u;",
	"SELECT relpages FROM pg_class WHERE oid = %u;",
	"UPDATE pgbench_tellers SET tbalance = tbalance + 17 WHERE tid = %u;",
	"UPDATE pgbench_branches SET bbalance = bbalance + 17 WHERE bid = %u;",
	"INSERT INTO pgbench_history VALUES (3, 1, %u, 17, CURRENT_TIMESTAMP);",
	"END;",
};
enum { TEXTS = sizeof(texts) / sizeof(*texts), READ = 2 };

/* ---- conversation ------------------------------------------------------- */

/* Reads until ReadyForQuery; false when the connection has ended. */
static bool settle(struct wire *wire)
{
	struct message message = { .type = '\0' };

	while (message.type != 'Z') {
		if (!wire_read(wire, &message, true))
			return false;
		if (message.type == 'G') {
			for (int i = 0; i < 200; i++)
				wire_message(wire, 'd', "4711\tx\n", 7);
			wire_message(wire, 'c', "", 0);
			(void)wire_flush(wire);
		}
	}
	return true;
}

static void ask(struct wire *wire)
{
	if (!wire_flush(wire) || !settle(wire))
		train_die("pgweir has left a client");
}

static void ask_text(struct wire *wire, const char *text)
{
	wire_message(wire, 'Q', text, strlen(text) + 1);
	ask(wire);
}

/* The name is empty for the unnamed statement. */
static void put_parse(struct wire *wire, const char *name, const char *text)
{
	char body[TEXT_MAX * 2];
	int len = snprintf(body, sizeof(body), "%s%c%s%c%c%c", name, 0, text, 0,
			   0, 0);

	wire_message(wire, 'P', body, (size_t)len);
}

/* Bind with one parameter or none, Describe, Execute and Sync. */
static void put_run(struct wire *wire, const char *name, unsigned value,
		    bool has_value)
{
	char body[TEXT_MAX], digits[16];
	int size = snprintf(digits, sizeof(digits), "%u", value);
	int len;

	if (has_value)
		len = snprintf(body, sizeof(body),
			       "%c%s%c%c%c%c%c%c%c%c%c%s%c%c", 0, name, 0, 0, 0,
			       0, 1, 0, 0, 0, size, digits, 0, 0);
	else
		len = snprintf(body, sizeof(body), "%c%s%c%c%c%c%c%c%c", 0,
			       name, 0, 0, 0, 0, 0, 0, 0);
	wire_message(wire, 'B', body, (size_t)len);
	wire_message(wire, 'D', "P", 2);
	wire_message(wire, 'E', "\0\0\0\0", 5);
	wire_message(wire, 'S', "", 0);
}

static bool log_in(struct client *client)
{
	static const char version[] = "\0\3\0";
	char startup[TEXT_MAX];
	int len = snprintf(startup, sizeof(startup),
			   "....user%capp%cdatabase%c%s%c%c", 0, 0, 0,
			   client->database, 0, 0);
	int fd = wire_connect(client->port);

	if (fd < 0)
		return false;
	memcpy(startup, version, sizeof(version));
	client->wire = wire_new(fd);
	client->prepared = 0;
	wire_message(client->wire, '\0', startup, (size_t)len);
	if (wire_flush(client->wire) && settle(client->wire))
		return true;
	wire_free(client->wire);
	return false;
}

static void log_out(struct client *client)
{
	wire_message(client->wire, 'X', "", 0);
	(void)wire_flush(client->wire);
	wire_free(client->wire);
}

/* ---- what is played ----------------------------------------------------- */

/* The text with a number in it, or with $1 in its place. */
static void write_text(char *out, unsigned which, bool is_parameter,
		       unsigned value)
{
	const char *hole = strstr(texts[which], "%u");
	int head =
		hole ? (int)(hole - texts[which]) : (int)strlen(texts[which]);
	char digits[16];

	(void)snprintf(digits, sizeof(digits), is_parameter ? "$1" : "%u",
		       value);
	(void)snprintf(out, TEXT_MAX, "%.*s%s%s", head, texts[which],
		       hole ? digits : "", hole ? hole + 2 : "");
}

static void play_text(struct client *client, unsigned which)
{
	char text[TEXT_MAX], name[8] = "";
	bool has_value = strchr(texts[which], '%') != NULL;
	unsigned value;

	client->random = client->random * 1103515245 + 12345;
	value = 1 + (client->random >> 8) % 100000;
	write_text(text, which, client->protocol != SIMPLE, value);
	if (client->protocol == SIMPLE) {
		ask_text(client->wire, text);
		return;
	}
	if (client->protocol == PREPARED)
		(void)snprintf(name, sizeof(name), "P0_%u", which);
	if (client->protocol == PREPARED && !(client->prepared >> which & 1)) {
		put_parse(client->wire, name, text);
		wire_message(client->wire, 'S', "", 0);
		ask(client->wire);
		client->prepared |= UINT64_C(1) << which;
	}
	if (client->protocol == EXTENDED)
		put_parse(client->wire, name, text);
	put_run(client->wire, name, value, has_value);
	ask(client->wire);
}

static void *client_main(void *arg)
{
	struct client *client = arg;

	if (!log_in(client))
		train_die("pgweir lets nobody in");
	for (int i = 0; i < client->rounds * READS / TRANSACTIONS; i++)
		play_text(client, READ);
	for (int i = 0; i < client->rounds; i++)
		for (unsigned which = 0; which < TEXTS; which++)
			play_text(client, which);
	log_out(client);
	return NULL;
}

static void *newcomer_main(void *arg)
{
	struct client *client = arg;

	for (int i = 0; i < LOGINS; i++) {
		if (!log_in(client))
			train_die("pgweir lets nobody in any more");
		play_text(client, READ);
		log_out(client);
	}
	return NULL;
}

static void *carrier_main(void *arg)
{
	struct client *client = arg;

	if (!log_in(client))
		train_die("pgweir lets nobody in");
	for (int i = 0; i < 4; i++) {
		ask_text(client->wire, "SELECT * FROM large");
		ask_text(client->wire, "COPY large TO STDOUT");
		ask_text(client->wire, "COPY large FROM STDIN");
	}
	log_out(client);
	return NULL;
}

/* So many clients at once, each a thread, until the last has ended. */
static void play(void *(*body)(void *), int count, struct client model)
{
	struct client clients[MANY];
	pthread_t threads[MANY];

	for (int i = 0; i < count; i++) {
		clients[i] = model;
		clients[i].random = (unsigned)i * 7919;
		if (pthread_create(&threads[i], NULL, body, &clients[i]) != 0)
			train_die("no thread");
	}
	for (int i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
}

void clients_play(uint16_t port, const char *database)
{
	struct client model = { .port = port, .database = database };

	for (int protocol = SIMPLE; protocol < PROTOCOLS; protocol++) {
		model.protocol = (enum protocol)protocol;
		model.rounds = TRANSACTIONS;
		play(client_main, FEW, model);
		model.rounds = TRANSACTIONS * FEW / MANY;
		play(client_main, MANY, model);
	}
	model.protocol = SIMPLE;
	play(newcomer_main, FEW, model);
	play(carrier_main, 2, model);
}

bool clients_are_served(uint16_t port, const char *database)
{
	struct client client = { .port = port, .database = database };

	if (!log_in(&client))
		return false;
	ask_text(client.wire, "SELECT 1");
	log_out(&client);
	return true;
}
