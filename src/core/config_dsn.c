/*
 * Connection strings and host lists of [databases].
 *
 * Form only: which keys there are is the business of core/option_table, and
 * whether a host exists that of the one who connects.  Faults repeat hosts and
 * ports, never other values, which may be passwords.  Pure; any thread.
 */
#include "core/config_dsn.h"

#include "base/buf.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* libpq's as Debian builds it; upstream's own is /tmp. */
#define DEFAULT_SOCKET_DIR "/var/run/postgresql"

enum {
	DEFAULT_PORT = 5432,
	PORT_MAX = 65535,
	HOST_MAX = 255,
	/* sun_path holds 108 bytes, "/.s.PGSQL.65535" is 15 of them. */
	SOCKET_DIR_MAX = 92
};

/* The reason is a constant text: it cannot repeat a value. */
static enum config_dsn_result bad(struct config_dsn *dsn, const char *why)
{
	dsn->why = why;
	return CONFIG_DSN_BAD;
}

/* Takes the quotes off in place; false when the last one is missing. */
static bool take_quoted(struct config_dsn *dsn, char **value)
{
	char *from = dsn->at + 1;
	char *to = dsn->at;

	*value = to;
	for (; *from; from++) {
		if (*from == '\'' && *++from != '\'') {
			dsn->at = from;
			*to = '\0';
			return true;
		}
		*to++ = *from;
	}
	return false;
}

/* A quoted value or a word; dsn->at moves behind it. */
static enum config_dsn_result take_value(struct config_dsn *dsn, char **value)
{
	if (*dsn->at == '\'') {
		if (!take_quoted(dsn, value))
			return bad(dsn, "the closing quote ' is missing");
		if (*dsn->at && !config_is_blank(*dsn->at))
			return bad(dsn, "a blank is missing after a quoted "
					"value; a quote in it is written ''");
	} else {
		*value = dsn->at;
		while (*dsn->at && !config_is_blank(*dsn->at))
			dsn->at++;
		if (dsn->at == *value)
			return bad(dsn, "a value is missing after =");
	}
	assert(*dsn->at == '\0' || config_is_blank(*dsn->at));
	if (*dsn->at)
		*dsn->at++ = '\0';
	return CONFIG_DSN_PAIR;
}

/*
 * PgBouncer's rules, not libpq's: a quote is doubled, a backslash is a byte
 * like any other.
 */
enum config_dsn_result config_dsn_next(struct config_dsn *dsn, char **key,
				       char **value)
{
	char *end;

	dsn->at = config_skip_blanks(dsn->at);
	if (!*dsn->at)
		return CONFIG_DSN_END;
	*key = dsn->at;
	end = dsn->at + strcspn(dsn->at, "= \t");
	dsn->at = config_skip_blanks(end);
	if (*dsn->at != '=' || end == *key)
		return bad(dsn, "expected key=value; a value with blanks is "
				"written in 'quotes'");
	*end = '\0';
	dsn->at = config_skip_blanks(dsn->at + 1);
	return take_value(dsn, value);
}

void config_node_clear(struct config_node *node)
{
	free(node->host);
	free(node->label);
	*node = (struct config_node){ 0 };
}

void config_hosts_free(struct config_hosts *hosts)
{
	for (unsigned i = 0; i < hosts->count; i++)
		config_node_clear(&hosts->nodes[i]);
	free(hosts->nodes);
	*hosts = (struct config_hosts){ 0 };
}

/* A word of a comma separated list: *at moves behind its comma, or to NULL. */
static char *take_item(const char **at)
{
	const char *start = *at + strspn(*at, " \t");
	const char *end = start + strcspn(start, ",");

	*at = *end ? end + 1 : NULL;
	while (end > start && config_is_blank(end[-1]))
		end--;
	return xstrndup(start, (size_t)(end - start));
}

unsigned config_count_items(const char *list)
{
	unsigned count = 1;

	for (; *list; list++)
		count += *list == ',';
	return count;
}

/* 0 is no port that one can connect to. */
static bool parse_port(const char *text, uint16_t *port, struct buf *why)
{
	uint64_t value = 0;

	if (!util_parse_u64(text, PORT_MAX, &value) || value == 0) {
		buf_printf(why, "\"%.40s\" is not a port; give 1 to %d", text,
			   PORT_MAX);
		return false;
	}
	*port = (uint16_t)value;
	return true;
}

/* An IPv6 address with or without %zone. */
static bool is_address6(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr ignored;
	size_t len = strcspn(text, "%");

	if (len >= sizeof(address) || (text[len] == '%' && !text[len + 1]))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &ignored) == 1;
}

/* Cuts ":port" off the end of text; NULL when there is none. */
static char *cut_port(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

/* Always false, so that a reader can end with it. */
static bool refuse_host(const char *host, const char *fault, struct buf *why)
{
	buf_printf(why, "\"%.*s\" %s", HOST_MAX, host, fault);
	return false;
}

/* "[::1]:5434": the address into place, its port apart. */
static bool split_bracketed(char *text, char **port, struct buf *why)
{
	char *end = strchr(text, ']');

	if (!end || (end[1] && end[1] != ':'))
		return refuse_host(text, "is not [address] or [address]:port",
				   why);
	if (end[1])
		*port = end + 2;
	*end = '\0';
	memmove(text, text + 1, (size_t)(end - text));
	if (!is_address6(text))
		return refuse_host(text, "is not an IPv6 address", why);
	return true;
}

/* Splits one item into host (left in text) and port (NULL: none). */
static bool split_host(char *text, char **port, struct buf *why)
{
	const char *colon = strchr(text, ':');

	*port = NULL;
	if (*text == '[')
		return split_bracketed(text, port, why);
	if (*text == '/' || *text == '@') {
		char *last = strrchr(text, ':');

		/* A folder may have a colon in its name. */
		if (last && last[1] &&
		    strspn(last + 1, "0123456789") == strlen(last + 1))
			*port = cut_port(text);
		return true;
	}
	if (colon && strchr(colon + 1, ':')) {
		if (is_address6(text))
			return true;
		return refuse_host(text,
				   "is not an IPv6 address; with a port "
				   "it is written [address]:port",
				   why);
	}
	*port = cut_port(text);
	return true;
}

/* What is left when port and brackets are off. */
static bool judge_host(const char *host, bool is_unix, struct buf *why)
{
	if (!*host)
		return refuse_host(host,
				   "is not a host; give a name, an "
				   "address or a path",
				   why);
	if (is_unix && strlen(host) > SOCKET_DIR_MAX)
		return refuse_host(host, "is too long for a Unix socket", why);
	if (!is_unix && strlen(host) > HOST_MAX)
		return refuse_host(host, "... is too long for a host", why);
	if (!is_unix && strpbrk(host, " \t/@[]\"'"))
		return refuse_host(host, "is not a host name", why);
	return true;
}

/* One item of the list into a node; usual is its port without one. */
static bool parse_host(char *text, uint16_t usual, struct config_node *node,
		       struct buf *why)
{
	char *port = NULL;

	node->port = usual;
	node->is_unix = *text == '/' || *text == '@';
	if (!split_host(text, &port, why) ||
	    !judge_host(text, node->is_unix, why) ||
	    (port && !parse_port(port, &node->port, why)))
		return false;
	assert(node->port > 0);
	node->host = xstrdup(text);
	if (!node->is_unix && strchr(text, ':'))
		node->label = xasprintf("[%s]:%u", text, node->port);
	else
		node->label = xasprintf("%s:%u", text, node->port);
	return true;
}

/* The ports of the list, one for each host; the last item serves the rest. */
static bool parse_ports(const char *list, unsigned hosts, uint16_t *ports,
			struct buf *why)
{
	unsigned given = list ? config_count_items(list) : 0;
	uint16_t port = DEFAULT_PORT;

	if (given > 1 && given != hosts) {
		buf_printf(why,
			   "port: %u ports for %u hosts; give one, or one "
			   "for each host",
			   given, hosts);
		return false;
	}
	for (unsigned i = 0; i < hosts; i++) {
		char *item = list ? take_item(&list) : NULL;
		bool is_valid;

		/* As in libpq, a port that is left out is the usual one. */
		if (item && !*item && given > 1)
			port = DEFAULT_PORT;
		is_valid = !item || (!*item && given > 1) ||
			   parse_port(item, &port, why);
		free(item);
		if (!is_valid)
			return false;
		ports[i] = port;
	}
	return true;
}

bool config_hosts_parse(const char *host, const char *port,
			struct config_hosts *hosts, struct buf *why)
{
	/* Where Debian's PostgreSQL listens, as PgBouncer's package has it. */
	const char *at = host ? host : DEFAULT_SOCKET_DIR;
	unsigned count = config_count_items(at);
	uint16_t ports[CONFIG_HOSTS_MAX];

	*hosts = (struct config_hosts){ 0 };
	if (count > CONFIG_HOSTS_MAX) {
		buf_printf(why, "host: %u hosts, at most %d are possible",
			   count, CONFIG_HOSTS_MAX);
		return false;
	}
	if (!parse_ports(port, count, ports, why))
		return false;
	hosts->nodes = xcalloc(count, sizeof(*hosts->nodes));
	for (unsigned i = 0; i < count; i++) {
		char *item = take_item(&at);
		bool is_valid =
			parse_host(item, ports[i], &hosts->nodes[i], why);

		free(item);
		hosts->count++;
		if (!is_valid) {
			config_hosts_free(hosts);
			return false;
		}
	}
	assert(!at && hosts->count == count);
	return true;
}
