/*
 * The connections that auth_query is asked through.
 *
 * One question is under way at a time, the others wait in the order of their
 * coming, so an answer belongs to one user for sure.  A connection that fails
 * fails all its questions and is gone: the next question opens another one.
 * It is no server of a pool: no client is ever given it, and it closes when
 * nothing was asked for a while.
 *
 * Refuses to keep what it was told: each login asks anew, so that a changed
 * password holds at once.
 */
#include "proxy/auth_link.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/strmap.h"
#include "base/util.h"
#include "base/wheel.h"
#include "core/authanswer.h"
#include "core/config.h"
#include "core/dbddl.h"
#include "core/metrics.h"
#include "core/topology.h"
#include "core/users.h"
#include "proxy/changes.h"
#include "proxy/local.h"
#include "proxy/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	IDLE_US = 10 * 1000 * 1000,   /* without a question */
	ANSWER_US = 10 * 1000 * 1000, /* for each */
	ANSWER_MAX = 64 * 1024        /* bytes */
};

struct auth_question {
	struct list link;
	char *user;
	char *sql;
	void (*answered)(void *arg, const struct authanswer *answer);
	void *arg; /* NULL answered: nobody wants to know any more */
};

struct auth_link {
	struct local *local;
	char *key;
	struct server_site site;
	char *label;
	char *host;
	char *database;
	char *dbname;
	char *user;
	char *secret;
	struct server *server;
	bool is_open;          /* logged in */
	struct list questions; /* the first is under way once it is open */
	bool is_asking;
	bool is_flooded;   /* more was answered than is kept */
	struct buf answer; /* as it comes; wiped */
	struct wheel_timer timer;
	struct worker_task burial;
};

/* --- whom to ask ---------------------------------------------------------- */

static const char *first_set(const char *one, const char *other)
{
	if (one && *one)
		return one;
	return other && *other ? other : NULL;
}

/* What the configuration says of a client's database; borrowed. */
struct plan {
	const struct config_database *line; /* that is asked */
	const char *database;               /* its name */
	const char *user;
	const char *sql;
};

static bool make_plan(const struct local *local, const char *database,
		      struct plan *plan)
{
	const struct config *config = local_config(local);
	const struct config_settings *settings = &config->settings;
	const struct config_database *line =
		config_find_database(config, database);

	plan->user =
		first_set(line ? line->auth_user : NULL, settings->auth_user);
	plan->sql =
		first_set(line ? line->auth_query : NULL, settings->auth_query);
	plan->database = first_set(line ? line->auth_dbname : NULL,
				   settings->auth_dbname);
	if (!plan->database)
		plan->database = database;
	plan->line = config_find_database(config, plan->database);
	return plan->line && plan->user && plan->sql;
}

/* auth_user himself is in auth_file, or nobody can be asked as him. */
bool auth_link_is_due(const struct local *local, const char *database,
		      const char *user)
{
	const struct users *users = local->snapshot->users;
	enum config_auth_type type = local_settings(local)->auth_type;
	struct plan plan;

	if (type == AUTH_ANY || (type == AUTH_TRUST && !users) ||
	    users_find(users, user) || !make_plan(local, database, &plan))
		return false;
	return strcmp(user, plan.user) != 0;
}

/* The primary; while there is none, whoever can be reached. */
static int find_node(const struct local *local,
		     const struct config_database *line)
{
	int node = -1;

	if (local->topology)
		node = topology_primary(local->topology, line->nodes,
					line->node_count);
	if (node >= 0 && local->addresses[node].is_known)
		return node;
	for (unsigned i = 0; i < line->node_count; i++)
		if (local->addresses[line->nodes[i]].is_known)
			return (int)line->nodes[i];
	return -1;
}

/* --- life ----------------------------------------------------------------- */

static void bury(struct worker_task *task)
{
	struct auth_link *link = LIST_ENTRY(task, struct auth_link, burial);

	metrics_close(link->site.totals);
	metrics_close(link->site.pool_cell);
	metrics_close(link->site.backend_cell);
	metrics_close(link->site.node_cell);
	util_free_secret(link->secret);
	free(link->label);
	free(link->host);
	free(link->database);
	free(link->dbname);
	free(link->user);
	free(link->key);
	free(link);
}

static void set_timer(struct auth_link *link, uint64_t span_us)
{
	wheel_set(worker_wheel(link->local->worker), &link->timer,
		  local_now(link->local) + span_us);
}

/* The question is over; whoever asked may call anything. */
static void tell(struct auth_question *question,
		 const struct authanswer *answer)
{
	list_remove(&question->link);
	if (question->answered)
		question->answered(question->arg, answer);
	free(question->user);
	free(question->sql);
	free(question);
}

/* Its server is gone: out of the table, and all that wait are told. */
static void fail_all(struct auth_link *link, const char *why)
{
	struct authanswer answer = { .is_good = false };

	link->server = NULL;
	wheel_unset(&link->timer);
	(void)strmap_remove(link->local->auth_links, link->key);
	buf_free_secret(&link->answer);
	(void)util_copy(answer.why, sizeof(answer.why), why);
	LIST_FOREACH_SAFE (at, &link->questions)
		tell(LIST_ENTRY(at, struct auth_question, link), &answer);
	worker_free_later(link->local->worker, &link->burial);
}

/* --- asking --------------------------------------------------------------- */

/* Of clients that have left meanwhile nobody need be asked. */
static const struct auth_question *next_question(struct auth_link *link)
{
	LIST_FOREACH_SAFE (at, &link->questions) {
		struct auth_question *question =
			LIST_ENTRY(at, struct auth_question, link);

		if (question->answered)
			return question;
		tell(question, NULL);
	}
	return NULL;
}

static void ask_next(struct auth_link *link)
{
	const struct auth_question *question = next_question(link);

	assert(link->is_open && !link->is_asking);
	set_timer(link, question ? ANSWER_US : IDLE_US);
	if (!question)
		return;
	link->is_asking = true;
	authanswer_ask(server_out(link->server), question->sql, question->user);
	server_owe(link->server, TRACK_PARSE, 0, NULL);
	server_owe(link->server, TRACK_BIND, 0, NULL);
	server_owe(link->server, TRACK_EXECUTE, 0, NULL);
	server_owe(link->server, TRACK_SYNC, 0, NULL);
}

static void on_timer(struct wheel_timer *timer)
{
	struct auth_link *link = LIST_ENTRY(timer, struct auth_link, timer);

	if (link->is_flooded)
		server_close(link->server, METRICS_CLOSE_OTHER,
			     "auth_query answers too much");
	else if (link->is_asking)
		server_close(link->server, METRICS_CLOSE_TIMEOUT,
			     "no answer to auth_query");
	else
		server_close(link->server, METRICS_CLOSE_IDLE,
			     "no more auth_query");
}

/* --- what the server tells ------------------------------------------------ */

static void on_ready(void *user, char status)
{
	struct auth_link *link = user;
	struct list *first = list_first(&link->questions);
	struct auth_question *question;
	struct authanswer answer;

	assert(first && link->is_asking);
	if (link->is_flooded)
		return;
	question = LIST_ENTRY(first, struct auth_question, link);
	authanswer_read(buf_head(&link->answer), buf_len(&link->answer),
			question->user, &answer);
	buf_free_secret(&link->answer);
	link->is_asking = false;
	tell(question, &answer);
	authanswer_clear(&answer);
	if (status == 'I')
		ask_next(link);
	else
		server_close(link->server, METRICS_CLOSE_OTHER,
			     "auth_query has left a transaction open");
}

/* The connection is ended by the timer: no hook may close it from inside. */
static bool on_bytes(void *user, const void *data, size_t len)
{
	struct auth_link *link = user;

	if (buf_len(&link->answer) + len <= ANSWER_MAX) {
		buf_append(&link->answer, data, len);
		return false;
	}
	link->is_flooded = true;
	wheel_set(worker_wheel(link->local->worker), &link->timer,
		  local_now(link->local));
	return true;
}

static const struct server_user_hooks user_hooks;

static void on_opened(void *owner, struct server *server)
{
	struct auth_link *link = owner;

	server_attach(server, &user_hooks, link);
	link->is_open = true;
	ask_next(link);
}

static void on_failed(void *owner, struct server *server, const char *sqlstate,
		      const char *why)
{
	(void)server;
	(void)sqlstate;
	fail_all(owner, why);
}

static void on_rested(void *owner, struct server *server)
{
	(void)owner;
	(void)server;
}

static void on_gone(void *owner, struct server *server)
{
	(void)server;
	fail_all(owner, "the connection was lost");
}

static const struct server_pool_hooks pool_hooks = {
	.opened = on_opened,
	.failed = on_failed,
	.rested = on_rested,
	.gone = on_gone,
};

static void on_nothing(void *user)
{
	(void)user;
}

static bool on_holds(void *user, char status)
{
	(void)user;
	(void)status;
	return false;
}

static void on_notified(void *user, const struct pgwire_message *message)
{
	(void)user;
	(void)message;
}

static void on_settled(void *user, const struct track_entry *entry, bool ok)
{
	(void)user;
	(void)entry;
	(void)ok;
}

static void on_deallocated(void *user, bool is_discard_all)
{
	(void)user;
	(void)is_discard_all;
}

static bool on_reported(void *user, const char *name, const char *value,
			bool is_ours)
{
	(void)user;
	(void)name;
	(void)value;
	(void)is_ours;
	return false;
}

/* An error is a part of the answer. */
static void on_erred(void *user, const char *sqlstate)
{
	(void)user;
	(void)sqlstate;
}

static bool on_spares(void *user, const char *sqlstate)
{
	(void)user;
	(void)sqlstate;
	return false;
}

static const char *on_name(void *user, uint64_t id)
{
	(void)user;
	(void)id;
	return NULL;
}

/* Told by on_gone. */
static void on_lost(void *user, const struct server_loss *loss)
{
	(void)user;
	(void)loss;
}

static const struct server_user_hooks user_hooks = {
	.bytes = on_bytes,
	.ready = on_ready,
	.applied = on_nothing,
	.holds = on_holds,
	.notified = on_notified,
	.settled = on_settled,
	.deallocated = on_deallocated,
	.reported = on_reported,
	.erred = on_erred,
	.drained = on_nothing,
	.spares = on_spares,
	.name_of = on_name,
	.lost = on_lost,
};

/* --- opening -------------------------------------------------------------- */

/* The line's own password is that of its own user. */
static const char *secret_of(const struct local *local, const struct plan *plan)
{
	if (plan->line->user && plan->line->password &&
	    strcmp(plan->line->user, plan->user) == 0)
		return plan->line->password;
	return users_find(local->snapshot->users, plan->user);
}

static void make_site(struct auth_link *link, unsigned node)
{
	struct metrics *metrics = link->local->process->metrics;
	const struct metrics_labels labels = { .database = link->database,
					       .user = link->user,
					       .backend = link->label };

	link->site = (struct server_site){
		.local = link->local,
		.node = node,
		.label = link->label,
		.host = link->host,
		.database = link->database,
		.dbname = link->dbname,
		.user = link->user,
		.credentials = { .user = link->user, .secret = link->secret },
		.totals = metrics_open(metrics, METRICS_DATABASE, &labels),
		.pool_cell = metrics_open(metrics, METRICS_POOL, &labels),
		.backend_cell = metrics_open(metrics, METRICS_BACKEND, &labels),
		.node_cell = metrics_open(metrics, METRICS_NODE, &labels),
		.hooks = &pool_hooks,
		.owner = link,
	};
}

static struct auth_link *link_new(struct local *local, const char *key,
				  const struct plan *plan, unsigned node)
{
	const struct config_node *entry = &local_config(local)->nodes[node];
	struct auth_link *link = xcalloc(1, sizeof(*link));
	const char *secret = secret_of(local, plan);

	link->local = local;
	link->key = xstrdup(key);
	link->label = xstrdup(entry->label);
	link->host = xstrdup(entry->host);
	link->database = xstrdup(plan->database);
	link->dbname = xstrdup(plan->line->dbname ? plan->line->dbname
						  : plan->database);
	link->user = xstrdup(plan->user);
	link->secret = secret ? xstrdup(secret) : NULL;
	list_init(&link->questions);
	wheel_timer_init(&link->timer, on_timer);
	worker_task_init(&link->burial, bury);
	make_site(link, node);
	return link;
}

/* NULL: nobody can be reached. */
static struct auth_link *link_open(struct local *local, const char *key,
				   const struct plan *plan)
{
	int node = find_node(local, plan->line);
	const struct node_address *address;
	struct auth_link *link;

	if (node < 0)
		return NULL;
	address = &local->addresses[node];
	link = link_new(local, key, plan, (unsigned)node);
	if (!changes_is_shut(local->process->changes, link->dbname,
			     local_now(local)))
		link->server = server_open(&link->site, &address->address,
					   address->len);
	if (!link->server) {
		bury(&link->burial);
		return NULL;
	}
	(void)strmap_put(local->auth_links, link->key, link);
	return link;
}

static struct auth_link *find_or_open(struct local *local,
				      const struct plan *plan)
{
	/* Of one configuration: another one may lead elsewhere. */
	char *key =
		xasprintf("%llu:%zu:%s%s",
			  (unsigned long long)local_config(local)->generation,
			  strlen(plan->user), plan->user, plan->database);
	struct auth_link *link = strmap_get(local->auth_links, key);

	if (!link)
		link = link_open(local, key, plan);
	free(key);
	return link;
}

/* --- for clients ---------------------------------------------------------- */

struct auth_question *auth_link_ask(
	struct local *local, const char *database, const char *user,
	void (*answered)(void *arg, const struct authanswer *answer), void *arg)
{
	struct auth_question *question;
	struct auth_link *link;
	struct plan plan;

	if (!make_plan(local, database, &plan))
		return NULL;
	link = find_or_open(local, &plan);
	if (!link)
		return NULL;
	question = xcalloc(1, sizeof(*question));
	question->user = xstrdup(user);
	question->sql = xstrdup(plan.sql);
	question->answered = answered;
	question->arg = arg;
	list_append(&link->questions, &question->link);
	if (link->is_open && !link->is_asking)
		ask_next(link);
	return question;
}

/* It keeps its place: it may be the one under way. */
void auth_link_forget(struct auth_question *question)
{
	if (question)
		question->answered = NULL;
}

static void close_all(struct local *local, const struct dbddl_names *names,
		      const char *why)
{
	size_t at = 0;
	void *value;

	while (strmap_next(local->auth_links, &at, NULL, &value)) {
		const struct auth_link *link = value;

		if (names && !dbddl_has_name(names, link->dbname))
			continue;
		server_close(link->server, METRICS_CLOSE_OTHER, why);
		at = 0;
	}
}

void auth_links_leave(struct local *local, const struct dbddl_names *names)
{
	close_all(local, names, "the database is to be left");
}

void auth_links_free(struct local *local)
{
	close_all(local, NULL, "shutting down");
}
