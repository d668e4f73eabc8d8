#ifndef PGWEIR_TESTS_TRACK_LETTERS_H
#define PGWEIR_TESTS_TRACK_LETTERS_H

/*
 * What is sent to a server and what it replies, a letter each, for the tests
 * of core/track.  The including file has cmocka.h.
 */
#include "core/track.h"

/* One letter for what is sent, in the words of the protocol where it has. */
static inline enum track_op op_of(char letter)
{
	switch (letter) {
	case 'Q': return TRACK_QUERY;
	case 'F': return TRACK_FUNCTION;
	case 'S': return TRACK_SYNC;
	case 'P': return TRACK_PARSE;
	case 'B': return TRACK_BIND;
	case 't': return TRACK_DESCRIBE_STATEMENT;
	case 'D': return TRACK_DESCRIBE_PORTAL;
	case 'E': return TRACK_EXECUTE;
	case 'C': return TRACK_CLOSE;
	case 'd': return TRACK_COPY_DATA;
	case 'x': return TRACK_STRUCK;
	default: break;
	}
	assert_int_equal(letter, 'c');
	return TRACK_COPY_END;
}

static inline void push(struct track *track, const char *letters)
{
	for (; *letters; letters++)
		track_push(track, op_of(*letters), 0, NULL);
}

/* Replies that are the client's and leave their entry open. */
static inline void pass(struct track *track, const char *types)
{
	for (; *types; types++) {
		struct track_result result =
			track_reply(track, (uint8_t)*types);

		assert_int_equal(result.verdict, TRACK_FORWARD);
		assert_false(result.is_done);
		assert_false(result.is_failed);
	}
}

/* Each reply ends its entry. */
static inline void finish(struct track *track, const char *types)
{
	for (; *types; types++) {
		struct track_result result =
			track_reply(track, (uint8_t)*types);

		assert_int_equal(result.verdict, TRACK_FORWARD);
		assert_true(result.is_done);
		assert_false(result.is_failed);
	}
}

static inline void fail_with_error(struct track *track, enum track_op op)
{
	struct track_result result = track_reply(track, 'E');

	assert_int_equal(result.verdict, TRACK_FORWARD);
	assert_true(result.is_failed);
	assert_false(result.is_done);
	assert_int_equal(result.entry.op, op);
}

static inline void assert_broken(struct track *track, const char *types)
{
	for (; *types; types++) {
		struct track_result result =
			track_reply(track, (uint8_t)*types);

		assert_int_equal(result.verdict, TRACK_BROKEN);
		assert_false(result.is_done);
	}
}

/* Takes out what the server skips; the letters are what it must be. */
static inline void skip_all(struct track *track, const char *letters)
{
	struct track_entry entry;

	for (; *letters; letters++) {
		assert_true(track_take_skipped(track, &entry));
		assert_int_equal(entry.op, op_of(*letters));
	}
	assert_false(track_take_skipped(track, &entry));
}

#endif
