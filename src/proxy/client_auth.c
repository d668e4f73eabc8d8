/*
 * The questions that a client must answer before it is let in.
 *
 * trust and any ask nothing; plain and md5 compare with what auth_file
 * holds; scram-sha-256 runs the exchange.  A user whose stored secret is of
 * another form than the method (a SCRAM secret under md5) is asked by the
 * method of the secret, as PgBouncer does.
 */
#include "proxy/client_auth.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/config.h"
#include "core/passwd.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/scram.h"
#include "core/users.h"
#include "proxy/local.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	AUTH_CODE_CLEARTEXT = 3,
	AUTH_CODE_MD5 = 5,
	AUTH_CODE_SASL_CONTINUE = 11,
	AUTH_CODE_SASL_FINAL = 12
};

struct client_auth {
	char *user;
	char *secret; /* NULL: unknown user */
	enum config_auth_type method;
	uint32_t iterations;
	bool is_refused; /* whatever it answers */
	bool is_learnt;  /* the secret is from auth_query */
	uint8_t salt[PASSWD_SALT_LEN];
	struct scram_server *scram;
	bool has_begun_scram;
	char *password; /* that it sent in clear, when it was right */
	const char *error;
};

static bool is_listed(const char *list, const char *user)
{
	return list && config_list_has(list, user);
}

bool client_auth_is_admin(const struct local *local, const char *user)
{
	return is_listed(local_settings(local)->admin_users, user);
}

bool client_auth_is_owner(int fd, const char *user)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return (strcmp(user, "pgbouncer") == 0 ||
		strcmp(user, "pgweir") == 0) &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       peer.uid == geteuid();
}

static bool may_use_console(const struct local *local, const char *user)
{
	return client_auth_is_admin(local, user) ||
	       is_listed(local_settings(local)->stats_users, user);
}

/* The stored secret decides where the method leaves a choice. */
static enum config_auth_type method_for(enum config_auth_type type,
					const char *secret)
{
	if (type == AUTH_MD5 && passwd_kind_of(secret) == PASSWD_SCRAM)
		return AUTH_SCRAM;
	return type;
}

bool client_auth_is_needless(const struct local *local, const char *user,
			     bool is_console)
{
	const struct users *users = local->snapshot->users;

	if (is_console && !may_use_console(local, user))
		return false;
	switch (local_settings(local)->auth_type) {
	case AUTH_ANY: return true;
	case AUTH_TRUST: return !users || users_find(users, user);
	case AUTH_PLAIN:
	case AUTH_MD5:
	case AUTH_SCRAM:
	case AUTH_CERT:
	case AUTH_HBA:
	case AUTH_PAM:
	case AUTH_LDAP:
	default: return false;
	}
}

struct client_auth *client_auth_new(const struct local *local, const char *user,
				    bool is_console)
{
	const struct config_settings *settings = local_settings(local);
	const char *secret = users_find(local->snapshot->users, user);
	struct client_auth *auth = xcalloc(1, sizeof(*auth));

	auth->user = xstrdup(user);
	auth->secret = secret ? xstrdup(secret) : NULL;
	auth->method = method_for(settings->auth_type, secret);
	auth->iterations = (uint32_t)settings->scram_iterations;
	auth->error = "";
	auth->is_refused = auth->method == AUTH_TRUST ||
			   (is_console && !may_use_console(local, user));
	return auth;
}

/* trust asks no more than that there is such a user. */
void client_auth_learn(struct client_auth *auth, const char *secret)
{
	if (!secret)
		return;
	util_free_secret(auth->secret);
	auth->secret = xstrdup(secret);
	auth->is_learnt = true;
	if (auth->method == AUTH_TRUST)
		auth->is_refused = false;
	auth->method = method_for(auth->method, secret);
}

void client_auth_free(struct client_auth *auth)
{
	if (!auth)
		return;
	scram_server_free(auth->scram);
	util_free_secret(auth->secret);
	util_free_secret(auth->password);
	free(auth->user);
	free(auth);
}

enum client_auth_result client_auth_begin(struct client_auth *auth,
					  struct buf *out)
{
	switch (auth->method) {
	case AUTH_PLAIN:
		pgbuild_auth(out, AUTH_CODE_CLEARTEXT, NULL, 0);
		return CLIENT_AUTH_MORE;
	case AUTH_MD5:
		util_random(auth->salt, sizeof(auth->salt));
		pgbuild_auth(out, AUTH_CODE_MD5, auth->salt,
			     sizeof(auth->salt));
		return CLIENT_AUTH_MORE;
	case AUTH_SCRAM:
		auth->scram =
			scram_server_new(auth->is_refused ? NULL : auth->secret,
					 auth->user, auth->iterations);
		pgbuild_auth_sasl(out, SCRAM_MECHANISM);
		return CLIENT_AUTH_MORE;
	case AUTH_TRUST:
		return auth->is_refused ? CLIENT_AUTH_WRONG : CLIENT_AUTH_DONE;
	case AUTH_ANY:
	case AUTH_CERT:
	case AUTH_HBA:
	case AUTH_PAM:
	case AUTH_LDAP:
	default: return CLIENT_AUTH_WRONG;
	}
}

static enum client_auth_result bad(struct client_auth *auth, const char *why)
{
	auth->error = why;
	return CLIENT_AUTH_BAD;
}

static enum client_auth_result check_password(struct client_auth *auth,
					      const char *text)
{
	bool is_right;

	if (auth->method == AUTH_MD5)
		is_right = passwd_verify_md5(auth->secret, auth->user,
					     auth->salt, text);
	else
		is_right = passwd_verify_plain(auth->secret, auth->user, text);
	if (!is_right || auth->is_refused)
		return CLIENT_AUTH_WRONG;
	if (auth->method == AUTH_PLAIN)
		auth->password = xstrdup(text);
	return CLIENT_AUTH_DONE;
}

static enum client_auth_result take_scram(struct client_auth *auth,
					  const void *data, size_t len,
					  struct buf *out)
{
	struct buf answer = BUF_INIT;
	enum scram_result result =
		scram_server_step(auth->scram, data, len, &answer);

	if (result == SCRAM_CONTINUE || result == SCRAM_DONE)
		pgbuild_auth(out,
			     result == SCRAM_DONE ? AUTH_CODE_SASL_FINAL
						  : AUTH_CODE_SASL_CONTINUE,
			     buf_head(&answer), buf_len(&answer));
	buf_free(&answer);
	switch (result) {
	case SCRAM_CONTINUE: return CLIENT_AUTH_MORE;
	case SCRAM_DONE: return CLIENT_AUTH_DONE;
	case SCRAM_WRONG: return CLIENT_AUTH_WRONG;
	case SCRAM_BAD:
	default: return bad(auth, "malformed SCRAM message");
	}
}

static enum client_auth_result step_scram(struct client_auth *auth,
					  const struct pgwire_message *message,
					  struct buf *out)
{
	const char *mechanism;
	const uint8_t *data;
	size_t len;

	if (auth->has_begun_scram)
		return take_scram(auth, message->body, message->body_len, out);
	auth->has_begun_scram = true;
	if (!pgwire_read_sasl_initial(message, &mechanism, &data, &len))
		return bad(auth, "malformed SASLInitialResponse message");
	if (strcmp(mechanism, SCRAM_MECHANISM) != 0)
		return bad(auth, "client selected an invalid SASL "
				 "authentication mechanism");
	if (!data)
		return bad(auth, "SASL data is missing");
	return take_scram(auth, data, len, out);
}

enum client_auth_result client_auth_step(struct client_auth *auth,
					 const struct pgwire_message *message,
					 struct buf *out)
{
	const char *text;
	size_t len;

	if (auth->method == AUTH_SCRAM)
		return step_scram(auth, message, out);
	if (!pgwire_read_string(message, &text, &len))
		return bad(auth, "malformed password message");
	return check_password(auth, text);
}

const char *client_auth_error(const struct client_auth *auth)
{
	return auth->error;
}

bool client_auth_is_known(const struct client_auth *auth)
{
	return auth->secret != NULL;
}

/* The words that operators know from PgBouncer. */
const char *client_auth_failure(const struct client_auth *auth)
{
	switch (auth->method) {
	case AUTH_SCRAM: return "SASL authentication failed";
	case AUTH_TRUST: return "\"trust\" authentication failed";
	case AUTH_ANY:
	case AUTH_PLAIN:
	case AUTH_MD5:
	case AUTH_CERT:
	case AUTH_HBA:
	case AUTH_PAM:
	case AUTH_LDAP:
	default: return "password authentication failed";
	}
}

const char *client_auth_password(const struct client_auth *auth)
{
	return auth->password;
}

const char *client_auth_secret(const struct client_auth *auth)
{
	enum passwd_kind kind = passwd_kind_of(auth->secret);

	return auth->is_learnt && (kind == PASSWD_MD5 || kind == PASSWD_PLAIN)
		       ? auth->secret
		       : NULL;
}

bool client_auth_keys(const struct client_auth *auth, uint8_t *client_key,
		      uint8_t *server_key)
{
	return auth->scram &&
	       scram_server_client_key(auth->scram, client_key) &&
	       scram_server_server_key(auth->scram, server_key);
}
