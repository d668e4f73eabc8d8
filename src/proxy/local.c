/*
 * The shared state of one worker's proxy rooms.
 *
 * Snapshots come by mail from the main thread and replace each other here,
 * between two units of work; whoever needs one for longer holds a reference.
 * A topology or an address that belongs to another configuration than the
 * current one is dropped: its node numbers would mean something else.
 */
#include "proxy/local.h"

#include "base/strmap.h"
#include "base/util.h"
#include "core/catalog.h"
#include "core/dbddl.h"
#include "core/metrics.h"
#include "core/recur.h"
#include "core/shapes.h"
#include "core/users.h"
#include "net/tls.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct snapshot *snapshot_new(const struct config *config,
			      const struct users *users,
			      struct tls_context *client_tls,
			      struct tls_context *server_tls)
{
	struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));

	atomic_init(&snapshot->refs, 1);
	snapshot->config = config;
	snapshot->users = users;
	snapshot->client_tls = client_tls;
	snapshot->server_tls = server_tls;
	return snapshot;
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	atomic_fetch_add(&snapshot->refs, 1);
	return snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub(&snapshot->refs, 1) > 1)
		return;
	config_release(snapshot->config);
	if (snapshot->users)
		users_release(snapshot->users);
	tls_context_release(snapshot->client_tls);
	tls_context_release(snapshot->server_tls);
	free(snapshot);
}

struct stream_options local_stream_options(const struct local *local)
{
	const struct config_settings *settings = local_settings(local);

	return (struct stream_options){
		.keepalive = settings->tcp_keepalive,
		.keepcnt = settings->tcp_keepcnt,
		.keepidle = settings->tcp_keepidle,
		.keepintvl = settings->tcp_keepintvl,
		.user_timeout_ms = settings->tcp_user_timeout,
		.socket_buffer = settings->tcp_socket_buffer,
	};
}

void local_count_flow(struct metrics_cell *totals, enum metrics_side side,
		      const struct stream *stream, struct local_flow *counted)
{
	const struct local_flow now = { stream_bytes_in(stream),
					stream_bytes_out(stream) };

	metrics_count(totals, COUNTER_BYTES, side, METRICS_DIRECTION_RECEIVED,
		      now.in - counted->in);
	metrics_count(totals, COUNTER_BYTES, side, METRICS_DIRECTION_SENT,
		      now.out - counted->out);
	*counted = now;
}

void local_count_tls(const struct local *local, enum metrics_side side,
		     const struct tls *tls)
{
	const char *version = tls_version(tls);
	enum metrics_tls_version shown = METRICS_TLS_OTHER;

	if (strcmp(version, "TLSv1.3") == 0)
		shown = METRICS_TLS_1_3;
	else if (strcmp(version, "TLSv1.2") == 0)
		shown = METRICS_TLS_1_2;
	metrics_count(local->cell, COUNTER_TLS_HANDSHAKES, side, shown, 1);
}

static void drop_topology(struct local *local)
{
	if (local->topology)
		topology_release(local->topology);
	local->topology = NULL;
}

void local_set_topology(struct local *local, const struct topology *topology)
{
	if (!local->snapshot ||
	    topology->generation != local_config(local)->generation) {
		topology_release(topology);
		return;
	}
	assert(topology->count == local_config(local)->node_count);
	drop_topology(local);
	local->topology = topology;
}

void local_set_snapshot(struct local *local, struct snapshot *snapshot,
			const struct topology *topology,
			struct node_address *addresses)
{
	drop_topology(local);
	snapshot_release(local->snapshot);
	free(local->addresses);
	local->snapshot = snapshot;
	local->addresses = addresses;
	local_set_topology(local, topology);
}

void local_set_address(struct local *local, uint64_t generation, unsigned node,
		       const struct node_address *address)
{
	if (!local->snapshot || generation != local_config(local)->generation)
		return;
	assert(node < local_config(local)->node_count);
	local->addresses[node] = *address;
}

static char *catalog_key(const char *database, const char *dbname)
{
	return xasprintf("%s\n%s", database, dbname);
}

const struct catalog *local_catalog(const struct local *local,
				    const char *database, const char *dbname)
{
	char *key = catalog_key(database, dbname);
	const struct catalog *catalog = strmap_get(local->catalogs, key);

	free(key);
	return catalog;
}

void local_set_catalog(struct local *local, const char *database,
		       const char *dbname, struct catalog *catalog)
{
	char *key = catalog_key(database, dbname);
	const struct catalog *old = strmap_put(local->catalogs, key, catalog);

	free(key);
	if (old)
		catalog_release(old);
}

/* Without its catalog, statements of a database go to the primary. */
static char *find_catalog_of(const struct local *local,
			     const struct dbddl_names *names)
{
	const char *key;
	size_t at = 0;
	void *value;

	while (strmap_next(local->catalogs, &at, &key, &value))
		if (value && dbddl_has_name(names, strchr(key, '\n') + 1))
			return xstrdup(key);
	return NULL;
}

void local_forget_catalogs(struct local *local, const struct dbddl_names *names)
{
	char *key;

	while ((key = find_catalog_of(local, names)) != NULL) {
		catalog_release(strmap_remove(local->catalogs, key));
		free(key);
	}
}

static void release_catalog(void *value)
{
	catalog_release(value);
}

struct local *local_new(struct process *process, unsigned index)
{
	struct local *local = xcalloc(1, sizeof(*local));
	char number[16];

	(void)snprintf(number, sizeof(number), "%u", index);
	local->index = index;
	local->process = process;
	local->catalogs = strmap_new();
	local->pools = strmap_new();
	local->asks = strmap_new();
	local->hubs = strmap_new();
	local->auth_links = strmap_new();
	local->ears = strmap_new();
	local->shapes = shapes_new(LOCAL_SHAPES);
	local->recur = recur_new();
	local->cell =
		metrics_open(process->metrics, METRICS_WORKER,
			     &(struct metrics_labels){ .worker = number });
	list_init(&local->client_list);
	list_init(&local->session_list);
	list_init(&local->behind);
	list_init(&local->tunnels);
	list_init(&local->askers);
	list_init(&local->errands);
	return local;
}

void local_free(struct local *local)
{
	drop_topology(local);
	snapshot_release(local->snapshot);
	free(local->addresses);
	strmap_free(local->catalogs, release_catalog);
	strmap_free(local->pools, NULL);
	strmap_free(local->asks, NULL);
	strmap_free(local->hubs, NULL);
	strmap_free(local->auth_links, NULL);
	strmap_free(local->ears, NULL);
	shapes_free(local->shapes);
	recur_free(local->recur);
	metrics_close(local->cell);
	free(local);
}
