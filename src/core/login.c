/*
 * The client's part of authentication, towards a server.
 *
 * Answers clear-text, MD5 and SCRAM-SHA-256 requests with what the
 * credentials allow, refuses everything else with a text that says what to
 * configure.  A server that asked for SCRAM is believed only after it has
 * proved that it knows the password too.
 */
#include "core/login.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/passwd.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/scram.h"

#include <stdlib.h>
#include <string.h>

enum {
	AUTH_CODE_OK = 0,
	AUTH_CODE_CLEARTEXT = 3,
	AUTH_CODE_MD5 = 5,
	AUTH_CODE_SASL = 10,
	AUTH_CODE_SASL_CONTINUE = 11,
	AUTH_CODE_SASL_FINAL = 12
};

struct login {
	char *user;
	char *secret;
	bool has_keys;
	bool is_asked;  /* one method was begun: there is no other */
	bool is_proved; /* the server's SCRAM signature was right */
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
	struct scram_client *scram;
	const char *error;
};

struct login *login_new(const struct login_credentials *credentials)
{
	struct login *login = xcalloc(1, sizeof(*login));

	login->user = xstrdup(credentials->user);
	if (credentials->secret)
		login->secret = xstrdup(credentials->secret);
	login->has_keys = credentials->has_keys;
	memcpy(login->client_key, credentials->client_key, SCRAM_KEY_LEN);
	memcpy(login->server_key, credentials->server_key, SCRAM_KEY_LEN);
	login->error = "";
	return login;
}

void login_free(struct login *login)
{
	if (!login)
		return;
	scram_client_free(login->scram);
	util_free_secret(login->secret);
	free(login->user);
	util_wipe(login, sizeof(*login));
	free(login);
}

static enum login_result refuse(struct login *login, const char *why)
{
	login->error = why;
	return LOGIN_REFUSED;
}

static enum login_result answer_plain(struct login *login, struct buf *out)
{
	if (passwd_kind_of(login->secret) != PASSWD_PLAIN)
		return refuse(login,
			      "the server asks for a plain password and none "
			      "is known: put one into auth_file or the "
			      "database line");
	pgbuild_password(out, login->secret);
	return LOGIN_MORE;
}

static enum login_result answer_md5(struct login *login, const uint8_t *salt,
				    size_t len, struct buf *out)
{
	char response[PASSWD_MD5_ROOM];

	if (len != PASSWD_SALT_LEN)
		return refuse(login, "malformed MD5 request");
	if (!passwd_md5_response(login->secret, login->user, salt, response))
		return refuse(login,
			      "the server asks for an MD5 password and "
			      "auth_file has neither the password nor its MD5 "
			      "secret");
	pgbuild_password(out, response);
	util_wipe(response, sizeof(response));
	return LOGIN_MORE;
}

/* The mechanisms are a list of strings that ends with an empty one. */
static bool offers_scram(const uint8_t *list, size_t len)
{
	while (len > 0 && *list) {
		size_t size = strnlen((const char *)list, len);

		if (size == len)
			return false;
		if (strcmp((const char *)list, SCRAM_MECHANISM) == 0)
			return true;
		list += size + 1;
		len -= size + 1;
	}
	return false;
}

static enum login_result begin_scram(struct login *login, const uint8_t *list,
				     size_t len, struct buf *out)
{
	struct buf first = BUF_INIT;

	if (!offers_scram(list, len))
		return refuse(login, "the server offers no SASL mechanism that "
				     "is known here (SCRAM-SHA-256)");
	/* A password fits whatever salt the server has, keys only their own. */
	if (passwd_kind_of(login->secret) == PASSWD_PLAIN)
		login->scram = scram_client_new(login->secret);
	else if (login->has_keys)
		login->scram = scram_client_new_with_keys(login->client_key,
							  login->server_key);
	else
		return refuse(login,
			      "the server asks for SCRAM and no password is "
			      "known: put it into auth_file, or use auth_type "
			      "= scram-sha-256 with the server's own secret");
	scram_client_first(login->scram, &first);
	pgbuild_sasl_initial(out, SCRAM_MECHANISM, buf_head(&first),
			     buf_len(&first));
	buf_free(&first);
	return LOGIN_MORE;
}

/*
 * expected: what the kind of the message promises.  A server-final in the
 * place of server-first, or the reverse, is no SCRAM.
 */
static enum login_result continue_scram(struct login *login,
					enum scram_result expected,
					const uint8_t *data, size_t len,
					struct buf *out)
{
	struct buf answer = BUF_INIT;
	enum scram_result result;

	if (!login->scram)
		return refuse(login, "SASL data before its begin");
	result = scram_client_step(login->scram, data, len, &answer);
	if (result == expected && result == SCRAM_CONTINUE)
		pgbuild_sasl_response(out, buf_head(&answer), buf_len(&answer));
	buf_free(&answer);
	if (result == SCRAM_WRONG || result == SCRAM_BAD)
		return refuse(login, scram_client_error(login->scram));
	if (result != expected)
		return refuse(login, "SASL messages out of order");
	login->is_proved = result == SCRAM_DONE;
	return LOGIN_MORE;
}

static enum login_result accept(struct login *login)
{
	if (login->scram && !login->is_proved)
		return refuse(login, "the server did not prove that it knows "
				     "the password");
	return LOGIN_ACCEPTED;
}

/* The question is asked once: a second one fishes for another answer. */
static enum login_result answer(struct login *login, uint32_t code,
				const uint8_t *rest, size_t len,
				struct buf *out)
{
	if (login->is_asked)
		return refuse(login, "the server asked for a password twice");
	login->is_asked = true;
	if (code == AUTH_CODE_CLEARTEXT)
		return answer_plain(login, out);
	if (code == AUTH_CODE_MD5)
		return answer_md5(login, rest, len, out);
	return begin_scram(login, rest, len, out);
}

enum login_result login_step(struct login *login,
			     const struct pgwire_message *message,
			     struct buf *out)
{
	const uint8_t *rest;
	size_t len;
	uint32_t code;

	if (!pgwire_read_auth(message, &code, &rest, &len))
		return refuse(login, "malformed authentication request");
	switch (code) {
	case AUTH_CODE_OK: return accept(login);
	case AUTH_CODE_CLEARTEXT:
	case AUTH_CODE_MD5:
	case AUTH_CODE_SASL: return answer(login, code, rest, len, out);
	case AUTH_CODE_SASL_CONTINUE:
		return continue_scram(login, SCRAM_CONTINUE, rest, len, out);
	case AUTH_CODE_SASL_FINAL:
		return continue_scram(login, SCRAM_DONE, rest, len, out);
	default:
		return refuse(login, "the server asks for a method that is "
				     "not supported here (GSSAPI, SSPI, "
				     "Kerberos or a newer one)");
	}
}

const char *login_error(const struct login *login)
{
	return login->error;
}
