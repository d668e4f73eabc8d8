/*
 * Logging in at a server by every method, and what a server may do to us
 * while we try: skip steps, repeat them, ask for what must not be told.
 */
#include "core/login.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/passwd.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"
#include "core/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	OK = 0,
	CLEARTEXT = 3,
	MD5 = 5,
	GSS = 7,
	SASL = 10,
	MORE = 11,
	FINAL = 12
};

static const uint8_t salt[PASSWD_SALT_LEN] = { 1, 2, 3, 4 };
static const char mechanisms[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";

/* What the login sent last. */
static struct buf sent;

static int tear_down(void **state)
{
	(void)state;
	buf_free(&sent);
	return 0;
}

static struct login *login_with(const char *secret)
{
	return login_new(&(struct login_credentials){ .user = "anna",
						      .secret = secret });
}

static enum login_result says(struct login *login, uint32_t code,
			      const void *rest, size_t len)
{
	struct buf message = BUF_INIT;
	struct pgwire_message read;
	enum login_result result;

	buf_free(&sent);
	pgbuild_auth(&message, code, rest, len);
	assert_int_equal(
		pgwire_read(buf_head(&message), buf_len(&message), &read),
		PGWIRE_OK);
	result = login_step(login, &read, &sent);
	buf_free(&message);
	return result;
}

static void assert_refused(struct login *login, enum login_result result,
			   const char *word)
{
	assert_int_equal(result, LOGIN_REFUSED);
	assert_int_equal(buf_len(&sent), 0);
	assert_non_null(strstr(login_error(login), word));
	login_free(login);
}

static struct pgwire_message sent_message(void)
{
	struct pgwire_message message;

	assert_int_equal(pgwire_read(buf_head(&sent), buf_len(&sent), &message),
			 PGWIRE_OK);
	assert_int_equal(message.total, buf_len(&sent));
	assert_int_equal(message.type, 'p');
	return message;
}

static void assert_sent_password(const char *expected)
{
	struct pgwire_message message = sent_message();
	const char *text;
	size_t len;

	assert_true(pgwire_read_string(&message, &text, &len));
	assert_string_equal(text, expected);
}

static void test_trust(void **state)
{
	struct login *login = login_with(NULL);

	(void)state;
	assert_int_equal(says(login, OK, NULL, 0), LOGIN_ACCEPTED);
	assert_int_equal(buf_len(&sent), 0);
	assert_string_equal(login_error(login), "");
	login_free(login);
	login_free(NULL);
}

static void test_plain(void **state)
{
	struct login *login = login_with("open sesame");

	(void)state;
	assert_int_equal(says(login, CLEARTEXT, NULL, 0), LOGIN_MORE);
	assert_sent_password("open sesame");
	assert_int_equal(says(login, OK, NULL, 0), LOGIN_ACCEPTED);
	login_free(login);
}

static void test_plain_unknown(void **state)
{
	static const char *const secrets[] = {
		NULL,
		"",
		"md5aaaabbbbccccddddeeeeffff00001111",
		"SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
		struct login *login = login_with(secrets[i]);

		assert_refused(login, says(login, CLEARTEXT, NULL, 0),
			       "plain password");
	}
}

static void test_md5(void **state)
{
	char secret[PASSWD_MD5_ROOM];
	char expected[PASSWD_MD5_ROOM];
	struct login *login;

	(void)state;
	assert_true(passwd_md5_secret("sesame", "anna", secret));
	assert_true(passwd_md5_response(secret, "anna", salt, expected));
	login = login_with(secret);
	assert_int_equal(says(login, MD5, salt, sizeof(salt)), LOGIN_MORE);
	assert_sent_password(expected);
	login_free(login);

	login = login_with("sesame");
	assert_int_equal(says(login, MD5, salt, sizeof(salt)), LOGIN_MORE);
	assert_sent_password(expected);
	assert_int_equal(says(login, OK, NULL, 0), LOGIN_ACCEPTED);
	login_free(login);
}

static void test_md5_refused(void **state)
{
	struct login *login = login_with("sesame");

	(void)state;
	assert_refused(login, says(login, MD5, salt, 3), "malformed MD5");
	login = login_with("sesame");
	assert_refused(login, says(login, MD5, "12345", 5), "malformed MD5");
	login = login_with(NULL);
	assert_refused(login, says(login, MD5, salt, 4), "auth_file");
	login = login_with("SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB");
	assert_refused(login, says(login, MD5, salt, 4), "auth_file");
}

/* The server's side of SCRAM: takes what was sent, says what follows. */
static enum login_result exchange(struct login *login,
				  struct scram_server *server, uint32_t code)
{
	struct pgwire_message message = sent_message();
	struct buf answer = BUF_INIT;
	const char *mechanism;
	const uint8_t *data = message.body;
	size_t len = message.body_len;
	enum login_result result;

	if (code == MORE) {
		assert_true(pgwire_read_sasl_initial(&message, &mechanism,
						     &data, &len));
		assert_string_equal(mechanism, SCRAM_MECHANISM);
	}
	assert_int_equal(scram_server_step(server, data, len, &answer),
			 code == MORE ? SCRAM_CONTINUE : SCRAM_DONE);
	result = says(login, code, buf_head(&answer), buf_len(&answer));
	buf_free(&answer);
	return result;
}

static void run_scram(struct login *login, const char *stored)
{
	struct scram_server *server = scram_server_new(stored, "anna", 0);

	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	assert_int_equal(exchange(login, server, MORE), LOGIN_MORE);
	assert_int_equal(exchange(login, server, FINAL), LOGIN_MORE);
	assert_int_equal(buf_len(&sent), 0);
	assert_int_equal(says(login, OK, NULL, 0), LOGIN_ACCEPTED);
	scram_server_free(server);
	login_free(login);
}

static void make_keys(const char *password, struct scramkeys *keys,
		      char secret[SCRAM_SECRET_ROOM])
{
	struct scramkeys_salt own;

	assert_true(scramkeys_salt_of("anna", 4096, &own));
	assert_true(scramkeys_derive(password, &own, keys));
	assert_true(scramkeys_format(&own, keys, secret));
}

static struct login_credentials with_keys(const struct scramkeys *keys,
					  const char *secret)
{
	struct login_credentials credentials = { .user = "anna",
						 .secret = secret,
						 .has_keys = true };

	memcpy(credentials.client_key, keys->client_key, SCRAM_KEY_LEN);
	memcpy(credentials.server_key, keys->server_key, SCRAM_KEY_LEN);
	return credentials;
}

static void test_scram(void **state)
{
	char stored[SCRAM_SECRET_ROOM];
	struct scramkeys keys;
	struct scramkeys others;
	struct login_credentials credentials;

	(void)state;
	make_keys("other", &others, stored);
	make_keys("sesame", &keys, stored);
	run_scram(login_with("sesame"), stored);
	run_scram(login_with("sesame"), "sesame");
	/* Keys of a client's login, beside the secret they were proved by. */
	credentials = with_keys(&keys, stored);
	run_scram(login_new(&credentials), stored);
	credentials = with_keys(&keys, NULL);
	run_scram(login_new(&credentials), stored);
	/* A password is good for any salt, keys for one only. */
	credentials = with_keys(&others, "sesame");
	run_scram(login_new(&credentials), stored);
}

static void test_scram_without_password(void **state)
{
	static const char *const secrets[] = {
		NULL,
		"md5aaaabbbbccccddddeeeeffff00001111",
		"SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
		struct login *login = login_with(secrets[i]);

		assert_refused(
			login,
			says(login, SASL, mechanisms, sizeof(mechanisms)),
			"no password is known");
	}
}

static void test_mechanisms(void **state)
{
	static const struct {
		const char *list;
		size_t len;
		bool is_known;
	} cases[] = {
		{ "SCRAM-SHA-256\0", 15, true },
		{ "A\0B\0SCRAM-SHA-256\0", 19, true },
		{ "", 0, false },
		{ "\0", 1, false },
		/* an empty name ends the list */
		{ "\0SCRAM-SHA-256\0", 16, false },
		/* cut off */
		{ "SCRAM-SHA-256", 13, false },
		{ "SCRAM-SHA-2", 11, false },
		{ "SCRAM-SHA-256-PLUS\0", 20, false },
		{ "scram-sha-256\0", 15, false },
		{ "SCRAM-SHA-1\0OAUTHBEARER\0", 25, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct login *login = login_with("sesame");
		enum login_result result =
			says(login, SASL, cases[i].list, cases[i].len);

		if (!cases[i].is_known) {
			assert_refused(login, result, "SASL mechanism");
			continue;
		}
		assert_int_equal(result, LOGIN_MORE);
		login_free(login);
	}
}

/* A server that does not know the password is not believed. */
static void test_scram_cut_short(void **state)
{
	struct login *login = login_with("sesame");
	struct scram_server *server = scram_server_new("sesame", "anna", 0);

	(void)state;
	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	assert_refused(login, says(login, OK, NULL, 0), "did not prove");

	login = login_with("sesame");
	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	assert_int_equal(exchange(login, server, MORE), LOGIN_MORE);
	assert_refused(login, says(login, OK, NULL, 0), "did not prove");
	scram_server_free(server);
}

static void test_scram_impostor(void **state)
{
	static const char forged[] =
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	struct login *login = login_with("sesame");
	struct scram_server *server = scram_server_new("sesame", "anna", 0);

	(void)state;
	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	assert_int_equal(exchange(login, server, MORE), LOGIN_MORE);
	assert_int_equal(says(login, FINAL, forged, strlen(forged)),
			 LOGIN_REFUSED);
	assert_true(*login_error(login) != '\0');
	assert_null(strstr(login_error(login), "sesame"));
	login_free(login);
	scram_server_free(server);
}

static void test_scram_out_of_order(void **state)
{
	struct login *login = login_with("sesame");
	struct scram_server *server = scram_server_new("sesame", "anna", 0);

	(void)state;
	assert_refused(login, says(login, MORE, "r=x", 3), "before its begin");
	login = login_with("sesame");
	assert_refused(login, says(login, FINAL, "v=x", 3), "before its begin");

	/* The end in place of the middle, and the middle in place of it. */
	login = login_with("sesame");
	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	assert_int_equal(exchange(login, server, MORE), LOGIN_MORE);
	{
		struct pgwire_message message = sent_message();
		struct buf answer = BUF_INIT;
		enum login_result result;

		assert_int_equal(scram_server_step(server, message.body,
						   message.body_len, &answer),
				 SCRAM_DONE);
		result = says(login, MORE, buf_head(&answer), buf_len(&answer));
		buf_free(&answer);
		assert_refused(login, result, "out of order");
	}
	scram_server_free(server);
}

static void test_first_as_final(void **state)
{
	struct login *login = login_with("sesame");
	struct scram_server *server = scram_server_new("sesame", "anna", 0);
	struct pgwire_message message;
	struct buf answer = BUF_INIT;
	const char *mechanism;
	const uint8_t *data;
	size_t len;
	enum login_result result;

	(void)state;
	assert_int_equal(says(login, SASL, mechanisms, sizeof(mechanisms)),
			 LOGIN_MORE);
	message = sent_message();
	assert_true(
		pgwire_read_sasl_initial(&message, &mechanism, &data, &len));
	assert_int_equal(scram_server_step(server, data, len, &answer),
			 SCRAM_CONTINUE);
	result = says(login, FINAL, buf_head(&answer), buf_len(&answer));
	buf_free(&answer);
	assert_refused(login, result, "out of order");
	scram_server_free(server);
}

/* Hostile server-first messages. */
static void test_scram_garbage(void **state)
{
	char *huge = xmalloc(65536);
	const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "", 0 },
		{ "r=short,s=c2FsdA==,i=4096", 25 },
		{ "e=other-error", 13 },
		{ "\0\0\0\0", 4 },
		{ huge, 65536 },
	};

	(void)state;
	memset(huge, 'a', 65536);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct login *login = login_with("sesame");

		assert_int_equal(
			says(login, SASL, mechanisms, sizeof(mechanisms)),
			LOGIN_MORE);
		assert_int_equal(says(login, MORE, cases[i].text, cases[i].len),
				 LOGIN_REFUSED);
		assert_int_equal(buf_len(&sent), 0);
		assert_true(*login_error(login) != '\0');
		login_free(login);
	}
	free(huge);
}

/* One question is answered, whatever comes next. */
static void test_asked_twice(void **state)
{
	static const struct {
		uint32_t code;
		const char *rest;
		size_t len;
	} questions[] = {
		{ CLEARTEXT, NULL, 0 },
		{ MD5, (const char *)salt, sizeof(salt) },
		{ SASL, mechanisms, sizeof(mechanisms) },
	};
	const size_t count = sizeof(questions) / sizeof(*questions);

	(void)state;
	for (size_t i = 0; i < count * count; i++) {
		size_t one = i / count;
		size_t other = i % count;
		struct login *login = login_with("sesame");

		assert_int_equal(says(login, questions[one].code,
				      questions[one].rest, questions[one].len),
				 LOGIN_MORE);
		assert_refused(login,
			       says(login, questions[other].code,
				    questions[other].rest,
				    questions[other].len),
			       "twice");
	}
}

static void test_unknown_methods(void **state)
{
	static const uint32_t codes[] = { 1, 2, 4,  6,          GSS,
					  8, 9, 13, 0x7fffffff, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		struct login *login = login_with("sesame");

		assert_refused(login, says(login, codes[i], NULL, 0),
			       "not supported");
	}
}

static void test_truncated(void **state)
{
	static const uint8_t body[] = { 0, 0, 0 };

	(void)state;
	for (size_t len = 0; len <= sizeof(body); len++) {
		struct login *login = login_with("sesame");
		struct pgwire_message message = { .type = 'R',
						  .total = len + 5,
						  .body = body,
						  .body_len = len,
						  .body_here = len };

		buf_free(&sent);
		assert_refused(login, login_step(login, &message, &sent),
			       "malformed");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_unknown),
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_md5_refused),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_without_password),
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_scram_cut_short),
		cmocka_unit_test(test_scram_impostor),
		cmocka_unit_test(test_scram_out_of_order),
		cmocka_unit_test(test_first_as_final),
		cmocka_unit_test(test_scram_garbage),
		cmocka_unit_test(test_asked_twice),
		cmocka_unit_test(test_unknown_methods),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
