/*
 * The reader of ini files: lines, sections, names and values of any length.
 *
 * inih keeps the order of sections and pairs, but cuts long lines, joins
 * indented ones, strips " ;" out of values and splits names at colons
 * (inih 55, as Debian builds it).  So it is fed one short line at a time in
 * which a stand-in is written for name and value; the real ones are kept here
 * and handed on when inih reports the stand-in.
 *
 * Refuses to know any key.  Invariants: a line is complete and free of NUL
 * before it is looked at; texts are wiped before their memory is freed, since
 * they hold passwords; files that include each other end at a fault.  One
 * thread per reader.
 */
#include "core/config_file.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config_dsn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DEPTH_MAX = 10,
	BYTES_MAX = 64 << 20, /* of all files together */
	SECTION_NAME_MAX = 40 /* inih cuts at 49 */
};

/*
 * One open file, or a text in memory.  text has a byte more than len, for the
 * NUL of the last line; device and inode are 0 for a text.
 */
struct source {
	struct source *outer; /* the file that includes this one */
	char *path;
	char *text;
	size_t len;
	size_t at;
	unsigned line;
	dev_t device;
	ino_t inode;
};

/*
 * name and value point into the line that was read last: valid until the next
 * one is asked for.
 */
struct reader {
	const struct config_file_events *events;
	struct source *source;
	unsigned depth;
	size_t bytes;
	bool may_include;
	bool has_section;
	bool is_known_section;
	char *name; /* of the pair that inih is about to report */
	char *value;
};

/* Bytes from a file must not move the cursor of who reads the message. */
static void make_harmless(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '\177')
			*text = '?';
}

void config_fault(struct config_faults *faults,
		  const struct config_place *place, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (++faults->count > CONFIG_FAULTS_MAX)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	make_harmless(text);
	if (place->line > 0)
		buf_printf(faults->out, "%s:%u: %s\n", place->file, place->line,
			   text);
	else
		buf_printf(faults->out, "%s: %s\n", place->file, text);
}

/* The line that was read last. */
static struct config_place place_of(const struct reader *reader)
{
	const struct source *source = reader->source;

	assert(source);
	return (struct config_place){ source->path, source->line };
}

static void fault_here(const struct reader *reader, const char *text)
{
	struct config_place place = place_of(reader);

	config_fault(reader->events->faults, &place, "%s", text);
}

/* The text may hold passwords. */
static void source_free(struct source *source)
{
	if (source->text)
		util_wipe(source->text, source->len);
	free(source->text);
	free(source->path);
	free(source);
}

/* Its lines come next, before the rest of the file that includes it. */
static void source_push(struct reader *reader, struct source *source)
{
	/* The byte order mark that some editors write. */
	static const char mark[] = "\xef\xbb\xbf";

	if (source->len >= 3 && memcmp(source->text, mark, 3) == 0)
		source->at = 3;
	source->outer = reader->source;
	reader->source = source;
	reader->depth++;
}

static void source_pop(struct reader *reader)
{
	struct source *source = reader->source;

	assert(reader->depth > 0);
	reader->source = source->outer;
	reader->depth--;
	source_free(source);
}

/* Reads what the file holds now into source; NULL, or why not. */
static const char *read_bytes(int fd, struct source *source, size_t limit)
{
	struct stat info;
	ssize_t got = 1;

	if (fstat(fd, &info) < 0)
		return "cannot be looked at";
	/* A pipe or a terminal could keep the reader waiting for ever. */
	if (!S_ISREG(info.st_mode))
		return "is not a regular file";
	if ((uint64_t)info.st_size > limit)
		return "is too long";
	source->device = info.st_dev;
	source->inode = info.st_ino;
	source->text = xmalloc((size_t)info.st_size + 1);
	while (got > 0 && source->len < (size_t)info.st_size) {
		got = read(fd, source->text + source->len,
			   (size_t)info.st_size - source->len);
		if (got > 0)
			source->len += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	return got < 0 ? "cannot be read" : NULL;
}

/* By device and number: one file may have many names. */
static bool is_open_already(const struct reader *reader,
			    const struct source *fresh)
{
	const struct source *source = reader->source;

	for (; source; source = source->outer)
		if (source->device == fresh->device &&
		    source->inode == fresh->inode)
			return true;
	return false;
}

/* Puts the file on top of the stack; NULL, or why not.  path is taken. */
static const char *open_file(struct reader *reader, char *path)
{
	struct source *source = xcalloc(1, sizeof(*source));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why;

	source->path = path;
	if (fd < 0) {
		/* Constant texts, unlike strerror's, need no buffer. */
		why = strerrordesc_np(errno);
	} else {
		why = read_bytes(fd, source, BYTES_MAX - reader->bytes);
		(void)close(fd);
	}
	if (!why && is_open_already(reader, source))
		why = "includes itself";
	if (why) {
		source_free(source);
		return why;
	}
	reader->bytes += source->len;
	source_push(reader, source);
	return NULL;
}

/* The carriage return of a file that was written on Windows goes too. */
static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len > 0 &&
	       (config_is_blank(text[len - 1]) || text[len - 1] == '\r'))
		text[--len] = '\0';
}

/* A path that is not absolute starts where the including file lies. */
static char *path_beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	if (*path == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - file), file, path);
}

/* Works off %include; whatever is wrong is a fault of the line here. */
static void include_file(struct reader *reader, const char *name)
{
	struct config_place place = place_of(reader);
	const char *why;

	if (!reader->may_include)
		why = "%include is not possible here";
	else if (!*name)
		why = "%include needs the name of a file";
	else if (reader->depth >= DEPTH_MAX)
		why = "files include each other too deeply";
	else
		why = NULL;
	if (why) {
		fault_here(reader, why);
		return;
	}
	why = open_file(reader, path_beside(place.file, name));
	if (why)
		config_fault(reader->events->faults, &place,
			     "%%include \"%s\": %s", name, why);
}

/* A line that begins with %. */
static void read_directive(struct reader *reader, char *line)
{
	static const char word[] = "%include";
	size_t len = sizeof(word) - 1;

	if (strncmp(line, word, len) == 0 &&
	    (line[len] == '\0' || config_is_blank(line[len])))
		include_file(reader, config_skip_blanks(line + len));
	else
		fault_here(reader, "unknown directive, only %include FILE is "
				   "known");
}

/* True when out holds the line that tells inih of the section. */
static bool read_section(struct reader *reader, char *line, char *out,
			 size_t room)
{
	struct config_place place = place_of(reader);
	char *end = strchr(line, ']');
	const char *rest = end ? config_skip_blanks(end + 1) : NULL;

	reader->has_section = true;
	reader->is_known_section = false;
	if (!end || (*rest && *rest != ';' && *rest != '#')) {
		fault_here(reader, "a section is written [name]");
		return false;
	}
	*end = '\0';
	if (end - line > SECTION_NAME_MAX) {
		config_fault(reader->events->faults, &place,
			     "unknown section [%.*s...]", SECTION_NAME_MAX,
			     line + 1);
		return false;
	}
	reader->is_known_section = reader->events->section(
		reader->events->context, &place, line + 1);
	(void)snprintf(out, room, "[%s]\n", line + 1);
	return reader->is_known_section;
}

/* Takes the quotes off in place; what follows the name, or NULL. */
static char *unquote_name(char *name)
{
	char *to = name;
	char *from = name + 1;

	for (; *from; from++) {
		if (*from == '"' && *++from != '"') {
			*to = '\0';
			return config_skip_blanks(from);
		}
		*to++ = *from;
	}
	return NULL;
}

/* Finds name and value in a line; false after a fault. */
static bool read_pair(struct reader *reader, char *line)
{
	bool is_quoted = *line == '"';
	char *equals = is_quoted ? unquote_name(line) : strchr(line, '=');

	/* The line may hold a password: it is not repeated. */
	if (!equals || (is_quoted && *equals != '=')) {
		fault_here(reader, "expected name = value");
		return false;
	}
	if (!is_quoted) {
		*equals = '\0';
		trim_end(line);
	}
	if (!*line) {
		fault_here(reader, "a name is missing before =");
		return false;
	}
	if (!is_quoted && strpbrk(line, " \t\"")) {
		fault_here(reader, "a name with blanks or quotes in it is "
				   "written \"in double quotes\"");
		return false;
	}
	reader->name = line;
	reader->value = config_skip_blanks(equals + 1);
	return true;
}

/* The next line of the topmost file, without its end; NULL when it is over. */
static char *next_line(struct reader *reader)
{
	struct source *source = reader->source;
	char *line = source->text + source->at;
	size_t rest = source->len - source->at;
	char *end;

	if (rest == 0)
		return NULL;
	/* One byte more than len was allocated. */
	end = memchr(line, '\n', rest);
	if (!end)
		end = line + rest;
	*end = '\0';
	source->at += (size_t)(end - line);
	assert(source->at <= source->len);
	if (source->at < source->len)
		source->at++;
	source->line++;
	if (strlen(line) != (size_t)(end - line)) {
		fault_here(reader, "a byte of value 0 is in this line");
		*line = '\0';
	}
	return line;
}

/* True when out holds a line for inih. */
static bool read_line(struct reader *reader, char *line, char *out, size_t room)
{
	line = config_skip_blanks(line);
	trim_end(line);
	switch (*line) {
	case '\0':
	case ';':
	case '#': return false;
	case '%': read_directive(reader, line); return false;
	case '[': return read_section(reader, line, out, room);
	default: break;
	}
	if (!reader->has_section) {
		/* Once is enough: nothing of it is taken anyway. */
		reader->has_section = true;
		fault_here(reader, "a line like [databases] or [pgweir] must "
				   "come first");
	}
	if (!read_pair(reader, line) || !reader->is_known_section)
		return false;
	(void)snprintf(out, room, "name=value\n");
	return true;
}

/* inih asks for a line; see its ini_reader. */
static char *feed_line(char *out, int room, void *stream)
{
	struct reader *reader = stream;

	while (reader->source) {
		char *line = next_line(reader);

		if (!line)
			source_pop(reader);
		else if (read_line(reader, line, out, (size_t)room))
			return out;
	}
	return NULL;
}

/* inih reports the stand-in of a pair. */
static int take_pair(void *user, const char *section, const char *name,
		     const char *value)
{
	struct reader *reader = user;
	struct config_place place = place_of(reader);

	/* A pair is fed only after its real name and value were found. */
	assert(reader->name && reader->value);
	(void)name;
	(void)value;
	reader->events->pair(reader->events->context, &place, section,
			     reader->name, reader->value);
	return 1;
}

/* inih calls feed_line() for each line and take_pair() for each stand-in. */
static void read_all(struct reader *reader)
{
	/* Only whole, short lines are fed: inih finds no fault of its own. */
	(void)ini_parse_stream(feed_line, reader, take_pair, reader);
}

void config_file_read(const char *path, const struct config_file_events *events)
{
	struct reader reader = { .events = events, .may_include = true };
	struct config_place place = { path, 0 };
	const char *why = open_file(&reader, xstrdup(path));

	if (why)
		config_fault(events->faults, &place, "%s", why);
	else
		read_all(&reader);
}

/* A copy, since lines are cut and unquoted in place. */
void config_file_read_text(const char *name, const char *text, size_t len,
			   const struct config_file_events *events)
{
	struct reader reader = { .events = events };
	struct source *source = xcalloc(1, sizeof(*source));

	source->path = xstrdup(name);
	source->text = xmalloc(len + 1);
	source->len = len;
	if (len > 0)
		memcpy(source->text, text, len);
	source_push(&reader, source);
	read_all(&reader);
}
