/*
 * Epochs of databases' schemas, interned by name.
 *
 * All numbers come from one counter, so that an epoch which nobody held any
 * more, and which is opened anew, is not taken for what it was before.
 *
 * Refuses to know what has changed: everything learned before is doubtful.
 * Any thread; reading is one relaxed load, since what it guards is only ever
 * a guess that the server confirms.
 */
#include "core/epoch.h"

#include "base/util.h"
#include "core/intern.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct epoch {
	struct intern_item item; /* its bytes are the name */
	_Atomic uint64_t now;
	_Atomic uint64_t redefined_us;
	_Atomic uint64_t hidden_us;
	_Atomic bool has_sequence_readers;
	_Atomic bool has_tied_blocks;
	char name[];
};

static struct intern_table epochs = INTERN_TABLE_INIT;
static _Atomic uint64_t last;

static struct epoch *epoch_of(struct intern_item *item)
{
	return (struct epoch *)(void *)((char *)item -
					offsetof(struct epoch, item));
}

static struct epoch *epoch_new(const char *dbname)
{
	size_t len = strlen(dbname);
	struct epoch *epoch = xcalloc(1, sizeof(*epoch) + len + 1);

	memcpy(epoch->name, dbname, len + 1);
	epoch->item.data = epoch->name;
	epoch->item.len = len;
	atomic_init(&epoch->now, atomic_fetch_add(&last, 1) + 1);
	return epoch;
}

struct epoch *epoch_open(const char *dbname)
{
	struct intern_item *found =
		intern_find(&epochs, dbname, strlen(dbname));
	struct epoch *fresh;

	if (found)
		return epoch_of(found);
	fresh = epoch_new(dbname);
	found = intern_add(&epochs, &fresh->item);
	if (found != &fresh->item)
		free(fresh);
	return epoch_of(found);
}

struct epoch *epoch_hold(struct epoch *epoch)
{
	intern_hold(&epoch->item);
	return epoch;
}

void epoch_release(struct epoch *epoch)
{
	if (intern_drop(&epochs, &epoch->item))
		free(epoch);
}

uint64_t epoch_now(const struct epoch *epoch)
{
	return atomic_load_explicit(&epoch->now, memory_order_relaxed);
}

void epoch_advance(struct epoch *epoch)
{
	atomic_store(&epoch->now, atomic_fetch_add(&last, 1) + 1);
}

void epoch_advance_of(const char *dbname)
{
	struct intern_item *found =
		intern_find(&epochs, dbname, strlen(dbname));

	if (!found)
		return;
	epoch_advance(epoch_of(found));
	epoch_release(epoch_of(found));
}

/* Times of several threads may come in any order; the latest one stays. */
static uint64_t keep_latest(_Atomic uint64_t *time, uint64_t now_us)
{
	uint64_t before = atomic_load(time);

	while (before < now_us &&
	       !atomic_compare_exchange_weak(time, &before, now_us))
		continue;
	return before;
}

/* It must not be forgotten: like a reader, it holds the epoch for ever. */
void epoch_redefine(struct epoch *epoch, uint64_t now_us)
{
	if (keep_latest(&epoch->redefined_us, now_us) == 0)
		(void)epoch_hold(epoch);
}

/* An epoch that nobody holds knows of no statement. */
void epoch_note_hidden(struct epoch *epoch, uint64_t now_us)
{
	(void)keep_latest(&epoch->hidden_us, now_us);
}

uint64_t epoch_hidden_us(const struct epoch *epoch)
{
	return atomic_load_explicit(&epoch->hidden_us, memory_order_relaxed);
}

uint64_t epoch_redefined_us(const struct epoch *epoch)
{
	return atomic_load(&epoch->redefined_us);
}

bool epoch_outdates(const struct epoch *epoch, uint64_t as_of_us)
{
	uint64_t since_us = epoch_redefined_us(epoch);

	return since_us != 0 && as_of_us <= since_us;
}

bool epoch_outdates_of(const char *dbname, uint64_t as_of_us)
{
	struct intern_item *found =
		intern_find(&epochs, dbname, strlen(dbname));
	bool is_outdated;

	if (!found)
		return false;
	is_outdated = epoch_outdates(epoch_of(found), as_of_us);
	epoch_release(epoch_of(found));
	return is_outdated;
}

/* The reference that is taken here is never given back. */
void epoch_note_sequence_reader(struct epoch *epoch)
{
	if (!atomic_exchange(&epoch->has_sequence_readers, true))
		(void)epoch_hold(epoch);
}

bool epoch_has_sequence_readers(const struct epoch *epoch)
{
	return atomic_load_explicit(&epoch->has_sequence_readers,
				    memory_order_relaxed);
}

void epoch_note_tied_block(struct epoch *epoch)
{
	if (!atomic_exchange(&epoch->has_tied_blocks, true))
		(void)epoch_hold(epoch);
}

bool epoch_has_tied_blocks(const struct epoch *epoch)
{
	return atomic_load_explicit(&epoch->has_tied_blocks,
				    memory_order_relaxed);
}
