/*
 * The text is a history, statement by statement, of what has succeeded, so
 * that PostgreSQL itself undoes what savepoints undo, and commits what a chain
 * has committed.  Only what failed differs: a block that had failed, and was
 * ended, was rolled back, and if it had failed outside of any savepoint, the
 * next one of its chain has the modes with which this one began: none, or
 * those of the one before (PostgreSQL, xact.c: what BEGIN and SET TRANSACTION
 * say are settings, which an abort undoes before the modes are saved).
 *
 * Refuses: texts of more than TEXT_MAX in all, deeper savepoints than
 * DEPTH_MAX.
 */
#include "core/blocklog.h"

#include "base/buf.h"
#include "base/util.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 8192, DEPTH_MAX = 32 };

/* A statement that is under way; its text stands in log->sent. */
struct piece {
	size_t len;
	enum blocklog_kind kind;
};

struct blocklog {
	struct buf text;           /* of what has succeeded */
	size_t own_len;            /* ... of the BEGIN alone */
	struct buf sent;           /* texts of what is under way */
	struct buf pieces;         /* struct piece, of the same */
	unsigned done;             /* of the oldest unit, that have succeeded */
	uint64_t names[DEPTH_MAX]; /* of savepoints */
	size_t depth;
	struct sqlbegin modes;
	struct sqlbegin chained; /* modes that it has from the one before */
	bool is_default_committed;
	bool is_open;      /* a block is */
	bool is_chained;   /* ... and not the first of its chain */
	bool has_failed;   /* ... and the block has */
	bool has_read;     /* it has a snapshot */
	bool is_fixed;     /* ... for all of it */
	bool is_bound;     /* to this server, as long as the block lasts */
	bool is_lost;      /* ... and longer */
	bool is_uncertain; /* its level is */
};

struct blocklog *blocklog_new(bool is_committed)
{
	struct blocklog *log = xcalloc(1, sizeof(*log));

	log->is_default_committed = is_committed;
	return log;
}

void blocklog_free(struct blocklog *log)
{
	if (!log)
		return;
	buf_free(&log->text);
	buf_free(&log->sent);
	buf_free(&log->pieces);
	free(log);
}

/* --- the text --------------------------------------------------------------
 */

/* A line comment at the end goes no further than its line. */
static void append(struct buf *into, const void *text, size_t len)
{
	buf_append(into, "\n;", 2);
	buf_append(into, text, len);
}

static void add(struct blocklog *log, const void *text, size_t len)
{
	if (buf_len(&log->text) > 0)
		append(&log->text, text, len);
	else
		buf_append(&log->text, text, len);
}

static void add_text(struct blocklog *log, const char *text)
{
	add(log, text, strlen(text));
}

/* Its terminating zero, of a message's body. */
static size_t trimmed(const char *text, size_t len)
{
	while (text && len > 0 && text[len - 1] == '\0')
		len--;
	return len;
}

bool blocklog_open(struct blocklog *log, const char *text, size_t len,
		   const struct sqlbegin *modes)
{
	len = trimmed(text, len);
	if (buf_len(&log->text) + len + 2 > TEXT_MAX)
		return false;
	add(log, text, len);
	log->own_len = buf_len(&log->text);
	log->is_open = true;
	sqlbegin_add(&log->modes, modes);
	return true;
}

/* --- statements that were sent --------------------------------------------
 */

/* Kinds whose text matters. */
static bool has_text(enum blocklog_kind kind)
{
	return kind == BLOCKLOG_SETTING || kind == BLOCKLOG_BLOCK;
}

void blocklog_push(struct blocklog *log, enum blocklog_kind kind,
		   const char *text, size_t len, const struct buf *tail)
{
	struct piece piece = { .kind = kind };
	size_t before = buf_len(&log->sent);
	size_t more = tail ? buf_len(tail) : 0;

	len = trimmed(text, len);
	if (has_text(kind) &&
	    (!text ||
	     buf_len(&log->text) + before + len + more + 16 > TEXT_MAX))
		piece.kind = BLOCKLOG_LOST;
	if (has_text(piece.kind)) {
		buf_append(&log->sent, text, len);
		if (more > 0)
			append(&log->sent, buf_head(tail), more);
	}
	piece.len = buf_len(&log->sent) - before;
	buf_append(&log->pieces, &piece, sizeof(piece));
}

static size_t count(const struct blocklog *log)
{
	return buf_len(&log->pieces) / sizeof(struct piece);
}

/* The oldest; its text is the first of log->sent. */
static struct piece first(const struct blocklog *log)
{
	const void *oldest = buf_head(&log->pieces);
	struct piece piece;

	assert(oldest && count(log) > 0);
	memcpy(&piece, oldest, sizeof(piece));
	assert(piece.len <= buf_len(&log->sent));
	return piece;
}

static void drop_first(struct blocklog *log)
{
	buf_consume(&log->sent, first(log).len);
	buf_consume(&log->pieces, sizeof(struct piece));
}

/* --- blocks ---------------------------------------------------------------
 */

/* A block is over, and all that was its alone. */
static void end_block(struct blocklog *log)
{
	log->depth = 0;
	log->has_failed = false;
	log->has_read = false;
	log->is_fixed = false;
	log->is_bound = false;
}

static void begin(struct blocklog *log, const struct sqlbegin *read)
{
	if (!log->is_open) {
		log->modes = (struct sqlbegin){ .kind = SQLBEGIN_BEGIN };
		log->chained = log->modes;
		log->is_chained = false;
	}
	log->is_open = true;
	sqlbegin_add(&log->modes, read);
}

/* PostgreSQL has rolled back what had failed, whatever the word was. */
static void add_end(struct blocklog *log, const char *text, size_t len,
		    const char *if_failed)
{
	if (log->has_failed)
		add_text(log, if_failed);
	else
		add(log, text, len);
}

/* A BEGIN that makes the modes; behind a chain they are no settings. */
static void add_begin(struct blocklog *log, const struct sqlbegin *modes)
{
	char text[SQLBEGIN_MODES_MAX];

	sqlbegin_write(modes, text);
	add_text(log, text);
	if (modes->level != SQLBEGIN_LEVEL_UNSET ||
	    modes->mode != SQLBEGIN_MODE_UNSET)
		add_text(log, "COMMIT AND CHAIN");
}

/* What the block has begun with is left, in a BEGIN of its own. */
static void chain_failed(struct blocklog *log)
{
	bool is_bare = blocklog_is_bare(log);

	if (is_bare)
		buf_consume(&log->text, buf_len(&log->text));
	else
		add_text(log, "ROLLBACK");
	log->modes = log->chained;
	add_begin(log, &log->modes);
	if (is_bare)
		log->own_len = buf_len(&log->text);
	/* A chain may have committed another default. */
	log->is_default_committed &= is_bare;
}

/* The next block has the modes of this one, unless they were undone. */
static void chain(struct blocklog *log, const char *text, size_t len)
{
	bool is_bare = blocklog_is_bare(log);

	if (log->has_failed && log->depth == 0) {
		chain_failed(log);
	} else if (!is_bare || !log->is_chained) {
		add_end(log, text, len, "ROLLBACK AND CHAIN");
		if (is_bare)
			log->own_len = buf_len(&log->text);
	}
	log->chained = log->modes;
	log->is_chained = true;
	end_block(log);
}

/* Where the innermost of that name is, from 1 on; 0: there is none. */
static size_t find(const struct blocklog *log, uint64_t name)
{
	size_t at = log->depth;

	while (at > 0 && log->names[at - 1] != name)
		at--;
	return at;
}

static void savepoint(struct blocklog *log, const struct sqlbegin *read)
{
	size_t at = find(log, read->name);

	if (read->kind == SQLBEGIN_SAVEPOINT) {
		if (log->depth < DEPTH_MAX)
			log->names[log->depth++] = read->name;
		else
			log->is_bound = true;
		return;
	}
	if (read->kind == SQLBEGIN_ROLLBACK_TO)
		log->has_failed = false;
	if (at > 0)
		log->depth = read->kind == SQLBEGIN_RELEASE ? at - 1 : at;
}

static void do_block(struct blocklog *log, const char *text, size_t len)
{
	struct sqlbegin read = sqlbegin_read_inside(text, len);

	switch (read.kind) {
	case SQLBEGIN_BEGIN:
	case SQLBEGIN_START:
	case SQLBEGIN_MODES:
		begin(log, &read);
		add(log, text, len);
		if (log->own_len == 0)
			log->own_len = buf_len(&log->text);
		break;
	case SQLBEGIN_COMMIT:
	case SQLBEGIN_ROLLBACK:
		add_end(log, text, len, "ROLLBACK");
		end_block(log);
		log->is_open = false;
		break;
	case SQLBEGIN_COMMIT_CHAIN:
	case SQLBEGIN_ROLLBACK_CHAIN: chain(log, text, len); break;
	case SQLBEGIN_SAVEPOINT:
	case SQLBEGIN_RELEASE:
	case SQLBEGIN_ROLLBACK_TO:
		add(log, text, len);
		savepoint(log, &read);
		break;
	case SQLBEGIN_NONE:
	default: log->is_lost = true;
	}
}

/* --- what has become of it ------------------------------------------------
 */

static void read_something(struct blocklog *log)
{
	log->has_read = true;
	log->is_fixed |= !blocklog_is_committed(log);
}

/* SET transaction_isolation, of this block or of those to come. */
static bool names_level(const char *text, size_t len)
{
	static const char word[] = "isolation";

	for (; len >= sizeof(word) - 1; text++, len--)
		if (strncasecmp(text, word, sizeof(word) - 1) == 0)
			return true;
	return false;
}

void blocklog_done(struct blocklog *log)
{
	struct piece piece;
	const char *text;

	if (count(log) == 0)
		return;
	piece = first(log);
	text = piece.len > 0 ? (const char *)buf_head(&log->sent) : "";
	assert(text);
	switch (piece.kind) {
	case BLOCKLOG_READ: read_something(log); break;
	case BLOCKLOG_SETTING:
		log->is_uncertain |= names_level(text, piece.len);
		add(log, text, piece.len);
		break;
	case BLOCKLOG_BLOCK: do_block(log, text, piece.len); break;
	case BLOCKLOG_BOUND: log->is_bound = true; break;
	case BLOCKLOG_LOST:
	case BLOCKLOG_MANY: log->is_lost = true; break;
	case BLOCKLOG_NOTHING:
	default: break;
	}
	drop_first(log);
	log->done++;
}

/* It may have seen something; of several statements some may be done. */
static void fail(struct blocklog *log)
{
	enum blocklog_kind kind = first(log).kind;

	if (kind == BLOCKLOG_READ)
		read_something(log);
	log->is_lost |= kind == BLOCKLOG_MANY;
	drop_first(log);
}

void blocklog_end_unit(struct blocklog *log, unsigned sent, bool is_whole,
		       bool has_failed)
{
	size_t left = sent > log->done ? sent - log->done : 0;

	for (; left > 0 && count(log) > 0; left--) {
		if (is_whole && !has_failed)
			blocklog_done(log);
		else
			fail(log);
	}
	log->has_failed = has_failed;
	log->done = 0;
}

void blocklog_drop(struct blocklog *log)
{
	buf_free(&log->sent);
	buf_free(&log->pieces);
	log->done = 0;
}

const struct buf *blocklog_text(const struct blocklog *log)
{
	return &log->text;
}

bool blocklog_is_empty(const struct blocklog *log)
{
	return buf_len(&log->text) == 0;
}

bool blocklog_is_bare(const struct blocklog *log)
{
	return buf_len(&log->text) == log->own_len;
}

bool blocklog_is_free(const struct blocklog *log)
{
	return !log->is_lost && !log->is_bound && !log->is_fixed;
}

void blocklog_bind(struct blocklog *log)
{
	log->is_bound = true;
}

bool blocklog_has_read(const struct blocklog *log)
{
	return log->has_read;
}

bool blocklog_has_failed(const struct blocklog *log)
{
	return log->has_failed;
}

bool blocklog_may_write(const struct blocklog *log)
{
	return log->is_open && log->modes.mode != SQLBEGIN_READ_ONLY;
}

bool blocklog_is_committed(const struct blocklog *log)
{
	if (log->is_uncertain)
		return false;
	if (log->modes.level == SQLBEGIN_LEVEL_UNSET)
		return log->is_default_committed;
	return log->modes.level == SQLBEGIN_READ_COMMITTED;
}

struct sqlbegin blocklog_modes(const struct blocklog *log)
{
	return log->modes;
}
