/*
 * TLS contexts: every fault of the files and words names its key, and
 * nothing asks on the terminal.
 */
#include "net/tls_context.h"

#include "base/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_certs.h"

static char folder[] = "/tmp/pgweir-tls.XXXXXX";
static char cert[64];
static char key[64];
static char other_key[64];
static char locked_key[64];
static char nothing[64];

static void assert_fault(const struct tls_files *files, bool is_server,
			 enum config_sslmode mode, const char *message)
{
	struct buf error = BUF_INIT;
	struct tls_context *context =
		is_server ? tls_context_new_server(files, mode, &error)
			  : tls_context_new_client(files, mode, &error);
	const char *text;

	assert_null(context);
	buf_append_u8(&error, '\0');
	text = (const char *)buf_head(&error);
	if (!strstr(text, message))
		assert_string_equal(text, message);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	buf_free(&error);
}

static void assert_server_fault(struct tls_files files, const char *message)
{
	assert_fault(&files, true, SSLMODE_REQUIRE, message);
}

static void test_files(void **state)
{
	(void)state;
	assert_server_fault((struct tls_files){ 0 },
			    "client_tls_cert_file = : TLS for clients needs");
	assert_server_fault((struct tls_files){ .cert = cert },
			    "client_tls_key_file = : key and certificate");
	assert_server_fault((struct tls_files){ .key = key },
			    "client_tls_cert_file = : key and certificate");
	assert_server_fault((struct tls_files){ .cert = nothing, .key = key },
			    "nothing: No such file or directory\n");
	assert_server_fault((struct tls_files){ .cert = cert, .key = nothing },
			    "nothing: No such file or directory\n");
	assert_server_fault((struct tls_files){ .cert = key, .key = key },
			    "client_tls_cert_file = ");
	assert_server_fault((struct tls_files){ .cert = cert, .key = cert },
			    "client_tls_key_file = ");
	assert_server_fault((struct tls_files){ .cert = folder, .key = key },
			    "client_tls_cert_file = ");
	assert_server_fault(
		(struct tls_files){ .cert = cert, .key = other_key },
		": key values mismatch\n");
	assert_server_fault(
		(struct tls_files){ .cert = cert, .key = locked_key },
		"client_tls_key_file = ");
}

static void test_authorities(void **state)
{
	struct tls_files files = { .cert = cert, .key = key };
	static const enum config_sslmode modes[] = { SSLMODE_VERIFY_CA,
						     SSLMODE_VERIFY_FULL };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		files.ca = NULL;
		assert_fault(&files, true, modes[i],
			     "client_tls_ca_file = : sslmode verify-ca");
		assert_fault(&files, false, modes[i],
			     "server_tls_ca_file = : sslmode verify-ca");
		files.ca = nothing;
		assert_fault(&files, true, modes[i], "client_tls_ca_file = ");
		assert_fault(&files, false, modes[i], "server_tls_ca_file = ");
		files.ca = key;
		assert_fault(&files, true, modes[i], "client_tls_ca_file = ");
	}
	files.ca = nothing;
	assert_fault(&files, false, SSLMODE_REQUIRE, "server_tls_ca_file = ");
	assert_fault(&files, true, SSLMODE_DISABLE, "TLS is off");
	assert_fault(&files, false, SSLMODE_DISABLE, "TLS is off");
}

static void test_words(void **state)
{
	static const char *const bad[] = { "tlsv1.4",  "secure,nonsense",
					   "all:!all", ",",
					   "tlsv1.2x", "!" };
	struct tls_files files = { .cert = cert, .key = key };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		files.protocols = bad[i];
		assert_server_fault(files, "client_tls_protocols = ");
	}
	files.protocols = NULL;
	files.ciphers = "NONSENSE";
	assert_server_fault(files, "client_tls_ciphers = NONSENSE: no cipher");
	files.ciphers = "default";
	files.tls13_ciphers = "NONSENSE";
	assert_server_fault(files, "client_tls_tls13_ciphers = NONSENSE: ");
	files.tls13_ciphers = "";
	files.ecdhcurve = "nonsense";
	assert_server_fault(files, "client_tls_ecdhcurve = nonsense: ");
}

static struct tls_context *make(bool is_server, const struct tls_files *files)
{
	struct buf error = BUF_INIT;
	struct tls_context *context =
		is_server
			? tls_context_new_server(files, SSLMODE_PREFER, &error)
			: tls_context_new_client(files, SSLMODE_PREFER, &error);

	assert_non_null(context);
	assert_int_equal(buf_len(&error), 0);
	return context;
}

static void test_expiry(void **state)
{
	struct tls_files files = { .cert = cert, .key = key };
	struct tls_context *context = make(true, &files);
	int64_t now = (int64_t)time(NULL);

	(void)state;
	assert_in_range(tls_context_expiry(context), now + 4900, now + 5000);
	assert_true(tls_context_is_server(context));
	assert_int_equal(tls_context_mode(context), SSLMODE_PREFER);
	tls_context_release(context);
	files = (struct tls_files){ 0 };
	context = make(false, &files);
	assert_int_equal(tls_context_expiry(context), 0);
	assert_false(tls_context_is_server(context));
	tls_context_release(context);
	tls_context_release(NULL);
}

static void *hold_and_release(void *argument)
{
	struct tls_context *context = argument;

	for (unsigned i = 0; i < 10000; i++)
		tls_context_release(tls_context_hold(context));
	tls_context_release(context);
	return NULL;
}

static void test_references(void **state)
{
	struct tls_files files = { .cert = cert, .key = key };
	struct tls_context *context = make(true, &files);
	pthread_t threads[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						hold_and_release,
						tls_context_hold(context)),
				 0);
	tls_context_release(context);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static int set_up(void **state)
{
	struct certs_wish wish = { .name = "server", .lasts_s = 5000 };
	struct certs_pair pair;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(cert, sizeof(cert), "%s/server.crt", folder);
	(void)snprintf(key, sizeof(key), "%s/server.key", folder);
	(void)snprintf(other_key, sizeof(other_key), "%s/other.key", folder);
	(void)snprintf(locked_key, sizeof(locked_key), "%s/lock.key", folder);
	(void)snprintf(nothing, sizeof(nothing), "%s/nothing", folder);
	pair = certs_make(&wish);
	certs_write(&pair, folder, "server", NULL);
	certs_write(&pair, folder, "lock", "passphrase");
	certs_free(&pair);
	pair = certs_make(&wish);
	certs_write(&pair, folder, "other", NULL);
	certs_free(&pair);
	return 0;
}

static int tidy(void **state)
{
	(void)state;
	certs_remove(folder);
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, set_up, tidy);
}
