/*
 * The cache from shape to class: what the hot path asks for every text.
 *
 * The key is the whole shape as sqlshape_write() writes it, with the settings
 * of the lexer in front.  A hit compares it byte by byte: the texts are chosen
 * by strangers, and a hash alone, however wide, would only make forging a class
 * hard, not impossible.  Shapes over SHAPE_MAX bytes are judged each time
 * (linear in the text) and so cost no memory.
 *
 * The oldest shape not asked for since the hand passed goes first.  One thread
 * owns a cache; memory is taken when a shape is new, never on a hit.
 */
#include "core/shapes.h"

#include "base/util.h"
#include "core/catalog.h"
#include "core/sqlshape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHAPE_MAX = 4096,
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
	struct sqlclass class;
	struct tally *tally; /* NULL: not counted yet */
	bool is_recent;      /* asked for since the hand passed */
	uint8_t turn;        /* of the entry, in which another shape had it */
};

struct shapes {
	struct shape *entries;
	uint32_t *chains;
	size_t limit;
	size_t count;
	size_t chain_mask;
	size_t hand;
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
	free(shapes->entries);
	free(shapes->chains);
	free(shapes);
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
	key->bytes[0] = (uint8_t)((context->plain_backslash ? 1 : 0) |
				  (context->is_safe_encoding ? 2 : 0));
	key->len = shape_len + 1;
	key->hash = util_hash(key->bytes, key->len);
	return true;
}

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
	return class;
}

struct sqlclass shapes_classify(struct shapes *shapes, const char *sql,
				size_t len,
				const struct sqlclass_context *context)
{
	uint64_t id = catalog_id(context->catalog);
	struct sqlclass class;
	struct shape *shape;
	struct key key;

	if (!make_key(&key, sql, len, context)) {
		shapes->misses++;
		return sqlclass_judge(sql, len, context);
	}
	shape = find(shapes, &key);
	/* Of an older catalog: judged anew, in the same place. */
	if (shape && shape->catalog_id == id) {
		shapes->hits++;
		shape->is_recent = true;
		return shape->class;
	}
	shapes->misses++;
	class = sqlclass_judge(sql, len, context);
	if (!shape)
		shape = add(shapes, &key);
	return take_class(shapes, shape, class, id);
}

void shapes_learn_write(struct shapes *shapes, const char *sql, size_t len,
			const struct sqlclass_context *context)
{
	struct shape *shape;
	struct sqlclass class;
	struct key key;

	if (!make_key(&key, sql, len, context))
		return;
	shape = find(shapes, &key);
	if (!shape)
		shape = add(shapes, &key);
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
