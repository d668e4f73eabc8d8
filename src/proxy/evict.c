/*
 * One object a round, counted by references: each thread that was asked has
 * one and gives it back when it has done its part.  The last one to confirm
 * sends the outcome on; so nobody waits, and no thread looks at another's
 * servers.
 *
 * A worker that has stopped confirms nothing, since nobody is left to tell.
 */
#include "proxy/evict.h"

#include "base/util.h"
#include "proxy/auth_link.h"
#include "proxy/changes.h"
#include "proxy/hub.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/pool_change.h"
#include "proxy/welcome.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Should it never be told that the statement is done.  Until then PostgreSQL
 * would let nobody in, either: to copy a database may take minutes.
 */
static const uint64_t SHUT_LIMIT_US = 600000000;

struct evict {
	_Atomic unsigned refs;
	_Atomic unsigned left; /* threads that have not confirmed */
	struct process *process;
	struct dbddl ddl;
	uint64_t owner;
	bool is_done;
	/* who waits for the first round */
	unsigned worker;
	uint64_t session;
	evict_ready_fn *ready;
};

static void release(struct evict *evict)
{
	if (atomic_fetch_sub(&evict->refs, 1) == 1)
		free(evict);
}

static void post_visit(struct evict *evict, unsigned worker,
		       void (*visit)(struct local *local, void *arg))
{
	struct mail_visit *mail = xcalloc(1, sizeof(*mail));

	atomic_fetch_add(&evict->refs, 1);
	mail->mail.kind = MAIL_VISIT;
	mail->visit = visit;
	mail->arg = evict;
	worker_post(evict->process->workers[worker], &mail->mail);
}

/* --- outcomes --- */

static void visit_ready(struct local *local, void *arg)
{
	struct evict *evict = arg;

	if (!local->is_stopped)
		evict->ready(local, evict->session, evict->owner);
	release(evict);
}

static void visit_open(struct local *local, void *arg)
{
	if (!local->is_stopped)
		pools_feed(local);
	release(arg);
}

/* Whoever waited for a server of a shut database may have one. */
static void open_again(struct evict *evict)
{
	changes_open(evict->process->changes, evict->owner);
	for (unsigned i = 0; i < evict->process->worker_count; i++)
		post_visit(evict, i, visit_open);
}

void evict_confirm(struct evict *evict)
{
	assert(atomic_load(&evict->left) > 0);
	if (atomic_fetch_sub(&evict->left, 1) == 1) {
		if (evict->is_done)
			open_again(evict);
		else
			post_visit(evict, evict->worker, visit_ready);
	}
	release(evict);
}

void evict_drop(struct evict *evict)
{
	release(evict);
}

/* --- rounds --- */

static void visit_round(struct local *local, void *arg)
{
	struct evict *evict = arg;

	if (local->is_stopped) {
		evict_drop(evict);
		return;
	}
	if (evict->is_done) {
		pools_catch_up(local);
	} else {
		pools_empty(local, &evict->ddl.empty);
		hubs_leave(local, &evict->ddl.empty);
		auth_links_leave(local, &evict->ddl.empty);
	}
	evict_confirm(evict);
}

static struct evict *evict_new(struct local *local, uint64_t owner,
			       const struct dbddl *ddl)
{
	struct evict *evict = xcalloc(1, sizeof(*evict));

	atomic_init(&evict->refs, 1);
	evict->process = local->process;
	evict->owner = owner;
	evict->worker = local->index;
	if (ddl)
		evict->ddl = *ddl;
	return evict;
}

/* Takes the caller's reference. */
static void go_round(struct evict *evict)
{
	struct process *process = evict->process;

	atomic_init(&evict->left, process->worker_count + 1);
	for (unsigned i = 0; i < process->worker_count; i++)
		post_visit(evict, i, visit_round);
	process->ask_main(process->arg, evict);
}

void evict_begin(struct local *local, uint64_t session, uint64_t owner,
		 const struct dbddl *ddl, evict_ready_fn *ready)
{
	struct evict *evict = evict_new(local, owner, ddl);

	changes_shut(local->process->changes, owner, &ddl->empty,
		     local_now(local) + SHUT_LIMIT_US);
	evict->session = session;
	evict->ready = ready;
	go_round(evict);
}

void evict_end(struct local *local, uint64_t owner, const struct dbddl *ddl,
	       uint64_t at_us)
{
	struct evict *evict = evict_new(local, owner, ddl);
	const struct change change = { .ddl = *ddl, .at_us = at_us };

	/* In this order: what is made from here on is made of what is new. */
	changes_add(local->process->changes, &change);
	welcomes_clear(local->process->welcomes);
	evict->is_done = true;
	go_round(evict);
}

void evict_give_up(struct local *local, uint64_t owner)
{
	struct evict *evict = evict_new(local, owner, NULL);

	open_again(evict);
	release(evict);
}

/* --- the main thread --- */

const struct dbddl *evict_ddl(const struct evict *evict)
{
	return &evict->ddl;
}

bool evict_is_done(const struct evict *evict)
{
	return evict->is_done;
}
