/*
 * weight= and backup=: what is taken, what is refused, what is shown.
 */
#include "core/config_shares.h"

#include "base/buf.h"
#include "core/config_dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_hosts hosts;
static struct config_share shares[CONFIG_HOSTS_MAX];
static struct buf why;

static int setup(void **state)
{
	(void)state;
	why = (struct buf)BUF_INIT;
	assert_true(config_hosts_parse("a,b:6000,[::1]:7,/run/x,b:6001", NULL,
				       &hosts, &why));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_hosts_free(&hosts);
	buf_free(&why);
	return 0;
}

static bool parse(const char *weight, const char *backup)
{
	buf_consume(&why, buf_len(&why));
	return config_shares_parse(weight, backup, &hosts, shares, &why);
}

static void assert_shares(const char *expected)
{
	struct buf text = BUF_INIT;

	for (unsigned i = 0; i < hosts.count; i++)
		buf_printf(&text, "%s%u%s", i ? " " : "", shares[i].weight,
			   shares[i].is_backup ? "b" : "");
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_none(void **state)
{
	(void)state;
	assert_true(parse(NULL, NULL));
	assert_shares("1 1 1 1 1");
}

static void test_weights(void **state)
{
	(void)state;
	assert_true(parse("7", NULL));
	assert_shares("7 7 7 7 7");
	assert_true(parse("1, 2 ,0,1000,5", NULL));
	assert_shares("1 2 0 1000 5");
}

static void refuse(const char *weight, const char *backup, const char *text)
{
	assert_false(parse(weight, backup));
	assert_string_equal(buf_text(&why), text);
}

static void test_bad_weights(void **state)
{
	(void)state;
	refuse("1,2", NULL,
	       "weight: 2 weights for 5 hosts; give one, or one for each host");
	refuse("1,2,3,4,5,6", NULL,
	       "weight: 6 weights for 5 hosts; give one, or one for each host");
	refuse("", NULL, "weight: \"\" is not a whole number from 0 to 1000");
	refuse("1,2,x,4,5", NULL,
	       "weight: \"x\" is not a whole number from 0 to 1000");
	refuse("-1", NULL,
	       "weight: \"-1\" is not a whole number from 0 to 1000");
	refuse("1001", NULL,
	       "weight: \"1001\" is not a whole number from 0 to 1000");
	refuse("99999999999999999999", NULL,
	       "weight: \"99999999999999999999\" is not a whole number from 0 "
	       "to 1000");
	refuse("0", NULL,
	       "weight: 0 for all hosts, so no replica would get reads; write "
	       "consistency=primary if that is meant");
}

static void test_backups(void **state)
{
	(void)state;
	assert_true(parse(NULL, "a"));
	assert_shares("1b 1 1 1 1");
	/* Without a port all of that name. */
	assert_true(parse("1,2,3,4,5", "b , [::1]"));
	assert_shares("1 2b 3b 4 5b");
	assert_true(parse(NULL, "b:6001,::1,/run/x:5432"));
	assert_shares("1 1 1b 1b 1b");
	assert_true(parse(NULL, "[::1]:7,a:5432"));
	assert_shares("1b 1 1b 1 1");
}

static void test_bad_backups(void **state)
{
	char word[1000];

	(void)state;
	refuse(NULL, "c", "backup: \"c\" is none of the line's hosts");
	refuse(NULL, "a,", "backup: \"\" is none of the line's hosts");
	refuse(NULL, "b:6002",
	       "backup: \"b:6002\" is none of the line's hosts");
	refuse(NULL, "a,b,::1,/run/x",
	       "backup: all hosts are reserves; leave one that is used first");
	memset(word, 'w', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	assert_false(parse(NULL, word));
	assert_true(buf_len(&why) < 200);
}

static void test_write(void **state)
{
	struct config_node nodes[] = { { .label = "a:1" }, { .label = "b:2" } };
	unsigned indexes[] = { 1, 0 };
	struct config_share both[] = { { .weight = 1 }, { .weight = 1 } };
	struct config config = { .nodes = nodes, .node_count = 2 };
	struct config_database line = { .node_count = 2,
					.nodes = indexes,
					.shares = both };

	(void)state;
	config_shares_write(&config, &line, &why);
	assert_int_equal(buf_len(&why), 0);
	both[1] = (struct config_share){ .weight = 3, .is_backup = true };
	config_shares_write(&config, &line, &why);
	assert_string_equal(buf_text(&why), " weight=1,3 backup=a:1");
	both[0].is_backup = true;
	buf_consume(&why, buf_len(&why));
	config_shares_write(&config, &line, &why);
	assert_string_equal(buf_text(&why), " weight=1,3 backup=b:2,a:1");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_none),    ROW(test_weights),     ROW(test_bad_weights),
		ROW(test_backups), ROW(test_bad_backups), ROW(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
