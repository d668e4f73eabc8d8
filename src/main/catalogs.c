/*
 * Keeps the catalogs of all databases in use fresh.
 *
 * An entry is one (line of [databases], name on the server).  It sleeps, is
 * due, or is being loaded: due entries wait in a queue for one of a few
 * loaders, the others for their timer.  A line whose statements are neither
 * split nor share servers (session pooling) needs no catalog; its entry
 * stays, asleep, since a reload may change that.
 *
 * A catalog comes from the primary, whose contents all replicas follow.  It
 * stays in use while later loads fail: what it says was true a moment ago,
 * and what is not in it counts as unknown, which goes to the primary.
 *
 * Main thread.
 */
#include "main/catalogs.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "control/catalog_load.h"
#include "control/monitor.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/dbddl.h"
#include "core/epoch.h"
#include "core/users.h"
#include "proxy/local.h"

#include <assert.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOADERS = 4,
	/* Names that a "*" line serves are chosen by clients. */
	ENTRIES_MAX = 4096,
	FAILURES_MAX = 10
};

static const uint64_t LOAD_LIMIT_US = 30000000;
static const uint64_t RETRY_FIRST_US = 1000000;
/* A node that is not known yet will be in a moment. */
static const uint64_t NO_NODE_RETRY_US = 250000;
/*
 * Between a load and the next one that somebody asked for: a moment, and
 * much longer than the load took, so that a schema that changes all the time
 * keeps no server busy.
 */
static const uint64_t AGAIN_US = 300000;
enum { AGAIN_TIMES = 20 };

struct entry {
	struct catalogs *catalogs;
	char *key;
	char *database;
	char *dbname;
	struct list due; /* linked while it waits for a loader */
	struct event *timer;
	struct slot *slot; /* while it is being loaded */
	bool is_loaded;
	uint64_t digest;      /* of what was loaded last */
	bool is_wanted_again; /* asked for while it was being loaded */
	unsigned failures;    /* in a row */
	uint64_t timer_us;    /* when the timer fires */
	uint64_t started_us;  /* the last load, and when it ended */
	uint64_t ended_us;
};

struct slot {
	struct catalogs *catalogs;
	struct catalog_loader *loader;
	struct entry *entry; /* NULL while busy: it was forgotten */
	char label[128];     /* of the node, for messages */
};

struct catalogs {
	struct event_base *base;
	struct catalogs_hooks hooks;
	const struct config *config;
	struct strmap *entries; /* by "database\ndbname" */
	struct list due;
	struct slot slots[LOADERS];
	bool has_complained; /* too many entries */
};

/* ---- words for libpq ---------------------------------------------------- */

/*
 * Quoted as libpq reads it (documentation of libpq, "Keyword/Value Connection
 * Strings"): names and passwords may hold anything.
 */
static void append_word(struct buf *out, const char *key, const char *value)
{
	if (!value || *value == '\0')
		return;
	buf_printf(out, "%s='", key);
	for (const char *at = value; *at; at++) {
		if (*at == '\'' || *at == '\\')
			buf_append_u8(out, '\\');
		buf_append_u8(out, (uint8_t)*at);
	}
	buf_printf(out, "' ");
}

/* Without a known address libpq would look the name up, and block. */
static bool append_address(struct buf *out, const struct node_address *address)
{
	char host[NI_MAXHOST];

	if (!address->is_known ||
	    getnameinfo((const struct sockaddr *)&address->address,
			address->len, host, sizeof(host), NULL, 0,
			NI_NUMERICHOST) != 0)
		return false;
	append_word(out, "hostaddr", host);
	return true;
}

/*
 * The monitor's own user when there is one, since he may look at everything;
 * else the line's, who can at least log in there.
 */
static void append_login(struct buf *out, const struct catalogs_target *target)
{
	const struct config_database *line = target->line;
	struct monitor_login login =
		monitor_login_with(target->config, target->users, target->node);

	if (target->config->settings.monitor_user[0] == '\0' && line->user) {
		login.user = line->user;
		login.password =
			line->password ? line->password
				       : users_find(target->users, line->user);
	}
	append_word(out, "user", login.user);
	append_word(out, "password", login.password);
}

/*
 * False: the node's name is not resolved yet.  The text holds a password: the
 * caller wipes it.
 */
bool catalogs_conninfo(const struct catalogs_target *target, struct buf *out)
{
	const struct config_settings *settings = &target->config->settings;
	const struct config_node *node = &target->config->nodes[target->node];

	if (!node->is_unix && !append_address(out, target->address))
		return false;
	append_word(out, "host", node->host);
	buf_printf(out, "port=%u ", (unsigned)node->port);
	append_login(out, target);
	append_word(out, "dbname", target->dbname);
	append_word(out, "sslmode",
		    config_sslmode_name(settings->server_tls_sslmode));
	append_word(out, "sslrootcert", settings->server_tls_ca_file);
	append_word(out, "sslcert", settings->server_tls_cert_file);
	append_word(out, "sslkey", settings->server_tls_key_file);
	buf_printf(out, "gssencmode=disable client_encoding=UTF8 "
			"application_name='pgweir catalog'");
	return true;
}

/* ---- entries ------------------------------------------------------------ */

static void entry_due(evutil_socket_t fd, short what, void *arg);

/* The event's own time is not asked for: entry_hasten() needs it. */
static void entry_schedule(struct entry *entry, uint64_t delay_us)
{
	struct timeval delay = util_timeval(delay_us);

	entry->timer_us = util_now_us() + delay_us;
	(void)event_add(entry->timer, &delay);
}

/* Sooner than the timer has it, when that is not too soon. */
static void entry_hasten(struct entry *entry)
{
	uint64_t took_us = entry->ended_us - entry->started_us;
	uint64_t due_us = entry->ended_us + AGAIN_US + AGAIN_TIMES * took_us;
	uint64_t now_us = util_now_us();

	if (due_us < entry->timer_us)
		entry_schedule(entry, due_us > now_us ? due_us - now_us : 0);
}

/* Somebody has seen a sign that the schema has changed. */
static void entry_want_again(struct entry *entry)
{
	if (entry->slot)
		entry->is_wanted_again = true;
	else if (entry->is_loaded && entry->failures == 0 &&
		 !list_is_linked(&entry->due))
		entry_hasten(entry);
}

static struct entry *entry_new(struct catalogs *catalogs, const char *key,
			       const char *database, const char *dbname)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->catalogs = catalogs;
	entry->key = xstrdup(key);
	entry->database = xstrdup(database);
	entry->dbname = xstrdup(dbname);
	list_init(&entry->due);
	entry->timer = evtimer_new(catalogs->base, entry_due, entry);
	return entry;
}

/* A load under way goes on and finds nobody (slot->entry is NULL). */
static void entry_free(void *value)
{
	struct entry *entry = value;

	list_remove(&entry->due);
	if (entry->slot)
		entry->slot->entry = NULL;
	if (entry->timer)
		event_free(entry->timer);
	free(entry->key);
	free(entry->database);
	free(entry->dbname);
	free(entry);
}

static void entry_forget(struct entry *entry)
{
	(void)strmap_remove(entry->catalogs->entries, entry->key);
	entry_free(entry);
}

/* ---- loading ------------------------------------------------------------ */

bool catalogs_is_needed(const struct config *config,
			const struct config_database *line)
{
	bool is_split = config->settings.split_reads && line->node_count > 1;

	return is_split ||
	       config_mode_of(config, line, NULL) != POOL_MODE_SESSION;
}

/* Free loaders are asked, not counted: a loader is busy until its callback. */
static struct slot *find_slot(struct catalogs *catalogs)
{
	for (unsigned i = 0; i < LOADERS; i++)
		if (!catalog_loader_is_busy(catalogs->slots[i].loader))
			return &catalogs->slots[i];
	return NULL;
}

/* False when nobody knows yet where the primary is. */
static bool slot_start(struct slot *slot, struct entry *entry,
		       const struct config_database *line)
{
	struct catalogs *catalogs = slot->catalogs;
	const struct catalogs_hooks *hooks = &catalogs->hooks;
	int node = topology_primary(hooks->topology(hooks->arg), line->nodes,
				    line->node_count);
	struct buf words = BUF_INIT;
	struct catalogs_target target = {
		.config = catalogs->config,
		.users = catalogs->hooks.users
				 ? catalogs->hooks.users(catalogs->hooks.arg)
				 : NULL,
		.line = line,
		.dbname = entry->dbname,
	};
	bool is_started = false;

	if (node < 0 ||
	    (hooks->is_shut && hooks->is_shut(hooks->arg, entry->dbname)))
		return false;
	target.node = (unsigned)node;
	target.address = &hooks->addresses(hooks->arg)[node];
	if (catalogs_conninfo(&target, &words)) {
		is_started = catalog_loader_start(
			slot->loader, buf_text(&words), LOAD_LIMIT_US);
	}
	if (buf_len(&words) > 0)
		util_wipe(buf_head(&words), buf_len(&words));
	buf_free(&words);
	if (is_started) {
		slot->entry = entry;
		entry->started_us = util_now_us();
		entry->is_wanted_again = false;
		(void)util_copy(slot->label, sizeof(slot->label),
				catalogs->config->nodes[node].label);
		entry->slot = slot;
	}
	return is_started;
}

/*
 * Nothing happens to an entry whose line needs no catalog now: it sleeps
 * without a timer until a reload wakes it.
 */
static void entry_load(struct entry *entry, struct slot *slot)
{
	const struct config *config = entry->catalogs->config;
	const struct config_database *line =
		config_find_database(config, entry->database);

	assert(!entry->slot && !slot->entry);
	(void)event_del(entry->timer);
	if (line && catalogs_is_needed(config, line) &&
	    !slot_start(slot, entry, line))
		entry_schedule(entry, NO_NODE_RETRY_US);
}

/* Gives due entries to idle loaders. */
static void catalogs_serve(struct catalogs *catalogs)
{
	struct list *link;
	struct slot *slot;

	while ((slot = find_slot(catalogs)) != NULL &&
	       (link = list_first(&catalogs->due)) != NULL) {
		list_remove(link);
		entry_load(LIST_ENTRY(link, struct entry, due), slot);
	}
}

static void entry_due(evutil_socket_t fd, short what, void *arg)
{
	struct entry *entry = arg;

	(void)fd;
	(void)what;
	assert(!entry->slot);
	if (!list_is_linked(&entry->due))
		list_append(&entry->catalogs->due, &entry->due);
	catalogs_serve(entry->catalogs);
}

/* ---- results ------------------------------------------------------------ */

/*
 * The callback takes the catalog; the log has the first one and the first after
 * a failure, the others are routine.
 */
static void entry_loaded(struct entry *entry, struct catalog *catalog,
			 const char *label)
{
	struct catalogs *catalogs = entry->catalogs;

	if (!entry->is_loaded || entry->failures > 0)
		log_info("catalog db=%s (%s): %zu functions and %zu relations "
			 "known, from %s",
			 entry->database, entry->dbname,
			 catalog_functions(catalog), catalog_relations(catalog),
			 label);
	/* DDL that did not come through here: statements may mean another. */
	if (entry->is_loaded && entry->digest != catalog_digest(catalog))
		epoch_advance_of(entry->dbname);
	entry->digest = catalog_digest(catalog);
	entry->is_loaded = true;
	entry->failures = 0;
	entry_schedule(entry, catalogs->config->settings.catalog_refresh_us);
	if (entry->is_wanted_again)
		entry_hasten(entry);
	catalogs->hooks.loaded(catalogs->hooks.arg, entry->database,
			       entry->dbname, catalog);
}

/* Doubles, up to the usual period: a server that refuses is not hammered. */
static uint64_t retry_delay(const struct entry *entry)
{
	uint64_t most = entry->catalogs->config->settings.catalog_refresh_us;
	uint64_t delay_us = RETRY_FIRST_US;

	for (unsigned i = 1; i < entry->failures && delay_us < most; i++)
		delay_us *= 2;
	return delay_us < most ? delay_us : most;
}

/* A name that some client made up is not asked for for ever. */
static bool is_hopeless(const struct entry *entry)
{
	const struct config_database *line =
		config_find_database(entry->catalogs->config, entry->database);

	return !entry->is_loaded && entry->failures >= FAILURES_MAX &&
	       (!line || strcmp(line->name, "*") == 0);
}

static void entry_failed(struct entry *entry, const char *error,
			 const char *label)
{
	entry->failures++;
	if (entry->failures == 1)
		log_warning("catalog db=%s (%s): cannot be read from %s (%s): "
			    "%s; give monitor_user a login that may CONNECT "
			    "there; trying again",
			    entry->database, entry->dbname, label, error,
			    entry->is_loaded
				    ? "what is known of it stays in use"
				    : "statements with names of its own go to "
				      "the primary");
	if (is_hopeless(entry))
		entry_forget(entry);
	else
		entry_schedule(entry, retry_delay(entry));
}

/*
 * catalog NULL: error says why.  The slot is free, so the next due entry may
 * start.
 */
static void on_loaded(void *arg, struct catalog *catalog, const char *error)
{
	struct slot *slot = arg;
	struct entry *entry = slot->entry;

	assert(!entry || entry->slot == slot);
	slot->entry = NULL;
	if (entry) {
		entry->slot = NULL;
		entry->ended_us = util_now_us();
	}
	if (!entry)
		catalog_release(catalog);
	else if (catalog)
		entry_loaded(entry, catalog, slot->label);
	else
		entry_failed(entry, error, slot->label);
	catalogs_serve(slot->catalogs);
}

/* ---- the outside -------------------------------------------------------- */

static bool is_full(struct catalogs *catalogs)
{
	if (strmap_count(catalogs->entries) < ENTRIES_MAX)
		return false;
	if (!catalogs->has_complained)
		log_warning("catalog: more than %d databases in use, the "
			    "statements of further ones go to the primary",
			    ENTRIES_MAX);
	catalogs->has_complained = true;
	return true;
}

void catalogs_want(struct catalogs *catalogs, const char *database,
		   const char *dbname)
{
	char *key = xasprintf("%s\n%s", database, dbname);
	struct entry *entry = strmap_get(catalogs->entries, key);

	if (entry) {
		entry_want_again(entry);
	} else if (!is_full(catalogs)) {
		entry = entry_new(catalogs, key, database, dbname);
		(void)strmap_put(catalogs->entries, key, entry);
		/* First come, first served; the loop sees to it. */
		list_append(&catalogs->due, &entry->due);
		entry_schedule(entry, 0);
	}
	free(key);
}

/* Also a load that nobody waits for: it is connected as well. */
void catalogs_empty(struct catalogs *catalogs, const struct dbddl_names *names)
{
	for (unsigned i = 0; i < LOADERS; i++) {
		struct slot *slot = &catalogs->slots[i];
		struct entry *entry = slot->entry;

		if (!catalog_loader_is_busy(slot->loader) ||
		    (entry && !dbddl_has_name(names, entry->dbname)))
			continue;
		catalog_loader_stop(slot->loader);
		slot->entry = NULL;
		if (!entry)
			continue;
		entry->slot = NULL;
		entry_schedule(entry, NO_NODE_RETRY_US);
	}
	catalogs_serve(catalogs);
}

static struct entry *find_named(const struct catalogs *catalogs,
				const struct dbddl_names *names)
{
	void *value;
	size_t at = 0;

	while (strmap_next(catalogs->entries, &at, NULL, &value)) {
		struct entry *entry = value;

		if (dbddl_has_name(names, entry->dbname))
			return entry;
	}
	return NULL;
}

void catalogs_forget(struct catalogs *catalogs, const struct dbddl_names *names)
{
	struct entry *entry;

	while ((entry = find_named(catalogs, names)) != NULL)
		entry_forget(entry);
}

/* An entry that the config has no line for, or NULL. */
static struct entry *find_vanished(const struct catalogs *catalogs)
{
	void *value;
	size_t at = 0;

	while (strmap_next(catalogs->entries, &at, NULL, &value)) {
		struct entry *entry = value;

		if (!config_find_database(catalogs->config, entry->database))
			return entry;
	}
	return NULL;
}

void catalogs_reload(struct catalogs *catalogs, const struct config *config)
{
	const struct config *before = catalogs->config;
	struct entry *entry;
	void *value;
	size_t at = 0;

	catalogs->config = config_hold(config);
	while ((entry = find_vanished(catalogs)) != NULL)
		entry_forget(entry);
	/* Another server, another login, a shorter period: all at once. */
	while (strmap_next(catalogs->entries, &at, NULL, &value)) {
		entry = value;
		if (!entry->slot)
			entry_schedule(entry, 0);
	}
	config_release(before);
}

struct catalogs *catalogs_new(struct event_base *base,
			      const struct catalogs_hooks *hooks,
			      const struct config *config)
{
	struct catalogs *catalogs = xcalloc(1, sizeof(*catalogs));

	catalogs->base = base;
	catalogs->hooks = *hooks;
	catalogs->config = config_hold(config);
	catalogs->entries = strmap_new();
	list_init(&catalogs->due);
	for (unsigned i = 0; i < LOADERS; i++) {
		struct slot *slot = &catalogs->slots[i];

		slot->catalogs = catalogs;
		slot->loader = catalog_loader_new(base, on_loaded, slot);
	}
	return catalogs;
}

/* Loaders first: a load under way is broken off and tells nobody. */
void catalogs_free(struct catalogs *catalogs)
{
	if (!catalogs)
		return;
	for (unsigned i = 0; i < LOADERS; i++)
		catalog_loader_free(catalogs->slots[i].loader);
	strmap_free(catalogs->entries, entry_free);
	config_release(catalogs->config);
	free(catalogs);
}
