/*
 * Positions in the WAL.  An LSN means something only inside its epoch: after
 * a promotion the numbers of the new timeline run on past the last write of
 * the old one, so a bare comparison would call a lost write "caught up".
 *
 * Pure; texts come from servers and are judged here.
 */
#include "core/watermark.h"

bool watermark_same_epoch(struct watermark a, struct watermark b)
{
	return a.system != 0 && a.timeline != 0 && a.system == b.system &&
	       a.timeline == b.timeline;
}

bool watermark_reached(struct watermark at, struct watermark bound)
{
	return watermark_same_epoch(at, bound) && at.lsn >= bound.lsn;
}

uint64_t watermark_distance(struct watermark behind, struct watermark ahead)
{
	if (!watermark_same_epoch(behind, ahead) || behind.lsn >= ahead.lsn)
		return 0;
	return ahead.lsn - behind.lsn;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads up to max hex digits; how many there were. */
static unsigned read_hex(const char *text, unsigned max, uint32_t *value)
{
	unsigned len = 0;

	*value = 0;
	while (len < max && hex_digit(text[len]) >= 0)
		*value = *value << 4 | (uint32_t)hex_digit(text[len++]);
	return len;
}

/* As pg_lsn_in: one to eight hex digits, a slash, one to eight. */
bool watermark_parse_lsn(const char *text, uint64_t *lsn)
{
	uint32_t high;
	uint32_t low;
	unsigned len = read_hex(text, 8, &high);

	if (len == 0 || text[len] != '/')
		return false;
	text += len + 1;
	len = read_hex(text, 8, &low);
	if (len == 0 || text[len] != '\0')
		return false;
	*lsn = (uint64_t)high << 32 | low;
	return true;
}

uint32_t watermark_file_timeline(const char *name)
{
	uint32_t timeline;
	uint32_t rest;

	if (read_hex(name, 8, &timeline) != 8 ||
	    read_hex(name + 8, 8, &rest) != 8 ||
	    read_hex(name + 16, 8, &rest) != 8 || name[24] != '\0')
		return 0;
	return timeline;
}
