#ifndef PGWEIR_BASE_LIST_H
#define PGWEIR_BASE_LIST_H

/*
 * A doubly linked list whose links are embedded in its members.  The head is
 * a link too; a link that is in no list points at itself, so that removing
 * twice is harmless and "is it on a list" is one comparison.  No allocation,
 * no locking: the owner's thread alone touches it.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

/* The member that holds a link. */
#define LIST_ENTRY(link, type, field) \
	((type *)(void *)((char *)(link)-offsetof(type, field)))

/* NOLINTBEGIN(bugprone-macro-parentheses): link names the variable */
#define LIST_FOREACH(link, head)                               \
	for (struct list *link = (head)->next; link != (head); \
	     link = link->next)

/* As LIST_FOREACH; the body may remove the link that it stands on. */
#define LIST_FOREACH_SAFE(link, head)                                     \
	for (struct list *link = (head)->next, *link##_next = link->next; \
	     link != (head); link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *link)
{
	link->next = link;
	link->prev = link;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* True when the link is a member of some list. */
static inline bool list_is_linked(const struct list *link)
{
	return link->next != link;
}

static inline void list_insert_before(struct list *place, struct list *link)
{
	link->prev = place->prev;
	link->next = place;
	place->prev->next = link;
	place->prev = link;
}

static inline void list_append(struct list *head, struct list *link)
{
	list_insert_before(head, link);
}

static inline void list_prepend(struct list *head, struct list *link)
{
	list_insert_before(head->next, link);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* First link, or NULL when empty. */
static inline struct list *list_first(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

/* Appends all members of from to into; from ends empty. */
static inline void list_move_all(struct list *into, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = into->prev;
	into->prev->next = from->next;
	from->prev->next = into;
	into->prev = from->prev;
	list_init(from);
}

#endif
