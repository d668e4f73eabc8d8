/*
 * Listening sockets.  Opening them is the start-up's business and may block
 * (names are looked up); accepting happens on the main thread's loop, a
 * bounded number per wake-up, and hands each socket over as it is.
 *
 * A Unix socket is born without any permission and gets its group and mode
 * afterwards, so that there is no moment in which strangers may connect.
 * Whether a socket file that is in the way is stale is found out by
 * connecting to it; it is removed at the end only if it is still ours.
 *
 * Without descriptors left, accepting rests for a moment: the sockets stay
 * readable, and the loop would spin.
 */
#include "net/listener.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	ACCEPTS_MAX = 64, /* per socket and wake-up */
	REST_US = 100000,
	COMPLAIN_US = 1000000,
	DEFER_SECONDS = 45,
	GROUP_BYTES = 4096
};

struct listener {
	struct list link;
	struct listeners *all;
	struct event *event;
	struct sockaddr_storage address;
	socklen_t address_len;
	int fd;
	dev_t device; /* of the socket file, to know it again */
	ino_t inode;
};

struct listeners {
	struct event_base *base;
	listener_callback *callback;
	void *arg;
	struct list members;
	struct event *rest; /* timer: accept again */
	struct buf description;
	uint64_t complained_us;
};

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

/* A client that has gone, or the network's trouble, is not ours. */
static bool is_passing(int error)
{
	return error != EAGAIN && error != EBADF && error != EINVAL &&
	       error != EFAULT && error != ENOTSOCK;
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	const struct listener *listener = arg;
	struct listeners *all = listener->all;
	bool is_unix = listener->address.ss_family == AF_UNIX;

	(void)what;
	for (int count = 0; count < ACCEPTS_MAX; count++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int client = accept4(fd, (struct sockaddr *)&peer, &len,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			all->callback(all->arg, client, is_unix, &peer);
		} else if (is_shortage(errno)) {
			rest(all, errno);
			return;
		} else if (!is_passing(errno)) {
			return;
		}
	}
}

/* ---- names of addresses ------------------------------------------------- */

static void append_unix_name(struct buf *out, const struct sockaddr_un *address,
			     socklen_t len)
{
	size_t room = len - offsetof(struct sockaddr_un, sun_path);

	if (room > 0 && address->sun_path[0] == '\0')
		buf_printf(out, "@%.*s", (int)room - 1, address->sun_path + 1);
	else
		buf_printf(out, "%.*s", (int)room, address->sun_path);
}

static void append_address(struct buf *out,
			   const struct sockaddr_storage *address,
			   socklen_t len)
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];

	if (address->ss_family == AF_UNIX)
		append_unix_name(out, (const struct sockaddr_un *)address, len);
	else if (getnameinfo((const struct sockaddr *)address, len, host,
			     sizeof(host), port, sizeof(port),
			     NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		buf_printf(out, "?");
	else if (address->ss_family == AF_INET6)
		buf_printf(out, "[%s]:%s", host, port);
	else
		buf_printf(out, "%s:%s", host, port);
}

/* ---- opening ------------------------------------------------------------ */

struct opening {
	struct listeners *listeners;
	const struct listener_options *options;
	struct buf *error;
};

/* One line of the error; false, for the caller to return. */
static bool refuse(struct opening *opening, const char *subject, int error,
		   const char *advice)
{
	const char *why = strerrordesc_np(error);

	buf_printf(opening->error, "cannot listen on %s: %s%s\n", subject,
		   why ? why : "unknown error", advice);
	return false;
}

static bool refuse_address(struct opening *opening,
			   const struct listener *listener, int error)
{
	struct buf name = BUF_INIT;
	const char *advice = "";

	if (error == EADDRINUSE)
		advice = " (is another pooler or server running there?)";
	append_address(&name, &listener->address, listener->address_len);
	buf_append_u8(&name, 0);
	(void)refuse(opening, (const char *)buf_head(&name), error, advice);
	buf_free(&name);
	return false;
}

static void listener_free(struct listener *listener)
{
	list_remove(&listener->link);
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

static void set_tcp_options(const struct listener *listener,
			    const struct listener_options *options)
{
	set_int(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (listener->address.ss_family == AF_INET6)
		set_int(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (options->defer_accept)
		set_int(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
			DEFER_SECONDS);
}

static struct listener *make_listener(struct opening *opening,
				      const struct sockaddr *address,
				      socklen_t len)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->all = opening->listeners;
	list_init(&listener->link);
	memcpy(&listener->address, address, len);
	listener->address_len = len;
	listener->fd = socket(address->sa_family,
			      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd >= 0 && address->sa_family != AF_UNIX)
		set_tcp_options(listener, opening->options);
	return listener;
}

/* Bound: listens, and joins the loop. */
static bool put_to_work(struct opening *opening, struct listener *listener)
{
	struct listeners *all = opening->listeners;

	if (listen(listener->fd, opening->options->backlog) != 0)
		return false;
	listener->event = event_new(all->base, listener->fd,
				    EV_READ | EV_PERSIST, on_client, listener);
	if (!listener->event || event_add(listener->event, NULL) != 0)
		return false;
	listener->address_len = sizeof(listener->address);
	(void)getsockname(listener->fd, (struct sockaddr *)&listener->address,
			  &listener->address_len);
	list_append(&all->members, &listener->link);
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

static bool open_tcp(struct opening *opening, const struct addrinfo *info)
{
	struct listener *listener;
	int error;

	if (is_bound_already(opening->listeners, info))
		return true;
	listener = make_listener(opening, info->ai_addr, info->ai_addrlen);
	if (listener->fd >= 0 &&
	    bind(listener->fd, info->ai_addr, info->ai_addrlen) == 0 &&
	    put_to_work(opening, listener))
		return true;
	error = errno;
	(void)refuse_address(opening, listener, error);
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

/* ---- Unix sockets ------------------------------------------------------- */

static bool fill_unix_address(struct opening *opening,
			      struct sockaddr_un *address, socklen_t *len)
{
	const char *dir = opening->options->unix_dir;
	char *path = xasprintf("%s/.s.PGSQL.%u", dir,
			       (unsigned)opening->options->port);
	size_t path_len = strlen(path);
	bool fits = path_len < sizeof(address->sun_path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fits)
		memcpy(address->sun_path, path, path_len + 1);
	else
		buf_printf(opening->error,
			   "cannot listen on %s: the path is longer than "
			   "%zu bytes, choose a shorter unix_socket_dir\n",
			   path, sizeof(address->sun_path) - 1);
	/* Abstract names have no closing NUL, and one in front. */
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len +
			   (*dir != '@'));
	if (*dir == '@')
		address->sun_path[0] = '\0';
	free(path);
	return fits;
}

/* Whether somebody listens at the socket file. */
static bool is_live(const struct sockaddr_un *address, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_refused;

	if (fd < 0)
		return true;
	is_refused = connect(fd, (const struct sockaddr *)address, len) != 0 &&
		     (errno == ECONNREFUSED || errno == ENOENT);
	(void)close(fd);
	return !is_refused;
}

/* Makes way: removes a socket file that nobody listens at. */
static bool clear_path(struct opening *opening,
		       const struct sockaddr_un *address, socklen_t len)
{
	const char *path = address->sun_path;
	struct stat status;

	if (lstat(path, &status) != 0)
		return true;
	if (!S_ISSOCK(status.st_mode))
		return refuse(opening, path, EEXIST,
			      " and is no socket: remove it yourself");
	if (is_live(address, len))
		return refuse(opening, path, EADDRINUSE,
			      " (is another pooler or server running there?)");
	if (unlink(path) != 0 && errno != ENOENT)
		return refuse(opening, path, errno,
			      " when removing a stale socket file");
	return true;
}

static bool find_group(const char *name, gid_t *group)
{
	char room[GROUP_BYTES];
	struct group entry;
	struct group *found = NULL;
	uint64_t number;

	if (getgrnam_r(name, &entry, room, sizeof(room), &found) == 0 &&
	    found) {
		*group = found->gr_gid;
		return true;
	}
	if (!util_parse_u64(name, UINT32_MAX - 1, &number))
		return false;
	*group = (gid_t)number;
	return true;
}

static bool set_rights(struct opening *opening, const char *path)
{
	const char *name = opening->options->unix_group;
	gid_t group;

	if (name && *name) {
		if (!find_group(name, &group)) {
			buf_printf(opening->error,
				   "cannot listen on %s: there is no group "
				   "\"%s\" (unix_socket_group)\n",
				   path, name);
			return false;
		}
		if (chown(path, (uid_t)-1, group) != 0)
			return refuse(opening, path, errno,
				      " when setting unix_socket_group");
	}
	if (chmod(path, (mode_t)opening->options->unix_mode & 0777) != 0)
		return refuse(opening, path, errno,
			      " when setting unix_socket_mode");
	return true;
}

static bool bind_unix(const struct listener *listener)
{
	mode_t before = umask(0777);
	bool is_bound =
		listener->fd >= 0 &&
		bind(listener->fd, (const struct sockaddr *)&listener->address,
		     listener->address_len) == 0;

	(void)umask(before);
	return is_bound;
}

static bool dress_unix(struct opening *opening, struct listener *listener,
		       const char *path)
{
	struct stat status;

	if (*path == '\0')
		return true;
	if (stat(path, &status) == 0) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	return set_rights(opening, path);
}

static void remove_file(const struct listener *listener)
{
	const char *path =
		((const struct sockaddr_un *)&listener->address)->sun_path;
	struct stat status;

	if (listener->inode != 0 && lstat(path, &status) == 0 &&
	    status.st_dev == listener->device &&
	    status.st_ino == listener->inode)
		(void)unlink(path);
}

static bool open_unix(struct opening *opening)
{
	struct sockaddr_un address;
	struct listener *listener;
	socklen_t len;
	bool is_done = false;

	if (!fill_unix_address(opening, &address, &len))
		return false;
	if (address.sun_path[0] != '\0' && !clear_path(opening, &address, len))
		return false;
	listener =
		make_listener(opening, (const struct sockaddr *)&address, len);
	if (!bind_unix(listener))
		(void)refuse_address(opening, listener, errno);
	else if (dress_unix(opening, listener, address.sun_path)) {
		is_done = put_to_work(opening, listener);
		if (!is_done)
			(void)refuse_address(opening, listener, errno);
	}
	if (!is_done) {
		remove_file(listener);
		listener_free(listener);
	}
	return is_done;
}

/* ---- life --------------------------------------------------------------- */

static void describe(struct listeners *listeners)
{
	struct buf *out = &listeners->description;

	LIST_FOREACH (link, &listeners->members) {
		const struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		if (buf_len(out) > 0)
			buf_printf(out, ", ");
		append_address(out, &listener->address, listener->address_len);
	}
	buf_append_u8(out, 0);
}

struct listeners *listeners_new(struct event_base *base,
				const struct listener_options *options,
				listener_callback *callback, void *arg,
				struct buf *error)
{
	struct listeners *listeners = xcalloc(1, sizeof(*listeners));
	struct opening opening = { listeners, options, error };
	bool is_done;

	listeners->base = base;
	listeners->callback = callback;
	listeners->arg = arg;
	list_init(&listeners->members);
	listeners->rest = event_new(base, -1, 0, on_rest_over, listeners);
	is_done = listeners->rest != NULL;
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

void listeners_close(struct listeners *listeners)
{
	if (listeners->rest)
		(void)event_del(listeners->rest);
	LIST_FOREACH_SAFE (link, &listeners->members) {
		struct listener *listener =
			LIST_ENTRY(link, struct listener, link);

		remove_file(listener);
		listener_free(listener);
	}
}

void listeners_free(struct listeners *listeners)
{
	if (!listeners)
		return;
	listeners_close(listeners);
	if (listeners->rest)
		event_free(listeners->rest);
	buf_free(&listeners->description);
	free(listeners);
}

const char *listeners_describe(const struct listeners *listeners)
{
	return (const char *)buf_head(&listeners->description);
}
