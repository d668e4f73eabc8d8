/* Connection strings and host lists: good ones, bad ones, hostile ones. */
#include "core/config_dsn.h"

#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The pairs as "key=<value>;", then "!why" when it is bad. */
static void expect(const char *text, const char *wanted)
{
	char *copy = xstrdup(text);
	struct config_dsn dsn = { .at = copy };
	struct buf told = BUF_INIT;
	enum config_dsn_result result;
	char *key = NULL;
	char *value = NULL;

	while ((result = config_dsn_next(&dsn, &key, &value)) ==
	       CONFIG_DSN_PAIR)
		buf_printf(&told, "%s=<%s>;", key, value);
	if (result == CONFIG_DSN_BAD)
		buf_printf(&told, "!%s", dsn.why);
	buf_append_u8(&told, '\0');
	assert_string_equal((char *)buf_head(&told), wanted);
	buf_free(&told);
	free(copy);
}

static void test_pairs(void **state)
{
	(void)state;
	expect("", "");
	expect(" \t ", "");
	expect("host=pg1", "host=<pg1>;");
	expect("  host=pg1   port=5432 ", "host=<pg1>;port=<5432>;");
	expect("host = pg1\tport\t=\t5432", "host=<pg1>;port=<5432>;");
	expect("a=b=c d==", "a=<b=c>;d=<=>;");
	expect("a=b'c", "a=<b'c>;");
	expect("a=;#\" b=\\", "a=<;#\">;b=<\\>;");
}

static void test_quotes(void **state)
{
	(void)state;
	expect("a='b c' d='e'", "a=<b c>;d=<e>;");
	expect("a='' b='''' c='it''s'", "a=<>;b=<'>;c=<it's>;");
	expect("a=' = ' b = 'x=y'", "a=< = >;b=<x=y>;");
	expect("a='select 1; -- \"x\"'", "a=<select 1; -- \"x\">;");
}

static void test_faults(void **state)
{
	static const char form[] = "!expected key=value; a value with blanks "
				   "is written in 'quotes'";

	(void)state;
	expect("host", form);
	expect("=x", form);
	expect("host pg1", form);
	expect("'a'=b c", "'a'=<b>;!expected key=value; a value with blanks "
			  "is written in 'quotes'");
	expect("a=", "!a value is missing after =");
	expect("a=  ", "!a value is missing after =");
	expect("a='b", "!the closing quote ' is missing");
	expect("a='", "!the closing quote ' is missing");
	expect("a='b''", "!the closing quote ' is missing");
	expect("a='b'c", "!a blank is missing after a quoted value; a quote in "
			 "it is written ''");
}

static void test_faults_do_not_repeat_values(void **state)
{
	char text[] = "password=my secret";
	struct config_dsn dsn = { .at = text };
	char *key = NULL;
	char *value = NULL;

	(void)state;
	assert_int_equal(config_dsn_next(&dsn, &key, &value), CONFIG_DSN_PAIR);
	assert_string_equal(value, "my");
	assert_int_equal(config_dsn_next(&dsn, &key, &value), CONFIG_DSN_BAD);
	assert_null(strstr(dsn.why, "secret"));
}

/* Labels with blanks between, "/" before one that is a Unix socket's. */
static void expect_hosts(const char *host, const char *port, const char *wanted)
{
	struct config_hosts hosts;
	struct buf told = BUF_INIT;
	struct buf why = BUF_INIT;

	if (!config_hosts_parse(host, port, &hosts, &why))
		fail_msg("%.*s", (int)buf_len(&why), buf_head(&why));
	for (unsigned i = 0; i < hosts.count; i++) {
		const struct config_node *node = &hosts.nodes[i];

		buf_printf(&told, "%s%s%s", i ? " " : "",
			   node->is_unix ? "U" : "", node->label);
		assert_non_null(strstr(node->label, node->host));
		assert_int_equal(
			strtol(strrchr(node->label, ':') + 1, NULL, 10),
			node->port);
	}
	buf_append_u8(&told, '\0');
	assert_string_equal((char *)buf_head(&told), wanted);
	assert_int_equal(buf_len(&why), 0);
	buf_free(&told);
	config_hosts_free(&hosts);
	assert_int_equal(hosts.count, 0);
}

static void refuse_hosts(const char *host, const char *port, const char *reason)
{
	struct config_hosts hosts;
	struct buf why = BUF_INIT;

	if (config_hosts_parse(host, port, &hosts, &why))
		fail_msg("%s accepted", host);
	assert_int_equal(hosts.count, 0);
	assert_null(hosts.nodes);
	buf_append_u8(&why, '\0');
	if (!strstr((char *)buf_head(&why), reason))
		fail_msg("%s, not: %s", buf_head(&why), reason);
	buf_free(&why);
}

static void test_hosts(void **state)
{
	(void)state;
	expect_hosts("pg1", NULL, "pg1:5432");
	expect_hosts(NULL, NULL, "U/var/run/postgresql:5432");
	expect_hosts(NULL, "5433", "U/var/run/postgresql:5433");
	expect_hosts("10.0.0.1", "1", "10.0.0.1:1");
	expect_hosts("pg1,pg2:5433,[::1]:5434", "5432",
		     "pg1:5432 pg2:5433 [::1]:5434");
	expect_hosts(" pg1 , pg2 ", "65535", "pg1:65535 pg2:65535");
	expect_hosts("a_b-c.example.org", NULL, "a_b-c.example.org:5432");
}

static void test_addresses6(void **state)
{
	(void)state;
	expect_hosts("::1", NULL, "[::1]:5432");
	expect_hosts("[::1]", "7", "[::1]:7");
	expect_hosts("[::1]:5434", NULL, "[::1]:5434");
	expect_hosts("2001:db8::5433", NULL, "[2001:db8::5433]:5432");
	expect_hosts("fe80::1%eth0", NULL, "[fe80::1%eth0]:5432");
	expect_hosts("[fe80::1%eth0]:1", NULL, "[fe80::1%eth0]:1");
	expect_hosts("::ffff:10.0.0.1", NULL, "[::ffff:10.0.0.1]:5432");
	refuse_hosts("::1:x", NULL, "is not an IPv6 address; with a port");
	refuse_hosts("1:2:3", NULL, "is not an IPv6 address");
	refuse_hosts("fe80::1%", NULL, "is not an IPv6 address");
	refuse_hosts("[::1", NULL, "is not [address]");
	refuse_hosts("[::1]5432", NULL, "is not [address]");
	refuse_hosts("[::1]:", NULL, "is not a port");
	refuse_hosts("[pg1]:5432", NULL, "\"pg1\" is not an IPv6 address");
	refuse_hosts("[]", NULL, "is not an IPv6 address");
	refuse_hosts("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
		     NULL, "is not an IPv6 address");
}

static void test_sockets(void **state)
{
	(void)state;
	expect_hosts("/tmp", NULL, "U/tmp:5432");
	expect_hosts("/tmp:5433", "1", "U/tmp:5433");
	expect_hosts("/a:b", NULL, "U/a:b:5432");
	expect_hosts("/a:", NULL, "U/a::5432");
	expect_hosts("@pg", NULL, "U@pg:5432");
	expect_hosts("/a,@b:5433,c", "1", "U/a:1 U@b:5433 c:1");
	refuse_hosts("/tmp:99999", NULL, "\"99999\" is not a port");
}

static void test_ports(void **state)
{
	(void)state;
	expect_hosts("a,b", "1,2", "a:1 b:2");
	expect_hosts("a,b:7,c", "1,,3", "a:1 b:7 c:3");
	expect_hosts("a,b", ",2", "a:5432 b:2");
	expect_hosts("a,b", "3,", "a:3 b:5432");
	refuse_hosts("a,b,c", "1,2", "port: 2 ports for 3 hosts");
	refuse_hosts("a", "1,2", "port: 2 ports for 1 hosts");
	refuse_hosts("a", "0", "\"0\" is not a port; give 1 to 65535");
	refuse_hosts("a", "65536", "is not a port");
	refuse_hosts("a", "x", "is not a port");
	refuse_hosts("a", "", "is not a port");
	refuse_hosts("a", "-1", "is not a port");
	refuse_hosts("a:0", NULL, "is not a port");
	refuse_hosts("a:", NULL, "is not a port");
	refuse_hosts("a:5432x", NULL, "is not a port");
}

static void test_bad_hosts(void **state)
{
	struct buf many = BUF_INIT;
	char long_name[400];
	char *label;

	(void)state;
	refuse_hosts("", NULL, "is not a host;");
	refuse_hosts("a,,b", NULL, "is not a host;");
	refuse_hosts("a,", NULL, "is not a host;");
	refuse_hosts("a b", NULL, "is not a host name");
	refuse_hosts("user@a", NULL, "is not a host name");
	refuse_hosts("a/b", NULL, "is not a host name");
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	refuse_hosts(long_name, NULL, "is too long for a host");
	long_name[255] = '\0';
	label = xasprintf("%s:5432", long_name);
	expect_hosts(long_name, NULL, label);
	free(label);
	long_name[0] = '/';
	long_name[93] = '\0';
	refuse_hosts(long_name, NULL, "is too long for a Unix socket");
	for (int i = 0; i < 65; i++)
		buf_printf(&many, "%sh%d", i ? "," : "", i);
	buf_append_u8(&many, '\0');
	refuse_hosts((char *)buf_head(&many), NULL,
		     "host: 65 hosts, at most 64 are possible");
	buf_free(&many);
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
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_do_not_repeat_values),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_addresses6),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_bad_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, forget_blocks);
}
