/*
 * Databases, users, pools and their counts.
 *
 * Counts are sums over the cells of all workers, the same that the page for
 * Prometheus shows; so one worker answers for all of them.  A database that
 * the line "*" serves is listed as long as it has a pool.
 */
#include "control/admin_show.h"

#include "control/admin_job.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/users.h"
#include "proxy/local.h"
#include "proxy/orders.h"

#include <stdio.h>
#include <string.h>

/* The caller frees. One reading per command, so that its rows agree. */
static struct metrics_set *read_gauge(const struct admin_job *job,
				      enum metrics_gauge gauge)
{
	return metrics_read(job->local->process->metrics, METRICS_TYPE_GAUGE,
			    gauge, job->now_us);
}

/* Over all states; a label of NULL matches every one. */
static int64_t sum_of(const struct metrics_set *set, const char *database,
		      const char *user)
{
	const struct metrics_labels labels = { .database = database,
					       .user = user };

	return metrics_set_sum(set, &labels, METRICS_ALL, METRICS_ALL);
}

/* NULL: the scope does not set it, as PgBouncer shows it. */
static const char *balance_name(const struct config_database *line)
{
	if (!line || line->node_count < 2)
		return NULL;
	return line->load_balance ? "round-robin" : "disable";
}

/* A limit of a line, or of the scope around it. */
static int own_or(int own, int wider)
{
	return own == CONFIG_UNSET ? wider : own;
}

/* --- databases -------------------------------------------------------------
 */

/* What the rows of SHOW DATABASES are made of. */
struct databases {
	struct admin_job *job;
	const struct config *config;
	struct metrics_set *servers;
	struct metrics_set *clients;
};

/* The hosts of a line as the operator wrote them: comma separated. */
static void put_hosts(struct admin_job *job, const struct config *config,
		      const struct config_database *line)
{
	struct buf hosts = BUF_INIT;

	config_write_hosts(config, line, &hosts);
	admin_put_text(job, buf_text(&hosts));
	buf_free(&hosts);
}

/* Columns that say what may be; those behind them say what is. */
static void put_database_limits(const struct databases *all,
				const struct config_database *line)
{
	const struct config_settings *settings = &all->config->settings;
	struct admin_job *job = all->job;
	uint64_t lifetime_us = line->server_lifetime_us == CONFIG_UNSET_US
				       ? settings->server_lifetime_us
				       : line->server_lifetime_us;

	admin_put_number(job,
			 own_or(line->pool_size, settings->default_pool_size));
	admin_put_number(job,
			 own_or(line->min_pool_size, settings->min_pool_size));
	admin_put_number(job, own_or(line->reserve_pool_size,
				     settings->reserve_pool_size));
	admin_put_number(job, (int64_t)(lifetime_us / 1000000));
	admin_put_text(job, config_pool_mode_name(line->pool_mode));
	admin_put_text(job, balance_name(line));
}

/* name: as clients know it, which for "*" is not the line's. */
static void put_database(const struct databases *all, const char *name,
			 const struct config_database *line)
{
	const struct config_settings *settings = &all->config->settings;
	struct admin_job *job = all->job;
	struct orders *orders = job->process->orders;

	admin_row_begin(job);
	admin_put_text(job, name);
	put_hosts(job, all->config, line);
	admin_put_number(job, all->config->nodes[line->nodes[0]].port);
	admin_put_text(job, line->dbname ? line->dbname : name);
	admin_put_text(job, line->user);
	put_database_limits(all, line);
	admin_put_number(job, own_or(line->max_db_connections,
				     settings->max_db_connections));
	admin_put_number(job, sum_of(all->servers, name, NULL));
	admin_put_number(job, own_or(line->max_db_client_connections,
				     settings->max_db_client_connections));
	admin_put_number(job, sum_of(all->clients, name, NULL));
	admin_put_number(job, orders_is_given(orders, ORDER_PAUSE, name));
	admin_put_number(job, orders_is_given(orders, ORDER_DISABLE, name));
	admin_row_end(job);
}

/* Group g is the first of its database, which only "*" serves. */
static const struct config_database *find_fallback(const struct databases *all,
						   unsigned g)
{
	struct metrics_group *const *groups = all->clients->groups;
	const char *name = groups[g]->labels.database;
	const struct config_database *line =
		config_find_database(all->config, name);

	if (!line || strcmp(line->name, "*") != 0)
		return NULL;
	for (unsigned i = 0; i < g; i++)
		if (strcmp(groups[i]->labels.database, name) == 0)
			return NULL;
	return line;
}

void admin_show_databases(struct admin_job *job)
{
	struct databases all = {
		.job = job,
		.config = local_config(job->local),
		.servers = read_gauge(job, GAUGE_POOL_SERVERS),
		.clients = read_gauge(job, GAUGE_CLIENT_CONNECTIONS),
	};

	for (unsigned i = 0; i < all.config->database_count; i++) {
		const struct config_database *line = &all.config->databases[i];

		if (strcmp(line->name, "*") != 0)
			put_database(&all, line->name, line);
	}
	for (unsigned g = 0; g < all.clients->count; g++) {
		const struct config_database *line = find_fallback(&all, g);

		if (line)
			put_database(&all,
				     all.clients->groups[g]->labels.database,
				     line);
	}
	metrics_set_free(all.servers);
	metrics_set_free(all.clients);
}

/* --- users -----------------------------------------------------------------
 */

struct people {
	struct admin_job *job;
	const struct config *config;
	struct metrics_set *servers;
	struct metrics_set *clients;
};

/* A size that is the user's own; "" when it is not. */
static void put_own_size(struct admin_job *job, int size)
{
	char text[16] = "";

	if (size != CONFIG_UNSET)
		(void)snprintf(text, sizeof(text), "%d", size);
	admin_put_text(job, text);
}

/* Without a line in [users] the limits of [pgweir] hold. */
static void put_user(const struct people *people, const char *name)
{
	static const struct config_user none = {
		.pool_size = CONFIG_UNSET,
		.reserve_pool_size = CONFIG_UNSET,
		.max_user_connections = CONFIG_UNSET,
		.max_user_client_connections = CONFIG_UNSET,
	};
	const struct config_settings *settings = &people->config->settings;
	const struct config_user *line = config_find_user(people->config, name);
	struct admin_job *job = people->job;

	if (!line)
		line = &none;
	admin_row_begin(job);
	admin_put_text(job, name);
	put_own_size(job, line->pool_size);
	put_own_size(job, line->reserve_pool_size);
	admin_put_text(job, config_pool_mode_name(line->pool_mode));
	admin_put_number(job, own_or(line->max_user_connections,
				     settings->max_user_connections));
	admin_put_number(job, sum_of(people->servers, NULL, name));
	admin_put_number(job, own_or(line->max_user_client_connections,
				     settings->max_user_client_connections));
	admin_put_number(job, sum_of(people->clients, NULL, name));
	admin_row_end(job);
}

/* Group g is the first of a user whom no file names. */
static bool is_stranger(const struct people *people, const struct users *users,
			unsigned g)
{
	struct metrics_group *const *groups = people->clients->groups;
	const char *name = groups[g]->labels.user;

	for (unsigned i = 0; i < g; i++)
		if (strcmp(groups[i]->labels.user, name) == 0)
			return false;
	return !users_find(users, name) &&
	       !config_find_user(people->config, name);
}

/*
 * Three sources, each user once: the auth_file, [users], and who else is
 * connected.
 */
static void put_users(const struct people *people, const struct users *users)
{
	const struct config *config = people->config;
	size_t at = 0;
	const char *name;

	while (users_next(users, &at, &name))
		put_user(people, name);
	for (unsigned i = 0; i < config->user_count; i++)
		if (!users_find(users, config->users[i].name))
			put_user(people, config->users[i].name);
	for (unsigned g = 0; g < people->clients->count; g++)
		if (is_stranger(people, users, g))
			put_user(people,
				 people->clients->groups[g]->labels.user);
}

void admin_show_users(struct admin_job *job)
{
	struct people people = {
		.job = job,
		.config = local_config(job->local),
		.servers = read_gauge(job, GAUGE_POOL_SERVERS),
		.clients = read_gauge(job, GAUGE_CLIENT_CONNECTIONS),
	};

	put_users(&people, job->local->snapshot->users);
	metrics_set_free(people.servers);
	metrics_set_free(people.clients);
}

/* --- pools -----------------------------------------------------------------
 */

struct pools {
	struct admin_job *job;
	struct metrics_set *clients;
	struct metrics_set *servers;
	struct metrics_set *waits;
};

/* The state is the row's first dimension (core/metrics_rows). */
static int64_t count_clients(const struct pools *pools,
			     const struct metrics_labels *labels,
			     enum metrics_client_state state)
{
	return metrics_set_sum(pools->clients, labels, (int)state, METRICS_ALL);
}

static void put_pool_clients(const struct pools *pools,
			     const struct metrics_labels *labels)
{
	struct admin_job *job = pools->job;

	/* Here as there, idle clients count as active. */
	admin_put_number(
		job, count_clients(pools, labels, METRICS_CLIENT_ACTIVE) +
			     count_clients(pools, labels, METRICS_CLIENT_IDLE));
	admin_put_number(job,
			 count_clients(pools, labels, METRICS_CLIENT_WAITING));
	admin_put_number(job, count_clients(pools, labels,
					    METRICS_CLIENT_CANCEL_ACTIVE));
	admin_put_number(job, count_clients(pools, labels,
					    METRICS_CLIENT_CANCEL_WAITING));
}

/* In the order of the columns. */
static void put_pool_servers(const struct pools *pools,
			     const struct metrics_labels *labels)
{
	static const enum metrics_server_state states[] = {
		METRICS_SERVER_ACTIVE,         METRICS_SERVER_ACTIVE_CANCEL,
		METRICS_SERVER_BEING_CANCELED, METRICS_SERVER_IDLE,
		METRICS_SERVER_USED,           METRICS_SERVER_TESTED,
		METRICS_SERVER_LOGIN,
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		admin_put_number(pools->job,
				 metrics_set_sum(pools->servers, labels,
						 (int)states[i], METRICS_ALL));
}

/* A pool is all workers' pools of the same database and user. */
static void put_pool(const struct pools *pools,
		     const struct metrics_labels *labels)
{
	struct admin_job *job = pools->job;
	const struct config *config = local_config(job->local);
	const struct config_database *line =
		config_find_database(config, labels->database);
	const struct config_user *user = config_find_user(config, labels->user);
	/* Ages merge into the greatest of them. */
	int64_t wait_us =
		metrics_set_sum(pools->waits, labels, METRICS_ALL, METRICS_ALL);

	admin_row_begin(job);
	admin_put_text(job, labels->database);
	admin_put_text(job, labels->user);
	put_pool_clients(pools, labels);
	put_pool_servers(pools, labels);
	admin_put_number(job, wait_us / 1000000);
	admin_put_number(job, wait_us % 1000000);
	admin_put_text(
		job, config_pool_mode_name(config_mode_of(config, line, user)));
	admin_put_text(job, balance_name(line));
	admin_row_end(job);
}

void admin_show_pools(struct admin_job *job)
{
	struct pools pools = {
		.job = job,
		.clients = read_gauge(job, GAUGE_CLIENT_CONNECTIONS),
		.servers = read_gauge(job, GAUGE_POOL_SERVERS),
		.waits = read_gauge(job, GAUGE_POOL_WAITING_SINCE),
	};

	for (unsigned g = 0; g < pools.clients->count; g++)
		put_pool(&pools, &pools.clients->groups[g]->labels);
	metrics_set_free(pools.clients);
	metrics_set_free(pools.servers);
	metrics_set_free(pools.waits);
}

/* --- lists -----------------------------------------------------------------
 */

static void put_count(struct admin_job *job, const char *list, int64_t items)
{
	admin_row_begin(job);
	admin_put_text(job, list);
	admin_put_number(job, items);
	admin_row_end(job);
}

/* Counters of several threads are not read at one moment. */
static int64_t positive(int64_t value)
{
	return value > 0 ? value : 0;
}

/* Literal addresses are no names: nobody looks them up. */
static unsigned count_names(const struct local *local)
{
	const struct config *config = local_config(local);
	unsigned count = 0;

	for (unsigned i = 0; i < config->node_count; i++)
		count += local->addresses[i].is_known &&
			 admin_is_host_name(&config->nodes[i]);
	return count;
}

void admin_show_lists(struct admin_job *job)
{
	const struct config *config = local_config(job->local);
	struct metrics_set *clients = read_gauge(job, GAUGE_CLIENT_CONNECTIONS);
	struct metrics_set *servers = read_gauge(job, GAUGE_POOL_SERVERS);
	int64_t used = job->local->process->clients;
	int64_t idle = metrics_set_sum(servers, NULL, METRICS_SERVER_IDLE,
				       METRICS_ALL);

	put_count(job, "databases", config->database_count);
	put_count(job, "users",
		  (int64_t)users_count(job->local->snapshot->users));
	put_count(job, "peers", 0);
	put_count(job, "pools", clients->count);
	put_count(job, "peer_pools", 0);
	put_count(job, "free_clients",
		  positive(config->settings.max_client_conn - used));
	put_count(job, "used_clients", used);
	put_count(job, "login_clients",
		  positive(used - sum_of(clients, NULL, NULL)) +
			  metrics_set_sum(clients, NULL, METRICS_CLIENT_LOGIN,
					  METRICS_ALL));
	put_count(job, "free_servers", idle);
	put_count(job, "used_servers", sum_of(servers, NULL, NULL) - idle);
	put_count(job, "dns_names", count_names(job->local));
	put_count(job, "dns_zones", 0);
	put_count(job, "dns_queries", 0);
	put_count(job, "dns_pending", 0);
	metrics_set_free(clients);
	metrics_set_free(servers);
}
