/*
 * The cache from shape to class: what the hot path asks for every text.
 *
 * The key is the whole shape as sqlshape_write() writes it, with the settings
 * of the lexer in front.  A hit compares it byte by byte: the texts are chosen
 * by strangers, and a hash alone, however wide, would only make forging a class
 * hard, not impossible.  Shapes over SHAPE_MAX bytes are judged each time
 * (linear in the text) and so cost no memory.
 *
 * In front of it stand spellings (sqlspell.h), each with the shape that it
 * has: of a text that is spelled as one before, the shape is not made.  A new
 * spelling takes the place of the one that its hash finds there.
 *
 * The oldest shape not asked for since the hand passed goes first.  One thread
 * owns a cache; memory is taken when a shape is new, never on a hit.
 */
#include "core/shapes.h"

#include "base/util.h"
#include "core/catalog.h"
#include "core/sqlhint.h"
#include "core/sqlshape.h"
#include "core/sqlspell.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHAPE_MAX = 4096,
	SPELLING_MAX = 2048,
	TEXT_MAX = 128 * 1024 /* a longer text is read once, not twice */
};

/* The end of a chain: no index of an entry. */
static const uint32_t NOBODY = UINT32_MAX;

/* One remembered shape; chained by index, so that entries may be reused. */
struct shape {
	uint8_t *key;
	uint32_t key_len;
	uint32_t next; /* in its chain */
	uint64_t hash;
	uint64_t catalog_id;
	uint64_t serial; /* of no other shape, before or after */
	struct sqlclass class;
	struct tally *tally; /* NULL: not counted yet */
	bool is_judged;
	bool is_recent; /* asked for since the hand passed */
	uint8_t turn;   /* of the entry, in which another shape had it */
};

/* One remembered spelling; serial 0: none. */
struct spelling {
	uint8_t *key;
	uint32_t key_len;
	uint32_t shape;  /* index; it may be gone */
	uint64_t serial; /* of the shape */
	uint64_t hash;
};

struct shapes {
	struct shape *entries;
	struct spelling *spellings; /* as many as chains */
	uint32_t *chains;
	size_t limit;
	size_t count;
	size_t chain_mask;
	size_t hand;
	uint64_t serial;
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions;
};

/* A text's key, on the caller's stack. */
struct key {
	uint8_t bytes[SHAPE_MAX];
	size_t len;
	uint64_t hash;
};

struct shapes *shapes_new(size_t limit)
{
	struct shapes *shapes = xcalloc(1, sizeof(*shapes));
	size_t chains = 16;

	if (limit == 0)
		limit = 1;
	if (limit > NOBODY - 1)
		limit = NOBODY - 1;
	while (chains < limit)
		chains *= 2;
	shapes->limit = limit;
	shapes->chain_mask = chains - 1;
	shapes->entries = xcalloc(limit, sizeof(*shapes->entries));
	shapes->chains = xmalloc(chains * sizeof(*shapes->chains));
	memset(shapes->chains, 0xff, chains * sizeof(*shapes->chains));
	shapes->spellings = xcalloc(chains, sizeof(*shapes->spellings));
	return shapes;
}

void shapes_free(struct shapes *shapes)
{
	if (!shapes)
		return;
	for (size_t i = 0; i < shapes->count; i++) {
		free(shapes->entries[i].key);
		free(shapes->entries[i].tally);
	}
	for (size_t i = 0; i <= shapes->chain_mask; i++)
		free(shapes->spellings[i].key);
	free(shapes->spellings);
	free(shapes->entries);
	free(shapes->chains);
	free(shapes);
}

static uint8_t settings_byte(const struct sqlclass_context *context)
{
	return (uint8_t)((context->plain_backslash ? 1 : 0) |
			 (context->is_safe_encoding ? 2 : 0));
}

/* False when the text has no shape that may be kept. */
static bool make_key(struct key *key, const char *sql, size_t len,
		     const struct sqlclass_context *context)
{
	struct sqllex lex;
	size_t shape_len;

	if (len > TEXT_MAX)
		return false;
	sqllex_init(&lex, sql, len, context->plain_backslash,
		    context->is_safe_encoding);
	shape_len = sqlshape_write(&lex, key->bytes + 1, SHAPE_MAX - 1);
	if (shape_len == 0)
		return false;
	key->bytes[0] = settings_byte(context);
	key->len = shape_len + 1;
	key->hash = util_hash(key->bytes, key->len);
	return true;
}

/* ---- spellings ---------------------------------------------------------- */

/* A text's spelling, on the caller's stack. */
struct spelled {
	uint8_t bytes[SPELLING_MAX];
	size_t len; /* 0: it has none */
	uint64_t hash;
	bool is_bare; /* neither comments nor strings */
};

static void spell(struct spelled *spelled, const char *sql, size_t len,
		  const struct sqlclass_context *context)
{
	struct sqlspell found = sqlspell_write(
		sql, context->is_safe_encoding ? len : 0,
		context->plain_backslash, spelled->bytes + 1, SPELLING_MAX - 1);

	spelled->is_bare = found.len > 0 && !found.has_strings;
	spelled->len = 0;
	spelled->hash = 0;
	if (found.len == 0)
		return;
	spelled->bytes[0] = settings_byte(context);
	spelled->len = found.len + 1;
	spelled->hash = util_hash(spelled->bytes, spelled->len);
}

static struct spelling *place_of(const struct shapes *shapes,
				 const struct spelled *spelled)
{
	return &shapes->spellings[spelled->hash & shapes->chain_mask];
}

/* The shape of what is spelled like this; NULL when that is not known. */
static struct shape *find_spelled(const struct shapes *shapes,
				  const struct spelled *spelled)
{
	const struct spelling *spelling = place_of(shapes, spelled);
	struct shape *shape = &shapes->entries[spelling->shape];

	if (spelled->len == 0 || spelling->hash != spelled->hash ||
	    spelling->key_len != spelled->len ||
	    shape->serial != spelling->serial ||
	    memcmp(spelling->key, spelled->bytes, spelled->len) != 0)
		return NULL;
	return shape;
}

static void remember_spelled(struct shapes *shapes,
			     const struct spelled *spelled,
			     const struct shape *shape)
{
	struct spelling *spelling = place_of(shapes, spelled);

	if (spelled->len == 0)
		return;
	free(spelling->key);
	spelling->key = xmalloc(spelled->len);
	memcpy(spelling->key, spelled->bytes, spelled->len);
	spelling->key_len = (uint32_t)spelled->len;
	spelling->hash = spelled->hash;
	spelling->shape = (uint32_t)(shape - shapes->entries);
	spelling->serial = shape->serial;
}

/* ---- shapes ------------------------------------------------------------- */

static struct shape *find(const struct shapes *shapes, const struct key *key)
{
	uint32_t at = shapes->chains[key->hash & shapes->chain_mask];

	while (at != NOBODY) {
		struct shape *shape = &shapes->entries[at];

		if (shape->hash == key->hash && shape->key_len == key->len &&
		    memcmp(shape->key, key->bytes, key->len) == 0)
			return shape;
		at = shape->next;
	}
	return NULL;
}

/* Out of its chain, which must hold it. */
static void unlink_shape(struct shapes *shapes, const struct shape *shape)
{
	uint32_t index = (uint32_t)(shape - shapes->entries);
	uint32_t *at = &shapes->chains[shape->hash & shapes->chain_mask];

	while (*at != index) {
		assert(*at != NOBODY);
		at = &shapes->entries[*at].next;
	}
	*at = shape->next;
}

/* A free entry; when there is none, that of the shape to forget. */
static struct shape *make_room(struct shapes *shapes)
{
	struct shape *shape;

	if (shapes->count < shapes->limit)
		return &shapes->entries[shapes->count++];
	for (;;) {
		shape = &shapes->entries[shapes->hand];
		shapes->hand = (shapes->hand + 1) % shapes->limit;
		if (!shape->is_recent)
			break;
		shape->is_recent = false;
	}
	unlink_shape(shapes, shape);
	free(shape->key);
	free(shape->tally);
	shape->tally = NULL;
	shape->turn++;
	shapes->evictions++;
	return shape;
}

/* A new entry at the head of its chain; the class is still to come. */
static struct shape *add(struct shapes *shapes, const struct key *key)
{
	struct shape *shape = make_room(shapes);
	uint32_t *chain = &shapes->chains[key->hash & shapes->chain_mask];

	shape->key = xmalloc(key->len);
	memcpy(shape->key, key->bytes, key->len);
	shape->key_len = (uint32_t)key->len;
	shape->hash = key->hash;
	shape->serial = ++shapes->serial;
	shape->is_judged = false;
	shape->is_recent = false;
	shape->next = *chain;
	*chain = (uint32_t)(shape - shapes->entries);
	return shape;
}

/* The class with the number of its shape in it. */
static struct sqlclass take_class(struct shapes *shapes, struct shape *shape,
				  struct sqlclass class, uint64_t catalog_id)
{
	size_t number = (size_t)(shape - shapes->entries) + 1;

	class.shape = number < SHAPES_NUMBERED ? (uint16_t)number : 0;
	class.shape_turn = shape->turn;
	shape->class = class;
	shape->catalog_id = catalog_id;
	shape->is_judged = true;
	return class;
}

/* The shape of a text, not judged yet when it is new; NULL: not kept. */
static struct shape *shape_of(struct shapes *shapes, const char *sql,
			      size_t len,
			      const struct sqlclass_context *context)
{
	struct shape *shape;
	struct key key;

	if (!make_key(&key, sql, len, context))
		return NULL;
	shape = find(shapes, &key);
	return shape ? shape : add(shapes, &key);
}

/* The same for one that has been spelled. */
static struct shape *shape_of_spelled(struct shapes *shapes, const char *sql,
				      size_t len,
				      const struct sqlclass_context *context,
				      const struct spelled *spelled)
{
	struct shape *shape = find_spelled(shapes, spelled);

	if (shape)
		return shape;
	shape = shape_of(shapes, sql, len, context);
	if (shape)
		remember_spelled(shapes, spelled, shape);
	return shape;
}

static struct sqlclass class_of(struct shapes *shapes, const char *sql,
				size_t len,
				const struct sqlclass_context *context,
				const struct spelled *spelled)
{
	uint64_t id = catalog_id(context->catalog);
	struct shape *shape =
		shape_of_spelled(shapes, sql, len, context, spelled);

	/* A new one, or of an older catalog: judged in the same place. */
	if (shape && shape->is_judged && shape->catalog_id == id) {
		shapes->hits++;
		shape->is_recent = true;
		return shape->class;
	}
	shapes->misses++;
	if (!shape)
		return sqlclass_judge(sql, len, context);
	return take_class(shapes, shape, sqlclass_judge(sql, len, context), id);
}

/* A hint can only stand in a comment, or in a string that looks like one. */
struct sqlclass shapes_classify(struct shapes *shapes, const char *sql,
				size_t len,
				const struct sqlclass_context *context)
{
	struct spelled spelled;
	struct sqlclass class;

	spell(&spelled, sql, len, context);
	class = class_of(shapes, sql, len, context, &spelled);
	class.hint = HINT_NONE;
	if (!spelled.is_bare)
		class.hint = (uint8_t)sqlhint_find(sql, len);
	return class;
}

void shapes_learn_write(struct shapes *shapes, const char *sql, size_t len,
			const struct sqlclass_context *context)
{
	struct shape *shape = shape_of(shapes, sql, len, context);
	struct sqlclass class;

	if (!shape)
		return;
	/* Command and effects stay what the text says. */
	class = sqlclass_judge(sql, len, context);
	class.access = ACCESS_WRITE;
	class.reason = REASON_VERB;
	class.is_certain = false;
	(void)take_class(shapes, shape, class, catalog_id(context->catalog));
}

/* NULL: another shape has its place by now, or it never had one. */
static struct tally *tally_of(struct shapes *shapes,
			      const struct sqlclass *class)
{
	struct shape *shape;

	if (class->shape == 0 || class->shape > shapes->count)
		return NULL;
	shape = &shapes->entries[class->shape - 1];
	if (shape->turn != class->shape_turn)
		return NULL;
	if (!shape->tally)
		shape->tally = xcalloc(1, sizeof(*shape->tally));
	return shape->tally;
}

void shapes_note_answer(struct shapes *shapes, const struct sqlclass *class,
			const struct tally_answer *answer)
{
	struct tally *tally = tally_of(shapes, class);

	if (tally)
		tally_note(tally, answer);
}

void shapes_note_repeat(struct shapes *shapes, const struct sqlclass *class)
{
	struct tally *tally = tally_of(shapes, class);

	if (tally)
		tally_note_repeat(tally);
}

bool shapes_next(const struct shapes *shapes, size_t *at,
		 struct shapes_row *row)
{
	while (*at < shapes->count) {
		const struct shape *shape = &shapes->entries[(*at)++];

		if (!shape->tally)
			continue;
		/* The settings of the lexer stand in front. */
		*row = (struct shapes_row){ .shape = shape->key + 1,
					    .shape_len = shape->key_len - 1,
					    .class = &shape->class,
					    .tally = shape->tally };
		return true;
	}
	return false;
}

uint64_t shapes_hits(const struct shapes *shapes)
{
	return shapes->hits;
}

uint64_t shapes_misses(const struct shapes *shapes)
{
	return shapes->misses;
}

uint64_t shapes_evictions(const struct shapes *shapes)
{
	return shapes->evictions;
}
