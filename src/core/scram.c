/*
 * SCRAM-SHA-256, server and client (RFC 5802, RFC 7677; what PostgreSQL adds
 * is in its docs, "SASL Authentication").
 *
 * Every message of the other side is cut into attributes before anything of
 * it is used; a text of the wrong form ends the exchange.  An unknown user
 * gets the same messages as a known one, with a salt that stays the same for
 * his name, and fails at the proof.
 *
 * Refuses: channel binding, authorization identities, mandatory extensions.
 * The name in client-first is not looked at, as in PostgreSQL: the startup
 * message has said who it is.
 *
 * Invariant: auth holds AuthMessage as far as it has been spoken.  Keys and
 * passwords are wiped.  No thread of its own, no state outside the exchange.
 */
#include "core/scram.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/passwd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	NONCE_RAW_LEN = 18,
	NONCE_TEXT_LEN = NONCE_RAW_LEN / 3 * 4,
	KEY_TEXT_ROOM = 48, /* base64 of a key, and NUL */
	SALT_TEXT_ROOM = (SCRAM_SALT_MAX + 2) / 3 * 4 + 1
};

static const char out_of_order[] = "message out of order";
static const char crypto_failed[] = "cryptography library failed";

/* What is left of a message, or one value of it. */
struct text {
	const char *at;
	const char *end;
};

/* FIRST and FINAL are what is expected next; PROVED and OVER take nothing. */
enum stage { STAGE_FIRST, STAGE_FINAL, STAGE_PROVED, STAGE_OVER };

struct scram_server {
	enum stage stage;
	bool is_mock;
	char gs2; /* 'n' or 'y', as the client said */
	char own_nonce[SCRAM_NONCE_MAX + 1];
	char *nonce; /* the client's, then ours */
	struct scramkeys_salt salt;
	struct scramkeys keys;
	struct buf auth;
	const char *error;
};

struct scram_client {
	enum stage stage;
	char *password; /* NULL: the keys were given */
	char own_nonce[SCRAM_NONCE_MAX + 1];
	struct scramkeys keys;
	struct buf auth;
	const char *error;
};

/* ---- texts -------------------------------------------------------------- */

static size_t text_len(struct text text)
{
	return (size_t)(text.end - text.at);
}

static void append_text(struct buf *buf, struct text text)
{
	buf_append(buf, text.at, text_len(text));
}

static void append_string(struct buf *buf, const char *string)
{
	buf_append(buf, string, strlen(string));
}

static bool text_is(struct text text, const char *string)
{
	size_t len = strlen(string);

	return text_len(text) == len && memcmp(text.at, string, len) == 0;
}

/* A message of bearable length without NUL. */
static bool open_message(const void *message, size_t len, struct text *text)
{
	if (len == 0 || len > SCRAM_MESSAGE_MAX || memchr(message, '\0', len))
		return false;
	*text = (struct text){ message, (const char *)message + len };
	return true;
}

/*
 * Takes "x=value" and the comma behind it; false when the rest of the
 * message begins otherwise.  name 0 takes any attribute.
 */
static bool take_attribute(struct text *rest, char name, struct text *value)
{
	const char *comma;

	if (text_len(*rest) < 2 || rest->at[1] != '=' ||
	    (name ? rest->at[0] != name : rest->at[0] == 'm'))
		return false;
	value->at = rest->at + 2;
	comma = memchr(value->at, ',', (size_t)(rest->end - value->at));
	value->end = comma ? comma : rest->end;
	rest->at = comma ? comma + 1 : rest->end;
	/* A comma at the very end announces an attribute that is not there. */
	return !comma || rest->at < rest->end;
}

/* RFC 5802 section 7, "printable"; the comma was cut off before. */
static bool is_printable(struct text text)
{
	for (const char *at = text.at; at < text.end; at++) {
		if (*at < 0x21 || *at > 0x7e || *at == ',')
			return false;
	}
	return text.at < text.end;
}

/* ---- what both roles do ------------------------------------------------- */

/* As many random bytes as PostgreSQL draws (scram-common.h). */
static void draw_nonce(char *nonce)
{
	uint8_t raw[NONCE_RAW_LEN];
	size_t len;

	util_random(raw, sizeof(raw));
	len = scramkeys_encode(raw, sizeof(raw), nonce, SCRAM_NONCE_MAX + 1);
	assert(len == NONCE_TEXT_LEN);
}

static bool append_key(struct buf *buf, const uint8_t *key)
{
	char text[KEY_TEXT_ROOM];

	if (!scramkeys_encode(key, SCRAM_KEY_LEN, text, sizeof(text)))
		return false;
	append_string(buf, text);
	return true;
}

/* Exactly a key: a longer text of which the start would do is refused. */
static bool read_key(struct text text, uint8_t *key)
{
	size_t len = 0;

	return scramkeys_decode(text.at, text_len(text), key, SCRAM_KEY_LEN,
				&len) &&
	       len == SCRAM_KEY_LEN;
}

/* HMAC of AuthMessage. */
static bool sign(const uint8_t *key, const struct buf *auth, uint8_t *out)
{
	return scramkeys_hmac(key, buf_head(auth), buf_len(auth), out);
}

static void xor_key(uint8_t *into, const uint8_t *other)
{
	for (unsigned i = 0; i < SCRAM_KEY_LEN; i++)
		into[i] ^= other[i];
}

/* ---- server ------------------------------------------------------------- */

/* For good: whatever comes after it is out of order. */
static enum scram_result server_end(struct scram_server *server,
				    enum scram_result result, const char *error)
{
	server->stage = STAGE_OVER;
	server->error = error;
	return result;
}

/*
 * The proof is then checked against random keys, as it would be against real
 * ones: neither the messages nor an answer that comes at once tell which users
 * there are.
 */
static void server_set_mock(struct scram_server *server, const char *user,
			    uint32_t iterations)
{
	server->is_mock = true;
	util_random(&server->keys, sizeof(server->keys));
	if (!scramkeys_salt_of(user, iterations, &server->salt))
		(void)server_end(server, SCRAM_BAD, crypto_failed);
}

/*
 * A plain password is salted as a server would have done it at CREATE ROLE; the
 * salt is the user's, so that the derived keys are found again in the cache.
 * Any other kind of secret cannot do SCRAM and meets the mock.
 */
struct scram_server *scram_server_new(const char *secret, const char *user,
				      uint32_t iterations)
{
	struct scram_server *server = xcalloc(1, sizeof(*server));
	enum passwd_kind kind = passwd_kind_of(secret);
	bool has_keys = false;

	server->error = "";
	if (iterations == 0)
		iterations = SCRAM_ITERATIONS;
	draw_nonce(server->own_nonce);
	if (kind == PASSWD_SCRAM)
		has_keys =
			scramkeys_parse(secret, &server->salt, &server->keys);
	else if (kind == PASSWD_PLAIN)
		has_keys =
			scramkeys_salt_of(user, iterations, &server->salt) &&
			scramkeys_derive(secret, &server->salt, &server->keys);
	if (!has_keys)
		server_set_mock(server, user, iterations);
	return server;
}

void scram_server_free(struct scram_server *server)
{
	if (!server)
		return;
	buf_free(&server->auth);
	free(server->nonce);
	util_wipe(server, sizeof(*server));
	free(server);
}

void scram_server_set_nonce(struct scram_server *server, const char *nonce)
{
	bool fits =
		util_copy(server->own_nonce, sizeof(server->own_nonce), nonce);

	assert(fits && server->stage == STAGE_FIRST);
}

/* gs2-header: the flag, and an authorization identity that must be empty. */
static const char *server_read_gs2(struct scram_server *server,
				   struct text *rest)
{
	if (rest->at[0] == 'p')
		return "channel binding asked for, but not offered";
	if (rest->at[0] != 'n' && rest->at[0] != 'y')
		return "malformed channel binding flag";
	server->gs2 = rest->at[0];
	if (text_len(*rest) < 3 || rest->at[1] != ',')
		return "malformed client-first-message";
	if (rest->at[2] == 'a')
		return "authorization identity is not supported";
	if (rest->at[2] != ',')
		return "malformed client-first-message";
	rest->at += 3;
	return NULL;
}

/*
 * Appends server-first to AuthMessage and to out: r, s and i in this order, no
 * extensions (RFC 5802 section 5.1).
 */
static bool server_say_first(struct scram_server *server, struct buf *out)
{
	char salt[SALT_TEXT_ROOM];
	size_t start;

	if (!scramkeys_encode(server->salt.bytes, server->salt.len, salt,
			      sizeof(salt)))
		return false;
	append_string(&server->auth, ",");
	start = buf_len(&server->auth);
	buf_printf(&server->auth, "r=%s,s=%s,i=%u", server->nonce, salt,
		   server->salt.iterations);
	buf_append(out, buf_head(&server->auth) + start,
		   buf_len(&server->auth) - start);
	return true;
}

/* A mandatory extension (m=) ends the exchange: section 5.1 says so. */
static enum scram_result server_take_first(struct scram_server *server,
					   struct text rest, struct buf *out)
{
	const char *error = server_read_gs2(server, &rest);
	struct text bare = rest;
	struct text name;
	struct text nonce;
	struct text extension;

	assert(server->stage == STAGE_FIRST && !server->nonce);
	if (error)
		return server_end(server, SCRAM_BAD, error);
	if (!take_attribute(&rest, 'n', &name) ||
	    !take_attribute(&rest, 'r', &nonce))
		return server_end(server, SCRAM_BAD,
				  "malformed client-first-message");
	while (rest.at < rest.end) {
		if (!take_attribute(&rest, 0, &extension))
			return server_end(server, SCRAM_BAD,
					  "malformed or mandatory extension");
	}
	if (!is_printable(nonce))
		return server_end(server, SCRAM_BAD, "unprintable nonce");
	server->nonce = xasprintf("%.*s%s", (int)text_len(nonce), nonce.at,
				  server->own_nonce);
	append_text(&server->auth, bare);
	if (!server_say_first(server, out))
		return server_end(server, SCRAM_BAD, crypto_failed);
	server->stage = STAGE_FINAL;
	return SCRAM_CONTINUE;
}

/*
 * Cuts client-final: the proof, and all before ",p=", which is part of
 * AuthMessage.  NULL, or what is wrong.
 */
static const char *server_read_final(const struct scram_server *server,
				     struct text rest, struct text *unproved,
				     uint8_t *proof)
{
	struct text value;
	const char *begin;

	*unproved = (struct text){ rest.at, rest.at };
	/* base64 of "n,," and of "y,,": what the client said at first */
	if (!take_attribute(&rest, 'c', &value) ||
	    !text_is(value, server->gs2 == 'y' ? "eSws" : "biws"))
		return "channel binding data differ from the first message";
	if (!take_attribute(&rest, 'r', &value))
		return "malformed client-final-message";
	if (!text_is(value, server->nonce))
		return "nonce differs from the one sent";
	do {
		begin = rest.at;
		if (!take_attribute(&rest, 0, &value))
			return "malformed client-final-message";
	} while (*begin != 'p');
	if (rest.at != rest.end || !read_key(value, proof))
		return "malformed proof";
	unproved->end = begin - 1;
	return NULL;
}

/* Recovers ClientKey from the proof; it is right when it hashes to StoredKey */
static bool server_check_proof(struct scram_server *server,
			       const uint8_t *proof, bool *is_right)
{
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t hash[SCRAM_KEY_LEN];

	if (!sign(server->keys.stored_key, &server->auth, client_key))
		return false;
	xor_key(client_key, proof);
	if (!scramkeys_hash(client_key, sizeof(client_key), hash))
		return false;
	*is_right = util_equal_secret(hash, server->keys.stored_key,
				      sizeof(hash)) &&
		    !server->is_mock;
	if (*is_right)
		memcpy(server->keys.client_key, client_key, sizeof(client_key));
	util_wipe(client_key, sizeof(client_key));
	return true;
}

/* ServerSignature only after a right proof: it would help to guess. */
static enum scram_result server_take_final(struct scram_server *server,
					   struct text rest, struct buf *out)
{
	uint8_t proof[SCRAM_KEY_LEN];
	uint8_t signature[SCRAM_KEY_LEN];
	struct text unproved;
	bool is_right = false;
	const char *error = server_read_final(server, rest, &unproved, proof);

	assert(server->stage == STAGE_FINAL && server->nonce);
	if (error)
		return server_end(server, SCRAM_BAD, error);
	append_string(&server->auth, ",");
	append_text(&server->auth, unproved);
	if (!server_check_proof(server, proof, &is_right) ||
	    !sign(server->keys.server_key, &server->auth, signature))
		return server_end(server, SCRAM_BAD, crypto_failed);
	if (!is_right)
		return server_end(server, SCRAM_WRONG, "wrong password");
	append_string(out, "v=");
	if (!append_key(out, signature))
		return server_end(server, SCRAM_BAD, crypto_failed);
	server->stage = STAGE_PROVED;
	return SCRAM_DONE;
}

enum scram_result scram_server_step(struct scram_server *server,
				    const void *message, size_t len,
				    struct buf *out)
{
	struct text text;

	if (server->stage != STAGE_FIRST && server->stage != STAGE_FINAL)
		return server_end(server, SCRAM_BAD,
				  *server->error ? server->error
						 : out_of_order);
	if (!open_message(message, len, &text))
		return server_end(server, SCRAM_BAD,
				  "message empty, too long or with NUL");
	if (server->stage == STAGE_FIRST)
		return server_take_first(server, text, out);
	return server_take_final(server, text, out);
}

/*
 * What lets a pooler log in elsewhere as this user, without his password: the
 * client has shown it by his proof.
 */
bool scram_server_client_key(const struct scram_server *server,
			     uint8_t out[SCRAM_KEY_LEN])
{
	if (server->stage != STAGE_PROVED)
		return false;
	memcpy(out, server->keys.client_key, SCRAM_KEY_LEN);
	return true;
}

bool scram_server_server_key(const struct scram_server *server,
			     uint8_t out[SCRAM_KEY_LEN])
{
	if (server->stage != STAGE_PROVED)
		return false;
	memcpy(out, server->keys.server_key, SCRAM_KEY_LEN);
	return true;
}

const char *scram_server_error(const struct scram_server *server)
{
	return server->error;
}

/* ---- client ------------------------------------------------------------- */

static enum scram_result client_end(struct scram_client *client,
				    enum scram_result result, const char *error)
{
	client->stage = STAGE_OVER;
	client->error = error;
	return result;
}

static struct scram_client *client_new(void)
{
	struct scram_client *client = xcalloc(1, sizeof(*client));

	client->error = "";
	draw_nonce(client->own_nonce);
	return client;
}

struct scram_client *scram_client_new(const char *password)
{
	struct scram_client *client = client_new();

	client->password = xstrdup(password);
	return client;
}

struct scram_client *scram_client_new_with_keys(
	const uint8_t client_key[SCRAM_KEY_LEN],
	const uint8_t server_key[SCRAM_KEY_LEN])
{
	struct scram_client *client = client_new();

	memcpy(client->keys.client_key, client_key, SCRAM_KEY_LEN);
	memcpy(client->keys.server_key, server_key, SCRAM_KEY_LEN);
	if (!scramkeys_hash(client_key, SCRAM_KEY_LEN, client->keys.stored_key))
		(void)client_end(client, SCRAM_BAD, crypto_failed);
	return client;
}

void scram_client_free(struct scram_client *client)
{
	if (!client)
		return;
	if (client->password) {
		util_wipe(client->password, strlen(client->password));
		free(client->password);
	}
	buf_free(&client->auth);
	util_wipe(client, sizeof(*client));
	free(client);
}

void scram_client_set_nonce(struct scram_client *client, const char *nonce)
{
	bool fits =
		util_copy(client->own_nonce, sizeof(client->own_nonce), nonce);

	assert(fits && buf_len(&client->auth) == 0);
}

void scram_client_first(struct scram_client *client, struct buf *out)
{
	assert(buf_len(&client->auth) == 0);
	buf_printf(&client->auth, "n=,r=%s", client->own_nonce);
	append_string(out, "n,,");
	buf_append(out, buf_head(&client->auth), buf_len(&client->auth));
}

/*
 * NULL, or what is wrong with server-first.  A nonce that does not extend ours
 * may be a replay; the limits of the count are checked before anything is
 * computed, since a server that is none could choose a huge one.
 */
static const char *client_read_first(const struct scram_client *client,
				     struct text rest, struct text *nonce,
				     struct scramkeys_salt *salt)
{
	size_t own_len = strlen(client->own_nonce);
	struct text value;

	if (!take_attribute(&rest, 'r', nonce) || !is_printable(*nonce))
		return "malformed nonce or mandatory extension";
	if (text_len(*nonce) <= own_len ||
	    memcmp(nonce->at, client->own_nonce, own_len) != 0)
		return "nonce does not extend ours";
	if (!take_attribute(&rest, 's', &value) ||
	    !scramkeys_decode(value.at, text_len(value), salt->bytes,
			      sizeof(salt->bytes), &salt->len))
		return "malformed salt";
	if (!take_attribute(&rest, 'i', &value) ||
	    !scramkeys_parse_iterations(value.at, text_len(value),
					&salt->iterations))
		return "iteration count malformed or out of limits";
	return rest.at == rest.end ? NULL : "bytes after the iteration count";
}

/*
 * Appends client-final to AuthMessage (without the proof) and to out.  biws is
 * base64 of "n,,": no channel binding, no other identity.
 */
static bool client_say_final(struct scram_client *client, struct text nonce,
			     struct buf *out)
{
	uint8_t proof[SCRAM_KEY_LEN];
	size_t start;

	append_string(&client->auth, ",");
	start = buf_len(&client->auth);
	append_string(&client->auth, "c=biws,r=");
	append_text(&client->auth, nonce);
	if (!sign(client->keys.stored_key, &client->auth, proof))
		return false;
	xor_key(proof, client->keys.client_key);
	buf_append(out, buf_head(&client->auth) + start,
		   buf_len(&client->auth) - start);
	append_string(out, ",p=");
	return append_key(out, proof);
}

static enum scram_result client_take_first(struct scram_client *client,
					   struct text rest, struct buf *out)
{
	struct scramkeys_salt salt;
	struct text nonce;
	const char *error = client_read_first(client, rest, &nonce, &salt);

	assert(client->stage == STAGE_FIRST);
	if (error)
		return client_end(client, SCRAM_BAD, error);
	if (client->password &&
	    !scramkeys_derive(client->password, &salt, &client->keys))
		return client_end(client, SCRAM_BAD, crypto_failed);
	append_string(&client->auth, ",");
	append_text(&client->auth, rest);
	if (!client_say_final(client, nonce, out))
		return client_end(client, SCRAM_BAD, crypto_failed);
	client->stage = STAGE_FINAL;
	return SCRAM_CONTINUE;
}

/*
 * The server proves itself as well: without the signature it may be anybody,
 * and the session ends.
 */
static enum scram_result client_take_final(struct scram_client *client,
					   struct text rest)
{
	uint8_t expected[SCRAM_KEY_LEN];
	uint8_t signature[SCRAM_KEY_LEN];
	struct text value;

	assert(client->stage == STAGE_FINAL);
	if (rest.at[0] == 'e')
		return client_end(client, SCRAM_WRONG,
				  "server refused the proof");
	if (!take_attribute(&rest, 'v', &value) || rest.at != rest.end ||
	    !read_key(value, signature))
		return client_end(client, SCRAM_BAD,
				  "malformed server-final-message");
	if (!sign(client->keys.server_key, &client->auth, expected))
		return client_end(client, SCRAM_BAD, crypto_failed);
	if (!util_equal_secret(expected, signature, sizeof(expected)))
		return client_end(client, SCRAM_WRONG,
				  "server does not know the password");
	client->stage = STAGE_PROVED;
	return SCRAM_DONE;
}

enum scram_result scram_client_step(struct scram_client *client,
				    const void *message, size_t len,
				    struct buf *out)
{
	struct text text;

	if ((client->stage != STAGE_FIRST && client->stage != STAGE_FINAL) ||
	    buf_len(&client->auth) == 0)
		return client_end(client, SCRAM_BAD,
				  *client->error ? client->error
						 : out_of_order);
	if (!open_message(message, len, &text))
		return client_end(client, SCRAM_BAD,
				  "message empty, too long or with NUL");
	if (client->stage == STAGE_FIRST)
		return client_take_first(client, text, out);
	return client_take_final(client, text);
}

const char *scram_client_error(const struct scram_client *client)
{
	return client->error;
}
