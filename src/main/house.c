/*
 * The house: builds every room in order, connects them, runs the main
 * thread's loop, and takes everything down in the opposite order.
 *
 * The main thread decides nothing about queries.  It opens the ports, which
 * a worker serves, passes on what the monitor, the resolver and the catalog
 * loaders learn, and does what workers ask for by mail: their hooks run on
 * their threads, so they only post.
 *
 * Ports are bound while we may still be root, threads start after the fork
 * into the background, and the process that was called hears of success
 * only when clients can come.
 */
#include "main/house.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "control/admin.h"
#include "control/daemon.h"
#include "control/http.h"
#include "control/monitor.h"
#include "control/resolve.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/topology.h"
#include "main/aside.h"
#include "main/catalogs.h"
#include "main/house_parts.h"
#include "main/load.h"
#include "main/page.h"
#include "main/reload.h"
#include "net/listener.h"
#include "net/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, QUIET_POLL_US = 20000 };

/* When everything was told to end now, it must within this time. */
static const uint64_t HURRY_US = 2000000;

/* ---- mail from the workers ---------------------------------------------- */

enum house_mail_kind {
	HOUSE_WANT_CATALOG,
	HOUSE_TROUBLE,
	HOUSE_EVICT,
	HOUSE_HURRY,
	HOUSE_RELOAD,
	HOUSE_SET,
	HOUSE_SHUTDOWN
};

/* What the kind needs is set, the rest is NULL or 0; strings are the mail's. */
struct house_mail {
	struct mail mail;
	char *name;   /* of a database, of a node */
	char *dbname; /* on the server */
	char *value;  /* of the key that name is */
	struct admin_ticket *ticket;
	struct evict *evict;
	int mode; /* enum session_shutdown */
	unsigned node;
};

/*
 * Ends in on_quiet(), never here: mail may still be under way.  mode only grows
 * (NONE, CLIENTS, SERVERS, NOW).
 */
static void stop(struct house *house, enum session_shutdown mode,
		 const char *why);

/* From any thread; the house outlives the workers, so the mailbox is there. */
static void post(struct house *house, enum house_mail_kind kind,
		 const struct house_mail *content)
{
	struct house_mail *mail = xmalloc(sizeof(*mail));

	*mail = *content;
	mail->mail.kind = (int)kind;
	mailbox_post(house->mailbox, &mail->mail);
}

static void post_want_catalog(void *arg, const char *database,
			      const char *dbname)
{
	struct house_mail content = { .name = xstrdup(database),
				      .dbname = xstrdup(dbname) };

	post(arg, HOUSE_WANT_CATALOG, &content);
}

static void post_trouble(void *arg, const char *label)
{
	struct house_mail content = { .name = xstrdup(label) };

	post(arg, HOUSE_TROUBLE, &content);
}

static void post_evict(void *arg, struct evict *evict)
{
	struct house_mail content = { .evict = evict };

	post(arg, HOUSE_EVICT, &content);
}

static void post_hurry(void *arg, unsigned node)
{
	struct house_mail content = { .node = node };

	post(arg, HOUSE_HURRY, &content);
}

static void post_reload(void *arg, struct admin_ticket *ticket)
{
	struct house_mail content = { .ticket = ticket };

	post(arg, HOUSE_RELOAD, &content);
}

static void post_set(void *arg, struct admin_ticket *ticket, const char *key,
		     const char *value)
{
	struct house_mail content = { .ticket = ticket,
				      .name = xstrdup(key),
				      .value = xstrdup(value) };

	post(arg, HOUSE_SET, &content);
}

static void post_shutdown(void *arg, int mode)
{
	struct house_mail content = { .mode = mode };

	post(arg, HOUSE_SHUTDOWN, &content);
}

/*
 * On the worker's thread: a console session stays on the worker that has
 * accepted it, only what it orders goes to the main thread.
 */
static void on_console(void *arg, struct local *local,
		       const struct client_login *login)
{
	const struct house *house = arg;

	admin_take(house->admin, local, login);
}

/* The node may have left the configuration while the mail was under way. */
static void take_trouble(const struct house *house, const char *label)
{
	const struct config *config = house_config(house);

	for (unsigned i = 0; i < config->node_count; i++)
		if (strcmp(config->nodes[i].label, label) == 0)
			monitor_poke(house->monitor, i);
}

/* The ticket must be answered in any case: an operator waits at it. */
static void take_reload(struct house *house, struct admin_ticket *ticket)
{
	struct buf error = BUF_INIT;
	bool is_good = reload_house(house, &error);

	admin_reloaded(ticket, is_good ? NULL : buf_text(&error));
	buf_free(&error);
}

/* The value may be a secret. */
static void take_set(struct house *house, const struct house_mail *content)
{
	struct buf error = BUF_INIT;
	bool is_good = reload_set(house, content->name, content->value, &error);

	util_wipe(content->value, strlen(content->value));
	admin_reloaded(content->ticket, is_good ? NULL : buf_text(&error));
	buf_free(&error);
}

/* At the end rooms are gone already: then only tickets are answered. */
static void on_mail(void *arg, struct mail *mail)
{
	struct house *house = arg;
	struct house_mail *content = (struct house_mail *)mail;

	switch ((enum house_mail_kind)mail->kind) {
	case HOUSE_WANT_CATALOG:
		if (house->catalogs)
			catalogs_want(house->catalogs, content->name,
				      content->dbname);
		break;
	case HOUSE_TROUBLE:
		if (house->monitor)
			take_trouble(house, content->name);
		break;
	case HOUSE_EVICT: aside_take(house, content->evict); break;
	case HOUSE_HURRY:
		if (house->monitor)
			monitor_hurry(house->monitor, content->node);
		break;
	case HOUSE_RELOAD: take_reload(house, content->ticket); break;
	case HOUSE_SET: take_set(house, content); break;
	case HOUSE_SHUTDOWN:
		if (house->proxy)
			stop(house, (enum session_shutdown)content->mode,
			     "SHUTDOWN");
		break;
	}
	free(content->name);
	free(content->dbname);
	free(content->value);
	free(content);
}

/* ---- what the rooms of control learn ------------------------------------ */

/*
 * During a reload all addresses are collected, and posted with the snapshot
 * that they belong to: workers never see half of a change.
 */
static void on_address(void *arg, unsigned node,
		       const struct sockaddr_storage *address, socklen_t len)
{
	struct house *house = arg;
	struct node_address *entry = &house->addresses[node];

	assert(node < house_config(house)->node_count);
	*entry = (struct node_address){ .is_known = true,
					.len = len,
					.address = *address };
	if (house->proxy && !house->is_reloading)
		proxy_post_address(house->proxy,
				   house_config(house)->generation, node,
				   entry);
}

/* No proxy yet, or no more: the reference is ours to give back. */
static void on_topology(void *arg, struct topology *taken)
{
	const struct house *house = arg;

	if (house->catalogs)
		catalogs_look(house->catalogs, taken);
	if (house->proxy)
		proxy_post_topology(house->proxy, taken);
	else
		topology_release(taken);
}

static const struct topology *get_topology(void *arg)
{
	const struct house *house = arg;

	return monitor_topology(house->monitor);
}

/*
 * By node of the configuration in force; one more than there are nodes, so that
 * it is never an empty array.
 */
static const struct node_address *get_addresses(void *arg)
{
	const struct house *house = arg;

	return house->addresses;
}

/* Only asked for by workers, so the proxy is there. */
static void on_catalog(void *arg, const char *database, const char *dbname,
		       struct catalog *catalog)
{
	const struct house *house = arg;

	proxy_post_catalog(house->proxy, database, dbname, catalog);
}

static bool on_ready(void *arg, struct buf *why)
{
	return page_ready(arg, why);
}

static void on_metrics(void *arg, struct buf *out)
{
	page_metrics(arg, out);
}

/* ---- statistics --------------------------------------------------------- */

/*
 * One sample for the log, systemd's status line and the console's averages, so
 * that they agree.  Taken also when log_stats is off.
 */
static void on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct house *house = arg;
	struct stats_sample now;
	struct buf line = BUF_INIT;

	(void)fd;
	(void)what;
	stats_take(&now, house->metrics, util_now_us());
	admin_sample(house->admin, house->metrics, now.at_us);
	stats_format(&line, &house->stats, &now);
	if (house_config(house)->settings.log_stats)
		log_info("stats: %s", buf_text(&line));
	daemon_notify(DAEMON_STATUS, buf_text(&line));
	house->stats = now;
	buf_free(&line);
}

/* ---- stopping ----------------------------------------------------------- */

/*
 * Polled, since no event marks the moment at which the last session, cancel
 * request and server have gone on all workers; it matters only at the end.
 */
static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	const struct house *house = arg;
	bool is_over = house->hurried_us != 0 &&
		       util_now_us() - house->hurried_us > HURRY_US;

	(void)fd;
	(void)what;
	if (proxy_is_quiet(house->proxy) || is_over)
		(void)event_base_loopbreak(house->base);
}

/* The ports close first: new clients find another instance at once. */
static void begin_to_stop(struct house *house)
{
	struct timeval poll = { .tv_usec = QUIET_POLL_US };

	daemon_notify(DAEMON_STOPPING, NULL);
	proxy_close_door(house->proxy);
	(void)event_add(house->quiet_timer, &poll);
}

static void stop(struct house *house, enum session_shutdown mode,
		 const char *why)
{
	static const char *const plans[] = {
		[SHUTDOWN_CLIENTS] = "no new clients, ending when those there "
				     "have finished their transactions",
		[SHUTDOWN_SERVERS] = "no new clients, ending when all servers "
				     "have been given back",
		[SHUTDOWN_NOW] = "ending at once",
	};

	assert(mode > SHUTDOWN_NONE && mode <= SHUTDOWN_NOW);
	/* Asked again, and for nothing hastier: somebody is in a hurry. */
	if (mode <= house->mode)
		mode = SHUTDOWN_NOW;
	log_info("%s: %s", why, plans[mode]);
	if (house->mode == SHUTDOWN_NONE)
		begin_to_stop(house);
	house->mode = mode;
	if (mode == SHUTDOWN_NOW && house->hurried_us == 0)
		house->hurried_us = util_now_us();
	proxy_shutdown(house->proxy, mode);
}

static void on_hangup(struct house *house)
{
	struct buf error = BUF_INIT;

	/* All there is to say is in the log. */
	(void)reload_house(house, &error);
	buf_free(&error);
}

/* The signals of pgbouncer(1), so that units and habits keep working. */
static void on_signal(void *arg, int number)
{
	struct house *house = arg;

	switch (number) {
	case SIGHUP: on_hangup(house); break;
	case SIGTERM: stop(house, SHUTDOWN_CLIENTS, "SIGTERM"); break;
	case SIGINT: stop(house, SHUTDOWN_SERVERS, "SIGINT"); break;
	case SIGQUIT: stop(house, SHUTDOWN_NOW, "SIGQUIT"); break;
	case SIGUSR1: aside_pause(house); break;
	case SIGUSR2:
	default: aside_resume(house); break;
	}
}

/* ---- opening: the process ----------------------------------------------- */

/* The command line goes before the file, as everywhere. */
static const char *user_of(const struct house *house)
{
	return house->line->user ? house->line->user
				 : house_config(house)->settings.user;
}

/* Once, as soon as the file would belong to the right user. */
static bool open_log(struct house *house, struct buf *error)
{
	if (house->is_log_open)
		return true;
	house->is_log_open = house_open_log(house, house_config(house));
	if (!house->is_log_open)
		buf_printf(error, "logfile %s: %s\n",
			   house_config(house)->settings.logfile,
			   strerrordesc_np(errno));
	return house->is_log_open;
}

/*
 * Here already, for the ports should be opened by the process that keeps them,
 * and threads do not survive a fork.
 */
static bool open_background(struct house *house, struct buf *error)
{
	if (!house->line->is_daemon)
		return true;
	if (house_config(house)->settings.pidfile[0] == '\0') {
		buf_printf(error,
			   "-d: set pidfile in %s, so that the daemon "
			   "can be found again\n",
			   house->line->file);
		return false;
	}
	if (daemon_detach(&house->verdict))
		return true;
	buf_printf(error, "-d: cannot go into the background: %s\n",
		   strerrordesc_np(errno));
	return false;
}

/* No other thread touches the base: they post to the mailbox. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (!config)
		return NULL;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/*
 * Signals before anything that may block: a SIGTERM at start-up is obeyed as
 * soon as the loop runs.
 */
static bool open_loop(struct house *house, struct buf *error)
{
	house->base = new_base();
	if (house->base)
		house->signals =
			daemon_signals_new(house->base, on_signal, house);
	if (house->signals)
		house->mailbox = mailbox_new(house->base, on_mail, house);
	if (house->mailbox) {
		house->stats_timer =
			event_new(house->base, -1, EV_PERSIST, on_stats, house);
		house->quiet_timer =
			event_new(house->base, -1, EV_PERSIST, on_quiet, house);
	}
	if (house->stats_timer && house->quiet_timer)
		return true;
	buf_printf(error, "no event loop: %s\n", strerrordesc_np(errno));
	return false;
}

/* Before root is given up: ports below 1024 and root's folders. */
static bool open_ports(struct house *house, struct buf *error)
{
	const struct config_settings *settings = &house_config(house)->settings;
	struct listener_options options = {
		.addresses = settings->listen_addr,
		.port = (uint16_t)settings->listen_port,
		.backlog = settings->listen_backlog,
		.unix_dir = settings->unix_socket_dir,
		.unix_mode = settings->unix_socket_mode,
		.unix_group = settings->unix_socket_group,
		.defer_accept = settings->tcp_defer_accept,
		.keepalive = settings->tcp_keepalive,
	};

	house->listeners = listeners_new(&options, error);
	return house->listeners != NULL;
}

/* The socket's file must be ours to be removed at the end. */
static bool drop_root(const struct house *house, struct buf *error)
{
	const struct config_settings *settings = &house_config(house)->settings;
	const char *user = user_of(house);
	char *path;

	if (*user == '\0')
		return true;
	path = xasprintf("%s/.s.PGSQL.%d", settings->unix_socket_dir,
			 settings->listen_port);
	if (path[0] == '/' && path[1] != '.')
		daemon_give_file(path, user);
	free(path);
	return daemon_become(user, error);
}

static bool open_pidfile(struct house *house, struct buf *error)
{
	const char *path = house_config(house)->settings.pidfile;

	if (*path == '\0')
		return true;
	house->pidfile = pidfile_take(path, error);
	return house->pidfile != NULL;
}

/*
 * Each step needs the one before it.  Without a change of user the log opens
 * first, so that later faults are in it; else the file must belong to the new
 * user.
 */
static bool open_process(struct house *house, struct buf *error)
{
	bool is_dropping = *user_of(house) != '\0';

	return (is_dropping || open_log(house, error)) &&
	       open_background(house, error) && open_loop(house, error) &&
	       open_ports(house, error) && drop_root(house, error) &&
	       open_log(house, error) && open_pidfile(house, error);
}

/* ---- opening: the rooms ------------------------------------------------- */

static unsigned count_cores(void)
{
	cpu_set_t cores;
	long count = 0;

	/* What we may use; a machine may have more than cpu_set_t holds. */
	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		count = CPU_COUNT(&cores);
	else
		count = sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 ? (unsigned)count : 1;
}

/* WORKERS_MAX bounds what a machine of many cores gets by "auto" too. */
static unsigned count_workers(const struct house *house)
{
	int wanted = house_config(house)->settings.workers;
	unsigned count = wanted > 0 ? (unsigned)wanted : count_cores();

	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

/* The resolver tells known addresses at once, so their array is first. */
static bool open_nodes(struct house *house, struct buf *error)
{
	const struct config *config = house_config(house);

	house->addresses =
		xcalloc(config->node_count + 1, sizeof(*house->addresses));
	house->resolve = resolve_new(house->base, config, on_address, house);
	if (house->resolve)
		house->monitor =
			monitor_new(house->base, config, house->resolve,
				    house->metrics, on_topology, house);
	if (house->monitor) {
		monitor_set_users(house->monitor, house->snapshot->users);
		monitor_set_shut(house->monitor, aside_is_shut, house);
		return true;
	}
	buf_printf(error, "cannot watch the nodes: %s\n",
		   strerrordesc_np(errno));
	return false;
}

static const struct users *get_users(void *arg)
{
	const struct house *house = arg;

	return house->snapshot->users;
}

static void hurry_nodes(void *arg, unsigned node)
{
	const struct house *house = arg;

	monitor_hurry(house->monitor, node);
}

static void open_catalogs(struct house *house)
{
	struct catalogs_hooks hooks = {
		.topology = get_topology,
		.addresses = get_addresses,
		.users = get_users,
		.hurry = hurry_nodes,
		.is_shut = aside_is_shut,
		.loaded = on_catalog,
		.arg = house,
	};

	house->catalogs =
		catalogs_new(house->base, &hooks, house_config(house));
}

static bool open_http(struct house *house, struct buf *error)
{
	struct http_hooks hooks = {
		.ready = on_ready,
		.metrics = on_metrics,
		.arg = house,
	};

	house->http = http_new(house->base, &hooks, house_config(house), error);
	return house->http != NULL;
}

static void open_admin(struct house *house)
{
	struct admin_hooks hooks = {
		.reload = post_reload,
		.set = post_set,
		.shutdown = post_shutdown,
		.arg = house,
	};

	house->admin = admin_new(&hooks, house->version);
}

/* The threads start here: everything that they call is there. */
static bool open_proxy(struct house *house, struct buf *error)
{
	struct proxy_hooks hooks = {
		.want_catalog = post_want_catalog,
		.node_trouble = post_trouble,
		.ask_main = post_evict,
		.hurry = post_hurry,
		.console = on_console,
		.arg = house,
	};
	const struct topology *topology = monitor_topology(house->monitor);

	house->proxy = proxy_new(house->metrics, count_workers(house), &hooks,
				 snapshot_hold(house->snapshot),
				 topology_hold(topology), house->addresses);
	if (house->proxy && proxy_serve(house->proxy, house->listeners) &&
	    proxy_start(house->proxy))
		return true;
	buf_printf(error, "cannot start the workers: %s\n",
		   strerrordesc_np(errno));
	return false;
}

/*
 * From the ground up; close_rooms() goes the other way.  What fails here was
 * said in error and is undone by house_close().
 */
static bool open_rooms(struct house *house, struct buf *error)
{
	house->metrics = metrics_new();
	open_admin(house);
	if (!open_nodes(house, error) || !open_http(house, error))
		return false;
	open_catalogs(house);
	if (!open_proxy(house, error))
		return false;
	catalogs_want_named(house->catalogs);
	stats_take(&house->stats, house->metrics, util_now_us());
	house_set_stats_period(house);
	return true;
}

/* Two descriptors per client would be too much to ask: many share servers. */
static void tell_limits(const struct house *house)
{
	uint64_t files = daemon_raise_files();
	int clients = house_config(house)->settings.max_client_conn;

	/* Some for servers and for ourselves. */
	if (files < (uint64_t)clients + 100)
		log_warning("the limit of open files is %llu, too few for "
			    "max_client_conn = %d and servers: raise ulimit "
			    "-n or LimitNOFILE",
			    (unsigned long long)files, clients);
	if (geteuid() == 0)
		log_warning("running as root: set user, or start with -u");
}

static void tell_start(const struct house *house, const struct buf *warnings)
{
	const struct config *config = house_config(house);

	load_log_lines(LEVEL_WARNING, "", warnings);
	tell_limits(house);
	log_info("pgweir %s: listens on %s, %u workers, %s pooling, "
		 "%u databases on %u nodes",
		 house->version, listeners_describe(house->listeners),
		 count_workers(house),
		 config_pool_mode_name(config->settings.pool_mode),
		 config->database_count, config->node_count);
}

/* READY=1 and the verdict of -d come last: both mean that clients can come. */
struct house *house_open(const struct command_line *line, const char *version,
			 struct snapshot *snapshot, const struct buf *warnings,
			 struct buf *error)
{
	struct house *house = xcalloc(1, sizeof(*house));

	house->line = line;
	house->version = version;
	house->snapshot = snapshot;
	house->verdict = -1;
	house->started_wall_us = util_wall_us();
	house->reload_ok_wall_us = house->started_wall_us;
	house->reload_ok = true;
	if (!open_process(house, error) || !open_rooms(house, error)) {
		house_close(house);
		return NULL;
	}
	tell_start(house, warnings);
	daemon_notify(DAEMON_READY, NULL);
	if (house->verdict >= 0)
		daemon_ready(house->verdict);
	return house;
}

/* ---- running and closing ------------------------------------------------ */

void house_run(struct house *house)
{
	(void)event_base_dispatch(house->base);
	log_info("pgweir %s: ended", house->version);
}

/* Workers first: they may still ask for what is freed after them. */
static void close_rooms(struct house *house)
{
	if (house->proxy) {
		admin_stop(house->admin, proxy_process(house->proxy));
		proxy_free(house->proxy);
	}
	house->proxy = NULL;
	http_free(house->http);
	catalogs_free(house->catalogs);
	house->catalogs = NULL;
	monitor_free(house->monitor);
	house->monitor = NULL;
	resolve_free(house->resolve);
}

/* The mailbox before the base: what is still in it is answered by on_mail(). */
static void close_loop(struct house *house)
{
	if (house->mailbox)
		mailbox_free(house->mailbox);
	if (house->stats_timer)
		event_free(house->stats_timer);
	if (house->quiet_timer)
		event_free(house->quiet_timer);
	daemon_signals_free(house->signals);
	if (house->base)
		event_base_free(house->base);
}

/* Also of a house that has opened only in part: every pointer may be NULL. */
void house_close(struct house *house)
{
	/* What is still in the mailbox must find nobody to start anew. */
	house->mode = SHUTDOWN_NOW;
	close_rooms(house);
	listeners_free(house->listeners);
	close_loop(house);
	admin_free(house->admin);
	metrics_free(house->metrics);
	snapshot_release(house->snapshot);
	free(house->addresses);
	pidfile_drop(house->pidfile);
	free(house);
}
