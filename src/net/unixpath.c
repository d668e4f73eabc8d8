/*
 * Names in the file system for Unix sockets.
 *
 * Whether a socket file that is in the way is stale is found out by
 * connecting to it: who answers, lives.  What is no socket is never removed.
 * The file is born without any permission, so that there is no moment in
 * which strangers may connect, and removed at the end only if it is still
 * ours: a successor may have put its own there.
 *
 * Changes the process's umask for a moment: start-up only, before there are
 * threads.
 */
#include "net/unixpath.h"

#include "base/buf.h"
#include "base/util.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUP_BYTES = 4096 };

/* A line of the error, and false for the caller to return. */
static bool refuse(const struct unixpath *path, struct buf *error, int cause,
		   const char *advice)
{
	const char *why = strerrordesc_np(cause);

	buf_printf(error, "cannot listen on ");
	unixpath_append_name(path, error);
	buf_printf(error, ": %s%s\n", why ? why : "unknown error", advice);
	return false;
}

static bool is_abstract(const struct unixpath *path)
{
	return path->address.sun_path[0] == '\0';
}

bool unixpath_fill(struct unixpath *path, const char *dir, uint16_t port,
		   struct buf *error)
{
	char *name = xasprintf("%s/.s.PGSQL.%u", dir, (unsigned)port);
	size_t len = strlen(name);
	bool fits = len < sizeof(path->address.sun_path);

	*path = (struct unixpath){ .address.sun_family = AF_UNIX };
	if (fits)
		memcpy(path->address.sun_path, name, len);
	else
		buf_printf(error,
			   "cannot listen on %s: the path is longer than %zu "
			   "bytes, choose a shorter unix_socket_dir\n",
			   name, sizeof(path->address.sun_path) - 1);
	/* An abstract name begins with a NUL and does not end with one. */
	path->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
				(*dir != '@'));
	if (*dir == '@')
		path->address.sun_path[0] = '\0';
	free(name);
	return fits;
}

/* Whether somebody listens there; in doubt, yes. */
static bool is_live(const struct unixpath *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_refused;

	if (fd < 0)
		return true;
	is_refused = connect(fd, (const struct sockaddr *)&path->address,
			     path->len) != 0 &&
		     (errno == ECONNREFUSED || errno == ENOENT);
	(void)close(fd);
	return !is_refused;
}

bool unixpath_clear(const struct unixpath *path, struct buf *error)
{
	const char *name = path->address.sun_path;
	struct stat status;

	if (is_abstract(path) || lstat(name, &status) != 0)
		return true;
	if (!S_ISSOCK(status.st_mode))
		return refuse(path, error, EEXIST,
			      " and is no socket: remove it yourself");
	if (is_live(path))
		return refuse(path, error, EADDRINUSE,
			      " (is another pooler or server running there?)");
	if (unlink(name) != 0 && errno != ENOENT)
		return refuse(path, error, errno,
			      " when removing a stale socket file");
	return true;
}

static bool find_group(const char *name, gid_t *group)
{
	char room[GROUP_BYTES];
	struct group entry;
	struct group *found = NULL;
	uint64_t number;

	if (getgrnam_r(name, &entry, room, sizeof(room), &found) == 0 &&
	    found) {
		*group = found->gr_gid;
		return true;
	}
	if (!util_parse_u64(name, UINT32_MAX - 1, &number))
		return false;
	*group = (gid_t)number;
	return true;
}

static bool set_rights(const struct unixpath *path, int mode,
		       const char *group_name, struct buf *error)
{
	const char *name = path->address.sun_path;
	gid_t group;

	if (group_name && *group_name) {
		if (!find_group(group_name, &group)) {
			buf_printf(error,
				   "cannot listen on %s: there is no group "
				   "\"%s\" (unix_socket_group)\n",
				   name, group_name);
			return false;
		}
		if (chown(name, (uid_t)-1, group) != 0)
			return refuse(path, error, errno,
				      " when setting unix_socket_group");
	}
	if (chmod(name, (mode_t)mode & 0777) != 0)
		return refuse(path, error, errno,
			      " when setting unix_socket_mode");
	return true;
}

bool unixpath_bind(struct unixpath *path, int fd, int mode, const char *group,
		   struct buf *error)
{
	mode_t before = umask(0777);
	bool is_bound = bind(fd, (const struct sockaddr *)&path->address,
			     path->len) == 0;
	int cause = errno;
	struct stat status;

	(void)umask(before);
	if (!is_bound)
		return refuse(path, error, cause, "");
	if (is_abstract(path))
		return true;
	if (stat(path->address.sun_path, &status) == 0) {
		path->device = status.st_dev;
		path->inode = status.st_ino;
	}
	return set_rights(path, mode, group, error);
}

void unixpath_remove(const struct unixpath *path)
{
	const char *name = path->address.sun_path;
	struct stat status;

	if (path->inode != 0 && lstat(name, &status) == 0 &&
	    status.st_dev == path->device && status.st_ino == path->inode)
		(void)unlink(name);
}

void unixpath_append_name(const struct unixpath *path, struct buf *out)
{
	const char *name = path->address.sun_path;
	int room = (int)(path->len - offsetof(struct sockaddr_un, sun_path));

	if (is_abstract(path))
		buf_printf(out, "@%.*s", room - 1, name + 1);
	else
		buf_printf(out, "%.*s", room, name);
}
