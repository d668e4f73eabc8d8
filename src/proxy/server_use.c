/*
 * What a session does with the server it holds: sending, settings, prepared
 * statements, cancel accounting.
 *
 * Everything that is put into the out-buffer here is entered into the queue
 * of owed replies in the same order, or it is not sent at all.
 */
#include "proxy/server_use.h"
#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"
#include "core/metrics.h"
#include "core/pgbuild.h"
#include "core/settings.h"
#include "core/stmtmap.h"
#include "net/stream.h"
#include "proxy/local.h"
#include "proxy/server_guests.h"
#include "proxy/server_parts.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

void server_set_hooks(struct server *server,
		      const struct server_user_hooks *hooks)
{
	assert(server->state == SERVER_ACTIVE && server->hooks);
	server->hooks = hooks;
}

void server_mark_dirty(struct server *server)
{
	server->is_dirty = true;
}

void server_mark_spent(struct server *server)
{
	server->is_spent = true;
}

void server_mark_clean(struct server *server)
{
	server->is_dirty = false;
}

void server_note_settings(struct server *server,
			  const struct settings *settings)
{
	const struct settings *before = server->settings;

	server->settings = settings_hold(settings);
	settings_release(before);
}

/* A simple Query ends the life of the unnamed statement. */
static void send_ours_as(struct server *server, const struct buf *sql,
			 unsigned flags)
{
	pgbuild_query(stream_out(server->stream), (const char *)buf_head(sql),
		      buf_len(sql));
	track_push(server->track, TRACK_QUERY, TRACK_OURS | flags, NULL);
	server->unnamed = 0;
	server->settings_due++;
	server->is_aloud = false;
}

static void send_ours(struct server *server, const struct buf *sql)
{
	send_ours_as(server, sql, 0);
}

/* --- sequences --- */

static _Atomic uint64_t draw_turns;

uint64_t server_note_draw(struct server *server, uint64_t session)
{
	if (server->drawer != session) {
		server->drawer = session;
		server->draw_turn = atomic_fetch_add(&draw_turns, 1) + 1;
	}
	return server->draw_turn;
}

uint64_t server_draw_turn(const struct server *server)
{
	return server->drawer ? server->draw_turn : 0;
}

void server_forget_draws(struct server *server)
{
	server->drawer = 0;
	server->is_drawn_stale = true;
}

/*
 * A RESET undoes what connect_query has set as well: it is run again behind
 * those, and in front of what the client has set.
 */
static void write_changes(const struct server *server,
			  const struct settings *settings, struct buf *sql)
{
	const struct settings *none = settings_empty();
	const char *query = server->site->connect_query;

	if (!query || settings_count(server->settings) == 0) {
		settings_difference(server->settings, settings, sql);
	} else {
		settings_difference(server->settings, none, sql);
		buf_printf(sql, "%s\n;", query);
		settings_difference(none, settings, sql);
	}
	settings_release(none);
}

bool server_apply(struct server *server, const struct settings *settings)
{
	struct buf sql = BUF_INIT;

	assert(server->state == SERVER_ACTIVE);
	if (server->settings == settings && !server->is_drawn_stale)
		return true;
	if (server->is_drawn_stale)
		buf_printf(&sql, "DISCARD SEQUENCES;");
	server->is_drawn_stale = false;
	if (server->settings != settings)
		write_changes(server, settings, &sql);
	settings_release(server->settings);
	server->settings = settings_hold(settings);
	if (buf_len(&sql) == 0)
		return true;
	send_ours(server, &sql);
	buf_free(&sql);
	return false;
}

bool server_apply_aloud(struct server *server, const struct settings *settings)
{
	bool is_done = server_apply(server, settings);

	server->is_aloud = !is_done;
	return is_done;
}

void server_ask(struct server *server, const struct buf *sql)
{
	assert(server->state == SERVER_ACTIVE);
	pgbuild_query(stream_out(server->stream), (const char *)buf_head(sql),
		      buf_len(sql));
	track_push(server->track, TRACK_QUERY, TRACK_OURS | TRACK_ASKED, NULL);
	server->unnamed = 0;
}

void server_tell(struct server *server, const struct buf *sql)
{
	assert(server->state == SERVER_ACTIVE);
	send_ours(server, sql);
}

void server_begin_block(struct server *server, const struct buf *sql,
			bool will_fail)
{
	assert(server->state == SERVER_ACTIVE);
	send_ours_as(server, sql, will_fail ? TRACK_QUIET : 0);
	server->status = will_fail ? 'E' : 'T';
}

bool server_has_stale_plan(const struct server *server)
{
	return server->is_plan_stale;
}

bool server_has_question(const struct server *server)
{
	return server->settings_due > 0;
}

struct buf *server_out(struct server *server)
{
	return stream_out(server->stream);
}

bool server_is_full(const struct server *server)
{
	return stream_len_is_high(stream_out_len(server->stream));
}

bool server_forward(struct server *server, const void *data, size_t len)
{
	stream_forward(server->stream, data, len);
	return server_is_full(server);
}

void server_slow(struct server *server, bool is_slow)
{
	stream_pause(server->stream, is_slow);
}

void server_owe(struct server *server, enum track_op op, unsigned flags,
		struct server_note *note)
{
	track_push(server->track, op, flags, note);
	if (op == TRACK_SYNC || op == TRACK_QUERY)
		server->batches++;
	server_replies_settle(server);
}

void server_set_mid_message(struct server *server, bool is_mid)
{
	server->is_mid_message = is_mid;
}

const struct track *server_track(const struct server *server)
{
	return server->track;
}

char server_status(const struct server *server)
{
	return server->status;
}

uint64_t server_queued(const struct server *server)
{
	return stream_tls(server->stream)
		       ? 0
		       : stream_bytes_out(server->stream) +
				 stream_out_len(server->stream);
}

bool server_is_idle(const struct server *server)
{
	return server->status == 'I' && !server->is_mid_message &&
	       track_is_idle(server->track);
}

/* --- prepared statements --- */

bool server_has_statement(struct server *server, struct stmt *stmt)
{
	uint64_t batch;

	if (server->status != 'E' && track_units(server->track) == 0)
		return stmtset_use_fresh(server->statements, stmt,
					 server_batch(server));
	if (!stmtset_use(server->statements, stmt))
		return false;
	batch = stmtset_batch(server->statements, stmt);
	return batch == 0 || batch == server_batch(server);
}

bool server_may_have(const struct server *server, const struct stmt *stmt)
{
	return stmtset_has(server->statements, stmt);
}

bool server_has_fresh(struct server *server, const struct stmt *stmt)
{
	return stmtset_use_fresh(server->statements, stmt,
				 server_batch(server));
}

uint64_t server_sent_us(const struct server *server, const struct stmt *stmt)
{
	return stmtset_sent_us(server->statements, stmt);
}

bool server_is_full_of_names(const struct server *server)
{
	return stmtset_is_full(server->statements);
}

uint64_t server_batch(const struct server *server)
{
	/* 0 stands for "confirmed". */
	return server->batches + 1;
}

void server_date_note(const struct server *server, struct server_note *note)
{
	note->batch = server_batch(server);
	note->epoch = stmt_epoch(note->stmt);
}

static struct server_note *note_of_ours(const struct server *server,
					struct stmt *stmt)
{
	struct server_note *note = server_note_new(stmt, 0, true, "");

	server_date_note(server, note);
	return note;
}

/*
 * To close a statement that does not exist is no error.  guest: its name when
 * it is one; without a note it would be one of the unnamed statement.
 */
static void close_on_server(struct server *server, const char *name,
			    const char *guest)
{
	pgbuild_target(stream_out(server->stream), 'C', 'S', name);
	server_owe(server, TRACK_CLOSE, TRACK_OURS,
		   server_note_new(NULL, 0, false, guest));
}

bool server_lack_guest(struct server *server, const char *name)
{
	if (!server_find_guest(server, name))
		return false;
	close_on_server(server, name, name);
	server_forget_guest(server, name);
	return true;
}

static void make_room(struct server *server)
{
	struct stmt *old = stmtset_evict(server->statements);

	if (!old)
		return;
	metrics_count(server->site->totals, COUNTER_PREPARED_EVICTIONS, 0, 0,
		      1);
	pgbuild_target(stream_out(server->stream), 'C', 'S',
		       stmt_server_name(old));
	server_owe(server, TRACK_CLOSE, TRACK_OURS, note_of_ours(server, old));
	stmt_release(old);
}

bool server_expect_statement(struct server *server, struct stmt *stmt)
{
	struct stmtset *set = server->statements;
	bool is_new = !stmtset_use(set, stmt);
	/* What is in flight may be skipped, as this one may. */
	bool was_there = !is_new && stmtset_batch(set, stmt) == 0;

	if (is_new) {
		make_room(server);
		stmtset_add(set, stmt);
	}
	/* Of two in flight, whichever is answered will do. */
	if (is_new || stmtset_batch(set, stmt) > 0 ||
	    !server_has_statement(server, stmt)) {
		stmtset_set_batch(set, stmt, server_batch(server));
		stmtset_set_epoch(set, stmt, stmt_epoch(stmt));
		stmtset_set_columns(set, stmt, 0);
	}
	stmtset_set_sent(set, stmt, local_now(server->site->local));
	/* A stand-in, or some client has a name that looks like this one. */
	if (!server_lack_guest(server, stmt_server_name(stmt)))
		close_on_server(server, stmt_server_name(stmt), "");
	return was_there;
}

void server_describe(struct server *server, struct stmt *stmt)
{
	pgbuild_target(stream_out(server->stream), 'D', 'S',
		       stmt_server_name(stmt));
	server_owe(server, TRACK_DESCRIBE_STATEMENT, TRACK_OURS,
		   note_of_ours(server, stmt));
}

uint64_t server_columns(const struct server *server, const struct stmt *stmt)
{
	return stmtset_columns(server->statements, stmt);
}

void server_describe_new(struct server *server, struct stmt *stmt)
{
	if (!stmt_shape(stmt))
		server_describe(server, stmt);
}

void server_prepare(struct server *server, struct stmt *stmt)
{
	server_prepare_as(server, stmt, 0);
}

void server_rely_on(struct server *server, const struct stmt *stmt)
{
	stmtset_set_batch(server->statements, stmt, server_batch(server));
}

void server_prepare_as(struct server *server, struct stmt *stmt, unsigned flags)
{
	size_t len;
	const void *tail = stmt_tail(stmt, &len);
	struct server_note *note;
	bool was_there = server_expect_statement(server, stmt);

	pgbuild_parse(stream_out(server->stream), stmt_server_name(stmt), tail,
		      len);
	metrics_count(server->site->totals, COUNTER_SERVER_PARSES, 0, 0, 1);
	note = note_of_ours(server, stmt);
	note->was_there = was_there;
	server_owe(server, TRACK_PARSE, TRACK_OURS | flags, note);
	server_describe_new(server, stmt);
}

/* Closed in the same breath; one whose batch has failed was not there. */
void server_try_parse(struct server *server, const struct stmt *stmt,
		      struct server_note *note)
{
	static const char name[] = "pgweir_try";
	size_t len;
	const void *tail = stmt_tail(stmt, &len);

	pgbuild_parse(stream_out(server->stream), name, tail, len);
	server_owe(server, TRACK_PARSE, 0, note);
	close_on_server(server, name, "");
}

const char *server_closed_name(const struct server *server, uint64_t id)
{
	const struct track_entry *entry;

	for (size_t i = 0; (entry = track_at(server->track, i)) != NULL; i++) {
		const struct server_note *note = entry->note;

		if (entry->op == TRACK_CLOSE && note && note->stmt &&
		    *note->name && !note->is_second &&
		    stmt_id(note->stmt) == id)
			return note->name;
	}
	return NULL;
}

uint64_t server_unnamed(const struct server *server)
{
	return server->unnamed;
}

void server_set_unnamed(struct server *server, uint64_t serial)
{
	server->unnamed = serial;
}

/* --- users and cancels --- */

void server_cancel_target(const struct server *server, uint32_t *pid,
			  const uint8_t **key, size_t *key_len,
			  const struct sockaddr_storage **address,
			  socklen_t *address_len)
{
	*pid = server->pid;
	*key = server->key;
	*key_len = server->key_len;
	*address = &server->address;
	*address_len = server->address_len;
}

void server_begin_cancel(struct server *server)
{
	server->cancels++;
}
