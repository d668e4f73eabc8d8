#ifndef PGWEIR_NET_UNIXPATH_H
#define PGWEIR_NET_UNIXPATH_H

/*
 * The place of a Unix socket that is listened on: its name, whether somebody
 * lives there, its rights, its removal.  Start-up and main thread only.
 * Functions that fail append a line to error which says what to do.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct buf;

struct unixpath {
	struct sockaddr_un address;
	socklen_t len;
	dev_t device; /* of our socket file, to know it again */
	ino_t inode;  /* 0: there is none */
};

/* dir/.s.PGSQL.port, abstract when dir begins with '@'. */
bool unixpath_fill(struct unixpath *path, const char *dir, uint16_t port,
		   struct buf *error);

/*
 * Makes way: removes a socket file that nobody listens at.  False when it is
 * in use, or no socket.
 */
bool unixpath_clear(const struct unixpath *path, struct buf *error);

/*
 * Binds fd there.  The socket file is born without any permission and gets
 * its group (NULL or "": unchanged; a name or a number) and mode afterwards.
 */
bool unixpath_bind(struct unixpath *path, int fd, int mode, const char *group,
		   struct buf *error);

/* Removes the socket file if it is still the one that we made. */
void unixpath_remove(const struct unixpath *path);

/* Appends the name, "@..." when abstract. */
void unixpath_append_name(const struct unixpath *path, struct buf *out);

#endif
