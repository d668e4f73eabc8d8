#ifndef PGWEIR_PROXY_SESSION_MOVE_H
#define PGWEIR_PROXY_SESSION_MOVE_H

/* Sessions that go on at another worker. */
#include <stdint.h>

struct local;
struct mail_session;

/*
 * Chooses sessions that were busy since then to go on at another worker,
 * share permille of them: each goes when it holds nothing here.  How many.
 */
unsigned sessions_move_some(struct local *local, uint64_t since_us,
			    unsigned share, unsigned worker);
/* Takes one that comes from there; what is in the mail is the receiver's. */
void session_take_mail(struct local *local, struct mail_session *mail);

#endif
