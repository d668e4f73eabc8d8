#ifndef PGWEIR_PROXY_SESSION_LISTEN_H
#define PGWEIR_PROXY_SESSION_LISTEN_H

/*
 * What hubs tell the sessions of a worker; the rest of this room is a part of
 * the session (session_parts.h).
 */
#include <stdbool.h>

struct local;
struct mail;

/* Mail from a hub; true when it was that and is taken. */
bool session_listen_take_mail(struct local *local, struct mail *mail);

#endif
