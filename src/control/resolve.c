/*
 * From hosts of the configuration to addresses.  Every name is looked up at
 * once and again after dns_max_ttl; the last good answer stays in use while
 * look-ups fail or hang, and an address that still is in a new answer stays
 * the one in use.  Of several addresses one is used at a time, in the order
 * of the answer; the monitor says when to go on to the next.
 *
 * Main thread, but for the look-up itself (control/lookup).
 */
#include "control/resolve.h"

#include "base/log.h"
#include "base/util.h"
#include "control/lookup.h"
#include "core/config.h"

#include <assert.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
	LOOKUP_LIMIT_US = 5000000, /* then it is worth a warning */
	RETRY_US = 1000000,        /* nothing is known yet */
	DEFAULT_TTL_US = 15000000
};

/*
 * One node of the config.  is_pending: an answer is owed; it comes under id,
 * which is never used again, since the node may have another number by then.
 * Invariant: used < count, or count is 0 and nothing is known.
 */
struct name {
	struct resolve *resolve;
	uint64_t id;
	unsigned node;
	char *host;
	char *label;
	uint16_t port;
	bool is_name; /* not an address by itself */
	bool is_pending;
	bool is_failing; /* said so in the log */
	struct event *timer;
	unsigned count;
	unsigned used;  /* index of the address in use */
	unsigned tried; /* addresses that failed since one worked */
	struct lookup_address *addresses;
};

struct resolve {
	struct event_base *base;
	struct lookup *lookup; /* NULL until a name needs it */
	const struct config *config;
	resolve_fn *callback;
	void *arg;
	uint64_t last_id;
	unsigned count;
	struct name **names; /* by node */
};

/* The one way out: whoever listens keeps what was told last. */
static void tell(const struct name *name)
{
	const struct lookup_address *address = &name->addresses[name->used];

	assert(name->used < name->count);
	name->resolve->callback(name->resolve->arg, name->node,
				&address->address, address->len);
}

static void name_wait(struct name *name, uint64_t delay_us)
{
	struct timeval delay = util_timeval(delay_us);

	(void)evtimer_add(name->timer, &delay);
}

/*
 * The time itself, as in PgBouncer: getaddrinfo hides what the record says.  0
 * would be a busy loop and means the default.
 */
static uint64_t time_to_live(const struct name *name)
{
	uint64_t ttl = name->resolve->config->settings.dns_max_ttl_us;

	return ttl > 0 ? ttl : DEFAULT_TTL_US;
}

/* ---- answers ------------------------------------------------------------ */

/* Both were zeroed before they were filled: padding compares equal. */
static bool is_same_address(const struct lookup_address *one,
			    const struct lookup_address *other)
{
	return one->len == other->len &&
	       memcmp(&one->address, &other->address, one->len) == 0;
}

/* Takes the addresses over; the one in use stays so if it is among them. */
static void name_set(struct name *name, const struct lookup_address *list,
		     unsigned count)
{
	struct lookup_address *fresh = xcalloc(count, sizeof(*fresh));
	unsigned used = 0;
	bool is_kept = false;

	assert(count > 0);
	memcpy(fresh, list, count * sizeof(*fresh));
	for (unsigned i = 0; name->count > 0 && i < count; i++)
		if (is_same_address(&fresh[i], &name->addresses[name->used])) {
			used = i;
			is_kept = true;
		}
	free(name->addresses);
	name->addresses = fresh;
	name->count = count;
	name->used = used;
	name->tried = 0;
	if (!is_kept)
		tell(name);
}

/*
 * Said once per outage.  What is known stays: a name server that is down must
 * not take the database down with it.
 */
static void name_failed(struct name *name, const char *why)
{
	if (!name->is_failing)
		log_warning("host %s: name not found (%s), %s", name->host, why,
			    name->count > 0
				    ? "the last known address stays in use"
				    : "cannot be reached until it is");
	name->is_failing = true;
}

/* The timer is the next question, whether this answer was good or not. */
static void name_answered(struct name *name, const struct lookup_answer *answer)
{
	name->is_pending = false;
	if (answer->error != 0 || answer->count == 0) {
		name_failed(name, answer->error == EAI_SYSTEM
					  ? "system error"
					  : gai_strerror(answer->error));
	} else {
		if (name->is_failing)
			log_info("host %s: name found again", name->host);
		name->is_failing = false;
		name_set(name, answer->addresses, answer->count);
	}
	name_wait(name, name->count > 0 ? time_to_live(name) : RETRY_US);
}

/* By id: the node may be gone, or have another number, since it was asked. */
static void answered(void *arg, const struct lookup_answer *answer)
{
	struct resolve *resolve = arg;

	for (unsigned i = 0; i < resolve->count; i++)
		if (resolve->names[i]->id == answer->id) {
			name_answered(resolve->names[i], answer);
			return;
		}
}

/* ---- questions ---------------------------------------------------------- */

/* A configuration of addresses alone starts no thread. */
static bool needs_helper(struct resolve *resolve)
{
	if (!resolve->lookup)
		resolve->lookup = lookup_new(resolve->base, answered, resolve);
	return resolve->lookup != NULL;
}

/*
 * The timer is a limit now: a look-up cannot be broken off, but it can be
 * complained of, and its answer is still welcome when it comes.
 */
static void name_ask(struct name *name)
{
	if (!needs_helper(name->resolve)) {
		name_failed(name, "no thread to look it up");
		name_wait(name, RETRY_US);
		return;
	}
	assert(name->is_name && !name->is_pending);
	name->is_pending = true;
	lookup_ask(name->resolve->lookup, name->id, name->host, name->port);
	name_wait(name, LOOKUP_LIMIT_US);
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct name *name = arg;

	(void)fd;
	(void)what;
	if (name->is_pending)
		name_failed(name, "no answer yet");
	else
		name_ask(name);
}

static bool unix_address(const char *directory, uint16_t port,
			 struct lookup_address *out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len = snprintf(address.sun_path, sizeof(address.sun_path),
			   "%s/.s.PGSQL.%u", directory, port);

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return false;
	memset(out, 0, sizeof(*out));
	/* The abstract name space: a NUL in place of the '@', none at the end
	 */
	if (address.sun_path[0] == '@') {
		address.sun_path[0] = '\0';
		out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				       (size_t)len);
	} else {
		out->len = sizeof(address);
	}
	memcpy(&out->address, &address, sizeof(address));
	return true;
}

/* False: it is a name. */
static bool name_set_literal(struct name *name, bool is_unix)
{
	struct lookup_answer answer;

	if (is_unix) {
		struct lookup_address address;

		if (unix_address(name->host, name->port, &address))
			name_set(name, &address, 1);
		else
			log_error("host %s: path of a socket is too long",
				  name->host);
		return true;
	}
	lookup_now(name->host, name->port, true, &answer);
	if (answer.error != 0 || answer.count == 0)
		return false;
	name_set(name, answer.addresses, 1);
	return true;
}

/* ---- nodes -------------------------------------------------------------- */

static void name_free(struct name *name)
{
	if (!name)
		return;
	event_free(name->timer);
	free(name->host);
	free(name->label);
	free(name->addresses);
	free(name);
}

/*
 * Addresses and sockets are told from here, before the caller has the resolver
 * in hand; names later, from the loop.
 */
static void name_start(struct resolve *resolve, unsigned node)
{
	const struct config_node *from = &resolve->config->nodes[node];
	struct name *name = xcalloc(1, sizeof(*name));

	name->resolve = resolve;
	name->id = ++resolve->last_id;
	name->node = node;
	name->host = xstrdup(from->host);
	name->label = xstrdup(from->label);
	name->port = from->port;
	name->timer = evtimer_new(resolve->base, timer_fired, name);
	assert(name->timer);
	resolve->names[node] = name;
	name->is_name = !name_set_literal(name, from->is_unix);
	if (name->is_name)
		name_ask(name);
}

/* As in the monitor: what is left over has gone from the configuration. */
static struct name *take_by_label(struct name **names, unsigned count,
				  const char *label)
{
	for (unsigned i = 0; i < count; i++)
		if (names[i] && strcmp(names[i]->label, label) == 0) {
			struct name *found = names[i];

			names[i] = NULL;
			return found;
		}
	return NULL;
}

/*
 * A kept name is told again under its new number: the listener's addresses are
 * those of the new configuration from now on.
 */
void resolve_reload(struct resolve *resolve, const struct config *config)
{
	struct name **before = resolve->names;
	unsigned before_count = resolve->count;
	const struct config *held = config_hold(config);

	config_release(resolve->config);
	resolve->config = held;
	resolve->count = config->node_count;
	resolve->names = xcalloc(resolve->count + 1, sizeof(struct name *));
	for (unsigned i = 0; i < resolve->count; i++) {
		struct name *kept = take_by_label(before, before_count,
						  config->nodes[i].label);

		if (!kept) {
			name_start(resolve, i);
			continue;
		}
		resolve->names[i] = kept;
		kept->node = i;
		if (kept->count > 0)
			tell(kept);
	}
	for (unsigned i = 0; i < before_count; i++)
		name_free(before[i]);
	free(before);
}

struct resolve *resolve_new(struct event_base *base,
			    const struct config *config, resolve_fn *callback,
			    void *arg)
{
	struct resolve *resolve = xcalloc(1, sizeof(*resolve));

	resolve->base = base;
	resolve->callback = callback;
	resolve->arg = arg;
	resolve_reload(resolve, config);
	return resolve;
}

void resolve_free(struct resolve *resolve)
{
	if (!resolve)
		return;
	lookup_free(resolve->lookup);
	for (unsigned i = 0; i < resolve->count; i++)
		name_free(resolve->names[i]);
	free(resolve->names);
	config_release(resolve->config);
	free(resolve);
}

const struct sockaddr_storage *resolve_address(const struct resolve *resolve,
					       unsigned node, socklen_t *len)
{
	const struct name *name;

	*len = 0;
	if (node >= resolve->count)
		return NULL;
	name = resolve->names[node];
	if (name->count == 0)
		return NULL;
	*len = name->addresses[name->used].len;
	return &name->addresses[name->used].address;
}

bool resolve_is_pending(const struct resolve *resolve, unsigned node)
{
	const struct name *name;

	if (node >= resolve->count)
		return false;
	name = resolve->names[node];
	return name->is_pending && !name->is_failing && name->count == 0;
}

/*
 * Round all addresses once, then false: the node as a whole has failed, and the
 * caller should wait before the next round.
 */
bool resolve_next(struct resolve *resolve, unsigned node)
{
	struct name *name;

	if (node >= resolve->count)
		return false;
	name = resolve->names[node];
	if (name->count < 2)
		return false;
	name->used = (name->used + 1) % name->count;
	name->tried++;
	tell(name);
	if (name->tried < name->count)
		return true;
	name->tried = 0;
	return false;
}

/* The next trouble may go round all addresses again. */
void resolve_worked(struct resolve *resolve, unsigned node)
{
	if (node < resolve->count)
		resolve->names[node]->tried = 0;
}

unsigned resolve_count_names(const struct resolve *resolve)
{
	unsigned count = 0;

	for (unsigned i = 0; i < resolve->count; i++)
		count += resolve->names[i]->is_name &&
			 resolve->names[i]->count > 0;
	return count;
}

unsigned resolve_count_pending(const struct resolve *resolve)
{
	unsigned count = 0;

	for (unsigned i = 0; i < resolve->count; i++)
		count += resolve->names[i]->is_pending;
	return count;
}
