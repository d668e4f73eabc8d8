/*
 * The settings of a session while it lives.
 *
 * Of some parameters the server reports every change, however it came about:
 * SET, set_config(), a function, a ROLLBACK that undoes it.  What has been
 * reported by the end of a transaction is the session's from then on, and
 * goes in front of its next unit on whatever server that is.  All other
 * settings are looked up on the server (session_inspect).
 *
 * RESET means the values of the client's startup packet.  Servers know only
 * their own defaults, so these values are set again (session_refill), behind
 * DISCARD ALL as well (session_reset).
 */
#include "base/strmap.h"
#include "core/reported.h"
#include "core/route.h"
#include "core/settings.h"
#include "core/stmtscope.h"
#include "proxy/client_ask.h"
#include "proxy/local.h"
#include "proxy/pool.h"
#include "proxy/server.h"
#include "proxy/session_names.h"
#include "proxy/session_parts.h"

#include <string.h>
#include <strings.h>

static bool is_setting(const struct settings *settings, const char *name,
		       const char *value)
{
	const char *set = settings_get(settings, name);

	return set && strcmp(set, value) == 0;
}

/* Settings that make statements mean something else than they seem. */
static void judge_reading(struct session *session)
{
	const struct settings *settings = session->settings;
	const char *encoding = settings_get(settings, "client_encoding");

	session->is_plain_backslash =
		!is_setting(settings, "standard_conforming_strings", "off");
	session->is_safe_encoding =
		!encoding || route_is_safe_encoding(encoding);
	session->is_state_unsafe =
		!session->is_plain_backslash || !session->is_safe_encoding ||
		is_setting(settings, "default_transaction_isolation",
			   "serializable");
}

/* What is neither 'auto' nor unset asks for the primary, spelt wrong or not. */
static bool wants_primary(const struct session *session)
{
	const char *route = settings_get(session->settings, "pgweir.route");

	return route && *route && strcasecmp(route, "auto") != 0;
}

void session_judge_settings(struct session *session)
{
	judge_reading(session);
	session->prefers_primary = wants_primary(session);
	session_judge_consistency(session);
	session_rescope(session);
}

/* It depends on the ask and on the configuration, which has it forgotten. */
static void keep_reading(struct session *session,
			 struct client_ask_reading *reading)
{
	*reading = (struct client_ask_reading){
		.is_judged = true,
		.is_plain_backslash = session->is_plain_backslash,
		.is_safe_encoding = session->is_safe_encoding,
		.is_state_unsafe = session->is_state_unsafe,
		.prefers_primary = session->prefers_primary,
		.consistency = session->consistency,
		.scope = stmtscope_hold(session->scope),
	};
}

void session_judge_ask(struct session *session, struct client_ask *ask)
{
	const struct client_ask_reading *reading = &ask->reading;

	if (!reading->is_judged) {
		session_judge_settings(session);
		if (ask->is_shared)
			keep_reading(session, &ask->reading);
		return;
	}
	session->is_plain_backslash = reading->is_plain_backslash;
	session->is_safe_encoding = reading->is_safe_encoding;
	session->is_state_unsafe = reading->is_state_unsafe;
	session->prefers_primary = reading->prefers_primary;
	session->consistency = reading->consistency;
	session->scope = stmtscope_hold(reading->scope);
}

/* What the oldest unit leaves is known: DISCARD ALL was done. */
static bool is_discarding(const struct session *session)
{
	uint32_t effects;

	if (!session_has_pending(session))
		return false;
	effects = session_unit_at(session, 0)->judged.effects;
	return (effects & EFFECT_DISCARD_ALL) &&
	       !(effects & EFFECT_SET_REPORTED);
}

bool session_note_reported(struct session *session, const char *name,
			   const char *value, bool is_ours)
{
	const struct settings *before = session->changing;
	bool is_news =
		!session->reset && (!is_ours || !session->told ||
				    !is_setting(session->told, name, value));

	if (!reported_has(name, strlen(name)) ||
	    (is_ours ? !session_is_in_transaction(session)
		     : is_discarding(session)))
		return is_news;
	session->changing =
		settings_with(before ? before : session->settings, name, value);
	if (before)
		settings_release(before);
	session_rescope(session);
	return is_news;
}

/* A chain, or a COMMIT whose answer nobody hears, may make them last. */
void session_leave_settings(struct session *session)
{
	uint32_t effects = session->unit.judged.effects;

	for (unsigned i = 0; i < session->units_count; i++)
		effects |= session_unit_at(session, i)->judged.effects;
	if (session->changing || (effects & EFFECT_SET_REPORTED))
		server_mark_dirty(session->server);
}

void session_take_settings(struct session *session,
			   const struct settings *settings)
{
	settings_release(session->settings);
	session->settings = settings;
	session_judge_settings(session);
}

void session_adopt_settings(struct session *session)
{
	if (!session->changing)
		return;
	session_take_settings(session, session->changing);
	session->changing = NULL;
	server_note_settings(session->server, session->settings);
}

void session_reset_settings(struct session *session)
{
	if (session->changing)
		settings_release(session->changing);
	session->changing = NULL;
	if (session->startup == settings_empty()) {
		session_take_settings(session, settings_empty());
		return;
	}
	session_keep_told(session);
	session->is_restoring = true;
	session_take_settings(session, settings_hold(session->startup));
}

void session_refilled_settings(struct session *session)
{
	if (session->changing)
		settings_release(session->changing);
	session->changing = NULL;
	session_take_settings(session, settings_hold(session->startup));
	server_note_settings(session->server, session->settings);
}

/* As the server writes it: a startup packet may say "german". */
void session_keep_told(struct session *session)
{
	const struct strmap *parameters = server_parameters(session->server);
	const char *name;
	void *value;
	size_t at = 0;

	if (session->told)
		return;
	session->told = settings_empty();
	while (strmap_next(parameters, &at, &name, &value)) {
		const struct settings *before = session->told;

		session->told = settings_with(before, name, value);
		settings_release(before);
	}
}

bool session_restore_settings(struct session *session)
{
	bool is_done;

	if (!session->is_restoring)
		return true;
	session->is_restoring = false;
	is_done = server_apply_aloud(session->server, session->settings);
	if (is_done && !session->reset)
		session_forget_told(session);
	return is_done;
}

void session_forget_told(struct session *session)
{
	if (session->told)
		settings_release(session->told);
	session->told = NULL;
}
