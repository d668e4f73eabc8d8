#ifndef PGWEIR_CONTROL_PROBE_H
#define PGWEIR_CONTROL_PROBE_H

/*
 * One kept connection to one node, over which it is asked what it is and
 * where it stands in the WAL.  libpq without blocking, on the event loop of
 * the main thread.
 */
#include "control/probe_text.h"
#include "core/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct event_base;
struct probe;

enum probe_outcome {
	PROBE_ANSWERED, /* the facts hold */
	PROBE_REFUSED,  /* a server answers but does not let us in */
	PROBE_FAILED    /* nothing that could serve anybody */
};

struct probe_report {
	enum probe_outcome outcome;
	struct probe_facts facts;
	char reason[160];   /* why it was not answered, one line */
	char sqlstate[6];   /* of a refusal by the server, else "" */
	bool is_timeout;    /* failed since nothing came in time */
	bool is_connecting; /* failed or refused before the question */
	uint64_t sent_us;   /* when the question was sent */
	uint64_t done_us;   /* when this report was made */
};

/* Where and as whom; strings are copied. */
struct probe_target {
	const struct config_node *node;
	const struct config_settings *settings; /* TLS to servers */
	const char *user;
	const char *password; /* NULL: none */
	const char *dbname;
};

/*
 * done is called once for each probe_start(), from the event loop, never
 * from inside probe_start(); it may call anything here but probe_free().
 */
typedef void probe_done_fn(void *arg, const struct probe_report *report);

/* lost (may be NULL) tells that the kept connection broke while idle. */
struct probe *probe_new(struct event_base *base, probe_done_fn *done,
			void (*lost)(void *arg), void *arg);

/* Closes the connection; a question under way gets no report. */
void probe_free(struct probe *probe);

/* Sets the target; a connection to a different one is closed. */
void probe_aim(struct probe *probe, const struct probe_target *target);

/*
 * The address of the node, from the resolver; len 0: not known.  A
 * kept connection to another address is closed, one under way goes on.
 */
void probe_set_address(struct probe *probe, const struct sockaddr *address,
		       socklen_t len);

/*
 * Asks, connecting first where needed, and reports within timeout_us.
 * Nothing happens while a question is under way.
 */
void probe_start(struct probe *probe, uint64_t timeout_us);

/* Closes the kept connection while nothing is asked over it. */
void probe_rest(struct probe *probe);
/*
 * The same for the position alone, which costs the server little.  Over a
 * connection that is new, or when the role has changed, it is a full one.
 */
void probe_start_quick(struct probe *probe, uint64_t timeout_us);

bool probe_is_busy(const struct probe *probe);

/* Microseconds (monotonic) of the last start; 0 never. */
uint64_t probe_started_us(const struct probe *probe);

#endif
