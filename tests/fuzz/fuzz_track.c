/*
 * The queue of owed replies: whatever is sent and whatever a server answers,
 * counts stay consistent and every note comes back exactly once.
 */
#include "core/track.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the program sends. */
static const enum track_op ops[] = {
	TRACK_QUERY,
	TRACK_FUNCTION,
	TRACK_SYNC,
	TRACK_PARSE,
	TRACK_BIND,
	TRACK_EXECUTE,
	TRACK_CLOSE,
	TRACK_COPY_END,
	TRACK_DESCRIBE_PORTAL,
	TRACK_DESCRIBE_STATEMENT,
};

/* Notes under way, and those that came back. */
struct ledger {
	size_t given;
	size_t back;
};

static void drop(void *arg, const struct track_entry *entry)
{
	struct ledger *ledger = arg;

	if (entry->note)
		ledger->back++;
}

static void send_one(struct track *track, uint8_t byte, struct ledger *ledger)
{
	enum track_op op = ops[byte % (sizeof(ops) / sizeof(*ops))];
	unsigned flags = byte & 64 ? TRACK_OURS : 0;
	/* Syncs may be struck out: they carry nothing in the program either. */
	void *note = op == TRACK_SYNC || op == TRACK_COPY_END ? NULL : ledger;

	if ((op == TRACK_PARSE || op == TRACK_CLOSE) && byte & 32)
		flags = TRACK_LOCAL;
	track_push(track, op, flags, note);
	if (note)
		ledger->given++;
}

static void settle(struct track *track, struct ledger *ledger)
{
	struct track_entry entry;
	char reply;

	while (track_take_skipped(track, &entry))
		drop(ledger, &entry);
	while (track_take_local(track, &entry, &reply)) {
		if (reply != '1' && reply != '3')
			abort();
		drop(ledger, &entry);
	}
}

static bool ends_unit(uint8_t op)
{
	return op == TRACK_QUERY || op == TRACK_FUNCTION || op == TRACK_SYNC;
}

/* False when the server must be closed. */
static bool answer_one(struct track *track, uint8_t byte, struct ledger *ledger)
{
	static const char types[] = "123CDEGHITVWZcdnst";
	char type = types[byte % (sizeof(types) - 1)];
	size_t owed = track_owed(track);
	struct track_result result = track_reply(track, (uint8_t)type);
	bool has_left = result.is_done ||
			(result.is_failed && !ends_unit(result.entry.op));

	if (result.verdict == TRACK_BROKEN)
		return false;
	if (type != 'G' && has_left != (track_owed(track) < owed))
		abort();
	if (has_left)
		drop(ledger, &result.entry);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct track *track = track_new();
	struct ledger ledger = { 0, 0 };

	for (size_t i = 0; i < size; i++) {
		if (data[i] & 128)
			send_one(track, data[i], &ledger);
		else if (!answer_one(track, data[i], &ledger))
			break;
		settle(track, &ledger);
		if (track_units(track) > track_owed(track))
			abort();
		if (track_is_idle(track) &&
		    (track_owed(track) > 0 || track_is_copy_in(track) ||
		     track_is_batch_open(track)))
			abort();
	}
	track_free(track, drop, &ledger);
	if (ledger.given != ledger.back)
		abort();
	return 0;
}
