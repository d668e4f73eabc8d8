#ifndef PGWEIR_PROXY_HUB_H
#define PGWEIR_PROXY_HUB_H

/*
 * The hubs of one worker: connections that listen for the clients of the
 * whole process (proxy/hub_mail.h).
 */
#include <stdbool.h>

struct dbddl_names;
struct local;
struct mail;

/* Mail for hubs; true when it was one and is taken. */
bool hubs_take_mail(struct local *local, struct mail *mail);
/* The topology or configuration has changed: hubs move to the primary. */
void hubs_refresh(struct local *local);
/* A statement wants these databases for itself: hubs without channels go. */
void hubs_leave(struct local *local, const struct dbddl_names *names);
/* The worker ends. */
void hubs_free(struct local *local);

#endif
