/*
 * Keeps the catalogs of all databases in use fresh.
 *
 * An entry is one (line of [databases], name on the server).  It sleeps, is
 * due, or is being loaded: due entries wait in a queue for one of a few
 * loaders, the others for their timer.  A line whose statements are neither
 * split nor share servers (session pooling) needs no catalog; its entry
 * stays, asleep, since a reload may change that.
 *
 * A catalog comes from a replica that has all that was there when the load
 * became due, else from the primary (main/catalog_source).  It stays in use
 * while later loads fail: what it says was true a moment ago, and what is not
 * in it counts as unknown, which goes to the primary.
 *
 * DDL may be acknowledged before it is flushed (synchronous_commit = off), so
 * that a replica which has all that was flushed does not have it yet.  Who
 * asked a replica soon after a sign of DDL therefore asks once more when that
 * time is over.
 *
 * The databases that the configuration names are loaded ahead of their first
 * client, and all again when another node has become the primary.
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
#include "core/catalog.h"
#include "core/config.h"
#include "core/dbddl.h"
#include "core/epoch.h"
#include "main/catalog_source.h"
#include "proxy/local.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOADERS = 4,
	/* Names that a "*" line serves are chosen by clients. */
	ENTRIES_MAX = 4096,
	/* Of a file that names more, the rest is loaded when it is used. */
	AHEAD_MAX = 256,
	/* A replica has failed: so many loads leave all of them alone. */
	SHUN_LOADS = 10,
	FAILURES_MAX = 10
};

static const uint64_t LOAD_LIMIT_US = 30000000;
static const uint64_t RETRY_FIRST_US = 1000000;
/* A node that is not known yet will be in a moment: news come sooner. */
static const uint64_t NO_NODE_RETRY_US = 250000;
/* How long, and how often, a replica is waited for. */
static const uint64_t PATIENCE_US = 500000;
static const uint64_t REPLICA_RETRY_US = 20000;
/*
 * What is acknowledged at once is flushed within three times wal_writer_delay,
 * which is 10 s at most (PostgreSQL docs, "Asynchronous Commit").
 */
static const uint64_t FLUSH_US = 1000000;
static const uint64_t FLUSH_LATE_US = 31000000;
/*
 * Between a load and the next one that somebody asked for: a moment, and
 * much longer than the load took, so that a schema that changes all the time
 * keeps no server busy.  Not too long: what was redefined, and with it all
 * else, is read on the primary until the next one.
 */
static const uint64_t AGAIN_US = 300000;
enum { AGAIN_TIMES = 5 };

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
	bool is_waiting;      /* for news of the nodes: linked there instead */
	unsigned shuns;       /* loads that will not ask a replica */
	unsigned failures;    /* in a row */
	uint64_t due_us;      /* since when a load is due; 0: none is */
	uint64_t sign_us;     /* the last sign of a change */
	uint64_t complete_us; /* the load has all from before; 0: all */
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
	struct list waiting; /* for news of the nodes */
	struct slot slots[LOADERS];
	bool has_complained; /* too many entries */
	uint64_t nodes;      /* a digest: who is primary, and of what */
};

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
static void entry_hasten(struct entry *entry, uint64_t earliest_us)
{
	uint64_t took_us = entry->ended_us - entry->started_us;
	uint64_t due_us = entry->ended_us + AGAIN_US + AGAIN_TIMES * took_us;
	uint64_t now_us = util_now_us();

	if (due_us < earliest_us)
		due_us = earliest_us;
	if (due_us < entry->timer_us)
		entry_schedule(entry, due_us > now_us ? due_us - now_us : 0);
}

/* Somebody has seen a sign that the schema has changed. */
static void entry_want_again(struct entry *entry)
{
	entry->sign_us = util_now_us();
	if (entry->slot || entry->due_us != 0)
		entry->is_wanted_again = true;
	else if (entry->is_loaded && entry->failures == 0 &&
		 !list_is_linked(&entry->due))
		entry_hasten(entry, 0);
}

static struct entry *entry_new(struct catalogs *catalogs, const char *database,
			       const char *dbname)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->catalogs = catalogs;
	entry->key = xasprintf("%s\n%s", database, dbname);
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

/* The words for a node; false when it has no address. */
static bool write_words(const struct entry *entry,
			const struct config_database *line, int node,
			struct buf *out)
{
	const struct catalogs *catalogs = entry->catalogs;
	const struct catalogs_hooks *hooks = &catalogs->hooks;
	const struct catalog_source source = {
		.config = catalogs->config,
		.users = hooks->users ? hooks->users(hooks->arg) : NULL,
		.line = line,
		.node = (unsigned)node,
		.address = &hooks->addresses(hooks->arg)[node],
		.dbname = entry->dbname,
	};

	return catalog_source_words(&source, out);
}

/* False when an address is not known yet. */
static bool slot_connect(struct slot *slot, const struct entry *entry,
			 const struct config_database *line,
			 const struct catalog_choice *choice)
{
	struct buf primary = BUF_INIT;
	struct buf replica = BUF_INIT;
	bool is_split = choice->replica >= 0;
	bool is_started = false;

	if (write_words(entry, line, choice->primary, &primary) &&
	    (!is_split || write_words(entry, line, choice->replica, &replica)))
		is_started = catalog_loader_start(
			slot->loader, buf_text(is_split ? &replica : &primary),
			is_split ? buf_text(&primary) : NULL, LOAD_LIMIT_US);
	buf_free_secret(&primary);
	buf_free_secret(&replica);
	return is_started;
}

static void slot_take(struct slot *slot, struct entry *entry,
		      const struct catalog_choice *choice)
{
	int node = choice->replica >= 0 ? choice->replica : choice->primary;

	(void)util_copy(slot->label, sizeof(slot->label),
			slot->catalogs->config->nodes[node].label);
	slot->entry = entry;
	entry->slot = slot;
	entry->started_us = util_now_us();
	entry->complete_us = choice->replica >= 0 ? choice->complete_us : 0;
	entry->due_us = 0;
	/* Signs that came while it waited are older than an answer of now. */
	entry->is_wanted_again =
		entry->complete_us != 0 && entry->sign_us >= entry->complete_us;
}

static struct catalog_choice entry_choose(const struct entry *entry,
					  const struct config_database *line)
{
	const struct catalogs *catalogs = entry->catalogs;
	const struct catalogs_hooks *hooks = &catalogs->hooks;
	struct catalog_choice choice = catalog_source_choose(
		hooks->topology(hooks->arg), line,
		catalogs->config->settings.max_replica_lag_us, entry->due_us);

	if (entry->shuns > 0) {
		choice.replica = -1;
		choice.may_wait = false;
	}
	return choice;
}

static void entry_wait(struct entry *entry, uint64_t delay_us)
{
	entry->is_waiting = true;
	list_append(&entry->catalogs->waiting, &entry->due);
	entry_schedule(entry, delay_us);
}

/* A replica may have all of it in a moment: how far they are is asked now. */
static bool entry_waits_for_replica(struct entry *entry,
				    const struct catalog_choice *choice)
{
	const struct catalogs_hooks *hooks = &entry->catalogs->hooks;

	if (!choice->may_wait || util_now_us() > entry->due_us + PATIENCE_US)
		return false;
	if (hooks->hurry)
		hooks->hurry(hooks->arg, (unsigned)choice->primary);
	entry_wait(entry, REPLICA_RETRY_US);
	return true;
}

static void entry_start(struct entry *entry, struct slot *slot,
			const struct config_database *line)
{
	const struct catalogs_hooks *hooks = &entry->catalogs->hooks;
	struct catalog_choice choice = entry_choose(entry, line);
	bool is_shut =
		hooks->is_shut && hooks->is_shut(hooks->arg, entry->dbname);

	if (!is_shut && entry_waits_for_replica(entry, &choice))
		return;
	if (!is_shut && choice.primary >= 0 &&
	    slot_connect(slot, entry, line, &choice))
		slot_take(slot, entry, &choice);
	else
		entry_wait(entry, NO_NODE_RETRY_US);
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
	if (line && catalogs_is_needed(config, line))
		entry_start(entry, slot, line);
	else
		entry->due_us = 0;
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
	if (entry->due_us == 0)
		entry->due_us = util_now_us();
	if (entry->is_waiting)
		list_remove(&entry->due);
	entry->is_waiting = false;
	if (!list_is_linked(&entry->due))
		list_append(&entry->catalogs->due, &entry->due);
	catalogs_serve(entry->catalogs);
}

/* ---- results ------------------------------------------------------------ */

/* When everything that the last sign was about is flushed for sure. */
static uint64_t flushed_us(const struct entry *entry,
			   const struct catalog *catalog)
{
	return entry->sign_us + (catalog_is_role(catalog, HIDDEN_LATE, "")
					 ? FLUSH_LATE_US
					 : FLUSH_US);
}

/* When the next load is due, for now. */
static void entry_rest(struct entry *entry, const struct catalog *catalog)
{
	uint64_t settled_us = flushed_us(entry, catalog);

	entry_schedule(entry,
		       entry->catalogs->config->settings.catalog_refresh_us);
	if (entry->is_wanted_again)
		entry_hasten(entry, 0);
	else if (entry->sign_us != 0 && entry->complete_us != 0 &&
		 entry->complete_us < settled_us)
		entry_hasten(entry, settled_us);
}

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
	catalog_set_as_of(catalog, entry->complete_us != 0 ? entry->complete_us
							   : entry->started_us);
	entry->is_loaded = true;
	entry->failures = 0;
	entry->shuns -= entry->shuns > 0;
	entry_rest(entry, catalog);
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

/* It may have cancelled what its replay had to wait for: no harm is done. */
static void entry_failed_on_replica(struct entry *entry, const char *error,
				    const char *label)
{
	log_info("catalog db=%s (%s): cannot be read from replica %s (%s); the "
		 "primary is asked",
		 entry->database, entry->dbname, label, error);
	entry->shuns = SHUN_LOADS;
	entry_schedule(entry, 0);
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
	else if (entry->complete_us != 0)
		entry_failed_on_replica(entry, error, slot->label);
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

static struct entry *find_entry(const struct catalogs *catalogs,
				const char *database, const char *dbname)
{
	char *key = xasprintf("%s\n%s", database, dbname);
	struct entry *entry = strmap_get(catalogs->entries, key);

	free(key);
	return entry;
}

/* First come, first served; the loop sees to it. */
static void entry_open(struct catalogs *catalogs, const char *database,
		       const char *dbname)
{
	struct entry *entry;

	if (is_full(catalogs))
		return;
	entry = entry_new(catalogs, database, dbname);
	(void)strmap_put(catalogs->entries, entry->key, entry);
	entry->due_us = util_now_us();
	list_append(&catalogs->due, &entry->due);
	entry_schedule(entry, 0);
}

void catalogs_want(struct catalogs *catalogs, const char *database,
		   const char *dbname)
{
	struct entry *entry = find_entry(catalogs, database, dbname);

	if (entry)
		entry_want_again(entry);
	else
		entry_open(catalogs, database, dbname);
}

void catalogs_want_named(struct catalogs *catalogs)
{
	const struct config *config = catalogs->config;
	unsigned count = 0;

	for (unsigned i = 0; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];

		const char *dbname = line->dbname ? line->dbname : line->name;

		if (strcmp(line->name, "*") == 0 || count == AHEAD_MAX ||
		    !catalogs_is_needed(config, line))
			continue;
		count++;
		if (!find_entry(catalogs, line->name, dbname))
			entry_open(catalogs, line->name, dbname);
	}
}

/* Who is primary where, and on which timeline. */
static uint64_t digest_nodes(const struct topology *topology)
{
	uint64_t digest = topology->generation;

	for (unsigned i = 0; i < topology->count; i++) {
		const struct topology_node *node = &topology->nodes[i];
		uint64_t parts[] = { digest, node->role,
				     node->position.timeline };

		if (node->role == ROLE_PRIMARY)
			digest = util_hash(parts, sizeof(parts)) + i;
	}
	return digest;
}

/* What the one that was primary before had may be missing on the new one. */
static void load_all_again(struct catalogs *catalogs)
{
	void *value;
	size_t at = 0;

	while (strmap_next(catalogs->entries, &at, NULL, &value)) {
		struct entry *entry = value;

		entry->shuns = 0;
		entry->is_wanted_again = true;
		if (!entry->slot)
			entry_schedule(entry, 0);
	}
}

/* Loads begin in the loop, not here: what is known may be half changed. */
void catalogs_look(struct catalogs *catalogs, const struct topology *topology)
{
	uint64_t nodes = digest_nodes(topology);
	struct list *link;

	if (nodes != catalogs->nodes)
		load_all_again(catalogs);
	catalogs->nodes = nodes;
	while ((link = list_first(&catalogs->waiting)) != NULL) {
		struct entry *entry = LIST_ENTRY(link, struct entry, due);

		list_remove(link);
		entry->is_waiting = false;
		entry_schedule(entry, 0);
	}
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
	list_init(&catalogs->waiting);
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
