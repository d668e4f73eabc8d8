/*
 * One client of the console.
 *
 * Messages are small and taken whole, one after the other; while a command
 * is under way on other workers nothing more is read, so answers come in
 * order.  Whoever does not read what he asked for is not read either.
 *
 * An error in the extended protocol skips to the next Sync, as PostgreSQL
 * does, so that a driver that prepares what is no command stays in step.
 */
#include "control/console.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "control/admin_command.h"
#include "control/admin_job.h"
#include "core/config.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/client.h"
#include "proxy/client_ask.h"
#include "proxy/local.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	MESSAGE_MAX = 64 * 1024,
	NAMES_MAX = 100,         /* prepared statements, and portals */
	CONSOLE_PID = 0x40000000 /* above every session's */
};

/* What the protocol is told; the number is what PgBouncer would say. */
static const char server_version[] = "1.25.0/pgweir";

struct console {
	struct list link;
	struct local *local;
	struct stream *stream;
	struct worker_task burial;
	const struct console_hooks *hooks;
	uint64_t id;
	char address[CLIENT_ADDRESS_ROOM];
	char *user;
	bool is_admin;
	bool is_over;
	bool is_busy;              /* a command is under way */
	bool is_reading;           /* read_on is at work */
	bool is_extended;          /* the current message is of that protocol */
	bool is_skipping;          /* up to the next Sync */
	struct strmap *statements; /* name to text */
	struct strmap *portals;
};

/* --- ending ----------------------------------------------------------------
 */

static void bury(struct worker_task *task)
{
	struct console *console = LIST_ENTRY(task, struct console, burial);

	strmap_free(console->statements, free);
	strmap_free(console->portals, free);
	free(console->user);
	free(console);
}

/* The stream is closed; a job under way will find nobody. */
static void finish(struct console *console, const char *why)
{
	assert(!console->is_over);
	if (local_settings(console->local)->log_disconnections)
		log_info("console %s user=%s: closed (%s)", console->address,
			 console->user, why);
	console->is_over = true;
	console->stream = NULL;
	list_remove(&console->link);
	worker_free_later(console->local->worker, &console->burial);
}

/* What was answered already is still sent, as far as it goes. */
static void hang_up(struct console *console, const char *why)
{
	stream_close(console->stream, true);
	finish(console, why);
}

void console_end(struct console *console, const char *sqlstate, const char *why)
{
	client_fail(console->stream, sqlstate, why, NULL);
	finish(console, why);
}

/* --- answering -------------------------------------------------------------
 */

static struct buf *out_of(const struct console *console)
{
	return stream_out(console->stream);
}

/*
 * An error ends a simple query, or the batch up to its Sync (PostgreSQL docs,
 * "Message Flow", "Extended Query").
 */
static void report(struct console *console, const char *sqlstate,
		   const char *message, const char *hint)
{
	pgbuild_error(
		out_of(console),
		&(struct pgbuild_error){ .severity = "ERROR",
					 .sqlstate = sqlstate,
					 .message = message,
					 .hint = hint && *hint ? hint : NULL });
	if (console->is_extended)
		console->is_skipping = true;
	else
		pgbuild_ready(out_of(console), 'I');
}

/* In the extended protocol Describe has told the columns already. */
static void send_result(struct console *console, struct admin_job *job)
{
	struct buf *out = out_of(console);
	char tag[32];

	if (!console->is_extended && job->command->columns)
		admin_write_columns(out, job->command->columns);
	buf_move(out, &job->out);
	admin_command_tag(job->command, tag, sizeof(tag));
	pgbuild_command_complete(out, tag);
	if (!console->is_extended)
		pgbuild_ready(out, 'I');
}

/*
 * The job takes all that it needs to know of us: when it comes back, this
 * console may be gone.
 */
static void start_job(struct console *console,
		      const struct admin_parsed *parsed)
{
	struct admin_job *job = xcalloc(1, sizeof(*job));

	job->command = parsed->command;
	job->is_admin = console->is_admin;
	job->local = console->local;
	job->process = console->local->process;
	job->now_us = local_now(console->local);
	job->wall_us = util_wall_us();
	job->worker = console->local->index;
	job->console = console->id;
	job->sqlstate = "";
	memcpy(job->argument, parsed->argument, sizeof(job->argument));
	memcpy(job->value, parsed->value, sizeof(job->value));
	job->text = parsed->text ? xstrdup(parsed->text) : NULL;
	console->is_busy = true;
	console->hooks->start(console->hooks->arg, console, job);
}

/* Reads a text; the error is reported.  False also for an empty one. */
static bool parse_text(struct console *console, const char *text,
		       struct admin_parsed *parsed)
{
	if (admin_parse(text, console->is_admin, parsed))
		return parsed->command != NULL;
	report(console, parsed->sqlstate, parsed->error, parsed->hint);
	return false;
}

/* --- simple ----------------------------------------------------------------
 */

/* One command a query: what follows its semicolon is refused. */
static bool take_query(struct console *console,
		       const struct pgwire_message *message)
{
	struct admin_parsed parsed;
	const char *text;
	size_t len;

	if (!pgwire_read_string(message, &text, &len))
		return false;
	console->is_extended = false;
	if (parse_text(console, text, &parsed)) {
		start_job(console, &parsed);
	} else if (!parsed.command && !*parsed.sqlstate) {
		pgbuild_empty(out_of(console), 'I');
		pgbuild_ready(out_of(console), 'I');
	}
	return true;
}

static bool take_function(struct console *console,
			  const struct pgwire_message *message)
{
	(void)message;
	console->is_extended = false;
	report(console, "0A000", "the console has no functions", NULL);
	return true;
}

/* --- extended --------------------------------------------------------------
 */

/* Keeps a copy of the text under the name; false when there are too many. */
static bool keep(struct console *console, struct strmap *map, const char *name,
		 const char *text)
{
	if (strmap_count(map) >= NAMES_MAX && !strmap_get(map, name)) {
		report(console, "54000", "too many prepared statements",
		       "Close some, or disconnect.");
		return false;
	}
	free(strmap_put(map, name, xstrdup(text)));
	return true;
}

/*
 * A command is judged here already, so that a driver learns of a mistake
 * where it expects to; and again when it is executed, which costs nothing.
 */
static bool take_parse(struct console *console,
		       const struct pgwire_message *message)
{
	struct admin_parsed parsed;
	struct pgwire_parse parse;

	if (!pgwire_read_parse(message, &parse))
		return false;
	if (!admin_parse(parse.query, console->is_admin, &parsed))
		report(console, parsed.sqlstate, parsed.error, parsed.hint);
	else if (*parse.name && strmap_get(console->statements, parse.name))
		report(console, "42P05", "prepared statement already exists",
		       NULL);
	else if (parse.types_len > 2)
		report(console, "0A000", "commands take no parameters", NULL);
	else if (keep(console, console->statements, parse.name, parse.query))
		pgbuild_empty(out_of(console), '1');
	return true;
}

/* A count word, then as many words; false when they are not all there. */
static bool skip_words(const uint8_t **at, const uint8_t *end, unsigned *sum)
{
	unsigned count;

	if (end - *at < 2)
		return false;
	count = (unsigned)(*at)[0] << 8 | (*at)[1];
	*at += 2;
	if ((size_t)(end - *at) < (size_t)count * 2)
		return false;
	for (*sum = 0; count > 0; count--, *at += 2)
		*sum += (unsigned)(*at)[0] << 8 | (*at)[1];
	return true;
}

enum bind_kind { BIND_FINE, BIND_PARAMETERS, BIND_BINARY, BIND_MALFORMED };

/* Formats of parameters, parameters, formats of results. */
static enum bind_kind judge_bind(const struct pgwire_message *message,
				 const struct pgwire_bind *bind)
{
	const uint8_t *at = message->body + bind->rest;
	const uint8_t *end = message->body + message->body_len;
	unsigned sum;

	if (!skip_words(&at, end, &sum) || end - at < 2)
		return BIND_MALFORMED;
	if (at[0] != 0 || at[1] != 0)
		return BIND_PARAMETERS;
	at += 2;
	if (!skip_words(&at, end, &sum) || at != end)
		return BIND_MALFORMED;
	return sum == 0 ? BIND_FINE : BIND_BINARY;
}

/* The portal has the text of its own: its statement may be closed. */
static void bind_portal(struct console *console, const struct pgwire_bind *bind)
{
	const char *text = strmap_get(console->statements, bind->statement);

	if (!text)
		report(console, "26000", "prepared statement does not exist",
		       NULL);
	else if (keep(console, console->portals, bind->portal, text))
		pgbuild_empty(out_of(console), '2');
}

static bool take_bind(struct console *console,
		      const struct pgwire_message *message)
{
	struct pgwire_bind bind;

	if (pgwire_read_bind(message, &bind) != PGWIRE_OK)
		return false;
	switch (judge_bind(message, &bind)) {
	case BIND_FINE: bind_portal(console, &bind); break;
	case BIND_PARAMETERS:
		report(console, "0A000", "commands take no parameters", NULL);
		break;
	case BIND_BINARY:
		report(console, "0A000", "the console answers in text only",
		       "Ask for results in text format.");
		break;
	case BIND_MALFORMED:
	default: return false;
	}
	return true;
}

static void describe(struct console *console, const char *text, bool is_portal)
{
	struct buf *out = out_of(console);
	struct admin_parsed parsed;

	if (!text) {
		report(console, is_portal ? "34000" : "26000",
		       is_portal ? "portal does not exist"
				 : "prepared statement does not exist",
		       NULL);
		return;
	}
	if (!is_portal)
		pgbuild_message(out, 't', "\0\0", 2); /* no parameters */
	if (admin_parse(text, console->is_admin, &parsed) && parsed.command &&
	    parsed.command->columns)
		admin_write_columns(out, parsed.command->columns);
	else
		pgbuild_empty(out, 'n');
}

static bool take_describe(struct console *console,
			  const struct pgwire_message *message)
{
	const char *name;
	uint8_t kind;

	if (!pgwire_read_target(message, &kind, &name))
		return false;
	describe(
		console,
		strmap_get(kind == 'P' ? console->portals : console->statements,
			   name),
		kind == 'P');
	return true;
}

/* What does not exist is closed without complaint, as PostgreSQL does. */
static bool take_close(struct console *console,
		       const struct pgwire_message *message)
{
	const char *name;
	uint8_t kind;

	if (!pgwire_read_target(message, &kind, &name))
		return false;
	free(strmap_remove(kind == 'P' ? console->portals : console->statements,
			   name));
	pgbuild_empty(out_of(console), '3');
	return true;
}

/* All rows are sent, whatever limit the message has. */
static bool take_execute(struct console *console,
			 const struct pgwire_message *message)
{
	const char *name = (const char *)message->body;
	struct admin_parsed parsed;
	const char *text;

	if (strnlen(name, message->body_len) + 5 != message->body_len)
		return false;
	text = strmap_get(console->portals, name);
	if (!text)
		report(console, "34000", "portal does not exist", NULL);
	else if (parse_text(console, text, &parsed))
		start_job(console, &parsed);
	else if (!*parsed.sqlstate)
		pgbuild_empty(out_of(console), 'I');
	return true;
}

/* Portals end with their transaction. */
static bool take_sync(struct console *console,
		      const struct pgwire_message *message)
{
	(void)message;
	if (strmap_count(console->portals) > 0) {
		strmap_free(console->portals, free);
		console->portals = strmap_new();
	}
	pgbuild_ready(out_of(console), 'I');
	return true;
}

/* --- dispatch --------------------------------------------------------------
 */

static bool take_nothing(struct console *console,
			 const struct pgwire_message *message)
{
	(void)console;
	(void)message;
	return true;
}

static bool take_terminate(struct console *console,
			   const struct pgwire_message *message)
{
	(void)message;
	hang_up(console, "client left");
	return true;
}

/* table: what clients may send; COPY data without a COPY is ignored. */
static const struct {
	uint8_t type;
	bool is_extended;
	bool is_never_skipped;
	bool (*take)(struct console *console,
		     const struct pgwire_message *message);
} messages[] = {
	{ 'Q', false, false, take_query },
	{ 'P', true, false, take_parse },
	{ 'B', true, false, take_bind },
	{ 'D', true, false, take_describe },
	{ 'E', true, false, take_execute },
	{ 'C', true, false, take_close },
	{ 'S', true, true, take_sync },
	{ 'H', true, false, take_nothing },
	{ 'X', false, true, take_terminate },
	{ 'F', false, false, take_function },
	{ 'd', false, false, take_nothing },
	{ 'c', false, false, take_nothing },
	{ 'f', false, false, take_nothing },
};

/* False when the message breaks the protocol. */
static bool take_message(struct console *console,
			 const struct pgwire_message *message)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		if (messages[i].type != message->type)
			continue;
		if (console->is_skipping && !messages[i].is_never_skipped)
			return true;
		if (message->type == 'S')
			console->is_skipping = false;
		console->is_extended = messages[i].is_extended;
		return messages[i].take(console, message);
	}
	return false;
}

/* False when there is none, or the console is over. */
static bool read_one(struct console *console)
{
	struct pgwire_message message;
	size_t len;
	const uint8_t *data = stream_data(console->stream, &len);
	enum pgwire_result result = pgwire_read(data, len, &message);

	if (result == PGWIRE_MORE)
		return false;
	if (result == PGWIRE_BAD || message.body_len > MESSAGE_MAX) {
		console_end(console, "08P01", "malformed or oversized message");
		return false;
	}
	if (!pgwire_is_complete(&message))
		return false;
	if (!take_message(console, &message)) {
		console_end(console, "08P01", "malformed or unknown message");
		return false;
	}
	if (console->is_over)
		return false;
	stream_consume(console->stream, message.total);
	return true;
}

/* Answers that nobody fetches are the limit of what we take on. */
static bool may_read(const struct console *console)
{
	return !console->is_over && !console->is_busy &&
	       !stream_len_is_high(stream_out_len(console->stream));
}

/*
 * Commands that are answered at once come back here from inside: then the
 * loop below goes on, not one deeper.
 */
static void read_on(struct console *console)
{
	if (console->is_reading)
		return;
	console->is_reading = true;
	while (may_read(console) && read_one(console))
		continue;
	console->is_reading = false;
}

void console_answer(struct console *console, struct admin_job *job)
{
	assert(console->is_busy && !console->is_over);
	console->is_busy = false;
	if (*job->sqlstate)
		report(console, job->sqlstate, job->error, job->hint);
	else
		send_result(console, job);
	admin_job_free(job);
	read_on(console);
}

static void on_event(void *owner, enum stream_event event)
{
	struct console *console = owner;

	if (event == STREAM_CLOSED)
		hang_up(console, stream_error(console->stream));
	else
		read_on(console);
}

/* --- beginning -------------------------------------------------------------
 */

static void greet(struct console *console)
{
	const struct {
		const char *name;
		const char *value;
	} parameters[] = {
		{ "server_version", server_version },
		{ "client_encoding", "UTF8" },
		{ "server_encoding", "UTF8" },
		{ "DateStyle", "ISO, MDY" },
		{ "TimeZone", "GMT" },
		{ "integer_datetimes", "on" },
		{ "standard_conforming_strings", "on" },
		{ "is_superuser", console->is_admin ? "on" : "off" },
		{ "session_authorization", console->user },
	};
	struct buf *out = out_of(console);
	uint32_t key;

	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++)
		pgbuild_parameter_status(out, parameters[i].name,
					 parameters[i].value);
	util_random(&key, sizeof(key));
	pgbuild_key(out, CONSOLE_PID + (uint32_t)console->id, &key,
		    sizeof(key));
	pgbuild_ready(out, 'I');
}

struct console *console_new(struct local *local,
			    const struct client_login *login,
			    const struct console_hooks *hooks,
			    struct list *consoles, uint64_t id)
{
	struct console *console = xcalloc(1, sizeof(*console));

	console->local = local;
	console->stream = login->stream;
	console->hooks = hooks;
	console->id = id;
	(void)util_copy(console->address, sizeof(console->address),
			login->address);
	console->user = xstrdup(login->ask->user);
	console->is_admin = login->is_admin;
	console->statements = strmap_new();
	console->portals = strmap_new();
	worker_task_init(&console->burial, bury);
	list_append(consoles, &console->link);
	if (local_settings(local)->log_connections)
		log_info("console %s user=%s: logged in%s", console->address,
			 console->user, console->is_admin ? ", admin" : "");
	stream_set_owner(console->stream, on_event, console);
	stream_set_unread_limit(console->stream, STREAM_UNREAD_LIMIT);
	greet(console);
	read_on(console);
	return console;
}

struct console *console_find(struct list *consoles, uint64_t id)
{
	LIST_FOREACH (link, consoles) {
		struct console *console =
			LIST_ENTRY(link, struct console, link);

		if (console->id == id)
			return console;
	}
	return NULL;
}

struct console *console_first(struct list *consoles)
{
	struct list *link = list_first(consoles);

	return link ? LIST_ENTRY(link, struct console, link) : NULL;
}
