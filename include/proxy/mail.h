#ifndef PGWEIR_PROXY_MAIL_H
#define PGWEIR_PROXY_MAIL_H

/*
 * What crosses between the threads of the proxy.  A mail carries session
 * numbers, never session pointers; whoever receives it frees it.
 */
#include "net/mailbox.h"
#include "proxy/local.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct catalog;
struct server;
struct session;
struct topology;

enum mail_kind {
	MAIL_CLIENT, /* an accepted socket */
	MAIL_SNAPSHOT,
	MAIL_TOPOLOGY,
	MAIL_ADDRESS,
	MAIL_CATALOG,
	MAIL_GRANT,     /* a server for a session of the receiver's */
	MAIL_FEED,      /* look whether a waiter can be served */
	MAIL_FEED_ALL,  /* the same for every pool: a shared limit eased */
	MAIL_EVICT,     /* close an idle server: another pool needs its place */
	MAIL_CANCEL,    /* a cancel request for a session of the receiver's */
	MAIL_CANCELLED, /* it was dealt with: answer the one who asked */
	MAIL_HUB_WANT,  /* a session listens to channels from now on */
	MAIL_HUB_DROP,  /* ... and to these no longer */
	MAIL_HUB_BARRIER, /* tell when all notifications of now are delivered */
	MAIL_HEARD,       /* a notification */
	MAIL_HEARD_TOKEN, /* the end of HUB_WANT */
	MAIL_HEARD_PAST,  /* the end of HUB_BARRIER */
	MAIL_HEARD_GAP,   /* notifications may have been missed */
	MAIL_SESSION,     /* that goes on at the receiver's */
	MAIL_SHUTDOWN,
	MAIL_VISIT /* run a function on the receiver's thread */
};

struct mail_client {
	struct mail mail;
	int fd;
	bool is_unix;
	struct sockaddr_storage peer;
};

struct mail_snapshot {
	struct mail mail;
	struct snapshot *snapshot;
	const struct topology *topology;
	struct node_address *addresses;
};

struct mail_topology {
	struct mail mail;
	const struct topology *topology;
};

struct mail_address {
	struct mail mail;
	uint64_t generation;
	unsigned node;
	struct node_address address;
};

struct mail_catalog {
	struct mail mail;
	char *database;
	char *dbname;
	struct catalog *catalog;
};

struct mail_grant {
	struct mail mail;
	struct server *server; /* parked, or NULL: ask again */
	uint64_t generation;   /* of the configuration that it was opened by */
	uint64_t session;
	char *pool; /* its key, for a session that is gone */
	char *node;
};

/* MAIL_FEED and MAIL_EVICT. */
struct mail_pool {
	struct mail mail;
	char *pool;
	char *node;
};

struct mail_cancel {
	struct mail mail;
	uint32_t pid;
	uint32_t key;
	uint64_t session; /* that it is for; 0: whose number pid is */
	unsigned worker;  /* who asked */
	uint64_t request; /* and its number there */
};

struct mail_shutdown {
	struct mail mail;
	int mode; /* enum proxy_shutdown */
};

/* Parked; nobody else has it. */
struct mail_session {
	struct mail mail;
	struct session *session;
	uint64_t generation; /* of the configuration that it comes from */
	char *database;
	char *user;
};

struct mail_visit {
	struct mail mail;
	/* done is called on the receiver's thread after the visit. */
	void (*visit)(struct local *local, void *arg);
	void *arg;
};

#endif
