#ifndef PGWEIR_MAIN_HOUSE_PARTS_H
#define PGWEIR_MAIN_HOUSE_PARTS_H

/*
 * What the rooms of main share of the house: for main/house, main/reload
 * and main/page alone.  Fields are NULL or 0 until their room is open, and
 * again when it is closed, so that mail that comes late is not obeyed.  Main
 * thread.
 */
#include "core/metrics.h"
#include "main/command_line.h"
#include "main/stats.h"
#include "proxy/proxy.h"

#include <stdbool.h>
#include <stdint.h>

struct admin;
struct catalogs;
struct daemon_signals;
struct event;
struct event_base;
struct http;
struct listeners;
struct mailbox;
struct monitor;
struct pidfile;
struct resolve;

struct house {
	const struct command_line *line;
	const char *version;
	struct event_base *base;
	struct daemon_signals *signals;
	struct snapshot *snapshot; /* in force */
	struct node_address *addresses;
	struct metrics *metrics;
	struct mailbox *mailbox; /* what workers ask of the main thread */
	struct resolve *resolve;
	struct monitor *monitor;
	struct listeners *listeners;
	struct proxy *proxy; /* NULL until it is built */
	struct http *http;
	struct catalogs *catalogs;
	struct admin *admin;
	struct pidfile *pidfile;
	int verdict; /* of daemon_detach; -1: in the foreground */
	bool is_log_open;
	/* statistics */
	struct event *stats_timer;
	struct stats_sample stats;
	/* for the page of metrics */
	uint64_t started_wall_us;
	uint64_t reload_ok_wall_us;
	bool reload_ok;
	/* reloading: addresses are collected, not posted */
	bool is_reloading;
	/* stopping */
	enum session_shutdown mode;
	struct event *quiet_timer;
	uint64_t hurried_us; /* when everything was told to end now */
};

static inline const struct config *house_config(const struct house *house)
{
	return house->snapshot->config;
}

/* Says where log lines go, and which; false with errno. */
bool house_open_log(struct house *house, const struct config *config);

/* Sets the period of the line of statistics. */
void house_set_stats_period(struct house *house);

#endif
