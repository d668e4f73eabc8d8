/* A configuration with all that belongs to it: all or nothing. */
#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "core/config.h"
#include "core/users.h"
#include "main/load.h"
#include "proxy/local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/test-load.XXXXXX";

/* Writes a file of the scratch directory; the path is the caller's. */
static char *put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", scratch, name);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void drop(char *path)
{
	assert_int_equal(unlink(path), 0);
	free(path);
}

struct loaded {
	struct snapshot *snapshot;
	struct buf error;
	struct buf warnings;
};

static struct loaded load(const char *text)
{
	struct loaded loaded = { 0 };
	char *path = put("test.ini", text);

	loaded.snapshot =
		load_snapshot(path, 7, &loaded.error, &loaded.warnings);
	buf_append_u8(&loaded.error, 0);
	buf_append_u8(&loaded.warnings, 0);
	drop(path);
	return loaded;
}

static const char *error_of(const struct loaded *loaded)
{
	return (const char *)buf_head(&loaded->error);
}

static void unload(struct loaded *loaded)
{
	snapshot_release(loaded->snapshot);
	buf_free(&loaded->error);
	buf_free(&loaded->warnings);
}

static void test_plain(void **state)
{
	struct loaded loaded = load("[databases]\na = host=127.0.0.1\n"
				    "[pgweir]\npkt_buf = 4096\n");

	(void)state;
	assert_non_null(loaded.snapshot);
	assert_string_equal(error_of(&loaded), "");
	assert_int_equal(loaded.snapshot->config->generation, 7);
	assert_null(loaded.snapshot->users);
	assert_null(loaded.snapshot->client_tls);
	assert_non_null(strstr((char *)buf_head(&loaded.warnings), "pkt_buf"));
	unload(&loaded);
}

static void test_users_and_tls(void **state)
{
	char *users = put("users.txt", "\"bob\" \"secret\"\n");
	char *text = xasprintf("[databases]\na = host=127.0.0.1\n"
			       "[pgweir]\nauth_type = md5\nauth_file = %s\n"
			       "server_tls_sslmode = require\n",
			       users);
	struct loaded loaded = load(text);

	(void)state;
	assert_non_null(loaded.snapshot);
	assert_string_equal(users_find(loaded.snapshot->users, "bob"),
			    "secret");
	assert_non_null(loaded.snapshot->server_tls);
	assert_null(loaded.snapshot->client_tls);
	unload(&loaded);
	drop(users);
	free(text);
}

static void test_bad_file(void **state)
{
	struct loaded loaded = load("[databases]\na = host=127.0.0.1\n"
				    "[pgweir]\npol_mode = session\n");

	(void)state;
	assert_null(loaded.snapshot);
	assert_non_null(strstr(error_of(&loaded), "test.ini:4"));
	unload(&loaded);
}

/* All that is wrong beside the file is told at once. */
static void test_all_faults(void **state)
{
	struct loaded loaded =
		load("[databases]\na = host=127.0.0.1\n"
		     "[pgweir]\nauth_type = md5\nauth_file = /nonexistent/u\n"
		     "client_tls_sslmode = require\n"
		     "client_tls_key_file = /nonexistent/k\n"
		     "client_tls_cert_file = /nonexistent/c\n"
		     "server_tls_sslmode = verify-ca\n"
		     "server_tls_ca_file = /nonexistent/a\n");

	(void)state;
	assert_null(loaded.snapshot);
	assert_non_null(strstr(error_of(&loaded), "/nonexistent/u"));
	assert_non_null(strstr(error_of(&loaded), "/nonexistent/c"));
	assert_non_null(strstr(error_of(&loaded), "/nonexistent/a"));
	unload(&loaded);
}

static void test_log_lines(void **state)
{
	char *path = xasprintf("%s/log", scratch);
	struct buf text = BUF_INIT;
	char got[512] = "";
	FILE *file;

	(void)state;
	assert_true(
		log_open(&(struct log_target){ .file = path, .quiet = true }));
	buf_printf(&text, "one\n\ntwo\nthree, without an end");
	load_log_lines(LEVEL_WARNING, "because: ", &text);
	load_log_lines(LEVEL_WARNING, "", &(struct buf){ 0 });
	assert_true(log_open(&(struct log_target){ .quiet = false }));
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(got, 1, sizeof(got) - 1, file) > 0);
	assert_int_equal(fclose(file), 0);
	assert_non_null(strstr(got, "WARNING because: one\n"));
	assert_non_null(strstr(got, "WARNING because: two\n"));
	assert_non_null(strstr(got, "because: three, without an end\n"));
	assert_null(strstr(got, "because: \n"));
	drop(path);
	buf_free(&text);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
	(void)state;
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_users_and_tls),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_all_faults),
		cmocka_unit_test(test_log_lines),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
