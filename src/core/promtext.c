/*
 * Prometheus' exposition format, text version 0.0.4 (prometheus.io, "Exposition
 * formats").  Times are stored as integers and written as decimal fractions
 * of a second by integer arithmetic: no rounding, no locale.
 *
 * Pure; names and help texts are ours, label values are strangers' bytes.
 */
#include "core/promtext.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static const char *const type_names[] = {
	[METRICS_TYPE_COUNTER] = "counter",
	[METRICS_TYPE_GAUGE] = "gauge",
	[METRICS_TYPE_HISTOGRAM] = "histogram",
};

void promtext_head(struct buf *out, const char *name, enum metrics_type type,
		   const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		   type_names[type]);
}

void promtext_begin(struct promtext *line, struct buf *out, const char *name,
		    const char *suffix)
{
	line->out = out;
	line->has_labels = false;
	buf_printf(out, "%s%s", name, suffix);
}

/* Length that a lead byte announces; 0 when it cannot lead. */
static unsigned utf8_announced(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	if (lead >= 0xf0 && lead < 0xf5)
		return 4;
	return 0;
}

/* Overlong forms, surrogates and what lies past U+10FFFF (RFC 3629). */
static bool utf8_second_fits(unsigned char lead, unsigned char second)
{
	switch (lead) {
	case 0xe0: return second >= 0xa0;
	case 0xed: return second < 0xa0;
	case 0xf0: return second >= 0x90;
	case 0xf4: return second < 0x90;
	default: return true;
	}
}

/* Bytes of the valid character at text (NUL-terminated); 0 when invalid. */
static unsigned utf8_length(const unsigned char *text)
{
	unsigned len = utf8_announced(text[0]);

	if (len > 1 && !utf8_second_fits(text[0], text[1]))
		return 0;
	for (unsigned i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void append_character(struct buf *out, const unsigned char *text,
			     unsigned len)
{
	if (len == 0)
		buf_append(out, "\xef\xbf\xbd", 3);
	else if (*text == '\n')
		buf_append(out, "\\n", 2);
	else if (*text == '"')
		buf_append(out, "\\\"", 2);
	else if (*text == '\\')
		buf_append(out, "\\\\", 2);
	else
		buf_append(out, text, len);
}

static void append_name(struct promtext *line, const char *label)
{
	buf_append_u8(line->out, line->has_labels ? ',' : '{');
	buf_append(line->out, label, strlen(label));
	buf_append(line->out, "=\"", 2);
	line->has_labels = true;
}

void promtext_label(struct promtext *line, const char *label, const char *value)
{
	const unsigned char *text = (const unsigned char *)(value ? value : "");

	append_name(line, label);
	while (*text) {
		unsigned len = utf8_length(text);

		append_character(line->out, text, len);
		text += len ? len : 1;
	}
	buf_append_u8(line->out, '"');
}

static void append_gap(struct promtext *line)
{
	if (line->has_labels)
		buf_append_u8(line->out, '}');
	buf_append_u8(line->out, ' ');
}

void promtext_u64(struct promtext *line, uint64_t value)
{
	append_gap(line);
	buf_printf(line->out, "%" PRIu64 "\n", value);
}

void promtext_i64(struct promtext *line, int64_t value)
{
	append_gap(line);
	buf_printf(line->out, "%" PRId64 "\n", value);
}

/* value / 10^digits, without zeros at the end of the fraction. */
static void append_fraction(struct buf *out, uint64_t value, int digits)
{
	uint64_t second = 1;
	uint64_t rest;

	for (int i = 0; i < digits; i++)
		second *= 10;
	buf_printf(out, "%" PRIu64, value / second);
	rest = value % second;
	if (rest == 0)
		return;
	for (; rest % 10 == 0; rest /= 10)
		digits--;
	buf_printf(out, ".%0*" PRIu64, digits, rest);
}

static void append_unit(struct buf *out, uint64_t value, enum metrics_unit unit)
{
	switch (unit) {
	case METRICS_ONE: append_fraction(out, value, 0); return;
	case METRICS_US: append_fraction(out, value, 6); return;
	case METRICS_NS: append_fraction(out, value, 9); return;
	}
}

void promtext_unit(struct promtext *line, uint64_t value,
		   enum metrics_unit unit)
{
	append_gap(line);
	append_unit(line->out, value, unit);
	buf_append_u8(line->out, '\n');
}

void promtext_bound(struct promtext *line, uint64_t bound,
		    enum metrics_unit unit)
{
	append_name(line, "le");
	if (bound == UINT64_MAX)
		buf_append(line->out, "+Inf", 4);
	else
		append_unit(line->out, bound, unit);
	buf_append_u8(line->out, '"');
}
