/*
 * What the statements of a unit may leave behind, noted when they go to the
 * server: their effects go to the rooms that have to do with them.
 */
#include "core/pgwire.h"
#include "core/stmtmap.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <strings.h>

static bool is_worth_reading(uint32_t effects)
{
	return session_inspect_is_suspect(effects) ||
	       (effects & (EFFECT_RESET_ALL | EFFECT_DISCARD_ALL));
}

/* The text of a Query that is here whole; NULL: it is not. */
static const char *text_of(const struct pgwire_message *message, size_t *len)
{
	const char *text;

	if (message->type != 'Q' || !pgwire_is_complete(message) ||
	    !pgwire_read_string(message, &text, len))
		return NULL;
	return text;
}

/* A text that sets it for this transaction; others are found afterwards. */
static void note_asynchronous(struct session *session, uint32_t effects,
			      const char *text, size_t len)
{
	static const char name[] = "synchronous_commit";

	if (!text || !(effects & (EFFECT_SET | EFFECT_SET_LOCAL)))
		return;
	for (; len >= sizeof(name) - 1; text++, len--)
		if (strncasecmp(text, name, sizeof(name) - 1) == 0)
			session->is_asynchronous = true;
}

void session_effects_of_query(struct session *session,
			      const struct sqlclass *judged,
			      const struct pgwire_message *message)
{
	bool is_heard = session_scope_hears(session, judged);
	const char *text;
	size_t len = 0;

	if (!is_heard && judged->effects == 0 &&
	    !session_begin_hears(session, judged))
		return;
	text = text_of(message, &len);
	if (is_heard)
		session_scope_sent(session, judged, text, len);
	note_asynchronous(session, judged->effects, text, len);
	if (!is_worth_reading(judged->effects) &&
	    !session_begin_hears(session, judged))
		return;
	session_begin_ran(session, judged, text, len);
	if (!is_worth_reading(judged->effects))
		return;
	session_inspect_text(session, judged->effects, text, len);
	session_reset_sent(session, judged);
}

/* What a SET or set_config() names stands in its text or its parameters. */
void session_effects_of_bind(struct session *session,
			     const struct stmtmap_entry *entry,
			     const struct pgwire_message *message)
{
	const struct sqlclass unknown = { .access = ACCESS_UNKNOWN,
					  .statements = 1 };
	const struct sqlclass *judged = entry ? &entry->judged : &unknown;
	uint32_t effects = entry ? entry->judged.effects : 0;
	const char *text = NULL;
	size_t len = 0;

	if (entry && session_scope_hears(session, judged)) {
		text = stmt_query(entry->stmt, &len);
		session_scope_sent(session, judged, text, len);
		session_scope_sent(session, judged, message->body,
				   message->body_here);
	}
	if (session->has_bound)
		session_reset_spoiled(session);
	if (session_begin_hears(session, judged)) {
		if (entry)
			text = stmt_query(entry->stmt, &len);
		session_begin_bound(session, judged, text, len, message);
	}
	if (entry && (effects & (EFFECT_SET | EFFECT_SET_LOCAL))) {
		text = stmt_query(entry->stmt, &len);
		note_asynchronous(session, effects, text, len);
	}
	if (!entry || !is_worth_reading(effects))
		return;
	text = stmt_query(entry->stmt, &len);
	session_inspect_text(session, effects, text, len);
	session_inspect_text(session, effects, message->body,
			     message->body_here);
	session_reset_sent(session, judged);
	session_refill_bound(session, judged, text, len,
			     (const char *)message->body);
}
