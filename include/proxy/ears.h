#ifndef PGWEIR_PROXY_EARS_H
#define PGWEIR_PROXY_EARS_H

/*
 * What a session hears from its hub: the channels that it listens to there,
 * and what waits until the client may be told.  A part of the session, for
 * session_listen; the steps below are that room's.
 */
#include "base/buf.h"
#include "base/wheel.h"

#include <stdbool.h>
#include <stdint.h>

struct channels;
struct mail_heard;
struct pgwire_notification;
struct session;
struct strmap;

enum {
	/* A client that leaves so many bytes unread is ended. */
	EAR_UNREAD_MAX = 16 * 1024 * 1024,
	/* A session with more channels keeps its server. */
	EAR_CHANNELS_MAX = 1000
};

/* What the session is waiting for. */
enum ear_step {
	EAR_REST,
	EAR_AHEAD,    /* the hub has caught up, before a unit is sent */
	EAR_LISTING,  /* the server: what it listens to */
	EAR_TOKEN,    /* the token, from the hub and from the server */
	EAR_BARRIER,  /* the hub has caught up */
	EAR_CLEARING, /* the server: it forgets the channel of tokens */
	EAR_LEAVING   /* the server: it listens to nothing any more */
};

/* The hub was asked whether it has caught up when the unit began. */
enum ear_news { EAR_NEWS_NONE, EAR_NEWS_ASKED, EAR_NEWS_HERE };

struct ear {
	struct session *session;
	char *encoding;           /* NULL: has had no hub yet */
	char *hub;                /* its key */
	struct channels *heard;   /* what comes from the hub */
	struct strmap *listeners; /* the same, to struct listener */
	struct buf queue;         /* of the hub, for the client */
	struct buf native;        /* of the server, while it tells, too */
	struct buf late;          /* ParameterStatus: behind all of these */
	size_t queue_mark;        /* where the hub told the token */

	/* session_listen */
	enum ear_step step;
	enum ear_news news;
	struct wheel_timer timer; /* to give up waiting; to try again */
	uint64_t serial;          /* of the last request */
	struct channels *found;   /* what the server listens to */
	struct channels *added;   /* on their way to the hub */
	size_t native_mark;       /* where the server told the token */
	bool is_token_here;       /* the server has told it */
	bool is_token_there;      /* the hub has */
	bool is_holding;          /* a ReadyForQuery */
	bool is_doubtful;         /* channels may have changed on the server */
	bool is_shown;            /* the server listens to all of heard, too */
	bool is_showing;          /* ... is not answered yet */
	bool is_deaf;             /* the hub has not answered in time */
};

struct ear *ear_new(struct session *session);
/* Hears nothing any more; the hub is told by the caller. */
void ear_free(struct ear *ear);

/* The hub's notifications of the channel reach the session; and no more. */
void ear_add(struct ear *ear, const char *channel);
void ear_remove(struct ear *ear, const char *channel);
bool ear_hears(const struct ear *ear, const char *channel);
size_t ear_count(const struct ear *ear);
/* May the client be spoken to, now? */
bool ear_is_open(const struct ear *ear);
/*
 * What is queued goes to the client, but for channels that it left; then
 * what the server alone has told.
 */
void ear_flush(struct ear *ear);
/* What the server has reported; ReadyForQuery comes next. */
void ear_tell_late(struct ear *ear);
/*
 * A notification of the server itself: true when it is kept, or not wanted;
 * false: the client is told at once.
 */
bool ear_keep(struct ear *ear, const struct pgwire_notification *heard);
/*
 * The tokens are here: of what both have told each is queued once, in the
 * order of the server, which has told of all channels.
 */
void ear_merge(struct ear *ear);
/*
 * One more message for the client, now or later.  May end the session, when
 * its client does not read.
 */
void ear_take(struct ear *ear, const struct buf *message);

/* A notification for the sessions of this worker. */
struct local;
void ears_hear(struct local *local, const struct mail_heard *heard);

#endif
