/* The rows themselves: complete, consistent, and PgBouncer's. */
#include "core/option_table.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every key of [pgbouncer] in PgBouncer 1.25, with its default there. */
static const char *const known[][2] = {
	{ "logfile", "" },
	{ "pidfile", "" },
	{ "user", "" },
	{ "conffile", "" },
	{ "job_name", NULL },
	{ "service_name", NULL },
	{ "stats_period", "60" },
	{ "verbose", "0" },
	{ "resolv_conf", "" },
	{ "listen_addr", NULL },
	{ "listen_port", "6432" },
	{ "listen_backlog", "128" },
	{ "unix_socket_dir", "/tmp" },
	{ "unix_socket_mode", "0777" },
	{ "unix_socket_group", "" },
	{ "so_reuseport", "0" },
	{ "tcp_defer_accept", "1" },
	{ "peer_id", "0" },
	{ "pool_mode", NULL },
	{ "max_client_conn", "100" },
	{ "default_pool_size", "20" },
	{ "min_pool_size", "0" },
	{ "reserve_pool_size", "0" },
	{ "reserve_pool_timeout", "5" },
	{ "max_db_connections", "0" },
	{ "max_db_client_connections", "0" },
	{ "max_user_connections", "0" },
	{ "max_user_client_connections", "0" },
	{ "server_round_robin", "0" },
	{ "max_prepared_statements", "200" },
	{ "track_extra_parameters", "IntervalStyle" },
	{ "ignore_startup_parameters", "" },
	{ "disable_pqexec", "0" },
	{ "application_name_add_host", "0" },
	{ "max_packet_size", "2147483647" },
	{ "scram_iterations", "4096" },
	{ "auth_type", "md5" },
	{ "auth_file", "" },
	{ "auth_hba_file", "" },
	{ "auth_ident_file", "" },
	{ "auth_user", "" },
	{ "auth_query", NULL },
	{ "auth_dbname", "" },
	{ "auth_ldap_options", "" },
	{ "admin_users", "" },
	{ "stats_users", "" },
	{ "syslog", "0" },
	{ "syslog_ident", NULL },
	{ "syslog_facility", "daemon" },
	{ "log_connections", "1" },
	{ "log_disconnections", "1" },
	{ "log_pooler_errors", "1" },
	{ "log_stats", "1" },
	{ "server_reset_query", "DISCARD ALL" },
	{ "server_reset_query_always", "0" },
	{ "server_check_query", "<empty>" },
	{ "server_check_delay", "30" },
	{ "server_fast_close", "0" },
	{ "server_lifetime", "3600" },
	{ "server_idle_timeout", "600" },
	{ "server_connect_timeout", "15" },
	{ "server_login_retry", "15" },
	{ "client_login_timeout", "60" },
	{ "client_idle_timeout", "0" },
	{ "query_timeout", "0" },
	{ "query_wait_timeout", "120" },
	{ "query_wait_notify", "5" },
	{ "failover_timeout", "30" },
	{ "cancel_wait_timeout", "10" },
	{ "idle_transaction_timeout", "0" },
	{ "transaction_timeout", "0" },
	{ "suspend_timeout", "10" },
	{ "autodb_idle_timeout", "3600" },
	{ "pool_idle_timeout", "0" },
	{ "login_notify_message", "" },
	{ "dns_max_ttl", "15" },
	{ "dns_nxdomain_ttl", "15" },
	{ "dns_zone_check_period", "0" },
	{ "client_tls_sslmode", "disable" },
	{ "client_tls_key_file", "" },
	{ "client_tls_cert_file", "" },
	{ "client_tls_ca_file", "" },
	{ "client_tls_protocols", "secure" },
	{ "client_tls_ciphers", "default" },
	{ "client_tls13_ciphers", "" },
	{ "client_tls_dheparams", "auto" },
	{ "client_tls_ecdhcurve", "auto" },
	{ "server_tls_sslmode", "prefer" },
	{ "server_tls_key_file", "" },
	{ "server_tls_cert_file", "" },
	{ "server_tls_ca_file", "" },
	{ "server_tls_protocols", "secure" },
	{ "server_tls_ciphers", "default" },
	{ "server_tls13_ciphers", "" },
	{ "pkt_buf", "4096" },
	{ "sbuf_loopcnt", "5" },
	{ "tcp_socket_buffer", "0" },
	{ "tcp_keepalive", "1" },
	{ "tcp_keepcnt", "0" },
	{ "tcp_keepidle", "0" },
	{ "tcp_keepintvl", "0" },
	{ "tcp_user_timeout", "0" },
};

static const char *const database_keys[] = {
	"host",
	"port",
	"user",
	"password",
	"dbname",
	"auth_user",
	"auth_query",
	"auth_dbname",
	"pool_size",
	"min_pool_size",
	"reserve_pool_size",
	"reserve_pool",
	"connect_query",
	"pool_mode",
	"query_wait_timeout",
	"load_balance_hosts",
	"max_db_connections",
	"max_db_client_connections",
	"server_lifetime",
	"client_encoding",
	"datestyle",
	"timezone",
	"application_name",
};

static const char *const user_keys[] = {
	"pool_size",
	"reserve_pool_size",
	"pool_mode",
	"max_user_connections",
	"max_user_client_connections",
	"query_timeout",
	"query_wait_timeout",
	"idle_transaction_timeout",
	"transaction_timeout",
	"client_idle_timeout",
};

static const struct {
	const struct option_table *table;
	size_t size;
} tables[] = {
	{ &option_settings, sizeof(struct config_settings) },
	{ &option_database, sizeof(struct database_draft) },
	{ &option_user, sizeof(struct config_user) },
};

enum { TABLES = 3 };

static void test_keys_of_pgbouncer_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct option *option =
			option_find(&option_settings, known[i][0], false);

		if (!option)
			fail_msg("%s is unknown", known[i][0]);
		else if (known[i][1])
			assert_string_equal(option->fallback, known[i][1]);
	}
	for (size_t i = 0; i < sizeof(database_keys) / sizeof(*database_keys);
	     i++)
		assert_non_null(
			option_find(&option_database, database_keys[i], true));
	for (size_t i = 0; i < sizeof(user_keys) / sizeof(*user_keys); i++)
		assert_non_null(option_find(&option_user, user_keys[i], true));
}

/* A field is as wide as its type is stored. */
static bool has_right_size(const struct option *option)
{
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_SECRET:
	case OPTION_LIST: return option->size == sizeof(char *);
	case OPTION_TIME:
	case OPTION_SIZE: return option->size == sizeof(uint64_t);
	case OPTION_BOOL: return option->size == sizeof(bool);
	case OPTION_CHOICE:
		return option->size == sizeof(int) ||
		       option->size == sizeof(bool);
	default: return option->size == sizeof(int);
	}
}

static void test_rows_are_complete(void **state)
{
	const struct option *option;

	(void)state;
	for (size_t i = 0; i < TABLES; i++) {
		unsigned at = 0;

		while ((option = option_next(tables[i].table, &at))) {
			assert_non_null(option->name);
			if (!option->help ||
			    option->help[strlen(option->help) - 1] != '.')
				fail_msg("%s has no sentence", option->name);
			if (option->state == OPTION_NO_EFFECT)
				assert_non_null(option->note);
			if (option->state == OPTION_USED)
				assert_true(option->size > 0);
			if (option->size > 0 && !has_right_size(option))
				fail_msg("%s: size", option->name);
			assert_true(option->offset + option->size <=
				    tables[i].size);
			assert_true(option->max == 0 ||
				    option->min <= option->max);
		}
	}
}

static void test_aliases_lead_somewhere(void **state)
{
	const struct option *option;
	unsigned aliases = 0;

	(void)state;
	for (size_t i = 0; i < TABLES; i++) {
		unsigned at = 0;

		while ((option = option_next(tables[i].table, &at))) {
			const struct option *target;

			if (option->state != OPTION_ALIAS)
				continue;
			aliases++;
			target = option_find(tables[i].table, option->name,
					     true);
			assert_non_null(target);
			assert_int_not_equal(target->state, OPTION_ALIAS);
		}
	}
	assert_int_equal(aliases, 2);
}

/* Marks the bytes of a row's field; none may have an owner already. */
static void claim_bytes(const struct option *option, char *used)
{
	for (size_t i = 0; i < option->size; i++) {
		if (used[option->offset + i])
			fail_msg("%s overlaps", option->name);
		used[option->offset + i] = 1;
	}
}

/* No two rows share a name or a byte. */
static void test_rows_do_not_overlap(void **state)
{
	const struct option *option;

	(void)state;
	for (size_t i = 0; i < TABLES; i++) {
		const struct option_table *table = tables[i].table;
		char *used = calloc(1, tables[i].size);
		unsigned at = 0;

		assert_non_null(used);
		while ((option = option_next(table, &at))) {
			assert_ptr_equal(
				option_find(table, option->name, false),
				option);
			claim_bytes(option, used);
		}
		free(used);
	}
}

/* A default, printed and read again, is the same. */
static void test_defaults_survive_printing(void **state)
{
	struct config_settings one = { 0 };
	struct config_settings other = { 0 };
	const struct option *option;
	unsigned at = 0;

	(void)state;
	option_table_set_defaults(&option_settings, &one);
	while ((option = option_next(&option_settings, &at))) {
		struct buf text = BUF_INIT;
		struct buf why = BUF_INIT;

		option_format(option, &one, &text);
		buf_append_u8(&text, '\0');
		assert_string_equal((char *)buf_head(&text),
				    option->fallback ? option->fallback : "");
		assert_true(option_parse(option, (char *)buf_head(&text),
					 &other, &why));
		assert_true(option_is_equal(option, &one, &other));
		buf_free(&text);
		buf_free(&why);
	}
	option_table_clear(&option_settings, &one);
	option_table_clear(&option_settings, &other);
}

static void test_secrets_are_marked(void **state)
{
	(void)state;
	assert_int_equal(
		option_find(&option_settings, "monitor_password", false)->type,
		OPTION_SECRET);
	assert_int_equal(option_find(&option_database, "password", false)->type,
			 OPTION_SECRET);
}

/* A login method that is not there must never be taken for another. */
static void test_missing_logins_are_refused(void **state)
{
	static const char *const missing[] = { "hba", "pam", "ldap", "cert" };
	static const char *const there[] = { "any", "trust", "plain", "md5",
					     "scram-sha-256" };
	const struct option *option =
		option_find(&option_settings, "auth_type", false);
	struct config_settings settings = { 0 };
	struct buf why = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_false(option_parse(option, missing[i], &settings, &why));
	buf_free(&why);
	for (size_t i = 0; i < 5; i++)
		assert_true(option_parse(option, there[i], &settings, &why));
	assert_int_equal(buf_len(&why), 0);
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
		cmocka_unit_test(test_keys_of_pgbouncer_are_known),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_aliases_lead_somewhere),
		cmocka_unit_test(test_rows_do_not_overlap),
		cmocka_unit_test(test_defaults_survive_printing),
		cmocka_unit_test(test_secrets_are_marked),
		cmocka_unit_test(test_missing_logins_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
