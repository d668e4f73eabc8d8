/*
 * Cells of counters.  A cell is written by its owner with relaxed loads and
 * stores, which cost what plain ones do and never tear; a reader on another
 * thread sees each number a moment late at worst.  The list of cells is
 * guarded by one mutex that only open, close and the readers take.
 *
 * Invariant: a counter's sum over all cells of a label set never shrinks. A
 * closed cell stays as the retired cell of its labels or is added to it. The
 * number of retired cells is bounded, since strangers choose names of
 * databases and users: past the bound they are counted as "(other)".
 */
#include "core/metrics.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/histogram.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Per scope; bounds both the memory and the length of the page. */
enum { RETIRED_MAX = 1000 };

/* Where a metric lives in the cells of its scope. */
struct place {
	uint32_t offset;
	uint32_t width;  /* combinations of label values */
	uint32_t stride; /* of the first dimension */
	enum metrics_scope scope;
};

struct layout {
	struct place counters[COUNTER_COUNT];
	struct place gauges[GAUGE_COUNT];
	struct place histograms[HISTOGRAM_COUNT];
	uint32_t first_gauge[METRICS_SCOPE_COUNT]; /* gauges are a run */
	uint32_t after_gauges[METRICS_SCOPE_COUNT];
	uint32_t slots[METRICS_SCOPE_COUNT];
};

struct metrics {
	struct layout layout; /* constant after metrics_new */
	struct {
		pthread_mutex_t mutex;
		struct list cells[METRICS_SCOPE_COUNT];
		struct strmap *retired[METRICS_SCOPE_COUNT];
	} shared;
};

/*
 * slots: counters, then gauges, then histograms, as the layout has them.  Only
 * the owner writes; whoever reads takes the mutex for the cell to stay.
 */
struct metrics_cell {
	struct list link; /* under the mutex */
	struct metrics *metrics;
	enum metrics_scope scope;
	struct metrics_labels labels;
	_Atomic uint64_t slots[];
};

/*
 * Which labels tell the cells of a scope apart.  A row may show fewer of them:
 * cells that differ in the others are summed.
 */
static const unsigned scope_labels[METRICS_SCOPE_COUNT] = {
	[METRICS_WORKER] = METRICS_LABEL_WORKER,
	[METRICS_DATABASE] = METRICS_LABEL_DATABASE,
	[METRICS_POOL] = METRICS_LABEL_DATABASE | METRICS_LABEL_USER,
	[METRICS_BACKEND] = METRICS_LABEL_DATABASE | METRICS_LABEL_BACKEND,
	[METRICS_NODE] = METRICS_LABEL_BACKEND,
};

/* ---- labels ------------------------------------------------------------- */

static char *label_copy(const char *text, unsigned is_wanted)
{
	return is_wanted ? xstrdup(text ? text : "") : NULL;
}

static struct metrics_labels labels_copy(const struct metrics_labels *from,
					 unsigned wanted)
{
	struct metrics_labels copy = {
		.worker =
			label_copy(from->worker, wanted & METRICS_LABEL_WORKER),
		.database = label_copy(from->database,
				       wanted & METRICS_LABEL_DATABASE),
		.user = label_copy(from->user, wanted & METRICS_LABEL_USER),
		.backend = label_copy(from->backend,
				      wanted & METRICS_LABEL_BACKEND),
	};

	return copy;
}

static void labels_free(struct metrics_labels *labels)
{
	free((char *)labels->worker);
	free((char *)labels->database);
	free((char *)labels->user);
	free((char *)labels->backend);
}

/* NUL cannot occur in a value, so the joined values are unambiguous. */
static void labels_key(struct buf *key, const struct metrics_labels *labels,
		       unsigned wanted)
{
	if (wanted & METRICS_LABEL_WORKER)
		buf_append_cstring(key, labels->worker);
	if (wanted & METRICS_LABEL_DATABASE)
		buf_append_cstring(key, labels->database);
	if (wanted & METRICS_LABEL_USER)
		buf_append_cstring(key, labels->user);
	if (wanted & METRICS_LABEL_BACKEND)
		buf_append_cstring(key, labels->backend);
}

/*
 * NULL on either side is "any": a filter that is not set, or a label that the
 * scope has not.
 */
static bool label_matches(const char *have, const char *want)
{
	return !want || !have || strcmp(have, want) == 0;
}

static bool labels_match(const struct metrics_labels *have,
			 const struct metrics_labels *want)
{
	return !want || (label_matches(have->worker, want->worker) &&
			 label_matches(have->database, want->database) &&
			 label_matches(have->user, want->user) &&
			 label_matches(have->backend, want->backend));
}

/* ---- layout ------------------------------------------------------------- */

/*
 * Slots are given out in the order of the tables: gauges come between the
 * counters and the histograms, as a run that can be cleared at a close.
 */
static void layout_row(struct layout *layout, struct place *place,
		       const struct metrics_row *row, uint32_t slots_each)
{
	uint32_t *slots = &layout->slots[row->scope];

	place->offset = *slots;
	place->width = metrics_row_width(row);
	place->stride = row->second ? row->second->count : 1;
	place->scope = row->scope;
	*slots += place->width * slots_each;
}

static void layout_init(struct layout *layout)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		layout_row(layout, &layout->counters[i],
			   metrics_row(METRICS_TYPE_COUNTER, i), 1);
	memcpy(layout->first_gauge, layout->slots, sizeof(layout->slots));
	for (unsigned i = 0; i < GAUGE_COUNT; i++)
		layout_row(layout, &layout->gauges[i],
			   metrics_row(METRICS_TYPE_GAUGE, i), 1);
	memcpy(layout->after_gauges, layout->slots, sizeof(layout->slots));
	for (unsigned i = 0; i < HISTOGRAM_COUNT; i++)
		layout_row(layout, &layout->histograms[i],
			   metrics_row(METRICS_TYPE_HISTOGRAM, i),
			   HISTOGRAM_SLOTS);
}

static const struct place *layout_place(const struct layout *layout,
					enum metrics_type type, unsigned id)
{
	assert(id < metrics_row_count(type));
	if (type == METRICS_TYPE_COUNTER)
		return &layout->counters[id];
	if (type == METRICS_TYPE_GAUGE)
		return &layout->gauges[id];
	return &layout->histograms[id];
}

/* ---- cells -------------------------------------------------------------- */

static uint64_t slot_get(const _Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

static void slot_set(_Atomic uint64_t *slot, uint64_t value)
{
	atomic_store_explicit(slot, value, memory_order_relaxed);
}

/*
 * Not an atomic addition: a cell has one writer, and a locked instruction costs
 * more than all the rest of it.
 */
static void slot_add(_Atomic uint64_t *slot, uint64_t add)
{
	slot_set(slot, slot_get(slot) + add);
}

static void cell_free(struct metrics_cell *cell)
{
	list_remove(&cell->link);
	labels_free(&cell->labels);
	free(cell);
}

static struct metrics_cell *cell_new(struct metrics *metrics,
				     enum metrics_scope scope,
				     const struct metrics_labels *labels)
{
	size_t size = metrics->layout.slots[scope] * sizeof(uint64_t);
	struct metrics_cell *cell = xcalloc(1, sizeof(*cell) + size);

	cell->metrics = metrics;
	cell->scope = scope;
	cell->labels = labels_copy(labels, scope_labels[scope]);
	list_append(&metrics->shared.cells[scope], &cell->link);
	return cell;
}

/* What a closed pool had in use is in use no more; its counters stay. */
static void cell_clear_gauges(struct metrics_cell *cell)
{
	const struct layout *layout = &cell->metrics->layout;

	for (uint32_t i = layout->first_gauge[cell->scope];
	     i < layout->after_gauges[cell->scope]; i++)
		slot_set(&cell->slots[i], 0);
}

/* All slots, gauges included: those of a retiring cell are 0 by now. */
static void cell_fold(struct metrics_cell *into,
		      const struct metrics_cell *from)
{
	uint32_t slots = into->metrics->layout.slots[into->scope];

	assert(into != from && into->scope == from->scope);
	for (uint32_t i = 0; i < slots; i++)
		slot_add(&into->slots[i], slot_get(&from->slots[i]));
}

/* The retired cell that a closing one is to be added to; NULL: none yet. */
static struct metrics_cell *retired_find(struct metrics *metrics,
					 enum metrics_scope scope,
					 const struct buf *key)
{
	static const struct metrics_labels other = { "(other)", "(other)",
						     "(other)", "(other)" };
	struct strmap *retired = metrics->shared.retired[scope];
	struct metrics_cell *cell =
		strmap_get_bytes(retired, buf_head(key), buf_len(key));
	struct buf other_key = BUF_INIT;

	if (cell || strmap_count(retired) < RETIRED_MAX)
		return cell;
	labels_key(&other_key, &other, scope_labels[scope]);
	cell = strmap_get_bytes(retired, buf_head(&other_key),
				buf_len(&other_key));
	if (!cell) {
		cell = cell_new(metrics, scope, &other);
		(void)strmap_put_bytes(retired, buf_head(&other_key),
				       buf_len(&other_key), cell);
	}
	buf_free(&other_key);
	return cell;
}

/* Under the mutex, and the owner has left: nobody writes the cell now. */
static void cell_retire(struct metrics_cell *cell)
{
	struct metrics *metrics = cell->metrics;
	struct metrics_cell *retired;
	struct buf key = BUF_INIT;

	cell_clear_gauges(cell);
	labels_key(&key, &cell->labels, scope_labels[cell->scope]);
	retired = retired_find(metrics, cell->scope, &key);
	if (retired) {
		cell_fold(retired, cell);
		cell_free(cell);
	} else {
		(void)strmap_put_bytes(metrics->shared.retired[cell->scope],
				       buf_head(&key), buf_len(&key), cell);
	}
	buf_free(&key);
}

/*
 * A cell of the same labels may exist already, of another worker or retired:
 * they are summed, never shared.
 */
struct metrics_cell *metrics_open(struct metrics *metrics,
				  enum metrics_scope scope,
				  const struct metrics_labels *labels)
{
	struct metrics_cell *cell;

	(void)pthread_mutex_lock(&metrics->shared.mutex);
	cell = cell_new(metrics, scope, labels);
	(void)pthread_mutex_unlock(&metrics->shared.mutex);
	return cell;
}

void metrics_close(struct metrics_cell *cell)
{
	struct metrics *metrics;

	if (!cell)
		return;
	metrics = cell->metrics;
	(void)pthread_mutex_lock(&metrics->shared.mutex);
	cell_retire(cell);
	(void)pthread_mutex_unlock(&metrics->shared.mutex);
}

struct metrics *metrics_new(void)
{
	struct metrics *metrics = xcalloc(1, sizeof(*metrics));

	layout_init(&metrics->layout);
	(void)pthread_mutex_init(&metrics->shared.mutex, NULL);
	for (unsigned i = 0; i < METRICS_SCOPE_COUNT; i++) {
		list_init(&metrics->shared.cells[i]);
		metrics->shared.retired[i] = strmap_new();
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (unsigned i = 0; i < METRICS_SCOPE_COUNT; i++) {
		strmap_free(metrics->shared.retired[i], NULL);
		LIST_FOREACH_SAFE (link, &metrics->shared.cells[i])
			cell_free(LIST_ENTRY(link, struct metrics_cell, link));
	}
	(void)pthread_mutex_destroy(&metrics->shared.mutex);
	free(metrics);
}

/* ---- the hot path ------------------------------------------------------- */

/* first and second are enumerators of our own, never numbers from outside. */
static uint32_t place_index(const struct metrics_cell *cell,
			    const struct place *place, unsigned first,
			    unsigned second)
{
	uint32_t index = first * place->stride + second;

	assert(cell->scope == place->scope);
	assert(second < place->stride && index < place->width);
	return index;
}

void metrics_count(struct metrics_cell *cell, enum metrics_counter counter,
		   unsigned first, unsigned second, uint64_t add)
{
	const struct place *place = &cell->metrics->layout.counters[counter];

	slot_add(&cell->slots[place->offset +
			      place_index(cell, place, first, second)],
		 add);
}

static _Atomic uint64_t *gauge_slot(struct metrics_cell *cell,
				    enum metrics_gauge gauge, unsigned first,
				    unsigned second)
{
	const struct place *place = &cell->metrics->layout.gauges[gauge];

	return &cell->slots[place->offset +
			    place_index(cell, place, first, second)];
}

/*
 * Unsigned sums wrap: -1 is added as 2^64 - 1 and comes out right in the end,
 * also when one worker counts up and another one down.
 */
void metrics_gauge(struct metrics_cell *cell, enum metrics_gauge gauge,
		   unsigned first, unsigned second, int64_t add)
{
	slot_add(gauge_slot(cell, gauge, first, second), (uint64_t)add);
}

void metrics_gauge_set(struct metrics_cell *cell, enum metrics_gauge gauge,
		       unsigned first, unsigned second, int64_t value)
{
	slot_set(gauge_slot(cell, gauge, first, second), (uint64_t)value);
}

void metrics_observe(struct metrics_cell *cell,
		     enum metrics_histogram histogram, unsigned first,
		     uint64_t value)
{
	const struct place *place =
		&cell->metrics->layout.histograms[histogram];
	_Atomic uint64_t *slots =
		&cell->slots[place->offset +
			     place_index(cell, place, first, 0) *
				     HISTOGRAM_SLOTS];

	slot_add(&slots[histogram_bucket(value)], 1);
	slot_add(&slots[HISTOGRAM_SUM], value);
}

/* ---- readers ------------------------------------------------------------ */

struct reading {
	const struct metrics_row *row;
	const struct place *place;
	struct metrics_set *set;
	struct strmap *known; /* joined labels to group */
};

/* The 0 in front makes a key that is not empty of a row without labels. */
static struct metrics_group *reading_group(struct reading *reading,
					   const struct metrics_cell *cell)
{
	struct metrics_set *set = reading->set;
	struct metrics_group *group;
	struct buf key = BUF_INIT;

	buf_append_u8(&key, 0);
	labels_key(&key, &cell->labels, reading->row->labels);
	group = strmap_get_bytes(reading->known, buf_head(&key), buf_len(&key));
	if (!group) {
		group = xcalloc(1, sizeof(*group));
		group->labels =
			labels_copy(&cell->labels, reading->row->labels);
		group->values = xcalloc(set->width, sizeof(uint64_t));
		set->groups = xrealloc(set->groups,
				       (set->count + 1) * sizeof(void *));
		set->groups[set->count++] = group;
		(void)strmap_put_bytes(reading->known, buf_head(&key),
				       buf_len(&key), group);
	}
	buf_free(&key);
	return group;
}

/* Ages are kept as the moment they count from; 0 is "nothing waits". */
static uint64_t merge(enum metrics_merge how, uint64_t have, uint64_t value)
{
	switch (how) {
	case METRICS_MAX: return (int64_t)value > (int64_t)have ? value : have;
	case METRICS_AGE:
		return value != 0 && (have == 0 || value < have) ? value : have;
	case METRICS_SUM: break;
	}
	return have + value;
}

static void reading_add(struct reading *reading,
			const struct metrics_cell *cell)
{
	struct metrics_group *group = reading_group(reading, cell);
	const _Atomic uint64_t *slots = &cell->slots[reading->place->offset];

	for (unsigned i = 0; i < reading->set->width; i++)
		group->values[i] = merge(reading->row->merge, group->values[i],
					 slot_get(&slots[i]));
}

/* From the earliest moment to how long ago it was. */
static void set_ages(struct metrics_set *set, uint64_t now_us)
{
	for (unsigned g = 0; g < set->count; g++)
		for (unsigned i = 0; i < set->width; i++) {
			uint64_t *value = &set->groups[g]->values[i];

			*value = *value == 0 || *value > now_us
					 ? 0
					 : now_us - *value;
		}
}

struct metrics_set *metrics_read(struct metrics *metrics,
				 enum metrics_type type, unsigned id,
				 uint64_t now_us)
{
	struct reading reading = {
		.row = metrics_row(type, id),
		.place = layout_place(&metrics->layout, type, id),
		.set = xcalloc(1, sizeof(struct metrics_set)),
		.known = strmap_new(),
	};

	reading.set->row = reading.row;
	reading.set->width =
		reading.place->width * (type == METRICS_TYPE_HISTOGRAM
						? (unsigned)HISTOGRAM_SLOTS
						: 1);
	(void)pthread_mutex_lock(&metrics->shared.mutex);
	LIST_FOREACH (link, &metrics->shared.cells[reading.row->scope])
		reading_add(&reading,
			    LIST_ENTRY(link, struct metrics_cell, link));
	(void)pthread_mutex_unlock(&metrics->shared.mutex);
	strmap_free(reading.known, NULL);
	if (reading.row->merge == METRICS_AGE)
		set_ages(reading.set, now_us);
	return reading.set;
}

void metrics_set_free(struct metrics_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < set->count; i++) {
		labels_free(&set->groups[i]->labels);
		free(set->groups[i]->values);
		free(set->groups[i]);
	}
	free(set->groups);
	free(set);
}

/* METRICS_ALL is negative. */
static bool dimension_matches(unsigned index, int want)
{
	return want < 0 || index == (unsigned)want;
}

/* Adds up the values of one group that first and second select. */
static uint64_t group_sum(const struct metrics_row *row,
			  const struct metrics_group *group, int first,
			  int second, enum metrics_merge how)
{
	unsigned stride = row->second ? row->second->count : 1;
	uint64_t sum = 0;

	for (unsigned i = 0; i < metrics_row_width(row); i++)
		if (dimension_matches(i / stride, first) &&
		    dimension_matches(i % stride, second))
			sum = merge(how, sum, group->values[i]);
	return sum;
}

int64_t metrics_set_sum(const struct metrics_set *set,
			const struct metrics_labels *labels, int first,
			int second)
{
	enum metrics_merge how = set->row->merge;
	uint64_t sum = 0;

	/* The greatest of all ages is the age of the oldest. */
	if (how == METRICS_AGE)
		how = METRICS_MAX;
	for (unsigned i = 0; i < set->count; i++)
		if (labels_match(&set->groups[i]->labels, labels))
			sum = merge(how, sum,
				    group_sum(set->row, set->groups[i], first,
					      second, how));
	return (int64_t)sum;
}

static void moments_add(struct metrics_moments *moments,
			const struct metrics_set *set,
			const struct metrics_group *group, int first)
{
	for (size_t i = 0; i * HISTOGRAM_SLOTS < set->width; i++) {
		const uint64_t *slots = &group->values[i * HISTOGRAM_SLOTS];

		if (!dimension_matches((unsigned)i, first))
			continue;
		moments->count += histogram_count(slots);
		moments->sum += slots[HISTOGRAM_SUM];
	}
}

struct metrics_moments metrics_set_moments(const struct metrics_set *set,
					   const struct metrics_labels *labels,
					   int first)
{
	struct metrics_moments moments = { 0, 0 };

	for (unsigned i = 0; i < set->count; i++)
		if (labels_match(&set->groups[i]->labels, labels))
			moments_add(&moments, set, set->groups[i], first);
	return moments;
}

/* For who wants one number; a page reads the set once and asks it often. */
uint64_t metrics_sum(struct metrics *metrics, enum metrics_counter counter,
		     const struct metrics_labels *labels, int first, int second)
{
	struct metrics_set *set =
		metrics_read(metrics, METRICS_TYPE_COUNTER, counter, 0);
	int64_t sum = metrics_set_sum(set, labels, first, second);

	metrics_set_free(set);
	return (uint64_t)sum;
}

int64_t metrics_sum_gauge(struct metrics *metrics, enum metrics_gauge gauge,
			  const struct metrics_labels *labels, int first,
			  int second, uint64_t now_us)
{
	struct metrics_set *set =
		metrics_read(metrics, METRICS_TYPE_GAUGE, gauge, now_us);
	int64_t sum = metrics_set_sum(set, labels, first, second);

	metrics_set_free(set);
	return sum;
}

struct metrics_moments metrics_sum_histogram(
	struct metrics *metrics, enum metrics_histogram histogram,
	const struct metrics_labels *labels, int first)
{
	struct metrics_set *set =
		metrics_read(metrics, METRICS_TYPE_HISTOGRAM, histogram, 0);
	struct metrics_moments moments =
		metrics_set_moments(set, labels, first);

	metrics_set_free(set);
	return moments;
}
