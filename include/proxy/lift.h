#ifndef PGWEIR_PROXY_LIFT_H
#define PGWEIR_PROXY_LIFT_H

/*
 * What a session that listens does around its units, step by step; for
 * session_listen alone.
 */
#include "core/sqlfacts.h"
#include "proxy/ears.h"
#include "proxy/session_parts.h"

#include <stdbool.h>
#include <stdint.h>

struct channels;
struct pgwire_message;
struct wheel_timer;

/* The server itself listens for the session. */
static inline bool lift_is_native(const struct session *session)
{
	return (session->pins & EFFECT_LISTEN) != 0;
}

/* May the statement look at, or change, what the session listens to? */
bool lift_concerns(struct sqlclass class);

/* Behind a unit, the server idle: does what is due. */
void lift_begin(struct ear *ear);
/* In front of a unit: the server listens to what the session hears. */
void lift_show(struct ear *ear);
/* The same, but first the hub catches up; the unit waits (EAR_AHEAD). */
void lift_await_news(struct ear *ear);

/* In front of a plain read, which does not wait: only its end does. */
void lift_ask_for_news(struct ear *ear);

/* What the server tells of what it was asked. */
void lift_take_row(struct ear *ear, const struct pgwire_message *message);
void lift_take_answer(struct ear *ear, bool ok);
/* The server has told a token. */
void lift_take_token_here(struct ear *ear, const char *payload);
/* The hub's answers to the last request. */
void lift_take_token(struct ear *ear, bool ok);
void lift_take_barrier(struct ear *ear);
/* Of the ear. */
void lift_out_of_time(struct wheel_timer *timer);

/* No longer heard, and the hub knows. */
void lift_remove_all(struct ear *ear, const struct channels *channels);

#endif
