/*
 * The option table as text: help on the terminal, the sample file, the
 * reference in Markdown, the manual page.
 *
 * Four printers walk the same rows; each says of a key what it does, its
 * default, what may be written, and whether a restart is needed.  Refuses to
 * know any key: a remark about one belongs in its row.  The files in the
 * repository are written by these functions and held equal to them by
 * tests/unit/test_config_text.  Pure; any thread.
 */
#include "core/config_text.h"

#include "base/buf.h"
#include "core/option.h"
#include "core/option_table.h"

#include <string.h>

/* Two less than a terminal has, so that nothing wraps in a pager either. */
enum { TEXT_COLUMNS = 78 };

enum { TABLES = 3 };

static const struct option_table *const tables[TABLES] = { &option_settings,
							   &option_database,
							   &option_user };

/* A printer of one form. */
struct printer {
	void (*section)(struct buf *out, const struct option_table *table);
	void (*group)(struct buf *out, const struct option_group *group);
	void (*option)(struct buf *out, const struct option *option);
	void (*group_end)(struct buf *out);
};

/* A form is text alone: there is nothing to escape but where it says so. */
static void put(struct buf *out, const char *text)
{
	buf_append(out, text, strlen(text));
}

/* The one walk over groups and rows. */
static void print_table(struct buf *out, const struct option_table *table,
			const struct printer *printer)
{
	printer->section(out, table);
	for (unsigned i = 0; i < table->group_count; i++) {
		const struct option_group *group = &table->groups[i];

		printer->group(out, group);
		for (unsigned j = 0; j < group->count; j++)
			printer->option(out, &group->rows[j]);
		printer->group_end(out);
	}
}

/* Text in lines of TEXT_COLUMNS that all begin with prefix. */
static void put_wrapped(struct buf *out, const char *prefix, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > TEXT_COLUMNS) {
			put(out, "\n");
			column = 0;
		}
		put(out, column == 0 ? prefix : " ");
		column += column == 0 ? strlen(prefix) : 1;
		buf_append(out, text, len);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	put(out, "\n");
}

/* Of the types whose upper limit may be left out. */
static bool is_number(const struct option *option)
{
	return option->type == OPTION_TIME || option->type == OPTION_INT;
}

/* What may be written, "0 to 65535 seconds"; nothing when any text may. */
static void put_values(struct buf *out, const struct option *option)
{
	const char *unit = option_unit(option);
	bool has_limits = option->choices || (option->type != OPTION_STRING &&
					      option->type != OPTION_SECRET);

	if (option->state == OPTION_ALIAS || option->state == OPTION_NO_EFFECT)
		return;
	if (option->type == OPTION_BOOL)
		put(out, "0 or 1");
	else if (option->type == OPTION_LIST)
		put(out, "a list");
	else if (is_number(option) && option->max == 0)
		option_describe_least(option, out);
	else if (has_limits)
		option_describe_range(option, out);
	if (*unit)
		buf_printf(out, " %s", unit);
}

/* Why a key does nothing, or nothing yet; nothing for the others. */
static void put_state(struct buf *out, const struct option *option)
{
	if (option->state == OPTION_NO_EFFECT)
		buf_printf(out, " Has no effect: %s.", option->note);
	else if (option->state == OPTION_UNSUPPORTED)
		put(out, " Not supported by this version.");
}

/* Meaning, values and restart as sentences. */
static void put_sentences(struct buf *out, const struct option *option)
{
	struct buf values = BUF_INIT;

	put(out, option->help);
	put_state(out, option);
	put_values(&values, option);
	if (buf_len(&values) > 0) {
		put(out, " Values: ");
		buf_move(out, &values);
		put(out, ".");
	}
	if (option->needs_restart)
		put(out, " Needs a restart.");
}

/* The same in lines that fit a terminal. */
static void put_sentences_wrapped(struct buf *out, const char *prefix,
				  const struct option *option)
{
	struct buf text = BUF_INIT;

	put_sentences(&text, option);
	put_wrapped(out, prefix, buf_text(&text));
	buf_free(&text);
}

/* For forms in which nothing closes a group. */
static void end_nothing(struct buf *out)
{
	(void)out;
}

/* ---- help ---- */

static void help_section(struct buf *out, const struct option_table *table)
{
	buf_printf(out, "%s[%s]\n", buf_len(out) > 0 ? "\n" : "",
		   table->section);
}

static void help_group(struct buf *out, const struct option_group *group)
{
	buf_printf(out, "\n%s\n", group->title);
}

/* Key and default in one line, what they mean below. */
static void help_option(struct buf *out, const struct option *option)
{
	buf_printf(out, "  %s", option->name);
	if (option->fallback && *option->fallback)
		buf_printf(out, " = %s", option->fallback);
	put(out, "\n");
	put_sentences_wrapped(out, "      ", option);
}

void config_text_help(struct buf *out)
{
	static const struct printer printer = { help_section, help_group,
						help_option, end_nothing };

	for (unsigned i = 0; i < TABLES; i++)
		print_table(out, tables[i], &printer);
}

/* ---- sample ---- */

static const char sample_head[] =
	"; All options of pgweir. A line that begins with ; or # is a "
	"comment;\n"
	"; what is commented out here shows the default. Times are in seconds\n"
	"; and take us, ms, s, min, h, d. A file of PgBouncer can be used as "
	"it\n"
	"; stands. %include FILE reads another file, beside this one.\n"
	"; Check a change with: pgweir --check FILE; bring it into force: "
	"SIGHUP.\n"
	"\n"
	"[databases]\n"
	"\n"
	"; name = key=value ..., values with blanks in 'quotes'. All nodes of "
	"a\n"
	"; cluster in one line; which of them is the primary is found out.\n"
	";app = host=pg1,pg2:5433,[::1]:5434 port=5432 dbname=app\n"
	"\n"
	"; Of the reads pg2 gets three quarters; pg4 is the reserve:\n"
	";shop = host=pg1,pg2,pg3,pg4 weight=1,3,1,1 backup=pg4\n"
	"\n"
	"; Every other name:\n"
	";* = host=pg1,pg2\n"
	"\n"
	"; A forced user, and limits of its own:\n"
	";jobs = host=pg1 user=jobs password='it''s' pool_size=5 "
	"pool_mode=session\n"
	"\n"
	"[users]\n"
	"\n"
	"; name = key=value ...\n"
	";report = pool_mode=session query_timeout=300 "
	"max_user_connections=10\n";

static void sample_section(struct buf *out, const struct option_table *table)
{
	buf_printf(out, "\n[%s]\n", table->section);
}

static void sample_group(struct buf *out, const struct option_group *group)
{
	buf_printf(out, "\n;;; %s\n", group->title);
}

/* Text behind "; ", the setting behind ";": one may be uncommented. */
static void sample_option(struct buf *out, const struct option *option)
{
	const char *fallback = option->fallback ? option->fallback : "";

	if (option->state == OPTION_ALIAS)
		return;
	put(out, "\n");
	put_sentences_wrapped(out, "; ", option);
	buf_printf(out, ";%s =%s%s\n", option->name, *fallback ? " " : "",
		   fallback);
}

/*
 * Databases and users are shown by examples in the head: their keys are in the
 * help, and a line of each would be no line of a file.
 */
void config_text_sample(struct buf *out)
{
	static const struct printer printer = { sample_section, sample_group,
						sample_option, end_nothing };

	put(out, sample_head);
	print_table(out, &option_settings, &printer);
}

/* ---- Markdown ---- */

/* In a cell of a table a bar would end it, and < begin a tag. */
static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			put(out, "\\|");
		else if (*text == '<')
			put(out, "&lt;");
		else
			buf_append_u8(out, (uint8_t)*text);
	}
}

/* Under the heading of the page that docs/configuration.md begins with. */
static void reference_section(struct buf *out, const struct option_table *table)
{
	buf_printf(out, "\n## Section [%s]\n", table->section);
}

static void reference_group(struct buf *out, const struct option_group *group)
{
	buf_printf(out,
		   "\n### %s\n\n| Key | Default | Values | Reload | Meaning |\n"
		   "|---|---|---|---|---|\n",
		   group->title);
}

/* Whether a reload is enough. */
static const char *reload_word(const struct option *option)
{
	if (option->state == OPTION_ALIAS || option->state == OPTION_NO_EFFECT)
		return "";
	return option->needs_restart ? "no" : "yes";
}

/* One row of the table. */
static void reference_option(struct buf *out, const struct option *option)
{
	struct buf values = BUF_INIT;

	put_values(&values, option);
	buf_printf(out, "| `%s` | ", option->name);
	if (option->fallback && *option->fallback)
		buf_printf(out, "`%s`", option->fallback);
	put(out, " | ");
	put_cell(out, buf_text(&values));
	buf_printf(out, " | %s | ", reload_word(option));
	put_cell(out, option->help);
	put_state(out, option);
	put(out, " |\n");
	buf_free(&values);
}

void config_text_reference(struct buf *out)
{
	static const struct printer printer = { reference_section,
						reference_group,
						reference_option, end_nothing };

	for (unsigned i = 0; i < TABLES; i++)
		print_table(out, tables[i], &printer);
}

/* ---- man ---- */

static const char man_head[] =
	".TH PGWEIR.INI 5\n"
	".SH NAME\n"
	"pgweir.ini \\- options of the PostgreSQL proxy pgweir\n"
	".SH DESCRIPTION\n"
	"The file has sections, [name], and lines, name = value.\n"
	"A line that begins with ; or # is a comment.\n"
	"The language is that of pgbouncer.ini: its files can be used as they\n"
	"stand, and [pgbouncer] is another name of [pgweir].\n"
	"%include FILE reads another file, relative to this one.\n"
	"Times are in seconds, with a fraction if need be, or have a unit:\n"
	"us, ms, s, min, h, d.\n"
	".PP\n"
	"A line of [databases] or [users] is a name and its keys,\n"
	"name = key=value key='value with blanks'.\n"
	"The database * serves every name that has no line of its own.\n"
	"A name with blanks is written in double quotes.\n"
	".PP\n"
	"SIGHUP brings a changed file into force; a file with a fault changes\n"
	"nothing.\n";

static const char man_tail[] = ".SH SEE ALSO\n.BR pgweir (1)\n";

/* Text of a line that begins with a letter: only \ and - mean something. */
static void put_roff(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			put(out, "\\e");
		else if (*text == '-')
			put(out, "\\-");
		else
			buf_append_u8(out, (uint8_t)*text);
	}
}

static void man_section(struct buf *out, const struct option_table *table)
{
	buf_printf(out, ".SH SECTION [%s]\n", table->section);
}

static void man_group(struct buf *out, const struct option_group *group)
{
	buf_printf(out, ".SS %s\n", group->title);
}

/* A tagged paragraph. */
static void man_option(struct buf *out, const struct option *option)
{
	struct buf text = BUF_INIT;

	put_sentences(&text, option);
	buf_printf(out, ".TP\n\\fB%s\\fR", option->name);
	if (option->fallback && *option->fallback) {
		put(out, " = ");
		put_roff(out, option->fallback);
	}
	put(out, "\n");
	put_roff(out, buf_text(&text));
	put(out, "\n");
	buf_free(&text);
}

void config_text_man(struct buf *out)
{
	static const struct printer printer = { man_section, man_group,
						man_option, end_nothing };

	put(out, man_head);
	for (unsigned i = 0; i < TABLES; i++)
		print_table(out, tables[i], &printer);
	put(out, man_tail);
}
