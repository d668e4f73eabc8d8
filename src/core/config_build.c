/*
 * From lines to a configuration.
 *
 * Takes what core/config_file reads, finds the row of each key, and keeps the
 * value.  Nothing is applied anywhere: the result is complete and judged, or
 * there are faults, all of them, each with its place and the nearest known
 * name.  Refuses to guess: a name that comes twice is a fault, and so is a
 * word whose being ignored would make a login less strict than it reads.
 * Invariant: no message holds a value of a secret, nor a word that may be a
 * part of one.  One thread; the result is not shared before it is finished.
 */
#include "core/config_build.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/config_dsn.h"
#include "core/config_file.h"
#include "core/config_shares.h"
#include "core/option.h"
#include "core/option_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 63, /* NAMEDATALEN - 1 of PostgreSQL */
	NAME_ECHO = 64
};

static const char *const section_names[] = { "databases", "pgweir", "pgbouncer",
					     "users", "peers" };

/*
 * Places are kept as text ("file:line"): the files are gone from memory when a
 * later line is at fault.
 */
struct builder {
	struct config *config;
	struct config_faults faults;
	struct config_faults warnings;
	struct strmap *settings;  /* key -> place, as text */
	struct strmap *databases; /* name -> place, as text */
	struct strmap *users;     /* the same */
	struct strmap *nodes;     /* label -> its index, allocated */
	unsigned database_room;
	unsigned user_room;
	unsigned node_room;
	bool has_peers;
};

/* Room for one more member; the array grows by doubling. */
static void *grow(void *array, unsigned count, unsigned *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 8;
	return xrealloc(array, *room * size);
}

/* For faults that point back at an earlier line. */
static void remember_place(struct strmap *map, const char *name,
			   const struct config_place *place)
{
	free(strmap_put(map, name,
			xasprintf("%s:%u", place->file, place->line)));
}

/* With the nearest name, as long as faults are still written. */
static void fault_of_name(struct builder *builder,
			  const struct config_place *place,
			  const struct option_table *table, const char *name)
{
	const char *nearest = NULL;

	if (builder->faults.count < CONFIG_FAULTS_MAX)
		nearest = option_nearest(table, name);
	if (nearest)
		config_fault(&builder->faults, place,
			     "unknown key \"%.*s\", did you mean \"%s\"?",
			     NAME_ECHO, name, nearest);
	else
		config_fault(&builder->faults, place, "unknown key \"%.*s\"",
			     NAME_ECHO, name);
}

/* What is known and not done is said, where it was meant to do something. */
static void warn_of_state(struct builder *builder,
			  const struct config_place *place,
			  const struct option *option, const void *base)
{
	struct buf value = BUF_INIT;
	const char *usual = option->fallback ? option->fallback : "";

	if (option->state == OPTION_NO_EFFECT)
		config_fault(&builder->warnings, place, "%s: has no effect: %s",
			     option->name, option->note);
	if (option->state != OPTION_UNSUPPORTED)
		return;
	option_format(option, base, &value);
	if (option->size == 0 || strcmp(buf_text(&value), usual) != 0)
		config_fault(&builder->warnings, place,
			     "%s: not supported by this version, ignored",
			     option->name);
	buf_free(&value);
}

/* Sets one key of a table in base; false after a fault. */
static bool set_key(struct builder *builder, const struct config_place *place,
		    const struct option *option, const char *value, void *base)
{
	struct buf why = BUF_INIT;
	bool is_valid = option_parse(option, value, base, &why);

	if (!is_valid) {
		config_fault(&builder->faults, place, "%s: %s", option->name,
			     buf_text(&why));
	} else {
		warn_of_state(builder, place, option, base);
	}
	buf_free(&why);
	return is_valid;
}

/* A line of [pgweir]. */
static void take_setting(struct builder *builder,
			 const struct config_place *place, const char *name,
			 const char *value)
{
	const struct option *option = option_find(&option_settings, name, true);

	if (!option) {
		fault_of_name(builder, place, &option_settings, name);
		return;
	}
	/* As in PgBouncer the last one counts: an include may overrule. */
	remember_place(builder->settings, option->name, place);
	(void)set_key(builder, place, option, value,
		      &builder->config->settings);
}

/*
 * A key that is not known.  After a secret it may be the second half of an
 * unquoted password, and is not repeated.
 */
static void fault_of_key(struct builder *builder,
			 const struct config_place *place,
			 const struct option_table *table, const char *key,
			 bool is_after_secret)
{
	if (is_after_secret)
		config_fault(&builder->faults, place,
			     "unknown key behind the password; a password "
			     "with blanks is written in 'quotes'");
	else
		fault_of_name(builder, place, table, key);
}

/* Reads the keys of one line into base. */
static void take_keys(struct builder *builder, const struct config_place *place,
		      const struct option_table *table, char *text, void *base)
{
	struct config_dsn dsn;
	bool is_after_secret = false;
	enum config_dsn_result result;
	char *key = NULL;
	char *value = NULL;

	dsn.at = text;
	while ((result = config_dsn_next(&dsn, &key, &value)) ==
	       CONFIG_DSN_PAIR) {
		const struct option *option = option_find(table, key, true);

		if (!option) {
			fault_of_key(builder, place, table, key,
				     is_after_secret);
			continue;
		}
		is_after_secret |= option->type == OPTION_SECRET;
		(void)set_key(builder, place, option, value, base);
	}
	if (result == CONFIG_DSN_BAD)
		config_fault(&builder->faults, place, "%s", dsn.why);
}

/* The index of a node; equal ones are one.  The node is taken. */
static unsigned take_node(struct builder *builder, struct config_node *node)
{
	struct config *config = builder->config;
	unsigned *index = strmap_get(builder->nodes, node->label);

	if (index) {
		config_node_clear(node);
		return *index;
	}
	config->nodes = grow(config->nodes, config->node_count,
			     &builder->node_room, sizeof(*config->nodes));
	index = xmalloc(sizeof(*index));
	assert(config->node_count < builder->node_room);
	*index = config->node_count++;
	config->nodes[*index] = *node;
	(void)strmap_put(builder->nodes, node->label, index);
	*node = (struct config_node){ 0 };
	return *index;
}

/* Lists are short: at most as long as config_hosts_parse lets them be. */
static bool has_node(const struct config_database *database, unsigned node)
{
	for (unsigned i = 0; i < database->node_count; i++)
		if (database->nodes[i] == node)
			return true;
	return false;
}

/* What is said of a host that is named twice counts where it is first. */
static void add_host(struct builder *builder, const struct config_place *place,
		     struct config_database *database, unsigned node,
		     struct config_share share)
{
	if (has_node(database, node)) {
		config_fault(&builder->warnings, place,
			     "host: %s is named twice",
			     builder->config->nodes[node].label);
		return;
	}
	database->shares[database->node_count] = share;
	database->nodes[database->node_count++] = node;
}

/* host=, port=, weight= and backup= of a line, once they are in order. */
static void add_hosts(struct builder *builder, const struct config_place *place,
		      struct config_database *database,
		      const struct config_hosts *hosts,
		      const struct config_share *shares)
{
	database->nodes = xcalloc(hosts->count, sizeof(*database->nodes));
	database->shares = xcalloc(hosts->count, sizeof(*database->shares));
	for (unsigned i = 0; i < hosts->count; i++)
		add_host(builder, place, database,
			 take_node(builder, &hosts->nodes[i]), shares[i]);
}

/* host= and port= of a line become indexes of nodes. */
static void take_hosts(struct builder *builder,
		       const struct config_place *place,
		       const struct database_draft *draft,
		       struct config_database *database)
{
	struct config_share shares[CONFIG_HOSTS_MAX];
	struct config_hosts hosts = { 0 };
	struct buf why = BUF_INIT;

	if (config_hosts_parse(draft->host, draft->port, &hosts, &why) &&
	    config_shares_parse(draft->weight, draft->backup, &hosts, shares,
				&why))
		add_hosts(builder, place, database, &hosts, shares);
	else
		config_fault(&builder->faults, place, "%s", buf_text(&why));
	config_hosts_free(&hosts);
	buf_free(&why);
}

/* False, and a fault, when the name cannot be used. */
static bool judge_name(struct builder *builder,
		       const struct config_place *place, const char *kind,
		       struct strmap *places, const char *name)
{
	const char *first = strmap_get(places, name);

	if (strlen(name) > NAME_MAX_BYTES) {
		config_fault(&builder->faults, place,
			     "%s \"%.*s...\": a name has at most %d bytes",
			     kind, NAME_MAX_BYTES, name, NAME_MAX_BYTES);
		return false;
	}
	if (first) {
		config_fault(&builder->faults, place,
			     "%s \"%s\" is there already, see %s", kind, name,
			     first);
		return false;
	}
	remember_place(places, name, place);
	return true;
}

/* A line of [databases]; kept even with faults, so that all are found. */
static void take_database(struct builder *builder,
			  const struct config_place *place, const char *name,
			  char *value)
{
	struct config *config = builder->config;
	struct database_draft draft = { .database.line = place->line };

	if (!judge_name(builder, place, "database", builder->databases, name))
		return;
	if (strcmp(name, "pgbouncer") == 0 || strcmp(name, "pgweir") == 0) {
		config_fault(&builder->faults, place,
			     "database \"%s\": this name is the console's; "
			     "choose another one",
			     name);
		return;
	}
	/* The draft's strings become the entry's; config_clear frees them. */
	option_table_set_defaults(&option_database, &draft);
	take_keys(builder, place, &option_database, value, &draft);
	take_hosts(builder, place, &draft, &draft.database);
	draft.database.name = xstrdup(name);
	free(draft.host);
	free(draft.port);
	free(draft.weight);
	free(draft.backup);
	config->databases =
		grow(config->databases, config->database_count,
		     &builder->database_room, sizeof(*config->databases));
	config->databases[config->database_count++] = draft.database;
}

/* A line of [users]. */
static void take_user(struct builder *builder, const struct config_place *place,
		      const char *name, char *value)
{
	struct config *config = builder->config;
	struct config_user user = { 0 };

	if (!judge_name(builder, place, "user", builder->users, name))
		return;
	option_table_set_defaults(&option_user, &user);
	take_keys(builder, place, &option_user, value, &user);
	user.name = xstrdup(name);
	config->users = grow(config->users, config->user_count,
			     &builder->user_room, sizeof(*config->users));
	config->users[config->user_count++] = user;
}

/* Files of PgBouncer are read as they stand. */
static bool is_settings(const char *section)
{
	return strcmp(section, "pgweir") == 0 ||
	       strcmp(section, "pgbouncer") == 0;
}

/* A line of any section; those of [peers] are not looked at. */
static void take_pair(void *context, const struct config_place *place,
		      const char *section, char *name, char *value)
{
	struct builder *builder = context;

	if (is_settings(section))
		take_setting(builder, place, name, value);
	else if (strcmp(section, "databases") == 0)
		take_database(builder, place, name, value);
	else if (strcmp(section, "users") == 0)
		take_user(builder, place, name, value);
}

/* Also the section itself, at distance 0. */
static const char *nearest_section(const char *name)
{
	const char *nearest = NULL;
	unsigned limit = 4;

	for (size_t i = 0; i < sizeof(section_names) / sizeof(*section_names);
	     i++) {
		unsigned distance =
			util_distance(name, section_names[i], limit);

		if (distance >= limit)
			continue;
		limit = distance;
		nearest = section_names[i];
	}
	return nearest;
}

/* Case counts, as in PgBouncer; a slip in it is told like any other. */
static bool take_section(void *context, const struct config_place *place,
			 const char *name)
{
	struct builder *builder = context;
	const char *nearest = nearest_section(name);

	if (strcmp(name, "peers") == 0 && !builder->has_peers) {
		builder->has_peers = true;
		config_fault(&builder->warnings, place,
			     "[peers]: not supported by this version, "
			     "ignored; one process uses all cores");
	}
	if (nearest && strcmp(nearest, name) == 0)
		return true;
	if (nearest)
		config_fault(&builder->faults, place,
			     "unknown section [%s], did you mean [%s]?", name,
			     nearest);
	else
		config_fault(&builder->faults, place,
			     "unknown section [%s]; there are [databases], "
			     "[pgweir] and [users]",
			     name);
	return false;
}

/* A fault between options, at the place of one of them. */
static void fault_between(struct builder *builder, struct config_faults *faults,
			  const char *key, const char *text)
{
	const char *where = strmap_get(builder->settings, key);
	struct config_place place = { where ? where : builder->config->path,
				      0 };

	config_fault(faults, &place, "%s: %s", key, text);
}

/* What the TLS library would refuse later, said with the key to change. */
static void judge_client_tls(struct builder *builder)
{
	const struct config_settings *settings = &builder->config->settings;

	if (settings->client_tls_sslmode == SSLMODE_DISABLE)
		return;
	if (!*settings->client_tls_key_file || !*settings->client_tls_cert_file)
		fault_between(builder, &builder->faults, "client_tls_sslmode",
			      "needs client_tls_key_file and "
			      "client_tls_cert_file");
	if (settings->client_tls_sslmode >= SSLMODE_VERIFY_CA &&
	    !*settings->client_tls_ca_file)
		fault_between(builder, &builder->faults, "client_tls_sslmode",
			      "verify-ca and verify-full need "
			      "client_tls_ca_file");
}

/* Possible, but hardly meant. */
static void judge_logins(struct builder *builder)
{
	const struct config *config = builder->config;
	const struct config_settings *settings = &config->settings;
	bool wants_secret = settings->auth_type != AUTH_ANY &&
			    settings->auth_type != AUTH_TRUST;

	if (wants_secret && !*settings->auth_file && !*settings->auth_user)
		fault_between(builder, &builder->warnings, "auth_type",
			      "without an auth_file nobody can log in");
	for (unsigned i = 0; i < config->database_count; i++) {
		if (settings->auth_type != AUTH_ANY ||
		    config->databases[i].user)
			continue;
		fault_between(builder, &builder->warnings, "auth_type",
			      "any needs user= in every database; nobody can "
			      "log in where there is none");
		return;
	}
}

/* What must hold between options. */
static void judge_whole(struct builder *builder)
{
	const struct config *config = builder->config;
	const struct config_settings *settings = &config->settings;
	struct config_place place = { config->path, 0 };

	if (!*settings->listen_addr && !*settings->unix_socket_dir)
		fault_between(builder, &builder->faults, "listen_addr",
			      "empty, and unix_socket_dir too: there is "
			      "nothing to listen on");
	if (settings->max_prepared_statements == 0)
		fault_between(builder, &builder->warnings,
			      "max_prepared_statements",
			      "0 counts as 1: prepared statements always "
			      "work");
	judge_client_tls(builder);
	judge_logins(builder);
	if (config->database_count == 0)
		config_fault(&builder->warnings, &place,
			     "no line in [databases]: no client can be served");
}

/* Bytes, not letters of a language: core/config searches by the same order. */
static int compare_databases(const void *one, const void *other)
{
	const struct config_database *left = one;
	const struct config_database *right = other;

	return strcmp(left->name, right->name);
}

static int compare_users(const void *one, const void *other)
{
	const struct config_user *left = one;
	const struct config_user *right = other;

	return strcmp(left->name, right->name);
}

/* For look-ups by bisection.  qsort must not be given NULL. */
static void sort_names(struct config *config)
{
	if (config->database_count > 0)
		qsort(config->databases, config->database_count,
		      sizeof(*config->databases), compare_databases);
	if (config->user_count > 0)
		qsort(config->users, config->user_count, sizeof(*config->users),
		      compare_users);
}

/* Says how many faults were left out. */
static void close_faults(const struct config_faults *faults, const char *kind)
{
	if (faults->count > CONFIG_FAULTS_MAX)
		buf_printf(faults->out, "and %u more %s\n",
			   faults->count - CONFIG_FAULTS_MAX, kind);
}

static void read_source(struct builder *builder,
			const struct config_source *source)
{
	struct config_file_events events = { take_section, take_pair, builder,
					     &builder->faults };

	if (source->text)
		config_file_read_text(source->path, source->text, source->len,
				      &events);
	else
		config_file_read(source->path, &events);
}

/* On false the caller clears config, which is in order but not complete. */
bool config_build(struct config *config, const struct config_source *source,
		  struct buf *error, struct buf *warnings)
{
	struct builder builder = {
		.config = config,
		.faults.out = error,
		.warnings.out = warnings,
		.settings = strmap_new(),
		.databases = strmap_new(),
		.users = strmap_new(),
		.nodes = strmap_new(),
	};

	config->path = xstrdup(source->path);
	assert(!config->databases && !config->users && !config->nodes);
	option_table_set_defaults(&option_settings, &config->settings);
	read_source(&builder, source);
	sort_names(config);
	/* With faults in single lines, those between them may be false. */
	if (builder.faults.count == 0)
		judge_whole(&builder);
	close_faults(&builder.faults, "faults");
	close_faults(&builder.warnings, "warnings");
	strmap_free(builder.settings, free);
	strmap_free(builder.databases, free);
	strmap_free(builder.users, free);
	strmap_free(builder.nodes, free);
	return builder.faults.count == 0;
}

bool config_judge(struct config *config, struct buf *error,
		  struct buf *warnings)
{
	struct builder builder = {
		.config = config,
		.faults.out = error,
		.warnings.out = warnings,
		.settings = strmap_new(),
	};

	judge_whole(&builder);
	strmap_free(builder.settings, free);
	return builder.faults.count == 0;
}

/* Secrets are wiped by the option table, row by row. */
void config_clear(struct config *config)
{
	for (unsigned i = 0; i < config->database_count; i++) {
		struct database_draft draft = { .database =
							config->databases[i] };

		option_table_clear(&option_database, &draft);
		free(draft.database.name);
		free(draft.database.nodes);
		free(draft.database.shares);
	}
	for (unsigned i = 0; i < config->user_count; i++) {
		option_table_clear(&option_user, &config->users[i]);
		free(config->users[i].name);
	}
	for (unsigned i = 0; i < config->node_count; i++)
		config_node_clear(&config->nodes[i]);
	option_table_clear(&option_settings, &config->settings);
	free(config->databases);
	free(config->users);
	free(config->nodes);
	free(config->path);
	*config = (struct config){ 0 };
}
