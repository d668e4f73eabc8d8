/*
 * Streams with TLS: two of them back to back on one worker, with a
 * certificate made here.
 */
#include "net/stream.h"

#include "base/buf.h"
#include "base/util.h"
#include "net/tls.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/pgweir-tls-XXXXXX";
static char key_path[64];
static char cert_path[64];
static struct tls_context *server_context;
static struct tls_context *client_context;

static void fill_certificate(X509 *cert, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(cert);

	assert_true(X509_set_version(cert, 2));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					       (const unsigned char *)"db", -1,
					       -1, 0));
	assert_true(X509_set_issuer_name(cert, name));
	assert_true(X509_set_pubkey(cert, key));
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
}

static void write_files(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *file;

	fill_certificate(cert, key);
	(void)snprintf(key_path, sizeof(key_path), "%s/key", folder);
	(void)snprintf(cert_path, sizeof(cert_path), "%s/cert", folder);
	file = fopen(key_path, "w");
	assert_non_null(file);
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	assert_int_equal(fclose(file), 0);
	file = fopen(cert_path, "w");
	assert_non_null(file);
	assert_true(PEM_write_X509(file, cert));
	assert_int_equal(fclose(file), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int make_contexts(void **state)
{
	struct tls_files files = { .key = key_path, .cert = cert_path };
	struct tls_files none = { 0 };
	struct buf error = BUF_INIT;

	(void)state;
	/* OpenSSL writes without MSG_NOSIGNAL. */
	(void)signal(SIGPIPE, SIG_IGN);
	assert_non_null(mkdtemp(folder));
	write_files();
	server_context =
		tls_context_new_server(&files, SSLMODE_REQUIRE, &error);
	client_context = tls_context_new_client(&none, SSLMODE_REQUIRE, &error);
	buf_free(&error);
	assert_non_null(server_context);
	assert_non_null(client_context);
	return 0;
}

static int free_contexts(void **state)
{
	(void)state;
	tls_context_release(server_context);
	tls_context_release(client_context);
	(void)unlink(key_path);
	(void)unlink(cert_path);
	(void)rmdir(folder);
	return 0;
}

/* ---- two owners, back to back ------------------------------------------- */

struct owner {
	struct stream *stream;
	unsigned told[STREAM_CLOSED + 1];
	struct buf got;
	size_t eat_most;
	bool pauses;   /* itself, when told of data */
	int closes_on; /* 1 + the event at which it closes its stream */
};

struct fixture {
	struct worker *worker;
	struct owner server;
	struct owner client;
};

static const struct stream_options no_options;

static void on_event(void *arg, enum stream_event event)
{
	struct owner *owner = arg;
	const uint8_t *data;
	size_t len;

	owner->told[event]++;
	if (owner->closes_on == (int)event + 1) {
		stream_close(owner->stream, true);
		owner->stream = NULL;
		return;
	}
	if (event != STREAM_DATA)
		return;
	if (owner->pauses)
		stream_pause(owner->stream, true);
	data = stream_data(owner->stream, &len);
	if (len > owner->eat_most)
		len = owner->eat_most;
	buf_append(&owner->got, data, len);
	stream_consume(owner->stream, len);
}

static void ignore_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static void open_owner(struct fixture *f, struct owner *owner, int fd)
{
	owner->eat_most = SIZE_MAX;
	owner->stream = stream_new(f->worker, fd, &no_options, on_event, owner);
}

static int set_up(void **state)
{
	struct worker_hooks hooks = { .mail = ignore_mail };
	struct fixture *f = xcalloc(1, sizeof(*f));
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	f->worker = worker_new(0, &hooks);
	open_owner(f, &f->server, ends[0]);
	open_owner(f, &f->client, ends[1]);
	*state = f;
	return 0;
}

static void drop_owner(struct owner *owner)
{
	if (owner->stream)
		stream_close(owner->stream, false);
	buf_free(&owner->got);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	drop_owner(&f->server);
	drop_owner(&f->client);
	worker_join(f->worker);
	buf_thread_cleanup();
	free(f);
	return 0;
}

static void turn(struct fixture *f, unsigned count)
{
	while (count-- > 0)
		worker_turn(f->worker);
}

static void start(struct owner *owner, bool is_server)
{
	struct tls *tls = tls_new(is_server ? server_context : client_context,
				  stream_fd(owner->stream), is_server, NULL);

	assert_non_null(tls);
	assert_true(stream_start_tls(owner->stream, tls));
	assert_ptr_equal(stream_tls(owner->stream), tls);
}

static void secure(struct fixture *f)
{
	start(&f->server, true);
	start(&f->client, false);
	for (int i = 0; i < 10 && !(f->server.told[STREAM_SECURED] &&
				    f->client.told[STREAM_SECURED]);
	     i++)
		turn(f, 1);
	assert_int_equal(f->server.told[STREAM_SECURED], 1);
	assert_int_equal(f->client.told[STREAM_SECURED], 1);
	assert_int_equal(f->server.told[STREAM_DATA], 0);
}

static uint8_t *make_pattern(size_t len)
{
	uint8_t *data = xmalloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 % 251);
	return data;
}

static void expect_got(struct owner *owner, const void *data, size_t len)
{
	assert_int_equal(buf_len(&owner->got), len);
	assert_memory_equal(buf_head(&owner->got), data, len);
}

/* ---- the tests ---------------------------------------------------------- */

static void test_both_ways(void **state)
{
	struct fixture *f = *state;

	/* What is written before the handshake is over waits for it. */
	start(&f->server, true);
	stream_write(f->server.stream, "hello", 5);
	turn(f, 1);
	assert_int_equal(f->client.told[STREAM_DATA], 0);
	start(&f->client, false);
	turn(f, 6);
	expect_got(&f->client, "hello", 5);
	stream_write(f->client.stream, "ciao", 4);
	turn(f, 2);
	expect_got(&f->server, "ciao", 4);
	assert_int_equal(stream_bytes_out(f->client.stream), 4);
	assert_int_equal(stream_bytes_in(f->server.stream), 4);
}

/* Data may sit in OpenSSL already when the handshake is over. */
static void test_data_behind_the_handshake(void **state)
{
	struct fixture *f = *state;

	start(&f->server, true);
	start(&f->client, false);
	stream_write(f->client.stream, "early", 5);
	for (int i = 0; i < 10 && !f->server.told[STREAM_SECURED]; i++)
		turn(f, 1);
	turn(f, 1);
	assert_int_equal(f->server.told[STREAM_SECURED], 1);
	expect_got(&f->server, "early", 5);
}

static void test_large_runs(void **state)
{
	struct fixture *f = *state;
	size_t len = 3 * 1024 * 1024;
	uint8_t *data = make_pattern(len);

	secure(f);
	stream_write(f->server.stream, data, len);
	for (int i = 0; i < 200 && buf_len(&f->client.got) < len; i++)
		turn(f, 1);
	expect_got(&f->client, data, len);
	turn(f, 1);
	assert_int_equal(f->server.told[STREAM_DRAINED], 1);
	buf_free(&f->client.got);
	stream_forward(f->server.stream, data, len);
	for (int i = 0; i < 200 && buf_len(&f->client.got) < len; i++)
		turn(f, 1);
	expect_got(&f->client, data, len);
	free(data);
}

/* Both directions full at once: nobody may wait for the other for ever. */
static void test_large_runs_crosswise(void **state)
{
	struct fixture *f = *state;
	size_t len = 2 * 1024 * 1024;
	uint8_t *data = make_pattern(len);

	secure(f);
	stream_write(f->server.stream, data, len);
	stream_write(f->client.stream, data, len);
	for (int i = 0; i < 400 && (buf_len(&f->client.got) < len ||
				    buf_len(&f->server.got) < len);
	     i++)
		turn(f, 1);
	expect_got(&f->client, data, len);
	expect_got(&f->server, data, len);
	free(data);
}

/* Records that OpenSSL has taken from the socket wake no poll. */
static void test_pause_with_bytes_inside(void **state)
{
	struct fixture *f = *state;
	size_t len = 300 * 1024;
	uint8_t *data = make_pattern(len);
	size_t unread;

	secure(f);
	stream_set_unread_limit(f->client.stream, 1);
	f->client.eat_most = 0;
	for (size_t at = 0; at < len; at += 1024) {
		stream_write(f->server.stream, data + at, 1024);
		stream_flush(f->server.stream);
	}
	turn(f, 4);
	assert_int_equal(f->client.told[STREAM_DATA], 1);
	(void)stream_data(f->client.stream, &unread);
	assert_in_range(unread, 1, len - 1);
	/* Eating makes room: the rest comes without the peer's help. */
	f->client.eat_most = SIZE_MAX;
	buf_append(&f->client.got, stream_data(f->client.stream, &unread),
		   unread);
	stream_consume(f->client.stream, unread);
	for (int i = 0; i < 50 && buf_len(&f->client.got) < len; i++)
		turn(f, 1);
	expect_got(&f->client, data, len);
	free(data);
}

/*
 * As above, but all that is left is inside of OpenSSL: 20 kB unread leave
 * room for 44 kB of a run of 48.
 */
static void test_rest_inside_only(void **state)
{
	struct fixture *f = *state;
	size_t first = 20 * 1024;
	size_t len = first + 48 * 1024;
	uint8_t *data = make_pattern(len);
	size_t unread;

	secure(f);
	stream_set_unread_limit(f->client.stream, 50000);
	f->client.eat_most = 0;
	stream_write(f->server.stream, data, first);
	turn(f, 3);
	stream_write(f->server.stream, data + first, len - first);
	turn(f, 4);
	(void)stream_data(f->client.stream, &unread);
	assert_int_equal(unread, 64 * 1024);
	assert_int_equal(f->client.told[STREAM_DATA], 2);
	f->client.eat_most = SIZE_MAX;
	stream_consume(f->client.stream, unread);
	turn(f, 1);
	assert_int_equal(buf_len(&f->client.got), len - unread);
	assert_memory_equal(buf_head(&f->client.got), data + unread,
			    len - unread);
	free(data);
}

/* The end came with the data, but whoever pauses hears of it later. */
static void pause_at_the_end(struct fixture *f, size_t len)
{
	uint8_t *data = make_pattern(len);

	secure(f);
	f->server.pauses = true;
	stream_write(f->client.stream, data, len);
	stream_close(f->client.stream, true);
	f->client.stream = NULL;
	turn(f, 3);
	expect_got(&f->server, data, len);
	assert_int_equal(f->server.told[STREAM_DATA], 1);
	assert_int_equal(f->server.told[STREAM_CLOSED], 0);
	stream_pause(f->server.stream, false);
	turn(f, 2);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
	free(data);
}

static void test_end_while_paused(void **state)
{
	pause_at_the_end(*state, 3);
}

/* After a full record the end is found at once. */
static void test_end_behind_a_record_while_paused(void **state)
{
	pause_at_the_end(*state, 16384);
}

static void test_close_when_secured(void **state)
{
	struct fixture *f = *state;

	f->server.closes_on = STREAM_SECURED + 1;
	start(&f->server, true);
	start(&f->client, false);
	turn(f, 8);
	assert_null(f->server.stream);
	assert_int_equal(f->server.told[STREAM_SECURED], 1);
	assert_int_equal(f->client.told[STREAM_CLOSED], 1);
}

static void test_plain_bytes_are_refused(void **state)
{
	struct fixture *f = *state;
	struct tls *tls;

	f->server.eat_most = 0;
	stream_write(f->client.stream, "injected", 8);
	turn(f, 2);
	tls = tls_new(server_context, stream_fd(f->server.stream), true, NULL);
	assert_false(stream_start_tls(f->server.stream, tls));
	assert_null(stream_tls(f->server.stream));
	/* And a second TLS on top of the first one. */
	stream_consume(f->server.stream, 8);
	f->server.told[STREAM_DATA] = 0;
	secure(f);
	tls = tls_new(server_context, stream_fd(f->server.stream), true, NULL);
	assert_false(stream_start_tls(f->server.stream, tls));
}

static void test_answer_goes_out_in_plain(void **state)
{
	struct fixture *f = *state;

	stream_write(f->server.stream, "S", 1);
	start(&f->server, true);
	turn(f, 1);
	expect_got(&f->client, "S", 1);
	start(&f->client, false);
	turn(f, 6);
	assert_int_equal(f->client.told[STREAM_SECURED], 1);
}

static void test_rubbish_instead_of_a_handshake(void **state)
{
	struct fixture *f = *state;

	start(&f->server, true);
	stream_write(f->client.stream, "GET / HTTP/1.1\r\n\r\n", 18);
	turn(f, 4);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
	assert_int_equal(f->server.told[STREAM_SECURED], 0);
	assert_true(*stream_error(f->server.stream) != '\0');
}

static void test_end_within_the_handshake(void **state)
{
	struct fixture *f = *state;

	start(&f->server, true);
	turn(f, 1);
	stream_close(f->client.stream, false);
	f->client.stream = NULL;
	turn(f, 3);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
	assert_non_null(strstr(stream_error(f->server.stream), "handshake"));
}

static void test_end(void **state)
{
	struct fixture *f = *state;

	secure(f);
	stream_write(f->client.stream, "bye", 3);
	stream_close(f->client.stream, true);
	f->client.stream = NULL;
	turn(f, 3);
	expect_got(&f->server, "bye", 3);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
	assert_string_equal(stream_error(f->server.stream), "closed by peer");
	/* OpenSSL is content: the client said that it would leave. */
	assert_string_equal(tls_error(stream_tls(f->server.stream)), "");
}

/* The peer says the end of TLS, in one packet with data, and stays. */
static void test_end_of_tls_behind_data(void **state)
{
	struct fixture *f = *state;
	struct owner *client = &f->client;

	secure(f);
	stream_pause(f->server.stream, true);
	stream_write(client->stream, "last", 4);
	stream_flush(client->stream);
	tls_close_notify((struct tls *)stream_tls(client->stream));
	turn(f, 1);
	stream_pause(f->server.stream, false);
	turn(f, 4);
	expect_got(&f->server, "last", 4);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
}

static void test_failed_write(void **state)
{
	struct fixture *f = *state;
	int fd;

	secure(f);
	fd = stream_fd(f->client.stream);
	assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
	stream_write(f->server.stream, "hello", 5);
	turn(f, 3);
	assert_int_equal(f->server.told[STREAM_CLOSED], 1);
	assert_true(*stream_error(f->server.stream) != '\0');
}

static void test_park_keeps_tls(void **state)
{
	struct fixture *f = *state;
	struct worker_hooks hooks = { .mail = ignore_mail };
	struct worker *other = worker_new(1, &hooks);
	struct stream *moving;

	secure(f);
	f->client.eat_most = 1;
	stream_write(f->server.stream, "abc", 3);
	turn(f, 2);
	moving = f->client.stream;
	stream_park(moving);
	stream_write(f->server.stream, "d", 1);
	turn(f, 2);
	stream_adopt(moving, other, on_event, &f->client);
	worker_turn(other);
	expect_got(&f->client, "ab", 2);
	stream_write(moving, "e", 1);
	worker_turn(other);
	turn(f, 2);
	expect_got(&f->server, "e", 1);
	stream_park(moving);
	f->client.stream = NULL;
	stream_free_parked(moving);
	worker_join(other);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_both_ways),
		CASE(test_data_behind_the_handshake),
		CASE(test_large_runs),
		CASE(test_large_runs_crosswise),
		CASE(test_pause_with_bytes_inside),
		CASE(test_rest_inside_only),
		CASE(test_end_while_paused),
		CASE(test_end_behind_a_record_while_paused),
		CASE(test_close_when_secured),
		CASE(test_plain_bytes_are_refused),
		CASE(test_answer_goes_out_in_plain),
		CASE(test_rubbish_instead_of_a_handshake),
		CASE(test_end_within_the_handshake),
		CASE(test_end),
		CASE(test_end_of_tls_behind_data),
		CASE(test_failed_write),
		CASE(test_park_keeps_tls),
	};

	return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
