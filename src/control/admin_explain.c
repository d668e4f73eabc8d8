/*
 * EXPLAIN ROUTE: where a statement would go, and why.
 *
 * The text is judged by judge_text with this worker's shapes and the catalog
 * of the database, and placed by route_decide: the very code that places a
 * session's.  The session is a plain one: outside of a transaction, nothing
 * set, nothing written.  What is true of other sessions stands in the answer
 * of a read.
 */
#include "control/admin_explain.h"

#include "control/admin_job.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/epoch.h"
#include "core/fitness.h"
#include "core/judge.h"
#include "core/route.h"
#include "core/sqlclass.h"
#include "proxy/local.h"
#include "proxy/pool.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The question, and what was found. */
struct inquiry {
	struct admin_job *job;
	const struct config *config;
	const struct config_database *line;
	char database[ADMIN_ARGUMENT_ROOM];
	const char *sql;
	struct sqlclass_context context;
	struct sqlclass class;
	bool is_catalog_old;
	struct route_decision decision;
	int primary; /* nodes of the configuration; -1 none */
	int replica;
	enum config_consistency consistency;
};

/* --- the question ----------------------------------------------------------
 */

static const char *skip_blanks(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* A name, quoted or not; its end, or NULL. */
static const char *read_name(const char *at, char *out, size_t room)
{
	char quote = *at == '"' ? '"' : '\0';
	size_t len;

	at += quote != '\0';
	len = quote ? strcspn(at, "\"") : strcspn(at, " \t\r\n;");
	if (len == 0 || len >= room || (quote && at[len] != quote))
		return NULL;
	memcpy(out, at, len);
	out[len] = '\0';
	return at + len + (quote != '\0');
}

/* "ON db" in front; without it the one database that there is. */
static bool find_line(struct inquiry *inquiry)
{
	const struct config *config = inquiry->config;
	struct admin_job *job = inquiry->job;
	const char *at = skip_blanks(inquiry->sql);

	if (strncasecmp(at, "ON", 2) == 0 && isspace((unsigned char)at[2])) {
		at = read_name(skip_blanks(at + 2), inquiry->database,
			       sizeof(inquiry->database));
		if (!at) {
			admin_job_fail(job, "42601", NULL,
				       "ON needs the name of a database");
			return false;
		}
	} else if (config->database_count == 1 &&
		   strcmp(config->databases[0].name, "*") != 0) {
		(void)snprintf(inquiry->database, sizeof(inquiry->database),
			       "%s", config->databases[0].name);
	} else {
		admin_job_fail(job, "42601",
			       "EXPLAIN ROUTE ON <db> <statement>",
			       "which database? there is more than one");
		return false;
	}
	inquiry->sql = skip_blanks(at);
	inquiry->line = config_find_database(config, inquiry->database);
	if (!inquiry->line)
		admin_job_fail(job, "3D000", NULL,
			       "no database \"%s\" in the configuration",
			       inquiry->database);
	else if (!*inquiry->sql)
		admin_job_fail(job, "42601",
			       "EXPLAIN ROUTE [ON <db>] <statement>",
			       "there is no statement");
	return inquiry->line && *inquiry->sql;
}

/* --- finding out -----------------------------------------------------------
 */

struct pool_search {
	const char *database;
	const struct pool *found;
};

static void look_at_pool(void *arg, const struct pool *pool)
{
	struct pool_search *search = arg;

	if (strcmp(pool_database(pool), search->database) == 0 &&
	    pool_config(pool))
		search->found = pool;
}

static enum fitness fitness_at(const struct inquiry *inquiry, unsigned i)
{
	return fitness_of(inquiry->job->local->topology,
			  inquiry->line->nodes[i], inquiry->primary,
			  inquiry->config->settings.max_replica_lag_us);
}

/* Without a pool nobody has been there: the first that is fit. */
static int first_fit(const struct inquiry *inquiry, bool is_backup)
{
	for (unsigned i = 0; i < inquiry->line->node_count; i++) {
		const struct config_share *share = &inquiry->line->shares[i];

		if (share->is_backup == is_backup && share->weight > 0 &&
		    fitness_at(inquiry, i) == FITNESS_OK)
			return (int)inquiry->line->nodes[i];
	}
	return -1;
}

/* The replica that the next new session of the pool's would read on. */
static void ask_pool(struct inquiry *inquiry, const struct pool *pool,
		     struct route_input *input)
{
	const struct pool_wish any = { .preferred = -1 };
	struct pool_choice choice = pool_replica(pool, &any);

	if (choice.node >= 0)
		inquiry->replica = (int)inquiry->line->nodes[choice.node];
	input->is_replica_lagging = choice.is_lagging;
}

static void find_nodes(struct inquiry *inquiry, struct route_input *input)
{
	struct pool_search search = { .database = inquiry->database };
	struct local *local = inquiry->job->local;

	inquiry->primary = -1;
	inquiry->replica = -1;
	if (!local->topology)
		return;
	inquiry->primary =
		topology_primary(local->topology, inquiry->line->nodes,
				 inquiry->line->node_count);
	pools_visit(local, look_at_pool, &search);
	if (search.found) {
		ask_pool(inquiry, search.found, input);
	} else {
		inquiry->replica = first_fit(inquiry, false);
		if (inquiry->replica < 0)
			inquiry->replica = first_fit(inquiry, true);
	}
	input->has_replica = inquiry->replica >= 0 &&
			     inquiry->consistency != CONSISTENCY_PRIMARY;
}

static void find_out(struct inquiry *inquiry)
{
	const struct config_settings *settings = &inquiry->config->settings;
	struct local *local = inquiry->job->local;
	const char *dbname = inquiry->line->dbname ? inquiry->line->dbname
						   : inquiry->database;
	struct route_input input = {
		.is_split =
			settings->split_reads && inquiry->line->node_count > 1,
		.now_us = local_now(local),
		.freshness = ROUTE_FRESH,
	};

	inquiry->context = (struct sqlclass_context){
		.catalog = local_catalog(local, inquiry->database, dbname),
		.plain_backslash = true,
		.is_safe_encoding = true,
	};
	inquiry->class = judge_text(local->shapes, inquiry->sql,
				    strlen(inquiry->sql), &inquiry->context);
	inquiry->is_catalog_old = epoch_outdates_of(
		dbname, catalog_as_of_us(inquiry->context.catalog));
	inquiry->consistency =
		config_consistency_of(inquiry->config, inquiry->line, NULL);
	input.judged = inquiry->class;
	input.is_catalog_old = inquiry->is_catalog_old;
	find_nodes(inquiry, &input);
	inquiry->decision = route_decide(&input);
	if (!inquiry->context.catalog)
		local->process->want_catalog(local->process->arg,
					     inquiry->database, dbname);
}

/* --- words -----------------------------------------------------------------
 */

/* What would have to change, by what the statement is. */
static const char *const of_class[] = {
	[REASON_VERB] = "it writes, or a replica has refused its like: nothing",
	[REASON_LOCKING] = "it locks rows: leave FOR UPDATE, FOR SHARE out",
	[REASON_DML_CTE] = "its WITH writes: leave INSERT, UPDATE, DELETE out",
	[REASON_INTO] = "SELECT INTO makes a table: leave INTO out",
	[REASON_FUNCTION] =
		"a function is volatile; one of your own that writes nothing "
		"may be declared STABLE",
	[REASON_FUNCTION_UNKNOWN] =
		"a function is not in the catalog: RELOAD reads it anew",
	[REASON_RELATION] = "it reads a sequence, an unlogged or foreign "
			    "table, or a view over a volatile function",
	[REASON_RELATION_UNKNOWN] =
		"a name is not in the catalog, which is read anew soon after "
		"DDL, and by RELOAD",
	[REASON_NODE_LOCAL] = "it asks a node about itself: connect to the "
			      "node that is meant",
	[REASON_CATALOG] = "nothing",
	[REASON_UTILITY] = "it is no query: nothing",
	[REASON_COPY] = "only COPY ... TO STDOUT is a read",
	[REASON_LEX] = "its text is not understood",
	[REASON_TOO_LONG] = "it is too long to be held back and judged",
	[REASON_NO_CATALOG] = "the catalog is not loaded: the monitor must be "
			      "able to log in to the database",
	[REASON_NONE] = "state that it makes, or a transaction that it "
			"begins, must be where the writes are",
};

static const char *change_of_class(const struct inquiry *inquiry)
{
	unsigned reason = inquiry->class.reason;

	if (inquiry->is_catalog_old && inquiry->class.access == ACCESS_READ &&
	    inquiry->decision.reason == ROUTE_REASON_CATALOG)
		return "DDL has passed that may have made something else of a "
		       "name: reads wait for the next catalog, a second or so";
	if (!inquiry->context.catalog)
		reason = REASON_NO_CATALOG;
	return reason < sizeof(of_class) / sizeof(*of_class) ? of_class[reason]
							     : "";
}

/* Each host with what keeps it from reads. */
static void tell_hosts(const struct inquiry *inquiry, struct buf *out)
{
	const char *before = "a replica must be fit: ";

	for (unsigned i = 0; i < inquiry->line->node_count; i++) {
		enum fitness fitness = fitness_at(inquiry, i);
		const char *why = fitness_name(fitness);

		if (fitness == FITNESS_PRIMARY)
			continue;
		if (fitness == FITNESS_OK)
			why = inquiry->line->shares[i].weight == 0
				      ? "of weight 0"
				      : "not letting pgweir in, or not having "
					"the newest databases and roles yet";
		buf_printf(
			out, "%s%s is %s", before,
			inquiry->config->nodes[inquiry->line->nodes[i]].label,
			why);
		before = "; ";
	}
}

static void tell_change(const struct inquiry *inquiry, struct buf *out)
{
	switch (inquiry->decision.reason) {
	case ROUTE_REASON_AUTOCOMMIT_READ:
		buf_printf(out, "nothing; in a transaction, behind a write "
				"that replicas do not show yet, or of a "
				"session that is pinned, it stays on the "
				"primary");
		break;
	case ROUTE_REASON_READ_ONLY_TXN:
		buf_printf(out, "nothing; the transaction is the replica's");
		break;
	case ROUTE_REASON_HINT:
		buf_printf(out, "its comment says pgweir: primary: leave that "
				"out");
		break;
	case ROUTE_REASON_SPLIT_OFF:
		buf_printf(out, "%s",
			   inquiry->line->node_count > 1
				   ? "split_reads = 1"
				   : "the database needs more than one host");
		break;
	case ROUTE_REASON_NO_REPLICA:
	case ROUTE_REASON_REPLICA_LAG:
		if (inquiry->consistency == CONSISTENCY_PRIMARY)
			buf_printf(out, "consistency = primary keeps reads "
					"there: choose another level");
		else
			tell_hosts(inquiry, out);
		break;
	default: buf_printf(out, "%s", change_of_class(inquiry)); break;
	}
}

static const char *class_name(const struct sqlclass *class)
{
	switch ((enum sqlclass_access) class->access) {
	case ACCESS_READ: return "read";
	case ACCESS_WRITE: return "write";
	case ACCESS_NONE: return "none";
	case ACCESS_UNKNOWN:
	default: return "unknown";
	}
}

/* The reason of the class, with the names to blame. */
static void tell_detail(const struct inquiry *inquiry, struct buf *out)
{
	enum sqlclass_reason reason = inquiry->class.reason;
	char names[256];

	buf_printf(out, "%s",
		   reason == REASON_NONE ? "" : sqlclass_reason_name(reason));
	judge_find_culprits(inquiry->sql, strlen(inquiry->sql),
			    &inquiry->context, reason, names, sizeof(names));
	if (*names)
		buf_printf(out, ": %s", names);
}

static void put_answer(const struct inquiry *inquiry)
{
	bool is_replica = inquiry->decision.target == ROUTE_REPLICA;
	int node = is_replica ? inquiry->replica : inquiry->primary;
	struct admin_job *job = inquiry->job;
	struct buf detail = BUF_INIT;
	struct buf change = BUF_INIT;

	tell_detail(inquiry, &detail);
	tell_change(inquiry, &change);
	admin_row_begin(job);
	admin_put_text(job, is_replica ? "replica" : "primary");
	admin_put_text(job,
		       node < 0 ? NULL : inquiry->config->nodes[node].label);
	admin_put_text(job, class_name(&inquiry->class));
	admin_put_text(job, route_reason_name(inquiry->decision.reason));
	admin_put_text(job, buf_text(&detail));
	admin_put_text(job, buf_text(&change));
	admin_row_end(job);
	buf_free(&detail);
	buf_free(&change);
}

void admin_explain_route(struct admin_job *job)
{
	struct inquiry inquiry = { .job = job,
				   .config = local_config(job->local),
				   .sql = job->text ? job->text : "" };

	if (!find_line(&inquiry))
		return;
	find_out(&inquiry);
	put_answer(&inquiry);
}
