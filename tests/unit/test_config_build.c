/*
 * From text to values: sections, keys, databases, users, nodes; every fault
 * with its place, none with a secret.
 */
#include "core/config_build.h"

#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct result {
	struct config config;
	struct buf error;
	struct buf warnings;
	bool is_good;
};

static const char *text_of(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return (char *)buf_head(buf);
}

static void build(struct result *result, const char *text)
{
	struct config_source source = { "t", text, strlen(text) };

	*result = (struct result){ 0 };
	result->is_good = config_build(&result->config, &source, &result->error,
				       &result->warnings);
	assert_true(result->is_good == (buf_len(&result->error) == 0));
}

static void drop(struct result *result)
{
	config_clear(&result->config);
	assert_null(result->config.databases);
	assert_null(result->config.settings.auth_file);
	buf_free(&result->error);
	buf_free(&result->warnings);
}

static void build_good(struct result *result, const char *text)
{
	build(result, text);
	if (!result->is_good)
		fail_msg("%s", text_of(&result->error));
}

/* Exactly these faults. */
static void refuse(const char *text, const char *faults)
{
	struct result result;

	build(&result, text);
	assert_string_equal(text_of(&result.error), faults);
	drop(&result);
}

/* A good text with exactly these warnings. */
static void warn(const char *text, const char *warnings)
{
	struct result result;

	build_good(&result, text);
	assert_string_equal(text_of(&result.warnings), warnings);
	drop(&result);
}

static const struct config_database *find(const struct result *result,
					  const char *name)
{
	for (unsigned i = 0; i < result->config.database_count; i++)
		if (strcmp(result->config.databases[i].name, name) == 0)
			return &result->config.databases[i];
	fail_msg("no database %s", name);
	return NULL;
}

static const char *label(const struct result *result,
			 const struct config_database *database, unsigned i)
{
	assert_true(i < database->node_count);
	assert_true(database->nodes[i] < result->config.node_count);
	return result->config.nodes[database->nodes[i]].label;
}

static void test_databases(void **state)
{
	const struct config_database *app;
	const struct config_database *any;
	struct result result;

	(void)state;
	build_good(&result,
		   "[databases]\n"
		   "app = host=pg1,pg2:5433,[::1]:5434 port=5432 dbname=app\n"
		   "* = host=::1,pg1\n"
		   "\"odd = name\" =\n");
	assert_int_equal(result.config.database_count, 3);
	app = find(&result, "app");
	assert_int_equal(app->node_count, 3);
	assert_string_equal(label(&result, app, 0), "pg1:5432");
	assert_string_equal(label(&result, app, 1), "pg2:5433");
	assert_string_equal(label(&result, app, 2), "[::1]:5434");
	assert_string_equal(app->dbname, "app");
	assert_int_equal(app->line, 2);
	any = find(&result, "*");
	assert_string_equal(label(&result, any, 0), "[::1]:5432");
	/* Equal ones are one node, whoever names them. */
	assert_int_equal(any->nodes[1], app->nodes[0]);
	assert_int_equal(result.config.node_count, 5);
	assert_string_equal(label(&result, find(&result, "odd = name"), 0),
			    "/var/run/postgresql:5432");
	drop(&result);
}

static void test_unset_keys(void **state)
{
	const struct config_database *plain;
	struct result result;

	(void)state;
	build_good(&result, "[databases]\na = host=h\n[users]\nu =\n");
	plain = find(&result, "a");
	assert_null(plain->dbname);
	assert_null(plain->user);
	assert_null(plain->password);
	assert_null(plain->connect_query);
	assert_null(plain->application_name);
	assert_int_equal(plain->pool_mode, POOL_MODE_UNSET);
	assert_int_equal(plain->pool_size, CONFIG_UNSET);
	assert_int_equal(plain->min_pool_size, CONFIG_UNSET);
	assert_int_equal(plain->max_db_connections, CONFIG_UNSET);
	assert_true(plain->server_lifetime_us == CONFIG_UNSET_US);
	assert_true(plain->query_wait_timeout_us == CONFIG_UNSET_US);
	assert_true(plain->load_balance);
	assert_int_equal(result.config.users[0].pool_size, CONFIG_UNSET);
	assert_true(result.config.users[0].query_timeout_us == CONFIG_UNSET_US);
	drop(&result);
}

static void test_all_keys_of_a_database(void **state)
{
	const struct config_database *all;
	struct result result;

	(void)state;
	build_good(&result,
		   "[databases]\n"
		   "a = host=h port=1 dbname=d user=u password='p ;#''w' "
		   "pool_mode=session pool_size=3 min_pool_size=1 "
		   "reserve_pool=2 max_db_connections=9 "
		   "max_db_client_connections=8 server_lifetime=1.5 "
		   "query_wait_timeout=2min load_balance_hosts=disable "
		   "connect_query='set x = ''y''' client_encoding=UTF8 "
		   "datestyle=ISO timezone=UTC application_name=n "
		   "auth_user=au auth_query='select 1' auth_dbname=ad\n");
	all = find(&result, "a");
	assert_string_equal(all->dbname, "d");
	assert_string_equal(all->user, "u");
	assert_string_equal(all->password, "p ;#'w");
	assert_int_equal(all->pool_mode, POOL_MODE_SESSION);
	assert_int_equal(all->pool_size, 3);
	assert_int_equal(all->min_pool_size, 1);
	assert_int_equal(all->reserve_pool_size, 2);
	assert_int_equal(all->max_db_connections, 9);
	assert_int_equal(all->max_db_client_connections, 8);
	assert_int_equal(all->server_lifetime_us, 1500000);
	assert_int_equal(all->query_wait_timeout_us, 120000000);
	assert_false(all->load_balance);
	assert_string_equal(all->connect_query, "set x = 'y'");
	assert_string_equal(all->client_encoding, "UTF8");
	assert_string_equal(all->datestyle, "ISO");
	assert_string_equal(all->timezone, "UTC");
	assert_string_equal(all->application_name, "n");
	assert_string_equal(all->auth_user, "au");
	assert_string_equal(all->auth_query, "select 1");
	assert_string_equal(all->auth_dbname, "ad");
	drop(&result);
}

static void test_users(void **state)
{
	const struct config_user *user;
	struct result result;

	(void)state;
	build_good(&result,
		   "[users]\nzoe = pool_size=1\n"
		   "\"an na\" = pool_mode=statement pool_size=2 "
		   "max_user_connections=3 max_user_client_connections=4 "
		   "query_timeout=5 query_wait_timeout=6 "
		   "idle_transaction_timeout=7 transaction_timeout=8 "
		   "client_idle_timeout=9\n");
	assert_int_equal(result.config.user_count, 2);
	/* Sorted by name. */
	user = &result.config.users[0];
	assert_string_equal(user->name, "an na");
	assert_int_equal(user->pool_mode, POOL_MODE_STATEMENT);
	assert_int_equal(user->pool_size, 2);
	assert_int_equal(user->max_user_connections, 3);
	assert_int_equal(user->max_user_client_connections, 4);
	assert_int_equal(user->query_timeout_us, 5000000);
	assert_int_equal(user->query_wait_timeout_us, 6000000);
	assert_int_equal(user->idle_transaction_timeout_us, 7000000);
	assert_int_equal(user->transaction_timeout_us, 8000000);
	assert_int_equal(user->client_idle_timeout_us, 9000000);
	assert_string_equal(result.config.users[1].name, "zoe");
	drop(&result);
}

static void test_settings(void **state)
{
	struct result result;

	(void)state;
	build_good(&result, "[pgbouncer]\nlisten_port = 1\npool_mode=session\n"
			    "[pgweir]\nlisten_port = 2\n"
			    "service_name = s\nworkers = 4\n"
			    "server_reset_query =\n"
			    "monitor_password = a b ; c # 'd' = \"e\"\n");
	/* The last one counts, as in PgBouncer. */
	assert_int_equal(result.config.settings.listen_port, 2);
	assert_int_equal(result.config.settings.pool_mode, POOL_MODE_SESSION);
	assert_string_equal(result.config.settings.job_name, "s");
	assert_int_equal(result.config.settings.workers, 4);
	assert_string_equal(result.config.settings.server_reset_query, "");
	assert_string_equal(result.config.settings.monitor_password,
			    "a b ; c # 'd' = \"e\"");
	assert_string_equal(result.config.settings.auth_file, "");
	drop(&result);
}

static void test_huge_values(void **state)
{
	enum { LEN = 10000 };
	char *password = xmalloc(LEN + 1);
	struct result result;
	char *text;

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		password[i] = ";#\"= x\\"[i % 7];
	password[0] = password[LEN - 1] = 'x';
	password[LEN] = '\0';
	text = xasprintf("[databases]\na = host=h user=u password='%s'\n"
			 "[pgweir]\nmonitor_password = %s\n",
			 password, password);
	build_good(&result, text);
	assert_string_equal(find(&result, "a")->password, password);
	assert_string_equal(result.config.settings.monitor_password, password);
	drop(&result);
	free(text);
	free(password);
}

static void test_unknown_names(void **state)
{
	(void)state;
	refuse("[pgweir]\ndefautl_pool_size = 2\n",
	       "t:2: unknown key \"defautl_pool_size\", did you mean "
	       "\"default_pool_size\"?\n");
	refuse("[pgweir]\nquite_another_thing = 2\n",
	       "t:2: unknown key \"quite_another_thing\"\n");
	refuse("[databases]\na = hots=x\n",
	       "t:2: unknown key \"hots\", did you mean \"host\"?\n");
	refuse("[users]\na = pool_siz=3\n",
	       "t:2: unknown key \"pool_siz\", did you mean \"pool_size\"?\n");
	refuse("[database]\na = host=x\n",
	       "t:1: unknown section [database], did you mean [databases]?\n");
	refuse("[PgWeir]\n",
	       "t:1: unknown section [PgWeir], did you mean [pgweir]?\n");
	refuse("[something]\n",
	       "t:1: unknown section [something]; there are [databases], "
	       "[pgweir] and [users]\n");
}

static void test_all_faults_are_listed(void **state)
{
	(void)state;
	refuse("[pgweir]\nlisten_port = 0\nlog_stats = maybe\nnonsense\n"
	       "[databases]\na = pool_size=-1 min_pool_size=x\nb = host=a,,b\n",
	       "t:2: listen_port: \"0\" is out of its limits; give 1 to 65535\n"
	       "t:3: log_stats: \"maybe\" is not a known word; give 0 or 1 "
	       "(no, "
	       "yes, off, on, false, true)\n"
	       "t:4: expected name = value\n"
	       "t:6: pool_size: \"-1\" is out of its limits; give 0 to "
	       "1000000\n"
	       "t:6: min_pool_size: \"x\" is not a number; give 0 to 1000000\n"
	       "t:7: \"\" is not a host; give a name, an address or a path\n");
}

static void test_missing_logins(void **state)
{
	(void)state;
	refuse("[pgweir]\nauth_type = hba\n",
	       "t:2: auth_type: \"hba\" is not supported by this version; give "
	       "any, trust, plain, md5, scram-sha-256\n");
}

static void test_names_that_cannot_be(void **state)
{
	char name[65];
	char *text;
	char *fault;

	(void)state;
	memset(name, 'n', 64);
	name[64] = '\0';
	text = xasprintf("[databases]\n%s = host=a\n", name);
	fault = xasprintf("t:2: database \"%.63s...\": a name has at most 63 "
			  "bytes\n",
			  name);
	refuse(text, fault);
	free(text);
	free(fault);
	text = xasprintf("[databases]\n%.63s = host=a\n", name);
	warn(text, "t: auth_type: without an auth_file nobody can log in\n");
	free(text);
	refuse("[databases]\na = host=x\nb = host=x\na = host=y\n",
	       "t:4: database \"a\" is there already, see t:2\n");
	refuse("[users]\na =\n[databases]\na =\n[users]\na =\n",
	       "t:6: user \"a\" is there already, see t:2\n");
	refuse("[databases]\npgbouncer = host=a\npgweir =\n",
	       "t:2: database \"pgbouncer\": this name is the console's; "
	       "choose "
	       "another one\n"
	       "t:3: database \"pgweir\": this name is the console's; choose "
	       "another one\n");
}

static void test_no_secret_in_messages(void **state)
{
	static const char *const texts[] = {
		"[databases]\na = password=hunter2 hunter2\n",
		"[databases]\na = password='hunter2\n",
		"[databases]\na = password='hunter2'hunter2\n",
		"[databases]\na = password=x hunter2=hunter2\n",
		"[databases]\na password=hunter2\n",
		"[databases]\na = pasword=hunter2\n",
		"[pgweir]\nmonitor_pasword = hunter2\n",
		"[pgweir]\nmonitor_password hunter2\n",
		"monitor_password hunter2\n",
		"[databases]\nb = host=x\na = pool_size=x password=hunter2\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct result result;

		build(&result, texts[i]);
		assert_false(result.is_good);
		if (strstr(text_of(&result.error), "hunter2") ||
		    strstr(text_of(&result.warnings), "hunter2"))
			fail_msg("%s", text_of(&result.error));
		drop(&result);
	}
}

#define SERVED "[databases]\n* = host=x\n[pgweir]\nauth_type = trust\n"

static void test_warnings(void **state)
{
	(void)state;
	warn(SERVED, "");
	warn(SERVED "pkt_buf = 8192\n",
	     "t:5: pkt_buf: has no effect: buffers are sized by load\n");
	warn(SERVED "auth_hba_file = /x\nauth_ident_file = /y\n",
	     "t:5: auth_hba_file: not supported by this version, ignored\n"
	     "t:6: auth_ident_file: not supported by this version, "
	     "ignored\n");
	warn(SERVED "service_name = x\nserver_check_query = select 1\n",
	     "t:5: job_name: has no effect: syslog_ident is the name in the "
	     "system's log\n"
	     "t:6: server_check_query: has no effect: a server that goes is "
	     "noticed at once\n");
	/* At its default it would do nothing anyway. */
	warn(SERVED "suspend_timeout = 10\nauth_hba_file =\n", "");
	warn(SERVED "max_prepared_statements = 0\n",
	     "t:5: max_prepared_statements: 0 counts as 1: prepared statements "
	     "always work\n");
	warn(SERVED "auth_ldap_options = x\n",
	     "t:5: auth_ldap_options: not supported by this version, "
	     "ignored\n");
	warn(SERVED "[peers]\n1 = host=x\n[pgweir]\n[peers]\n2 = rubbish\n",
	     "t:5: [peers]: not supported by this version, ignored; one "
	     "process uses all cores\n");
	warn("[databases]\n* = host=x,y,x:5432\n[pgweir]\nauth_type=trust\n",
	     "t:2: host: x:5432 is named twice\n");
	warn("[pgweir]\nauth_type = trust\n",
	     "t: no line in [databases]: no client can be served\n");
	warn("[databases]\n* = host=x\n[pgweir]\nauth_type = md5\n",
	     "t:4: auth_type: without an auth_file nobody can log in\n");
	warn("[databases]\na = host=x user=y\nb = host=x\nc = host=x\n"
	     "[pgweir]\nauth_type = any\n",
	     "t:6: auth_type: any needs user= in every database; nobody can "
	     "log in where there is none\n");
}

static void test_options_that_need_each_other(void **state)
{
	(void)state;
	refuse(SERVED "listen_addr =\nunix_socket_dir =\n",
	       "t:5: listen_addr: empty, and unix_socket_dir too: there is "
	       "nothing to listen on\n");
	warn(SERVED "listen_addr =\n", "");
	refuse(SERVED "client_tls_sslmode = require\n",
	       "t:5: client_tls_sslmode: needs client_tls_key_file and "
	       "client_tls_cert_file\n");
	refuse(SERVED "client_tls_sslmode = verify-full\n"
		      "client_tls_key_file = k\nclient_tls_cert_file = c\n",
	       "t:5: client_tls_sslmode: verify-ca and verify-full need "
	       "client_tls_ca_file\n");
	warn(SERVED "client_tls_sslmode = verify-ca\nclient_tls_key_file = k\n"
		    "client_tls_cert_file = c\nclient_tls_ca_file = a\n",
	     "");
}

static void test_many_faults_are_counted(void **state)
{
	struct result result;
	struct buf text = BUF_INIT;

	(void)state;
	buf_printf(&text, "[pgweir]\n");
	for (int i = 0; i < 150; i++)
		buf_printf(&text, "no_such_key = 1\n");
	buf_append_u8(&text, '\0');
	build(&result, (char *)buf_head(&text));
	assert_false(result.is_good);
	assert_non_null(strstr(text_of(&result.error), "\nand 50 more "
						       "faults\n"));
	drop(&result);
	buf_free(&text);
}

/* Time must not grow with the square of the number of lines. */
static void test_many_databases(void **state)
{
	enum { MANY = 20000 };
	struct result result;
	struct buf text = BUF_INIT;

	(void)state;
	buf_printf(&text, "[databases]\n");
	for (int i = 0; i < MANY; i++)
		buf_printf(&text, "db%d = host=h%d\n", i, i);
	buf_append_u8(&text, '\0');
	build_good(&result, (char *)buf_head(&text));
	assert_int_equal(result.config.database_count, MANY);
	assert_int_equal(result.config.node_count, MANY);
	for (unsigned i = 1; i < MANY; i++)
		assert_true(strcmp(result.config.databases[i - 1].name,
				   result.config.databases[i].name) < 0);
	drop(&result);
	buf_free(&text);
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
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_unset_keys),
		cmocka_unit_test(test_all_keys_of_a_database),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_huge_values),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_all_faults_are_listed),
		cmocka_unit_test(test_missing_logins),
		cmocka_unit_test(test_names_that_cannot_be),
		cmocka_unit_test(test_no_secret_in_messages),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_options_that_need_each_other),
		cmocka_unit_test(test_many_faults_are_counted),
		cmocka_unit_test(test_many_databases),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
