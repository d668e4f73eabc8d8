/*
 * Writing shapes out.  Bytes come from core/sqlshape and are trusted to be
 * well made; a length that reaches beyond the end ends the text all the same.
 *
 * Blanks are set as people do, more or less: the text is for reading, not
 * for a parser.  What is not ASCII, or below the blank, is shown as '?': the
 * encoding is that of whoever sent the text, and no longer known.
 */
#include "core/sqltext.h"

#include "base/buf.h"
#include "core/sqlshape.h"

#include <stdbool.h>
#include <string.h>

struct scribe {
	const uint8_t *at;
	const uint8_t *end;
	struct buf *out;
	bool is_tight; /* no blank before the next token */
	bool is_word;  /* the last one was a word or a name */
};

static bool is_tag(uint8_t byte)
{
	return byte < ' ';
}

static bool is_punctuation(uint8_t byte)
{
	return byte != 0 && strchr("()[],;.:", byte) != NULL;
}

static void put(struct scribe *scribe, const void *text, size_t len)
{
	const uint8_t *bytes = text;

	for (size_t i = 0; i < len; i++)
		buf_append_u8(scribe->out, bytes[i] < ' ' || bytes[i] > '~'
						   ? '?'
						   : bytes[i]);
}

static void put_blank(struct scribe *scribe)
{
	if (!scribe->is_tight)
		buf_append_u8(scribe->out, ' ');
	scribe->is_tight = false;
}

/* Up to the next tag or punctuation. */
static void put_run(struct scribe *scribe)
{
	const uint8_t *from = scribe->at;

	while (scribe->at < scribe->end && !is_tag(*scribe->at) &&
	       !is_punctuation(*scribe->at))
		scribe->at++;
	put_blank(scribe);
	put(scribe, from, (size_t)(scribe->at - from));
}

static void put_name(struct scribe *scribe, const char *before)
{
	size_t left = (size_t)(scribe->end - scribe->at);
	size_t len = left >= 2 ? scribe->at[0] | (size_t)scribe->at[1] << 8 : 0;

	put_blank(scribe);
	if (left < 2 || len > left - 2) {
		scribe->at = scribe->end;
		return;
	}
	put(scribe, before, strlen(before));
	put(scribe, scribe->at + 2, len);
	put(scribe, "\"", 1);
	scribe->at += 2 + len;
}

static void put_sign(struct scribe *scribe, uint8_t sign)
{
	bool hugs = sign != ':' && (sign != '(' || scribe->is_word);

	if (!hugs)
		put_blank(scribe);
	put(scribe, &sign, 1);
	scribe->is_tight = strchr("([.", sign) != NULL;
}

static void put_token(struct scribe *scribe)
{
	uint8_t tag = *scribe->at++;
	bool is_word = tag == SQLSHAPE_WORD || tag == SQLSHAPE_NAME ||
		       tag == SQLSHAPE_UNICODE;

	switch (tag) {
	case SQLSHAPE_WORD:
	case SQLSHAPE_OPERATOR: put_run(scribe); break;
	case SQLSHAPE_NAME: put_name(scribe, "\""); break;
	case SQLSHAPE_UNICODE: put_name(scribe, "U&\""); break;
	case SQLSHAPE_LITERAL:
		put_blank(scribe);
		put(scribe, "?", 1);
		break;
	case SQLSHAPE_CAST:
		put(scribe, "::", 2);
		scribe->is_tight = true;
		break;
	case SQLSHAPE_ASSIGN:
		put_blank(scribe);
		put(scribe, ":=", 2);
		break;
	default: put_sign(scribe, tag); break;
	}
	scribe->is_word = is_word;
}

void sqltext_write(const uint8_t *shape, size_t len, size_t limit,
		   struct buf *out)
{
	struct buf text = BUF_INIT;
	struct scribe scribe = {
		.at = shape, .end = shape + len, .out = &text, .is_tight = true
	};

	while (scribe.at < scribe.end && buf_len(&text) <= limit)
		put_token(&scribe);
	if (buf_len(&text) <= limit) {
		buf_move(out, &text);
		return;
	}
	buf_append(out, buf_head(&text), limit);
	buf_append_text(out, "...");
	buf_free(&text);
}
