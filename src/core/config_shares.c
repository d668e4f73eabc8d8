/*
 * weight= and backup= of a [databases] line.
 *
 * Both belong to the line, not to the node: one server may be the main
 * replica of one database and the reserve of another.  What cannot be meant
 * is refused: a reserve that is no host of the line, nothing but reserves,
 * nothing but weights of 0.  Pure; repeats no more than the word at fault.
 */
#include "core/config_shares.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config_dsn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM_ROOM = 300, ITEM_ECHO = 64 };

/* The next item without blanks around it, cut when it is too long. */
static void take_item(const char **list, char *item)
{
	const char *at = *list + strspn(*list, " \t");
	size_t len = strcspn(at, ",");
	size_t kept = len;

	*list = at[len] ? at + len + 1 : at + len;
	while (kept > 0 && config_is_blank(at[kept - 1]))
		kept--;
	if (kept >= ITEM_ROOM)
		kept = ITEM_ROOM - 1;
	memcpy(item, at, kept);
	item[kept] = '\0';
}

/* --- weight ----------------------------------------------------------------
 */

static bool parse_weight(const char *item, unsigned *weight, struct buf *why)
{
	size_t digits = strspn(item, "0123456789");
	unsigned long value = 0;

	if (digits > 0 && digits <= 4 && !item[digits])
		value = strtoul(item, NULL, 10);
	else
		value = CONFIG_WEIGHT_MAX + 1;
	if (value > CONFIG_WEIGHT_MAX) {
		buf_printf(why,
			   "weight: \"%.*s\" is not a whole number from 0 to "
			   "%d",
			   ITEM_ECHO, item, CONFIG_WEIGHT_MAX);
		return false;
	}
	*weight = (unsigned)value;
	return true;
}

/* Without a weight that is not 0 there is no sharing. */
static bool judge_weights(const struct config_share *shares, unsigned count,
			  struct buf *why)
{
	for (unsigned i = 0; i < count; i++)
		if (shares[i].weight > 0)
			return true;
	buf_printf(why, "weight: 0 for all hosts, so no replica would get "
			"reads; write consistency=primary if that is meant");
	return false;
}

static bool parse_weights(const char *list, struct config_share *shares,
			  unsigned count, struct buf *why)
{
	unsigned given = config_count_items(list);
	unsigned weight = 1;
	char item[ITEM_ROOM];

	if (given > 1 && given != count) {
		buf_printf(why,
			   "weight: %u weights for %u hosts; give one, or one "
			   "for each host",
			   given, count);
		return false;
	}
	for (unsigned i = 0; i < count; i++) {
		if (i < given) {
			take_item(&list, item);
			if (!parse_weight(item, &weight, why))
				return false;
		}
		shares[i].weight = weight;
	}
	return judge_weights(shares, count, why);
}

/* --- backup ----------------------------------------------------------------
 */

/* Written as host, host:port, [address] or [address]:port. */
static bool is_named(const char *item, const struct config_node *node)
{
	size_t len = strlen(item);

	if (strcmp(item, node->host) == 0 || strcmp(item, node->label) == 0)
		return true;
	return len > 2 && item[0] == '[' && item[len - 1] == ']' &&
	       strlen(node->host) == len - 2 &&
	       strncmp(item + 1, node->host, len - 2) == 0;
}

static bool mark_backup(const char *item, const struct config_hosts *hosts,
			struct config_share *shares, struct buf *why)
{
	bool is_found = false;

	for (unsigned i = 0; i < hosts->count; i++) {
		if (!is_named(item, &hosts->nodes[i]))
			continue;
		shares[i].is_backup = true;
		is_found = true;
	}
	if (!is_found)
		buf_printf(why, "backup: \"%.*s\" is none of the line's hosts",
			   ITEM_ECHO, item);
	return is_found;
}

static bool parse_backups(const char *list, const struct config_hosts *hosts,
			  struct config_share *shares, struct buf *why)
{
	unsigned given = config_count_items(list);
	unsigned reserves = 0;
	char item[ITEM_ROOM];

	for (unsigned i = 0; i < given; i++) {
		take_item(&list, item);
		if (!mark_backup(item, hosts, shares, why))
			return false;
	}
	for (unsigned i = 0; i < hosts->count; i++)
		reserves += shares[i].is_backup;
	if (reserves < hosts->count)
		return true;
	buf_printf(why, "backup: all hosts are reserves; leave one that is "
			"used first");
	return false;
}

bool config_shares_parse(const char *weight, const char *backup,
			 const struct config_hosts *hosts,
			 struct config_share *shares, struct buf *why)
{
	assert(hosts->count > 0);
	for (unsigned i = 0; i < hosts->count; i++)
		shares[i] = (struct config_share){ .weight = 1 };
	return (!weight || parse_weights(weight, shares, hosts->count, why)) &&
	       (!backup || parse_backups(backup, hosts, shares, why));
}

/* --- telling ---------------------------------------------------------------
 */

static bool is_uneven(const struct config_database *database)
{
	for (unsigned i = 0; i < database->node_count; i++)
		if (database->shares[i].weight != 1)
			return true;
	return false;
}

static void write_weights(const struct config_database *database,
			  struct buf *out)
{
	for (unsigned i = 0; i < database->node_count; i++)
		buf_printf(out, "%s%u", i == 0 ? " weight=" : ",",
			   database->shares[i].weight);
}

void config_shares_write(const struct config *config,
			 const struct config_database *database,
			 struct buf *out)
{
	const char *before = " backup=";

	if (is_uneven(database))
		write_weights(database, out);
	for (unsigned i = 0; i < database->node_count; i++) {
		if (!database->shares[i].is_backup)
			continue;
		buf_printf(out, "%s%s", before,
			   config->nodes[database->nodes[i]].label);
		before = ",";
	}
}
