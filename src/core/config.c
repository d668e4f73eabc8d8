/*
 * A configuration as others see it: a counted reference to values that never
 * change, look-ups by name, and the value that holds where user, database and
 * the whole each may say something.
 *
 * Refuses to change anything after loading: a reload makes another one, and
 * the owner swaps them.  References are counted atomically; the last release,
 * on whatever thread, wipes the strings.  Databases and users lie sorted by
 * name, so that a look-up does not walk thousands of them.
 */
#include "core/config.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config_build.h"
#include "core/config_copy.h"
#include "core/option.h"
#include "core/option_table.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The count is apart, so that const configs can be counted. */
struct counted {
	struct config config; /* first: they share their address */
	atomic_uint references;
};

/* NULL when there is a fault; then nothing is left. */
static struct config *load(const struct config_source *source,
			   struct buf *error, struct buf *warnings)
{
	struct counted *counted = xcalloc(1, sizeof(*counted));

	atomic_init(&counted->references, 1);
	if (config_build(&counted->config, source, error, warnings))
		return &counted->config;
	config_clear(&counted->config);
	free(counted);
	return NULL;
}

struct config *config_load(const char *path, struct buf *error,
			   struct buf *warnings)
{
	struct config_source source = { .path = path };

	return load(&source, error, warnings);
}

struct config *config_load_text(const char *name, const char *text, size_t len,
				struct buf *error, struct buf *warnings)
{
	struct config_source source = { name, text ? text : "", len };

	return load(&source, error, warnings);
}

/* The row that SET may change; NULL, and why not. */
static const struct option *find_changeable(const char *key, struct buf *error)
{
	const struct option *option = option_find(&option_settings, key, true);
	const char *nearest =
		option ? NULL : option_nearest(&option_settings, key);

	if (option && !option->needs_restart)
		return option;
	if (option)
		buf_printf(error, "%s: needs a restart\n", option->name);
	else if (nearest)
		buf_printf(error,
			   "unknown key \"%.64s\", did you mean "
			   "\"%s\"?\n",
			   key, nearest);
	else
		buf_printf(error, "unknown key \"%.64s\"\n", key);
	return NULL;
}

static bool change(struct config *config, const struct option *option,
		   const char *value, struct buf *error, struct buf *warnings)
{
	struct buf why = BUF_INIT;
	bool is_valid = option_parse(option, value, &config->settings, &why);

	if (!is_valid)
		buf_printf(error, "%s: %s\n", option->name, buf_text(&why));
	else if (option->state != OPTION_USED)
		buf_printf(warnings, "%s: has no effect\n", option->name);
	buf_free(&why);
	return is_valid && config_judge(config, error, warnings);
}

struct config *config_with(const struct config *config, const char *key,
			   const char *value, struct buf *error,
			   struct buf *warnings)
{
	const struct option *option = find_changeable(key, error);
	struct counted *counted;

	if (!option)
		return NULL;
	counted = xcalloc(1, sizeof(*counted));
	atomic_init(&counted->references, 1);
	config_copy(&counted->config, config);
	if (change(&counted->config, option, value, error, warnings))
		return &counted->config;
	config_clear(&counted->config);
	free(counted);
	return NULL;
}

/* Only the count is changed through this; the values stay as they are. */
static struct counted *counted_of(const struct config *config)
{
	return (struct counted *)config;
}

struct config *config_hold(const struct config *config)
{
	struct counted *counted = counted_of(config);
	unsigned before = atomic_fetch_add_explicit(&counted->references, 1,
						    memory_order_relaxed);

	assert(before > 0 && "held by nobody, it is gone already");
	(void)before;
	return &counted->config;
}

void config_release(const struct config *config)
{
	struct counted *counted = counted_of(config);
	unsigned before;

	if (!config)
		return;
	/* Whoever frees must have seen all that the others did before. */
	before = atomic_fetch_sub_explicit(&counted->references, 1,
					   memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	config_clear(&counted->config);
	free(counted);
}

static int compare_database(const void *name, const void *database)
{
	const struct config_database *entry = database;

	return strcmp(name, entry->name);
}

static int compare_user(const void *name, const void *user)
{
	const struct config_user *entry = user;

	return strcmp(name, entry->name);
}

/* Without the fallback.  bsearch must not be given NULL. */
static const struct config_database *find_exactly(const struct config *config,
						  const char *name)
{
	if (config->database_count == 0)
		return NULL;
	return bsearch(name, config->databases, config->database_count,
		       sizeof(*config->databases), compare_database);
}

const struct config_database *config_find_database(const struct config *config,
						   const char *name)
{
	const struct config_database *found = find_exactly(config, name);

	return found ? found : find_exactly(config, "*");
}

static bool is_same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static bool has_node(const struct config_database *line, unsigned node)
{
	for (unsigned i = 0; i < line->node_count; i++)
		if (line->nodes[i] == node)
			return true;
	return false;
}

/* In whatever order they are written; no line names a node twice. */
static bool has_same_nodes(const struct config_database *one,
			   const struct config_database *other)
{
	if (one->node_count != other->node_count)
		return false;
	for (unsigned i = 0; i < one->node_count; i++)
		if (!has_node(other, one->nodes[i]))
			return false;
	return true;
}

const struct config_database *config_sole_cluster(const struct config *config)
{
	const struct config_database *first = config->databases;

	for (unsigned i = 1; i < config->database_count; i++) {
		const struct config_database *line = &config->databases[i];

		if (!has_same_nodes(first, line) ||
		    !is_same_text(first->user, line->user))
			return NULL;
	}
	return config->database_count > 0 ? first : NULL;
}

const struct config_user *config_find_user(const struct config *config,
					   const char *name)
{
	if (config->user_count == 0)
		return NULL;
	return bsearch(name, config->users, config->user_count,
		       sizeof(*config->users), compare_user);
}

/*
 * The narrower scope wins: user, database, [pgweir]. The same in the next two.
 */
enum config_pool_mode config_mode_of(const struct config *config,
				     const struct config_database *database,
				     const struct config_user *user)
{
	if (user && user->pool_mode != POOL_MODE_UNSET)
		return user->pool_mode;
	if (database && database->pool_mode != POOL_MODE_UNSET)
		return database->pool_mode;
	return config->settings.pool_mode;
}

enum config_consistency config_consistency_of(
	const struct config *config, const struct config_database *database,
	const struct config_user *user)
{
	if (user && user->consistency != CONSISTENCY_UNSET)
		return user->consistency;
	if (database && database->consistency != CONSISTENCY_UNSET)
		return database->consistency;
	return config->settings.consistency;
}

enum config_transaction_reads config_transaction_reads_of(
	const struct config *config, const struct config_database *database,
	const struct config_user *user)
{
	if (user && user->transaction_reads != TRANSACTION_READS_UNSET)
		return user->transaction_reads;
	if (database && database->transaction_reads != TRANSACTION_READS_UNSET)
		return database->transaction_reads;
	return config->settings.transaction_reads;
}

enum config_consistency config_consistency_named(const char *name)
{
	static const char *const names[] = {
		[CONSISTENCY_UNSET] = "",
		[CONSISTENCY_EVENTUAL] = "eventual",
		[CONSISTENCY_BOUNDED] = "bounded",
		[CONSISTENCY_SESSION] = "session",
		[CONSISTENCY_GLOBAL] = "global",
		[CONSISTENCY_STRONG] = "strong",
		[CONSISTENCY_PRIMARY] = "primary",
	};

	for (size_t i = 1; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i], name) == 0)
			return (enum config_consistency)i;
	return CONSISTENCY_UNSET;
}

int config_pool_size_of(const struct config *config,
			const struct config_database *database,
			const struct config_user *user)
{
	if (user && user->pool_size != CONFIG_UNSET)
		return user->pool_size;
	if (database && database->pool_size != CONFIG_UNSET)
		return database->pool_size;
	return config->settings.default_pool_size;
}

uint64_t config_query_wait_us_of(const struct config *config,
				 const struct config_database *database,
				 const struct config_user *user)
{
	if (user && user->query_wait_timeout_us != CONFIG_UNSET_US)
		return user->query_wait_timeout_us;
	if (database && database->query_wait_timeout_us != CONFIG_UNSET_US)
		return database->query_wait_timeout_us;
	return config->settings.query_wait_timeout_us;
}

const char *config_pool_mode_name(enum config_pool_mode mode)
{
	switch (mode) {
	case POOL_MODE_SESSION: return "session";
	case POOL_MODE_TRANSACTION: return "transaction";
	case POOL_MODE_STATEMENT: return "statement";
	case POOL_MODE_UNSET: break;
	}
	return NULL;
}

const char *config_sslmode_name(enum config_sslmode mode)
{
	static const char *const names[] = {
		[SSLMODE_DISABLE] = "disable",
		[SSLMODE_ALLOW] = "allow",
		[SSLMODE_PREFER] = "prefer",
		[SSLMODE_REQUIRE] = "require",
		[SSLMODE_VERIFY_CA] = "verify-ca",
		[SSLMODE_VERIFY_FULL] = "verify-full",
	};

	assert((size_t)mode < sizeof(names) / sizeof(names[0]));
	return names[mode];
}

void config_write_hosts(const struct config *config,
			const struct config_database *database, struct buf *out)
{
	for (unsigned i = 0; i < database->node_count; i++) {
		assert(database->nodes[i] < config->node_count);
		buf_printf(out, "%s%s", i > 0 ? "," : "",
			   config->nodes[database->nodes[i]].host);
	}
}

bool config_list_has(const char *list, const char *word)
{
	static const char between[] = ", \t";
	size_t len = strlen(word);

	while (list && len > 0) {
		size_t size;

		/* A part of a word is not the word: whole ones count. */
		list += strspn(list, between);
		size = strcspn(list, between);
		if (size == 0)
			break;
		if (size == len && memcmp(list, word, len) == 0)
			return true;
		list += size;
	}
	return false;
}

void config_explain_restart(const struct config *before,
			    const struct config *after, struct buf *out)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(&option_settings, &at))) {
		if (!option->needs_restart ||
		    option_is_equal(option, &before->settings,
				    &after->settings))
			continue;
		buf_printf(out, "%s: ", option->name);
		option_format(option, &before->settings, out);
		buf_printf(out, " stays until a restart\n");
	}
}

/* One row of SHOW CONFIG. */
static void show_option(const struct config *config,
			const struct option *option,
			const struct config_show_sink *sink)
{
	struct buf value = BUF_INIT;

	if (strcmp(option->name, "conffile") == 0)
		buf_printf(&value, "%s", config->path);
	else
		option_format(option, &config->settings, &value);
	sink->row(sink->context, option->name, buf_text(&value),
		  option->fallback ? option->fallback : "",
		  option->state == OPTION_USED && !option->needs_restart);
	buf_free(&value);
}

void config_show(const struct config *config,
		 const struct config_show_sink *sink)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(&option_settings, &at)))
		if (option->state != OPTION_ALIAS)
			show_option(config, option, sink);
}
