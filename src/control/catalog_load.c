/*
 * One load of a catalog snapshot, as a small state machine over libpq's
 * non-blocking calls: connecting, asking, done.  The connection is opened for
 * the load and closed after it: loads are rare and a kept session would only
 * hold a slot of the server.
 *
 * Two texts are sent: what all nodes hold alike, and what is the primary's own.
 * Where a replica is asked for the first, a second connection goes to the
 * primary for the other, which takes it no time.
 *
 * One event for the socket, made anew whenever libpq may have changed the
 * socket or the direction; one timer for the whole load, which also carries
 * failures of the start into the event loop.  Main thread; knows nothing of
 * when to load, or of what becomes of the snapshot.
 */
#include "control/catalog_load.h"

#include "base/util.h"
#include "control/catalog_rows.h"

#include <assert.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum load_state { LOAD_IDLE, LOAD_CONNECTING, LOAD_ASKING, LOAD_FAILED };

enum { ERROR_MAX = 200 };

struct catalog_loader {
	struct event_base *base;
	catalog_loaded_fn *done;
	void *arg;
	enum load_state state;
	PGconn *connection;
	char *next; /* where the second text goes; NULL: to the same, or done */
	enum catalog_rows_part part; /* that was sent */
	struct event *socket_event;
	struct event *timer;
	struct catalog_rows *rows;
	char error[ERROR_MAX]; /* of LOAD_FAILED */
};

static void on_socket(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

struct catalog_loader *catalog_loader_new(struct event_base *base,
					  catalog_loaded_fn *done, void *arg)
{
	struct catalog_loader *loader = xcalloc(1, sizeof(*loader));

	loader->base = base;
	loader->done = done;
	loader->arg = arg;
	loader->timer = evtimer_new(base, on_timer, loader);
	return loader;
}

static void drop_socket_event(struct catalog_loader *loader)
{
	if (loader->socket_event)
		event_free(loader->socket_event);
	loader->socket_event = NULL;
}

/* It holds a password. */
static void loader_forget_next(struct catalog_loader *loader)
{
	util_free_secret(loader->next);
	loader->next = NULL;
}

/* Back to idle: no connection, no event, no rows. */
static void reset(struct catalog_loader *loader)
{
	drop_socket_event(loader);
	if (loader->timer)
		(void)evtimer_del(loader->timer);
	PQfinish(loader->connection);
	loader->connection = NULL;
	catalog_rows_free(loader->rows);
	loader->rows = NULL;
	loader_forget_next(loader);
	loader->state = LOAD_IDLE;
}

void catalog_loader_free(struct catalog_loader *loader)
{
	if (!loader)
		return;
	reset(loader);
	if (loader->timer)
		event_free(loader->timer);
	free(loader);
}

void catalog_loader_stop(struct catalog_loader *loader)
{
	reset(loader);
}

bool catalog_loader_is_busy(const struct catalog_loader *loader)
{
	return loader->state != LOAD_IDLE;
}

/* The first line of what libpq says; it never repeats a password. */
static void copy_error(struct catalog_loader *loader, const char *text)
{
	size_t len = strcspn(text, "\r\n");

	if (len >= ERROR_MAX)
		len = ERROR_MAX - 1;
	memcpy(loader->error, text, len);
	loader->error[len] = '\0';
}

/* The loader is idle when done is called: it may start the next load. */
static void report_error(struct catalog_loader *loader)
{
	char error[ERROR_MAX];

	(void)util_copy(error, sizeof(error), loader->error);
	reset(loader);
	loader->done(loader->arg, NULL, error);
}

static void fail(struct catalog_loader *loader, const char *text)
{
	copy_error(loader, *text ? text : "the server closed the connection");
	report_error(loader);
}

/* libpq may have another socket than before, so the event is made anew. */
static bool wait_for(struct catalog_loader *loader, short what)
{
	int fd = PQsocket(loader->connection);

	drop_socket_event(loader);
	if (fd < 0)
		return false;
	loader->socket_event =
		event_new(loader->base, fd, what, on_socket, loader);
	return loader->socket_event &&
	       event_add(loader->socket_event, NULL) == 0;
}

/* Connected: all of the part is asked in one message. */
static void ask(struct catalog_loader *loader)
{
	loader->state = LOAD_ASKING;
	if (PQsetnonblocking(loader->connection, 1) != 0 ||
	    !PQsendQuery(loader->connection,
			 catalog_rows_query(loader->part)) ||
	    !wait_for(loader, EV_READ | EV_WRITE))
		fail(loader, PQerrorMessage(loader->connection));
}

static void go_on_connecting(struct catalog_loader *loader)
{
	bool is_waiting = true;

	switch (PQconnectPoll(loader->connection)) {
	case PGRES_POLLING_READING:
		is_waiting = wait_for(loader, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		is_waiting = wait_for(loader, EV_WRITE);
		break;
	case PGRES_POLLING_OK: ask(loader); return;
	default: is_waiting = false;
	}
	if (!is_waiting)
		fail(loader, PQerrorMessage(loader->connection));
}

/* Everything that happens from now on comes from the loop. */
static bool connect_to(struct catalog_loader *loader, const char *conninfo)
{
	PQfinish(loader->connection);
	loader->state = LOAD_CONNECTING;
	loader->connection = PQconnectStart(conninfo);
	return loader->connection &&
	       PQstatus(loader->connection) != CONNECTION_BAD &&
	       wait_for(loader, EV_WRITE);
}

/* The first part is here. */
static void ask_the_rest(struct catalog_loader *loader)
{
	char *next = loader->next;

	loader->part = CATALOG_ROWS_OWN;
	if (!next) {
		ask(loader);
		return;
	}
	/* Of a connection, the event goes first. */
	drop_socket_event(loader);
	if (!connect_to(loader, next))
		fail(loader, loader->connection
				     ? PQerrorMessage(loader->connection)
				     : "out of memory");
	else
		loader_forget_next(loader);
}

/* All results are here. */
static void finish(struct catalog_loader *loader)
{
	struct catalog *catalog = catalog_rows_finish(loader->rows);

	if (!catalog) {
		fail(loader, "the server left answers out");
		return;
	}
	loader->rows = NULL; /* its end was the snapshot's beginning */
	reset(loader);
	loader->done(loader->arg, catalog, NULL);
}

static void end_part(struct catalog_loader *loader)
{
	if (loader->part == CATALOG_ROWS_OWN)
		finish(loader);
	else
		ask_the_rest(loader);
}

/* Takes one result; false when the load has ended in failure. */
static bool take_result(struct catalog_loader *loader, PGresult *result)
{
	bool is_taken = catalog_rows_add(loader->rows, result);

	if (!is_taken)
		copy_error(loader, PQresultErrorMessage(result));
	PQclear(result);
	if (is_taken)
		return true;
	if (loader->error[0] == '\0')
		copy_error(loader, "the server answered something else");
	report_error(loader);
	return false;
}

/* Sends what is left, takes what has come, waits for more. */
static void go_on_asking(struct catalog_loader *loader)
{
	PGconn *connection = loader->connection;
	int unsent = PQflush(connection);

	if (unsent < 0 || !PQconsumeInput(connection)) {
		fail(loader, PQerrorMessage(connection));
		return;
	}
	while (!PQisBusy(connection)) {
		PGresult *result = PQgetResult(connection);

		if (!result) {
			end_part(loader);
			return;
		}
		if (!take_result(loader, result))
			return;
	}
	if (!wait_for(loader, (short)(EV_READ | (unsent ? EV_WRITE : 0))))
		fail(loader, "no event for the connection");
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct catalog_loader *loader = arg;

	(void)fd;
	(void)what;
	assert(loader->connection != NULL);
	if (loader->state == LOAD_CONNECTING)
		go_on_connecting(loader);
	else
		go_on_asking(loader);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct catalog_loader *loader = arg;

	(void)fd;
	(void)what;
	if (loader->state == LOAD_FAILED)
		report_error(loader);
	else
		fail(loader, "no answer in time");
}

/* For the whole load; 0 fires in the next turn of the loop. */
static bool set_timer(struct catalog_loader *loader, uint64_t timeout_us)
{
	struct timeval limit = util_timeval(timeout_us);

	return loader->timer && evtimer_add(loader->timer, &limit) == 0;
}

bool catalog_loader_start(struct catalog_loader *loader, const char *conninfo,
			  const char *own, uint64_t timeout_us)
{
	if (loader->state != LOAD_IDLE || !set_timer(loader, timeout_us))
		return false;
	loader->error[0] = '\0';
	loader->part = CATALOG_ROWS_COMMON;
	loader->rows = catalog_rows_new();
	loader->next = own ? xstrdup(own) : NULL;
	if (connect_to(loader, conninfo))
		return true;
	/* Told from the loop, as every other failure is. */
	copy_error(loader, loader->connection
				   ? PQerrorMessage(loader->connection)
				   : "out of memory");
	loader->state = LOAD_FAILED;
	(void)set_timer(loader, 0);
	return true;
}
