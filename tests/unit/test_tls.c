/*
 * TLS sessions over a socket pair: both of our ends against each other, the
 * sslmodes, and peers that are hostile or in a hurry.
 */
#include "net/tls.h"

#include "base/buf.h"
#include "base/util.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_certs.h"

enum { YEAR_S = 365 * 86400, ROUNDS = 100, PATH_COUNT = 16 };

static char folder[] = "/tmp/pgweir-tls.XXXXXX";
static struct certs_pair authority;

/* Paths of the folder; they live as long as the program. */
static const char *at(const char *name)
{
	static char paths[PATH_COUNT][64];
	static unsigned next;
	char *path = paths[next++ % PATH_COUNT];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static struct tls_files files_of(const char *cert, const char *key,
				 const char *ca)
{
	return (struct tls_files){ .cert = cert ? at(cert) : NULL,
				   .key = key ? at(key) : NULL,
				   .ca = ca ? at(ca) : NULL };
}

static struct tls_context *make(const struct tls_files *files, bool is_server,
				enum config_sslmode mode)
{
	struct buf error = BUF_INIT;
	struct tls_context *context =
		is_server ? tls_context_new_server(files, mode, &error)
			  : tls_context_new_client(files, mode, &error);

	assert_int_equal(buf_len(&error), 0);
	assert_non_null(context);
	return context;
}

/* Two sessions on a socket pair. */
struct pair {
	int fds[2];
	struct tls *server;
	struct tls *client;
};

static void open_sockets(struct pair *pair)
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds),
		0);
}

/* Takes both contexts. */
static struct pair connect_pair(struct tls_context *server,
				struct tls_context *client, const char *name)
{
	struct pair pair;

	open_sockets(&pair);
	pair.server = tls_new(server, pair.fds[0], true, NULL);
	pair.client = tls_new(client, pair.fds[1], false, name);
	assert_non_null(pair.server);
	assert_non_null(pair.client);
	tls_context_release(server);
	tls_context_release(client);
	return pair;
}

static void close_pair(struct pair *pair)
{
	tls_free(pair->server);
	tls_free(pair->client);
	(void)close(pair->fds[0]);
	(void)close(pair->fds[1]);
}

static bool is_waiting(enum tls_result result)
{
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

/* Both to their end; what the client and the server came to. */
static void shake(struct pair *pair, enum tls_result *client,
		  enum tls_result *server)
{
	uint8_t byte;
	size_t done;

	*client = *server = TLS_WANT_READ;
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (is_waiting(*client))
			*client = tls_handshake(pair->client);
		if (is_waiting(*server))
			*server = tls_handshake(pair->server);
	}
	/* TLS 1.3: the server's verdict arrives after the client is done. */
	if (*client == TLS_OK && *server != TLS_OK)
		*client = tls_read(pair->client, &byte, 1, &done);
}

static void shake_well(struct pair *pair)
{
	enum tls_result client;
	enum tls_result server;

	shake(pair, &client, &server);
	assert_string_equal(tls_error(pair->client), "");
	assert_string_equal(tls_error(pair->server), "");
	assert_int_equal(client, TLS_OK);
	assert_int_equal(server, TLS_OK);
}

static struct pair plain_pair(void)
{
	struct tls_files server = files_of("server.crt", "server.key", NULL);
	struct tls_files client = files_of(NULL, NULL, NULL);
	struct pair pair =
		connect_pair(make(&server, true, SSLMODE_REQUIRE),
			     make(&client, false, SSLMODE_REQUIRE), NULL);

	shake_well(&pair);
	return pair;
}

static void test_handshake(void **state)
{
	struct pair pair = plain_pair();

	(void)state;
	assert_string_equal(tls_version(pair.client), "TLSv1.3");
	assert_string_equal(tls_version(pair.server), "TLSv1.3");
	assert_int_equal(strncmp(tls_cipher(pair.server), "TLS_", 4), 0);
	assert_false(tls_has_alpn(pair.server));
	assert_null(tls_peer_common_name(pair.server));
	/* not verified, so its name means nothing */
	assert_null(tls_peer_common_name(pair.client));
	assert_int_equal(tls_handshake(pair.server), TLS_OK);
	close_pair(&pair);
}

static void pump(struct tls *from, struct tls *to, size_t total)
{
	uint8_t *data = xmalloc(total);
	uint8_t *back = xcalloc(1, total);
	size_t sent = 0;
	size_t got = 0;
	bool was_full = false;

	for (size_t i = 0; i < total; i++)
		data[i] = (uint8_t)(i * 31 + i / 977);
	while (got < total) {
		enum tls_result result = TLS_OK;
		size_t done;

		while (result == TLS_OK && sent < total) {
			result = tls_write(from, data + sent, total - sent,
					   &done);
			sent += done;
		}
		was_full = was_full || result == TLS_WANT_WRITE;
		assert_true(result == TLS_OK || result == TLS_WANT_WRITE);
		while (tls_read(to, back + got, total - got, &done) == TLS_OK &&
		       done > 0)
			got += done;
	}
	assert_true(was_full || total < 1 << 20);
	assert_int_equal(sent, total);
	assert_memory_equal(data, back, total);
	free(data);
	free(back);
}

static void test_bytes_both_ways(void **state)
{
	struct pair pair = plain_pair();

	(void)state;
	pump(pair.client, pair.server, 1);
	pump(pair.server, pair.client, 100);
	pump(pair.client, pair.server, 4 << 20);
	pump(pair.server, pair.client, 4 << 20);
	close_pair(&pair);
}

/* A write that met a full socket goes on from a buffer that has moved. */
static void test_moving_buffer(void **state)
{
	struct pair pair = plain_pair();
	uint8_t *data = xcalloc(1, 1 << 20);
	uint8_t *moved;
	size_t done;
	size_t sent = 0;
	size_t got = 0;

	(void)state;
	while (tls_write(pair.client, data, 100000, &done) == TLS_OK)
		sent += done;
	moved = xcalloc(1, 1 << 20);
	free(data);
	data = xmalloc(1 << 20);
	while (tls_read(pair.server, data, 1 << 20, &done) == TLS_OK)
		got += done;
	assert_int_equal(tls_write(pair.client, moved, 200000, &done), TLS_OK);
	sent += done;
	while (tls_read(pair.server, data, 1 << 20, &done) == TLS_OK)
		got += done;
	assert_int_equal(got, sent);
	free(data);
	free(moved);
	close_pair(&pair);
}

static void test_pending(void **state)
{
	struct pair pair = plain_pair();
	uint8_t data[64] = "abcdef";
	size_t done;

	(void)state;
	assert_false(tls_pending(pair.server));
	assert_int_equal(tls_read(pair.server, data, 1, &done), TLS_WANT_READ);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(tls_write(pair.client, data, 3, &done),
				 TLS_OK);
	assert_int_equal(tls_write(pair.client, data, 0, &done), TLS_OK);
	assert_int_equal(tls_read(pair.server, data, 1, &done), TLS_OK);
	assert_int_equal(done, 1);
	assert_true(tls_pending(pair.server));
	/* several records in one call */
	assert_int_equal(tls_read(pair.server, data, sizeof(data), &done),
			 TLS_OK);
	assert_int_equal(done, 8);
	assert_memory_equal(data, "bcabcabc", 8);
	assert_false(tls_pending(pair.server));
	assert_int_equal(tls_read(pair.server, data, 0, &done), TLS_OK);
	assert_int_equal(tls_read(pair.server, data, 1, &done), TLS_WANT_READ);
	close_pair(&pair);
}

/* A record that arrives a byte at a time: no byte of it is there to read. */
static void test_pending_half_record(void **state)
{
	struct pair pair = plain_pair();
	uint8_t record[64];
	uint8_t byte;
	size_t done;
	ssize_t len;

	(void)state;
	assert_int_equal(tls_write(pair.client, "secret", 6, &done), TLS_OK);
	len = read(pair.fds[0], record, sizeof(record));
	assert_in_range(len, 20, sizeof(record) - 1);
	for (ssize_t i = 0; i < len - 1; i++) {
		assert_int_equal(write(pair.fds[1], record + i, 1), 1);
		assert_int_equal(tls_read(pair.server, &byte, 1, &done),
				 TLS_WANT_READ);
		assert_false(tls_pending(pair.server));
	}
	assert_int_equal(write(pair.fds[1], record + len - 1, 1), 1);
	assert_int_equal(tls_read(pair.server, &byte, 1, &done), TLS_OK);
	assert_true(tls_pending(pair.server));
	close_pair(&pair);
}

static void test_close_notify(void **state)
{
	struct pair pair = plain_pair();
	uint8_t byte = 'x';
	size_t done;

	(void)state;
	assert_int_equal(tls_write(pair.client, &byte, 1, &done), TLS_OK);
	tls_close_notify(pair.client);
	tls_close_notify(pair.client);
	assert_int_equal(tls_read(pair.server, &byte, 1, &done), TLS_OK);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(tls_read(pair.server, &byte, 1, &done),
				 TLS_EOF);
	close_pair(&pair);
}

static void test_close_without_word(void **state)
{
	struct pair pair = plain_pair();
	uint8_t data[8] = "x";
	size_t done;

	(void)state;
	assert_int_equal(tls_write(pair.client, data, 1, &done), TLS_OK);
	assert_int_equal(shutdown(pair.fds[1], SHUT_RDWR), 0);
	assert_int_equal(tls_read(pair.server, data, 8, &done), TLS_OK);
	assert_int_equal(done, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(tls_read(pair.server, data, 8, &done),
				 TLS_EOF);
	assert_int_equal(tls_write(pair.server, data, 1, &done), TLS_EOF);
	assert_true(tls_pending(pair.server));
	tls_close_notify(pair.server);
	close_pair(&pair);
}

static void test_write_to_the_gone(void **state)
{
	struct pair pair = plain_pair();
	uint8_t data[8] = "x";
	size_t done;

	(void)state;
	assert_int_equal(shutdown(pair.fds[1], SHUT_RDWR), 0);
	assert_int_equal(tls_write(pair.server, data, 1, &done), TLS_FAILED);
	assert_string_equal(tls_error(pair.server), "Broken pipe");
	assert_int_equal(tls_write(pair.server, data, 1, &done), TLS_FAILED);
	close_pair(&pair);
}

/* Bytes that are no TLS, after the handshake and in its place. */
static void test_garbage(void **state)
{
	struct pair pair = plain_pair();
	struct tls_files files = files_of("server.crt", "server.key", NULL);
	struct tls_context *context = make(&files, true, SSLMODE_PREFER);
	uint8_t data[64] = "this is not a record of TLS, is it?";
	size_t done;

	(void)state;
	assert_int_equal(write(pair.fds[1], data, sizeof(data)), sizeof(data));
	assert_int_equal(tls_read(pair.server, data, 8, &done), TLS_FAILED);
	assert_string_not_equal(tls_error(pair.server), "");
	assert_int_equal(tls_read(pair.server, data, 8, &done), TLS_FAILED);
	assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
	close_pair(&pair);

	for (unsigned seed = 0; seed < 200; seed++) {
		size_t len = 1 + seed % sizeof(data);

		open_sockets(&pair);
		pair.client = NULL;
		pair.server = tls_new(context, pair.fds[0], true, NULL);
		assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
		util_random(data, sizeof(data));
		if (seed % 2)
			data[0] = 22; /* a handshake record */
		assert_int_equal(write(pair.fds[1], data, len), len);
		assert_int_not_equal(tls_handshake(pair.server), TLS_OK);
		assert_int_equal(shutdown(pair.fds[1], SHUT_WR), 0);
		assert_true(tls_handshake(pair.server) >= TLS_EOF);
		assert_string_not_equal(tls_error(pair.server), "");
		close_pair(&pair);
	}
	tls_context_release(context);
}

static void test_close_in_handshake(void **state)
{
	struct tls_files files = files_of(NULL, NULL, NULL);
	struct tls_context *context = make(&files, false, SSLMODE_PREFER);
	struct pair pair;

	(void)state;
	open_sockets(&pair);
	pair.server = NULL;
	pair.client = tls_new(context, pair.fds[1], false, "db.example");
	tls_context_release(context);
	assert_int_equal(tls_handshake(pair.client), TLS_WANT_READ);
	assert_int_equal(shutdown(pair.fds[0], SHUT_RDWR), 0);
	assert_int_equal(tls_handshake(pair.client), TLS_EOF);
	assert_string_equal(tls_error(pair.client),
			    "connection closed during the handshake");
	close_pair(&pair);
}

/* Our client against a server of this certificate. */
static enum tls_result verify(const char *server, enum config_sslmode mode,
			      const char *ca, const char *name,
			      const char *reason)
{
	char cert[32];
	char key[32];
	struct tls_files client_files = files_of(NULL, NULL, ca);
	struct tls_files server_files;
	struct pair pair;
	enum tls_result results[2];

	(void)snprintf(cert, sizeof(cert), "%s.crt", server);
	(void)snprintf(key, sizeof(key), "%s.key", server);
	server_files = files_of(cert, key, NULL);
	pair = connect_pair(make(&server_files, true, SSLMODE_REQUIRE),
			    make(&client_files, false, mode), name);
	shake(&pair, &results[0], &results[1]);
	assert_string_equal(tls_error(pair.client), reason);
	assert_int_equal(results[1],
			 results[0] == TLS_OK ? TLS_OK : TLS_FAILED);
	close_pair(&pair);
	return results[0];
}

static void assert_good(const char *server, enum config_sslmode mode,
			const char *ca, const char *name)
{
	assert_int_equal(verify(server, mode, ca, name, ""), TLS_OK);
}

static void assert_refused(const char *server, enum config_sslmode mode,
			   const char *name, const char *reason)
{
	char *full = xasprintf("certificate not accepted: %s", reason);

	assert_int_equal(verify(server, mode, "ca.crt", name, full),
			 TLS_FAILED);
	free(full);
}

static void test_verify_chain(void **state)
{
	(void)state;
	assert_good("server", SSLMODE_VERIFY_CA, "ca.crt", NULL);
	assert_good("server", SSLMODE_VERIFY_CA, "ca.crt", "other.example");
	assert_good("server", SSLMODE_REQUIRE, "ca.crt", NULL);
	assert_good("stranger", SSLMODE_REQUIRE, NULL, NULL);
	assert_good("stranger", SSLMODE_PREFER, "ca.crt", NULL);
	assert_good("stranger", SSLMODE_ALLOW, "ca.crt", NULL);
	assert_refused("stranger", SSLMODE_VERIFY_CA, NULL,
		       "self-signed certificate");
	assert_refused("stranger", SSLMODE_REQUIRE, NULL,
		       "self-signed certificate");
	assert_refused("expired", SSLMODE_VERIFY_CA, NULL,
		       "certificate has expired");
	assert_good("expired", SSLMODE_REQUIRE, NULL, NULL);
}

static void test_verify_name(void **state)
{
	(void)state;
	assert_good("server", SSLMODE_VERIFY_FULL, "ca.crt", "db.example");
	assert_good("server", SSLMODE_VERIFY_FULL, "ca.crt", "DB.Example");
	assert_good("server", SSLMODE_VERIFY_FULL, "ca.crt", "x.wild.example");
	assert_good("server", SSLMODE_VERIFY_FULL, "ca.crt", "127.0.0.1");
	assert_good("server", SSLMODE_VERIFY_FULL, "ca.crt", "::1");
	/* without alternative names the common name counts */
	assert_good("client", SSLMODE_VERIFY_FULL, "ca.crt", "alice");
	assert_refused("server", SSLMODE_VERIFY_FULL, "db.examples",
		       "hostname mismatch");
	assert_refused("server", SSLMODE_VERIFY_FULL, "x.y.wild.example",
		       "hostname mismatch");
	assert_refused("server", SSLMODE_VERIFY_FULL, "pxy.part.example",
		       "hostname mismatch");
	assert_refused("server", SSLMODE_VERIFY_FULL, "server",
		       "hostname mismatch");
	assert_refused("server", SSLMODE_VERIFY_FULL, "127.0.0.2",
		       "IP address mismatch");
	assert_refused("stranger", SSLMODE_VERIFY_FULL, "db.example",
		       "self-signed certificate");
}

static void test_verify_full_wants_name(void **state)
{
	struct tls_files files = files_of(NULL, NULL, "ca.crt");
	struct tls_context *context = make(&files, false, SSLMODE_VERIFY_FULL);

	(void)state;
	assert_null(tls_new(context, 0, false, NULL));
	assert_null(tls_new(context, 0, false, ""));
	tls_context_release(context);
}

/* Our server in this mode and a client of this certificate (may be NULL). */
static struct pair client_pair(enum config_sslmode mode, const char *cert,
			       const char *key)
{
	struct tls_files server =
		files_of("server.crt", "server.key", "ca.crt");
	struct tls_files client = files_of(cert, key, NULL);

	return connect_pair(make(&server, true, mode),
			    make(&client, false, SSLMODE_REQUIRE), NULL);
}

static void test_client_certificate(void **state)
{
	static const enum config_sslmode modes[] = { SSLMODE_VERIFY_CA,
						     SSLMODE_VERIFY_FULL };
	enum tls_result results[2];
	struct pair pair;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		pair = client_pair(modes[i], "client.crt", "client.key");
		shake_well(&pair);
		assert_string_equal(tls_peer_common_name(pair.server), "alice");
		close_pair(&pair);

		pair = client_pair(modes[i], NULL, NULL);
		shake(&pair, &results[0], &results[1]);
		assert_int_equal(results[0], TLS_FAILED);
		assert_int_equal(results[1], TLS_FAILED);
		assert_non_null(strstr(tls_error(pair.server),
				       "did not return a certificate"));
		close_pair(&pair);

		pair = client_pair(modes[i], "stranger.crt", "stranger.key");
		shake(&pair, &results[0], &results[1]);
		assert_int_equal(results[1], TLS_FAILED);
		assert_non_null(strstr(tls_error(pair.server), "self-signed"));
		assert_null(tls_peer_common_name(pair.server));
		close_pair(&pair);
	}
	/* not asked for, so an unknown one does no harm */
	pair = client_pair(SSLMODE_REQUIRE, "stranger.crt", "stranger.key");
	shake_well(&pair);
	assert_null(tls_peer_common_name(pair.server));
	close_pair(&pair);
}

static void test_odd_common_names(void **state)
{
	struct pair pair =
		client_pair(SSLMODE_VERIFY_FULL, "nul.crt", "nul.key");

	(void)state;
	shake_well(&pair);
	assert_null(tls_peer_common_name(pair.server));
	close_pair(&pair);
	pair = client_pair(SSLMODE_VERIFY_FULL, "nameless.crt", "nameless.key");
	shake_well(&pair);
	assert_null(tls_peer_common_name(pair.server));
	close_pair(&pair);
}

static void assert_version(const char *server_protocols,
			   const char *client_protocols, const char *version)
{
	struct tls_files server = files_of("server.crt", "server.key", NULL);
	struct tls_files client = files_of(NULL, NULL, NULL);
	enum tls_result results[2];
	struct pair pair;

	server.protocols = server_protocols;
	client.protocols = client_protocols;
	pair = connect_pair(make(&server, true, SSLMODE_REQUIRE),
			    make(&client, false, SSLMODE_REQUIRE), NULL);
	shake(&pair, &results[0], &results[1]);
	assert_int_equal(results[0] == TLS_OK, version != NULL);
	assert_int_equal(results[1] == TLS_OK, version != NULL);
	if (version)
		assert_string_equal(tls_version(pair.server), version);
	close_pair(&pair);
}

static void test_protocols(void **state)
{
	(void)state;
	assert_version("tlsv1.2", NULL, "TLSv1.2");
	assert_version(NULL, "tlsv1.2", "TLSv1.2");
	assert_version("tlsv1.3", "secure", "TLSv1.3");
	assert_version("all", "TLSv1.2, tlsv1.3", "TLSv1.3");
	assert_version("all:!tlsv1.3", "", "TLSv1.2");
	assert_version("tlsv1.1,tlsv1.3", "secure", "TLSv1.3");
	/* a hole in the middle is a hole */
	assert_version("tlsv1.1,tlsv1.3", "tlsv1.2", NULL);
	assert_version("tlsv1.3", "tlsv1.2", NULL);
}

static void test_ciphers(void **state)
{
	struct tls_files server = files_of("server.crt", "server.key", NULL);
	struct tls_files client = files_of(NULL, NULL, NULL);
	struct pair pair;

	(void)state;
	server.protocols = "tlsv1.2";
	server.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
	server.ecdhcurve = "P-384";
	client.ciphers = "fast";
	client.dheparams = "none";
	pair = connect_pair(make(&server, true, SSLMODE_REQUIRE),
			    make(&client, false, SSLMODE_REQUIRE), NULL);
	shake_well(&pair);
	assert_string_equal(tls_cipher(pair.server),
			    "ECDHE-ECDSA-AES256-GCM-SHA384");
	close_pair(&pair);

	server.protocols = "tlsv1.3";
	server.ecdhcurve = "auto";
	server.dheparams = "none";
	server.tls13_ciphers = "TLS_CHACHA20_POLY1305_SHA256";
	client.ciphers = "all";
	pair = connect_pair(make(&server, true, SSLMODE_REQUIRE),
			    make(&client, false, SSLMODE_REQUIRE), NULL);
	shake_well(&pair);
	assert_string_equal(tls_cipher(pair.client),
			    "TLS_CHACHA20_POLY1305_SHA256");
	close_pair(&pair);
}

/* A client that is not ours, with or without protocols to offer. */
static enum tls_result offer_alpn(const char *list, bool *has_alpn)
{
	struct tls_files files = files_of("server.crt", "server.key", NULL);
	struct tls_context *context = make(&files, true, SSLMODE_REQUIRE);
	SSL_CTX *raw_context = SSL_CTX_new(TLS_client_method());
	SSL *raw = SSL_new(raw_context);
	enum tls_result result = TLS_WANT_READ;
	struct pair pair;

	open_sockets(&pair);
	pair.client = NULL;
	pair.server = tls_new(context, pair.fds[0], true, NULL);
	assert_int_equal(SSL_set_fd(raw, pair.fds[1]), 1);
	assert_int_equal(SSL_set_alpn_protos(raw, (const uint8_t *)list,
					     (unsigned)strlen(list)),
			 0);
	for (unsigned i = 0; i < ROUNDS && is_waiting(result); i++) {
		(void)SSL_connect(raw);
		result = tls_handshake(pair.server);
	}
	*has_alpn = tls_has_alpn(pair.server);
	SSL_free(raw);
	SSL_CTX_free(raw_context);
	close_pair(&pair);
	tls_context_release(context);
	return result;
}

static void test_alpn(void **state)
{
	bool has_alpn = false;

	(void)state;
	assert_int_equal(offer_alpn("\012postgresql", &has_alpn), TLS_OK);
	assert_true(has_alpn);
	assert_int_equal(offer_alpn("\002h2\012postgresql", &has_alpn), TLS_OK);
	assert_true(has_alpn);
	assert_int_equal(offer_alpn("", &has_alpn), TLS_OK);
	assert_false(has_alpn);
	assert_int_equal(offer_alpn("\010http/1.1", &has_alpn), TLS_FAILED);
	assert_false(has_alpn);
}

static int set_up(void **state)
{
	static const struct {
		const char *file;
		struct certs_wish wish;
		bool is_self_signed;
	} rows[] = {
		{ "server",
		  { .name = "server",
		    .alternates = "DNS:db.example,DNS:*.wild.example,"
				  "DNS:p*.part.example,IP:127.0.0.1,IP:::1",
		    .lasts_s = YEAR_S },
		  false },
		{ "client", { .name = "alice", .lasts_s = YEAR_S }, false },
		{ "nul",
		  { .name = "alice\0bob", .name_len = 9, .lasts_s = YEAR_S },
		  false },
		{ "nameless", { .lasts_s = YEAR_S }, false },
		{ "expired", { .name = "server", .lasts_s = -60 }, false },
		{ "stranger", { .name = "alice", .lasts_s = YEAR_S }, true },
	};
	struct certs_wish root = { .name = "Root", .lasts_s = YEAR_S };

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_non_null(mkdtemp(folder));
	authority = certs_make(&root);
	certs_write(&authority, folder, "ca", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct certs_wish wish = rows[i].wish;
		struct certs_pair pair;

		wish.issuer = rows[i].is_self_signed ? NULL : &authority;
		pair = certs_make(&wish);
		certs_write(&pair, folder, rows[i].file, NULL);
		certs_free(&pair);
	}
	return 0;
}

static int tidy(void **state)
{
	(void)state;
	certs_free(&authority);
	certs_remove(folder);
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_bytes_both_ways),
		cmocka_unit_test(test_moving_buffer),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_half_record),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_close_without_word),
		cmocka_unit_test(test_write_to_the_gone),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_close_in_handshake),
		cmocka_unit_test(test_verify_chain),
		cmocka_unit_test(test_verify_name),
		cmocka_unit_test(test_verify_full_wants_name),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_odd_common_names),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_alpn),
	};

	return cmocka_run_group_tests(tests, set_up, tidy);
}
