#ifndef PGWEIR_CORE_METRICS_PAGE_H
#define PGWEIR_CORE_METRICS_PAGE_H

/*
 * What the page of metrics shows beside the cells: facts that the main
 * thread has at hand or samples when the page is asked for.
 */
#include <stdbool.h>
#include <stdint.h>

struct config;
struct topology;

/* Of this process, from /proc/self. */
struct metrics_process {
	uint64_t cpu_us; /* user and system */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
};

/* All borrowed for the call. */
struct metrics_page {
	const char *version;
	const char *commit; /* NULL: not known */
	uint64_t now_us;    /* monotonic */
	uint64_t started_wall_us;
	bool reload_ok;              /* the last one; true before the first */
	uint64_t reload_ok_wall_us;  /* when one last succeeded */
	const struct config *config; /* NULL: no page about nodes */
	const struct topology *topology; /* NULL: nothing known yet */
	struct metrics_process process;
	uint64_t client_cert_expires_s; /* since 1970; 0: no certificate */
	uint64_t server_cert_expires_s;
	unsigned dns_names;   /* kept by the resolver */
	unsigned dns_queries; /* under way */
	/* What operators have done to a database; NULL: nothing. */
	bool (*is_paused)(void *arg, const char *database);
	bool (*is_disabled)(void *arg, const char *database);
	void *arg;
};

#endif
