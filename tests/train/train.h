/*
 * What the halves of the training program share: a server that only answers,
 * and clients.  A build for release runs pgweir between both of them, counts
 * which way its code goes, and compiles it again with that knowledge.
 */
#ifndef PGWEIR_TRAIN_H
#define PGWEIR_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_MAX = 1 << 16 };

/*
 * One connection, of either half: bytes that were read and not looked at, and
 * bytes to send.  A thread each; calls block.
 */
struct wire {
	int fd;
	size_t in_at, in_len, out_len;
	char in[MESSAGE_MAX];
	char out[MESSAGE_MAX];
};

/* One message: its type, and its body, valid until the next is read. */
struct message {
	char type;
	const char *body;
	size_t len;
};

/* Ends the program: training that fails must not look like training. */
_Noreturn void train_die(const char *what);

/* A socket that listens on a free port of 127.0.0.1, which is stored. */
int wire_listen(uint16_t *port);
/* A connection to the port, or -1. */
int wire_connect(uint16_t port);
struct wire *wire_new(int fd);
void wire_free(struct wire *wire);

/* The next message; false at the end.  Longer ones than MESSAGE_MAX end it. */
bool wire_read(struct wire *wire, struct message *message, bool has_type);
/* Appends len bytes; sends first when there is no room. */
void wire_put(struct wire *wire, const void *bytes, size_t len);
/* Appends a message whose body is these bytes. */
void wire_message(struct wire *wire, char type, const void *body, size_t len);
bool wire_flush(struct wire *wire);

/* Serves connections on a listening socket for ever, a thread each. */
void answers_serve(int listener, bool is_replica);
/* Statements that a node has answered so far; any thread. */
uint64_t answers_count(bool is_replica);

/* Plays everything that a pooler's day consists of; ends on an error. */
void clients_play(uint16_t port, const char *database);
/* Whether somebody logs in and is answered. */
bool clients_are_served(uint16_t port, const char *database);

#endif
