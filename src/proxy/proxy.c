/*
 * The workers together: builds them, deals accepted sockets out, and turns
 * what the main thread knows into mail.
 *
 * The first worker accepts: a client that stays there costs no hand-over, and
 * no wake-up of another thread.
 *
 * Each worker has its own reference of every snapshot, so that a reader
 * never takes a lock and a snapshot goes when the last worker has let it go.
 */
#include "proxy/proxy.h"

#include "base/log.h"
#include "base/util.h"
#include "core/balance.h"
#include "core/catalog.h"
#include "core/metrics.h"
#include "core/shapes.h"
#include "core/topology.h"
#include "net/listener.h"
#include "proxy/auth_link.h"
#include "proxy/cancel.h"
#include "proxy/changes.h"
#include "proxy/client.h"
#include "proxy/client_ask.h"
#include "proxy/headcount.h"
#include "proxy/hub.h"
#include "proxy/keyring.h"
#include "proxy/mail.h"
#include "proxy/notifiers.h"
#include "proxy/orders.h"
#include "proxy/pool.h"
#include "proxy/quota.h"
#include "proxy/session_listen.h"
#include "proxy/session_move.h"
#include "proxy/session_table.h"
#include "proxy/tunnel.h"
#include "proxy/welcome.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seat {
	struct proxy *proxy;
	struct local *local;
	uint64_t measured_us; /* when its load was measured, and then */
	uint64_t thread_us;   /* the CPU time that its thread had used */
	unsigned settling;    /* measures to wait until clients have moved */
	uint64_t hits;        /* of the cache of shapes, already counted */
	uint64_t misses;
	_Atomic unsigned clients; /* for the choice of the next worker */
	_Atomic unsigned active;  /* sessions that hold a server */
};

struct proxy {
	struct process process;
	struct proxy_hooks hooks;
	struct seat seats[QUOTA_WORKERS_MAX];
	enum session_shutdown mode;
	unsigned started;
	unsigned turn;
	struct listeners *door; /* the first worker's to use; NULL none */
};

/* One process has one proxy: client logins of the console go to its hook. */
static struct proxy *the_proxy;

/* --- on the workers --- */

static void on_logged_in(struct local *local, const struct client_login *login)
{
	if (login->replication)
		tunnel_start(local, login);
	else if (login->pool)
		session_start(local, login);
	else
		the_proxy->hooks.console(the_proxy->hooks.arg, local, login);
}

static const struct client_hooks client_hooks = {
	.logged_in = on_logged_in,
	.cancel = cancel_ask,
};

static void take_snapshot(struct local *local, struct mail_snapshot *mail)
{
	welcomes_clear(local->process->welcomes);
	client_asks_forget(local);
	sessions_unqueue(local);
	local_set_snapshot(local, mail->snapshot, mail->topology,
			   mail->addresses);
	if (local->index == 0 && the_proxy->door)
		listeners_set_keepalive(the_proxy->door,
					local_settings(local)->tcp_keepalive);
	pools_refresh(local);
	hubs_refresh(local);
	sessions_requeue(local);
}

/* Then nobody who waits has to choose anew. */
static bool has_same_roles(const struct topology *before,
			   const struct topology *after)
{
	if (!before || before->count != after->count)
		return false;
	for (unsigned i = 0; i < after->count; i++)
		if (before->nodes[i].role != after->nodes[i].role ||
		    before->nodes[i].is_up != after->nodes[i].is_up ||
		    before->nodes[i].position.timeline !=
			    after->nodes[i].position.timeline)
			return false;
	return true;
}

/* A node that has only gone: clients are greeted as before. */
static bool has_newcomer(const struct topology *before,
			 const struct topology *after)
{
	if (!before || before->count != after->count)
		return true;
	for (unsigned i = 0; i < after->count; i++)
		if (after->nodes[i].is_up &&
		    (!before->nodes[i].is_up ||
		     before->nodes[i].role != after->nodes[i].role ||
		     before->nodes[i].position.timeline !=
			     after->nodes[i].position.timeline))
			return true;
	return false;
}

static void take_topology(struct local *local, struct mail_topology *mail)
{
	bool is_same = has_same_roles(local->topology, mail->topology);

	if (!is_same)
		sessions_unqueue(local);
	if (has_newcomer(local->topology, mail->topology))
		welcomes_clear(local->process->welcomes);
	local_set_topology(local, mail->topology);
	pools_refresh(local);
	hubs_refresh(local);
	if (!is_same)
		sessions_requeue(local);
	sessions_refresh(local);
}

static void take_catalog(struct local *local, struct mail_catalog *mail)
{
	local_set_catalog(local, mail->database, mail->dbname, mail->catalog);
	pools_refresh_catalogs(local);
	free(mail->database);
	free(mail->dbname);
}

static void take_shutdown(struct local *local, const struct mail_shutdown *mail)
{
	clients_refuse_all(local);
	sessions_shutdown(local, (enum session_shutdown)mail->mode);
	/* They never finish by themselves. */
	tunnels_shutdown(local);
	pools_drain(local);
}

static void take_client(struct local *local, const struct mail_client *mail)
{
	if (local->is_stopped)
		(void)close(mail->fd);
	else
		client_accept(local, mail->fd, mail->is_unix, &mail->peer);
}

static void take_address(struct local *local, const struct mail_address *mail)
{
	local_set_address(local, mail->generation, mail->node, &mail->address);
}

static void take_visit(struct local *local, const struct mail_visit *mail)
{
	mail->visit(local, mail->arg);
}

static void take_own_mail(struct local *local, struct mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_CLIENT: take_client(local, (struct mail_client *)mail); break;
	case MAIL_SNAPSHOT:
		take_snapshot(local, (struct mail_snapshot *)mail);
		break;
	case MAIL_TOPOLOGY:
		take_topology(local, (struct mail_topology *)mail);
		break;
	case MAIL_ADDRESS:
		take_address(local, (struct mail_address *)mail);
		break;
	case MAIL_CATALOG:
		take_catalog(local, (struct mail_catalog *)mail);
		break;
	case MAIL_SHUTDOWN:
		take_shutdown(local, (struct mail_shutdown *)mail);
		break;
	case MAIL_VISIT: take_visit(local, (struct mail_visit *)mail); break;
	case MAIL_SESSION:
		session_take_mail(local, (struct mail_session *)mail);
		break;
	case MAIL_GRANT:
	case MAIL_FEED:
	case MAIL_FEED_ALL:
	case MAIL_EVICT:
	case MAIL_CANCEL:
	case MAIL_CANCELLED:
	case MAIL_HUB_WANT:
	case MAIL_HUB_DROP:
	case MAIL_HUB_BARRIER:
	case MAIL_HEARD:
	case MAIL_HEARD_TOKEN:
	case MAIL_HEARD_PAST:
	case MAIL_HEARD_GAP:
	default: break;
	}
	free(mail);
}

static void on_mail(void *arg, struct mail *mail)
{
	struct local *local = ((struct seat *)arg)->local;

	if (!pools_take_mail(local, mail) && !cancels_take_mail(local, mail) &&
	    !session_listen_take_mail(local, mail) &&
	    !hubs_take_mail(local, mail))
		take_own_mail(local, mail);
}

/* --- sharing the work --- */

enum {
	MEASURE_US = 100000,
	SETTLING = 3 /* measures until a move shows in the loads */
};

static void read_loads(const struct process *process,
		       struct balance_worker *workers)
{
	for (unsigned i = 0; i < process->worker_count; i++)
		workers[i] = (struct balance_worker){
			.load = atomic_load_explicit(&process->loads[i].load,
						     memory_order_relaxed),
			.turn_us =
				atomic_load_explicit(&process->loads[i].turn_us,
						     memory_order_relaxed),
		};
}

/* Gives clients away when this worker has no core left and another has. */
static void seek_relief(struct seat *seat, uint64_t since_us)
{
	struct local *local = seat->local;
	struct balance_worker workers[QUOTA_WORKERS_MAX];
	struct balance_relief relief;
	unsigned count;

	if (seat->settling > 0) {
		seat->settling--;
		return;
	}
	read_loads(local->process, workers);
	if (!balance_relieve(workers, local->process->worker_count,
			     (unsigned)local_settings(local)->worker_fill * 10,
			     local->index, &relief))
		return;
	count = sessions_move_some(local, since_us, relief.share, relief.to);
	seat->settling = SETTLING;
	if (count > 0)
		log_debug("worker %u: busy, %u clients go to worker %u",
			  local->index, count, relief.to);
}

static void measure(struct seat *seat, uint64_t busy_us)
{
	struct local *local = seat->local;
	struct process *process = local->process;
	uint64_t now_us = local_now(local);
	uint64_t before_us = seat->measured_us;
	uint64_t thread_us;

	atomic_store_explicit(&process->loads[local->index].turn_us, busy_us,
			      memory_order_relaxed);
	if (now_us - before_us < MEASURE_US)
		return;
	thread_us = util_thread_us();
	atomic_store_explicit(&process->loads[local->index].load,
			      balance_load(process->loads[local->index].load,
					   thread_us - seat->thread_us,
					   now_us - before_us),
			      memory_order_relaxed);
	seat->thread_us = thread_us;
	seat->measured_us = now_us;
	if (local_settings(local)->worker_fill > 0 && !local->is_refusing)
		seek_relief(seat, before_us);
}

/* What others read of this worker; never to decide anything exact. */
static void on_turned(void *arg, uint64_t busy_us, uint64_t lag_us)
{
	struct seat *seat = arg;
	struct local *local = seat->local;
	uint64_t hits = shapes_hits(local->shapes);
	uint64_t misses = shapes_misses(local->shapes);

	metrics_count(local->cell, COUNTER_WORKER_BUSY_US, 0, 0, busy_us);
	/* Nothing was due in most turns. */
	if (lag_us > 0)
		metrics_observe(local->cell, HISTOGRAM_EVENT_LOOP_LAG, 0,
				lag_us);
	metrics_observe(local->cell, HISTOGRAM_EVENT_LOOP_TURN, 0, busy_us);
	metrics_count(local->cell, COUNTER_CLASSIFY_HITS, 0, 0,
		      hits - seat->hits);
	metrics_count(local->cell, COUNTER_CLASSIFY_MISSES, 0, 0,
		      misses - seat->misses);
	seat->hits = hits;
	seat->misses = misses;
	if (local->process->worker_count > 1)
		measure(seat, busy_us);
	if (local->is_refusing)
		atomic_store(&seat->active, sessions_active(local));
}

static void on_stopped(void *arg)
{
	struct local *local = ((struct seat *)arg)->local;

	local->is_stopped = true;
	if (local->index == 0 && the_proxy->door)
		listeners_close(the_proxy->door);
	sessions_shutdown(local, SHUTDOWN_NOW);
	clients_refuse_all(local);
	client_asks_forget(local);
	tunnels_free(local);
	cancels_free(local);
	hubs_free(local);
	auth_links_free(local);
	pools_free(local);
}

/* --- on the main thread --- */

static struct node_address *copy_addresses(const struct snapshot *snapshot,
					   const struct node_address *addresses)
{
	size_t count = snapshot->config->node_count;
	struct node_address *copy = xcalloc(count, sizeof(*copy));

	memcpy(copy, addresses, count * sizeof(*copy));
	return copy;
}

static void build_seat(struct proxy *proxy, unsigned index,
		       struct snapshot *snapshot,
		       const struct topology *topology,
		       const struct node_address *addresses)
{
	struct seat *seat = &proxy->seats[index];
	const struct worker_hooks hooks = {
		.mail = on_mail,
		.stopped = on_stopped,
		.turned = on_turned,
		.arg = seat,
	};

	seat->proxy = proxy;
	seat->local = local_new(&proxy->process, index);
	seat->local->sessions = session_table_new();
	local_set_snapshot(seat->local, snapshot_hold(snapshot),
			   topology_hold(topology),
			   copy_addresses(snapshot, addresses));
	seat->local->worker = worker_new(index, &hooks);
	proxy->process.workers[index] = seat->local->worker;
}

/* Nobody else listens or sends there: the name is drawn. */
static void name_tokens(struct process *process)
{
	uint64_t number;

	util_random(&number, sizeof(number));
	(void)snprintf(process->token_channel, sizeof(process->token_channel),
		       "pgweir_%016" PRIx64, number);
}

struct proxy *proxy_new(struct metrics *metrics, unsigned workers,
			const struct proxy_hooks *hooks,
			struct snapshot *snapshot,
			const struct topology *topology,
			const struct node_address *addresses)
{
	struct proxy *proxy = xcalloc(1, sizeof(*proxy));

	assert(workers > 0 && workers <= QUOTA_WORKERS_MAX && !the_proxy);
	proxy->hooks = *hooks;
	proxy->process.worker_count = workers;
	proxy->process.metrics = metrics;
	proxy->process.quotas = quotas_new();
	proxy->process.headcount = headcount_new();
	proxy->process.keyring = keyring_new();
	proxy->process.welcomes = welcomes_new();
	proxy->process.notifiers = notifiers_new();
	name_tokens(&proxy->process);
	proxy->process.want_catalog = hooks->want_catalog;
	proxy->process.node_trouble = hooks->node_trouble;
	proxy->process.ask_main = hooks->ask_main;
	proxy->process.changes = changes_new();
	proxy->process.orders = orders_new();
	proxy->process.hurry = hooks->hurry;
	proxy->process.arg = hooks->arg;
	the_proxy = proxy;
	proxy->process.pool_hooks = sessions_pool_hooks();
	client_set_hooks(&client_hooks);
	for (unsigned i = 0; i < workers; i++)
		build_seat(proxy, i, snapshot, topology, addresses);
	snapshot_release(snapshot);
	topology_release(topology);
	return proxy;
}

bool proxy_start(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		if (!worker_start(proxy->process.workers[i]))
			return false;
		proxy->started++;
	}
	return true;
}

static void post(const struct proxy *proxy, unsigned worker, struct mail *mail,
		 enum mail_kind kind)
{
	mail->kind = (int)kind;
	worker_post(proxy->process.workers[worker], mail);
}

void proxy_post_snapshot(struct proxy *proxy, struct snapshot *snapshot,
			 const struct topology *topology,
			 const struct node_address *addresses)
{
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct mail_snapshot *mail = xcalloc(1, sizeof(*mail));

		mail->snapshot = snapshot_hold(snapshot);
		mail->topology = topology_hold(topology);
		mail->addresses = copy_addresses(snapshot, addresses);
		post(proxy, i, &mail->mail, MAIL_SNAPSHOT);
	}
	snapshot_release(snapshot);
	topology_release(topology);
}

void proxy_post_topology(struct proxy *proxy, const struct topology *topology)
{
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct mail_topology *mail = xcalloc(1, sizeof(*mail));

		mail->topology = topology_hold(topology);
		post(proxy, i, &mail->mail, MAIL_TOPOLOGY);
	}
	topology_release(topology);
}

void proxy_post_address(struct proxy *proxy, uint64_t generation, unsigned node,
			const struct node_address *address)
{
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct mail_address *mail = xcalloc(1, sizeof(*mail));

		mail->generation = generation;
		mail->node = node;
		mail->address = *address;
		post(proxy, i, &mail->mail, MAIL_ADDRESS);
	}
}

void proxy_post_catalog(struct proxy *proxy, const char *database,
			const char *dbname, struct catalog *catalog)
{
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct mail_catalog *mail = xcalloc(1, sizeof(*mail));

		mail->database = xstrdup(database);
		mail->dbname = xstrdup(dbname);
		mail->catalog = catalog_hold(catalog);
		post(proxy, i, &mail->mail, MAIL_CATALOG);
	}
	catalog_release(catalog);
}

/* --- the door --- */

static unsigned choose_worker(struct proxy *proxy)
{
	int fill = local_settings(proxy->seats[0].local)->worker_fill;
	struct balance_worker workers[QUOTA_WORKERS_MAX];

	assert(proxy->process.worker_count > 0);
	if (fill == 0)
		return proxy->turn++ % proxy->process.worker_count;
	read_loads(&proxy->process, workers);
	return balance_place(workers, proxy->process.worker_count,
			     (unsigned)fill * 10);
}

static void on_client(void *arg, int fd, bool is_unix,
		      const struct sockaddr_storage *peer)
{
	struct proxy *proxy = arg;
	unsigned worker = choose_worker(proxy);
	struct mail_client *mail;

	if (worker == 0) {
		client_accept(proxy->seats[0].local, fd, is_unix, peer);
		return;
	}
	mail = xcalloc(1, sizeof(*mail));
	mail->fd = fd;
	mail->is_unix = is_unix;
	mail->peer = *peer;
	post(proxy, worker, &mail->mail, MAIL_CLIENT);
}

bool proxy_serve(struct proxy *proxy, struct listeners *listeners)
{
	assert(proxy->started == 0 && !proxy->door);
	proxy->door = listeners;
	return listeners_serve(listeners,
			       worker_base(proxy->process.workers[0]),
			       on_client, proxy);
}

static void close_door(struct local *local, void *arg)
{
	(void)local;
	listeners_close(arg);
}

void proxy_close_door(struct proxy *proxy)
{
	struct mail_visit *mail = xcalloc(1, sizeof(*mail));

	mail->visit = close_door;
	mail->arg = proxy->door;
	post(proxy, 0, &mail->mail, MAIL_VISIT);
}

void proxy_shutdown(struct proxy *proxy, enum session_shutdown mode)
{
	proxy->mode = mode;
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct mail_shutdown *mail = xcalloc(1, sizeof(*mail));

		atomic_store(&proxy->seats[i].active, 1);
		mail->mode = (int)mode;
		post(proxy, i, &mail->mail, MAIL_SHUTDOWN);
	}
}

bool proxy_is_quiet(const struct proxy *proxy)
{
	if (proxy->mode == SHUTDOWN_NOW ||
	    atomic_load(&proxy->process.clients) == 0)
		return true;
	if (proxy->mode != SHUTDOWN_SERVERS)
		return false;
	for (unsigned i = 0; i < proxy->process.worker_count; i++)
		if (atomic_load(&proxy->seats[i].active) > 0)
			return false;
	return true;
}

void proxy_free(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->started; i++)
		worker_stop(proxy->process.workers[i]);
	for (unsigned i = 0; i < proxy->started; i++)
		worker_wait(proxy->process.workers[i]);
	/* Of a worker that was never started. */
	if (proxy->door)
		listeners_close(proxy->door);
	for (unsigned i = 0; i < proxy->process.worker_count; i++)
		worker_join(proxy->process.workers[i]);
	for (unsigned i = 0; i < proxy->process.worker_count; i++) {
		struct local *local = proxy->seats[i].local;

		session_table_free(local->sessions);
		local_free(local);
	}
	quotas_free(proxy->process.quotas);
	headcount_free(proxy->process.headcount);
	keyring_free(proxy->process.keyring);
	welcomes_free(proxy->process.welcomes);
	changes_free(proxy->process.changes);
	orders_free(proxy->process.orders);
	notifiers_free(proxy->process.notifiers);
	the_proxy = NULL;
	free(proxy);
}

struct process *proxy_process(struct proxy *proxy)
{
	return &proxy->process;
}
