/*
 * Mail between sessions and hubs: which worker a hub is on, what is copied
 * for it, and who frees it.
 *
 * A hub's place follows from its name alone, so that nobody has to look it
 * up.  Credentials travel once per want and are wiped when they are freed.
 */
#include "proxy/hub_mail.h"

#include "base/util.h"
#include "core/channels.h"
#include "net/worker.h"
#include "proxy/local.h"
#include "proxy/mail.h"
#include "proxy/server_types.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *hub_key(const char *database, const char *encoding)
{
	return xasprintf("%s\n%s", database, encoding);
}

char *hub_channel_key(const char *hub, const char *channel)
{
	return xasprintf("%s\n%s", hub, channel);
}

/* --- tokens --- */

const char *hub_token_channel(const struct process *process)
{
	return process->token_channel;
}

void hub_token_write(char out[static HUB_TOKEN_ROOM], unsigned worker,
		     uint64_t session, uint64_t serial)
{
	(void)snprintf(out, HUB_TOKEN_ROOM, "%u %" PRIu64 " %" PRIu64, worker,
		       session, serial);
}

static bool take_number(const char **at, uint64_t *number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*number = strtoull(*at, &end, 10);
	*at = *end == ' ' ? end + 1 : end;
	return true;
}

bool hub_token_read(const char *payload, unsigned *worker, uint64_t *session,
		    uint64_t *serial)
{
	uint64_t number;

	if (!take_number(&payload, &number) ||
	    !take_number(&payload, session) || !take_number(&payload, serial))
		return false;
	*worker = (unsigned)number;
	return *payload == '\0';
}

/* --- to a hub --- */

void hub_login_free(struct hub_login *login)
{
	if (!login)
		return;
	free(login->dbname);
	free(login->user);
	util_free_secret(login->secret);
	util_wipe(&login->credentials, sizeof(login->credentials));
	free(login);
}

static struct hub_login *copy_login(const struct server_site *site)
{
	const struct login_credentials *from = &site->credentials;
	struct hub_login *login = xcalloc(1, sizeof(*login));

	login->dbname = xstrdup(site->dbname);
	login->user = xstrdup(site->user);
	login->secret = from->secret ? xstrdup(from->secret) : NULL;
	login->credentials = *from;
	login->credentials.user = login->user;
	login->credentials.secret = login->secret;
	return login;
}

void mail_hub_free(struct mail_hub *mail)
{
	free(mail->database);
	free(mail->encoding);
	hub_login_free(mail->login);
	channels_free(mail->channels);
	free(mail);
}

static struct mail_hub *new_mail(const struct local *local, enum mail_kind kind,
				 struct hub_name name)
{
	struct mail_hub *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = (int)kind;
	mail->database = xstrdup(name.database);
	mail->encoding = xstrdup(name.encoding);
	mail->worker = local->index;
	return mail;
}

static void post(const struct local *local, struct mail_hub *mail)
{
	const struct process *process = local->process;
	char *key = hub_key(mail->database, mail->encoding);
	uint64_t hash = util_hash(key, strlen(key));

	free(key);
	worker_post(process->workers[hash % process->worker_count],
		    &mail->mail);
}

void hub_want(struct local *local, struct hub_name name,
	      const struct server_site *site, const struct channels *channels,
	      uint64_t session, uint64_t serial)
{
	struct mail_hub *mail = new_mail(local, MAIL_HUB_WANT, name);

	mail->login = copy_login(site);
	mail->channels = channels_minus(channels, NULL);
	mail->session = session;
	mail->serial = serial;
	post(local, mail);
}

void hub_drop(struct local *local, struct hub_name name,
	      const struct channels *channels)
{
	struct mail_hub *mail;

	if (channels_count(channels) == 0)
		return;
	mail = new_mail(local, MAIL_HUB_DROP, name);
	mail->channels = channels_minus(channels, NULL);
	post(local, mail);
}

void hub_barrier(struct local *local, struct hub_name name, uint64_t session,
		 uint64_t serial)
{
	struct mail_hub *mail = new_mail(local, MAIL_HUB_BARRIER, name);

	mail->session = session;
	mail->serial = serial;
	post(local, mail);
}

/* --- from a hub --- */

void mail_heard_free(struct mail_heard *mail)
{
	free(mail->hub);
	free(mail->channel);
	free(mail->payload);
	free(mail);
}

void hub_tell_heard(struct local *local, unsigned worker, const char *hub,
		    uint32_t pid, const char *channel, const char *payload)
{
	struct mail_heard *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = MAIL_HEARD;
	mail->hub = xstrdup(hub);
	mail->pid = pid;
	mail->channel = xstrdup(channel);
	mail->payload = xstrdup(payload);
	worker_post(local->process->workers[worker], &mail->mail);
}

void hub_tell_end(struct local *local, unsigned worker, int kind,
		  uint64_t session, uint64_t serial, bool ok)
{
	struct mail_heard_end *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = kind;
	mail->session = session;
	mail->serial = serial;
	mail->ok = ok;
	worker_post(local->process->workers[worker], &mail->mail);
}

void hub_tell_gap(struct local *local, unsigned worker, const char *hub)
{
	struct mail_heard_gap *mail = xcalloc(1, sizeof(*mail));

	mail->mail.kind = MAIL_HEARD_GAP;
	mail->hub = xstrdup(hub);
	worker_post(local->process->workers[worker], &mail->mail);
}
