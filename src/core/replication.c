/*
 * Startup packets of replication connections.
 *
 * Nothing is shared on such a connection, so nothing has to be understood of
 * what its client asks for: it is kept, in order, twice-given names included,
 * and the server judges it.  Only the value of "replication" is read here, as
 * PostgreSQL reads it, because it decides what kind of connection this is.
 *
 * Invariant: pairs points into text and holds 2 * count strings.
 */
#include "core/replication.h"

#include "base/util.h"
#include "core/pgwire.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct replication_startup {
	enum replication kind;
	size_t count;
	char *text;
	const char **pairs;
};

/* A beginning of the word, at least so long, in any case of letters. */
static bool abbreviates(const char *value, const char *word, size_t least)
{
	size_t len = strlen(value);

	return len >= least && len <= strlen(word) &&
	       strncasecmp(value, word, len) == 0;
}

/* The words of a boolean parameter (PostgreSQL docs, "Setting Parameters"). */
enum replication replication_read(const char *value)
{
	if (!value)
		return REPLICATION_NONE;
	if (strcmp(value, "database") == 0)
		return REPLICATION_LOGICAL;
	if (abbreviates(value, "true", 1) || abbreviates(value, "yes", 1) ||
	    abbreviates(value, "on", 2) || strcmp(value, "1") == 0)
		return REPLICATION_PHYSICAL;
	if (abbreviates(value, "false", 1) || abbreviates(value, "no", 1) ||
	    abbreviates(value, "off", 2) || strcmp(value, "0") == 0)
		return REPLICATION_NONE;
	return REPLICATION_BAD;
}

const char *replication_name(enum replication kind)
{
	switch (kind) {
	case REPLICATION_PHYSICAL: return "physical";
	case REPLICATION_LOGICAL: return "logical";
	case REPLICATION_NONE:
	case REPLICATION_BAD:
	default: return "none";
	}
}

static bool is_kept(const char *name)
{
	return strcmp(name, "user") != 0 && strcmp(name, "database") != 0 &&
	       strncmp(name, "_pq_.", 5) != 0;
}

struct replication_startup *replication_keep(
	const struct pgwire_startup *startup, enum replication kind)
{
	struct replication_startup *kept = xcalloc(1, sizeof(*kept));
	const char *name;
	const char *value;
	size_t at = 0;
	size_t room = 0;

	assert(kind == REPLICATION_PHYSICAL || kind == REPLICATION_LOGICAL);
	kept->kind = kind;
	kept->text = xmalloc(startup->parameters_len);
	memcpy(kept->text, startup->parameters, startup->parameters_len);
	while (pgwire_next_parameter(startup, &at, &name, &value)) {
		if (!is_kept(name))
			continue;
		if (kept->count == room) {
			room = room ? room * 2 : 8;
			kept->pairs = xrealloc(kept->pairs,
					       2 * room * sizeof(*kept->pairs));
		}
		kept->pairs[2 * kept->count] =
			kept->text + (name - startup->parameters);
		kept->pairs[2 * kept->count + 1] =
			kept->text + (value - startup->parameters);
		kept->count++;
	}
	return kept;
}

void replication_free(struct replication_startup *kept)
{
	if (!kept)
		return;
	free(kept->pairs);
	free(kept->text);
	free(kept);
}

enum replication replication_kind(const struct replication_startup *kept)
{
	return kept->kind;
}

const char *replication_get(const struct replication_startup *kept,
			    const char *name)
{
	const char *found = NULL;

	/* The last one counts, as for the server. */
	for (size_t i = 0; i < kept->count; i++)
		if (strcmp(kept->pairs[2 * i], name) == 0)
			found = kept->pairs[2 * i + 1];
	return found;
}

const char *const *replication_pairs(const struct replication_startup *kept,
				     size_t *count)
{
	*count = kept->count;
	return kept->pairs;
}
