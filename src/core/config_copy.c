/*
 * Copies a configuration, deep.
 *
 * What is in the option table is copied by the option table, so that a new
 * key cannot be forgotten here; what is not (names, nodes) is a handful.
 * Pure; any thread, as long as nobody changes the original.
 */
#include "core/config_copy.h"

#include "base/util.h"
#include "core/option.h"
#include "core/option_table.h"

#include <assert.h>
#include <string.h>

static void *copy_array(const void *from, unsigned count, size_t size)
{
	void *copy;

	if (count == 0)
		return NULL;
	copy = xcalloc(count, size);
	memcpy(copy, from, count * size);
	return copy;
}

/* The table's rows point into a draft, whose other strings are NULL here. */
static void own_database(struct config_database *database)
{
	struct database_draft draft = { .host = NULL };

	assert(database);
	draft.database = *database;
	option_table_own(&option_database, &draft);
	assert(!draft.host && !draft.port && !draft.weight && !draft.backup);
	*database = draft.database;
	database->name = xstrdup(database->name);
	database->nodes = copy_array(database->nodes, database->node_count,
				     sizeof(*database->nodes));
	database->shares = copy_array(database->shares, database->node_count,
				      sizeof(*database->shares));
}

static void own_node(struct config_node *node)
{
	assert(node);
	node->host = xstrdup(node->host);
	node->label = xstrdup(node->label);
}

void config_copy(struct config *copy, const struct config *config)
{
	*copy = *config;
	option_table_own(&option_settings, &copy->settings);
	copy->path = xstrdup(config->path);
	copy->databases = copy_array(config->databases, config->database_count,
				     sizeof(*config->databases));
	copy->users = copy_array(config->users, config->user_count,
				 sizeof(*config->users));
	copy->nodes = copy_array(config->nodes, config->node_count,
				 sizeof(*config->nodes));
	for (unsigned i = 0; i < config->database_count; i++)
		own_database(&copy->databases[i]);
	for (unsigned i = 0; i < config->user_count; i++) {
		option_table_own(&option_user, &copy->users[i]);
		copy->users[i].name = xstrdup(copy->users[i].name);
	}
	for (unsigned i = 0; i < config->node_count; i++)
		own_node(&copy->nodes[i]);
}
