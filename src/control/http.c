/*
 * The stats port on evhttp.  Answers GET and HEAD, closes after each answer,
 * and holds strangers short: few connections at once, small headers, no
 * body, and a time limit for the whole exchange, so that a client that drips
 * bytes cannot keep a place.
 *
 * evhttp tells nobody of a connection that ends before its first request. So
 * each connection's bufferevent is held by a reference of ours; evhttp has
 * let go of it when its callbacks are gone, which a sweep looks for.  Main
 * thread.
 */
#include "control/http.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "core/config.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	CONNECTIONS_MAX = 32,
	HEADER_BYTES_MAX = 8192,
	BODY_BYTES_MAX = 1024,
	SILENCE_S = 10,
	EXCHANGE_US = 30000000,
	SWEEP_US = 250000,
	READ_BYTES_MAX = 65536,
	BACKLOG = 64
};

/*
 * http->bound is NULL while stats_port = 0; connections is the length of
 * visits.
 */
struct http {
	struct event_base *base;
	struct evhttp *evhttp;
	struct evhttp_bound_socket *bound; /* NULL while off */
	struct http_hooks hooks;
	char *address;
	int port;
	unsigned connections;
	struct list visits;
	struct event *sweep;
};

/* One connection, from accept until evhttp has let go of it. */
struct visit {
	struct list link;
	struct http *http;
	struct bufferevent *socket; /* a reference */
	uint64_t since_us;
};

/* ---- connections -------------------------------------------------------- */

/* A full house stops accepting: who comes waits in the kernel's queue. */
static void http_accept_more(struct http *http, bool is_wanted)
{
	struct evconnlistener *listener;

	if (!http->bound)
		return;
	listener = evhttp_bound_socket_get_listener(http->bound);
	if (is_wanted)
		(void)evconnlistener_enable(listener);
	else
		(void)evconnlistener_disable(listener);
}

/* Until evhttp has set its callbacks, right after accept, they are ours. */
static void not_yet(struct bufferevent *socket, short what, void *arg)
{
	(void)socket;
	(void)what;
	(void)arg;
}

/* The place is free: at the limit, accepting begins again. */
static void visit_end(struct visit *visit)
{
	struct http *http = visit->http;

	assert(http->connections > 0);
	list_remove(&visit->link);
	/* The last reference: closes the socket. */
	(void)bufferevent_decref(visit->socket);
	free(visit);
	http->connections--;
	if (http->connections == CONNECTIONS_MAX - 1)
		http_accept_more(http, true);
}

/*
 * evhttp drops its reference by bufferevent_free(), which takes the callbacks
 * away; there is no other sign of it.
 */
static bool visit_is_over(const struct visit *visit)
{
	bufferevent_event_cb callback;

	bufferevent_getcb(visit->socket, NULL, NULL, &callback, NULL);
	return !callback;
}

/* Runs only while there are visits, a quarter of a second apart. */
static void http_sweep(struct http *http)
{
	const struct timeval delay = { 0, SWEEP_US };
	uint64_t now_us = util_now_us();

	LIST_FOREACH_SAFE (link, &http->visits) {
		struct visit *visit = LIST_ENTRY(link, struct visit, link);

		if (visit_is_over(visit))
			visit_end(visit);
		else if (now_us - visit->since_us > EXCHANGE_US)
			/* evhttp sees the end of the stream and cleans up. */
			(void)shutdown(bufferevent_getfd(visit->socket),
				       SHUT_RDWR);
	}
	if (!list_is_empty(&http->visits))
		(void)evtimer_add(http->sweep, &delay);
}

static void sweep_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	http_sweep(arg);
}

/*
 * evhttp's hook for new connections: it wants a bufferevent without a socket
 * and puts the accepted one in.  Two references from here on, evhttp's and
 * ours.
 */
static struct bufferevent *visit_begin(struct event_base *base, void *arg)
{
	const struct timeval delay = { 0, SWEEP_US };
	struct http *http = arg;
	struct visit *visit = xcalloc(1, sizeof(*visit));

	visit->http = http;
	visit->since_us = util_now_us();
	visit->socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	assert(visit->socket);
	bufferevent_incref(visit->socket);
	bufferevent_setcb(visit->socket, NULL, NULL, not_yet, NULL);
	bufferevent_setwatermark(visit->socket, EV_READ, 0, READ_BYTES_MAX);
	list_append(&http->visits, &visit->link);
	http->connections++;
	if (http->connections == CONNECTIONS_MAX)
		http_accept_more(http, false);
	if (!evtimer_pending(http->sweep, NULL))
		(void)evtimer_add(http->sweep, &delay);
	return visit->socket;
}

/* An answered connection is swept at the end of this turn of the loop. */
static void connection_closed(struct evhttp_connection *connection, void *arg)
{
	struct http *http = arg;

	(void)connection;
	event_active(http->sweep, EV_TIMEOUT, 0);
}

/* ---- pages -------------------------------------------------------------- */

struct page {
	int status;
	const char *reason;
	const char *type;
	struct buf body;
};

static const char plain[] = "text/plain; charset=utf-8";

static void append_text(struct page *page, const char *text)
{
	buf_append(&page->body, text, strlen(text));
}

static void write_index(struct http *http, struct page *page)
{
	(void)http;
	page->type = "text/html; charset=utf-8";
	append_text(page,
		    "<!DOCTYPE html>\n<title>pgweir</title>\n<h1>pgweir</h1>\n"
		    "<ul>\n"
		    "<li><a href=\"/metrics\">/metrics</a>: for Prometheus\n"
		    "<li><a href=\"/healthz\">/healthz</a>: the process runs\n"
		    "<li><a href=\"/readyz\">/readyz</a>: a primary can be "
		    "reached\n</ul>\n");
}

/* The version is the text format's (Prometheus, exposition formats 0.0.4). */
static void write_metrics(struct http *http, struct page *page)
{
	page->type = "text/plain; version=0.0.4; charset=utf-8";
	http->hooks.metrics(http->hooks.arg, &page->body);
}

/* Answered by the loop itself: that it comes is the news. */
static void write_healthz(struct http *http, struct page *page)
{
	(void)http;
	append_text(page, "ok\n");
}

/* For load balancers: 503 takes this instance out, the text says why. */
static void write_readyz(struct http *http, struct page *page)
{
	struct buf why = BUF_INIT;

	if (http->hooks.ready(http->hooks.arg, &why)) {
		append_text(page, "ok\n");
	} else {
		page->status = HTTP_SERVUNAVAIL;
		page->reason = "Service Unavailable";
		append_text(page, "not ready: ");
		buf_append(&page->body, buf_head(&why), buf_len(&why));
		append_text(page, "\n");
	}
	buf_free(&why);
}

/* table: */
static const struct {
	const char *path;
	void (*write)(struct http *http, struct page *page);
} pages[] = {
	{ "/", write_index },
	{ "/metrics", write_metrics },
	{ "/healthz", write_healthz },
	{ "/readyz", write_readyz },
};

static void write_page(struct http *http, const char *path, struct page *page)
{
	for (size_t i = 0; path && i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(path, pages[i].path) == 0) {
			pages[i].write(http, page);
			return;
		}
	page->status = HTTP_NOTFOUND;
	page->reason = "Not Found";
	append_text(page, "there is /metrics, /healthz and /readyz\n");
}

/*
 * Content-Length by hand: a HEAD must show the length of what GET would send,
 * and evhttp counts the empty body.  nosniff: help texts are no HTML.
 */
static void send_page(struct evhttp_request *request, struct page *page,
		      bool is_head)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	char length[24];

	assert(page->type && page->reason);
	assert(body);
	(void)snprintf(length, sizeof(length), "%zu", buf_len(&page->body));
	(void)evhttp_add_header(headers, "Content-Type", page->type);
	(void)evhttp_add_header(headers, "Content-Length", length);
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)evhttp_add_header(headers, "Connection", "close");
	if (!is_head)
		(void)evbuffer_add(body, buf_head(&page->body),
				   buf_len(&page->body));
	evhttp_send_reply(request, page->status, page->reason, body);
	evbuffer_free(body);
}

/* Every request ends here, also those for unknown pages and methods. */
static void request_came(struct evhttp_request *request, void *arg)
{
	struct http *http = arg;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	struct page page = { HTTP_OK, "OK", plain, BUF_INIT };

	evhttp_connection_set_closecb(evhttp_request_get_connection(request),
				      connection_closed, http);
	if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) {
		write_page(http, evhttp_uri_get_path(uri), &page);
	} else {
		page.status = HTTP_BADMETHOD;
		page.reason = "Method Not Allowed";
		append_text(&page, "only GET and HEAD\n");
		(void)evhttp_add_header(
			evhttp_request_get_output_headers(request), "Allow",
			"GET, HEAD");
	}
	send_page(request, &page, method == EVHTTP_REQ_HEAD);
	buf_free(&page.body);
}

/* ---- listening ---------------------------------------------------------- */

static void append_failure(struct buf *error, const char *address, int port,
			   const char *why)
{
	buf_printf(error,
		   "stats port: cannot listen on %s port %d (%s); set "
		   "stats_addr and stats_port, or stats_port = 0\n",
		   *address ? address : "*", port, why);
}

/* Blocks when the address is a name: at start-up and reload only. */
static struct addrinfo *find_address(const char *address, int port,
				     struct buf *error)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	bool is_any = *address == '\0' || strcmp(address, "*") == 0;
	struct addrinfo *found = NULL;
	char service[16];
	int failure;

	(void)snprintf(service, sizeof(service), "%d", port);
	failure = getaddrinfo(is_any ? NULL : address, service, &hints, &found);
	if (failure != 0) {
		append_failure(error, address, port, gai_strerror(failure));
		return NULL;
	}
	return found;
}

/*
 * Opened before the old one is closed, so that a fault leaves that one in use;
 * the same address with another port is no conflict.
 */
static struct evconnlistener *open_listener(struct http *http,
					    const char *address, int port,
					    struct buf *error)
{
	const unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE |
			       LEV_OPT_CLOSE_ON_EXEC;
	struct addrinfo *found = find_address(address, port, error);
	struct evconnlistener *listener;

	if (!found)
		return NULL;
	/* evhttp_bind_listener() gives it a callback. */
	listener =
		evconnlistener_new_bind(http->base, NULL, NULL, flags, BACKLOG,
					found->ai_addr, (int)found->ai_addrlen);
	if (!listener)
		append_failure(
			error, address, port,
			evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	freeaddrinfo(found);
	return listener;
}

static void http_stop_listening(struct http *http)
{
	if (http->bound)
		evhttp_del_accept_socket(http->evhttp, http->bound);
	http->bound = NULL;
}

/* Takes the listener (NULL: the port is switched off). */
static void http_use(struct http *http, struct evconnlistener *listener,
		     const char *address, int port)
{
	http_stop_listening(http);
	free(http->address);
	http->address = xstrdup(address);
	http->port = port;
	if (!listener)
		return;
	http->bound = evhttp_bind_listener(http->evhttp, listener);
	assert(http->bound);
	if (http->connections >= CONNECTIONS_MAX)
		http_accept_more(http, false);
	log_info("stats port: listening on %s port %u, /metrics",
		 *address ? address : "*", http_port(http));
}

/* Nothing to do is the rule: the port stays open over most reloads. */
bool http_reload(struct http *http, const struct config *config,
		 struct buf *error)
{
	const char *address = config->settings.stats_addr;
	int port = config->settings.stats_port;
	struct evconnlistener *listener = NULL;

	if (!address)
		address = "";
	if (http->address && port == http->port &&
	    strcmp(address, http->address) == 0)
		return true;
	if (port != 0) {
		listener = open_listener(http, address, port, error);
		if (!listener)
			return false;
	}
	http_use(http, listener, address, port);
	return true;
}

/* Asked of the kernel, since port 0 lets it choose (the tests do). */
uint16_t http_port(const struct http *http)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char service[NI_MAXSERV];

	if (!http->bound ||
	    getsockname(evhttp_bound_socket_get_fd(http->bound),
			(struct sockaddr *)&address, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&address, len, NULL, 0, service,
			sizeof(service), NI_NUMERICSERV) != 0)
		return 0;
	return (uint16_t)strtoul(service, NULL, 10);
}

struct http *http_new(struct event_base *base, const struct http_hooks *hooks,
		      const struct config *config, struct buf *error)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->base = base;
	http->hooks = *hooks;
	list_init(&http->visits);
	http->evhttp = evhttp_new(base);
	http->sweep = evtimer_new(base, sweep_fired, http);
	assert(http->evhttp && http->sweep);
	evhttp_set_max_headers_size(http->evhttp, HEADER_BYTES_MAX);
	evhttp_set_max_body_size(http->evhttp, BODY_BYTES_MAX);
	evhttp_set_timeout(http->evhttp, SILENCE_S);
	/* All, so that those we do not serve get 405 from us. */
	evhttp_set_allowed_methods(http->evhttp, UINT16_MAX);
	evhttp_set_bevcb(http->evhttp, visit_begin, http);
	evhttp_set_gencb(http->evhttp, request_came, http);
	if (http_reload(http, config, error))
		return http;
	http_free(http);
	return NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	http_stop_listening(http);
	evhttp_free(http->evhttp);
	LIST_FOREACH_SAFE (link, &http->visits)
		visit_end(LIST_ENTRY(link, struct visit, link));
	event_free(http->sweep);
	free(http->address);
	free(http);
}
