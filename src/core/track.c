/*
 * The queue of owed replies.
 *
 * A ring of entries.  Each op has a row that says which reply types it may
 * get and which of them ends it; an error ends a unit of the simple protocol
 * only at its ReadyForQuery, and makes the server skip the rest of a batch
 * of the extended protocol up to its Sync.
 *
 * COPY ... FROM STDIN: while the server reads COPY data it ignores Sync
 * (PostgreSQL, copyfromparse.c), so a Sync that was sent between Execute and
 * CopyDone will never be answered.  CopyDone is therefore queued too, as the
 * mark up to which Syncs are struck out.
 *
 * Bad data ends a COPY before what was sent behind it is read: then a Sync
 * is answered after all.  Nothing in the replies tells whether it was, so a
 * COPY that fails with a Sync behind its data breaks the connection.  Any
 * other message but CopyData and its end is never read in a COPY by a server
 * that lives on (it would be FATAL): what stands behind it is read as usual.
 *
 * Invariant: count <= room, a power of two; the entries live in
 * ring[(first + i) % room].
 */
#include "core/track.h"

#include "base/util.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

struct track {
	struct track_entry *ring;
	size_t room;
	size_t first;
	size_t count;
	size_t units;
	bool is_skipping;   /* an error in a batch: up to its Sync */
	bool is_batch_open; /* the newest entries await their Sync */
	bool is_copy_in;
	bool has_copy_data; /* of this COPY: its data may have failed */
	bool is_doubtful;   /* should it fail, no one knows what is read */
	bool is_begun;      /* the oldest entry has had a reply */
};

/* legal: replies that may come and leave the op open; done: that end it. */
static const struct {
	const char *name;
	const char *legal;
	const char *done;
	char local;
} ops[] = {
	[TRACK_QUERY] = { "Query", "TDCIGHdcEn", "Z", 0 },
	[TRACK_FUNCTION] = { "FunctionCall", "VE", "Z", 0 },
	[TRACK_SYNC] = { "Sync", "E", "Z", 0 },
	[TRACK_PARSE] = { "Parse", "", "1", '1' },
	[TRACK_BIND] = { "Bind", "", "2", 0 },
	[TRACK_DESCRIBE_STATEMENT] = { "Describe statement", "t", "Tn", 0 },
	[TRACK_DESCRIBE_PORTAL] = { "Describe portal", "", "Tn", 0 },
	[TRACK_EXECUTE] = { "Execute", "TDGHdc", "CIs", 0 },
	[TRACK_CLOSE] = { "Close", "", "3", '3' },
	[TRACK_COPY_DATA] = { "CopyData", "", "", 0 },
	[TRACK_COPY_END] = { "CopyDone", "", "", 0 },
	[TRACK_STRUCK] = { "Sync in COPY", "", "", 0 },
};

struct track *track_new(void)
{
	return xcalloc(1, sizeof(struct track));
}

static struct track_entry *entry_at(const struct track *track, size_t index)
{
	assert(index < track->count);
	return &track->ring[(track->first + index) & (track->room - 1)];
}

static bool ends_unit(enum track_op op)
{
	return op == TRACK_QUERY || op == TRACK_FUNCTION || op == TRACK_SYNC;
}

static bool is_mark(enum track_op op)
{
	return op == TRACK_COPY_DATA || op == TRACK_COPY_END;
}

static struct track_entry drop_first(struct track *track)
{
	struct track_entry entry = *entry_at(track, 0);

	track->is_begun = false;
	track->first = (track->first + 1) & (track->room - 1);
	track->count--;
	if (ends_unit(entry.op))
		track->units--;
	return entry;
}

/* Marks are no requests: they leave silently when their turn has come. */
static struct track_entry take_first(struct track *track)
{
	struct track_entry entry = drop_first(track);

	while (track->count > 0 && is_mark(entry_at(track, 0)->op))
		(void)drop_first(track);
	return entry;
}

void track_free(struct track *track,
		void (*drop)(void *arg, const struct track_entry *entry),
		void *arg)
{
	if (!track)
		return;
	while (track->count > 0) {
		struct track_entry entry = drop_first(track);

		if (drop)
			drop(arg, &entry);
	}
	free(track->ring);
	free(track);
}

static void grow(struct track *track)
{
	size_t room = track->room ? track->room * 2 : FIRST_ROOM;
	struct track_entry *ring = xmalloc(room * sizeof(*ring));

	for (size_t i = 0; i < track->count; i++)
		ring[i] = *entry_at(track, i);
	free(track->ring);
	track->ring = ring;
	track->room = room;
	track->first = 0;
}

static bool has_sync(const struct track *track)
{
	for (size_t i = 0; i < track->count; i++)
		if (entry_at(track, i)->op == TRACK_SYNC)
			return true;
	return false;
}

/* What the newest entry makes of the batch. */
static void note_batch(struct track *track, enum track_op op)
{
	/* Until the Sync even a Query is skipped, and ends nothing. */
	if (op == TRACK_SYNC ||
	    (ends_unit(op) && (!track->is_skipping || has_sync(track))))
		track->is_batch_open = false;
	else if (!is_mark(op))
		track->is_batch_open = true;
}

/* What is sent while the server reads COPY data; true when it is no entry. */
static bool push_into_copy(struct track *track, enum track_op op)
{
	if (op == TRACK_COPY_DATA)
		track->has_copy_data = true;
	else if (op != TRACK_SYNC)
		track->is_copy_in = false;
	else if (track->has_copy_data)
		track->is_doubtful = true;
	return is_mark(op) || op == TRACK_SYNC;
}

/* A mark is for data that was sent ahead of the server's 'G'. */
static bool needs_no_mark(const struct track *track, enum track_op op)
{
	return is_mark(op) &&
	       (track->count == 0 ||
		(op == TRACK_COPY_DATA &&
		 entry_at(track, track->count - 1)->op == TRACK_COPY_DATA));
}

void track_push(struct track *track, enum track_op op, unsigned flags,
		void *note)
{
	if (track->is_copy_in && push_into_copy(track, op))
		return;
	if (needs_no_mark(track, op))
		return;
	assert(!(flags & TRACK_LOCAL) || ops[op].local != 0);
	if (track->count == track->room)
		grow(track);
	track->count++;
	*entry_at(track, track->count - 1) =
		(struct track_entry){ (uint8_t)op, (uint8_t)flags, note };
	if (ends_unit(op))
		track->units++;
	note_batch(track, op);
}

/* What was sent behind a COPY that has just begun; false: it goes. */
static bool keep_in_copy(struct track *track, struct track_entry *entry)
{
	bool is_sync = entry->op == TRACK_SYNC;

	if (!track->is_copy_in)
		return true;
	assert(!(is_sync && entry->note));
	if (push_into_copy(track, entry->op) && !is_sync)
		return false;
	if (is_sync) {
		entry->op = TRACK_STRUCK;
		track->units--;
	}
	return true;
}

/*
 * The oldest entry began to read COPY data: Syncs sent behind it, before the
 * end of the data, are ignored by the server.  The batch that they were to
 * end is open again, unless another Sync was sent behind the data.
 */
static void begin_copy_in(struct track *track)
{
	bool is_batch = entry_at(track, 0)->op == TRACK_EXECUTE;
	size_t kept = 1;

	track->is_copy_in = true;
	track->has_copy_data = false;
	track->is_doubtful = false;
	for (size_t i = 1; i < track->count; i++) {
		struct track_entry entry = *entry_at(track, i);

		if (keep_in_copy(track, &entry))
			*entry_at(track, kept++) = entry;
	}
	track->count = kept;
	if (is_batch && !has_sync(track))
		track->is_batch_open = true;
}

static enum track_verdict verdict_for(const struct track_entry *entry)
{
	return entry->flags & TRACK_OURS ? TRACK_SWALLOW : TRACK_FORWARD;
}

static struct track_result broken(void)
{
	return (struct track_result){ .verdict = TRACK_BROKEN };
}

static struct track_result reply_error(struct track *track)
{
	struct track_entry *entry = entry_at(track, 0);
	struct track_result result = { verdict_for(entry), false, true,
				       *entry };

	if (track->is_doubtful)
		return broken();
	track->is_copy_in = false;
	track->is_begun = true;
	if (!ends_unit(entry->op)) {
		/* Our own message in the client's batch: it fails the batch. */
		if (!(entry->flags & TRACK_QUIET))
			result.verdict = TRACK_FORWARD;
		result.entry = take_first(track);
		track->is_skipping = true;
		/* A Query behind it is skipped: the Sync is still to come. */
		if (!has_sync(track))
			track->is_batch_open = true;
	}
	return result;
}

/* The sets are short, and their first is the one that comes most. */
static inline bool is_among(const char *set, uint8_t type)
{
	while (*set != '\0' && (uint8_t)*set != type)
		set++;
	return *set != '\0';
}

struct track_result track_reply(struct track *track, uint8_t type)
{
	struct track_entry *entry;
	struct track_result result;

	if (track->count == 0 || type == 0)
		return broken();
	entry = entry_at(track, 0);
	result = (struct track_result){ verdict_for(entry), false, false,
					*entry };
	if (entry->flags & TRACK_LOCAL)
		return broken();
	if (type == 'E')
		return reply_error(track);
	/* No query ends without a word: this answers something else. */
	if (type == 'Z' && entry->op != TRACK_SYNC && !track->is_begun)
		return broken();
	if (is_among(ops[entry->op].done, type)) {
		result.is_done = true;
		if (ends_unit(entry->op))
			track->is_skipping = false;
		track->is_copy_in = false;
		track->is_doubtful = false;
		(void)take_first(track);
		return result;
	}
	if (!is_among(ops[entry->op].legal, type))
		return broken();
	track->is_begun = true;
	if (entry->flags & TRACK_IN_TAIL)
		result.verdict = TRACK_SWALLOW;
	else if (type == 'C' && (entry->flags & TRACK_TAILED))
		entry->flags |= TRACK_IN_TAIL;
	if (type == 'C')
		track->is_doubtful = false;
	if (type == 'G')
		begin_copy_in(track);
	return result;
}

bool track_take_skipped(struct track *track, struct track_entry *entry)
{
	enum track_op op;

	if (track->count == 0)
		return false;
	op = entry_at(track, 0)->op;
	if (op != TRACK_STRUCK && (!track->is_skipping || op == TRACK_SYNC))
		return false;
	*entry = take_first(track);
	entry->flags |= TRACK_SKIPPED;
	return true;
}

bool track_take_local(struct track *track, struct track_entry *entry,
		      char *reply)
{
	if (track->is_skipping || track->count == 0 ||
	    !(entry_at(track, 0)->flags & TRACK_LOCAL))
		return false;
	*entry = take_first(track);
	*reply = ops[entry->op].local;
	return true;
}

bool track_is_asked(const struct track *track)
{
	return track->count > 0 && (entry_at(track, 0)->flags & TRACK_ASKED);
}

const struct track_entry *track_at(const struct track *track, size_t index)
{
	return index < track->count ? entry_at(track, index) : NULL;
}

static bool is_describe(uint8_t op)
{
	return op == TRACK_DESCRIBE_STATEMENT || op == TRACK_DESCRIBE_PORTAL;
}

bool track_is_noted_describe(const struct track *track)
{
	const struct track_entry *first;

	if (track->count == 0)
		return false;
	first = entry_at(track, 0);
	return first->note && is_describe(first->op);
}

bool track_has_news(const struct track *track)
{
	if (track->count == 0)
		return false;
	return track->is_skipping || entry_at(track, 0)->op == TRACK_STRUCK ||
	       entry_at(track, 0)->op == TRACK_COPY_END ||
	       (entry_at(track, 0)->flags & TRACK_LOCAL);
}

bool track_is_idle(const struct track *track)
{
	return track->count == 0 && !track->is_batch_open &&
	       !track->is_copy_in && !track->is_skipping;
}

bool track_is_skipping(const struct track *track)
{
	return track->is_skipping;
}

bool track_is_batch_open(const struct track *track)
{
	return track->is_batch_open;
}

bool track_is_copy_in(const struct track *track)
{
	return track->is_copy_in;
}

size_t track_units(const struct track *track)
{
	return track->units;
}

size_t track_owed(const struct track *track)
{
	return track->count;
}

bool track_is_async(uint8_t type)
{
	return type == 'N' || type == 'S' || type == 'A';
}

const char *track_op_name(enum track_op op)
{
	return ops[op].name;
}
