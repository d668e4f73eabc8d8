#ifndef PGWEIR_PROXY_HUB_PARTS_H
#define PGWEIR_PROXY_HUB_PARTS_H

/*
 * The inside of a hub, for the two rooms that it is made of: hub (what it is
 * asked for, its life) and hub_link (its connection).
 */
#include "base/list.h"
#include "base/strmap.h"
#include "base/wheel.h"
#include "proxy/server_types.h"

#include <stdbool.h>
#include <stdint.h>

struct hub_login;
struct local;
struct mail_hub;
struct metrics_cell;
struct server;

enum hub_state {
	HUB_DOWN,    /* no connection; the timer opens one */
	HUB_OPENING, /* up to the end of the first statements */
	HUB_UP
};

struct hub_channel {
	unsigned references;
	unsigned by_worker[];
};

struct hub {
	struct local *local;
	struct metrics_cell *cell; /* METRICS_DATABASE */
	char *key;
	char *database;
	char *encoding;
	struct hub_login *login;
	enum hub_state state;

	struct server_site site;
	char *label;
	char *host;
	struct server *server;
	struct list jobs;    /* sent, oldest first */
	struct list wants;   /* until it is up */
	struct list waiting; /* for the barrier after the one under way */
	struct list passing; /* for that one */
	bool has_erred;      /* the oldest job */
	bool has_been_up;
	bool is_silent; /* no word of the server since the last look */
	unsigned failures;
	struct wheel_timer timer; /* to connect again; to look at it */
	uint64_t unused_us;       /* since when nobody listens */
	struct strmap *channels;  /* name -> struct hub_channel */
};

static inline bool hub_is_unused(const struct hub *hub)
{
	return strmap_count(hub->channels) == 0 && list_is_empty(&hub->wants);
}

/* While it is down: until the next attempt; else until the next look. */
void hub_set_timer(struct hub *hub, uint64_t span_us);

/* --- hub_link --- */

/* A hub that is down begins to connect. */
void hub_link_open(struct hub *hub);
/* For good: closes, tells those who wait, frees what belongs to it. */
void hub_link_close(struct hub *hub);
/*
 * Listens to the channels of the mail and sends the token, now or when the
 * hub is up; takes the channels.
 */
void hub_link_want(struct hub *hub, struct mail_hub *mail);
/* Nobody waits for the next attempt to connect. */
void hub_link_fail_wants(struct hub *hub);
void hub_link_barrier(struct hub *hub, const struct mail_hub *mail);
/* One more statement, if there is a connection; takes the text. */
void hub_link_say(struct hub *hub, struct buf *sql);
/*
 * The timer of a hub that is not down: a server that does not answer is
 * closed, and one that is not asked anything is asked whether it is there.
 */
void hub_link_check(struct hub *hub);
/* The node, of the snapshot, that is the primary of the database; or -1. */
int hub_link_primary(const struct hub *hub);

#endif
