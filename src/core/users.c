/*
 * The auth_file: who may log in with which secret.
 *
 * One pass over the text, a line at a time, into a map that never changes
 * again.  PgBouncer's userlist.txt is the language; where PgBouncer stops at
 * a bad line and goes on with what it has, this refuses the whole file, so
 * that a reload never loses half of the users.
 *
 * Invariants: secrets are in the map and nowhere else; the text that was
 * read and every secret that is dropped are wiped; a message never quotes
 * the file.  Loading on the main thread, looking up on any.
 */
#include "core/users.h"

#include "base/buf.h"
#include "base/strmap.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A byte more than the file had: when it is filled the file has grown. */
enum { FILE_MAX = 64 << 20, READ_EXTRA = 1 };

struct users {
	atomic_uint references;
	struct strmap *secrets; /* user -> secret, owned */
};

/* at never passes end, so no text needs a NUL behind it. */
struct reader {
	const char *at;
	const char *end; /* of the line */
	const char *path;
	unsigned line;
	struct buf *error;
};

static void free_secret(void *value)
{
	util_free_secret(value);
}

static bool complain(const struct reader *reader, const char *fault)
{
	buf_printf(reader->error, "%s:%u: %s\n", reader->path, reader->line,
		   fault);
	return false;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end &&
	       (*reader->at == ' ' || *reader->at == '\t' ||
		*reader->at == '\r' || *reader->at == '\f' ||
		*reader->at == '\v'))
		reader->at++;
}

/* A quoted text with its doubled quotes undone, the caller's; or NULL. */
static char *take_quoted(struct reader *reader)
{
	char *text;
	size_t len = 0;

	if (reader->at >= reader->end || *reader->at != '"')
		return NULL;
	reader->at++;
	text = xmalloc((size_t)(reader->end - reader->at) + 1);
	while (reader->at < reader->end) {
		if (*reader->at == '"') {
			reader->at++;
			if (reader->at >= reader->end || *reader->at != '"') {
				text[len] = '\0';
				return text;
			}
		}
		text[len++] = *reader->at++;
	}
	util_wipe(text, len);
	free(text);
	return NULL;
}

/*
 * What follows the secret in the line is not looked at, as in PgBouncer.  A
 * user who comes twice has the last secret.
 */
static bool read_entry(struct reader *reader, struct users *users)
{
	char *name = take_quoted(reader);
	char *secret = NULL;

	if (!name)
		return complain(reader,
				"want \"user\" \"secret\", both in quotes");
	skip_blanks(reader);
	secret = take_quoted(reader);
	if (!secret || name[0] == '\0') {
		(void)complain(reader, secret ? "empty user name"
					      : "want the secret in quotes "
						"behind the user name");
		free_secret(secret);
		free(name);
		return false;
	}
	free_secret(strmap_put(users->secrets, name, secret));
	free(name);
	return true;
}

/* Lines that begin with ; are comments. */
static bool read_line(struct reader *reader, struct users *users)
{
	skip_blanks(reader);
	if (reader->at == reader->end || *reader->at == ';')
		return true;
	if (memchr(reader->at, '\0', (size_t)(reader->end - reader->at)))
		return complain(reader, "a NUL byte");
	return read_entry(reader, users);
}

struct users *users_parse(const char *text, size_t len, const char *path,
			  struct buf *error)
{
	struct users *users = xcalloc(1, sizeof(*users));
	struct reader reader = { .path = path, .error = error };
	const char *end = text + len;
	bool is_good = true;

	atomic_init(&users->references, 1);
	users->secrets = strmap_new();
	for (const char *at = text; is_good && at < end; at = reader.end + 1) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		reader.at = at;
		reader.end = newline ? newline : end;
		reader.line++;
		is_good = read_line(&reader, users);
	}
	if (is_good)
		return users;
	users_release(users);
	return NULL;
}

/* Reads until the end of the file or until room is full. */
static bool read_all(int fd, char *text, size_t room, size_t *len)
{
	ssize_t got = 1;

	*len = 0;
	while (got != 0 && *len < room) {
		got = read(fd, text + *len, room - *len);
		if (got < 0 && errno != EINTR)
			return false;
		if (got > 0)
			*len += (size_t)got;
	}
	return true;
}

static void complain_errno(struct buf *error, const char *path,
			   const char *what)
{
	char reason[128];

	buf_printf(error, "%s: cannot %s auth_file: %s\n", path, what,
		   strerror_r(errno, reason, sizeof(reason)));
}

static struct users *load_open(int fd, const char *path, struct buf *error)
{
	struct stat status;
	struct users *users = NULL;
	size_t room;
	size_t len = 0;
	char *text;

	if (fstat(fd, &status) != 0) {
		complain_errno(error, path, "read");
		return NULL;
	}
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
		buf_printf(error,
			   "%s: auth_file is not a file of at most "
			   "%d bytes\n",
			   path, FILE_MAX);
		return NULL;
	}
	room = (size_t)status.st_size + READ_EXTRA;
	text = xmalloc(room);
	if (!read_all(fd, text, room, &len))
		complain_errno(error, path, "read");
	else if (len == room)
		buf_printf(error,
			   "%s: auth_file grew while it was read, "
			   "reload again\n",
			   path);
	else
		users = users_parse(text, len, path, error);
	util_wipe(text, room);
	free(text);
	return users;
}

/* Main thread: it blocks for as long as the disk does. */
struct users *users_load(const char *path, struct buf *error)
{
	struct users *users;
	/* A fifo must not hold up the start: it is refused once it is open. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		complain_errno(error, path, "open");
		return NULL;
	}
	users = load_open(fd, path, error);
	(void)close(fd);
	return users;
}

struct users *users_hold(const struct users *users)
{
	struct users *held = (struct users *)users;

	(void)atomic_fetch_add_explicit(&held->references, 1,
					memory_order_relaxed);
	return held;
}

void users_release(const struct users *users)
{
	struct users *held = (struct users *)users;

	if (!held)
		return;
	if (atomic_fetch_sub_explicit(&held->references, 1,
				      memory_order_acq_rel) > 1)
		return;
	strmap_free(held->secrets, free_secret);
	free(held);
}

const char *users_find(const struct users *users, const char *name)
{
	return users ? strmap_get(users->secrets, name) : NULL;
}

size_t users_count(const struct users *users)
{
	return users ? strmap_count(users->secrets) : 0;
}

bool users_next(const struct users *users, size_t *at, const char **name)
{
	return users && strmap_next(users->secrets, at, name, NULL);
}
