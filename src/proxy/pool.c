/*
 * Pools: who shares servers with whom, where they may be, and how clients
 * are greeted.
 *
 * A pool is made when its first client logs in and goes when its last client
 * and its last server are gone.  Its nodes follow the configuration: a node
 * that is no longer listed is retired and freed with its last server.
 */
#include "proxy/pool.h"

#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/topology.h"
#include "core/users.h"
#include "proxy/changes.h"
#include "proxy/headcount.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/pool_change.h"
#include "proxy/pool_parts.h"
#include "proxy/server.h"
#include "proxy/welcome.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static char *key_of(const char *database, const char *user)
{
	size_t user_len = strlen(user);
	size_t database_len = strlen(database);
	char *key = xmalloc(UTIL_DIGITS + user_len + database_len + 2);
	size_t at = util_write_u64(key, user_len);

	key[at++] = ':';
	memcpy(key + at, user, user_len);
	at += user_len;
	memcpy(key + at, database, database_len);
	key[at + database_len] = '\0';
	return key;
}

/* --- what the configuration says --- */

static void set_secret(struct pool *pool, const char *secret)
{
	util_free_secret(pool->secret);
	pool->secret = secret ? xstrdup(secret) : NULL;
}

/* The password for servers: the line's, else what auth_file has. */
static void refresh_credentials(struct pool *pool)
{
	const struct config_database *line = pool->config;
	const char *secret = line->password;

	if (!secret)
		secret = users_find(pool->local->snapshot->users,
				    pool->server_user);
	if (secret)
		set_secret(pool, secret);
}

static void share_credentials(struct pool *pool)
{
	for (unsigned i = 0; i < pool->node_count; i++) {
		struct server_site *site = &pool->nodes[i]->site;

		site->dbname = pool->dbname;
		site->connect_query = pool->config->connect_query;
		site->user = pool->server_user;
		site->credentials = (struct login_credentials){
			.user = pool->server_user,
			.secret = pool->secret,
			.has_keys = pool->has_keys,
		};
		memcpy(site->credentials.client_key, pool->client_key,
		       SCRAM_KEY_LEN);
		memcpy(site->credentials.server_key, pool->server_key,
		       SCRAM_KEY_LEN);
	}
}

void pool_learn_keys(struct pool *pool, const uint8_t *client_key,
		     const uint8_t *server_key)
{
	if (pool->config && pool->config->user)
		return;
	memcpy(pool->client_key, client_key, SCRAM_KEY_LEN);
	memcpy(pool->server_key, server_key, SCRAM_KEY_LEN);
	pool->has_keys = true;
	share_credentials(pool);
}

void pool_learn_password(struct pool *pool, const char *password)
{
	if (pool->config && pool->config->user)
		return;
	set_secret(pool, password);
	share_credentials(pool);
}

/* True when it was something else before. */
static bool replace(char **text, const char *with)
{
	bool was_set = *text != NULL;

	if (was_set && strcmp(*text, with) == 0)
		return false;
	free(*text);
	*text = xstrdup(with);
	return was_set;
}

static struct pool_node *find_node(struct pool_node **nodes, unsigned count,
				   const char *label)
{
	for (unsigned i = 0; i < count; i++)
		if (nodes[i] && strcmp(nodes[i]->label, label) == 0)
			return nodes[i];
	return NULL;
}

static void retire_missing(struct pool *pool, struct pool_node **old,
			   unsigned old_count)
{
	for (unsigned i = 0; i < old_count; i++)
		if (!find_node(pool->nodes, pool->node_count, old[i]->label)) {
			pool_node_retire(old[i]);
			list_append(&pool->retired, &old[i]->retired_link);
		}
}

/* The nodes of the line, kept where they are the same as before. */
static void refresh_nodes(struct pool *pool)
{
	const struct config *config = local_config(pool->local);
	const struct config_database *line = pool->config;
	struct pool_node **old = pool->nodes;
	unsigned old_count = pool->node_count;

	pool->node_count = line->node_count;
	pool->nodes = xcalloc(line->node_count, sizeof(struct pool_node *));
	for (unsigned i = 0; i < line->node_count; i++) {
		const struct config_node *entry =
			&config->nodes[line->nodes[i]];
		struct pool_node *node =
			find_node(old, old_count, entry->label);

		pool->nodes[i] =
			node ? node
			     : pool_node_new(pool, entry->label, entry->host);
	}
	retire_missing(pool, old, old_count);
	free(old);
}

static void refresh_topology(struct pool *pool)
{
	for (unsigned i = 0; i < pool->node_count; i++)
		pool_node_refresh(pool->nodes[i], pool->config->nodes[i]);
	pool_price_replicas(pool);
	for (unsigned i = 0; i < pool->node_count; i++)
		pool_node_forsake(pool->nodes[i]);
	if (pool_primary(pool) >= 0)
		pool->missing_us = 0;
	else if (pool->missing_us == 0)
		pool->missing_us = local_now(pool->local);
}

/* What is connected belongs to another database now: it goes as it rests. */
static void retire_all(struct pool *pool)
{
	for (unsigned i = 0; i < pool->node_count; i++) {
		pool_node_retire(pool->nodes[i]);
		list_append(&pool->retired, &pool->nodes[i]->retired_link);
	}
	pool->node_count = 0;
	free(pool->nodes);
	pool->nodes = NULL;
}

static void refresh_config(struct pool *pool)
{
	const struct config *config = local_config(pool->local);
	const struct config_database *line =
		config_find_database(config, pool->database);

	pool->config = line;
	pool->config_user = config_find_user(config, pool->user);
	if (!line) {
		retire_all(pool);
		return;
	}
	if (replace(&pool->dbname,
		    line->dbname ? line->dbname : pool->database))
		retire_all(pool);
	if (replace(&pool->server_user, line->user ? line->user : pool->user))
		retire_all(pool);
	refresh_nodes(pool);
	refresh_credentials(pool);
	share_credentials(pool);
	pool->changed_us = changes_last_us(pool->local->process->changes,
					   pool->dbname, pool->server_user);
}

static void note_size(struct pool *pool)
{
	int size = pool->config ? config_pool_size_of(local_config(pool->local),
						      pool->config,
						      pool_config_user(pool))
				: 0;

	metrics_gauge_set(pool->cell, GAUGE_POOL_SIZE_MAX, METRICS_ROLE_PRIMARY,
			  0, size);
	metrics_gauge_set(pool->cell, GAUGE_POOL_SIZE_MAX, METRICS_ROLE_REPLICA,
			  0, size);
}

void pools_refresh(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		/* Lines move with every snapshot, also when nothing changed. */
		if (pool->generation != local_config(local)->generation)
			refresh_config(pool);
		pool->generation = local_config(local)->generation;
		if (pool->config && local->topology)
			refresh_topology(pool);
		note_size(pool);
	}
}

/* --- life --- */

static void free_retired(struct pool *pool)
{
	LIST_FOREACH_SAFE (link, &pool->retired) {
		struct pool_node *node =
			LIST_ENTRY(link, struct pool_node, retired_link);

		if (!pool_node_is_empty(node))
			continue;
		list_remove(link);
		pool_node_free(node);
	}
}

static void free_pool(struct pool *pool)
{
	for (unsigned i = 0; i < pool->node_count; i++)
		pool_node_free(pool->nodes[i]);
	free_retired(pool);
	assert(list_is_empty(&pool->retired));
	set_secret(pool, NULL);
	util_wipe(pool->client_key, SCRAM_KEY_LEN);
	headcount_close(pool->local->process->headcount, pool->headcount);
	metrics_close(pool->cell);
	metrics_close(pool->totals);
	free(pool->nodes);
	free(pool->key);
	free(pool->database);
	free(pool->user);
	free(pool->dbname);
	free(pool->server_user);
	free(pool);
}

static bool is_unused(const struct pool *pool)
{
	if (pool->sessions > 0 || pool->guests > 0 ||
	    !list_is_empty(&pool->retired))
		return false;
	for (unsigned i = 0; i < pool->node_count; i++)
		if (!pool_node_is_empty(pool->nodes[i]))
			return false;
	return true;
}

static void farewell(struct worker_task *task)
{
	struct pool *pool = LIST_ENTRY(task, struct pool, farewell);

	free_retired(pool);
	if (!is_unused(pool))
		return;
	(void)strmap_remove(pool->local->pools, pool->key);
	free_pool(pool);
}

static void check_farewell(struct pool *pool)
{
	if (is_unused(pool) || !list_is_empty(&pool->retired))
		worker_free_later(pool->local->worker, &pool->farewell);
}

/* Under a line for all: once for all workers, until its last pool goes. */
static void tell_auto_database(const struct pool *pool)
{
	if (headcount_is_first(pool->headcount) &&
	    strcmp(pool->config->name, "*") == 0)
		log_info("registered new auto-database: db=%s", pool->database);
}

static struct pool *pool_new(struct local *local, char *key,
			     const char *database, const char *user)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));
	struct metrics_labels labels = { .database = database, .user = user };

	pool->local = local;
	pool->key = key;
	pool->database = xstrdup(database);
	pool->user = xstrdup(user);
	pool->totals = metrics_open(local->process->metrics, METRICS_DATABASE,
				    &labels);
	pool->cell =
		metrics_open(local->process->metrics, METRICS_POOL, &labels);
	pool->headcount =
		headcount_open(local->process->headcount, database, user);
	list_init(&pool->retired);
	worker_task_init(&pool->farewell, farewell);
	refresh_config(pool);
	pool->generation = local_config(local)->generation;
	pool->catalog = local_catalog(local, pool->database, pool->dbname);
	if (local->topology)
		refresh_topology(pool);
	note_size(pool);
	tell_auto_database(pool);
	(void)strmap_put(local->pools, key, pool);
	return pool;
}

static struct pool *find_or_make(struct local *local, const char *database,
				 const char *user)
{
	char *key = key_of(database, user);
	struct pool *pool;

	pools_catch_up(local);
	pool = strmap_get(local->pools, key);
	if (pool || !config_find_database(local_config(local), database))
		free(key);
	else
		return pool_new(local, key, database, user);
	return pool && pool->config ? pool : NULL;
}

struct pool *pool_join(struct local *local, const char *database,
		       const char *user)
{
	struct pool *pool = find_or_make(local, database, user);

	if (!pool)
		return NULL;
	if (!pool->catalog && pool->sessions == 0)
		local->process->want_catalog(local->process->arg,
					     pool->database, pool->dbname);
	pool->sessions++;
	return pool;
}

void pool_leave(struct pool *pool)
{
	assert(pool->sessions > 0);
	pool->sessions--;
	check_farewell(pool);
}

struct pool *pool_join_guest(struct local *local, const char *database,
			     const char *user)
{
	struct pool *pool = find_or_make(local, database, user);

	if (pool)
		pool->guests++;
	return pool;
}

void pool_leave_guest(struct pool *pool)
{
	assert(pool->guests > 0);
	pool->guests--;
	check_farewell(pool);
}

void pools_drain(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		for (unsigned i = 0; i < pool->node_count; i++)
			pool_node_drain(pool->nodes[i]);
	}
}

static void close_server(void *arg, struct server *server)
{
	(void)arg;
	server_close(server, METRICS_CLOSE_SHUTDOWN, "shutting down");
}

static void close_all(struct pool *pool)
{
	for (unsigned i = 0; i < pool->node_count; i++)
		pool_node_visit(pool->nodes[i], close_server, NULL);
	LIST_FOREACH (link, &pool->retired)
		pool_node_visit(
			LIST_ENTRY(link, struct pool_node, retired_link),
			close_server, NULL);
}

void pools_free(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		close_all(pool);
		list_remove(&pool->farewell.link);
		free_pool(pool);
	}
	strmap_free(local->pools, NULL);
	local->pools = strmap_new();
}

/* --- facts --- */

const char *pool_database(const struct pool *pool)
{
	return pool->database;
}

uint64_t pool_generation(const struct pool *pool)
{
	return pool->generation;
}

const char *pool_dbname(const struct pool *pool)
{
	return pool->dbname;
}

const char *pool_user(const struct pool *pool)
{
	return pool->user;
}

const char *pool_server_user(const struct pool *pool)
{
	return pool->server_user;
}

const struct config_database *pool_config(const struct pool *pool)
{
	return pool->config;
}

const struct config_user *pool_config_user(const struct pool *pool)
{
	return pool->config_user;
}

const struct headcount_place *pool_headcount(const struct pool *pool)
{
	return pool->headcount;
}

struct metrics_cell *pool_totals(const struct pool *pool)
{
	return pool->totals;
}

struct metrics_cell *pool_gauges(const struct pool *pool)
{
	return pool->cell;
}

const struct catalog *pool_catalog(const struct pool *pool)
{
	return pool->catalog;
}

void pools_refresh_catalogs(struct local *local)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value)) {
		struct pool *pool = value;

		pool->catalog =
			local_catalog(local, pool->database, pool->dbname);
	}
}

unsigned pool_node_count(const struct pool *pool)
{
	return pool->node_count;
}

struct pool_node *pool_node_at(const struct pool *pool, unsigned index)
{
	assert(index < pool->node_count);
	return pool->nodes[index];
}

int pool_primary(const struct pool *pool)
{
	const struct topology *topology = pool->local->topology;
	int node;

	if (!topology || !pool->config)
		return pool->config ? 0 : -1;
	node = topology_primary(topology, pool->config->nodes,
				pool->config->node_count);
	for (unsigned i = 0; node >= 0 && i < pool->node_count; i++)
		if (pool->config->nodes[i] == (unsigned)node)
			return (int)i;
	return -1;
}

int pool_primary_id(const struct pool *pool)
{
	int index = pool_primary(pool);

	return index < 0 ? -1 : (int)pool->config->nodes[index];
}

uint64_t pool_primary_missing_us(const struct pool *pool)
{
	return pool->missing_us;
}

const struct topology_node *pool_node_seen(const struct pool *pool,
					   unsigned index)
{
	const struct topology *topology = pool->local->topology;

	if (!topology || !pool->config || index >= pool->node_count)
		return NULL;
	return &topology->nodes[pool->config->nodes[index]];
}

const struct topology_node *pool_primary_seen(const struct pool *pool)
{
	int index = pool_primary(pool);

	return index < 0 ? NULL : pool_node_seen(pool, (unsigned)index);
}

unsigned pool_waiting(const struct pool *pool, unsigned index)
{
	return quota_waiting(pool_node_at(pool, index)->quota);
}

/* --- taking --- */

struct server *pool_take(struct pool *pool, unsigned index,
			 struct quota_waiter *waiter)
{
	struct pool_node *node = pool_node_at(pool, index);
	struct server *server = pool_node_take_idle(node);

	if (server)
		return server;
	quota_wait(node->quota, waiter, local_now(pool->local));
	pool_node_feed_later(node);
	return NULL;
}

void pool_favour(struct pool *pool, unsigned index, uint64_t draw_turn)
{
	struct pool_node *node = pool_node_at(pool, index);

	LIST_FOREACH_SAFE (link, &node->idle) {
		if (server_draw_turn(server_of_link(link)) != draw_turn)
			continue;
		list_remove(link);
		list_prepend(&node->idle, link);
		return;
	}
}

bool pool_stop_waiting(struct pool *pool, unsigned index,
		       struct quota_waiter *waiter)
{
	return quota_leave(pool_node_at(pool, index)->quota, waiter);
}

/* --- mail --- */

static struct pool_node *find_by_name(struct local *local, const char *key,
				      const char *label)
{
	struct pool *pool = strmap_get(local->pools, key);

	return pool ? find_node(pool->nodes, pool->node_count, label) : NULL;
}

/* The pool has left with who waited, or it has become another's since. */
static void drop_grant(struct local *local, const struct mail_grant *mail)
{
	server_free_parked(mail->server);
	quota_note_lost(local->process->quotas, mail->pool, mail->node);
}

static void take_grant(struct local *local, struct mail_grant *mail)
{
	struct pool_node *node = find_by_name(local, mail->pool, mail->node);
	bool is_current = node && mail->generation == node->pool->generation;

	if (mail->server && !is_current)
		drop_grant(local, mail);
	if (!mail->server || !is_current)
		(void)local->process->pool_hooks->granted(local, mail->session,
							  NULL);
	else
		pool_node_adopt(node, mail->server, mail->session);
	free(mail->pool);
	free(mail->node);
}

static void take_pool_mail(struct local *local, struct mail_pool *mail)
{
	struct pool_node *node = find_by_name(local, mail->pool, mail->node);

	if (node && mail->mail.kind == MAIL_EVICT)
		pool_node_evict(node);
	else if (node)
		pool_node_feed_later(node);
	free(mail->pool);
	free(mail->node);
}

bool pools_take_mail(struct local *local, struct mail *mail)
{
	switch (mail->kind) {
	case MAIL_GRANT: take_grant(local, (struct mail_grant *)mail); break;
	case MAIL_EVICT:
	case MAIL_FEED: take_pool_mail(local, (struct mail_pool *)mail); break;
	case MAIL_FEED_ALL:
		pools_feed(local);
		take_pool_mail(local, (struct mail_pool *)mail);
		break;
	default: return false;
	}
	free(mail);
	return true;
}

/* --- welcome --- */

/*
 * To the client the endpoint is a primary, whoever answers.  The name that a
 * client gives its application is for no other client.
 */
static const char *shown_value(const char *name, const char *value,
			       const struct settings *settings, bool is_replica)
{
	bool is_role = strcmp(name, "in_hot_standby") == 0 ||
		       strcmp(name, "default_transaction_read_only") == 0;

	if (strcmp(name, "application_name") == 0 &&
	    settings_get(settings, name))
		return "";
	return is_replica && is_role ? "off" : value;
}

void pool_make_welcome(const struct pool *pool, const struct settings *settings,
		       const struct server *server, bool is_plain,
		       struct buf *out)
{
	struct welcomes *welcomes = pool->local->process->welcomes;
	struct buf messages = BUF_INIT;
	struct buf copy = BUF_INIT;
	size_t at = 0;
	const char *name;
	const char *value;

	while (server_parameter_at(server, &at, &name, &value))
		pgbuild_parameter_status(
			&messages, name,
			shown_value(name, value, settings,
				    server_site(server)->is_replica));
	buf_append(out, buf_head(&messages), buf_len(&messages));
	if (is_plain)
		buf_append(&copy, buf_head(&messages), buf_len(&messages));
	/* A server that is old greets as it was then. */
	if (server_begun_us(server) < pool->renewed_us) {
		buf_free(&messages);
		buf_free(&copy);
		return;
	}
	welcomes_put(welcomes, pool->database, pool->user, settings, &messages);
	if (is_plain)
		welcomes_put(welcomes, pool->database, pool->user, NULL, &copy);
	buf_free(&copy);
}

bool pool_welcome(const struct pool *pool, const struct settings *settings,
		  struct buf *out)
{
	return welcomes_find(pool->local->process->welcomes, pool->database,
			     pool->user, settings, out);
}

uint64_t pool_welcome_age(const struct pool *pool)
{
	return welcomes_age(pool->local->process->welcomes);
}

void pools_visit(struct local *local,
		 void (*visit)(void *arg, const struct pool *pool), void *arg)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->pools, &at, NULL, &value))
		visit(arg, value);
}
