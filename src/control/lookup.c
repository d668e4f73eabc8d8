/*
 * The helper thread of name resolution.  It shares one struct with the main
 * thread: two lists under a mutex, and an eventfd that wakes the loop.
 *
 * getaddrinfo cannot be interrupted, so the thread is detached and the
 * struct lives as long as either side: whoever leaves last frees it.
 */
#include "control/lookup.h"

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One question; its answer carries the id under which it was asked. */
struct job {
	struct list link;
	char *host;
	uint16_t port;
	struct lookup_answer answer;
};

/* Seen by both threads, all of it under the mutex. */
struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct list asked;
	struct list answered;
	int fd;
	bool is_closed;  /* the main thread has left */
	unsigned owners; /* threads that still use this */
};

/* The main thread's side. */
struct lookup {
	struct shared *shared;
	struct event *event;
	void (*answered)(void *arg, const struct lookup_answer *answer);
	void *arg;
};

/*
 * AI_ADDRCONFIG leaves out families that this machine has no address of, as
 * libpq does; numeric_only asks no server and cannot block.
 */
void lookup_now(const char *host, uint16_t port, bool numeric_only,
		struct lookup_answer *answer)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char service[8];

	hints.ai_flags = AI_NUMERICSERV |
			 (numeric_only ? AI_NUMERICHOST : AI_ADDRCONFIG);
	(void)snprintf(service, sizeof(service), "%u", port);
	answer->count = 0;
	answer->error = getaddrinfo(host, service, &hints, &list);
	if (answer->error != 0)
		return;
	for (const struct addrinfo *at = list;
	     at && answer->count < LOOKUP_ADDRESSES; at = at->ai_next) {
		struct lookup_address *slot =
			&answer->addresses[answer->count++];

		memset(slot, 0, sizeof(*slot));
		memcpy(&slot->address, at->ai_addr, at->ai_addrlen);
		slot->len = at->ai_addrlen;
	}
	freeaddrinfo(list);
}

static void job_free(struct job *job)
{
	list_remove(&job->link);
	free(job->host);
	free(job);
}

static void free_jobs(struct list *jobs)
{
	LIST_FOREACH_SAFE (link, jobs)
		job_free(LIST_ENTRY(link, struct job, link));
}

/* Called with the mutex held; gives it up. */
static void shared_leave(struct shared *shared)
{
	bool is_last;

	assert(shared->owners > 0);
	is_last = --shared->owners == 0;
	(void)pthread_mutex_unlock(&shared->mutex);
	if (!is_last)
		return;
	free_jobs(&shared->asked);
	free_jobs(&shared->answered);
	(void)close(shared->fd);
	(void)pthread_mutex_destroy(&shared->mutex);
	(void)pthread_cond_destroy(&shared->wake);
	free(shared);
}

/*
 * Called with the mutex held, which the wait gives up meanwhile; NULL ends the
 * helper.
 */
static struct job *shared_next(struct shared *shared)
{
	struct list *first;

	while (!shared->is_closed && list_is_empty(&shared->asked))
		(void)pthread_cond_wait(&shared->wake, &shared->mutex);
	if (shared->is_closed)
		return NULL;
	first = list_first(&shared->asked);
	list_remove(first);
	return LIST_ENTRY(first, struct job, link);
}

/*
 * The thread: the mutex is given up for the look-up alone, which may take long.
 * The write can only fail when the counter is full, when the loop is awake
 * anyway.
 */
static void *helper(void *arg)
{
	struct shared *shared = arg;
	struct job *job;

	(void)pthread_mutex_lock(&shared->mutex);
	while ((job = shared_next(shared)) != NULL) {
		const uint64_t one = 1;

		(void)pthread_mutex_unlock(&shared->mutex);
		lookup_now(job->host, job->port, false, &job->answer);
		(void)pthread_mutex_lock(&shared->mutex);
		list_append(&shared->answered, &job->link);
		if (write(shared->fd, &one, sizeof(one)) < 0)
			log_error("resolver: eventfd: %m");
	}
	shared_leave(shared);
	return NULL;
}

/* Taken over in one go: a callback may ask again, which takes the mutex. */
static void answers_ready(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *lookup = arg;
	struct shared *shared = lookup->shared;
	struct list answered;
	uint64_t count;

	(void)what;
	list_init(&answered);
	(void)!read(fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&shared->mutex);
	LIST_FOREACH_SAFE (link, &shared->answered) {
		list_remove(link);
		list_append(&answered, link);
	}
	(void)pthread_mutex_unlock(&shared->mutex);
	LIST_FOREACH_SAFE (link, &answered) {
		struct job *job = LIST_ENTRY(link, struct job, link);

		lookup->answered(lookup->arg, &job->answer);
		job_free(job);
	}
}

/* Signals are the main thread's business. */
static bool start_helper(struct shared *shared)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	bool is_running;

	(void)sigfillset(&all);
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	is_running = pthread_create(&thread, &attributes, helper, shared) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return is_running;
}

/* Two owners from the start: counting up later would be a race. */
static struct shared *shared_new(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct shared *shared;

	if (fd < 0)
		return NULL;
	shared = xcalloc(1, sizeof(*shared));
	(void)pthread_mutex_init(&shared->mutex, NULL);
	(void)pthread_cond_init(&shared->wake, NULL);
	list_init(&shared->asked);
	list_init(&shared->answered);
	shared->fd = fd;
	shared->owners = 2;
	return shared;
}

struct lookup *lookup_new(struct event_base *base,
			  void (*answered)(void *arg,
					   const struct lookup_answer *answer),
			  void *arg)
{
	struct shared *shared = shared_new();
	struct lookup *lookup;

	if (!shared)
		return NULL;
	if (!start_helper(shared)) {
		shared->owners = 1;
		(void)pthread_mutex_lock(&shared->mutex);
		shared_leave(shared);
		return NULL;
	}
	lookup = xcalloc(1, sizeof(*lookup));
	lookup->shared = shared;
	lookup->answered = answered;
	lookup->arg = arg;
	lookup->event = event_new(base, shared->fd, EV_READ | EV_PERSIST,
				  answers_ready, lookup);
	assert(lookup->event);
	(void)event_add(lookup->event, NULL);
	return lookup;
}

/*
 * The helper may sit in getaddrinfo for many seconds: nobody waits for it, the
 * last to leave frees.
 */
void lookup_free(struct lookup *lookup)
{
	if (!lookup)
		return;
	event_free(lookup->event);
	(void)pthread_mutex_lock(&lookup->shared->mutex);
	lookup->shared->is_closed = true;
	(void)pthread_cond_signal(&lookup->shared->wake);
	shared_leave(lookup->shared);
	free(lookup);
}

void lookup_ask(struct lookup *lookup, uint64_t id, const char *host,
		uint16_t port)
{
	struct shared *shared = lookup->shared;
	struct job *job = xcalloc(1, sizeof(*job));

	job->answer.id = id;
	job->host = xstrdup(host);
	job->port = port;
	list_init(&job->link);
	(void)pthread_mutex_lock(&shared->mutex);
	list_append(&shared->asked, &job->link);
	(void)pthread_cond_signal(&shared->wake);
	(void)pthread_mutex_unlock(&shared->mutex);
}
