#ifndef PGWEIR_CORE_CONFIG_DSN_H
#define PGWEIR_CORE_CONFIG_DSN_H

/*
 * Connection strings as PgBouncer writes them, key=value between blanks, and
 * the hosts in them.
 */
#include "core/config_data.h"

#include <stdbool.h>

struct buf;

/* What parts words in a line: a blank or a tab, no line end. */
static inline bool config_is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* The first byte that is none; it may be the NUL. */
static inline char *config_skip_blanks(char *text)
{
	while (config_is_blank(*text))
		text++;
	return text;
}

enum config_dsn_result { CONFIG_DSN_PAIR, CONFIG_DSN_END, CONFIG_DSN_BAD };

struct config_dsn {
	char *at;        /* set to the string, which is changed in place */
	const char *why; /* of CONFIG_DSN_BAD; repeats nothing */
};

/*
 * The next pair; both strings lie in the string that was given.  A value is
 * a word, or 'quoted', with '' for a quote in it.
 */
enum config_dsn_result config_dsn_next(struct config_dsn *dsn, char **key,
				       char **value);

enum { CONFIG_HOSTS_MAX = 64 /* of a line */ };

/*
 * Items between the commas of a list of hosts, or of what belongs to them.
 * Empty ones count: "5432,,5433" has three ports, of which one is usual.
 */
unsigned config_count_items(const char *list);

struct config_hosts {
	unsigned count;
	struct config_node *nodes;
};

/*
 * Nodes from a list of hosts and a list of ports (NULL: not given).  A host
 * is a name, an address, [address], a folder of Unix sockets or @name of an
 * abstract one, all but a bare IPv6 address with :port behind it or not.
 * False: what is wrong is appended to why and hosts is empty.  The caller
 * frees the hosts, or takes their nodes.
 */
bool config_hosts_parse(const char *host, const char *port,
			struct config_hosts *hosts, struct buf *why);
void config_hosts_free(struct config_hosts *hosts);

/* Frees the strings of one node. */
void config_node_clear(struct config_node *node);

#endif
