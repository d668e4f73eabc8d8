#ifndef PGWEIR_PROXY_CLIENT_H
#define PGWEIR_PROXY_CLIENT_H

/*
 * A client before it is a session: TLS, startup packet, authentication.  When
 * it has proved who it is, its stream goes to the session room; a cancel
 * request goes to the cancel room.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct client_ask;
struct local;
struct pool;
struct replication_startup;
struct stream;

enum { CLIENT_ADDRESS_ROOM = 64 };

/*
 * What a login ends with.  Stream, pool and replication are the receiver's;
 * the rest is there for the time of the call.
 */
struct client_login {
	struct stream *stream; /* AuthenticationOk is in its out-buffer */
	struct pool *pool;     /* joined; NULL: the console */
	struct replication_startup *replication; /* NULL: an ordinary one */
	struct client_ask *ask;
	const char *address; /* "127.0.0.1:50123", "unix" */
	uint64_t since_us;
	bool is_admin; /* of the console */
};

struct client_hooks {
	void (*logged_in)(struct local *local,
			  const struct client_login *login);
	/* The stream is the receiver's; it is closed when all is done. */
	void (*cancel)(struct local *local, struct stream *stream, uint32_t pid,
		       uint32_t key);
};

void client_set_hooks(const struct client_hooks *hooks);

/* Takes an accepted socket. */
void client_accept(struct local *local, int fd, bool is_unix,
		   const struct sockaddr_storage *peer);

/* Shutting down: clients that are still logging in are sent away. */
void clients_refuse_all(struct local *local);

/*
 * Ends a client: a FATAL with this text, and a log line.  Used by every room
 * that has a client's stream; closes the stream.
 */
void client_fail(struct stream *stream, const char *sqlstate,
		 const char *message, const char *hint);

#endif
