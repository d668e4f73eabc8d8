#ifndef PGWEIR_CORE_TRACK_H
#define PGWEIR_CORE_TRACK_H

/*
 * What a server owes: a queue of everything that was sent to it and not yet
 * answered, oldest first, each entry naming the unit (and so the session)
 * that it belongs to.  Tells for each reply what to do with it, and knows
 * when the protocol state is proved idle (PostgreSQL docs, "Message Flow").
 * Pure: sees message types, moves no bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was sent. */
enum track_op {
	TRACK_QUERY,
	TRACK_FUNCTION,
	TRACK_SYNC,
	TRACK_PARSE,
	TRACK_BIND,
	TRACK_DESCRIBE_STATEMENT,
	TRACK_DESCRIBE_PORTAL,
	TRACK_EXECUTE,
	TRACK_CLOSE,
	TRACK_COPY_DATA, /* one mark for any number in a row */
	TRACK_COPY_END,  /* CopyDone or CopyFail */
	TRACK_STRUCK     /* was a Sync, that COPY has read over */
};

enum track_flag {
	TRACK_OURS = 1,    /* sent on our account: its replies are swallowed */
	TRACK_LOCAL = 2,   /* never sent: its reply is made here, in order */
	TRACK_SKIPPED = 4, /* of a result: the server has read over it */
	TRACK_ASKED = 8,  /* of ours: may fail, its rows and outcome are told */
	TRACK_QUIET = 16, /* of ours: so are its errors, which may come */
	/*
	 * A Query with text of ours behind the client's one statement: what
	 * comes after its tag is swallowed, but for errors.
	 */
	TRACK_TAILED = 32,
	TRACK_IN_TAIL = 64 /* ... and the tag has come */
};

struct track_entry {
	uint8_t op;    /* enum track_op */
	uint8_t flags; /* bits of enum track_flag */
	void *note;    /* the owner's; comes back when done or dropped */
};

/* What to do with a reply. */
enum track_verdict {
	TRACK_FORWARD, /* to the client */
	TRACK_SWALLOW, /* it answers something of ours */
	TRACK_BROKEN   /* not a reply that may come now: close the server */
};

/* What a reply did to the queue. */
struct track_result {
	enum track_verdict verdict;
	bool is_done;   /* entry was answered and left the queue */
	bool is_failed; /* an error: the rest of the batch will be skipped */
	struct track_entry entry; /* that the reply belonged to */
};

struct track;

struct track *track_new(void);

/* Hands every note still queued to drop (may be NULL), then frees. */
void track_free(struct track *track,
		void (*drop)(void *arg, const struct track_entry *entry),
		void *arg);

/* Appends; the message has been (or will be, in this order) sent. */
void track_push(struct track *track, enum track_op op, unsigned flags,
		void *note);

/*
 * Judges a reply of a type that belongs to the queue: everything but
 * notices, ParameterStatus and NotificationResponse.  After is_failed the
 * caller takes the skipped entries out by track_take_skipped.
 */
struct track_result track_reply(struct track *track, uint8_t type);

/*
 * The next entry that the server does not answer: after an error whatever
 * stands in front of the Sync that ends the batch, and a Sync that was struck
 * out.  False when an answer to the next will come.
 */
bool track_take_skipped(struct track *track, struct track_entry *entry);

/*
 * When the oldest entry is a local one, takes it out and says which reply to
 * make: '1', '3', ...
 */
bool track_take_local(struct track *track, struct track_entry *entry,
		      char *reply);

/* Does the next reply belong to an entry with TRACK_ASKED? */
bool track_is_asked(const struct track *track);
/* ... to a Describe with a note? */
bool track_is_noted_describe(const struct track *track);

/* What is owed, the oldest being 0; NULL behind the newest. */
const struct track_entry *track_at(const struct track *track, size_t index);

/* Is the oldest entry a local one, or will it be skipped? */
bool track_has_news(const struct track *track);

/* Nothing owed, no batch open, no COPY: the last ReadyForQuery counts. */
bool track_is_idle(const struct track *track);

/* A batch has failed: up to its Sync everything is skipped. */
bool track_is_skipping(const struct track *track);

/* A batch of the extended protocol has begun and its Sync is still to come. */
bool track_is_batch_open(const struct track *track);

/* The server reads COPY data: what the client sends now is not a unit. */
bool track_is_copy_in(const struct track *track);

/* Units (Query, FunctionCall, Sync) without their ReadyForQuery, ours too. */
size_t track_units(const struct track *track);
size_t track_owed(const struct track *track);

/* Reply types that may come at any time and leave the queue alone. */
bool track_is_async(uint8_t type);

const char *track_op_name(enum track_op op);

#endif
