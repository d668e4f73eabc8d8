/*
 * Where a catalog is asked for: which node, and the words with which libpq
 * reaches it.
 *
 * All nodes hold the same catalog, so a replica is asked where there is a
 * fit one: the primary has other things to do, and a snapshot there keeps
 * VACUUM from marking pages.  But a replica may be behind.  Only one counts
 * that had, when it was last asked, all that was acknowledged before the load
 * became due (core/staleness); who loads decides how long to wait for that.
 * A commit that is acknowledged before it is flushed is beyond that rule: see
 * main/catalogs.
 *
 * Refuses to connect, and to remember anything.  Main thread.
 */
#include "main/catalog_source.h"

#include "base/buf.h"
#include "base/util.h"
#include "control/monitor_login.h"
#include "core/config.h"
#include "core/users.h"
#include "proxy/local.h"

#include <netdb.h>

/*
 * Quoted as libpq reads it (documentation of libpq, "Keyword/Value Connection
 * Strings"): names and passwords may hold anything.
 */
static void append_word(struct buf *out, const char *key, const char *value)
{
	if (!value || *value == '\0')
		return;
	buf_printf(out, "%s='", key);
	for (const char *at = value; *at; at++) {
		if (*at == '\'' || *at == '\\')
			buf_append_u8(out, '\\');
		buf_append_u8(out, (uint8_t)*at);
	}
	buf_printf(out, "' ");
}

/* Without a known address libpq would look the name up, and block. */
static bool append_address(struct buf *out, const struct node_address *address)
{
	char host[NI_MAXHOST];

	if (!address->is_known ||
	    getnameinfo((const struct sockaddr *)&address->address,
			address->len, host, sizeof(host), NULL, 0,
			NI_NUMERICHOST) != 0)
		return false;
	append_word(out, "hostaddr", host);
	return true;
}

/*
 * The monitor's own user when there is one, since he may look at everything;
 * else the line's, who can at least log in there.
 */
static void append_login(struct buf *out, const struct catalog_source *source)
{
	const struct config_database *line = source->line;
	struct monitor_login login =
		monitor_login_with(source->config, source->users, source->node);

	if (!login.is_ours && line->user) {
		login.user = line->user;
		login.password =
			line->password ? line->password
				       : users_find(source->users, line->user);
	}
	append_word(out, "user", login.user);
	append_word(out, "password", login.password);
}

/*
 * False: the node's name is not resolved yet.  The text holds a password: the
 * caller wipes it.
 */
bool catalog_source_words(const struct catalog_source *source, struct buf *out)
{
	const struct config_settings *settings = &source->config->settings;
	const struct config_node *node = &source->config->nodes[source->node];

	if (!node->is_unix && !append_address(out, source->address))
		return false;
	append_word(out, "host", node->host);
	buf_printf(out, "port=%u ", (unsigned)node->port);
	append_login(out, source);
	append_word(out, "dbname", source->dbname);
	append_word(out, "sslmode",
		    config_sslmode_name(settings->server_tls_sslmode));
	append_word(out, "sslrootcert", settings->server_tls_ca_file);
	append_word(out, "sslcert", settings->server_tls_cert_file);
	append_word(out, "sslkey", settings->server_tls_key_file);
	buf_printf(out, "gssencmode=disable client_encoding=UTF8 "
			"application_name='pgweir catalog'");
	return true;
}

/* The one that has seen most of those that are fit. */
static int find_newest(const struct topology *topology,
		       const struct config_database *line, int primary,
		       uint64_t max_lag_us)
{
	int best = -1;

	for (unsigned i = 0; i < line->node_count; i++) {
		unsigned node = line->nodes[i];

		if (!topology_can_read(topology, node, primary, max_lag_us))
			continue;
		if (best < 0 || topology->nodes[node].complete_us >
					topology->nodes[best].complete_us)
			best = (int)node;
	}
	return best;
}

struct catalog_choice catalog_source_choose(const struct topology *topology,
					    const struct config_database *line,
					    uint64_t max_lag_us,
					    uint64_t needed_us)
{
	struct catalog_choice choice = {
		.primary = topology_primary(topology, line->nodes,
					    line->node_count),
		.replica = -1,
	};
	int newest;

	if (choice.primary < 0 ||
	    topology->nodes[choice.primary].role != ROLE_PRIMARY)
		return choice;
	newest = find_newest(topology, line, choice.primary, max_lag_us);
	if (newest < 0)
		return choice;
	choice.complete_us = topology->nodes[newest].complete_us;
	if (choice.complete_us > needed_us)
		choice.replica = newest;
	else
		choice.may_wait = true;
	return choice;
}
