/*
 * Passing a client's messages on to its server, and rewriting those that
 * name a prepared statement (relay_names says how it is called there).
 *
 * A client's names are its own; on servers a statement has one name for all
 * who use the same text and types, and is prepared there when somebody needs
 * it, in the same packet.  What that costs in extra messages is entered into
 * the server's queue as ours, what it saves as local, so that the client sees
 * exactly the replies that it would have seen.
 */
#include "base/buf.h"
#include "base/util.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/notifiers.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The batch has failed already: what is sent of it is read over. */
static bool is_read_over(const struct session *session)
{
	const struct track *track = server_track(session->server);

	return track_is_skipping(track) && track_units(track) == 0;
}

static void note_effects(struct session *session, const struct sqlclass *class)
{
	struct sqlclass *unit = &session->unit.judged;

	if (is_read_over(session))
		return;
	if (class->access > unit->access)
		unit->access = class->access;
	if (class->command != COMMAND_OTHER)
		unit->command = class->command;
	unit->effects |= class->effects;
	if (unit->shape == 0) {
		unit->shape = class->shape;
		unit->shape_turn = class->shape_turn;
	}
	session_inspect_sent(session, class->effects);
	session_sequence_sent(session, class);
	if (class->effects & EFFECT_HIDDEN)
		session->is_hiding = true;
	session_listen_note(session, class);
	if (class->access > ACCESS_READ)
		notifiers_set(session->local->process->notifiers,
			      server_notifier(session->server), session->pid);
}

/* --- units --- */

static void grow_units(struct session *session)
{
	unsigned room = session->units_room ? session->units_room * 2 : 2;
	struct session_unit *units = xmalloc(room * sizeof(*units));

	assert(session->units_count <= session->units_room);
	for (unsigned i = 0; i < session->units_room; i++)
		units[i] = *session_unit_at(session, i);
	free(session->units);
	session->units = units;
	session->units_room = room;
	session->units_first = 0;
}

/* From here on a ReadyForQuery is owed for the unit. */
static void push_unit(struct session *session)
{
	if (session->units_count == session->units_room)
		grow_units(session);
	session->unit.since_us = local_now(session->local);
	session->units[(session->units_first + session->units_count) &
		       (session->units_room - 1)] = session->unit;
	session->units_count++;
	session->unit = (struct session_unit){ 0 };
}

/* Lets up to so many bytes of a message pile up until the unit is over. */
static void hoard(struct session *session, size_t bytes)
{
	session->is_hoarding = true;
	stream_set_unread_limit(session->client, bytes + PGWIRE_HEADER);
}

static void end_unit(struct session *session)
{
	if (session->is_hoarding)
		stream_set_unread_limit(session->client, STREAM_UNREAD_LIMIT);
	session->is_hoarding = false;
	session->is_mid_unit = false;
	session->is_settling = false;
	session->has_bound = false;
	session->is_asking = false;
	relay_told_forget(session);
	relay_portal_end_unit(session);
	session_refill_forget(session);
	session->ends_unit = false;
	session->relayed_parses = 0;
	session->batch_serial = names_serial(session);
	session->scan = (struct session_scan){ 0 };
}

void relay_end_part(struct session *session)
{
	session_replay_forget(session);
	server_send_sync(session->server);
	session->unit = (struct session_unit){ 0 };
	end_unit(session);
}

/* --- bytes --- */

/* Sends len bytes that are here; the rest of the message follows by itself. */
static void pass(struct session *session, size_t here, size_t total)
{
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	assert(here <= len && here <= total);
	(void)server_forward(session->server, data, here);
	stream_consume(session->client, here);
	session->left = total - here;
	server_set_mid_message(session->server, session->left > 0);
}

static void pass_message(struct session *session,
			 const struct pgwire_message *message)
{
	pass(session, PGWIRE_HEADER + message->body_here, message->total);
}

/* The body of a message whose beginning was rewritten. */
static void pass_rest(struct session *session,
		      const struct pgwire_message *message, size_t from)
{
	stream_consume(session->client, PGWIRE_HEADER + from);
	pass(session, message->body_here - from, message->body_len - from);
}

/* --- names --- */

/*
 * What stands behind a Flush was not seen when its batch was sent to a
 * replica.  As long as nothing has run there, it can still go elsewhere;
 * else it waits for the answers: behind an error it will not be done at all.
 */
static bool may_stay(const struct session *session, struct sqlclass class)
{
	const struct track *track = server_track(session->server);

	if (!server_site(session->server)->is_replica || session->pins ||
	    server_status(session->server) != 'I')
		return true;
	if (session->has_bound &&
	    (track_owed(track) == 0 || track_is_skipping(track)))
		return true;
	if (route_is_read_only_begin(&class))
		return true;
	return class.access == ACCESS_READ && class.command == COMMAND_OTHER &&
	       !session_inspect_is_suspect(class.effects);
}

/* The Sync is here, and no other Flush before it. */
static bool sees_sync(const struct session *session)
{
	struct pgwire_message message;
	size_t len;
	size_t at = 0;
	const uint8_t *data = stream_data(session->client, &len);

	while (pgwire_read(data + at, len - at, &message) == PGWIRE_OK &&
	       message.type != 'H') {
		if (message.type == 'S')
			return true;
		if (!pgwire_is_complete(&message))
			return false;
		at += message.total;
	}
	return false;
}

/*
 * The first to run behind a Flush, with another one or nothing yet behind it:
 * a write may come, and then it would be too late.
 */
static bool is_open_ended(const struct session *session)
{
	return server_site(session->server)->is_replica && session->pins == 0 &&
	       server_status(session->server) == 'I' && !session->has_bound &&
	       session->scan.binds == 0 && !sees_sync(session);
}

/* The wait for the answers may be over, too. */
static bool must_move(struct session *session, struct sqlclass class)
{
	if (!may_stay(session, class))
		return true;
	session->is_moving = false;
	return false;
}

static struct sqlclass class_of_parse(const struct session *session,
				      const struct pgwire_parse *parse)
{
	unsigned index = session->relayed_parses;

	if (index < session->scan.parses && index < SESSION_JUDGED)
		return session->parsed[index].judged;
	return intake_judge(session, parse->query, parse->query_len);
}

/* A text too long to keep stays with this server under its own name. */
static void parse_huge(struct session *session,
		       const struct pgwire_message *message)
{
	struct server_note *note = names_keep_unnamed(session);

	session_inspect_stick(session, EFFECT_PREPARE);
	stmtmap_remove(session->names, "");
	session->unnamed_serial = names_next_serial(session);
	server_set_unnamed(session->server, session->unnamed_serial);
	session->unnamed_changes++;
	server_owe(session->server, TRACK_PARSE, 0, note);
	pass_message(session, message);
}

/*
 * What this batch has sent may change names: what uses one behind it waits
 * for the answers.
 */
static bool must_settle(struct session *session)
{
	const uint32_t naming = EFFECT_DEALLOCATE | EFFECT_DISCARD_ALL;
	bool was_settling = session->is_settling;

	session->is_settling = (session->unit.judged.effects & naming) &&
			       track_owed(server_track(session->server)) > 0;
	if (session->is_settling && !was_settling)
		pgbuild_empty(server_out(session->server), 'H');
	return session->is_settling;
}

static enum relay_result relay_parse(struct session *session,
				     const struct pgwire_message *message,
				     const char **why)
{
	struct sqlclass class;
	struct pgwire_parse parse;

	if (!pgwire_is_complete(message)) {
		if (message->total > SESSION_HOLD_BYTES) {
			parse_huge(session, message);
			return RELAY_MORE;
		}
		hoard(session, message->total);
		return RELAY_HOLD;
	}
	if (!pgwire_read_parse(message, &parse)) {
		*why = "invalid message format (Parse)";
		return RELAY_BAD;
	}
	class = class_of_parse(session, &parse);
	if ((*parse.name && names_is_unsure(session, parse.name)) ||
	    ((*parse.name || (class.effects & EFFECT_EXECUTE)) &&
	     must_settle(session)))
		return RELAY_HOLD;
	if (must_move(session, class))
		return RELAY_MOVE;
	if ((class.effects & EFFECT_EXECUTE) && !is_read_over(session) &&
	    !materialise_parse(session, parse.query, parse.query_len))
		return RELAY_HOLD;
	session_count_total(session, COUNTER_CLIENT_PARSES);
	if (relay_names_parse(session, message, &parse, class))
		pass_message(session, message);
	else
		stream_consume(session->client, message->total);
	session->relayed_parses++;
	return RELAY_MORE;
}

/* Bind with other names in front; the rest of the body as it is. */
static void rewrite_bind(struct session *session,
			 const struct pgwire_message *message,
			 const struct pgwire_bind *bind, const char *name)
{
	struct buf *out = server_out(session->server);
	size_t names = strlen(bind->portal) + strlen(name) + 2;

	pgbuild_header(out, 'B', names + message->body_len - bind->rest);
	buf_append_cstring(out, bind->portal);
	buf_append_cstring(out, name);
	pass_rest(session, message, bind->rest);
}

/* A replica may not have the last DDL yet; the primary knows. */
static bool may_be_behind(const struct session *session)
{
	return server_site(session->server)->is_replica && !session->pins &&
	       server_status(session->server) == 'I' && !session->has_bound;
}

/* A Bind that fails, where nobody can say so but the server. */
static void refuse_bind(struct session *session,
			const struct pgwire_message *message,
			const struct pgwire_bind *bind)
{
	session->has_bound = true;
	server_owe(session->server, TRACK_BIND, 0, relay_told_stale());
	rewrite_bind(session, message, bind, "?");
}

/* A statement about databases or roles: are they free for it? */
static bool may_pass_bind(struct session *session,
			  const struct stmtmap_entry *entry)
{
	size_t len;
	const char *text = stmt_query(entry->stmt, &len);

	return session_ddl_may_pass(session, text, len);
}

/* Brings what its text uses; false: it has to wait. */
static bool materialise_entry(struct session *session,
			      const struct stmtmap_entry *entry,
			      struct sqlclass *class)
{
	const char *text;
	size_t len;

	if (!materialise_is_needed(class->effects) || entry->query_at > 0 ||
	    is_read_over(session))
		return true;
	text = stmt_query(entry->stmt, &len);
	return materialise_text(session, text, len, &class->effects);
}

/* The names in front of a Bind must be here whole; MORE: they are. */
static enum relay_result read_bind(struct session *session,
				   const struct pgwire_message *message,
				   struct pgwire_bind *bind, const char **why)
{
	switch (pgwire_read_bind(message, bind)) {
	case PGWIRE_OK: return RELAY_MORE;
	case PGWIRE_MORE:
		if (message->body_here < SESSION_HOLD_BYTES) {
			hoard(session, SESSION_HOLD_BYTES);
			return RELAY_HOLD;
		}
		*why = "names of a Bind message are too long";
		return RELAY_BAD;
	case PGWIRE_BAD:
	default: *why = "invalid message format (Bind)"; return RELAY_BAD;
	}
}

/* Whether the Bind may go where the session is; MORE: it may. */
static enum relay_result place_bind(struct session *session, const char *name,
				    const struct stmtmap_entry *entry,
				    struct sqlclass *class)
{
	bool uses_names = *name || materialise_is_needed(class->effects);

	if (names_is_unsure(session, name) ||
	    relay_names_must_wait(session, name) ||
	    (uses_names && must_settle(session)))
		return RELAY_HOLD;
	if (is_open_ended(session) || must_move(session, *class))
		return RELAY_MOVE;
	if ((class->is_global && !may_pass_bind(session, entry)) ||
	    session_reset_must_wait(session, class))
		return RELAY_HOLD;
	if (entry && !materialise_entry(session, entry, class))
		return RELAY_HOLD;
	return RELAY_MORE;
}

/* As it is, where the server knows the statement by the client's name. */
static void pass_bind(struct session *session,
		      const struct pgwire_message *message,
		      const struct pgwire_bind *bind,
		      const struct sqlclass *class)
{
	const struct stmtmap_entry *entry;
	const char *name =
		relay_names_there(session, bind->statement, false, &entry);

	relay_told_bound(session, message, bind, entry);
	relay_portal_bound(session, bind->portal, class);
	note_effects(session, class);
	session_effects_of_bind(session, entry, message);
	session->has_bound = true;
	server_owe(session->server, TRACK_BIND, 0,
		   relay_names_note(session, entry, bind->statement));
	if (name && *name)
		rewrite_bind(session, message, bind, name);
	else if (!name && names_looks_like_ours(bind->statement))
		rewrite_bind(session, message, bind, "?");
	else
		pass_message(session, message);
}

static enum relay_result relay_bind(struct session *session,
				    const struct pgwire_message *message,
				    const char **why)
{
	struct sqlclass class = { .access = ACCESS_UNKNOWN };
	const struct stmtmap_entry *entry;
	struct pgwire_bind bind;
	enum relay_told told;
	enum relay_result result = read_bind(session, message, &bind, why);

	if (result != RELAY_MORE)
		return result;
	entry = stmtmap_find(session->names, bind.statement);
	if (entry)
		class = entry->judged;
	result = place_bind(session, bind.statement, entry, &class);
	if (result != RELAY_MORE)
		return result;
	told = relay_told_check(session, message, &bind);
	if (told == RELAY_TOLD_WAIT)
		return RELAY_HOLD;
	if (told == RELAY_TOLD_BROKEN && may_be_behind(session))
		return RELAY_MOVE;
	if (class.shows_position && !is_read_over(session))
		session_token_insert(session);
	session_count_total(session, COUNTER_BINDS);
	if (told == RELAY_TOLD_BROKEN)
		refuse_bind(session, message, &bind);
	else
		pass_bind(session, message, &bind, &class);
	return RELAY_MORE;
}

/* --- Describe and Close --- */

static void describe_statement(struct session *session,
			       const struct pgwire_message *message,
			       const char *name)
{
	const struct stmtmap_entry *entry;
	const char *there = relay_names_there(session, name, true, &entry);

	server_owe(session->server, TRACK_DESCRIBE_STATEMENT, 0,
		   relay_told_note(session, name, entry));
	if (!there && names_looks_like_ours(name))
		there = "?";
	pgbuild_target(server_out(session->server), 'D', 'S',
		       there ? there : name);
	stream_consume(session->client, message->total);
}

static enum relay_result relay_target(struct session *session,
				      const struct pgwire_message *message,
				      const char **why)
{
	const char *name;
	uint8_t kind;

	if (!pgwire_is_complete(message))
		return RELAY_HOLD;
	if (!pgwire_read_target(message, &kind, &name)) {
		*why = "invalid message format (Describe or Close)";
		return RELAY_BAD;
	}
	if (kind == 'S' &&
	    (names_is_unsure(session, name) ||
	     (message->type == 'D' && relay_names_must_wait(session, name)) ||
	     (*name && must_settle(session))))
		return RELAY_HOLD;
	if (kind == 'S' && message->type == 'D') {
		describe_statement(session, message, name);
	} else if (kind == 'S' && !relay_names_close(session, name)) {
		stream_consume(session->client, message->total);
	} else if (kind == 'S') {
		pass_message(session, message);
	} else if (message->type == 'D') {
		if (relay_portal_look(session, message, name) ==
		    RELAY_PORTAL_WAIT)
			return RELAY_HOLD;
		server_owe(session->server, TRACK_DESCRIBE_PORTAL, 0,
			   relay_told_take_portal(session));
		pass_message(session, message);
	} else {
		if (!*name)
			session->portal = SESSION_PORTAL_OWN;
		server_owe(session->server, TRACK_CLOSE, 0,
			   server_note_new(NULL, 0, false, name));
		pass_message(session, message);
	}
	return RELAY_MORE;
}

/* --- whole units --- */

/* A simple query ends the life of the unnamed statement. */
/* Behind a Flush a Query is none that intake has judged. */
static struct sqlclass class_of_query(const struct session *session,
				      const struct pgwire_message *message)
{
	const char *text;
	size_t len;

	if (session->scan.at == 0)
		return session->scan.judged;
	if (message->type == 'Q' && pgwire_is_complete(message) &&
	    pgwire_read_string(message, &text, &len))
		return intake_judge(session, text, len);
	return (struct sqlclass){ .access = ACCESS_UNKNOWN };
}

/* A statement about databases or roles: are they free for it? */
static bool may_pass_query(struct session *session,
			   const struct pgwire_message *message)
{
	const char *text;
	size_t len;

	return message->type != 'Q' || !pgwire_is_complete(message) ||
	       !pgwire_read_string(message, &text, &len) ||
	       session_ddl_may_pass(session, text, len);
}

/* Brings what its text uses; false: it has to wait. */
static bool materialise_query(struct session *session,
			      const struct pgwire_message *message,
			      struct sqlclass *class)
{
	const char *text;
	size_t len;

	if (!materialise_is_needed(class->effects) || message->type != 'Q' ||
	    !pgwire_is_complete(message) || is_read_over(session) ||
	    !pgwire_read_string(message, &text, &len))
		return true;
	return materialise_text(session, text, len, &class->effects);
}

static enum relay_result relay_query(struct session *session,
				     const struct pgwire_message *message)
{
	struct sqlclass class = class_of_query(session, message);
	struct buf tail = BUF_INIT;
	bool is_tailed;

	if (session->scan.at > 0 && must_move(session, class))
		return RELAY_MOVE;
	if ((class.is_global && !may_pass_query(session, message)) ||
	    session_reset_must_wait(session, &class))
		return RELAY_HOLD;
	if (!materialise_query(session, message, &class))
		return RELAY_HOLD;
	note_effects(session, &class);
	session_effects_of_query(session, &class, message);
	session->unit.judged = class;
	session->unit.is_query = true;
	session->portal = SESSION_PORTAL_OWN;
	session_undo_note(session, "");
	stmtmap_remove(session->names, "");
	server_set_unnamed(session->server, 0);
	is_tailed = session_refill_query(session, &class, message, &tail);
	/* First the unit: the server may be skipping up to a Sync already. */
	push_unit(session);
	server_owe(session->server,
		   message->type == 'Q' ? TRACK_QUERY : TRACK_FUNCTION,
		   is_tailed ? TRACK_TAILED : 0, NULL);
	session->ends_unit = true;
	if (is_tailed)
		session_refill_pass(session, message, &tail);
	else
		pass_message(session, message);
	return RELAY_MORE;
}

static void relay_sync(struct session *session,
		       const struct pgwire_message *message)
{
	push_unit(session);
	server_owe(session->server, TRACK_SYNC, 0, NULL);
	session->ends_unit = true;
	pass_message(session, message);
}

/* In COPY mode the server reads over a Sync: no reply, no unit. */
static void relay_copy_sync(struct session *session,
			    const struct pgwire_message *message)
{
	session->ends_unit = false;
	server_owe(session->server, TRACK_SYNC, 0, NULL);
	pass_message(session, message);
}

static void relay_copy(struct session *session,
		       const struct pgwire_message *message)
{
	server_owe(session->server,
		   message->type == 'd' ? TRACK_COPY_DATA : TRACK_COPY_END, 0,
		   NULL);
	/* Data is no unit: a new one may begin behind it. */
	session->ends_unit =
		!track_is_batch_open(server_track(session->server));
	pass_message(session, message);
}

/* Of a part that is kept nothing is sent behind it before it is answered. */
static enum relay_result relay_flush(struct session *session,
				     const struct pgwire_message *message)
{
	pass_message(session, message);
	if (!session->is_replay_part)
		return RELAY_MORE;
	if (track_owed(server_track(session->server)) > 0) {
		session->is_flushing = true;
		return RELAY_HOLD;
	}
	relay_end_part(session);
	return RELAY_UNIT;
}

static enum relay_result relay_execute(struct session *session,
				       const struct pgwire_message *message)
{
	bool is_reset;

	switch (relay_portal_look(session, message,
				  (const char *)message->body)) {
	case RELAY_PORTAL_WAIT: return RELAY_HOLD;
	case RELAY_PORTAL_ANSWERED: return RELAY_MORE;
	case RELAY_PORTAL_THERE:
	default: break;
	}
	if (session->unit.judged.statements < UINT16_MAX)
		session->unit.judged.statements++;
	session_begin_executes(session);
	server_owe(session->server, TRACK_EXECUTE, 0, NULL);
	is_reset = session_refill_is_due(session, message);
	pass_message(session, message);
	if (is_reset)
		session_refill_insert(session);
	return RELAY_MORE;
}

static enum relay_result relay_message(struct session *session,
				       const struct pgwire_message *message,
				       const char **why)
{
	bool is_copying = track_is_copy_in(server_track(session->server));

	switch (message->type) {
	case 'P': return relay_parse(session, message, why);
	case 'B': return relay_bind(session, message, why);
	case 'D':
	case 'C': return relay_target(session, message, why);
	case 'E': return relay_execute(session, message);
	case 'S':
		if (is_copying)
			relay_copy_sync(session, message);
		else
			relay_sync(session, message);
		return RELAY_MORE;
	case 'H': return relay_flush(session, message);
	case 'Q':
	case 'F': return relay_query(session, message);
	case 'd':
	case 'c':
	case 'f': relay_copy(session, message); return RELAY_MORE;
	case 'X': return RELAY_END;
	default: *why = "invalid frontend message type"; return RELAY_BAD;
	}
}

/* What the operator lets nobody send; NULL: it may pass. */
static const char *forbidden(const struct session *session,
			     const struct pgwire_message *message)
{
	const struct config_settings *settings = local_settings(session->local);

	if (message->total > settings->max_packet_size)
		return "the message is longer than max_packet_size";
	if (message->type == 'Q' && settings->disable_pqexec)
		return "simple queries are not allowed (disable_pqexec)";
	return NULL;
}

static enum relay_result relay_one(struct session *session, const char **why)
{
	struct pgwire_message message;
	size_t len;
	const uint8_t *data = stream_data(session->client, &len);

	switch (pgwire_read(data, len, &message)) {
	case PGWIRE_OK: break;
	case PGWIRE_MORE: return RELAY_HOLD;
	case PGWIRE_BAD:
	default: *why = "invalid message length"; return RELAY_BAD;
	}
	*why = "invalid message length";
	if (!pgwire_is_client_length(message.type, message.body_len) &&
	    pgwire_is_client_type(message.type))
		return RELAY_BAD;
	*why = forbidden(session, &message);
	if (*why)
		return RELAY_BAD;
	if (!pgwire_is_complete(&message) &&
	    message.total <= SESSION_WHOLE_BYTES)
		return RELAY_HOLD;
	return relay_message(session, &message, why);
}

static void continue_message(struct session *session, size_t here)
{
	size_t part = here < session->left ? here : session->left;

	pass(session, part, session->left);
}

static enum relay_result relay_all(struct session *session, const char **why)
{
	enum relay_result result;
	size_t before;
	size_t len;

	session->is_unit_whole = false;
	(void)stream_data(session->client, &before);
	for (;;) {
		(void)stream_data(session->client, &len);
		if (session->left > 0 && len > 0)
			continue_message(session, len);
		if (server_is_full(session->server))
			return RELAY_FULL;
		if (session->left > 0)
			return RELAY_MORE;
		if (session->ends_unit) {
			end_unit(session);
			session->is_unit_whole = true;
			return RELAY_UNIT;
		}
		(void)stream_data(session->client, &len);
		if (len == 0)
			return RELAY_MORE;
		if (session_is_tired(session, before - len))
			return RELAY_HOLD;
		before = len;
		result = relay_one(session, why);
		if (result != RELAY_MORE)
			return result;
	}
}

/*
 * What needs no server is answered together with the rest of its unit, as
 * PostgreSQL does, unless the unit is cut or asks for it (Flush).
 */
enum relay_result relay_run(struct session *session, const char **why)
{
	enum relay_result result;

	session->is_relaying = true;
	result = relay_all(session, why);
	session->is_relaying = false;
	if ((!session->is_unit_whole || session->units_count == 0) &&
	    stream_out_len(session->client) > 0)
		(void)stream_out(session->client);
	return result;
}
