/*
 * Two sets of names under a mutex, and a count of orders in front: servers
 * that come to rest look here each time, and there is hardly ever an order.
 *
 * Refuses to carry anything out: who gives an order goes round the workers
 * (control/admin_hold), and they look here when they open or keep a server.
 * An order that is seen late is made good by that round.
 */
#include "proxy/orders.h"

#include "base/strmap.h"
#include "base/util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { KINDS = ORDER_DISABLE + 1 };

/* What stands for all; no database has an empty name. */
static const char everything[] = "";

struct orders {
	_Atomic unsigned count;
	struct {
		pthread_mutex_t mutex;
		struct strmap *names[KINDS]; /* to the map itself */
	} shared;
};

struct orders *orders_new(void)
{
	struct orders *orders = xcalloc(1, sizeof(*orders));

	(void)pthread_mutex_init(&orders->shared.mutex, NULL);
	for (unsigned i = 0; i < KINDS; i++)
		orders->shared.names[i] = strmap_new();
	return orders;
}

void orders_free(struct orders *orders)
{
	if (!orders)
		return;
	for (unsigned i = 0; i < KINDS; i++)
		strmap_free(orders->shared.names[i], NULL);
	(void)pthread_mutex_destroy(&orders->shared.mutex);
	free(orders);
}

static struct strmap *lock(struct orders *orders, enum order order)
{
	(void)pthread_mutex_lock(&orders->shared.mutex);
	return orders->shared.names[order];
}

static void unlock(struct orders *orders)
{
	(void)pthread_mutex_unlock(&orders->shared.mutex);
}

bool orders_give(struct orders *orders, enum order order, const char *database)
{
	struct strmap *names = lock(orders, order);
	bool is_new =
		!strmap_put(names, database ? database : everything, names);

	if (is_new)
		atomic_fetch_add(&orders->count, 1);
	unlock(orders);
	return is_new;
}

bool orders_revoke(struct orders *orders, enum order order,
		   const char *database)
{
	struct strmap *names = lock(orders, order);
	bool was_given =
		strmap_remove(names, database ? database : everything) != NULL;

	if (was_given)
		atomic_fetch_sub(&orders->count, 1);
	unlock(orders);
	return was_given;
}

bool orders_is_given(struct orders *orders, enum order order,
		     const char *database)
{
	const struct strmap *names = lock(orders, order);
	bool is_given =
		strmap_get(names, database ? database : everything) != NULL;

	unlock(orders);
	return is_given;
}

bool orders_holds(struct orders *orders, enum order order, const char *database)
{
	if (atomic_load_explicit(&orders->count, memory_order_relaxed) == 0)
		return false;
	return orders_is_given(orders, order, NULL) ||
	       orders_is_given(orders, order, database);
}
