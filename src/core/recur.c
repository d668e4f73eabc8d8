/*
 * A table of places, one for each hash of a statement's number.  Who comes to
 * a place that another one has takes a use away from him, and the place once
 * none is left: what comes often stays, and texts that come once (those with
 * their values in them) pass by.
 *
 * Uses count for the second in which they were, half of them for the next
 * one.  What is remembered is bounded by PLACES texts of TEXT_MAX bytes.
 */
#include "core/recur.h"

#include "base/util.h"
#include "core/stmtmap.h"

#include <stdlib.h>

enum { PLACES = 512, TEXT_MAX = 8 * 1024, USES_MAX = 64 };

#define WINDOW_US UINT64_C(1000000)

struct place {
	struct stmt *stmt; /* NULL: free */
	unsigned uses;
	uint64_t since_us;
};

struct recur {
	struct place places[PLACES];
};

struct recur *recur_new(void)
{
	return xcalloc(1, sizeof(struct recur));
}

void recur_free(struct recur *recur)
{
	if (!recur)
		return;
	for (unsigned i = 0; i < PLACES; i++)
		if (recur->places[i].stmt)
			stmt_release(recur->places[i].stmt);
	free(recur);
}

static struct place *place_of(struct recur *recur, const struct stmt *stmt)
{
	/* Numbers are given out in sequence: neighbours do not meet. */
	return &recur->places[stmt_id(stmt) % PLACES];
}

static void age(struct place *place, uint64_t now_us)
{
	uint64_t age_us = now_us - place->since_us;

	if (now_us < place->since_us || age_us < WINDOW_US)
		return;
	place->uses = age_us < 2 * WINDOW_US ? place->uses / 2 : 0;
	place->since_us = now_us;
}

static void settle_in(struct place *place, struct stmt *stmt, uint64_t now_us)
{
	if (place->stmt)
		stmt_release(place->stmt);
	*place = (struct place){ stmt_hold(stmt), 1, now_us };
}

unsigned recur_note(struct recur *recur, struct stmt *stmt, uint64_t now_us,
		    bool (*fits)(const struct stmt *stmt))
{
	struct place *place = place_of(recur, stmt);
	size_t len;

	age(place, now_us);
	if (place->stmt == stmt) {
		if (place->uses < USES_MAX)
			place->uses++;
		return place->uses;
	}
	(void)stmt_tail(stmt, &len);
	if (len > TEXT_MAX || !fits(stmt))
		return 0;
	if (place->uses > 0)
		place->uses--;
	if (place->uses == 0)
		settle_in(place, stmt, now_us);
	return 1;
}
