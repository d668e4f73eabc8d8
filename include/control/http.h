#ifndef PGWEIR_CONTROL_HTTP_H
#define PGWEIR_CONTROL_HTTP_H

/*
 * The stats port: /metrics for Prometheus, /healthz and /readyz for whoever
 * keeps the process running, and a page that lists them.  Read only, no
 * authentication: it belongs on a local or guarded address.  Main thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct config;
struct event_base;
struct http;

/* Called from the event loop while a request is answered. */
struct http_hooks {
	/* True when a primary is reachable; else why not is appended. */
	bool (*ready)(void *arg, struct buf *why);
	void (*metrics)(void *arg, struct buf *out);
	void *arg;
};

/*
 * Listens on stats_addr:stats_port; with port 0 it only waits for a reload.
 * NULL when the address cannot be had; error says why and what to do.
 */
struct http *http_new(struct event_base *base, const struct http_hooks *hooks,
		      const struct config *config, struct buf *error);

/*
 * Moves to another address when the config has one; on failure the old one
 * stays in use, and error says why.
 */
bool http_reload(struct http *http, const struct config *config,
		 struct buf *error);

/* The port in use, 0 when off; for tests with an address of port "any". */
uint16_t http_port(const struct http *http);

void http_free(struct http *http);

#endif
