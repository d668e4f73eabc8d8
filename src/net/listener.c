/*
 * Listening sockets.  Opening them is the start-up's business and may block
 * (names are looked up); accepting happens on the loop that they are given
 * to, a bounded number per wake-up, and hands each socket over as it is.
 *
 * One client a wake-up is the rule, and then the call that would only hear
 * that there is no other one is spared; in a rush the number grows.
 *
 * Without descriptors left, accepting rests for a moment: the sockets stay
 * readable, and the loop would spin.
 */
#include "net/listener.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "net/socket.h"
#include "net/unixpath.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ACCEPTS_MAX = 64, /* per socket and wake-up */
	RUSH = 8,         /* so many full wake-ups in a row are one */
	REST_US = 100000,
	COMPLAIN_US = 1000000,
	DEFER_SECONDS = 45
};

struct listener {
	struct list link;
	struct listeners *all;
	struct event *event;
	struct sockaddr_storage address;
	socklen_t address_len;
	int fd;
	unsigned accepts;     /* so many at the next wake-up */
	unsigned full;        /* wake-ups in a row that found as many */
	struct unixpath path; /* address_len 0: a Unix socket */
};

struct listeners {
	listener_callback *callback;
	void *arg;
	struct list members;
	struct event *rest; /* timer: accept again */
	struct buf description;
	uint64_t complained_us;
};

static bool is_unix(const struct listener *listener)
{
	return listener->address_len == 0;
}

/* ---- accepting ---------------------------------------------------------- */

static void switch_all(const struct listeners *listeners, bool is_on)
{
	LIST_FOREACH (link, &listeners->members) {
		struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		if (is_on)
			(void)event_add(listener->event, NULL);
		else
			(void)event_del(listener->event);
	}
}

static void on_rest_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	switch_all(arg, true);
}

/* Said at most once a second, each time with what to do about it. */
static void rest(struct listeners *listeners, int error)
{
	struct timeval pause = { .tv_usec = REST_US };
	uint64_t now_us = util_now_us();
	char *why;

	if (event_add(listeners->rest, &pause) == 0)
		switch_all(listeners, false);
	if (listeners->complained_us != 0 &&
	    now_us - listeners->complained_us < COMPLAIN_US)
		return;
	listeners->complained_us = now_us;
	why = strerrordesc_np(error) ? xstrdup(strerrordesc_np(error))
				     : xasprintf("error %d", error);
	log_error("listener: cannot accept clients (%s), they wait: raise "
		  "ulimit -n or LimitNOFILE, or lower max_client_conn",
		  why);
	free(why);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM;
}

/*
 * A client that has gone, or the network's trouble, is not ours: Linux hands
 * errors of the new connection on (accept(2), "Error handling").
 */
static bool is_passing(int error)
{
	return error != EAGAIN && error != EBADF && error != EINVAL &&
	       error != EFAULT && error != ENOTSOCK;
}

/* Takes the next client; false when there is none, or none can be had. */
static bool accept_one(const struct listener *listener)
{
	struct listeners *all = listener->all;
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	int client = accept4(listener->fd, (struct sockaddr *)&peer, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client >= 0) {
		all->callback(all->arg, client, is_unix(listener), &peer);
		return true;
	}
	if (is_shortage(errno))
		rest(all, errno);
	else
		return is_passing(errno);
	return false;
}

/* How many are looked for at the next wake-up. */
static void note_rush(struct listener *listener, unsigned found)
{
	if (found < listener->accepts) {
		listener->accepts = 1;
		listener->full = 0;
	} else if (++listener->full == RUSH) {
		if (listener->accepts < ACCEPTS_MAX)
			listener->accepts *= 2;
		listener->full = 0;
	}
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	unsigned found = 0;

	(void)fd;
	(void)what;
	while (found < listener->accepts && accept_one(listener))
		found++;
	note_rush(listener, found);
}

/* ---- names of addresses ------------------------------------------------- */

static void append_name(struct buf *out, const struct listener *listener)
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	bool is_ipv6 = listener->address.ss_family == AF_INET6;

	if (is_unix(listener)) {
		unixpath_append_name(&listener->path, out);
		return;
	}
	if (getnameinfo((const struct sockaddr *)&listener->address,
			listener->address_len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		buf_printf(out, is_ipv6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- opening ------------------------------------------------------------ */

struct opening {
	struct listeners *listeners;
	const struct listener_options *options;
	struct buf *error;
};

/* A line of the error, and false for the caller to return. */
static bool refuse(struct opening *opening, const struct listener *listener,
		   int cause)
{
	const char *why = strerrordesc_np(cause);

	buf_printf(opening->error, "cannot listen on ");
	append_name(opening->error, listener);
	buf_printf(opening->error, ": %s%s\n", why ? why : "unknown error",
		   cause == EADDRINUSE
			   ? " (is another pooler or server running there?)"
			   : "");
	return false;
}

static void listener_free(struct listener *listener)
{
	list_remove(&listener->link);
	unixpath_remove(&listener->path);
	if (listener->event)
		event_free(listener->event);
	if (listener->fd >= 0)
		(void)close(listener->fd);
	free(listener);
}

static void set_int(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/*
 * V6ONLY: the wildcard of IPv4 has a socket of its own.  DEFER_ACCEPT spares a
 * wake-up for clients that connect and say nothing.
 */
static void set_tcp_options(const struct listener *listener,
			    const struct listener_options *options)
{
	set_int(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (listener->address.ss_family == AF_INET6)
		set_int(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (options->defer_accept)
		set_int(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
			DEFER_SECONDS);
	socket_prepare_listener(listener->fd, options->keepalive);
}

static struct listener *make_listener(struct opening *opening, int family)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->all = opening->listeners;
	listener->accepts = 1;
	list_init(&listener->link);
	listener->fd =
		socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return listener;
}

/* Bound: listens.  Clients wait in the queue until somebody serves them. */
static bool put_to_work(struct opening *opening, struct listener *listener)
{
	if (listen(listener->fd, opening->options->backlog) != 0)
		return false;
	list_append(&opening->listeners->members, &listener->link);
	return true;
}

/* A list may name one address twice, as "localhost, 127.0.0.1" does. */
static bool is_bound_already(const struct listeners *listeners,
			     const struct addrinfo *info)
{
	LIST_FOREACH (link, &listeners->members) {
		const struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		if (listener->address_len == info->ai_addrlen &&
		    memcmp(&listener->address, info->ai_addr,
			   info->ai_addrlen) == 0)
			return true;
	}
	return false;
}

/* Port 0 is replaced by the one that the system has chosen. */
static bool bind_tcp(const struct opening *opening, struct listener *listener)
{
	struct sockaddr *address = (struct sockaddr *)&listener->address;

	if (listener->fd < 0)
		return false;
	set_tcp_options(listener, opening->options);
	return bind(listener->fd, address, listener->address_len) == 0 &&
	       getsockname(listener->fd, address, &listener->address_len) == 0;
}

static bool open_tcp(struct opening *opening, const struct addrinfo *info)
{
	struct listener *listener;

	if (is_bound_already(opening->listeners, info))
		return true;
	listener = make_listener(opening, info->ai_family);
	memcpy(&listener->address, info->ai_addr, info->ai_addrlen);
	listener->address_len = info->ai_addrlen;
	if (bind_tcp(opening, listener) && put_to_work(opening, listener))
		return true;
	(void)refuse(opening, listener, errno);
	listener_free(listener);
	return false;
}

/* Opens all addresses of a host; NULL: the wildcard of one family. */
static bool open_host(struct opening *opening, const char *host, int family)
{
	struct addrinfo hints = { .ai_family = family,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	char port[8];
	bool is_done = true;
	int failure;

	(void)snprintf(port, sizeof(port), "%u",
		       (unsigned)opening->options->port);
	failure = getaddrinfo(host, port, &hints, &found);
	if (failure != 0) {
		buf_printf(opening->error, "cannot listen on %s: %s\n",
			   host ? host : "*", gai_strerror(failure));
		return false;
	}
	for (const struct addrinfo *info = found; info; info = info->ai_next)
		is_done &= open_tcp(opening, info);
	freeaddrinfo(found);
	return is_done;
}

/* A kernel without IPv6 is no fault when "*" is asked for. */
static bool has_family(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	(void)close(fd);
	return true;
}

static bool open_wildcard(struct opening *opening)
{
	bool is_done = true;

	if (has_family(AF_INET))
		is_done &= open_host(opening, NULL, AF_INET);
	if (has_family(AF_INET6))
		is_done &= open_host(opening, NULL, AF_INET6);
	return is_done;
}

/* One word of the list, blanks and brackets around it dropped. */
static bool open_word(struct opening *opening, char *word)
{
	size_t len;

	word += strspn(word, " \t");
	len = strcspn(word, " \t");
	word[len] = '\0';
	if (len == 0)
		return true;
	if (strcmp(word, "*") == 0)
		return open_wildcard(opening);
	if (word[0] == '[' && word[len - 1] == ']') {
		word[len - 1] = '\0';
		word++;
	}
	return open_host(opening, word, AF_UNSPEC);
}

/* All of the list are tried, so that all faults are in one report. */
static bool open_addresses(struct opening *opening)
{
	char *copy = xstrdup(opening->options->addresses);
	char *rest_of_it = copy;
	char *word;
	bool is_done = true;

	while ((word = strsep(&rest_of_it, ",")) != NULL)
		is_done &= open_word(opening, word);
	free(copy);
	return is_done;
}

/* Has a line added to the error for itself, also when it fails late. */
static bool bind_unix(struct opening *opening, struct listener *listener)
{
	const struct listener_options *options = opening->options;

	if (listener->fd < 0)
		return refuse(opening, listener, errno);
	if (!unixpath_bind(&listener->path, listener->fd, options->unix_mode,
			   options->unix_group, opening->error))
		return false;
	if (put_to_work(opening, listener))
		return true;
	return refuse(opening, listener, errno);
}

static bool open_unix(struct opening *opening)
{
	const struct listener_options *options = opening->options;
	struct listener *listener;
	struct unixpath path;

	if (!unixpath_fill(&path, options->unix_dir, options->port,
			   opening->error) ||
	    !unixpath_clear(&path, opening->error))
		return false;
	listener = make_listener(opening, AF_UNIX);
	listener->path = path;
	if (bind_unix(opening, listener))
		return true;
	listener_free(listener);
	return false;
}

/* ---- life --------------------------------------------------------------- */

/* Made once, for the line in the log that says that we listen. */
static void describe(struct listeners *listeners)
{
	struct buf *out = &listeners->description;

	LIST_FOREACH (link, &listeners->members) {
		const struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		if (buf_len(out) > 0)
			buf_printf(out, ", ");
		append_name(out, listener);
	}
	buf_append_u8(out, 0);
}

struct listeners *listeners_new(const struct listener_options *options,
				struct buf *error)
{
	struct listeners *listeners = xcalloc(1, sizeof(*listeners));
	struct opening opening = { listeners, options, error };
	bool is_done = true;

	list_init(&listeners->members);
	if (options->addresses)
		is_done &= open_addresses(&opening);
	if (options->unix_dir && *options->unix_dir)
		is_done &= open_unix(&opening);
	if (is_done) {
		describe(listeners);
		return listeners;
	}
	listeners_free(listeners);
	return NULL;
}

static bool join_loop(struct listener *listener, struct event_base *base)
{
	listener->event = event_new(base, listener->fd, EV_READ | EV_PERSIST,
				    on_client, listener);
	return listener->event && event_add(listener->event, NULL) == 0;
}

bool listeners_serve(struct listeners *listeners, struct event_base *base,
		     listener_callback *callback, void *arg)
{
	bool is_done;

	listeners->callback = callback;
	listeners->arg = arg;
	listeners->rest = event_new(base, -1, 0, on_rest_over, listeners);
	is_done = listeners->rest != NULL;
	LIST_FOREACH (link, &listeners->members)
		is_done &= join_loop(LIST_ENTRY(link, struct listener, link),
				     base);
	return is_done;
}

void listeners_set_keepalive(const struct listeners *listeners, bool keepalive)
{
	LIST_FOREACH (link, &listeners->members) {
		const struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		if (!is_unix(listener))
			socket_prepare_listener(listener->fd, keepalive);
	}
}

/* Nothing of it may outlive the loop: its owner may be freed next. */
void listeners_close(struct listeners *listeners)
{
	if (listeners->rest)
		event_free(listeners->rest);
	listeners->rest = NULL;
	LIST_FOREACH_SAFE (link, &listeners->members) {
		struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		listener_free(listener);
	}
}

void listeners_free(struct listeners *listeners)
{
	if (!listeners)
		return;
	listeners_close(listeners);
	buf_free(&listeners->description);
	free(listeners);
}

const char *listeners_describe(const struct listeners *listeners)
{
	return (const char *)buf_head(&listeners->description);
}
