/*
 * Both roles of SCRAM-SHA-256: the exchange of RFC 7677, each role against
 * the other, and what a hostile other side may say.
 */
#include "core/scram.h"

#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 7677 section 3; but PostgreSQL's clients leave the name empty. */
static const char rfc_client_nonce[] = "rOprNGfwEbeRWgbNEkqO";
static const char rfc_server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char rfc_client_first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char rfc_server_first[] =
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char rfc_client_final[] =
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char rfc_server_final[] =
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/* 'pencil' at PostgreSQL 15 */
static const char pg_secret[] = "SCRAM-SHA-256$4096:+D0q9jEryE++QKE3Jz8B9w=="
				"$i6GQpV52iWs97zxYqcBqZ5DwoaU3SruynUaG4BBzhu4="
				":FxvZNF4/o/ElrKrltTvzLZpk+RBEiepZ1F0Xkrf5glk=";

static struct buf out;

static enum scram_result server_says(struct scram_server *server,
				     const char *message)
{
	buf_free(&out);
	return scram_server_step(server, message, strlen(message), &out);
}

static enum scram_result client_says(struct scram_client *client,
				     const char *message)
{
	buf_free(&out);
	return scram_client_step(client, message, strlen(message), &out);
}

static void assert_out(const char *expected)
{
	assert_int_equal(buf_len(&out), strlen(expected));
	if (*expected)
		assert_memory_equal(buf_head(&out), expected, strlen(expected));
}

/* The secret of RFC 7677's user. */
static char *rfc_secret(void)
{
	struct scramkeys_salt salt = { .iterations = 4096 };
	struct scramkeys keys;
	char *text = xmalloc(SCRAM_SECRET_ROOM);

	assert_true(scramkeys_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, salt.bytes,
				     sizeof(salt.bytes), &salt.len));
	assert_true(scramkeys_derive("pencil", &salt, &keys));
	assert_true(scramkeys_format(&salt, &keys, text));
	return text;
}

static struct scram_server *rfc_server(void)
{
	char *secret = rfc_secret();
	struct scram_server *server = scram_server_new(secret, "user", 0);

	scram_server_set_nonce(server, rfc_server_nonce);
	free(secret);
	return server;
}

static void test_rfc_server(void **state)
{
	struct scram_server *server = rfc_server();

	(void)state;
	assert_int_equal(server_says(server, rfc_client_first), SCRAM_CONTINUE);
	assert_out(rfc_server_first);
	assert_int_equal(server_says(server, rfc_client_final), SCRAM_DONE);
	assert_out(rfc_server_final);
	assert_string_equal(scram_server_error(server), "");
	scram_server_free(server);
}

/*
 * PostgreSQL's form of the exchange, with an empty name.  Proof and signature
 * were computed by Python's hashlib from RFC 5802's formulas.
 */
static void test_rfc_client(void **state)
{
	struct scram_client *client = scram_client_new("pencil");

	(void)state;
	scram_client_set_nonce(client, rfc_client_nonce);
	buf_free(&out);
	scram_client_first(client, &out);
	assert_out("n,,n=,r=rOprNGfwEbeRWgbNEkqO");
	assert_int_equal(client_says(client, rfc_server_first), SCRAM_CONTINUE);
	assert_out("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k"
		   "0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=");
	assert_int_equal(
		client_says(client,
			    "v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg="),
		SCRAM_DONE);
	assert_out("");
	assert_string_equal(scram_client_error(client), "");
	scram_client_free(client);
}

/* A whole exchange of both roles; the results of the last two steps. */
static enum scram_result run(struct scram_client *client,
			     struct scram_server *server)
{
	struct buf to_server = BUF_INIT;
	struct buf to_client = BUF_INIT;
	enum scram_result result;

	scram_client_first(client, &to_server);
	assert_int_equal(scram_server_step(server, buf_head(&to_server),
					   buf_len(&to_server), &to_client),
			 SCRAM_CONTINUE);
	buf_free(&to_server);
	assert_int_equal(scram_client_step(client, buf_head(&to_client),
					   buf_len(&to_client), &to_server),
			 SCRAM_CONTINUE);
	buf_free(&to_client);
	result = scram_server_step(server, buf_head(&to_server),
				   buf_len(&to_server), &to_client);
	if (result == SCRAM_DONE)
		assert_int_equal(scram_client_step(client, buf_head(&to_client),
						   buf_len(&to_client),
						   &to_server),
				 SCRAM_DONE);
	else
		assert_int_equal(buf_len(&to_client), 0);
	buf_free(&to_server);
	buf_free(&to_client);
	return result;
}

static enum scram_result log_in(const char *secret, const char *password)
{
	struct scram_server *server = scram_server_new(secret, "m", 100);
	struct scram_client *client = scram_client_new(password);
	enum scram_result result = run(client, server);
	uint8_t key[SCRAM_KEY_LEN];

	assert_int_equal(scram_server_client_key(server, key),
			 result == SCRAM_DONE);
	assert_int_equal(scram_server_server_key(server, key),
			 result == SCRAM_DONE);
	scram_server_free(server);
	scram_client_free(client);
	return result;
}

static void test_passwords(void **state)
{
	(void)state;
	assert_int_equal(log_in("pencil", "pencil"), SCRAM_DONE);
	assert_int_equal(log_in("pencil", "Pencil"), SCRAM_WRONG);
	assert_int_equal(log_in("pencil", ""), SCRAM_WRONG);
	assert_int_equal(log_in(pg_secret, "pencil"), SCRAM_DONE);
	assert_int_equal(log_in(pg_secret, "pencil "), SCRAM_WRONG);
	assert_int_equal(log_in("p\303\245ss", "p\303\245ss"), SCRAM_DONE);
}

static void test_mocks(void **state)
{
	(void)state;
	assert_int_equal(log_in(NULL, "pencil"), SCRAM_WRONG);
	assert_int_equal(log_in(NULL, ""), SCRAM_WRONG);
	assert_int_equal(log_in("", ""), SCRAM_WRONG);
	assert_int_equal(log_in("md58bbf3f45673bf67d02e4214911f3417f",
				"md58bbf3f45673bf67d02e4214911f3417f"),
			 SCRAM_WRONG);
	assert_int_equal(log_in("SCRAM-SHA-256$x", "SCRAM-SHA-256$x"),
			 SCRAM_WRONG);
	assert_int_equal(log_in(pg_secret, pg_secret), SCRAM_WRONG);
}

/* server-first for a client-first of a fixed nonce */
static char *first_answer(const char *secret, const char *user)
{
	struct scram_server *server = scram_server_new(secret, user, 100);
	char *answer;

	scram_server_set_nonce(server, "server");
	assert_int_equal(server_says(server, "n,,n=,r=client"), SCRAM_CONTINUE);
	answer = xstrndup((char *)buf_head(&out), buf_len(&out));
	scram_server_free(server);
	return answer;
}

static void assert_same_answer(bool same, char *one, char *other)
{
	assert_int_equal(strcmp(one, other) == 0, same);
	free(one);
	free(other);
}

static void test_unknown_user_looks_known(void **state)
{
	char *answer = first_answer(NULL, "x");

	(void)state;
	assert_int_equal(strncmp(answer, "r=clientserver,s=", 17), 0);
	assert_string_equal(answer + strlen(answer) - 6, ",i=100");
	/* stable for a name, and the same once the name has a password */
	assert_same_answer(true, answer, first_answer(NULL, "x"));
	assert_same_answer(true, first_answer("pw", "x"),
			   first_answer(NULL, "x"));
	assert_same_answer(false, first_answer(NULL, "y"),
			   first_answer(NULL, "x"));
}

static void test_nonces_differ(void **state)
{
	struct scram_client *one = scram_client_new("x");
	struct scram_client *two = scram_client_new("x");
	struct buf other = BUF_INIT;

	(void)state;
	buf_free(&out);
	scram_client_first(one, &out);
	scram_client_first(two, &other);
	assert_int_equal(buf_len(&out), strlen("n,,n=,r=") + 24);
	assert_int_equal(buf_len(&other), buf_len(&out));
	assert_memory_not_equal(buf_head(&out), buf_head(&other),
				buf_len(&out));
	buf_free(&other);
	scram_client_free(one);
	scram_client_free(two);
}

/* The keys that one login proved open the next server. */
static void test_pass_through(void **state)
{
	struct scram_server *front = scram_server_new(pg_secret, "m", 0);
	struct scram_server *back = scram_server_new(pg_secret, "m", 0);
	struct scram_client *client = scram_client_new("pencil");
	uint8_t client_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];

	(void)state;
	assert_int_equal(run(client, front), SCRAM_DONE);
	scram_client_free(client);
	assert_true(scram_server_client_key(front, client_key));
	assert_true(scram_server_server_key(front, server_key));
	client = scram_client_new_with_keys(client_key, server_key);
	assert_int_equal(run(client, back), SCRAM_DONE);
	scram_client_free(client);
	scram_server_free(back);

	client_key[0] ^= 1;
	back = scram_server_new(pg_secret, "m", 0);
	client = scram_client_new_with_keys(client_key, server_key);
	assert_int_equal(run(client, back), SCRAM_WRONG);
	scram_client_free(client);
	scram_server_free(back);
	scram_server_free(front);
}

static void test_server_refuses_first(void **state)
{
	static const char *const messages[] = {
		"n",
		"n,",
		"n,,",
		"n,,n",
		"n,,n=",
		"n,,n=user",
		"n,,n=user,",
		"n,,n=user,r",
		"n,,n=user,r=",
		"n,,n=user,r=,",
		"n,,r=abc",
		"n,,r=abc,n=user",
		"n,,m=ext,n=user,r=abc",
		"n,,n=user,r=abc,",
		"n,,n=user,r=abc,m=must",
		"n,,n=user,r=abc,x",
		"n,,n=user,r=abc,x=1,",
		"n,,n=user,r=a\tb",
		"n,,n=user,r=a b",
		"n,,n=user,r=\303\245",
		"n,,n=user,r=a\177",
		"n,a=admin,n=user,r=abc",
		"n,a=,n=user,r=abc",
		"nn,n=user,r=abc",
		"n;,n=user,r=abc",
		"x,,n=user,r=abc",
		"p=tls-server-end-point,,n=user,r=abc",
		"p,,n=user,r=abc",
		",,n=user,r=abc",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct scram_server *server = rfc_server();

		assert_int_equal(server_says(server, messages[i]), SCRAM_BAD);
		assert_out("");
		assert_string_not_equal(scram_server_error(server), "");
		/* over is over */
		assert_int_equal(server_says(server, rfc_client_first),
				 SCRAM_BAD);
		scram_server_free(server);
	}
}

static void test_server_accepts_first(void **state)
{
	static const char *const messages[] = {
		"n,,n=,r=a",
		"y,,n=,r=a",
		"n,,n=us\303\245r,r=a",
		"n,,n=user=2Cname,r=!~",
		"n,,n=user,r=abc,x=1,y=2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct scram_server *server = rfc_server();

		assert_int_equal(server_says(server, messages[i]),
				 SCRAM_CONTINUE);
		scram_server_free(server);
	}
}

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void test_server_refuses_final(void **state)
{
	static const char *const messages[] = {
		"",
		"c=biws",
		"c=biws,",
		"c=biws,r=" NONCE,
		"c=biws,r=" NONCE ",",
		"c=biws,r=" NONCE ",p",
		"c=biws,r=" NONCE ",p=",
		"c=biws,r=" NONCE ",p=AAAA",
		"c=biws,r=" NONCE ",p=" PROOF ",",
		"c=biws,r=" NONCE ",p=" PROOF ",x=1",
		"c=biws,r=" NONCE ",p=" PROOF PROOF,
		"c=biws,r=" NONCE ",x=1",
		"c=biws,r=" NONCE ",m=1,p=" PROOF,
		"c=biws,r=" NONCE "x,p=" PROOF,
		"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF,
		"c=biws,r=,p=" PROOF,
		"c=biws,p=" PROOF,
		"c=eSws,r=" NONCE ",p=" PROOF,
		"c=biw,r=" NONCE ",p=" PROOF,
		"c=biwsAAAA,r=" NONCE ",p=" PROOF,
		"c=,r=" NONCE ",p=" PROOF,
		"r=" NONCE ",c=biws,p=" PROOF,
		"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct scram_server *server = rfc_server();

		assert_int_equal(server_says(server, rfc_client_first),
				 SCRAM_CONTINUE);
		assert_int_equal(server_says(server, messages[i]), SCRAM_BAD);
		assert_out("");
		assert_int_equal(server_says(server, rfc_client_final),
				 SCRAM_BAD);
		scram_server_free(server);
	}
}

static void test_server_wrong_proof(void **state)
{
	char *message = xstrdup(rfc_client_final);
	char *proof = strstr(message, ",p=") + 3;

	(void)state;
	/* the last digit before '=' has spare bits, so it is left alone */
	for (size_t i = 0; i < 42; i++) {
		struct scram_server *server = rfc_server();
		char kept = proof[i];

		proof[i] = kept == 'A' ? 'B' : 'A';
		assert_int_equal(server_says(server, rfc_client_first),
				 SCRAM_CONTINUE);
		assert_int_equal(server_says(server, message), SCRAM_WRONG);
		proof[i] = kept;
		assert_int_equal(server_says(server, rfc_client_final),
				 SCRAM_BAD);
		scram_server_free(server);
	}
	free(message);
}

/* A signed extension changes the signature, but not the rules. */
static void test_server_final_extension(void **state)
{
	struct scram_server *server = rfc_server();

	(void)state;
	assert_int_equal(server_says(server, rfc_client_first), SCRAM_CONTINUE);
	assert_int_equal(server_says(server, "c=biws,r=" NONCE ",x=1,p=" PROOF),
			 SCRAM_WRONG);
	scram_server_free(server);
}

static void test_server_twice(void **state)
{
	struct scram_server *server = rfc_server();
	uint8_t key[SCRAM_KEY_LEN];

	(void)state;
	assert_false(scram_server_client_key(server, key));
	assert_int_equal(server_says(server, rfc_client_first), SCRAM_CONTINUE);
	assert_false(scram_server_client_key(server, key));
	assert_int_equal(server_says(server, rfc_client_final), SCRAM_DONE);
	assert_true(scram_server_client_key(server, key));
	assert_int_equal(server_says(server, rfc_client_final), SCRAM_BAD);
	assert_out("");
	assert_false(scram_server_client_key(server, key));
	scram_server_free(server);
}

static void test_server_sizes(void **state)
{
	char *message = xmalloc(1 << 20);
	struct scram_server *server;

	(void)state;
	memset(message, 'a', 1 << 20);
	memcpy(message, "n,,n=,r=", 8);
	server = rfc_server();
	assert_int_equal(
		scram_server_step(server, message, SCRAM_MESSAGE_MAX, &out),
		SCRAM_CONTINUE);
	scram_server_free(server);
	server = rfc_server();
	assert_int_equal(
		scram_server_step(server, message, SCRAM_MESSAGE_MAX + 1, &out),
		SCRAM_BAD);
	scram_server_free(server);
	server = rfc_server();
	assert_int_equal(scram_server_step(server, message, 1 << 20, &out),
			 SCRAM_BAD);
	scram_server_free(server);
	server = rfc_server();
	assert_int_equal(scram_server_step(server, message, 0, &out),
			 SCRAM_BAD);
	scram_server_free(server);
	server = rfc_server();
	message[20] = '\0';
	assert_int_equal(scram_server_step(server, message, 100, &out),
			 SCRAM_BAD);
	scram_server_free(server);
	free(message);
}

static struct scram_client *rfc_client(void)
{
	struct scram_client *client = scram_client_new("pencil");

	scram_client_set_nonce(client, rfc_client_nonce);
	buf_free(&out);
	scram_client_first(client, &out);
	return client;
}

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="

static void test_client_refuses_first(void **state)
{
	static const char *const messages[] = {
		"",
		"r",
		"r=",
		"r=" NONCE,
		"r=" NONCE ",",
		"r=" NONCE ",s=" SALT,
		"r=" NONCE ",s=" SALT ",",
		"r=" NONCE ",s=" SALT ",i",
		"r=" NONCE ",s=" SALT ",i=",
		"r=" NONCE ",s=" SALT ",i=0",
		"r=" NONCE ",s=" SALT ",i=-1",
		"r=" NONCE ",s=" SALT ",i=10000001",
		"r=" NONCE ",s=" SALT ",i=2147483648",
		"r=" NONCE ",s=" SALT ",i=4294967297",
		"r=" NONCE ",s=" SALT ",i=99999999999999999999999999",
		"r=" NONCE ",s=" SALT ",i=4096x",
		"r=" NONCE ",s=" SALT ",i= 4096",
		"r=" NONCE ",s=" SALT ",i=4096,",
		"r=" NONCE ",s=" SALT ",i=4096,x=1",
		"r=" NONCE ",s=,i=4096",
		"r=" NONCE ",s=W22,i=4096",
		"r=" NONCE ",s=####,i=4096",
		"r=" NONCE ",i=4096,s=" SALT,
		"r=rOprNGfwEbeRWgbNEkqO,s=" SALT ",i=4096",
		"r=rOprNGfwEbeRWgbNEkqX%hvY,s=" SALT ",i=4096",
		"r=rOpr,s=" SALT ",i=4096",
		"r=rOprNGfwEbeRWgbNEkqO\001,s=" SALT ",i=4096",
		"m=must,r=" NONCE ",s=" SALT ",i=4096",
		"e=other-error",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct scram_client *client = rfc_client();

		assert_int_equal(client_says(client, messages[i]), SCRAM_BAD);
		assert_out("");
		assert_string_not_equal(scram_client_error(client), "");
		assert_int_equal(client_says(client, rfc_server_first),
				 SCRAM_BAD);
		scram_client_free(client);
	}
}

static void test_client_huge_fields(void **state)
{
	struct scram_client *client = rfc_client();
	char *long_nonce = xmalloc(65536);
	char *message;

	(void)state;
	memset(long_nonce, 'x', 65535);
	long_nonce[65535] = '\0';
	message = xasprintf("r=%s%s,s=" SALT ",i=1", rfc_client_nonce,
			    long_nonce);
	assert_int_equal(client_says(client, message), SCRAM_BAD);
	scram_client_free(client);
	free(message);

	client = rfc_client();
	message = xasprintf("r=%s,s=%.*s,i=1", NONCE, 400, long_nonce);
	assert_int_equal(client_says(client, message), SCRAM_BAD);
	scram_client_free(client);
	free(message);

	client = rfc_client();
	message = xasprintf("r=%s,s=%.*s,i=1", NONCE, 340, long_nonce);
	assert_int_equal(client_says(client, message), SCRAM_CONTINUE);
	scram_client_free(client);
	free(message);
	free(long_nonce);
}

static void test_client_refuses_final(void **state)
{
	static const struct {
		const char *message;
		enum scram_result result;
	} rows[] = {
		{ "", SCRAM_BAD },
		{ "v", SCRAM_BAD },
		{ "v=", SCRAM_BAD },
		{ "v=AAAA", SCRAM_BAD },
		{ "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", SCRAM_BAD },
		{ "v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=,",
		  SCRAM_BAD },
		{ "v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=,x=1",
		  SCRAM_BAD },
		{ "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		  SCRAM_WRONG },
		{ "e=invalid-proof", SCRAM_WRONG },
		{ "e", SCRAM_WRONG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scram_client *client = rfc_client();

		assert_int_equal(client_says(client, rfc_server_first),
				 SCRAM_CONTINUE);
		assert_int_equal(client_says(client, rows[i].message),
				 rows[i].result);
		assert_out("");
		assert_int_equal(client_says(client,
					     "v=3HO6Qt1M4MKJrmlKaoOqLAI0/"
					     "0TV0HZe7J9H3MBtSOg="),
				 SCRAM_BAD);
		scram_client_free(client);
	}
}

/* A message of the server before ours was said. */
static void test_client_out_of_order(void **state)
{
	struct scram_client *client = scram_client_new("pencil");

	(void)state;
	assert_int_equal(client_says(client, rfc_server_first), SCRAM_BAD);
	assert_string_equal(scram_client_error(client), "message out of order");
	scram_client_free(client);
	client = rfc_client();
	assert_int_equal(client_says(client, rfc_server_first), SCRAM_CONTINUE);
	assert_int_equal(client_says(client, rfc_server_first), SCRAM_BAD);
	scram_client_free(client);
	scram_client_free(NULL);
	scram_server_free(NULL);
}

static int tidy(void **state)
{
	(void)state;
	buf_free(&out);
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_server),
		cmocka_unit_test(test_rfc_client),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_mocks),
		cmocka_unit_test(test_unknown_user_looks_known),
		cmocka_unit_test(test_nonces_differ),
		cmocka_unit_test(test_pass_through),
		cmocka_unit_test(test_server_refuses_first),
		cmocka_unit_test(test_server_accepts_first),
		cmocka_unit_test(test_server_refuses_final),
		cmocka_unit_test(test_server_wrong_proof),
		cmocka_unit_test(test_server_final_extension),
		cmocka_unit_test(test_server_twice),
		cmocka_unit_test(test_server_sizes),
		cmocka_unit_test(test_client_refuses_first),
		cmocka_unit_test(test_client_huge_fields),
		cmocka_unit_test(test_client_refuses_final),
		cmocka_unit_test(test_client_out_of_order),
	};

	return cmocka_run_group_tests(tests, NULL, tidy);
}
