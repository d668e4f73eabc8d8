#ifndef PGWEIR_PROXY_ORDERS_H
#define PGWEIR_PROXY_ORDERS_H

/*
 * What an operator has ordered: databases, as clients name them, that are
 * paused or disabled, until he takes it back.  A reload changes nothing about
 * it.  Any thread.
 */
#include <stdbool.h>

struct orders;

enum order {
	ORDER_PAUSE,  /* nobody is given a server, all servers go */
	ORDER_DISABLE /* nobody new is let in */
};

struct orders *orders_new(void);
void orders_free(struct orders *orders);

/*
 * database NULL: all of them, also those that come later.  False when that is
 * so already.
 */
bool orders_give(struct orders *orders, enum order order, const char *database);
/* Takes back what was given for the same, and for nothing else. */
bool orders_revoke(struct orders *orders, enum order order,
		   const char *database);
/* Given for just this, or (NULL) for all. */
bool orders_is_given(struct orders *orders, enum order order,
		     const char *database);

/*
 * In force for this database: given for it or for all.  One relaxed load
 * while there are no orders.
 */
bool orders_holds(struct orders *orders, enum order order,
		  const char *database);

#endif
