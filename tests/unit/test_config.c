/* The snapshot: loading, references, look-ups, effective values, SHOW. */
#include "core/config.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/option.h"
#include "core/option_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *text_of(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return (char *)buf_head(buf);
}

static struct config *load(const char *text)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config =
		config_load_text("t", text, strlen(text), &error, &warnings);

	if (!config)
		fail_msg("%s", text_of(&error));
	buf_free(&error);
	buf_free(&warnings);
	return config;
}

/* NULL: refused, and the words say why. */
static struct config *with(const struct config *config, const char *key,
			   const char *value, const char *words)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *changed =
		config_with(config, key, value, &error, &warnings);

	if (words)
		assert_non_null(
			strstr(text_of(changed ? &warnings : &error), words));
	else
		assert_int_equal(buf_len(&error), 0);
	buf_free(&error);
	buf_free(&warnings);
	return changed;
}

static void test_with_a_key_changed(void **state)
{
	struct config *config =
		load("[databases]\na = host=x,y port=1 user=u password=p "
		     "weight=1,2\n* = host=z\n[users]\nu = pool_size=3\n"
		     "[pgweir]\nmonitor_password = s\n");
	struct config *changed = with(config, "default_pool_size", "7", NULL);
	const struct config_database *line;

	(void)state;
	assert_non_null(changed);
	config->generation = 4;
	assert_int_equal(config->settings.default_pool_size, 20);
	config_release(config);
	assert_int_equal(changed->settings.default_pool_size, 7);
	assert_string_equal(changed->settings.monitor_password, "s");
	line = config_find_database(changed, "a");
	assert_string_equal(line->user, "u");
	assert_string_equal(line->password, "p");
	assert_null(line->dbname);
	assert_int_equal(line->node_count, 2);
	assert_int_equal(line->shares[1].weight, 2);
	assert_string_equal(changed->nodes[line->nodes[1]].label, "y:1");
	assert_int_equal(config_find_user(changed, "u")->pool_size, 3);
	assert_string_equal(config_find_database(changed, "b")->name, "*");
	config_release(changed);
}

static void test_with_refuses(void **state)
{
	struct config *config = load("");
	struct config *changed;

	(void)state;
	assert_null(with(config, "nonsense", "1", "unknown key"));
	assert_null(with(config, "max_client_con", "1", "max_client_conn"));
	assert_null(with(config, "listen_port", "1", "restart"));
	assert_null(with(config, "max_client_conn", "x", "max_client_conn"));
	assert_null(with(config, "auth_type", "none", "auth_type"));
	assert_null(with(config, "client_tls_sslmode", "require",
			 "client_tls_key_file"));
	changed = with(config, "pkt_buf", "1", "no effect");
	assert_non_null(changed);
	config_release(changed);
	config_release(config);
}

static void test_defaults(void **state)
{
	struct config *config = load("");
	const struct config_settings *settings = &config->settings;

	(void)state;
	assert_int_equal(settings->pool_mode, POOL_MODE_TRANSACTION);
	assert_int_equal(settings->workers, 0);
	assert_int_equal(settings->max_client_conn, 100);
	assert_int_equal(settings->default_pool_size, 20);
	assert_int_equal(settings->query_wait_timeout_us, 120000000);
	assert_int_equal(settings->unix_socket_mode, 0777);
	assert_int_equal(settings->auth_type, AUTH_MD5);
	assert_int_equal(settings->client_tls_sslmode, SSLMODE_DISABLE);
	assert_int_equal(settings->server_tls_sslmode, SSLMODE_PREFER);
	assert_int_equal(settings->monitor_interval_us, 500000);
	assert_int_equal(settings->monitor_timeout_us, 5000000);
	assert_int_equal(settings->max_replica_lag_us, 5000000);
	assert_int_equal(settings->read_after_write_window_us, 0);
	assert_int_equal(settings->consistency, CONSISTENCY_SESSION);
	assert_int_equal(settings->max_staleness_us, 1000000);
	assert_int_equal(settings->causal_wait_us, 20000);
	assert_int_equal(settings->catalog_refresh_us, 60000000);
	assert_int_equal(settings->max_packet_size, 2147483647);
	assert_int_equal(settings->stats_port, 9127);
	assert_string_equal(settings->stats_addr, "127.0.0.1");
	assert_string_equal(settings->listen_addr, "127.0.0.1");
	assert_true(settings->split_reads);
	assert_int_equal(config->generation, 0);
	assert_string_equal(config->path, "t");
	config_release(config);
}

/* No string of the settings is NULL, whatever the file leaves out. */
static void test_settings_have_strings(void **state)
{
	struct config *config = load("");
	const struct option *option;
	unsigned at = 0;

	(void)state;
	while ((option = option_next(&option_settings, &at))) {
		char *text = NULL;

		if (!option_is_text(option))
			continue;
		memcpy(&text, (char *)&config->settings + option->offset,
		       sizeof(text));
		if (!text)
			fail_msg("%s is NULL", option->name);
	}
	config_release(config);
}

static void test_load_file(void **state)
{
	char path[] = "/tmp/pgweir-test-XXXXXX";
	static const char text[] = "[databases]\na = host=x\n[pgweir]\n"
				   "auth_type = trust\nlisten_port = 5\n";
	int fd = mkstemp(path);
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(close(fd), 0);
	config = config_load(path, &error, &warnings);
	assert_non_null(config);
	assert_int_equal(config->settings.listen_port, 5);
	assert_string_equal(config->path, path);
	assert_int_equal(buf_len(&error) + buf_len(&warnings), 0);
	config_release(config);
	assert_int_equal(unlink(path), 0);
	assert_null(config_load(path, &error, &warnings));
	assert_non_null(strstr(text_of(&error), "No such file or directory"));
	buf_free(&error);
	buf_free(&warnings);
}

static void test_bad_text_gives_nothing(void **state)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;

	(void)state;
	buf_printf(&error, "before\n");
	assert_null(config_load_text("t", "x", 1, &error, &warnings));
	assert_non_null(strstr(text_of(&error), "before\nt:1: "));
	buf_free(&error);
	buf_free(&warnings);
}

static void *hold_and_release(void *argument)
{
	const struct config *config = argument;

	for (int i = 0; i < 10000; i++) {
		struct config *held = config_hold(config);

		assert_ptr_equal(held, config);
		config_release(held);
	}
	config_release(config);
	return NULL;
}

static void test_references(void **state)
{
	struct config *config = load("[databases]\na = password=secret\n");
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						hold_and_release,
						config_hold(config)),
				 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* Still whole: one reference is left. */
	assert_string_equal(config_find_database(config, "a")->password,
			    "secret");
	config_release(config);
	config_release(NULL);
}

static void test_find(void **state)
{
	struct config *config = load("[databases]\nbeta = host=b\n* = host=x\n"
				     "alpha = host=a\nAlpha = host=c\n"
				     "[users]\nzoe = \nanna = \n");

	(void)state;
	assert_string_equal(config_find_database(config, "alpha")->name,
			    "alpha");
	assert_string_equal(config_find_database(config, "Alpha")->name,
			    "Alpha");
	assert_string_equal(config_find_database(config, "beta")->name, "beta");
	assert_string_equal(config_find_database(config, "")->name, "*");
	assert_string_equal(config_find_database(config, "gamma")->name, "*");
	assert_string_equal(config_find_database(config, "*")->name, "*");
	assert_string_equal(config_find_user(config, "anna")->name, "anna");
	assert_string_equal(config_find_user(config, "zoe")->name, "zoe");
	assert_null(config_find_user(config, "bob"));
	assert_null(config_find_user(config, "*"));
	config_release(config);
	config = load("[databases]\na = host=a\n");
	assert_null(config_find_database(config, "b"));
	assert_null(config_find_user(config, "b"));
	config_release(config);
	config = load("");
	assert_null(config_find_database(config, "a"));
	config_release(config);
}

static bool is_sole(const char *text, const char *name)
{
	struct config *config = load(text);
	const struct config_database *line = config_sole_cluster(config);
	bool is_as_said = name ? line && strcmp(line->name, name) == 0 : !line;

	config_release(config);
	return is_as_said;
}

static void test_sole_cluster(void **state)
{
	(void)state;
	assert_true(is_sole("[databases]\nb = host=x\na = host=x\n", "a"));
	/* In any order; ports count, names of databases do not. */
	assert_true(is_sole(
		"[databases]\na = host=x,y\nb = host=y,x dbname=z\n", "a"));
	assert_true(is_sole("[databases]\na = host=x,y\nb = host=x\n", NULL));
	assert_true(is_sole("[databases]\na = host=x,y\nb = host=x,z\n", NULL));
	assert_true(is_sole("[databases]\na = host=x port=1\n"
			    "b = host=x port=2\n",
			    NULL));
	/* Whose server user would it be? */
	assert_true(
		is_sole("[databases]\na = host=x user=u\nb = host=x\n", NULL));
	assert_true(is_sole("[databases]\na = host=x user=u\n"
			    "b = host=x user=v\n",
			    NULL));
	assert_true(is_sole("[databases]\na = host=x user=u\n"
			    "b = host=x user=u\n",
			    "a"));
	assert_true(is_sole("", NULL));
}

static void test_effective_values(void **state)
{
	struct config *config = load("[databases]\n"
				     "plain = host=x\n"
				     "own = pool_mode=session pool_size=3 "
				     "query_wait_timeout=4\n"
				     "off = pool_size=0 query_wait_timeout=0\n"
				     "[users]\n"
				     "plain = max_user_connections=1\n"
				     "own = pool_mode=statement pool_size=5 "
				     "query_wait_timeout=6\n"
				     "off = pool_size=0 query_wait_timeout=0\n"
				     "[pgweir]\ndefault_pool_size = 7\n"
				     "query_wait_timeout = 8\n");
	const struct config_database *plain =
		config_find_database(config, "plain");
	const struct config_database *own = config_find_database(config, "own");
	const struct config_database *off = config_find_database(config, "off");
	const struct config_user *user = config_find_user(config, "own");
	const struct config_user *bare = config_find_user(config, "plain");
	const struct config_user *none = config_find_user(config, "off");

	(void)state;
	assert_int_equal(config_mode_of(config, plain, NULL),
			 POOL_MODE_TRANSACTION);
	assert_int_equal(config_mode_of(config, NULL, NULL),
			 POOL_MODE_TRANSACTION);
	assert_int_equal(config_mode_of(config, own, bare), POOL_MODE_SESSION);
	assert_int_equal(config_mode_of(config, own, user),
			 POOL_MODE_STATEMENT);
	assert_int_equal(config_pool_size_of(config, plain, bare), 7);
	assert_int_equal(config_pool_size_of(config, NULL, NULL), 7);
	assert_int_equal(config_pool_size_of(config, own, bare), 3);
	assert_int_equal(config_pool_size_of(config, own, user), 5);
	/* 0 is a value: it means no limit, not "unset". */
	assert_int_equal(config_pool_size_of(config, off, NULL), 0);
	assert_int_equal(config_pool_size_of(config, own, none), 0);
	assert_int_equal(config_query_wait_us_of(config, plain, bare), 8000000);
	assert_int_equal(config_query_wait_us_of(config, NULL, NULL), 8000000);
	assert_int_equal(config_query_wait_us_of(config, own, bare), 4000000);
	assert_int_equal(config_query_wait_us_of(config, own, user), 6000000);
	assert_int_equal(config_query_wait_us_of(config, off, NULL), 0);
	assert_int_equal(config_query_wait_us_of(config, own, none), 0);
	config_release(config);
}

/* Level and reads in transactions: the user's, the line's, the file's. */
static void test_effective_reads(void **state)
{
	struct config *config = load(
		"[databases]\nplain = host=x\n"
		"own = consistency=eventual transaction_reads=until_write\n"
		"[users]\n"
		"own = consistency=primary transaction_reads=primary\n"
		"[pgweir]\nconsistency = global\n");
	const struct config_database *plain =
		config_find_database(config, "plain");
	const struct config_database *own = config_find_database(config, "own");
	const struct config_user *user = config_find_user(config, "own");

	(void)state;
	assert_int_equal(config_consistency_of(config, plain, NULL),
			 CONSISTENCY_GLOBAL);
	assert_int_equal(config_consistency_of(config, own, NULL),
			 CONSISTENCY_EVENTUAL);
	assert_int_equal(config_consistency_of(config, own, user),
			 CONSISTENCY_PRIMARY);
	assert_int_equal(config_transaction_reads_of(config, plain, NULL),
			 TRANSACTION_READS_PRIMARY);
	assert_int_equal(config_transaction_reads_of(config, own, NULL),
			 TRANSACTION_READS_UNTIL_WRITE);
	assert_int_equal(config_transaction_reads_of(config, own, user),
			 TRANSACTION_READS_PRIMARY);
	assert_int_equal(config_consistency_named("Strong"),
			 CONSISTENCY_STRONG);
	assert_int_equal(config_consistency_named(""), CONSISTENCY_UNSET);
	assert_int_equal(config_consistency_named("weak"), CONSISTENCY_UNSET);
	config_release(config);
}

static void test_lists(void **state)
{
	(void)state;
	assert_true(config_list_has("a", "a"));
	assert_true(config_list_has("a, b,c", "b"));
	assert_true(config_list_has(" a\tb ,, c ", "c"));
	assert_false(config_list_has("abc", "ab"));
	assert_false(config_list_has("ab", "abc"));
	assert_false(config_list_has("a,b", "A"));
	assert_false(config_list_has("", "a"));
	assert_false(config_list_has(" , ", "a"));
	assert_false(config_list_has("a", ""));
	assert_false(config_list_has(NULL, "a"));
}

/* The names are those that the file has, or a dump of it would not load. */
static void test_names(void **state)
{
	static const char *const modes[] = { "session", "transaction",
					     "statement" };
	static const char *const sslmodes[] = { "disable",   "allow",
						"prefer",    "require",
						"verify-ca", "verify-full" };

	(void)state;
	assert_null(config_pool_mode_name(POOL_MODE_UNSET));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char *text = xasprintf("[pgweir]\npool_mode = %s\n", modes[i]);
		struct config *config = load(text);

		assert_string_equal(
			config_pool_mode_name(config->settings.pool_mode),
			modes[i]);
		config_release(config);
		free(text);
	}
	for (size_t i = 0; i < sizeof(sslmodes) / sizeof(sslmodes[0]); i++) {
		char *text = xasprintf("[pgweir]\nserver_tls_sslmode = %s\n"
				       "server_tls_ca_file = /ca\n",
				       sslmodes[i]);
		struct config *config = load(text);

		assert_string_equal(
			config_sslmode_name(
				config->settings.server_tls_sslmode),
			sslmodes[i]);
		config_release(config);
		free(text);
	}
}

static void test_hosts(void **state)
{
	struct config *config = load("[databases]\na = host=h1,h2:7\n"
				     "b = host=h2 port=7\n");
	struct buf out = BUF_INIT;

	(void)state;
	config_write_hosts(config, config_find_database(config, "a"), &out);
	assert_string_equal(buf_text(&out), "h1,h2");
	config_write_hosts(config, config_find_database(config, "b"), &out);
	assert_string_equal(buf_text(&out), "h1,h2h2");
	buf_free(&out);
	config_release(config);
}

static void test_explain_restart(void **state)
{
	struct config *before = load("");
	struct config *after = load("[pgweir]\nlisten_port = 5\nworkers = 3\n"
				    "default_pool_size = 5\npkt_buf = 3\n"
				    "unix_socket_mode = 0700\n");
	struct buf out = BUF_INIT;

	(void)state;
	config_explain_restart(before, before, &out);
	assert_int_equal(buf_len(&out), 0);
	config_explain_restart(before, after, &out);
	assert_string_equal(text_of(&out),
			    "workers: auto stays until a restart\n"
			    "listen_port: 6432 stays until a restart\n"
			    "unix_socket_mode: 0777 stays until a restart\n");
	buf_free(&out);
	config_release(before);
	config_release(after);
}

static void take_row(void *context, const char *key, const char *value,
		     const char *fallback, bool is_changeable)
{
	buf_printf(context, "%s|%s|%s|%d\n", key, value, fallback,
		   is_changeable);
}

static void test_show(void **state)
{
	struct config *config = load("[pgweir]\nmonitor_password = hunter2\n"
				     "server_lifetime = 1.25\nlisten_port = 5\n"
				     "auth_type = scram-sha-256\n");
	struct buf rows = BUF_INIT;
	struct config_show_sink sink = { take_row, &rows };
	const char *text;

	(void)state;
	config_show(config, &sink);
	text = text_of(&rows);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "\nmonitor_password|****||1\n"));
	assert_non_null(strstr(text, "\nserver_lifetime|1.25|3600|1\n"));
	assert_non_null(strstr(text, "\nlisten_port|5|6432|0\n"));
	assert_non_null(strstr(text, "\nauth_type|scram-sha-256|md5|1\n"));
	assert_non_null(strstr(text, "\npool_mode|transaction|transaction|1"));
	assert_non_null(strstr(text, "\nconffile|t||0\n"));
	assert_non_null(strstr(text, "\npkt_buf|4096|4096|0\n"));
	/* What exporters read. */
	assert_non_null(strstr(text, "\nmax_client_conn|100|100|1\n"));
	assert_non_null(strstr(text, "\nmax_user_connections|0|0|1\n"));
	assert_null(strstr(text, "service_name"));
	buf_free(&rows);
	config_release(config);
}

static int forget_blocks(void **state)
{
	(void)state;
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_a_key_changed),
		cmocka_unit_test(test_with_refuses),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_settings_have_strings),
		cmocka_unit_test(test_load_file),
		cmocka_unit_test(test_bad_text_gives_nothing),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_sole_cluster),
		cmocka_unit_test(test_effective_values),
		cmocka_unit_test(test_effective_reads),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_explain_restart),
		cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
