/*
 * Reading startup packets.
 *
 * Settings are gathered as the server would: the packet's own parameters
 * beat its options, and a line of the configuration fills in what is not
 * given.  A client that asks for replication gets a server of its own, so
 * what else it asks for is kept as it came and judged there.
 *
 * Nothing is looked up here that the client may not know: whether its user or
 * its database exists is no question of this room.
 *
 * Applications connect again and again with the same packet, so what was read
 * is kept, by the packet's bytes, for as long as the configuration stands.
 */
#include "proxy/client_ask.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/config.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/replication.h"
#include "core/settings.h"
#include "core/stmtscope.h"
#include "proxy/local.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHARED_MAX = 512,       /* then all are forgotten */
	SHARED_PACKET_MAX = 512 /* bytes; longer ones are read each time */
};

void client_ask_release(struct client_ask *ask)
{
	if (!ask || --ask->references > 0)
		return;
	if (ask->reading.scope)
		stmtscope_release(ask->reading.scope);
	settings_release(ask->settings);
	replication_free(ask->replication);
	free(ask->greeting);
	free(ask->packet);
	free(ask->user);
	free(ask->database);
	free(ask);
}

/* --- sharing --- */

static struct client_ask *find_shared(const struct local *local,
				      const struct pgwire_startup *startup)
{
	return strmap_get_bytes(local->asks, startup->bytes, startup->total);
}

static void keep_packet(struct client_ask *ask,
			const struct pgwire_startup *startup)
{
	if (startup->total > SHARED_PACKET_MAX)
		return;
	ask->packet = xmalloc(startup->total);
	memcpy(ask->packet, startup->bytes, startup->total);
	ask->packet_len = startup->total;
}

static void forget_one(void *value)
{
	client_ask_release(value);
}

void client_asks_forget(struct local *local)
{
	strmap_free(local->asks, forget_one);
	local->asks = strmap_new();
}

void client_ask_share(struct client_ask *ask, struct local *local)
{
	struct client_ask *other;

	/* A login may take longer than a configuration lasts. */
	if (ask->is_shared || !ask->packet ||
	    ask->generation != local_config(local)->generation)
		return;
	if (strmap_count(local->asks) >= SHARED_MAX)
		client_asks_forget(local);
	ask->is_shared = true;
	ask->references++;
	other = strmap_put_bytes(local->asks, ask->packet, ask->packet_len,
				 ask);
	client_ask_release(other);
}

static bool refuse(struct client_refusal *refusal, const char *sqlstate,
		   const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static bool refuse(struct client_refusal *refusal, const char *sqlstate,
		   const char *hint, const char *format, ...)
{
	va_list arguments;

	refusal->sqlstate = sqlstate;
	refusal->hint = hint;
	va_start(arguments, format);
	(void)vsnprintf(refusal->message, sizeof(refusal->message), format,
			arguments);
	va_end(arguments);
	return false;
}

/* --- settings --- */

static bool is_ignored(const struct local *local, const char *name)
{
	const char *list = local_settings(local)->ignore_startup_parameters;

	return list && config_list_has(list, name);
}

static void set(struct client_ask *ask, const char *name, const char *value)
{
	const struct settings *with = settings_with(ask->settings, name, value);

	settings_release(ask->settings);
	ask->settings = with;
}

static bool add_options(struct client_ask *ask, const struct local *local,
			const char *value, struct client_refusal *refusal)
{
	const char *why = "";

	if (is_ignored(local, "options") ||
	    settings_add_options(&ask->settings, value, &why))
		return true;
	return refuse(refusal, "08P01",
		      "The startup parameter \"options\" takes -c name=value.",
		      "%s", why);
}

/* Of the protocol. */
static bool is_option(const char *name)
{
	return strncmp(name, "_pq_.", 5) == 0;
}

/* Those that are settings; the others are read by name. */
static bool is_setting(const char *name)
{
	return strcmp(name, "user") != 0 && strcmp(name, "database") != 0 &&
	       strcmp(name, "options") != 0 &&
	       strcmp(name, "replication") != 0 && !is_option(name);
}

static bool add_parameters(struct client_ask *ask, const struct local *local,
			   const struct pgwire_startup *startup,
			   struct client_refusal *refusal)
{
	const char *name;
	const char *value;
	size_t at = 0;

	while (pgwire_next_parameter(startup, &at, &name, &value)) {
		if (!is_setting(name) || is_ignored(local, name))
			continue;
		if (!settings_is_name(name))
			return refuse(refusal, "42704", NULL,
				      "unrecognized configuration parameter "
				      "\"%.63s\"",
				      name);
		set(ask, name, value);
	}
	return true;
}

/* A line of the configuration may set what its clients do not. */
static void add_defaults(struct client_ask *ask, const struct local *local)
{
	const struct config_database *line =
		config_find_database(local_config(local), ask->database);
	const struct {
		const char *name;
		const char *value;
	} defaults[] = {
		{ "client_encoding", line ? line->client_encoding : NULL },
		{ "datestyle", line ? line->datestyle : NULL },
		{ "timezone", line ? line->timezone : NULL },
		{ "application_name", line ? line->application_name : NULL },
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
		if (defaults[i].value &&
		    !settings_get(ask->settings, defaults[i].name) &&
		    !is_ignored(local, defaults[i].name))
			set(ask, defaults[i].name, defaults[i].value);
}

/* Where it comes from, for whoever looks at the servers. */
static void add_host(struct client_ask *ask, const struct local *local,
		     const char *address)
{
	const char *name = settings_get(ask->settings, "application_name");
	char *text;

	if (!local_settings(local)->application_name_add_host ||
	    is_ignored(local, "application_name"))
		return;
	text = xasprintf("%s - %s", name ? name : "app", address);
	set(ask, "application_name", text);
	free(text);
}

/* --- the packet --- */

static bool is_to_negotiate(const struct pgwire_startup *startup)
{
	const char *name;
	const char *value;
	size_t at = 0;

	while (pgwire_next_parameter(startup, &at, &name, &value))
		if (is_option(name))
			return true;
	return startup->minor > 0;
}

/* PostgreSQL's words for a value that is none. */
static bool read_replication(struct client_ask *ask,
			     const struct pgwire_startup *startup,
			     struct client_refusal *refusal)
{
	const char *value = pgwire_parameter(startup, "replication");
	enum replication kind = replication_read(value);

	if (kind == REPLICATION_BAD)
		return refuse(refusal, "22023",
			      "Valid values are: \"false\", 0, \"true\", 1, "
			      "\"database\".",
			      "invalid value for parameter \"replication\": "
			      "\"%.63s\"",
			      value);
	if (kind != REPLICATION_NONE && !ask->is_console)
		ask->replication = replication_keep(startup, kind);
	return true;
}

static bool is_console(const char *database)
{
	return strcmp(database, "pgbouncer") == 0 ||
	       strcmp(database, "pgweir") == 0;
}

static bool read_names(struct client_ask *ask,
		       const struct pgwire_startup *startup,
		       struct client_refusal *refusal)
{
	const char *user = pgwire_parameter(startup, "user");
	const char *database = pgwire_parameter(startup, "database");

	if (!user || !*user)
		return refuse(
			refusal, "28000", NULL,
			"no PostgreSQL user name specified in startup packet");
	ask->user = xstrdup(user);
	ask->database = xstrdup(database && *database ? database : user);
	ask->is_console = is_console(ask->database);
	return true;
}

static bool read_packet(struct client_ask *ask, const struct local *local,
			const struct pgwire_startup *startup,
			const char *address, struct client_refusal *refusal)
{
	const char *options = pgwire_parameter(startup, "options");

	if (!read_names(ask, startup, refusal) ||
	    !read_replication(ask, startup, refusal))
		return false;
	if (ask->replication)
		return true;
	/* First, so that the packet's own parameters beat them. */
	if (options && !add_options(ask, local, options, refusal))
		return false;
	if (!add_parameters(ask, local, startup, refusal))
		return false;
	add_defaults(ask, local);
	add_host(ask, local, address);
	if (!local_settings(local)->application_name_add_host)
		keep_packet(ask, startup);
	return true;
}

bool client_ask_read(struct client_ask **ask, struct local *local,
		     const struct pgwire_startup *startup, const char *address,
		     struct client_refusal *refusal)
{
	*ask = find_shared(local, startup);
	if (*ask) {
		(*ask)->references++;
		return true;
	}
	*ask = xcalloc(1, sizeof(**ask));
	(*ask)->references = 1;
	(*ask)->settings = settings_empty();
	(*ask)->is_negotiating = is_to_negotiate(startup);
	(*ask)->generation = local_config(local)->generation;
	return read_packet(*ask, local, startup, address, refusal);
}

void client_ask_negotiate(const struct pgwire_startup *startup, struct buf *out)
{
	enum { OPTIONS_SHOWN = 16 };
	const char *options[OPTIONS_SHOWN];
	size_t count = 0;
	size_t at = 0;
	const char *name;
	const char *value;

	while (pgwire_next_parameter(startup, &at, &name, &value))
		if (is_option(name) && count < OPTIONS_SHOWN)
			options[count++] = name;
	pgbuild_negotiate(out, 0, options, count);
}
