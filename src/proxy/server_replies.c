/*
 * Dealing out what a logged-in server sends: framed by headers alone, judged
 * by the queue of what it owes, and passed on in runs as long as possible,
 * so that a thousand rows in one read are one call.
 *
 * Only messages whose content matters here are waited for whole; rows and
 * COPY data are passed on as they arrive, whatever their size.
 *
 * Invariant: bytes are consumed from the stream only at the end of a scan,
 * since messages are looked at in place; after every hook the server may be
 * closed, which ends the scan.
 */
#include "proxy/server_parts.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/reword.h"
#include "core/settings.h"
#include "core/stmtmap.h"
#include "net/stream.h"
#include "proxy/local.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run of bytes that goes to the client in one piece. */
struct run {
	struct server *server;
	const uint8_t *data;
	size_t from; /* first byte not passed on */
	size_t to;   /* end of the run */
};

void server_set_failure(struct server *server, const char *sqlstate,
			const char *text)
{
	char *copy = xstrdup(text);

	free(server->failure);
	server->failure = copy;
	(void)util_copy(server->failure_state, sizeof(server->failure_state),
			sqlstate);
}

void server_note_parameter(struct server *server, const char *name,
			   const char *value)
{
	char *before = strmap_put(server->parameters, name, xstrdup(value));

	if (!before)
		buf_append(&server->parameter_names, name, strlen(name) + 1);
	free(before);
}

static bool is_closed(const struct server *server)
{
	return server->state == SERVER_CLOSED;
}

static void give_bytes(struct server *server, const void *data, size_t len)
{
	if (len == 0 || !server->hooks)
		return;
	if (server->hooks->bytes(server->user, data, len))
		stream_pause(server->stream, true);
}

static void run_flush(struct run *run)
{
	give_bytes(run->server, run->data + run->from, run->to - run->from);
	run->from = run->to;
}

/* Ends the run before len bytes that are not for the client. */
static void run_skip(struct run *run, size_t len)
{
	run_flush(run);
	run->to += len;
	run->from = run->to;
}

struct server_note *server_note_new(struct stmt *stmt, uint64_t serial,
				    bool is_sent, const char *name)
{
	size_t len = strlen(name);
	struct server_note *note = xmalloc(sizeof(*note) + len + 1);

	note->stmt = stmt ? stmt_hold(stmt) : NULL;
	note->serial = serial;
	note->is_sent = is_sent;
	note->was_there = false;
	note->is_second = false;
	note->batch = 0;
	note->epoch = 0;
	note->query_at = 0;
	note->columns = 0;
	note->is_stale = false;
	memcpy(note->name, name, len + 1);
	return note;
}

bool server_changes_unnamed(const struct track_entry *entry)
{
	const struct server_note *note = entry->note;

	return (entry->op == TRACK_PARSE || entry->op == TRACK_CLOSE) &&
	       (!note || (!note->is_sent && !*note->name && note->stmt));
}

void server_note_free(struct server_note *note)
{
	if (note && note->stmt)
		stmt_release(note->stmt);
	free(note);
}

/* What became of an entry. */
enum outcome { ANSWERED, FAILED, SKIPPED };

static void note_parse(struct server *server, const struct server_note *note,
		       enum outcome outcome)
{
	struct stmtset *set = server->statements;

	/* Also after a DEALLOCATE ALL in front of it, told of only now. */
	if (outcome == ANSWERED) {
		stmtset_add(set, note->stmt);
		stmtset_set_batch(set, note->stmt, 0);
		stmtset_set_epoch(set, note->stmt, note->epoch);
		stmt_note_good(note->stmt, note->epoch);
		return;
	}
	/* Skipped: what earlier or later batches did holds. */
	if (outcome == SKIPPED && stmtset_batch(set, note->stmt) != note->batch)
		return;
	/* So was the Close in front of it. */
	if (outcome == SKIPPED && note->was_there) {
		stmtset_set_batch(set, note->stmt, 0);
		stmtset_set_epoch(set, note->stmt, STMTSET_STALE);
		return;
	}
	stmtset_remove(set, note->stmt);
}

/* What an answered, failed or skipped entry means for the statements. */
static void keep_statements(struct server *server,
			    const struct track_entry *entry,
			    enum outcome outcome)
{
	const struct server_note *note = entry->note;

	if (entry->op == TRACK_PARSE && note && note->is_sent)
		note_parse(server, note, outcome);
	if (server_changes_unnamed(entry) && outcome == FAILED)
		server->unnamed = 0;
	/* A Query that was skipped has left it in place, too. */
	if (outcome == SKIPPED &&
	    (server_changes_unnamed(entry) || entry->op == TRACK_QUERY))
		server->unnamed = SERVER_UNNAMED_UNKNOWN;
	/* Of a guest. */
	if ((entry->flags & TRACK_OURS) && note && *note->name)
		server_settle_guest(server, note, outcome == ANSWERED);
	/* One that had to make room stays, under a name nobody knows of. */
	if (entry->op == TRACK_CLOSE && note && note->is_sent &&
	    outcome == SKIPPED)
		server->is_dirty = true;
}

static void settle(struct server *server, const struct track_entry *entry,
		   enum outcome outcome)
{
	keep_statements(server, entry, outcome);
	if (server->hooks && !(entry->flags & TRACK_OURS))
		server->hooks->settled(server->user, entry,
				       outcome == ANSWERED);
	else if (server->hooks && server->hooks->cleared &&
		 track_owed(server->track) == 0)
		server->hooks->cleared(server->user);
	server_note_free(entry->note);
}

static void settle_skipped(struct server *server)
{
	struct track_entry entry;

	while (!is_closed(server) && track_take_skipped(server->track, &entry))
		settle(server, &entry, SKIPPED);
}

static void settle_news(struct server *server)
{
	struct track_entry entry;
	char reply;

	settle_skipped(server);
	while (!is_closed(server) &&
	       track_take_local(server->track, &entry, &reply)) {
		const uint8_t message[] = { (uint8_t)reply, 0, 0, 0, 4 };

		give_bytes(server, message, sizeof(message));
		settle(server, &entry, ANSWERED);
	}
}

void server_replies_settle(struct server *server)
{
	if (track_has_news(server->track))
		settle_news(server);
}

/* Types whose content is looked at, or that are tiny. */
static bool needs_body(uint8_t type)
{
	switch (type) {
	case 'S':
	case 'N':
	case 'A':
	case 'E':
	case 'Z':
	case 'C':
	case '1':
	case '2':
	case '3':
	case 'n':
	case 's':
	case 'I':
	case 'K': return true;
	default: return false;
	}
}

static bool is_text(uint8_t type)
{
	return type == 'E' || type == 'N' || type == 'A' || type == 'S';
}

static bool broken(struct server *server, const char *what, uint8_t type)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "%s (message type 0x%02x)", what,
		       type);
	server_set_failure(server, "08P01", text);
	return false;
}

/* It would tell a client that it sits on a standby. */
static bool is_hidden(const struct server *server, const char *name)
{
	return server->site->is_replica && strcmp(name, "in_hot_standby") == 0;
}

/* What our own statements change is nothing to the client, as a rule. */
static bool is_told(struct server *server, const char *name, const char *value)
{
	bool is_ours = server->settings_due > 0;

	if (!server->hooks || (is_ours && !server->is_aloud) ||
	    is_hidden(server, name))
		return false;
	return server->hooks->reported(server->user, name, value, is_ours);
}

static bool take_parameter(struct run *run,
			   const struct pgwire_message *message)
{
	struct server *server = run->server;
	const char *name;
	const char *value;

	if (!pgwire_read_pair(message, &name, &value))
		return broken(server, "malformed reply", 'S');
	server_note_parameter(server, name, value);
	if (!is_told(server, name, value))
		run_skip(run, message->total);
	else
		run->to += message->total;
	return true;
}

static bool take_notice(struct run *run, const struct pgwire_message *message)
{
	struct server *server = run->server;
	struct pgwire_error notice;

	if (!pgwire_read_error(message, &notice))
		return broken(server, "malformed reply", message->type);
	/* A crash is told by a warning; what follows is only the end. */
	if (server->hooks && strncmp(notice.sqlstate, "57P0", 4) == 0) {
		pgbuild_message(&server->last_words, (char)message->type,
				message->body, message->body_len);
		run_skip(run, message->total);
		return true;
	}
	if (server->hooks && server->settings_due == 0) {
		run->to += message->total;
		return true;
	}
	log_debug("server %s db=%s: notice outside of a query: %s",
		  server->site->label, server->site->database, notice.message);
	run_skip(run, message->total);
	return true;
}

static bool take_async(struct run *run, const struct pgwire_message *message)
{
	if (message->type == 'S')
		return take_parameter(run, message);
	if (message->type == 'N')
		return take_notice(run, message);
	run_skip(run, message->total);
	if (run->server->hooks)
		run->server->hooks->notified(run->server->user, message);
	return true;
}

static bool is_fatal(const struct pgwire_error *error)
{
	return strcmp(error->severity, "FATAL") == 0 ||
	       strcmp(error->severity, "PANIC") == 0;
}

/* A FATAL belongs to no entry: the server says it and hangs up. */
static bool take_fatal(struct run *run, const struct pgwire_message *message)
{
	struct server *server = run->server;
	struct buf *words = &server->last_words;

	if (!server->hooks || server->settings_due > 0)
		return false;
	/* Also what came before it: the session may not want any of it. */
	buf_append(words, run->data + run->from, run->to - run->from);
	run->from = run->to;
	pgbuild_message(words, (char)message->type, message->body,
			message->body_len);
	return false;
}

/* Remembers an error; true when it is the connection's last word. */
static bool note_error(struct server *server,
		       const struct pgwire_message *message, bool *is_last)
{
	struct pgwire_error error;

	if (!pgwire_read_error(message, &error))
		return broken(server, "malformed reply", 'E');
	metrics_count(server->site->backend_cell, COUNTER_ERRORS,
		      metrics_sqlstate_class(error.sqlstate), 0, 1);
	server_set_failure(server, error.sqlstate, error.message);
	/* Its words may be in any language. */
	server->is_plan_stale =
		strcmp(error.sqlstate, "0A000") == 0 &&
		strcmp(error.routine, "RevalidateCachedQuery") == 0;
	*is_last = is_fatal(&error);
	return true;
}

static void note_undrawn(const struct server *server)
{
	if (server->hooks && server->hooks->undrawn)
		server->hooks->undrawn(server->user);
}

/* The client's own PREPARE or DEALLOCATE. */
static void note_named(struct server *server, const char *tag)
{
	bool is_prepare = strcmp(tag, "PREPARE") == 0;

	if (server->hooks && (is_prepare || strcmp(tag, "DEALLOCATE") == 0))
		server->hooks->named(server->user, is_prepare);
}

static void note_deallocated(struct server *server, const char *tag)
{
	bool is_discard = strcmp(tag, "DISCARD ALL") == 0;

	if (!is_discard && strcmp(tag, "DEALLOCATE ALL") != 0)
		return;
	stmtset_clear(server->statements);
	server_forget_guests(server);
	if (is_discard) {
		server->unnamed = 0;
		server->drawer = 0;
		server->is_dirty = false;
		settings_release(server->settings);
		server->settings = settings_empty();
	}
	if (server->hooks)
		server->hooks->deallocated(server->user, is_discard);
}

/* The end of what a session has asked; nobody may be there any more. */
static void take_asked(struct server *server)
{
	bool ok = !server->has_ask_failed;

	server->has_ask_failed = false;
	if (server->hooks)
		server->hooks->asked(server->user, ok);
	else
		server->is_clean_due = true;
}

static void take_ready(struct server *server, const struct track_entry *entry)
{
	bool is_ours = (entry->flags & TRACK_OURS) != 0;

	if (entry->flags & TRACK_ASKED) {
		take_asked(server);
		return;
	}
	if (!is_ours)
		buf_free(&server->withheld);
	if (!is_ours && server->hooks) {
		server->hooks->ready(server->user, server->status);
		return;
	}
	/* Syncs of ours may stand around it. */
	if (entry->op == TRACK_QUERY && server->settings_due > 0)
		server->settings_due--;
	if (server->hooks)
		server->hooks->applied(server->user);
	server->is_clean_due = true;
}

/* Facts that must be read before the bytes are passed on. */
struct facts {
	char tag[24];
	bool is_last_word;
};

static bool read_facts(struct server *server,
		       const struct pgwire_message *message,
		       struct facts *facts)
{
	const char *text;
	size_t len;

	facts->tag[0] = '\0';
	facts->is_last_word = false;
	if (message->type == 'E')
		return note_error(server, message, &facts->is_last_word);
	if (message->type == 'Z') {
		char status = pgwire_read_ready(message);

		if (status == 0)
			return broken(server, "malformed reply", 'Z');
		server->status = status;
	}
	if (message->type != 'C')
		return true;
	if (!pgwire_read_string(message, &text, &len))
		return broken(server, "malformed reply", 'C');
	if (text[0] == 'D' || text[0] == 'P')
		(void)util_copy(facts->tag, sizeof(facts->tag), text);
	return true;
}

/* What happens once the message itself is on its way. */
static bool react(struct server *server, uint8_t type,
		  const struct track_result *result, const struct facts *facts)
{
	bool is_ours = (result->entry.flags & TRACK_OURS) != 0;

	if (facts->tag[0] && !is_ours)
		note_named(server, facts->tag);
	if (facts->tag[0])
		note_deallocated(server, facts->tag);
	if (!is_ours && strcmp(facts->tag, "DISCARD SEQUENCES") == 0)
		note_undrawn(server);
	if (result->is_failed && (result->entry.flags & TRACK_ASKED)) {
		server->has_ask_failed = true;
	} else if (result->is_failed) {
		if (is_ours && result->entry.op == TRACK_QUERY &&
		    !(result->entry.flags & TRACK_QUIET))
			return false;
		if (server->hooks && !is_closed(server) &&
		    !(result->entry.flags & TRACK_QUIET))
			server->hooks->erred(server->user,
					     server->failure_state);
	}
	if (is_closed(server))
		return true;
	/*
	 * First the Syncs behind it that are not answered.  What is answered
	 * here is the next unit's, which is not told before this one is over.
	 */
	if (type == 'Z')
		settle_skipped(server);
	if (type == 'Z')
		take_ready(server, &result->entry);
	else if (result->is_done)
		settle(server, &result->entry, ANSWERED);
	else if (result->is_failed && result->entry.op != TRACK_QUERY &&
		 result->entry.op != TRACK_FUNCTION &&
		 result->entry.op != TRACK_SYNC)
		settle(server, &result->entry, FAILED);
	server_replies_settle(server);
	/* Behind it there was only what is not answered. */
	if (!is_closed(server) && !server->hooks &&
	    track_owed(server->track) == 0)
		server->is_clean_due = true;
	return true;
}

/* Adds the message to the run; a body not yet here follows by itself. */
static void pass(struct run *run, const struct pgwire_message *message,
		 bool is_for_client)
{
	size_t here = PGWIRE_HEADER + message->body_here;

	if (is_for_client)
		run->to += here;
	else
		run_skip(run, here);
	run->server->passing = message->total - here;
	run->server->is_passing_on = is_for_client;
}

/* What of the unit was not passed on yet never will be. */
static bool is_spared(struct server *server)
{
	return server->hooks &&
	       server->hooks->spares(server->user, server->failure_state);
}

/* Who knows the client's name of a statement in an error. */
struct namer {
	const struct server *server;
	const struct server_note *note; /* of the message that failed */
};

static const char *name_of(void *arg, uint64_t id)
{
	const struct namer *namer = arg;

	if (namer->note && *namer->note->name)
		return namer->note->name;
	if (!namer->server->hooks->name_of)
		return NULL;
	return namer->server->hooks->name_of(namer->server->user, id);
}

/* An error that names one of our statements, in the client's words. */
static void pass_reworded(struct run *run, const struct pgwire_message *message,
			  const struct server_note *note)
{
	struct server *server = run->server;
	struct namer namer = { server, note };
	struct buf worded = BUF_INIT;
	size_t start;

	run_skip(run, message->total);
	start = pgbuild_begin(&worded, 'E');
	reword_error(&worded, message->body, message->body_len, name_of,
		     &namer);
	pgbuild_end(&worded, start);
	give_bytes(server, buf_head(&worded), buf_len(&worded));
	buf_free(&worded);
}

/*
 * What stands in front for a name's sake has failed: that is why the name is
 * not there, or the transaction has failed.
 */
static bool is_withheld(const struct server *server)
{
	return buf_len(&server->withheld) > 0 &&
	       (strcmp(server->failure_state, "26000") == 0 ||
		strcmp(server->failure_state, "25P02") == 0);
}

static void pass_withheld(struct run *run, const struct pgwire_message *message)
{
	struct server *server = run->server;
	struct buf first = server->withheld;

	server->withheld = BUF_INIT;
	run_skip(run, message->total);
	give_bytes(server, buf_head(&first), buf_len(&first));
	buf_free(&first);
}

static void withhold(struct server *server,
		     const struct pgwire_message *message)
{
	if (buf_len(&server->withheld) == 0)
		pgbuild_message(&server->withheld, 'E', message->body,
				message->body_len);
}

/* A Bind that was made to fail has failed for that. */
static bool is_made_to_fail(const struct server *server,
			    const struct track_entry *entry)
{
	const struct server_note *note = entry->note;

	return entry->op == TRACK_BIND && note && note->is_stale &&
	       strcmp(server->failure_state, "26000") == 0;
}

/* In PostgreSQL's own words. */
static void pass_stale(struct run *run, const struct pgwire_message *message)
{
	struct buf error = BUF_INIT;

	run_skip(run, message->total);
	server_build_stale(&error);
	give_bytes(run->server, buf_head(&error), buf_len(&error));
	buf_free(&error);
}

static void pass_reply(struct run *run, const struct pgwire_message *message,
		       bool is_for_client, const struct track_entry *entry)
{
	if (is_for_client && message->type == 'E' && is_withheld(run->server))
		pass_withheld(run, message);
	else if (is_for_client && message->type == 'E' &&
		 is_made_to_fail(run->server, entry))
		pass_stale(run, message);
	else if (is_for_client && message->type == 'E' && run->server->hooks &&
		 reword_is_needed(message->body, message->body_len))
		pass_reworded(run, message,
			      entry->op == TRACK_BIND ? entry->note : NULL);
	else
		pass(run, message, is_for_client);
}

/* Of many of them in a row, what holds for one holds for the next. */
static bool is_data(uint8_t type)
{
	return type == 'D' || type == 'd';
}

static bool take_reply(struct run *run, const struct pgwire_message *message)
{
	struct server *server = run->server;
	struct track_result result;
	struct facts facts;
	bool is_described;

	if (!read_facts(server, message, &facts))
		return false;
	if (facts.is_last_word)
		return take_fatal(run, message);
	is_described = track_is_noted_describe(server->track);
	result = track_reply(server->track, message->type);
	if (result.verdict == TRACK_BROKEN)
		return broken(server, "unexpected reply", message->type);
	if (message->type == 'E' && result.verdict == TRACK_FORWARD &&
	    is_spared(server)) {
		run->from = run->to;
		result.verdict = TRACK_SWALLOW;
	}
	if (message->type == 'Z' && result.verdict == TRACK_FORWARD &&
	    server->hooks && server->hooks->holds(server->user, server->status))
		result.verdict = TRACK_SWALLOW;
	if (message->type == 'D' && (result.entry.flags & TRACK_ASKED) &&
	    server->hooks)
		server->hooks->row(server->user, message);
	if (result.is_failed && (result.entry.flags & TRACK_QUIET) &&
	    result.entry.op != TRACK_QUERY)
		withhold(server, message);
	/* Nobody is there to end the COPY or the batch by himself. */
	if (!server->hooks && (message->type == 'G' || result.is_failed ||
			       track_owed(server->track) == 0))
		server->is_clean_due = true;
	if (is_described)
		server_described(server, message, result.entry.note);
	pass_reply(run, message, result.verdict == TRACK_FORWARD,
		   &result.entry);
	server->run_type =
		is_data(message->type) && result.verdict == TRACK_FORWARD
			? message->type
			: 0;
	if (!result.is_done && !result.is_failed && !facts.tag[0])
		return true;
	/* A local reply, or a word to the session, comes behind these bytes. */
	if (message->type == 'Z' || result.is_failed || facts.tag[0] ||
	    track_owed(server->track) == 0 || track_has_news(server->track))
		run_flush(run);
	return react(server, message->type, &result, &facts);
}

static bool take_message(struct run *run, const struct pgwire_message *message)
{
	struct server *server = run->server;

	if (server->run_type != 0 && message->type == server->run_type) {
		pass(run, message, true);
		return true;
	}
	if (track_is_async(message->type))
		return take_async(run, message);
	return take_reply(run, message);
}

/* A message that is looked at must be here whole. */
static bool must_wait(struct server *server,
		      const struct pgwire_message *message, bool *is_bad)
{
	bool is_asked =
		(message->type == 'D' && track_is_asked(server->track)) ||
		(message->type == 'T' &&
		 track_is_noted_describe(server->track));
	size_t limit = is_asked || is_text(message->type) ? SERVER_TEXT_MAX
							  : SERVER_HELD_MAX;

	if (pgwire_is_complete(message))
		return false;
	if (!needs_body(message->type) && !is_asked)
		return false;
	*is_bad = message->body_len > limit;
	stream_set_unread_limit(server->stream, message->total + PGWIRE_HEADER);
	return true;
}

/* One message of the run; false when the scan ends (*is_bad: broken). */
static bool scan_one(struct run *run, size_t len, bool *is_bad)
{
	struct pgwire_message message;

	switch (pgwire_read(run->data + run->to, len - run->to, &message)) {
	case PGWIRE_OK: break;
	case PGWIRE_MORE: return false;
	case PGWIRE_BAD:
	default:
		(void)broken(run->server, "malformed header", 0);
		*is_bad = true;
		return false;
	}
	if (must_wait(run->server, &message, is_bad)) {
		if (*is_bad)
			(void)broken(run->server, "oversized message",
				     message.type);
		return false;
	}
	*is_bad = !take_message(run, &message);
	return !*is_bad && !is_closed(run->server);
}

/* The rest of a body that was passed on before all of it was here. */
static size_t pass_rest(struct server *server, const uint8_t *data, size_t len)
{
	size_t part = len < server->passing ? len : server->passing;

	if (server->is_passing_on)
		give_bytes(server, data, part);
	server->passing -= part;
	return part;
}

bool server_replies_read(struct server *server)
{
	bool is_bad = false;
	size_t len;
	const uint8_t *data = stream_data(server->stream, &len);
	struct run run = { .server = server, .data = data };

	if (server->passing > 0)
		run.from = run.to = pass_rest(server, data, len);
	while (run.to < len && server->passing == 0 &&
	       scan_one(&run, len, &is_bad))
		continue;
	if (is_closed(server))
		return true;
	run_flush(&run);
	assert(run.to <= len);
	if (run.to > 0)
		stream_consume(server->stream, run.to);
	return !is_bad;
}
