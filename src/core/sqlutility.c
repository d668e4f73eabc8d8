/*
 * Statements that touch no data themselves but decide what the session or the
 * transaction is: BEGIN and its modes, SET in its many forms, PREPARE, DISCARD.
 * Each is judged from the token behind its verb; what it leaves behind goes
 * into effects, and what it is to the transaction into command.
 *
 * Values of settings are literals and so cannot be looked at: a statement that
 * may ask for SERIALIZABLE counts as one that does.
 */
#include "core/sqlutility.h"

#include "core/reported.h"

#include <string.h>
#include <strings.h>

static void blame_utility(struct sqlcursor *cursor)
{
	sqlcursor_blame(cursor, ACCESS_UNKNOWN, REASON_UTILITY);
}

/* ---- transactions ------------------------------------------------------ */

/* ISOLATION LEVEL ..., READ ONLY, READ WRITE: the last of a kind counts. */
void sqlutility_judge_modes(struct sqlcursor *cursor)
{
	while (!sqlcursor_is_over(cursor)) {
		uint32_t *effects = &cursor->verdict.effects;

		if (cursor->word == WORD_SERIALIZABLE) {
			*effects |= EFFECT_SERIALIZABLE;
		} else if (cursor->word == WORD_READ &&
			   cursor->ahead_word == WORD_ONLY) {
			*effects &= ~(uint32_t)EFFECT_READ_WRITE;
			*effects |= EFFECT_READ_ONLY;
		} else if (cursor->word == WORD_READ &&
			   cursor->ahead_word == WORD_WRITE) {
			*effects &= ~(uint32_t)EFFECT_READ_ONLY;
			*effects |= EFFECT_READ_WRITE;
		} else if (cursor->word == WORD_SNAPSHOT) {
			/* Exported by a session of one server. */
			blame_utility(cursor);
		}
		sqlcursor_advance(cursor);
	}
}

void sqlutility_judge_start(struct sqlcursor *cursor)
{
	if (!sqlcursor_take_word(cursor, WORD_TRANSACTION)) {
		cursor->verdict.command = COMMAND_OTHER;
		sqlcursor_lose(cursor);
		return;
	}
	sqlutility_judge_modes(cursor);
}

static void judge_two_phase(struct sqlcursor *cursor)
{
	cursor->verdict.command = COMMAND_OTHER;
	sqlcursor_blame(cursor, ACCESS_WRITE, REASON_VERB);
	sqlcursor_add_effects(cursor, EFFECT_TWO_PHASE);
}

/* COMMIT, END, ROLLBACK, ABORT and what follows them. */
void sqlutility_judge_end(struct sqlcursor *cursor)
{
	if (cursor->word == WORD_PREPARED) {
		judge_two_phase(cursor);
		return;
	}
	if (!sqlcursor_take_word(cursor, WORD_WORK))
		(void)sqlcursor_take_word(cursor, WORD_TRANSACTION);
	if (cursor->word == WORD_TO) {
		cursor->verdict.command = COMMAND_ROLLBACK_TO;
		return;
	}
	/* AND NO CHAIN is the default. */
	if (sqlcursor_take_word(cursor, WORD_AND) && cursor->word == WORD_CHAIN)
		sqlcursor_add_effects(cursor, EFFECT_CHAIN);
}

void sqlutility_judge_prepare(struct sqlcursor *cursor)
{
	if (cursor->word == WORD_TRANSACTION &&
	    cursor->ahead.kind == SQLLEX_LITERAL) {
		judge_two_phase(cursor);
		return;
	}
	blame_utility(cursor);
	sqlcursor_add_effects(cursor, EFFECT_PREPARE);
}

/* ---- settings ---------------------------------------------------------- */

static bool says(const struct sqllex_token *token, const char *word)
{
	return token->len == strlen(word) &&
	       strncasecmp(token->text, word, token->len) == 0;
}

/*
 * SET name TO value, or SET TIME ZONE value.  DEFAULT and LOCAL mean what
 * the session began with, which only its own server knows.
 */
static bool judge_reported(struct sqlcursor *cursor)
{
	bool is_zone =
		says(&cursor->now, "time") && says(&cursor->ahead, "zone");
	bool is_names = says(&cursor->now, "names");

	if (!is_zone && !is_names &&
	    !reported_has(cursor->now.text, cursor->now.len))
		return false;
	sqlcursor_advance(cursor);
	if (!is_names)
		sqlcursor_advance(cursor);
	if (sqlcursor_is_over(cursor) || says(&cursor->now, "default") ||
	    says(&cursor->now, "local"))
		return false;
	sqlcursor_add_effects(cursor, EFFECT_SET_REPORTED);
	return true;
}

/* Names the transaction that follows, or all of the session's. */
static void judge_set_session(struct sqlcursor *cursor)
{
	/* The state of random() is nothing that could be set back. */
	if (says(&cursor->now, "seed"))
		sqlcursor_add_effects(cursor, EFFECT_LOAD);
	if (judge_reported(cursor))
		return;
	sqlcursor_add_effects(cursor, EFFECT_SET);
	if (cursor->word == WORD_CHARACTERISTICS)
		sqlutility_judge_modes(cursor);
	else if (cursor->word == WORD_DEFAULT_TRANSACTION_ISOLATION ||
		 cursor->word == WORD_TRANSACTION_ISOLATION)
		/* Which one is in a literal: be prepared for the worst. */
		sqlcursor_add_effects(cursor, EFFECT_SERIALIZABLE);
}

void sqlutility_judge_set(struct sqlcursor *cursor)
{
	if (cursor->word == WORD_LOCAL) {
		sqlcursor_advance(cursor);
		judge_set_session(cursor);
		cursor->verdict.effects &=
			~(uint32_t)(EFFECT_SET | EFFECT_SET_REPORTED);
		sqlcursor_add_effects(cursor, EFFECT_SET_LOCAL);
	} else if (cursor->word == WORD_CONSTRAINTS) {
		sqlcursor_add_effects(cursor, EFFECT_SET_LOCAL);
	} else if (sqlcursor_take_word(cursor, WORD_TRANSACTION)) {
		cursor->verdict.command = COMMAND_SET_TRANSACTION;
		sqlcursor_add_effects(cursor, EFFECT_SET_LOCAL);
		sqlutility_judge_modes(cursor);
	} else {
		(void)sqlcursor_take_word(cursor, WORD_SESSION);
		judge_set_session(cursor);
	}
}

void sqlutility_judge_discard(struct sqlcursor *cursor)
{
	sqlcursor_add_effects(cursor, cursor->word == WORD_ALL
					      ? EFFECT_DISCARD_ALL
					      : EFFECT_DISCARD);
}

/* RESET ALL leaves nothing of what was set; of another nobody knows. */
void sqlutility_judge_reset(struct sqlcursor *cursor)
{
	sqlcursor_add_effects(cursor, cursor->word == WORD_ALL
					      ? EFFECT_RESET_ALL
					      : EFFECT_SET);
}

/* One that pgweir has to tell the server first (core/token). */
void sqlutility_judge_show(struct sqlcursor *cursor)
{
	if (!says(&cursor->now, "pgweir") || !sqlcursor_sees(cursor, '.'))
		return;
	sqlcursor_advance(cursor);
	cursor->verdict.shows_position |= says(&cursor->ahead, "lsn");
}

void sqlutility_judge_unlisten(struct sqlcursor *cursor)
{
	/* "*" in quotes is the name of a channel. */
	bool is_all = cursor->now.kind == SQLLEX_OPERATOR &&
		      cursor->now.len == 1 && *cursor->now.text == '*';

	sqlcursor_add_effects(cursor,
			      is_all ? EFFECT_UNLISTEN_ALL : EFFECT_LISTEN);
}

void sqlutility_judge_close(struct sqlcursor *cursor)
{
	if (cursor->word == WORD_ALL)
		sqlcursor_add_effects(cursor, EFFECT_CLOSE_ALL);
}
