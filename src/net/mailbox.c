/*
 * Mail between threads: a list under a mutex and an eventfd that wakes the
 * reader.
 *
 * Only the poster that finds the list empty writes the eventfd: whoever comes
 * later knows that the wake-up is under way.  The reader clears the eventfd
 * before it takes the list, so an item that is appended in between costs one
 * idle wake-up and is never missed.
 *
 * Delivers on the reader's thread; posting is for any thread.  Does not look
 * at what is sent and never blocks longer than an append takes.
 */
#include "net/mailbox.h"

#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	void (*deliver)(void *arg, struct mail *mail);
	void *arg;
	struct event *event;
	int fd;
	struct {
		pthread_mutex_t mutex;
		struct list mails;
	} shared;
};

static void take_all(struct mailbox *mailbox, struct list *mails)
{
	list_init(mails);
	(void)pthread_mutex_lock(&mailbox->shared.mutex);
	list_move_all(mails, &mailbox->shared.mails);
	(void)pthread_mutex_unlock(&mailbox->shared.mutex);
}

/* Items that are posted meanwhile wait for the next wake-up. */
static void deliver_all(struct mailbox *mailbox)
{
	struct list mails;
	struct list *link;

	take_all(mailbox, &mails);
	while ((link = list_first(&mails)) != NULL) {
		list_remove(link);
		mailbox->deliver(mailbox->arg,
				 LIST_ENTRY(link, struct mail, link));
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	/* EAGAIN only: another wake-up has cleared it already. */
	if (read(fd, &count, sizeof(count)) < 0)
		count = 0;
	deliver_all(arg);
}

struct mailbox *mailbox_new(struct event_base *base,
			    void (*deliver)(void *arg, struct mail *mail),
			    void *arg)
{
	struct mailbox *mailbox = xcalloc(1, sizeof(*mailbox));

	mailbox->deliver = deliver;
	mailbox->arg = arg;
	list_init(&mailbox->shared.mails);
	(void)pthread_mutex_init(&mailbox->shared.mutex, NULL);
	mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->fd >= 0)
		mailbox->event =
			event_new(base, mailbox->fd, EV_READ | EV_PERSIST,
				  on_wake, mailbox);
	if (mailbox->event && event_add(mailbox->event, NULL) == 0)
		return mailbox;
	mailbox_free(mailbox);
	return NULL;
}

void mailbox_free(struct mailbox *mailbox)
{
	int saved_errno = errno;

	if (!mailbox)
		return;
	deliver_all(mailbox);
	assert(list_is_empty(&mailbox->shared.mails));
	if (mailbox->event)
		event_free(mailbox->event);
	if (mailbox->fd >= 0)
		(void)close(mailbox->fd);
	(void)pthread_mutex_destroy(&mailbox->shared.mutex);
	free(mailbox);
	errno = saved_errno;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
	uint64_t one = 1;
	bool was_empty;

	(void)pthread_mutex_lock(&mailbox->shared.mutex);
	was_empty = list_is_empty(&mailbox->shared.mails);
	list_append(&mailbox->shared.mails, &mail->link);
	(void)pthread_mutex_unlock(&mailbox->shared.mutex);
	/* Fails only when the counter is full, and then the reader is awake. */
	if (was_empty && write(mailbox->fd, &one, sizeof(one)) < 0)
		return;
}
